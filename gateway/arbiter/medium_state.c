/* What sessions do to the medium that they share: stop and start it, take it out and put it back,
 * keep it in (SPC-4, SBC-3), format and sanitize it (SBC-4). One operation at a time; who
 * carries it out tells how far it is, and whoever else ends it does so by dying, which leaves the
 * medium failed. Runs in the arbiter; an order is hostile. */
#include "gateway/arbiter/court.h"
#include "gateway/arbiter/reservations.h"

#define NOT_READY	0x02
#define MEDIUM_ERROR	0x03
#define ILLEGAL_REQUEST 0x05
#define DATA_PROTECT	0x07

#define FORMAT_IN_PROGRESS     0x0404
#define SANITIZE_IN_PROGRESS   0x041b
#define INVALID_FIELD_IN_CDB   0x2400
#define WRITE_PROTECTED	       0x2700
#define NOT_READY_TO_READY     0x2800 /* the medium may have changed */
#define SANITIZE_FAILED	       0x3103
#define NO_MEDIUM	       0x3a00
#define CAPACITY_CHANGED       0x2a09
#define THRESHOLD_REACHED      0x3807 /* THIN PROVISIONING SOFT THRESHOLD REACHED */
#define REMOVAL_PREVENTED      0x5302
#define INSUFFICIENT_RESOURCES 0x5503

static bool is_running(const struct arbiter_state *s)
{
	return s->operation == OPERATION_FORMAT || s->operation == OPERATION_SANITIZE;
}

static enum decision answer_running(const struct arbiter_state *s, struct arbiter_answer *ret)
{
	bool format = s->operation == OPERATION_FORMAT;

	return answer_sense(ret, NOT_READY, format ? FORMAT_IN_PROGRESS : SANITIZE_IN_PROGRESS);
}

/* --- loading --- */

static enum decision stop(struct arbiter_record *draft, bool stopped)
{
	if ((draft->state.stopped != 0) == stopped)
		return DECISION_ANSWER;
	draft->state.stopped = stopped;
	return DECISION_CHANGE;
}

static enum decision eject(struct arbiter_record *draft)
{
	if (draft->state.ejected)
		return DECISION_ANSWER;
	draft->state.ejected = true;
	return DECISION_CHANGE;
}

/* Everybody but who asked for it hears that there is a medium. */
static enum decision insert(const struct member *m, struct arbiter_record *draft)
{
	if (!draft->state.ejected)
		return stop(draft, false);
	draft->state.ejected = draft->state.stopped = false;
	record_event(draft, &(struct arbiter_event){
				    .except = m->nexus,
				    .by = m->connection,
				    .code = NOT_READY_TO_READY,
			    });
	return DECISION_CHANGE;
}

/* P3: who may only read the disk takes it away from nobody who may write it. */
static bool takes_away(const struct court *c, const struct member *m, unsigned k)
{
	for (const struct member *o = c->members; o != NULL && !m->luns[k].writable;
	     o = o->next_member) {
		for (unsigned n = 0; n < o->lun_count; n++) {
			if (o->luns[n].disk == m->luns[k].disk && o->luns[n].writable)
				return true;
		}
	}
	return false;
}

enum decision order_load(struct court *c, struct member *m, unsigned k,
			 struct arbiter_record *draft, struct arbiter_answer *ret)
{
	enum order_load action = (enum order_load)m->order.action;
	bool moves = action == ORDER_LOAD_EJECT || action == ORDER_LOAD_INSERT;
	bool ends = action == ORDER_LOAD_STOP || action == ORDER_LOAD_EJECT;

	if (ends && takes_away(c, m, k))
		return answer_sense(ret, DATA_PROTECT, WRITE_PROTECTED);
	if (is_running(&draft->state))
		return answer_running(&draft->state, ret);
	if (moves && draft->state.prevented)
		return answer_sense(ret, ILLEGAL_REQUEST, REMOVAL_PREVENTED);
	if (action == ORDER_LOAD_INSERT)
		return insert(m, draft);
	if (draft->state.ejected && !moves)
		return answer_sense(ret, NOT_READY, NO_MEDIUM);
	return moves ? eject(draft) : stop(draft, action == ORDER_LOAD_STOP);
}

/* --- prevention --- */

static bool is_prevented(const struct arbiter_record *r)
{
	for (size_t k = 0; k < ARBITER_PREVENTERS; k++) {
		if (r->preventers[k] != 0)
			return true;
	}
	return false;
}

/* The place of that one; 0: a free one. NULL: there is none. */
static uint64_t *preventer(struct arbiter_record *r, uint64_t who)
{
	for (size_t k = 0; k < ARBITER_PREVENTERS; k++) {
		if (r->preventers[k] == who)
			return &r->preventers[k];
	}
	return NULL;
}

bool preventers_sweep(const struct court *c, struct arbiter_record *draft)
{
	bool any = false;

	for (size_t k = 0; k < ARBITER_PREVENTERS; k++) {
		const struct member *m;

		if (draft->preventers[k] == 0)
			continue;
		m = court_find(c, (uint32_t)(draft->preventers[k] >> 32));
		if (m != NULL && !m->left)
			continue;
		draft->preventers[k] = 0;
		any = true;
	}
	draft->state.prevented = is_prevented(draft);
	return any;
}

/* Each nexus prevents for itself: the medium is kept in as long as one does. */
enum decision order_prevent(struct court *c, struct member *m, unsigned k,
			    struct arbiter_record *draft, struct arbiter_answer *ret)
{
	uint64_t who = (uint64_t)m->connection << 32 | m->luns[k].lun;
	uint64_t *place = preventer(draft, who);
	bool prevents = place != NULL;

