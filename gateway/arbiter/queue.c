/* The court's queue: takes petitions in the order of their arrival, publishes what they change,
 * waits for whoever still has something in flight from before, and condemns who takes too
 * long. Runs in the arbiter. A session's page may lie: that delays a change by
 * ARBITER_DRAIN_MS at most, and costs the liar its life. */
#include "gateway/arbiter/court.h"

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

void queue_drop(struct court *c, struct petition *p)
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
	struct arbiter_answer range = {
		.id = p->id, .status = p->key == 0 ? 0 : 2, .key = p->key, .code = p->code};

	queue_drop(c, p);
	if (p->is_range)
		c->ops->answer(p->member, &range);
	else if (p->is_order)
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

/* Of an order. */
static unsigned disk_of(const struct petition *p)
{
	return p->member->luns[p->place].disk;
}

static void publish_leave(struct court *c, const struct disk_set *disks, uint64_t now_ms)
{
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
	unsigned d;

	if (p->leaves) {
		publish_leave(c, disks, now_ms);
	} else if (!p->is_order) {
		change_reset(c, p, disks, now_ms);
	} else {
		d = disk_of(p);
		decision = p->is_range ? range_decide(c, p, d) : change_order(c, p, d, now_ms);
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

/* A new generation for which nobody is waited: who waits for something else there waits for what is
 * in flight from before this one, too, and nobody is late for that yet. */
static void told_aside(struct court *c, const struct disk_set *disks)
{
	struct disk_set other;

	tell_changed(c, disks);
	for (struct petition *p = c->queue; p != NULL; p = p->next) {
		disks_of(p, &other);
		if (p->state == PETITION_CLEARING && disks_meet(&other, disks))
			p->deadline_ms = c->now_ms + ARBITER_DRAIN_MS;
	}
}

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
		told_aside(c, &disks);
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
		told_aside(c, &disks);
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
	told_aside(c, &disks);
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

static void tell_dropped(struct court *c)
{
	static const struct disk_set none;
	struct disk_set disks = c->dropped;

	c->dropped = none;
	if (memcmp(&disks, &none, sizeof none) != 0)
		tell_changed(c, &disks);
}

/* What a petition kept up, its end lets go on: nobody may say anything afterwards. */
void queue_run(struct court *c, uint64_t now_ms)
{
	c->now_ms = now_ms;
	c->heard = false;
	tell_dropped(c);
	if (!may_act(c))
		return;
	do {
		each_of(c, &c->clears, clear);
		sweep_all(c, now_ms);
	} while (queue_pass(c, now_ms));
	each_of(c, &c->news, tell_news);
}

void queue_put(struct court *c, struct petition *p)
{
	struct petition **end = &c->queue;

	while (*end != NULL)
		end = &(*end)->next;
	p->next = NULL;
	p->state = PETITION_QUEUED;
	*end = p;
}

/* --- time --- */

/* Condemning drops petitions, so the queue is looked at afresh after each. Who begins to lie when
 * others are condemned has as long as they had. */
static bool condemn_late(struct court *c, uint64_t now_ms)
{
	for (struct petition *p = c->queue; p != NULL; p = p->next) {
		if (p->state == PETITION_QUEUED || p->deadline_ms == 0 || now_ms < p->deadline_ms)
			continue;
		p->deadline_ms = now_ms + ARBITER_DRAIN_MS;
		condemn_undrained(c, p);
		return true;
	}
	return false;
}

/* Whoever keeps a range while it does nothing would keep everybody from its blocks for ever. */
static bool condemn_keeper(struct court *c, uint64_t now_ms)
{
	for (struct petition *p = c->queue; p != NULL; p = p->next) {
		struct member *keeper = court_find(c, (uint32_t)(p->behind >> 32));

		if (p->behind == 0 || p->behind_ms == 0 || now_ms < p->behind_ms)
			continue;
		p->behind_ms = 0;
		if (keeper != NULL && range_is_held(c, disk_of(p), p->behind))
			court_condemn(c, keeper, ARBITER_KEPT_RANGE);
		return true;
	}
	return false;
}

void queue_tick(struct court *c, uint64_t now_ms)
{
	while (condemn_late(c, now_ms) || condemn_keeper(c, now_ms))
		;
	queue_run(c, now_ms);
}

/* 0: never. */
static uint64_t sooner(uint64_t a, uint64_t b)
{
	return a == 0 || (b != 0 && b < a) ? b : a;
}

uint64_t queue_next_tick(const struct court *c)
{
	uint64_t next = 0;

	for (const struct petition *p = c->queue; p != NULL; p = p->next) {
		uint64_t late = p->state == PETITION_QUEUED ? 0 : p->deadline_ms;

		next = sooner(sooner(next, late), p->behind != 0 ? p->behind_ms : 0);
	}
	return next;
}
