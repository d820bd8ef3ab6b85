/* The timed sets of table `inet sallyport-bans`: elements are added and deleted in
 * netlink batches, which the kernel takes whole or not at all. Runs in the firewall
 * process, on blocks that it has checked. Trusts the kernel's answers. */
#include "policy/firewall_netlink.h"

/* The C library's addresses come before the kernel's, which then leave theirs out. */
#include <netinet/in.h>
#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <libnftnl/set.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#define BANS_TABLE    "sallyport-bans"
#define BATCH_SIZE    4096 /* four small messages at most */
#define RECEIVE_SIZE  8192
#define BATCH_STEPS   2
#define TRIES	      4
#define BLOCK_V4_BITS 32
#define BLOCK_V6_BITS 64

int netlink_socket_open(int bus, struct mnl_socket **ret_socket)
{
	struct mnl_socket *socket = mnl_socket_open2(bus, SOCK_CLOEXEC);
	int r;

	if (!socket)
		return -errno;
	if (mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0) {
		r = -errno;
		(void)mnl_socket_close(socket);
		return r;
	}
	*ret_socket = socket;
	return 0;
}

int firewall_netlink_open(struct firewall_netlink *ret_netlink)
{
	*ret_netlink = (struct firewall_netlink){.sequence = 1};
	return netlink_socket_open(NETLINK_NETFILTER, &ret_netlink->socket);
}

void firewall_netlink_close(struct firewall_netlink *n)
{
	if (n->socket)
		(void)mnl_socket_close(n->socket);
	n->socket = NULL;
}

const char *firewall_ban_refused(const struct network *source)
{
	static const struct ip loopback_v6 = {.version = 6, .bytes = {[15] = 1}};
	struct network block;

	if (source->ip.version != 4 && source->ip.version != 6)
		return "it is no address";
	block = ip_source_block(&source->ip);
	if (source->prefix != block.prefix || !ip_equal(&source->ip, &block.ip))
		return "a ban is about one IPv4 address or one IPv6 /64";
	/* ::/64 has both the loopback and the unspecified address of IPv6 in it. */
	if (ip_is_loopback(&source->ip) || ip_is_any(&source->ip) ||
	    network_contains(&block, &loopback_v6))
		return "loopback addresses are never banned";
	return NULL;
}

/* One change of one element: NFT_MSG_NEWSETELEM or NFT_MSG_DELSETELEM. */
struct change {
	uint16_t type, flags;
	const struct network *source;
	uint64_t timeout_ms; /* 0: none is said */
};

static int change_put(struct mnl_nlmsg_batch *batch, const struct change *c, uint32_t sequence)
{
	bool v4 = c->source->ip.version == 4;
	struct nftnl_set *set = nftnl_set_alloc();
	struct nftnl_set_elem *element = nftnl_set_elem_alloc();
	struct nlmsghdr *header;
	int r = -ENOMEM;

	if (!set || !element)
		goto out;
	r = 0;
	if (nftnl_set_set_str(set, NFTNL_SET_TABLE, BANS_TABLE) < 0 ||
	    nftnl_set_set_str(set, NFTNL_SET_NAME, v4 ? "v4" : "v6") < 0 ||
	    nftnl_set_elem_set(element, NFTNL_SET_ELEM_KEY, c->source->ip.bytes, v4 ? 4 : 16) < 0)
		r = -ENOMEM;
	if (c->timeout_ms > 0)
		nftnl_set_elem_set_u64(element, NFTNL_SET_ELEM_TIMEOUT, c->timeout_ms);
	nftnl_set_elem_add(set, TAKE(element));
	if (r < 0)
		goto out;
	header = nftnl_nlmsg_build_hdr(mnl_nlmsg_batch_current(batch), c->type, NFPROTO_INET,
				       c->flags | NLM_F_ACK, sequence);
	nftnl_set_elems_nlmsg_build_payload(header, set);
	(void)mnl_nlmsg_batch_next(batch);
out:
	if (element)
		nftnl_set_elem_free(element);
	if (set)
		nftnl_set_free(set);
	return r;
}

