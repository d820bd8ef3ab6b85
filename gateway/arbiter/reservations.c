/* The rules of PERSISTENT RESERVE OUT, SPC-4 section 5.13, RESERVE and RELEASE, SPC-2, as
 * decisions on the draft of a disk's record. Run in the arbiter. An order comes from a
 * session, which may be taken over: it is believed only where its nexus may say so. */
#include "gateway/arbiter/plea.h"

#define KEY_ILLEGAL_REQUEST 0x5
#define KEY_DATA_PROTECT    0x7

enum {
	CODE_INVALID_FIELD_IN_CDB = 0x2400,
	CODE_INVALID_FIELD_IN_LIST = 0x2600,
	CODE_INVALID_RELEASE = 0x2604,
	CODE_WRITE_PROTECTED = 0x2700,
	CODE_RESERVATIONS_PREEMPTED = 0x2a03,
	CODE_RESERVATIONS_RELEASED = 0x2a04,
	CODE_REGISTRATIONS_PREEMPTED = 0x2a05,
};

/* --- unit attentions --- */

static void tell(const struct plea *p, uint64_t nexus, uint16_t code, uint16_t flags)
{
	if (nexus == p->member->nexus)
		return;
	record_event(p->draft, &(struct arbiter_event){.to = nexus,
						       .by = p->member->connection,
						       .code = code,
						       .flags = flags});
}

void plea_tell_registered(const struct plea *p, uint16_t code)
{
	for (size_t i = 0; i < ARBITER_REGISTRANTS; i++) {
		if (p->draft->registrations[i].nexus != 0)
			tell(p, p->draft->registrations[i].nexus, code, 0);
	}
}

/* --- refusals --- */

enum decision plea_bad_cdb(const struct plea *p)
{
	return answer_sense(p->ret, KEY_ILLEGAL_REQUEST, CODE_INVALID_FIELD_IN_CDB);
}

enum decision plea_bad_list(const struct plea *p, size_t octet)
{
	p->ret->pointed = 1;
	p->ret->field = (uint16_t)octet;
	return answer_sense(p->ret, KEY_ILLEGAL_REQUEST, CODE_INVALID_FIELD_IN_LIST);
}

/* --- reserving --- */

bool plea_has_key(const struct plea *p)
{
	return p->mine != NULL && p->mine->key == p->order->key;
}

/* Scope LU, and a type that there is. */
static bool is_type(uint8_t scope_type)
{
	return reservation_is_persistent(scope_type);
}

static enum decision act_reserve(struct plea *p)
{
	struct arbiter_record *draft = p->draft;
	uint8_t type = p->order->scope_type;

	if (!plea_has_key(p))
		return answer_conflict(p->ret);
	if (!is_type(type))
		return plea_bad_cdb(p);
	if (draft->state.reservation == RESERVATION_NONE) {
		reservation_put(draft, type, p->mine->nexus);
		return DECISION_CHANGE;
	}
	if (reservation_is_held_by(draft, p->mine->nexus) && draft->state.reservation == type)
		return DECISION_ANSWER;
	return answer_conflict(p->ret);
}

static enum decision act_release(struct plea *p)
{
	struct arbiter_record *draft = p->draft;
	uint8_t type = draft->state.reservation;

	if (!plea_has_key(p))
		return answer_conflict(p->ret);
	if (!reservation_is_held_by(draft, p->mine->nexus))
		return DECISION_ANSWER;
	if (p->order->scope_type != type)
		return answer_sense(p->ret, KEY_ILLEGAL_REQUEST, CODE_INVALID_RELEASE);
	reservation_drop(draft);
	if (reservation_is_of_registrants(type) || reservation_is_of_all(type))
		plea_tell_registered(p, CODE_RESERVATIONS_RELEASED);
	return DECISION_CHANGE;
}

static enum decision act_clear(struct plea *p)
{
	if (!plea_has_key(p))
		return answer_conflict(p->ret);
	plea_tell_registered(p, CODE_RESERVATIONS_PREEMPTED);
	reservation_drop(p->draft);
	for (size_t i = 0; i < ARBITER_REGISTRANTS; i++)
		registration_drop(p->draft, &p->draft->registrations[i]);
	return DECISION_CHANGE;
}

/* --- preempting --- */

static uint16_t abort_flags(const struct plea *p)
{
	return p->order->action == PR_PREEMPT_AND_ABORT ? EVENT_ABORTS : 0;
}

static void preempt_registration(const struct plea *p, struct registration *r)
{
	tell(p, r->nexus, CODE_REGISTRATIONS_PREEMPTED, abort_flags(p));
	registration_drop(p->draft, r);
}

/* Registrations of that key go, the asker's too; who holds, has another key. */
static enum decision preempt_registrations(struct plea *p)
{
	bool found = false;

	for (size_t i = 0; i < ARBITER_REGISTRANTS; i++) {
		struct registration *r = &p->draft->registrations[i];

		if (r->nexus == 0 || r->key != p->order->action_key)
			continue;
		preempt_registration(p, r);
		found = true;
	}
	if (!found)
		return answer_conflict(p->ret);
	if (!reservation_has_registrations(p->draft))
		reservation_drop(p->draft);
	return DECISION_CHANGE;
}

