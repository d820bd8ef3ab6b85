/* Asks the kernel for its IPsec policies and states. Runs in the firewall process, on a socket that
 * was opened before the sandbox. Trusts the kernel's answers. States come with their keys: they are
 * asked for by their addresses alone, and what came is wiped. */
#include "policy/xfrm.h"
#include "policy/firewall_netlink.h"

/* The C library's addresses come before the kernel's, which then leave theirs out. */
#include <netinet/in.h>
#include <libmnl/libmnl.h>
#include <linux/netlink.h>
#include <linux/xfrm.h>

#define REQUEST_SIZE 256
#define ANSWER_SIZE  32768 /* what the kernel puts into one datagram of a dump, at most */
#define ANSWERS_MAX  4096
#define TRIES	     3

int xfrm_netlink_open(struct xfrm_netlink *ret_netlink)
{
	*ret_netlink = (struct xfrm_netlink){.sequence = 1};
	return netlink_socket_open(NETLINK_XFRM, &ret_netlink->socket);
}

void xfrm_netlink_close(struct xfrm_netlink *n)
{
	if (n->socket)
		(void)mnl_socket_close(n->socket);
	n->socket = NULL;
}

/* The kernel goes on with a dump at each receiving, so an answer is there, or none comes. */
static int answers_read(struct xfrm_netlink *n, struct xfrm_coverage *c,
			int (*take)(struct xfrm_coverage *c, const uint8_t *bytes, size_t len,
				    uint32_t sequence))
{
	_Alignas(struct nlmsghdr) static uint8_t bytes[ANSWER_SIZE];
	ssize_t len;
	int r = 0;

	for (unsigned i = 0; i < ANSWERS_MAX && r == 0; i++) {
		len = recv(mnl_socket_get_fd(n->socket), bytes, sizeof bytes,
			   MSG_DONTWAIT | MSG_TRUNC);
		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0)
			r = errno == EAGAIN ? -EIO : -errno;
		else if ((size_t)len > sizeof bytes)
			r = -EMSGSIZE;
		else
			r = take(c, bytes, (size_t)len, n->sequence);
	}
	explicit_bzero(bytes, sizeof bytes);
	return r == 0 ? -EFBIG : MIN(r, 0);
}

/* What an earlier dump left, after an error. */
static void leftovers_drop(struct xfrm_netlink *n)
{
	uint8_t octet;

	while (recv(mnl_socket_get_fd(n->socket), &octet, sizeof octet, MSG_DONTWAIT) >= 0)
		;
}

static struct nlmsghdr *request_begin(struct xfrm_netlink *n, void *bytes, uint16_t type)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(bytes);

	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	h->nlmsg_seq = ++n->sequence;
	return h;
}

static int policies_ask(struct xfrm_netlink *n, struct xfrm_coverage *c)
{
	_Alignas(struct nlmsghdr) uint8_t bytes[REQUEST_SIZE] = {0};
	struct nlmsghdr *h = request_begin(n, bytes, XFRM_MSG_GETPOLICY);

	if (mnl_socket_sendto(n->socket, h, h->nlmsg_len) < 0)
		return -errno;
	return answers_read(n, c, xfrm_policies_take);
}

static void filter_end(xfrm_address_t *ret, __u8 *ret_prefix, const struct ip *ip)
{
	if (ip->version == 0)
		return; /* any */
	memcpy(ret, ip->bytes, ip->version == 4 ? 4 : 16);
	*ret_prefix = ip->version == 4 ? 32 : 128;
}

/* Those between the two ends of the way's tunnel, or of the connection. */
static int states_ask(struct xfrm_netlink *n, struct xfrm_coverage *c, const struct xfrm_way *w)
{
	_Alignas(struct nlmsghdr) uint8_t bytes[REQUEST_SIZE] = {0};
	struct nlmsghdr *h = request_begin(n, bytes, XFRM_MSG_GETSA);
	bool transport = w->esp.mode == XFRM_MODE_TRANSPORT;
	const struct ip *from = transport ? &w->from.ip : &w->esp.from;
	const struct ip *to = transport ? &w->to.ip : &w->esp.to;
	struct xfrm_address_filter filter = {0};

	filter_end(&filter.saddr, &filter.splen, from);
	filter_end(&filter.daddr, &filter.dplen, to);
	filter.family = (from->version ? from->version : to->version) == 6 ? AF_INET6 : AF_INET;
	mnl_attr_put_u8(h, XFRMA_PROTO, IPPROTO_ESP);
	if (from->version || to->version)
		mnl_attr_put(h, XFRMA_ADDRESS_FILTER, sizeof filter, &filter);
	if (mnl_socket_sendto(n->socket, h, h->nlmsg_len) < 0)
		return -errno;
	return answers_read(n, c, xfrm_states_take);
}

static int ask_once(struct xfrm_netlink *n, struct xfrm_coverage *c)
{
	int r = policies_ask(n, c);

	for (size_t i = 0; i < XFRM_WAYS && r == 0; i++)
		if (c->ways[i].protects)
			r = states_ask(n, c, &c->ways[i]);
	return r;
}

int xfrm_netlink_ask(struct xfrm_netlink *n, const struct endpoint *local,
		     const struct endpoint *peer, const char **ret_lacks)
{
	struct xfrm_coverage c;
	int r = -EINTR;

	if (!n->socket)
		return -EPROTONOSUPPORT;
	for (int i = 0; i < TRIES && r == -EINTR; i++) {
		leftovers_drop(n);
		xfrm_coverage_begin(&c, local, peer);
		r = ask_once(n, &c);
	}
	if (r == 0)
		*ret_lacks = xfrm_coverage_lacks(&c);
	return r;
}
