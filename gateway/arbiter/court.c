/* The court: takes petitions in the order of their arrival, publishes what they change, waits
 * for whoever still has something in flight from before, and condemns who takes too long.
 * Runs in the arbiter. A session's page may lie: that delays a change by
 * ARBITER_DRAIN_MS at most, and costs the liar its life. */
#include "gateway/arbiter/court.h"

#define STATUS_CHECK_CONDITION	    0x02
#define STATUS_BUSY		    0x08
#define STATUS_RESERVATION_CONFLICT 0x18

struct disk_set {
	uint64_t bits[ARBITER_DISKS_MAX / 64];
};

static bool disk_has(const struct disk_set *s, unsigned disk)
{
	return (s->bits[disk / 64] & 1ull << disk % 64) != 0;
}

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

/* --- answers --- */

enum decision answer_sense(struct arbiter_answer *ret, uint8_t key, uint16_t code)
{
	ret->status = STATUS_CHECK_CONDITION;
	ret->key = key;
	ret->code = code;
	return DECISION_ANSWER;
}

enum decision answer_conflict(struct arbiter_answer *ret)
{
	ret->status = STATUS_RESERVATION_CONFLICT;
	return DECISION_ANSWER;
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

/* --- publishing --- */

static void tell_changed(struct court *c, const struct disk_set *disks)
{
	atomic_fetch_add(&c->page->changes, 1);
	for (struct member *m = c->members; m != NULL; m = m->next_member) {
		bool concerned = false;

		for (unsigned k = 0; k < m->lun_count; k++)
			concerned = concerned || disk_has(disks, m->luns[k].disk);
		if (concerned && !m->condemned)
			c->ops->changed(m);
	}
}

void court_tell_changed(struct court *c, unsigned disk)
{
	struct disk_set disks = {0};

	disks.bits[disk / 64] |= 1ull << disk % 64;
	tell_changed(c, &disks);
}

static void publish_events(struct arbiter_disk *disk, const struct arbiter_record *r)
{
	uint64_t at = atomic_load(&disk->event_count);
	uint64_t words[3];

	while (at < r->event_count) {
		uint64_t left = r->event_count - at;
		const struct arbiter_event *e = &r->events[r->event_new - MIN(left, r->event_new)];

		memcpy(words, e, sizeof words);
		for (size_t k = 0; k < ARRAY_LEN(words); k++)
			atomic_store(&disk->events[at % ARBITER_EVENTS][k], words[k]);
		atomic_store(&disk->event_count, ++at);
	}
}

static void publish_state(struct arbiter_disk *disk, const struct arbiter_record *r)
{
	uint64_t words[ARBITER_STATE_WORDS];

	memcpy(words, &r->state, sizeof words);
	atomic_store(&disk->sequence, atomic_load(&disk->sequence) | 1);
	atomic_thread_fence(memory_order_release);
	for (size_t k = 0; k < ARBITER_STATE_WORDS; k++)
		atomic_store_explicit(&disk->state[k], words[k], memory_order_relaxed);
	atomic_store(&disk->sequence, atomic_load(&disk->sequence) + 1);
}

static void publish(struct court *c, unsigned d)
{
	if (c->records[d] != NULL) {
		publish_state(&c->page->disks[d], c->records[d]);
		publish_events(&c->page->disks[d], c->records[d]);
	}
	atomic_fetch_add(&c->page->generations[d], 1);
}

void record_event(struct arbiter_record *draft, const struct arbiter_event *event)
{
	if (draft->event_new == ARBITER_EVENTS)
		return; /* more than there are registrants: cannot be */
	draft->events[draft->event_new++] = *event;
	draft->event_count++;
}

/* The draft becomes the record. */
static int keep(struct court *c, unsigned d, bool durable)
{
	struct arbiter_record *old = c->records[d];
	int r = c->ops->keep(d, c->draft, durable);

	if (r < 0)
		return r;
	c->records[d] = c->draft;
	c->draft = old;
	return 0;
}

static struct arbiter_record *draft_of(struct court *c, unsigned d)
{
	*c->draft = *court_record(c, d);
	c->draft->event_new = 0;
	return c->draft;
}

/* --- resets --- */

#define ATTENTION_BUS_DEVICE_RESET 0x2903

/* SPC-4, SPC-2: a reset ends reservations of RESERVE(6), takes the saved mode parameters up again and
 * lets the medium go; it leaves persistent reservations alone. */
static void record_reset(struct arbiter_record *draft, uint32_t by)
{
	record_event(draft, &(struct arbiter_event){.by = by,
						    .code = ATTENTION_BUS_DEVICE_RESET,
						    .flags = EVENT_ABORTS});
	draft->state.resets++;
	if (draft->state.reservation == RESERVATION_RESERVE_6) {
		draft->state.reservation = RESERVATION_NONE;
		draft->state.holder = 0;
	}
	draft->state.prevented = false;
	draft->state.stopped = false;
	memcpy(draft->state.modes, draft->saved_modes, sizeof draft->state.modes);
}

static void prevents_clear(struct court *c, unsigned d)
{
	for (struct member *m = c->members; m != NULL; m = m->next_member) {
		for (unsigned k = 0; k < m->lun_count; k++) {
			if (m->luns[k].disk == d)
				m->luns[k].prevents = false;
		}
	}
}

/* A reset can't fail. If it can't be kept, a later arbiter may know the state from before it; that
 * excludes more, never less. */
static void reset_publish(struct court *c, const struct petition *p, const struct disk_set *disks)
{
	for (unsigned d = 0; d < ARBITER_DISKS_MAX; d++) {
		if (!disk_has(disks, d) || court_record(c, d) == NULL)
			continue;
		record_reset(draft_of(c, d), p->member->connection);
		if (keep(c, d, false) < 0)
			*c->records[d] = *c->draft;
		prevents_clear(c, d);
		publish(c, d);
	}
	tell_changed(c, disks);
}

/* --- orders --- */

static order_decide *const deciders[ORDER_KINDS] = {
	[ORDER_TAKE_RANGE] = order_take_range,
};

static unsigned place_of(const struct petition *p)
{
	for (unsigned k = 0; k < p->member->lun_count; k++) {
		if (lun_has(p->luns, p->member->luns[k].lun))
			return k;
	}
	assert(false);
	return 0;
}

static void answer_busy(struct arbiter_answer *ret)
{
	*ret = (struct arbiter_answer){.id = ret->id, .status = STATUS_BUSY};
}

/* What was kept for the member that asks again, after another arbiter died with the answer. */
static bool was_decided(const struct court *c, const struct petition *p, unsigned d)
{
	const struct arbiter_record *r = c->records[d];

	return r != NULL && r->last_connection == p->member->connection && r->last_id == p->id &&
	       r->last_id != 0;
}

static void repeat_answer(const struct arbiter_record *r, struct arbiter_answer *ret)
{
	ret->status = r->last_status;
	ret->key = r->last_key;
	ret->code = r->last_code;
}

static void remember_answer(struct arbiter_record *draft, const struct petition *p)
{
	const struct arbiter_answer *a = &p->member->answer;

	draft->last_connection = p->member->connection;
	draft->last_id = p->id;
	draft->last_status = a->status;
	draft->last_key = a->key;
	draft->last_code = a->code;
}

static enum decision order_decided(struct court *c, struct petition *p, unsigned d)
{
	struct member *m = p->member;
	struct arbiter_answer *answer = &m->answer;
	enum decision decision;