	(void)c;
	if (prevents == (m->order.action != 0))
		return DECISION_ANSWER;
	if (place == NULL && (place = preventer(draft, 0)) == NULL)
		return answer_sense(ret, ILLEGAL_REQUEST, INSUFFICIENT_RESOURCES);
	*place = prevents ? 0 : who;
	draft->state.prevented = is_prevented(draft);
	return DECISION_CHANGE;
}

/* --- operations --- */

/* SPC-4 section 5.13: every reservation keeps those from writing who neither hold it nor, where it
 * is one for registrants, are registered. */
static bool is_excluded(const struct arbiter_record *r, uint64_t nexus)
{
	uint8_t type = r->state.reservation;

	if (type == RESERVATION_NONE || r->state.holder == nexus ||
	    reservation_is_held_by(r, nexus))
		return false;
	return !reservation_is_of_registrants(type) || !registration_exists(r, nexus);
}

static void set_operation(struct arbiter_record *draft, enum disk_operation operation,
			  const struct member *by)
{
	draft->state.operation = (uint8_t)operation;
	draft->state.progress = 0;
	draft->operator_connection = by == NULL ? 0 : by->connection;
	draft->operator_order = by == NULL ? 0 : by->order.id;
}

/* Asked again, after the arbiter that let it begin died. */
static bool has_begun(const struct member *m, const struct arbiter_record *r)
{
	return is_running(&r->state) && r->operator_connection == m->connection &&
	       r->operator_order == m->order.id;
}

/* SBC-4: after a sanitize that failed there is no way out but a sanitize; and one that was allowed
 * no other way out is not to be followed by one that is. */
static enum decision begin(const struct member *m, struct arbiter_record *draft,
			   struct arbiter_answer *ret)
{
	struct arbiter_state *s = &draft->state;
	bool sanitize = m->order.action == OPERATION_SANITIZE;
	bool free_exit = sanitize && (m->order.flags & ORDER_FREE_EXIT) != 0;

	ret->field = s->operation;
	if (has_begun(m, draft))
		return DECISION_ANSWER;
	if (is_excluded(draft, m->nexus))
		return answer_conflict(ret);
	if (is_running(s))
		return answer_running(s, ret);
	if (s->ejected)
		return answer_sense(ret, NOT_READY, NO_MEDIUM);
	if (s->operation == OPERATION_SANITIZE_FAILED && !sanitize)
		return answer_sense(ret, MEDIUM_ERROR, SANITIZE_FAILED);
	if (s->operation == OPERATION_SANITIZE_FAILED && free_exit && !s->free_exit)
		return answer_sense(ret, ILLEGAL_REQUEST, INVALID_FIELD_IN_CDB);
	set_operation(draft, sanitize ? OPERATION_SANITIZE : OPERATION_FORMAT, m);
	s->free_exit = free_exit;
	return DECISION_KEEP;
}

/* SBC-4, EXIT FAILURE MODE: where nothing failed there is nothing to leave. */
static enum decision leave_failure(const struct member *m, struct arbiter_record *draft,
				   struct arbiter_answer *ret)
{
	if (is_excluded(draft, m->nexus))
		return answer_conflict(ret);
	if (is_running(&draft->state))
		return answer_running(&draft->state, ret);
	if (draft->state.operation != OPERATION_SANITIZE_FAILED)
		return DECISION_ANSWER;
	if (!draft->state.free_exit)
		return answer_sense(ret, ILLEGAL_REQUEST, INVALID_FIELD_IN_CDB);
	set_operation(draft, OPERATION_NONE, NULL);
	return DECISION_KEEP;
}

static enum disk_operation failed(const struct arbiter_state *s)
{
	return s->operation == OPERATION_FORMAT ? OPERATION_FORMAT_FAILED
						: OPERATION_SANITIZE_FAILED;
}

enum decision order_operation(struct court *c, struct member *m, unsigned k,
			      struct arbiter_record *draft, struct arbiter_answer *ret)
{
	struct arbiter_state *s = &draft->state;
	bool ours = is_running(s) && draft->operator_connection == m->connection;

	(void)c;
	if (!m->luns[k].writable)
		return answer_sense(ret, DATA_PROTECT, WRITE_PROTECTED);
	if (m->order.flags & ORDER_EXIT)
		return leave_failure(m, draft, ret);
	if (m->order.flags & ORDER_BEGIN)
		return begin(m, draft, ret);
	if (!ours)
		return answer_sense(ret, ILLEGAL_REQUEST, INVALID_FIELD_IN_CDB);
	if (m->order.action == s->operation) {
		s->progress = (uint16_t)MIN(m->order.at, UINT16_MAX);
		return DECISION_CHANGE;
	}
	set_operation(draft, m->order.action == OPERATION_NONE ? OPERATION_NONE : failed(s), NULL);
	return DECISION_KEEP;
}

/* --- what the monitor sees --- */

/* SBC-3 section 4.7: who uses the disk asks for its capacity again. */
int news_take(struct court *c, unsigned disk, uint64_t size, bool low)
{
	struct arbiter_record *draft;
	bool grew;
	int r;

	if (court_record(c, disk) == NULL)
		return -ENOMEM;
	draft = change_draft(c, disk);
	grew = size > draft->state.size;
	draft->state.size = MAX(size, draft->state.size);
	if (grew)
		record_event(draft, &(struct arbiter_event){.code = CAPACITY_CHANGED});
	if (low)
		record_event(draft, &(struct arbiter_event){.code = THRESHOLD_REACHED});
	if (!grew && !low)
		return 0;
	r = change_keep(c, disk, false);
	if (r == 0 && grew)
		tokens_revoke(c, disk);
	return r < 0 ? r : 1;
}
