/* Memory for what the monitor keeps so that a helper that died gets it again: a memfd, locked
 * (never in swap, in no core dump) as long as it is mapped, and not readable by the monitor but
 * when it fills it. */
#pragma once

#include "gateway/base/base.h"

struct locked {
	uint8_t *memory; /* NULL: there is none */
	size_t size;
	int fd; /* -1 then */
};

#define LOCKED_NONE ((struct locked){.fd = -1})

int locked_open(struct locked *l, const char *name, size_t size) MUST_CHECK; /* can be looked at */
int locked_hide(struct locked *l) MUST_CHECK;				     /* not any more */
void locked_close(struct locked *l);					     /* wipes */
