/* The court: takes petitions in the order of their arrival, publishes what they change, waits
 * for whoever still has something in flight from before, and condemns who takes too long.
 * Runs in the arbiter. A session's page may lie: that delays a change by
 * ARBITER_DRAIN_MS at most, and costs the liar its life. */
#include "gateway/arbiter/court.h"

static bool lun_has(const uint64_t luns[], unsigned lun)
{
	return (luns[lun / 64] & 1ull << lun % 64) != 0;
}

static void disks_of(const struct petition *p, struct disk_set *ret_set)
{
	const struct member *m = p->member;

	*ret_set = (struct disk_set){0};
	for (unsigned k = 0; k < m->lun_count; k++) {
		unsigned disk = m->luns[k].disk;

		if (lun_has(p->luns, m->luns[k].lun))
			ret_set->bits[disk / 64] |= 1ull << disk % 64;
	}
}

static bool disks_meet(const struct disk_set *a, const struct disk_set *b)
{
	uint64_t both = 0;

	for (size_t n = 0; n < ARRAY_LEN(a->bits); n++)
		both |= a->bits[n] & b->bits[n];
	return both != 0;
}

static void disks_add(struct disk_set *to, const struct disk_set *more)
{
	for (size_t n = 0; n < ARRAY_LEN(to->bits); n++)
		to->bits[n] |= more->bits[n];
}

/* --- what is in flight --- */

/* Under generations of that parity. */
static bool has_in_flight(const struct member *m, const struct disk_set *disks, unsigned parity,
			  const struct court *c)
{
	for (unsigned k = 0; k < m->lun_count; k++) {
		const struct arbiter_own_lun *own = &m->own->luns[m->luns[k].lun];
		unsigned now = atomic_load(&c->page->generations[m->luns[k].disk]) & 1;

		if (disk_has(disks, m->luns[k].disk) &&
		    atomic_load(&own->in_flight[now ^ parity]) != 0)
			return true;
	}
	return false;
}

enum { THIS_GENERATION = 0, ONE_BEFORE = 1 };

/* Nobody has anything in flight from before the generation that is in force. */
static bool is_drained(const struct court *c, const struct disk_set *disks)
{
	for (const struct member *m = c->members; m != NULL; m = m->next_member) {
		if (has_in_flight(m, disks, ONE_BEFORE, c))
			return false;
	}
	return true;
}

static void condemn_undrained(struct court *c, const struct petition *p)
{
	struct disk_set disks;

	disks_of(p, &disks);
	for (struct member *m = c->members; m != NULL; m = m->next_member) {
		if (has_in_flight(m, &disks, ONE_BEFORE, c))
			court_condemn(c, m, ARBITER_NOT_DRAINED);
	}
}

/* --- the queue --- */

/* Every session that an earlier arbiter had has attached, or is over. */
static bool may_act(const struct court *c)
{
	for (const struct member *m = c->members; m != NULL; m = m->next_member) {
		if (m->old && !m->hello)
			return false;
	}
	return c->gone_on;
}

static void petition_end(struct court *c, struct petition *p)
{
	struct petition **at = &c->queue;

	while (*at != NULL && *at != p)
		at = &(*at)->next;
	if (*at != NULL)
		*at = p->next;
	p->state = PETITION_NONE;
}

static void petition_answer(struct court *c, struct petition *p)
{
	petition_end(c, p);
	if (p->is_order)
		c->ops->answer(p->member, &p->member->answer);
	else
		c->ops->done(p->member, p->id);
}

static void petition_wait(struct petition *p, enum petition_state state, uint64_t now_ms)
{
	if (p->state != state)
		p->deadline_ms = now_ms + ARBITER_DRAIN_MS;
	p->state = state;
}

static void first_disk(const struct disk_set *disks, unsigned *ret)
{
	*ret = 0;
	while (!disk_has(disks, *ret))
		(*ret)++;
}

