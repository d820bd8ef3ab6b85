/* The header that a proxy sends before a connection's own octets: PROXY protocol, version 2.
 * Without I/O: octets go in, each read as long as it says and no longer, so that what follows the
 * header stays in the socket. Runs in the session; the monitor says whose header is believed. */
#pragma once

#include "gateway/base/address.h"

#define PROXY_SIGNATURE_SIZE 12
#define PROXY_HEAD_SIZE	     16
#define PROXY_HEADER_MAX     536 /* octets of all of it: what its document wants to be taken */

enum proxy_state {
	PROXY_MORE,	 /* its end has not come */
	PROXY_WHOLE,	 /* it is here, and right */
	PROXY_MISSING,	 /* something else came */
	PROXY_MALFORMED, /* it begins as one, and is none */
};

struct proxy_header {
	uint8_t octets[PROXY_HEADER_MAX];
	size_t len, total; /* total: 0 until it is known */
};

/* What a proxy says of a connection. */
struct proxied {
	bool local;		      /* the proxy itself connected: the addresses are not given */
	struct endpoint source, dest; /* hosts, with a port; dest: version 0: it is no host */
};

/* Where the next octets belong, and how many: so many may be read, and not one more. Not to be
 * called after a state other than PROXY_MORE. */
size_t proxy_space(struct proxy_header *h, uint8_t **ret_at);
/* `n` of them have come. *ret is set with PROXY_WHOLE; *ret_why, for people, with the last two. */
enum proxy_state proxy_took(struct proxy_header *h, size_t n, struct proxied *ret,
			    const char **ret_why);
bool proxy_is_signed(const struct proxy_header *h); /* all of the signature has come */