bool firewall_message_ok(const struct nlmsghdr *h, int left)
{
	return mnl_nlmsg_ok(h, left) && h->nlmsg_len <= (uint32_t)left;
}

/* The first error among the answers to messages from `sequence` on; none at all is one, too. */
static int answers_take(const uint8_t *bytes, size_t len, uint32_t sequence, int *answers)
{
	const struct nlmsghdr *h = (const struct nlmsghdr *)(const void *)bytes;
	int left = (int)len;

	for (; firewall_message_ok(h, left); h = mnl_nlmsg_next(h, &left)) {
		const struct nlmsgerr *e = mnl_nlmsg_get_payload(h);

		if (h->nlmsg_type != NLMSG_ERROR || h->nlmsg_seq < sequence ||
		    mnl_nlmsg_get_payload_len(h) < sizeof *e)
			continue;
		if (e->error)
			return e->error;
		++*answers;
	}
	return 0;
}

/* The kernel has worked the batch off, and answered, when sending returns. */
static int answers_read(struct firewall_netlink *n, uint32_t sequence)
{
	_Alignas(struct nlmsghdr) uint8_t bytes[RECEIVE_SIZE];
	int answers = 0, result = 0;
	ssize_t len;

	for (;;) {
		len = recv(mnl_socket_get_fd(n->socket), bytes, sizeof bytes, MSG_DONTWAIT);
		if (len < 0 && errno == EINTR)
			continue;
		if (len <= 0)
			break;
		if (result == 0)
			result = answers_take(bytes, (size_t)len, sequence, &answers);
	}
	if (len < 0 && errno != EAGAIN)
		return -errno;
	return result < 0 || answers > 0 ? result : -EIO;
}

static int batch_run(struct firewall_netlink *n, const struct change *changes, size_t count)
{
	uint8_t bytes[BATCH_SIZE * 2]; /* a batch holds its limit, and one message more */
	struct mnl_nlmsg_batch *batch = mnl_nlmsg_batch_start(bytes, BATCH_SIZE);
	uint32_t first = n->sequence;
	int r = 0;

	if (!batch)
		return -ENOMEM;
	assert(count <= BATCH_STEPS);
	nftnl_batch_begin(mnl_nlmsg_batch_current(batch), n->sequence++);
	(void)mnl_nlmsg_batch_next(batch);
	for (size_t i = 0; i < count && r == 0; i++)
		r = change_put(batch, &changes[i], n->sequence++);
	nftnl_batch_end(mnl_nlmsg_batch_current(batch), n->sequence++);
	(void)mnl_nlmsg_batch_next(batch);
	if (r == 0 && mnl_socket_sendto(n->socket, mnl_nlmsg_batch_head(batch),
					mnl_nlmsg_batch_size(batch)) < 0)
		r = -errno;
	mnl_nlmsg_batch_stop(batch);
	return r < 0 ? r : answers_read(n, first);
}

/* A ban that is there keeps its old time unless it is deleted first, and deleting one that is not
 * there fails the batch: so either "add", or "delete and add" in one batch. Which of them is right
 * changes when a ban runs out in between. */
int firewall_ban_set(struct firewall_netlink *n, const struct network *source, uint32_t seconds)
{
	const struct change again[BATCH_STEPS] = {
		{NFT_MSG_DELSETELEM, 0, source, 0},
		{NFT_MSG_NEWSETELEM, NLM_F_CREATE | NLM_F_EXCL, source, seconds * UINT64_C(1000)},
	};
	int r = -EEXIST;

	for (int i = 0; i < TRIES && (r == -EEXIST || (r == -ENOENT && i % 2 == 0)); i++)
		r = i % 2 == 0 ? batch_run(n, again + 1, 1) : batch_run(n, again, BATCH_STEPS);
	return r;
}

int firewall_ban_lift(struct firewall_netlink *n, const struct network *source)
{
	const struct change lift = {NFT_MSG_DELSETELEM, 0, source, 0};
	int r = batch_run(n, &lift, 1);

	return r == -ENOENT ? 0 : r;
}
