/* The kernel's side of watching over our tables: reading all that is in them, and hearing of every
 * change of the packet filter. Used by the firewall process alone; needs CAP_NET_ADMIN. */
#pragma once

#include "policy/firewall_reading.h"

/* What is in our tables now, all of one generation. -EAGAIN: somebody changes rules faster than
 * they can be read; -E2BIG: there is more than FIREWALL_ITEMS_MAX or FIREWALL_TEXT_MAX; or another
 * -errno of the kernel. Each call has a socket of its own. */
int firewall_live_read(struct firewall_reading **ret_reading, uint32_t *ret_generation) MUST_CHECK;
int firewall_live_generation(uint32_t *ret_generation) MUST_CHECK;

struct firewall_events {
	struct mnl_socket *socket; /* NULL: no news comes */
	uint32_t changes;	   /* transactions that touched our tables, bans left out */
	bool lost;		   /* there were more than the socket holds */
	bool touches;		   /* the transaction that is being read */
	char by[FIREWALL_BY_MAX];  /* who made the last one: "nft (pid 17)", escaped; or "" */
};

/* Joins the notifications of nftables; before the sandbox. */
int firewall_events_open(struct firewall_events *e) MUST_CHECK;
void firewall_events_close(struct firewall_events *e);
int firewall_events_fd(const struct firewall_events *e);
/* Takes what waits. */
void firewall_events_read(struct firewall_events *e);
/* Bytes of one packet; the fuzz target's door. */
void firewall_events_take(struct firewall_events *e, const void *bytes, size_t len);
/* A number among the attributes of a message of nftables, whose header is whole; 0: there is none.
 */
uint32_t firewall_attribute_u32(const struct nlmsghdr *h, uint16_t type);