static void publish_leave(struct court *c, struct member *m, const struct disk_set *disks,
			  uint64_t now_ms)
{
	m->left = true;
	for (unsigned d = 0; d < c->disks; d++) {
		if (disk_has(disks, d) && change_sweep(c, d, now_ms))
			publish(c, d);
	}
	tell_changed(c, disks);
}

/* What is in flight when an arbiter begins was counted under an earlier one, of either parity, and
 * may be from before what that one published and did not answer any more. */
static bool is_unpublished(const struct court *c, unsigned d)
{
	return c->life > 1 &&
	       atomic_load(&c->page->generations[d]) == ARBITER_GENERATION_FIRST(c->life);
}

/* Publishes what it changes, and answers it if that is nothing. False: it waits for others and
 * keeps nobody up. */
static bool petition_begin(struct court *c, struct petition *p, const struct disk_set *disks,
			   uint64_t now_ms)
{
	enum decision decision = DECISION_CHANGE;
	unsigned d = 0;

	if (p->leaves) {
		publish_leave(c, p->member, disks, now_ms);
	} else if (!p->is_order) {
		change_reset(c, p, disks, now_ms);
	} else {
		first_disk(disks, &d);
		decision = change_order(c, p, d, now_ms);
		if (decision == DECISION_WAIT)
			return false;
		if (decision == DECISION_ANSWER && is_unpublished(c, d))
			decision = DECISION_DRAIN;
		if (decision == DECISION_DRAIN)
			publish_generation(c, d);
		else if (decision != DECISION_ANSWER)
			publish(c, d);
		if (decision != DECISION_ANSWER)
			tell_changed(c, disks);
	}
	petition_wait(p, PETITION_DRAINING, now_ms);
	return true;
}

/* It waits for a turn, and nobody is late for it: others may have something in flight from before
 * another change by now. */
static void petition_pause(struct petition *p)
{
	if (p->state == PETITION_CLEARING)
		p->state = PETITION_QUEUED;
}

/* Begins what waits for no older one, and ends what is over; true: one ended, so look again. */
static bool queue_pass(struct court *c, uint64_t now_ms)
{
	struct disk_set taken = {0}, disks;

	for (struct petition *p = c->queue; p != NULL; p = p->next) {
		disks_of(p, &disks);
		if (disks_meet(&taken, &disks)) {
			petition_pause(p);
			goto next;
		}
		if (p->state != PETITION_DRAINING && !is_drained(c, &disks)) {
			petition_wait(p, PETITION_CLEARING, now_ms);
		} else if (p->state != PETITION_DRAINING && !petition_begin(c, p, &disks, now_ms)) {
			petition_pause(p);
			continue;
		}
		if (p->state == PETITION_DRAINING && is_drained(c, &disks)) {
			petition_answer(c, p);
			return true;
		}
	next:
		disks_add(&taken, &disks);
	}
	return false;
}

/* --- what those left who are over --- */

static bool is_busy(const struct court *c, const struct disk_set *disks)
{
	struct disk_set other;

	for (const struct petition *p = c->queue; p != NULL; p = p->next) {
		disks_of(p, &other);
		if (p->state == PETITION_DRAINING && disks_meet(&other, disks))
			return true;
	}
	return !is_drained(c, disks);
}

/* Nobody is answered, so nobody is waited for afterwards. */
static void sweep(struct court *c, unsigned d, uint64_t now_ms)
{
	struct disk_set disks = {0};

	disks.bits[d / 64] |= 1ull << d % 64;
	if (c->records[d] != NULL && is_busy(c, &disks))
		return;
	c->swept[d / 64] &= ~(1ull << d % 64);
	if (change_sweep(c, d, now_ms)) {
		publish(c, d);
		tell_changed(c, &disks);
	}
}

/* Nobody is excluded by it, so nobody is waited for afterwards. */
static void clear(struct court *c, unsigned d)
{
	struct disk_set disks = {0};
	int r;

	disk_set(&disks, d, true);
	if (is_busy(c, &disks))
		return;
	r = failed_clear(c, d, disk_has(&c->forgets, d));
	disk_set(&c->clears, d, false);
	disk_set(&c->forgets, d, false);
	if (r > 0)
		tell_changed(c, &disks);
	if (c->ops->cleared != NULL)
		c->ops->cleared(d, MIN(r, 0));
}