	*answer = (struct arbiter_answer){.id = p->id};
	if (court_record(c, d) == NULL) {
		answer_busy(answer);
		return DECISION_ANSWER;
	}
	if (was_decided(c, p, d)) {
		repeat_answer(c->records[d], answer);
		return DECISION_ANSWER; /* what it changed was published when this arbiter began */
	}
	decision = deciders[m->order.kind](c, m, place_of(p), draft_of(c, d), answer);
	if (decision != DECISION_CHANGE && decision != DECISION_KEEP)
		return decision;
	remember_answer(c->draft, p);
	if (keep(c, d, decision == DECISION_KEEP) == 0)
		return decision;
	answer_busy(answer);
	return DECISION_ANSWER;
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

/* Publishes what it changes, and answers it if that is nothing. False: it waits for others and keeps
 * nobody up. */
static bool petition_begin(struct court *c, struct petition *p, const struct disk_set *disks,
			   uint64_t now_ms)
{
	enum decision decision = DECISION_CHANGE;
	unsigned d = 0;

	if (!p->is_order) {
		reset_publish(c, p, disks);
	} else {
		first_disk(disks, &d);
		decision = order_decided(c, p, d);
		if (decision == DECISION_WAIT)
			return false;
		if (decision == DECISION_DRAIN)
			atomic_fetch_add(&c->page->generations[d], 1);
		else if (decision != DECISION_ANSWER)
			publish(c, d);
		if (decision != DECISION_ANSWER)
			tell_changed(c, disks);
	}
	petition_wait(p, PETITION_DRAINING, now_ms);
	return true;
}

/* Begins what waits for no older one, and ends what is over; true: one ended, so look again. */
static bool queue_pass(struct court *c, uint64_t now_ms)
{
	struct disk_set taken = {0}, disks;

	for (struct petition *p = c->queue; p != NULL; p = p->next) {
		disks_of(p, &disks);
		if (disks_meet(&taken, &disks))
			goto next;
		if (p->state != PETITION_DRAINING && !is_drained(c, &disks))
			petition_wait(p, PETITION_CLEARING, now_ms);
		else if (p->state != PETITION_DRAINING && !petition_begin(c, p, &disks, now_ms))
			continue;
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

static bool is_member(const struct court *c, uint64_t nexus, unsigned d)
{
	for (const struct member *m = c->members; m != NULL; m = m->next_member) {
		for (unsigned k = 0; k < m->lun_count && m->nexus == nexus; k++) {
			if (m->luns[k].disk == d)
				return true;
		}
	}
	return false;
}

static bool is_prevented(const struct court *c, unsigned d)
{
	for (const struct member *m = c->members; m != NULL; m = m->next_member) {
		for (unsigned k = 0; k < m->lun_count; k++) {
			if (m->luns[k].disk == d && m->luns[k].prevents)
				return true;
		}
	}
	return false;
}

/* SPC-2, SAM-5: what the loss of an I_T nexus ends. True: the draft has changed. */
static bool record_sweep(const struct court *c, unsigned d, struct arbiter_record *draft)
{
	struct arbiter_state *state = &draft->state, before = *state;

	if (state->reservation == RESERVATION_RESERVE_6 && !is_member(c, state->holder, d)) {
		state->reservation = RESERVATION_NONE;
		state->holder = 0;
	}
	state->prevented = is_prevented(c, d);
	if (draft->operator_connection != 0 && court_find(c, draft->operator_connection) == NULL) {
		draft->operator_connection = 0;
		if (state->operation == OPERATION_FORMAT)
			state->operation = OPERATION_FORMAT_FAILED;
		if (state->operation == OPERATION_SANITIZE)
			state->operation = OPERATION_SANITIZE_FAILED;
	}
	return memcmp(&before, state, sizeof before) != 0;
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
static void sweep(struct court *c, unsigned d)
{
	struct disk_set disks = {0};

	disks.bits[d / 64] |= 1ull << d % 64;
	if (c->records[d] == NULL) {
		c->swept[d / 64] &= ~(1ull << d % 64);
		return;
	}
	if (is_busy(c, &disks))
		return;
	c->swept[d / 64] &= ~(1ull << d % 64);
	if (record_sweep(c, d, draft_of(c, d)) && keep(c, d, false) == 0) {
		publish(c, d);
		tell_changed(c, &disks);
	}
}

static void queue_run(struct court *c, uint64_t now_ms)
{
	if (!may_act(c))
		return;
	for (unsigned n = 0; n < ARRAY_LEN(c->swept); n++) {
		for (uint64_t bits = c->swept[n]; bits != 0; bits &= bits - 1)
			sweep(c, n * 64 + (unsigned)__builtin_ctzll(bits));
	}
	while (queue_pass(c, now_ms))
		;
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
	m->reset = (struct petition){.member = m, .id = exclude.id};
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
	    order.lun >= ARBITER_LUNS || order.kind >= ORDER_KINDS ||
	    deciders[order.kind] == NULL || order.len > ARBITER_OCTETS)
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

static const struct {
	uint32_t type;
	int (*hear)(struct court *c, struct member *m, const void *body);
} words[] = {
	{ARBITER_HELLO, hear_hello}, {ARBITER_EXCLUDE, hear_exclude}, {ARBITER_ORDER, hear_order},
	{ARBITER_DROP, hear_drop},   {ARBITER_SETTLED, hear_settled},
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
	while (condemn_late(c, now_ms))
		;
	queue_run(c, now_ms);
}

uint64_t court_next_tick(const struct court *c)
{
	uint64_t next = c->attach_deadline_ms;

	for (const struct petition *p = c->queue; p != NULL; p = p->next) {
		uint64_t at = p->state == PETITION_QUEUED ? 0 : p->deadline_ms;

		if (at != 0 && (next == 0 || at < next))
			next = at;
	}
	return next;
}

/* --- what the monitor says --- */

struct arbiter_record *court_record(struct court *c, unsigned disk)
{
	if (c->records[disk] == NULL)
		c->records[disk] = calloc(1, sizeof *c->records[disk]);
	return c->records[disk];
}

/* A record without a journal knows less than the page's log. */
static void disk_open(struct court *c, unsigned d)
{
	struct arbiter_disk *disk = &c->page->disks[d];
	struct arbiter_record *r = c->records[d];

	court_recount_ranges(c, d);
	if (r == NULL && atomic_load(&disk->sequence) != 0 && (r = court_record(c, d)) == NULL)
		return; /* no memory: nothing is admitted there */
	if (r != NULL && r->event_count < atomic_load(&disk->event_count)) {
		r->event_count = atomic_load(&disk->event_count);
		r->event_new = 0;
	}
	if (r != NULL) { /* otherwise nothing ever happened to it */
		publish_state(disk, r);
		publish_events(disk, r);
	}
	atomic_store(&c->page->generations[d], ARBITER_GENERATION_FIRST(c->life));
}

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
		disk_open(c, d);
	atomic_store(&page->changes, ARBITER_GENERATION_FIRST(life));
	return 0;
}

void court_close(struct court *c)
{
	for (unsigned d = 0; d < ARBITER_DISKS_MAX; d++)
		free(TAKE(c->records[d]));
	free(TAKE(c->draft));
}

int court_attach(struct court *c, struct member *m, const struct arbiter_attach *info)
{
	for (unsigned lun = 0; lun < ARBITER_LUNS; lun++) {
		if (info->disks[lun] > c->disks)
			return -EINVAL;
		if (info->disks[lun] == 0)
			continue;
		m->luns[m->lun_count].lun = (uint16_t)lun;
		m->luns[m->lun_count++].disk = (uint16_t)(info->disks[lun] - 1);
	}
	m->connection = info->connection;
	m->old = info->old != 0;
	m->relative_port = info->relative_port;
	m->port = arbiter_port_id(info->target, info->relative_port);
	m->nexus = arbiter_nexus_id(info->initiator, info->isid, m->port);
	memcpy(m->isid, info->isid, sizeof m->isid);
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
