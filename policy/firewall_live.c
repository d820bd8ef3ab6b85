/* Reads our tables back from the kernel: tables, sets, chains, rules, objects, and the elements of
 * sets that do not change by themselves. Runs in the firewall process. Trusts the kernel, whose
 * answers are told from other senders' packets; what it says is bounded by the reading. */
#include "policy/firewall_live.h"

/* The C library's addresses come before the kernel's, which then leave theirs out. */
#include <netinet/in.h>
#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include "policy/firewall_netlink.h"

#define PACKET_MAX (64U << 10)
#define TRIES	   8

_Static_assert(NFTA_RULE_TABLE == 1 && NFTA_SET_TABLE == 1 && NFTA_OBJ_TABLE == 1 &&
		       NFTA_FLOWTABLE_TABLE == 1 && NFTA_SET_ELEM_LIST_TABLE == 1,
	       "a table's name is the first attribute of all that is in it");
#define ATTRIBUTE_TABLE 1

struct question {
	const char *table, *set;
	uint16_t type; /* NFT_MSG_GET… */
	bool optional; /* an older kernel may not know of it */
};

/* What the answers are for: a reading, or the generation. */
struct asking {
	struct mnl_socket *socket;
	uint32_t sequence;
	struct firewall_reading *reading;
	uint32_t generation;
	bool torn; /* something changed while it was told */
	bool done;
};

static int message_take(struct asking *a, const struct nlmsghdr *h)
{
	int error = 0;

	a->torn = a->torn || (h->nlmsg_flags & NLM_F_DUMP_INTR);
	if (h->nlmsg_type == NLMSG_ERROR || h->nlmsg_type == NLMSG_DONE) {
		if (mnl_nlmsg_get_payload_len(h) >= sizeof error)
			memcpy(&error, mnl_nlmsg_get_payload(h), sizeof error);
		a->done = true;
		return error > 0 ? -EPROTO : error;
	}
	if (mnl_nlmsg_get_payload_len(h) < sizeof(struct nfgenmsg))
		return 0;
	if (h->nlmsg_type == (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWGEN)) {
		a->generation = firewall_attribute_u32(h, NFTA_GEN_ID);
		a->done = true;
		return 0;
	}
	return a->reading ? firewall_reading_take(a->reading, h) : 0;
}

static int packet_take(struct asking *a, const void *bytes, size_t len)
{
	const struct nlmsghdr *h = bytes;
	int left = (int)len, r = 0;

	for (; r == 0 && !a->done && firewall_message_ok(h, left); h = mnl_nlmsg_next(h, &left))
		if (h->nlmsg_seq == a->sequence)
			r = message_take(a, h);
	return r;
}

/* The kernel tells the next part of a dump when one is taken, so there is nothing to wait for. */
static int answer_read(struct asking *a)
{
	static _Alignas(struct nlmsghdr) uint8_t bytes[PACKET_MAX];
	int r = 0;

	a->done = false;
	while (r == 0 && !a->done) {
		struct sockaddr_nl from = {0};
		socklen_t from_len = sizeof from;
		ssize_t len = recvfrom(mnl_socket_get_fd(a->socket), bytes, sizeof bytes,
				       MSG_DONTWAIT | MSG_TRUNC, (struct sockaddr *)&from,
				       &from_len);

		if (len < 0 && errno == EINTR)
			continue;
		if (len <= 0)
			return len == 0 || errno == EAGAIN ? -EIO : -errno;
		if ((size_t)len > sizeof bytes)
			return -EMSGSIZE;
		if (from.nl_pid == 0) /* the kernel */
			r = packet_take(a, bytes, (size_t)len);
	}
	return r;
}