/* The same. What can't be kept is tried again when something else happens. */
static void tell_news(struct court *c, unsigned d)
{
	struct disk_set disks = {0};
	int r;

	disk_set(&disks, d, true);
	if (is_busy(c, &disks))
		return;
	r = news_take(c, d, c->sizes[d], disk_has(&c->lows, d));
	disk_set(&c->news, d, r < 0);
	if (r <= 0)
		return;
	disk_set(&c->lows, d, false);
	publish(c, d);
	tell_changed(c, &disks);
}

static void each_of(struct court *c, const struct disk_set *set,
		    void (*run)(struct court *c, unsigned d))
{
	for (unsigned n = 0; n < ARRAY_LEN(set->bits); n++) {
		for (uint64_t bits = set->bits[n]; bits != 0; bits &= bits - 1)
			run(c, n * 64 + (unsigned)__builtin_ctzll(bits));
	}
}

static void sweep_all(struct court *c, uint64_t now_ms)
{
	for (unsigned n = 0; n < ARRAY_LEN(c->swept); n++) {
		for (uint64_t bits = c->swept[n]; bits != 0; bits &= bits - 1)
			sweep(c, n * 64 + (unsigned)__builtin_ctzll(bits), now_ms);
	}
}

/* What a petition kept up, its end lets go on: nobody may say anything afterwards. */
static void queue_run(struct court *c, uint64_t now_ms)
{
	c->now_ms = now_ms;
	if (!may_act(c))
		return;
	do {
		each_of(c, &c->clears, clear);
		sweep_all(c, now_ms);
	} while (queue_pass(c, now_ms));
	each_of(c, &c->news, tell_news);
}

static void queue_put(struct court *c, struct petition *p)
{
	struct petition **end = &c->queue;

	while (*end != NULL)
		end = &(*end)->next;
	p->next = NULL;
	p->state = PETITION_QUEUED;
	*end = p;
}

/* --- what sessions say --- */

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

/* --- time --- */

/* It stays until the monitor says that it is over: its I/O may still be on the way. What it asked
 * for is not begun any more. */
void court_condemn(struct court *c, struct member *m, enum arbiter_blame blame)
{
	if (m->condemned)
		return;
	m->condemned = true;
	if (m->reset.state != PETITION_DRAINING)
		petition_end(c, &m->reset);
	if (m->ask.state != PETITION_DRAINING)
		petition_end(c, &m->ask);
	c->ops->kill(m, blame);
}

/* Condemning drops petitions, so the queue is looked at afresh after each. */
static bool condemn_late(struct court *c, uint64_t now_ms)
{
	for (struct petition *p = c->queue; p != NULL; p = p->next) {
		if (p->state == PETITION_QUEUED || p->deadline_ms == 0 || now_ms < p->deadline_ms)
			continue;
		p->deadline_ms = 0;
		condemn_undrained(c, p);
		return true;
	}
	return false;
}

void court_tick(struct court *c, uint64_t now_ms)
{
	if (c->attach_deadline_ms != 0 && now_ms >= c->attach_deadline_ms) {
		c->attach_deadline_ms = 0;
		for (struct member *m = c->members; m != NULL; m = m->next_member) {
			if (m->old && !m->hello)
				court_condemn(c, m, ARBITER_NOT_ATTACHED);
		}
	}
	if (c->unkept_ms != 0 && now_ms >= c->unkept_ms)
		unkept_again(c, now_ms);
	while (condemn_late(c, now_ms))
		;
	queue_run(c, now_ms);
}

uint64_t court_next_tick(const struct court *c)
{
	uint64_t next = c->attach_deadline_ms;

	if (c->unkept_ms != 0 && (next == 0 || c->unkept_ms < next))
		next = c->unkept_ms;
	for (const struct petition *p = c->queue; p != NULL; p = p->next) {
		uint64_t at = p->state == PETITION_QUEUED ? 0 : p->deadline_ms;

		if (at != 0 && (next == 0 || at < next))
			next = at;
	}
	return next;
}

