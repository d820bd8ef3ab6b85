/* Judges the kernel's IPsec policies and states by one TCP connection, as the kernel itself does
 * when it picks a policy. Used by the firewall process, on what the kernel says. Whatever is not
 * plain (marks, interfaces, kinds of policies that we do not know) never counts as protection,
 * and counts as a hole where it could be one. */
#include "policy/xfrm.h"

/* The C library's addresses come before the kernel's, which then leave theirs out. */
#include <netinet/in.h>
#include <libmnl/libmnl.h>
#include <linux/netlink.h>
#include <linux/xfrm.h>

/* Without secrecy, though in ESP: RFC 4543 authenticates alone. */
static const char *const open_ciphers[] = {"rfc4543(", "ecb(cipher_null)", "cipher_null",
					   "digest_null"};

void xfrm_coverage_begin(struct xfrm_coverage *c, const struct endpoint *local,
			 const struct endpoint *peer)
{
	*c = (struct xfrm_coverage){
		.ways = {
			{.from = *peer, .to = *local, .direction = XFRM_POLICY_IN},
			{.from = *local, .to = *peer, .direction = XFRM_POLICY_OUT},
		}};
}

/* The attribute behind this one; NULL: the first, and none. `size`: of what stands before them. */
static const struct nlattr *attribute_next(const struct nlmsghdr *h, size_t size,
					   const struct nlattr *before)
{
	const char *end = mnl_nlmsg_get_payload_tail(h);
	const struct nlattr *attr = before ? mnl_attr_next(before)
					   : mnl_nlmsg_get_payload_offset(h, size);

	return mnl_attr_ok(attr, (int)(end - (const char *)attr)) ? attr : NULL;
}

static struct ip ip_of(const xfrm_address_t *a, uint16_t family)
{
	struct ip ip = {.version = family == AF_INET ? 4 : family == AF_INET6 ? 6 : 0};
	static const struct ip none;

	if (ip.version == 0)
		return none;
	memcpy(ip.bytes, a, ip.version == 4 ? 4 : 16);
	return ip_is_any(&ip) ? none : ip;
}

static uint16_t family_of(const struct ip *ip)
{
	return ip->version == 4 ? AF_INET : AF_INET6;
}

/* --- policies ----------------------------------------------------------------------------- */

static bool address_fits(const xfrm_address_t *a, uint8_t prefix, const struct ip *ip)
{
	struct network n = {.ip = {.version = ip->version}, .prefix = prefix};

	if (prefix == 0)
		return true;
	if (prefix > (ip->version == 4 ? 32 : 128))
		return false;
	memcpy(n.ip.bytes, a, ip->version == 4 ? 4 : 16);
	return network_contains(&n, ip);
}

static bool port_fits(uint16_t port, uint16_t want, uint16_t mask)
{
	return ((htons(port) ^ want) & mask) == 0;
}

static bool selector_fits(const struct xfrm_selector *s, const struct xfrm_way *w)
{
	return (s->family == family_of(&w->from.ip) || s->family == AF_UNSPEC) &&
	       address_fits(&s->saddr, s->prefixlen_s, &w->from.ip) &&
	       address_fits(&s->daddr, s->prefixlen_d, &w->to.ip) &&
	       (s->proto == 0 || s->proto == IPPROTO_TCP) &&
	       port_fits(w->from.port, s->sport, s->sport_mask) &&
	       port_fits(w->to.port, s->dport, s->dport_mask);
}

/* The attributes that say how a policy protects, and those that make it another's. */
struct policy_marks {
	bool narrowed; /* by a mark, an interface, a kind: who knows whether it is about us */
	struct xfrm_user_tmpl esp;
	bool has_esp;
};

static void templates_look(const struct nlattr *attr, struct policy_marks *m)
{
	const uint8_t *at = mnl_attr_get_payload(attr);
	size_t count = mnl_attr_get_payload_len(attr) / sizeof m->esp;

	for (size_t i = 0; i < count && !m->has_esp; i++) {
		memcpy(&m->esp, at + i * sizeof m->esp, sizeof m->esp);
		m->has_esp = m->esp.id.proto == IPPROTO_ESP && !m->esp.optional;
	}
}

