/* The lines that one firewall script has and another has not, of two that firewall_script() made.
 * Where in its set or chain a line stands means nothing in these: no two portals listen on one
 * address. Comments, and the policy's line that one cites, are no difference. */
#pragma once

#include "gateway/base/base.h"

struct firewall_line {
	bool added;
	const char *block; /* "set from_wan_4"; "" outside of any; within the two scripts */
	const char *line;  /* without indentation and comma */
	size_t block_len, len;
};

struct firewall_lines {
	struct firewall_line *list;
	size_t count;
};

/* Both NUL-ended and kept by the caller as long as the lines; "" for no firewall. -ENOMEM.
 */
int firewall_lines_compare(const char *before, const char *after,
			   struct firewall_lines *ret_lines) MUST_CHECK;
void firewall_lines_free(struct firewall_lines *l);
