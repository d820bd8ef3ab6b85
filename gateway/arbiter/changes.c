/* How a disk's record changes: by resets, by orders (one decider for each kind, in a table)
 * and by members that go. A change is made on a copy, kept in the journal, and only then
 * the record. Runs in the arbiter; what an order says is hostile to its deciders. */
#include "gateway/arbiter/court.h"

#define KEY_NOT_READY		     0x02
#define MANUAL_INTERVENTION_REQUIRED 0x0403 /* its ASC and ASCQ */

#define STATUS_CHECK_CONDITION	    0x02
#define STATUS_BUSY		    0x08
#define STATUS_RESERVATION_CONFLICT 0x18

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

void record_event(struct arbiter_record *draft, const struct arbiter_event *event)
{
	if (draft->event_new == ARBITER_EVENTS)
		return; /* more than there are registrants: cannot be */
	draft->events[draft->event_new] = *event;
	if ((event->flags & EVENT_ABORTS) && (draft->state.modes[0] & ARBITER_MODES_TAS))
		draft->events[draft->event_new].flags |= EVENT_TAS;
	draft->event_new++;
	draft->event_count++;
}

struct arbiter_record *court_record(struct court *c, unsigned disk)
{
	if (c->records[disk] == NULL)
		c->records[disk] = calloc(1, sizeof *c->records[disk]);
	return c->records[disk];
}

/* The draft becomes the record. */
int change_keep(struct court *c, unsigned d, bool durable)
{
	struct arbiter_record *old = c->records[d];
	int r = c->ops->keep(d, c->draft, durable);

	if (r < 0)
		return r;
	c->records[d] = c->draft;
	c->draft = old;
	disk_set(&c->unkept, d, false);
	return 0;
}

/* What can't be kept now, and is so all the same, is kept as soon as that goes. */
static void take_unkept(struct court *c, unsigned d, uint64_t now_ms)
{
	*c->records[d] = *c->draft;
	disk_set(&c->unkept, d, true);
	if (c->unkept_ms == 0)
		c->unkept_ms = now_ms + ARBITER_KEEP_AGAIN_MS;
}

struct arbiter_record *change_draft(struct court *c, unsigned d)
{
	*c->draft = *court_record(c, d);
	c->draft->event_new = 0;
	return c->draft;
}

/* --- resets --- */

#define ATTENTION_BUS_DEVICE_RESET 0x2903

/* SPC-4, SPC-2: a reset ends reservations of RESERVE(6), takes the saved mode parameters up again
 * and lets the medium go; it leaves persistent reservations alone. */
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
	memset(draft->preventers, 0, sizeof draft->preventers);
	draft->state.stopped = false;
	memcpy(draft->state.modes, draft->saved_modes, sizeof draft->state.modes);
}

/* A reset can't fail. If it can't be kept, a later arbiter may know the state from before it; that
 * excludes more, never less. */
void change_reset(struct court *c, const struct petition *p, const struct disk_set *disks,
		  uint64_t now_ms)
{
	for (unsigned d = 0; d < ARBITER_DISKS_MAX; d++) {
		if (!disk_has(disks, d) || court_record(c, d) == NULL)
			continue;
		record_reset(change_draft(c, d), p->member->connection);
		if (change_keep(c, d, false) < 0)
			take_unkept(c, d, now_ms);
		tokens_revoke(c, d);
		publish(c, d);
	}
	tell_changed(c, disks);
}

/* --- orders --- */

static order_decide *const deciders[ORDER_KINDS] = {
	/* clang-format off */
	[ORDER_RESERVE] = order_reserve,
	[ORDER_RELEASE] = order_release,
	[ORDER_PR_IN] = order_pr_in,
	[ORDER_PR_OUT] = order_pr_out,
	[ORDER_MODES] = order_modes,
	[ORDER_FAILED] = order_failed,
	[ORDER_PREVENT] = order_prevent,
	[ORDER_LOAD] = order_load,
	[ORDER_OPERATION] = order_operation,
	[ORDER_TOKEN_MAKE] = order_token_make,
	[ORDER_TOKEN_USE] = order_token_use,
	[ORDER_TOKEN_VOID] = order_token_void,
	[ORDER_ACCESS] = order_access,
	/* clang-format on */
};

bool change_decides(uint8_t kind)
{
	return kind < ORDER_KINDS && deciders[kind] != NULL;
}

static void answer_busy(struct arbiter_answer *ret)
{
	*ret = (struct arbiter_answer){.id = ret->id, .status = STATUS_BUSY};
}

/* What was kept for the member that asks again, after another arbiter died with the answer. NULL:
 * that was not decided. */
static const struct remembered *answered_before(const struct court *c, const struct petition *p,
						unsigned d)
{
	for (size_t k = 0; k < ARBITER_ANSWERS; k++) {
		const struct remembered *a = &c->records[d]->answers[k];

		if (a->connection == p->member->connection && a->id == p->id)
			return a;
	}
	return NULL;
}