static void mark_look(const struct nlattr *attr, struct policy_marks *m)
{
	struct xfrm_userpolicy_type type = {0};
	struct xfrm_mark mark = {0};
	uint32_t id = 0;

	switch (mnl_attr_get_type(attr)) {
	case XFRMA_TMPL:
		templates_look(attr, m);
		break;
	case XFRMA_MARK:
		memcpy(&mark, mnl_attr_get_payload(attr),
		       MIN(sizeof mark, mnl_attr_get_payload_len(attr)));
		m->narrowed = m->narrowed || mark.m != 0 || mark.v != 0;
		break;
	case XFRMA_SEC_CTX: /* for packets with a label */
		m->narrowed = true;
		break;
	case XFRMA_IF_ID:
		memcpy(&id, mnl_attr_get_payload(attr),
		       MIN(sizeof id, mnl_attr_get_payload_len(attr)));
		m->narrowed = m->narrowed || id != 0;
		break;
	case XFRMA_POLICY_TYPE:
		memcpy(&type, mnl_attr_get_payload(attr),
		       MIN(sizeof type, mnl_attr_get_payload_len(attr)));
		m->narrowed = m->narrowed || type.type != XFRM_POLICY_TYPE_MAIN;
		break;
	default:
		break;
	}
}

/* The lowest number counts. Of two with the same, the one that protects less: which of them the
 * kernel takes is its secret. */
static void way_take(struct xfrm_way *w, const struct xfrm_userpolicy_info *p,
		     const struct policy_marks *m)
{
	bool protects = p->action == XFRM_POLICY_ALLOW && m->has_esp;

	if (m->narrowed && (protects || p->action == XFRM_POLICY_BLOCK))
		return; /* perhaps it is about us: it does not help, then */
	if (w->found && (w->priority < p->priority || (w->priority == p->priority && protects)))
		return;
	w->found = true;
	w->priority = p->priority;
	w->protects = protects && !m->narrowed;
	w->esp = (struct xfrm_template){
		.from = ip_of(&m->esp.saddr, m->esp.family),
		.to = ip_of(&m->esp.id.daddr, m->esp.family),
		.reqid = m->esp.reqid,
		.spi = m->esp.id.spi,
		.mode = m->esp.mode,
	};
}

static void policy_take(struct xfrm_coverage *c, const struct nlmsghdr *h)
{
	struct xfrm_userpolicy_info p;
	struct policy_marks marks = {0};
	const struct nlattr *attr = NULL;

	if (h->nlmsg_type != XFRM_MSG_NEWPOLICY || mnl_nlmsg_get_payload_len(h) < sizeof p)
		return;
	memcpy(&p, mnl_nlmsg_get_payload(h), sizeof p);
	while ((attr = attribute_next(h, sizeof p, attr)))
		mark_look(attr, &marks);
	marks.narrowed = marks.narrowed || p.sel.ifindex != 0;
	for (size_t i = 0; i < XFRM_WAYS; i++)
		if (p.dir == c->ways[i].direction && selector_fits(&p.sel, &c->ways[i]))
			way_take(&c->ways[i], &p, &marks);
}

/* --- states ------------------------------------------------------------------------------- */

/* All that names an algorithm begins with the name. */
static bool algorithm_hides(const struct nlattr *attr)
{
	struct xfrm_algo a;
	char name[sizeof a.alg_name + 1] = {0};

	if (mnl_attr_get_payload_len(attr) < sizeof a.alg_name)
		return false;
	memcpy(name, mnl_attr_get_payload(attr), sizeof a.alg_name);
	for (size_t i = 0; i < ARRAY_LEN(open_ciphers); i++)
		if (strncmp(name, open_ciphers[i], strlen(open_ciphers[i])) == 0)
			return false;
	return name[0] != '\0';
}

/* One algorithm that does both, or one for each. A state that is only being negotiated has none. */
static bool state_hides(const struct nlmsghdr *h)
{
	bool aead = false, cipher = false, integrity = false;
	const struct nlattr *attr = NULL;

	while ((attr = attribute_next(h, sizeof(struct xfrm_usersa_info), attr))) {
		uint16_t type = mnl_attr_get_type(attr);

		aead = aead || (type == XFRMA_ALG_AEAD && algorithm_hides(attr));
		cipher = cipher || (type == XFRMA_ALG_CRYPT && algorithm_hides(attr));
		integrity = integrity ||
			    ((type == XFRMA_ALG_AUTH || type == XFRMA_ALG_AUTH_TRUNC) &&
			     algorithm_hides(attr));
	}
	return aead || (cipher && integrity);
}