static int ask(struct asking *a, const struct question *q)
{
	_Alignas(struct nlmsghdr) uint8_t bytes[1024];
	struct nlmsghdr *h = nftnl_nlmsg_build_hdr(
		(char *)bytes, q->type, q->type == NFT_MSG_GETGEN ? NFPROTO_UNSPEC : NFPROTO_INET,
		q->type == NFT_MSG_GETGEN ? 0 : NLM_F_DUMP, ++a->sequence);
	int r;

	if (q->table && !mnl_attr_put_strz_check(h, sizeof bytes, ATTRIBUTE_TABLE, q->table))
		return -EMSGSIZE;
	if (q->set && !mnl_attr_put_strz_check(h, sizeof bytes, NFTA_SET_ELEM_LIST_SET, q->set))
		return -EMSGSIZE;
	if (mnl_socket_sendto(a->socket, h, h->nlmsg_len) < 0)
		return -errno;
	r = answer_read(a);
	if (r == -ENOENT || (q->optional && (r == -EOPNOTSUPP || r == -EINVAL)))
		return 0; /* there is none */
	return r == -EINTR ? -EAGAIN : r;
}

static int asking_open(struct asking *ret)
{
	struct asking a = {.socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC)};
	int r;

	if (!a.socket)
		return -errno;
	if (mnl_socket_bind(a.socket, 0, MNL_SOCKET_AUTOPID) < 0) {
		r = -errno;
		(void)mnl_socket_close(a.socket);
		return r;
	}
	*ret = a;
	return 0;
}

static int generation_ask(struct asking *a, uint32_t *ret_generation)
{
	int r = ask(a, &(struct question){.type = NFT_MSG_GETGEN});

	if (r == 0)
		*ret_generation = a->generation;
	return r;
}

static int elements_ask(struct asking *a)
{
	size_t count = firewall_reading_count(a->reading);
	int r = 0;

	for (size_t i = 0; i < count && r == 0; i++) {
		struct firewall_item set = *firewall_reading_item(a->reading, i);
		char name[NFT_SET_MAXNAMELEN];

		if (set.kind != ITEM_SET || set.dynamic ||
		    !string_copy(name, sizeof name, firewall_reading_text(a->reading, set.name)))
			continue;
		r = ask(a, &(struct question){.type = NFT_MSG_GETSETELEM,
					      .table = firewall_tables[set.table],
					      .set = name});
	}
	return r;
}

static int tables_ask(struct asking *a)
{
	/* Sets come before what is in them. */
	static const struct question each[] = {
		{.type = NFT_MSG_GETSET},
		{.type = NFT_MSG_GETRULE},
		{.type = NFT_MSG_GETOBJ, .optional = true},
		{.type = NFT_MSG_GETFLOWTABLE, .optional = true},
	};
	int r = ask(a, &(struct question){.type = NFT_MSG_GETTABLE});

	if (r == 0)
		r = ask(a, &(struct question){.type = NFT_MSG_GETCHAIN});
	for (size_t i = 0; i < ARRAY_LEN(each) * FIREWALL_TABLES && r == 0; i++) {
		struct question q = each[i / FIREWALL_TABLES];

		q.table = firewall_tables[i % FIREWALL_TABLES];
		r = ask(a, &q);
	}
	return r < 0 ? r : elements_ask(a);
}

/* One try. -EAGAIN: it was torn. */
static int read_once(struct firewall_reading **ret_reading, uint32_t *ret_generation)
{
	struct asking a = {0};
	uint32_t before = 0, after = 0;
	int r = asking_open(&a);

	if (r < 0)
		return r;
	r = -ENOMEM;
	if (!(a.reading = firewall_reading_new()))
		goto out;
	if ((r = generation_ask(&a, &before)) < 0 || (r = tables_ask(&a)) < 0 ||
	    (r = generation_ask(&a, &after)) < 0)
		goto out;
	r = a.torn || before != after ? -EAGAIN : firewall_reading_end(a.reading);
	if (r < 0)
		goto out;
	*ret_reading = TAKE(a.reading);
	*ret_generation = after;
out:
	firewall_reading_free(a.reading);
	(void)mnl_socket_close(a.socket);
	return r;
}

int firewall_live_read(struct firewall_reading **ret_reading, uint32_t *ret_generation)
{
	int r = -EAGAIN;

	for (int i = 0; i < TRIES && r == -EAGAIN; i++)
		r = read_once(ret_reading, ret_generation);
	return r;
}

int firewall_live_generation(uint32_t *ret_generation)
{
	struct asking a = {0};
	int r = asking_open(&a);

	if (r < 0)
		return r;
	r = generation_ask(&a, ret_generation);
	(void)mnl_socket_close(a.socket);
	return r;
}