/* An operation that was let begin goes on, so something was the matter with the medium before it
 * ended. */
static void repeat_answer(const struct remembered *a, const struct arbiter_state *state,
			  struct arbiter_answer *ret)
{
	ret->field = state->operation;
	ret->status = a->status;
	ret->key = a->key;
	ret->code = a->code;
}

/* A session says in its page which answer it may lack: if that is a lie, it lacks an answer. */
static bool is_heard(const struct court *c, const struct remembered *a)
{
	const struct member *m = court_find(c, a->connection);

	return m == NULL || atomic_load(&m->own->awaits) != a->id;
}

/* Who gives another order has heard what the one before was answered. NULL: as many as there is
 * room for have not. */
static struct remembered *answer_place(const struct court *c, struct arbiter_record *draft,
				       uint32_t connection)
{
	struct remembered *found = NULL;

	for (size_t k = 0; k < ARBITER_ANSWERS; k++) {
		if (draft->answers[k].connection == connection)
			return &draft->answers[k];
		if (draft->answers[k].connection == 0)
			found = &draft->answers[k];
	}
	for (size_t k = 0; k < ARBITER_ANSWERS && found == NULL; k++) {
		if (is_heard(c, &draft->answers[k]))
			found = &draft->answers[k];
	}
	return found;
}

static int remember_answer(const struct court *c, const struct petition *p)
{
	const struct arbiter_answer *a = &p->member->answer;
	struct remembered *place = answer_place(c, c->draft, p->member->connection);

	if (place == NULL)
		return -EBUSY;
	*place = (struct remembered){p->member->connection, p->id, a->status, a->key, a->code};
	return 0;
}

/* A damaged journal: nobody is told of reservations that may not be the ones that were. */
static bool is_unknown(const struct arbiter_record *r)
{
	return r->state.failed == EBADMSG;
}

enum decision change_order(struct court *c, struct petition *p, unsigned d, uint64_t now_ms)
{
	struct member *m = p->member;
	struct arbiter_answer *answer = &m->answer;
	const struct remembered *before;
	enum decision decision;

	*answer = (struct arbiter_answer){.id = p->id};
	if (court_record(c, d) == NULL) {
		answer_busy(answer);
		return DECISION_ANSWER;
	}
	if ((before = answered_before(c, p, d)) != NULL) {
		repeat_answer(before, &c->records[d]->state, answer);
		return DECISION_ANSWER; /* what it changed was published when this arbiter began */
	}
	if (is_unknown(c->records[d]))
		return answer_sense(answer, KEY_NOT_READY, MANUAL_INTERVENTION_REQUIRED);
	decision = deciders[m->order.kind](c, m, p->place, change_draft(c, d), answer);
	if (decision < DECISION_CHANGE || decision > DECISION_PUBLISH)
		return decision;
	if (remember_answer(c, p) == 0 && change_keep(c, d, decision != DECISION_CHANGE) == 0)
		return decision;
	if (decision == DECISION_PUBLISH) {
		take_unkept(c, d, now_ms);
		return decision;
	}
	answer_busy(answer);
	return DECISION_ANSWER;
}

/* --- what those left who are over --- */

static bool is_member(const struct court *c, uint64_t nexus, unsigned d)
{
	for (const struct member *m = c->members; m != NULL; m = m->next_member) {
		for (unsigned k = 0; k < m->lun_count && m->nexus == nexus; k++) {
			if (m->luns[k].disk == d && !m->left)
				return true;
		}
	}
	return false;
}

/* SPC-2, SAM-5: what the loss of an I_T nexus ends. True: the draft has changed. */
static bool record_sweep(const struct court *c, unsigned d, struct arbiter_record *draft)
{
	struct arbiter_state *state = &draft->state, before = *state;
	bool fewer = preventers_sweep(c, draft);

	if (state->reservation == RESERVATION_RESERVE_6 && !is_member(c, state->holder, d)) {
		state->reservation = RESERVATION_NONE;
		state->holder = 0;
	}
	/* it goes on after a logout */
	if (draft->operator_connection != 0 && court_find(c, draft->operator_connection) == NULL) {
		draft->operator_connection = 0;
		if (state->operation == OPERATION_FORMAT)
			state->operation = OPERATION_FORMAT_FAILED;
		if (state->operation == OPERATION_SANITIZE)
			state->operation = OPERATION_SANITIZE_FAILED;
	}
	return fewer || memcmp(&before, state, sizeof before) != 0;
}

/* One that can't be kept is swept again by a later arbiter. */
bool change_sweep(struct court *c, unsigned d, uint64_t now_ms)
{
	if (c->records[d] == NULL || !record_sweep(c, d, change_draft(c, d)))
		return false;
	if (change_keep(c, d, false) < 0)
		take_unkept(c, d, now_ms);
	return true;
}