/* A tunnel has ends of its own; in transport mode they are the connection's. */
static bool end_fits(const struct xfrm_template *t, const struct ip *end, const struct ip *own,
		     const struct ip *is)
{
	if (t->mode == XFRM_MODE_TRANSPORT)
		return ip_equal(is, own);
	return end->version == 0 || ip_equal(is, end);
}

static bool state_fits(const struct xfrm_way *w, const struct xfrm_usersa_info *s)
{
	struct ip from = ip_of(&s->saddr, s->family), to = ip_of(&s->id.daddr, s->family);
	const struct xfrm_template *t = &w->esp;

	return s->id.proto == IPPROTO_ESP && s->mode == t->mode &&
	       (t->reqid == 0 || s->reqid == t->reqid) && (t->spi == 0 || s->id.spi == t->spi) &&
	       end_fits(t, &t->from, &w->from.ip, &from) && end_fits(t, &t->to, &w->to.ip, &to);
}

static void state_take(struct xfrm_coverage *c, const struct nlmsghdr *h)
{
	struct xfrm_usersa_info s;

	if (h->nlmsg_type != XFRM_MSG_NEWSA || mnl_nlmsg_get_payload_len(h) < sizeof s)
		return;
	memcpy(&s, mnl_nlmsg_get_payload(h), sizeof s);
	for (size_t i = 0; i < XFRM_WAYS; i++)
		if (c->ways[i].protects && state_fits(&c->ways[i], &s) && state_hides(h))
			c->ways[i].alive = true;
}

/* --- both --------------------------------------------------------------------------------- */

static int error_of(const struct nlmsghdr *h)
{
	struct nlmsgerr e;

	if (mnl_nlmsg_get_payload_len(h) < sizeof e)
		return -EPROTO;
	memcpy(&e, mnl_nlmsg_get_payload(h), sizeof e);
	return e.error < 0 ? e.error : -EPROTO;
}

/* libmnl compares lengths as signed numbers. */
static bool message_ok(const struct nlmsghdr *h, int left)
{
	return left >= (int)sizeof *h && h->nlmsg_len >= sizeof *h &&
	       h->nlmsg_len <= (uint32_t)left;
}

static int dump_take(struct xfrm_coverage *c, const uint8_t *bytes, size_t len, uint32_t sequence,
		     void (*take)(struct xfrm_coverage *c, const struct nlmsghdr *h))
{
	const struct nlmsghdr *h = (const struct nlmsghdr *)(const void *)bytes;
	int left = (int)MIN(len, (size_t)INT32_MAX);

	for (; message_ok(h, left); h = mnl_nlmsg_next(h, &left)) {
		if (h->nlmsg_seq != sequence)
			continue;
		if (h->nlmsg_type == NLMSG_ERROR)
			return error_of(h);
		/* The list changed while it was told: what was left out could be the one. */
		if (h->nlmsg_flags & NLM_F_DUMP_INTR)
			return -EINTR;
		if (h->nlmsg_type == NLMSG_DONE)
			return 1;
		take(c, h);
	}
	return 0;
}

int xfrm_policies_take(struct xfrm_coverage *c, const uint8_t *bytes, size_t len, uint32_t sequence)
{
	return dump_take(c, bytes, len, sequence, policy_take);
}

int xfrm_states_take(struct xfrm_coverage *c, const uint8_t *bytes, size_t len, uint32_t sequence)
{
	return dump_take(c, bytes, len, sequence, state_take);
}

const char *xfrm_coverage_lacks(const struct xfrm_coverage *c)
{
	const struct xfrm_way *in = &c->ways[0], *out = &c->ways[1];

	/* What this machine says to itself goes through no tunnel. */
	if (ip_equal(&in->from.ip, &in->to.ip))
		return "it comes from this very machine";
	if (!in->found || !out->found)
		return "no IPsec policy is about it";
	if (!in->protects || !out->protects)
		return "the IPsec policy that counts for it does not ask for ESP";
	if (!in->alive || !out->alive)
		return "no IPsec state with encryption is there for it";
	return NULL;
}
