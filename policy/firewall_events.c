/* What nftables tells of every change that anybody makes, and which of it is about our tables.
 * Runs in the firewall process. The packets are the kernel's; names in them are anybody's. What
 * is lost because it came too fast is said to be lost: then all is to be looked at. */
#include "policy/firewall_live.h"

/* The C library's addresses come before the kernel's, which then leave theirs out. */
#include <netinet/in.h>
#include <inttypes.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include "gateway/base/log.h"
#include "policy/firewall_netlink.h"

#define PACKET_MAX  (64U << 10)
#define BUFFER	    (4 << 20) /* a large script makes much news */
#define PACKETS_MAX 1024      /* at a time */

int firewall_events_open(struct firewall_events *e)
{
	struct mnl_socket *socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	int group = NFNLGRP_NFTABLES, size = BUFFER, r;

	if (!socket)
		return -errno;
	/* Less room means that news is lost sooner, and noticed. */
	if (setsockopt(mnl_socket_get_fd(socket), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) <
	    0)
		(void)setsockopt(mnl_socket_get_fd(socket), SOL_SOCKET, SO_RCVBUF, &size,
				 sizeof size);
	if (mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_setsockopt(socket, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) < 0) {
		r = -errno;
		(void)mnl_socket_close(socket);
		return r;
	}
	*e = (struct firewall_events){.socket = socket};
	return 0;
}

void firewall_events_close(struct firewall_events *e)
{
	if (e->socket)
		(void)mnl_socket_close(e->socket);
	e->socket = NULL;
}

int firewall_events_fd(const struct firewall_events *e)
{
	return e->socket ? mnl_socket_get_fd(e->socket) : -1;
}

struct sought {
	uint16_t type;
	const struct nlattr *found;
};

static int attribute_look(const struct nlattr *attribute, void *arg)
{
	struct sought *s = arg;

	if (mnl_attr_get_type(attribute) != s->type)
		return MNL_CB_OK;
	s->found = attribute;
	return MNL_CB_STOP;
}

static const struct nlattr *attribute_find(const struct nlmsghdr *h, uint16_t type,
					   enum mnl_attr_data_type kind)
{
	struct sought s = {.type = type};

	(void)mnl_attr_parse(h, sizeof(struct nfgenmsg), attribute_look, &s);
	return s.found && mnl_attr_validate(s.found, kind) >= 0 ? s.found : NULL;
}

static const char *text_of(const struct nlmsghdr *h, uint16_t type)
{
	const struct nlattr *attribute = attribute_find(h, type, MNL_TYPE_NUL_STRING);

	return attribute ? mnl_attr_get_str(attribute) : "";
}

uint32_t firewall_attribute_u32(const struct nlmsghdr *h, uint16_t type)
{
	const struct nlattr *attribute = attribute_find(h, type, MNL_TYPE_U32);

	return attribute ? ntohl(mnl_attr_get_u32(attribute)) : 0;
}

/* Every message about a thing in a table has the table's name as its first kind of attribute. Bans
 * come and go. */
static bool is_ours(const struct nlmsghdr *h)
{
	const struct nfgenmsg *g = mnl_nlmsg_get_payload(h);
	uint16_t type = NFNL_MSG_TYPE(h->nlmsg_type);
	const char *table = text_of(h, NFTA_TABLE_NAME), *set;

	if (g->nfgen_family != NFPROTO_INET)
		return false;
	if (strcmp(table, firewall_tables[0]) == 0)
		return true;
	if (strcmp(table, firewall_tables[1]) != 0)
		return false;
	if (type != NFT_MSG_NEWSETELEM && type != NFT_MSG_DELSETELEM)
		return true;
	set = text_of(h, NFTA_SET_ELEM_LIST_SET);
	return strcmp(set, "v4") != 0 && strcmp(set, "v6") != 0;
}

/* The end of a transaction: it says who made it. */
static void transaction_end(struct firewall_events *e, const struct nlmsghdr *h)
{
	const char *name = text_of(h, NFTA_GEN_PROC_NAME);
	char safe[FIREWALL_BY_MAX - 24];

	if (e->touches) {
		e->changes++;
		e->by[0] = '\0';
		if (name[0])
			(void)snprintf(e->by, sizeof e->by, "%s (pid %" PRIu32 ")",
				       text_escape(name, strlen(name), safe, sizeof safe),
				       firewall_attribute_u32(h, NFTA_GEN_PROC_PID));
	}
	e->touches = false;
}

void firewall_events_take(struct firewall_events *e, const void *bytes, size_t len)
{
	const struct nlmsghdr *h = bytes;
	int left = (int)len;

	for (; firewall_message_ok(h, left); h = mnl_nlmsg_next(h, &left)) {
		if (NFNL_SUBSYS_ID(h->nlmsg_type) != NFNL_SUBSYS_NFTABLES ||
		    mnl_nlmsg_get_payload_len(h) < sizeof(struct nfgenmsg))
			continue;
		if (NFNL_MSG_TYPE(h->nlmsg_type) == NFT_MSG_NEWGEN)
			transaction_end(e, h);
		else
			e->touches = e->touches || is_ours(h);
	}
}

static void events_lost(struct firewall_events *e)
{
	e->lost = true;
	e->touches = false;
	e->by[0] = '\0';
}

void firewall_events_read(struct firewall_events *e)
{
	static _Alignas(struct nlmsghdr) uint8_t bytes[PACKET_MAX];

	for (unsigned i = 0; e->socket && i < PACKETS_MAX; i++) {
		struct sockaddr_nl from = {0};
		socklen_t from_len = sizeof from;
		ssize_t len = recvfrom(mnl_socket_get_fd(e->socket), bytes, sizeof bytes,
				       MSG_DONTWAIT | MSG_TRUNC, (struct sockaddr *)&from,
				       &from_len);

		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0 && errno == EAGAIN)
			return;
		if (len < 0 || (size_t)len > sizeof bytes)
			events_lost(e); /* ENOBUFS */
		else if (from.nl_pid == 0)
			firewall_events_take(e, bytes, (size_t)len);
	}
}
