/* The passphrase of the key file: from a descriptor, a terminal, or systemd's agents. */
#pragma once

#include "gateway/base/base.h"

struct passphrase_ask {
	const char *fd;	    /* what --passphrase-fd said; NULL: ask somebody */
	const char *text;   /* "passphrase of the secrets in /var/lib/sallyport: " */
	const char *repeat; /* asked twice, for a new one; NULL: once */
	bool agent;	    /* where there is no terminal, root may ask systemd's agents */
};

/* Writes at most PASSPHRASE_MAX octets to ret (in locked memory, with room for 2 *
 * (PASSPHRASE_MAX + 2)). Returns their number, at least PASSPHRASE_MIN; or -errno, with a sentence
 * for people. */
ssize_t passphrase_get(const struct passphrase_ask *ask, uint8_t *ret, char *ret_why,
		       size_t why_size) MUST_CHECK;
