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
	struct petition *p = &m->petitions[PETITION_RESET];
	struct arbiter_exclude exclude;

	memcpy(&exclude, body, sizeof exclude);
	if (!m->hello || p->state != PETITION_NONE || !holds_all(m, exclude.luns))
		return -EPROTO;
	*p = (struct petition){.member = m, .id = exclude.id};
	memcpy(p->luns, exclude.luns, sizeof p->luns);
	queue_put(c, p);
	return 0;
}

/* NULL: there is none. */
static struct petition *free_petition(struct member *m, bool is_range)
{
	size_t first = is_range ? PETITION_RANGES : PETITION_ORDER;
	size_t end = is_range ? PETITIONS : PETITION_ORDER + 1;

	for (size_t k = first; k < end; k++) {
		if (m->petitions[k].state == PETITION_NONE)
			return &m->petitions[k];
	}
	return NULL;
}

/* -1: it does not have that LUN. */
static int place_of(const struct member *m, unsigned lun)
{
	for (unsigned k = 0; k < m->lun_count; k++) {
		if (m->luns[k].lun == lun)
			return (int)k;
	}
	return -1;
}

static int hear_order(struct court *c, struct member *m, const void *body)
{
	struct arbiter_order order;
	struct petition *p;
	bool is_range;
	int place;

	memcpy(&order, body, sizeof order);
	is_range = order.kind == ORDER_TAKE_RANGE;
	p = free_petition(m, is_range);
	place = place_of(m, order.lun);
	if (!m->hello || p == NULL || place < 0 || order.id == 0 || order.len > ARBITER_OCTETS ||
	    !(is_range || change_decides(order.kind)))
		return -EPROTO;
	*p = (struct petition){.member = m,
			       .is_order = true,
			       .is_range = is_range,
			       .id = order.id,
			       .place = (unsigned)place,
			       .lba = order.lba,
			       .blocks = order.blocks};
	p->luns[order.lun / 64] |= 1ull << order.lun % 64;
	if (!is_range)
		m->order = order;
	queue_put(c, p);
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

/* The queue is looked at again in this turn, whoever it was that settled. */
static int hear_settled(struct court *c, struct member *m, const void *body)
{
	(void)c, (void)m, (void)body;
	return 0;
}

/* Whoever logs in next finds nothing of it, however long its process takes to end. What it might
 * still have at a disk is waited for until the monitor says that it is over. */
static int hear_leave(struct court *c, struct member *m, const void *body)
{
	struct petition *p = &m->petitions[PETITION_LEAVE];
	struct arbiter_leave leave;

	memcpy(&leave, body, sizeof leave);
	if (!m->hello)
		return -EPROTO;
	m->left = true;
	p->id = leave.id;
	if (p->state != PETITION_NONE)
		return 0;
	*p = (struct petition){.member = m, .id = leave.id, .leaves = true};
	for (unsigned k = 0; k < m->lun_count; k++)
		p->luns[m->luns[k].lun / 64] |= 1ull << m->luns[k].lun % 64;
	queue_put(c, p);
	return 0;
}

static const struct {
	uint32_t type;
	int (*hear)(struct court *c, struct member *m, const void *body);
} words[] = {
	{ARBITER_HELLO, hear_hello}, {ARBITER_EXCLUDE, hear_exclude}, {ARBITER_ORDER, hear_order},
	{ARBITER_DROP, hear_drop},   {ARBITER_SETTLED, hear_settled}, {ARBITER_LEAVE, hear_leave},
};

int court_hear(struct court *c, struct member *m, const struct message *msg)
{
	int r = -EPROTO;

	for (size_t k = 0; k < ARRAY_LEN(words) && !m->condemned; k++) {
		if (words[k].type == msg->type)
			r = words[k].hear(c, m, msg->body);
	}
	c->heard = c->heard || r == 0;
	return r;
}

void court_turn(struct court *c, uint64_t now_ms)
{
	if (c->heard)
		queue_run(c, now_ms);
}
