/* The timed sets of table `inet sallyport-bans`, by netlink. Used by the firewall
 * process alone; needs CAP_NET_ADMIN. */
#pragma once

#include "gateway/base/address.h"

struct mnl_socket;
struct nlmsghdr;

struct firewall_netlink {
	struct mnl_socket *socket; /* NULL: not open */
	uint32_t sequence;
};

/* A socket of a netlink bus (NETLINK_NETFILTER, NETLINK_XFRM), bound. */
int netlink_socket_open(int bus, struct mnl_socket **ret_socket) MUST_CHECK;
int firewall_netlink_open(struct firewall_netlink *ret_netlink) MUST_CHECK;
void firewall_netlink_close(struct firewall_netlink *n);

/* Is there a whole message in the octets that are left? mnl_nlmsg_ok() takes a length beyond
 * INT_MAX for a small one. */
bool firewall_message_ok(const struct nlmsghdr *h, int left);

/* Is it a block that may be banned? NULL, or why not: one IPv4 address or one IPv6 /64, and nothing
 * that holds a loopback or the unspecified address. */
const char *firewall_ban_refused(const struct network *source);

/* Bans for so many seconds from now, whatever time a ban that is there has left. -ENFILE: the set
 * is full; -ENOENT: no table; or another -errno of the kernel. */
int firewall_ban_set(struct firewall_netlink *n, const struct network *source,
		     uint32_t seconds) MUST_CHECK;
/* Lifts; 0 also when there was none. */
int firewall_ban_lift(struct firewall_netlink *n, const struct network *source) MUST_CHECK;
