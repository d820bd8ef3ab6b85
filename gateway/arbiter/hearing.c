/* What sessions say to the court: each word is looked at for whether it may be said, becomes a
 * petition or is done. Runs in the arbiter; whatever a session says is hostile, and what is out
 * of turn ends it. */
#include "gateway/arbiter/court.h"

static int hear_hello(struct court *c, struct member *m, const void *body)
{
	struct arbiter_hello hello;

	memcpy(&hello, body, sizeof hello);
	if (hello.life != c->life)
		return -EPROTO;
	m->hello = true;
	return 0;
}

static bool holds_all(const struct member *m, const uint64_t luns[])
{
	unsigned held = 0, asked = 0;

	for (unsigned n = 0; n < ARBITER_LUNS / 64; n++)
		asked += (unsigned)__builtin_popcountll(luns[n]);
	for (unsigned k = 0; k < m->lun_count; k++)
		held += lun_has(luns, m->luns[k].lun);
	return asked > 0 && held == asked;
}

static int hear_exclude(struct court *c, struct member *m, const void *body)
{
	struct arbiter_exclude exclude;

	memcpy(&exclude, body, sizeof exclude);
	if (!m->hello || m->reset.state != PETITION_NONE || !holds_all(m, exclude.luns))
		return -EPROTO;
	m->reset = (struct petition){.member = m, .id = exclude.id, .leaves = exclude.leaves != 0};
	memcpy(m->reset.luns, exclude.luns, sizeof m->reset.luns);
	queue_put(c, &m->reset);
	return 0;
}

static int hear_order(struct court *c, struct member *m, const void *body)
{
	struct arbiter_order order;
	struct petition p = {.member = m, .is_order = true};

	memcpy(&order, body, sizeof order);
	if (!m->hello || m->ask.state != PETITION_NONE || order.id == 0 ||
	    order.lun >= ARBITER_LUNS || !change_decides(order.kind) || order.len > ARBITER_OCTETS)
		return -EPROTO;
	p.id = order.id;
	p.luns[order.lun / 64] |= 1ull << order.lun % 64;
	if (!holds_all(m, p.luns))
		return -EPROTO;
	m->order = order;
	m->ask = p;
	queue_put(c, &m->ask);
	return 0;
}

static int hear_drop(struct court *c, struct member *m, const void *body)
{
	struct arbiter_drop drop;

	memcpy(&drop, body, sizeof drop);
	for (unsigned k = 0; k < m->lun_count; k++) {
		if (m->luns[k].lun == drop.lun)
			court_drop_ranges(c, m, m->luns[k].disk, drop.id);
	}
	return 0;
}

/* The queue is looked at again, whoever it was that settled. */
static int hear_settled(struct court *c, struct member *m, const void *body)
{
	(void)c, (void)m, (void)body;
	return 0;
}

/* Whoever logs in next finds nothing of it, however long its process takes to end. What it might
 * still have at a disk is waited for until the monitor says that it is over. */
static int hear_leave(struct court *c, struct member *m, const void *body)
{
	(void)body;
	m->left = true;
	for (unsigned k = 0; k < m->lun_count; k++)
		c->swept[m->luns[k].disk / 64] |= 1ull << m->luns[k].disk % 64;
	return 0;
}

static const struct {
	uint32_t type;
	int (*hear)(struct court *c, struct member *m, const void *body);
} words[] = {
	{ARBITER_HELLO, hear_hello}, {ARBITER_EXCLUDE, hear_exclude}, {ARBITER_ORDER, hear_order},
	{ARBITER_DROP, hear_drop},   {ARBITER_SETTLED, hear_settled}, {ARBITER_LEAVE, hear_leave},
};

int court_hear(struct court *c, struct member *m, const struct message *msg, uint64_t now_ms)
{
	int r = -EPROTO;

	for (size_t k = 0; k < ARRAY_LEN(words) && !m->condemned; k++) {
		if (words[k].type == msg->type)
			r = words[k].hear(c, m, msg->body);
	}
	if (r == 0)
		queue_run(c, now_ms);
	return r;
}