/* The asker holds from now on. Those who lost their registrations are told so; the others, if
 * the type is another. */
static enum decision preempt_reservation(struct plea *p)
{
	uint64_t gone = p->order->action_key;
	uint8_t type = p->order->scope_type;
	bool changed = type != p->draft->state.reservation;

	if (!is_type(type))
		return plea_bad_cdb(p);
	for (size_t i = 0; i < ARBITER_REGISTRANTS; i++) {
		struct registration *r = &p->draft->registrations[i];

		if (r->nexus == 0 || r == p->mine)
			continue;
		if (gone == 0 || r->key == gone)
			preempt_registration(p, r);
		else if (changed)
			tell(p, r->nexus, CODE_RESERVATIONS_RELEASED, 0);
	}
	reservation_put(p->draft, type, p->mine->nexus);
	return DECISION_CHANGE;
}

static enum decision act_preempt(struct plea *p)
{
	const struct arbiter_state *state = &p->draft->state;
	const struct registration *holder = registration_find(p->draft, state->holder);
	uint64_t gone = p->order->action_key;

	if (!plea_has_key(p))
		return answer_conflict(p->ret);
	if (reservation_is_of_all(state->reservation))
		return gone == 0 ? preempt_reservation(p) : preempt_registrations(p);
	if (gone == 0)
		return plea_bad_list(p, PR_LIST_ACTION_KEY);
	if (state->reservation != RESERVATION_NONE && holder != NULL && holder->key == gone)
		return preempt_reservation(p);
	return preempt_registrations(p);
}

/* --- the orders --- */

static const struct {
	enum decision (*act)(struct plea *p);
	bool counts;	/* in PRGENERATION, SPC-4 section 6.15.2 */
	bool shuts_out; /* others */
} actions[] = {
	[PR_REGISTER] = {plea_register, true, false},
	[PR_RESERVE] = {act_reserve, false, true},
	[PR_RELEASE] = {act_release, false, false},
	[PR_CLEAR] = {act_clear, true, true},
	[PR_PREEMPT] = {act_preempt, true, true},
	[PR_PREEMPT_AND_ABORT] = {act_preempt, true, true},
	[PR_REGISTER_AND_IGNORE] = {plea_register, true, false},
	[PR_REGISTER_AND_MOVE] = {plea_move, true, true},
};

/* P3: who was given the disk for reading shuts nobody out of it, honest or taken over. */
static enum decision answer_protected(struct arbiter_answer *ret)
{
	return answer_sense(ret, KEY_DATA_PROTECT, CODE_WRITE_PROTECTED);
}

/* … nor does it register others, who would take the places of those who come. */
static bool shuts_out(const struct arbiter_order *order)
{
	return actions[order->action].shuts_out || (order->flags & ORDER_SPEC_I_PT) != 0;
}

enum decision order_pr_out(struct court *c, struct member *m, unsigned k,
			   struct arbiter_record *draft, struct arbiter_answer *ret)
{
	struct plea p = {
		.court = c,
		.member = m,
		.order = &m->order,
		.disk = m->luns[k].disk,
		.draft = draft,
		.ret = ret,
		.mine = registration_find(draft, m->nexus),
	};
	bool kept = draft->aptpl;
	enum decision decision;

	/* SPC-2: whoever asks. */
	if (draft->state.reservation == RESERVATION_RESERVE_6)
		return answer_conflict(ret);
	if (m->order.action >= ARRAY_LEN(actions))
		return plea_bad_cdb(&p);
	if (!m->luns[k].writable && shuts_out(&m->order))
		return answer_protected(ret);
	decision = actions[m->order.action].act(&p);
	if (decision != DECISION_CHANGE)
		return decision;
	if (actions[m->order.action].counts)
		draft->pr_generation++;
	return kept || draft->aptpl ? DECISION_KEEP : DECISION_CHANGE;
}

/* Compatible reservation handling is off (CRH=0): the two methods exclude each other. */
static bool is_persistent(const struct arbiter_record *r)
{
	return reservation_is_persistent(r->state.reservation) || reservation_has_registrations(r);
}

enum decision order_reserve(struct court *c, struct member *m, unsigned k,
			    struct arbiter_record *draft, struct arbiter_answer *ret)
{
	struct arbiter_state *state = &draft->state;

	(void)c;
	if (!m->luns[k].writable)
		return answer_protected(ret);
	if (is_persistent(draft))
		return answer_conflict(ret);
	if (state->reservation == RESERVATION_RESERVE_6)
		return state->holder == m->nexus ? DECISION_ANSWER : answer_conflict(ret);
	state->reservation = RESERVATION_RESERVE_6;
	state->holder = m->nexus;
	return DECISION_CHANGE;
}

enum decision order_release(struct court *c, struct member *m, unsigned k,
			    struct arbiter_record *draft, struct arbiter_answer *ret)
{
	(void)c, (void)k;
	if (is_persistent(draft))
		return answer_conflict(ret);
	if (draft->state.reservation != RESERVATION_RESERVE_6 || draft->state.holder != m->nexus)
		return DECISION_ANSWER; /* SPC-2: no error */
	reservation_drop(draft);
	return DECISION_CHANGE;
}