/* --- what the monitor says --- */

int court_open(struct court *c, struct arbiter_page *page, uint32_t life, uint32_t disks,
	       const struct court_ops *ops)
{
	c->disks = MIN(disks, ARBITER_DISKS_MAX);
	c->page = page;
	c->ops = ops;
	c->life = life;
	c->draft = calloc(1, sizeof *c->draft);
	if (c->draft == NULL)
		return -ENOMEM;
	for (unsigned d = 0; d < c->disks; d++)
		publish_open(c, d);
	atomic_store(&page->changes, ARBITER_GENERATION_FIRST(life));
	return 0;
}

void court_close(struct court *c)
{
	for (unsigned d = 0; d < ARBITER_DISKS_MAX; d++)
		free(TAKE(c->records[d]));
	free(TAKE(c->draft));
	tokens_close(c);
}

int court_attach(struct court *c, struct member *m, const struct arbiter_attach *info)
{
	for (unsigned lun = 0; lun < ARBITER_LUNS; lun++) {
		if (info->disks[lun] > c->disks)
			return -EINVAL;
		if (info->disks[lun] == 0)
			continue;
		m->luns[m->lun_count].lun = (uint16_t)lun;
		m->luns[m->lun_count].writable = lun_has(info->writable, lun);
		m->luns[m->lun_count++].disk = (uint16_t)(info->disks[lun] - 1);
	}
	m->connection = info->connection;
	m->old = info->old != 0;
	m->relative_port = info->relative_port;
	m->port = arbiter_port_id(info->target, info->relative_port);
	m->nexus = arbiter_nexus_id(info->initiator, info->isid, m->port);
	memcpy(m->isid, info->isid, sizeof m->isid);
	for (size_t k = 0; k < ARBITER_GROUPS; k++) {
		m->groups[k].tag = info->groups[k];
		m->groups[k].port = arbiter_port_id(info->target, info->groups[k]);
	}
	memcpy(m->initiator, info->initiator, sizeof m->initiator);
	m->initiator[sizeof m->initiator - 1] = '\0';
	m->next_member = c->members;
	c->members = m;
	return 0;
}

struct member *court_find(const struct court *c, uint32_t connection)
{
	struct member *m = c->members;

	while (m != NULL && m->connection != connection)
		m = m->next_member;
	return m;
}

void court_over(struct court *c, struct member *m, uint64_t now_ms)
{
	struct member **at = &c->members;

	while (*at != m)
		at = &(*at)->next_member;
	*at = m->next_member;
	petition_end(c, &m->reset);
	petition_end(c, &m->ask);
	for (unsigned k = 0; k < m->lun_count; k++) {
		unsigned d = m->luns[k].disk;

		court_drop_ranges(c, m, d, 0);
		c->swept[d / 64] |= 1ull << d % 64;
	}
	queue_run(c, now_ms);
}

void court_clear(struct court *c, unsigned d, bool forget, uint64_t now_ms)
{
	if (d >= c->disks)
		return;
	disk_set(&c->clears, d, true);
	disk_set(&c->forgets, d, forget);
	queue_run(c, now_ms);
}

void court_news(struct court *c, const struct arbiter_news *news, uint64_t now_ms)
{
	if (news->disk >= c->disks)
		return;
	c->sizes[news->disk] = MAX(c->sizes[news->disk], news->size);
	disk_set(&c->news, news->disk, true);
	if (news->low != 0)
		disk_set(&c->lows, news->disk, true);
	queue_run(c, now_ms);
}

/* What those left whom no arbiter saw go is seen to, now that all have come who will. */
void court_go(struct court *c, uint64_t now_ms)
{
	c->gone_on = true;
	c->attach_deadline_ms = now_ms + ARBITER_DRAIN_MS;
	for (unsigned d = 0; d < c->disks; d++) {
		court_recount_ranges(c, d);
		c->swept[d / 64] |= 1ull << d % 64;
	}
	queue_run(c, now_ms);
}
