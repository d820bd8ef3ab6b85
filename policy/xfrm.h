/* Is a TCP connection of this machine within IPsec? Asked of the kernel's policies and states by
 * netlink (XFRM), which need CAP_NET_ADMIN: the firewall process alone does it. What the kernel
 * says is judged message by message, without a socket: so it can be tested and fuzzed. */
#pragma once

#include "gateway/base/address.h"

/* The template of a policy: how it wants packets to be wrapped. */
struct xfrm_template {
	struct ip from, to; /* the tunnel's ends; version 0: any */
	uint32_t reqid, spi;
	uint8_t mode;
};

/* One direction of the connection. */
struct xfrm_way {
	struct endpoint from, to;
	uint8_t direction; /* XFRM_POLICY_IN or _OUT */
	bool found;	   /* a policy is about it; the one that counts: */
	uint32_t priority; /* … the lowest number, as the kernel has it */
	bool protects;	   /* … and nothing goes but in ESP */
	struct xfrm_template esp;
	bool alive; /* a state is there that its template wants, and that encrypts */
};

#define XFRM_WAYS 2
struct xfrm_coverage {
	struct xfrm_way ways[XFRM_WAYS]; /* in, out */
};

void xfrm_coverage_begin(struct xfrm_coverage *c, const struct endpoint *local,
			 const struct endpoint *peer);
/* One buffer of a dump's answers to the request `sequence`: policies, then states. 1: it was the
 * last; 0: there is more; or -errno. */
int xfrm_policies_take(struct xfrm_coverage *c, const uint8_t *bytes, size_t len,
		       uint32_t sequence) MUST_CHECK;
int xfrm_states_take(struct xfrm_coverage *c, const uint8_t *bytes, size_t len,
		     uint32_t sequence) MUST_CHECK;
/* NULL: both ways go through ESP. Otherwise why not, for people. */
const char *xfrm_coverage_lacks(const struct xfrm_coverage *c);

/* --- the kernel's word, in the firewall process --- */

struct xfrm_netlink {
	struct mnl_socket *socket; /* NULL: not open */
	uint32_t sequence;
};

int xfrm_netlink_open(struct xfrm_netlink *ret_netlink) MUST_CHECK;
void xfrm_netlink_close(struct xfrm_netlink *n);
/* 0, and *ret_lacks as above; or -errno: the kernel could not be asked. */
int xfrm_netlink_ask(struct xfrm_netlink *n, const struct endpoint *local,
		     const struct endpoint *peer, const char **ret_lacks) MUST_CHECK;
