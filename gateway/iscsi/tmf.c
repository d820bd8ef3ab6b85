/* Task management, RFC 7143 sections 11.5 and 11.6: it ends tasks, and answers only when
 * the last of these has ended. For the tasks of this session; what others must see
 * of it is told to the host. Runs in the session process. */
#include "gateway/iscsi/core.h"

enum tmf_scope { SCOPE_NONE, SCOPE_TASK, SCOPE_LUN, SCOPE_TARGET };

static const struct function {
	uint8_t function;
	enum tmf_scope scope;
	enum tmf_verdict verdict;
	bool spreads; /* to every session that has the LUN */
} functions[] = {
	{TMF_ABORT_TASK, SCOPE_TASK, TMF_COMPLETE, false},
	{TMF_ABORT_TASK_SET, SCOPE_LUN, TMF_COMPLETE, false},
	{TMF_CLEAR_ACA, SCOPE_NONE, TMF_NOT_SUPPORTED, false}, /* NormACA is 0 */
	{TMF_CLEAR_TASK_SET, SCOPE_LUN, TMF_COMPLETE, false},  /* one task set for each I_T nexus */
	{TMF_LUN_RESET, SCOPE_LUN, TMF_COMPLETE, true},
	{TMF_TARGET_WARM_RESET, SCOPE_TARGET, TMF_COMPLETE, true},
	{TMF_TARGET_COLD_RESET, SCOPE_TARGET, TMF_COMPLETE, true},
	{TMF_TASK_REASSIGN, SCOPE_NONE, TMF_COMPLETE, false},
};

static bool set_is_empty(const uint64_t set[SLOT_WORDS])
{
	uint64_t any = 0;

	for (unsigned n = 0; n < SLOT_WORDS; n++)
		any |= set[n];
	return any == 0;
}

static void set_add(uint64_t set[SLOT_WORDS], const struct slot *s)
{
	set[s->task.slot / 64] |= 1ull << s->task.slot % 64;
}

static void set_remove(uint64_t set[SLOT_WORDS], const struct slot *s)
{
	set[s->task.slot / 64] &= ~(1ull << s->task.slot % 64);
}

static bool set_has(const uint64_t set[SLOT_WORDS], const struct slot *s)
{
	return (set[s->task.slot / 64] & 1ull << s->task.slot % 64) != 0;
}

static bool can_end(const struct slot *s)
{
	return s->kind == SLOT_COMMAND &&
	       (s->state == SLOT_HELD || s->state == SLOT_ACTIVE || s->state == SLOT_CANCELLING);
}

/* True: the task is over. False: something still runs for it. */
static bool task_cancel(struct iscsi *i, struct slot *s)
{
	aborted_remember(i, s->task.itt);
	if (s->state == SLOT_HELD) {
		i->held_count--;
		window_plug(i, s->task.cmdsn);
	}
	if (s->state == SLOT_CANCELLING || (s->in_host && !i->ops->cancel(i->host, &s->task))) {
		s->state = SLOT_CANCELLING;
		s->fault = FAULT_NONE; /* no response any more */
		tx_unqueue(s->conn, &s->ask);
		return false;
	}
	s->in_host = false;
	slot_free(i, s);
	return true;
}

void tmf_cancel(struct iscsi *i, uint64_t set[SLOT_WORDS])
{
	EACH_SLOT(i, n)
	{
		struct slot *s = &i->slots[n];

		if (set_has(set, s) && (!can_end(s) || task_cancel(i, s)))
			set_remove(set, s);
	}
}

/* Answers when nothing is left to wait for. */
void waiter_answer(struct slot *s)
{
	uint8_t function = s->pdu.flags & 0x7f;

	if (!set_is_empty(s->waits) || s->spreading)
		return;
	s->state = SLOT_ANSWERING;
	tx_queue(s->conn, &s->answer);
	if (s->kind == SLOT_LOGOUT)
		logout_answered(s);
	else if (function == TMF_TARGET_COLD_RESET && s->verdict == TMF_COMPLETE)
		session_end_all(s->conn->i, "the initiator asked for a target cold reset");
	else if (function == TMF_TASK_REASSIGN && s->verdict == TMF_COMPLETE)
		task_reassign(s->conn, &s->pdu);
}

void waiter_add(struct slot *s, const struct slot *task)
{
	if (can_end(task))
		set_add(s->waits, task);
}

void tmf_task_over(struct iscsi *i, const struct slot *over)
{
	EACH_SLOT(i, n)
	{
		struct slot *s = &i->slots[n];

		if (s->state != SLOT_ACTIVE || (s->kind != SLOT_TMF && s->kind != SLOT_LOGOUT))
			continue;
		set_remove(s->waits, over);
		waiter_answer(s);
	}
}

static enum tmf_verdict abort_task(struct iscsi *i, const struct pdu *pdu, uint64_t set[])
{
	uint32_t ref = pdu_u32(pdu, BHS_REFCMDSN);
	struct slot *s = slot_by_itt(i, pdu_u32(pdu, BHS_RTT));

	if (s && can_end(s) && memcmp(s->task.lun, pdu->bhs + BHS_LUN, 8) == 0) {
		set_add(set, s);
		return TMF_COMPLETE;
	}
	/* RFC 7143 section 11.6.1: a command that has not come yet counts as received */
	if (!s && serial_before(ref, pdu->cmdsn) && window_expects(i, ref)) {
		window_plug(i, ref);
		return TMF_COMPLETE;
	}
	return TMF_NO_TASK;
}

/* All tasks that were sent before this request: on its LUN, or on all. */
static void collect(struct iscsi *i, const struct pdu *pdu, bool all_luns, uint64_t set[])
{
	EACH_SLOT(i, n)
	{
		const struct slot *s = &i->slots[n];

		if (!can_end(s) || (!all_luns && memcmp(s->task.lun, pdu->bhs + BHS_LUN, 8) != 0))
			continue;
		if (s->task.immediate || serial_before(s->task.cmdsn, pdu->cmdsn))
			set_add(set, s);
	}
}

static const struct function *function_of(const struct pdu *pdu)
{
	for (size_t n = 0; n < ARRAY_LEN(functions); n++)
		if (functions[n].function == (pdu->flags & 0x7f))
			return &functions[n];
	return NULL;
}

static enum tmf_verdict choose(struct iscsi *i, const struct pdu *pdu, uint64_t set[])
{
	const struct function *f = function_of(pdu);

	if (!f)
		return TMF_NOT_SUPPORTED;
	if (f->function == TMF_TASK_REASSIGN)
		return task_may_move(i, pdu);
	if (f->scope == SCOPE_TASK)
		return abort_task(i, pdu, set);
	if (f->scope == SCOPE_LUN && !i->ops->lun_exists(i->host, pdu->bhs + BHS_LUN))
		return TMF_NO_LUN;
	if (f->scope != SCOPE_NONE)
		collect(i, pdu, f->scope == SCOPE_TARGET, set);
	return f->verdict;
}

/* A slot that waits for tasks; NULL: rejected. */
struct slot *waiter_new(struct iscsi_connection *c, enum slot_kind kind, const struct pdu *pdu)
{
	struct slot *s = slot_new(c, kind, pdu);

	if (!s) {
		reject(c, pdu, pdu->immediate ? REJECT_IMMEDIATE : REJECT_RESOURCES);
		return NULL;
	}
	slot_activate(c->i, s);
	return s;
}

static void spread(struct iscsi *i, struct slot *s)
{
	const struct function *f = function_of(&s->pdu);
	struct iscsi_tmf_request request = {.slot = s->task.slot};

	if (s->verdict != TMF_COMPLETE || !f->spreads)
		return;
	request.function = f->function;
	memcpy(request.lun, s->pdu.bhs + BHS_LUN, sizeof request.lun);
	s->spreading = true; /* the host may answer from within */
	if (i->ops->spread(i->host, &request))
		s->spreading = false;
}

void iscsi_tmf_spread_done(struct iscsi *i, unsigned slot)
{
	struct slot *s = &i->slots[slot];

	assert(slot < ISCSI_TASKS_MAX && s->kind == SLOT_TMF && s->spreading);
	s->spreading = false;
	if (s->state == SLOT_CANCELLING)
		slot_free(i, s);
	else
		waiter_answer(s);
}

void iscsi_abort_lun(struct iscsi *i, const uint8_t lun[8])
{
	uint64_t set[SLOT_WORDS] = {0};

	EACH_SLOT(i, n)
	if (can_end(&i->slots[n]) && memcmp(i->slots[n].task.lun, lun, 8) == 0)
		set_add(set, &i->slots[n]);
	tmf_cancel(i, set);
}

void tmf_run(struct iscsi_connection *c, struct pdu *pdu, bool digest_ok)
{
	struct slot *s;

	(void)digest_ok;
	if (!pdu->final || pdu->data_len > 0 || pdu->itt == TAG_NONE) {
		reject(c, pdu, REJECT_INVALID_FIELD);
		return;
	}
	s = waiter_new(c, SLOT_TMF, pdu);
	if (!s)
		return;
	s->verdict = (uint8_t)choose(c->i, pdu, s->waits);
	tmf_cancel(c->i, s->waits);
	spread(c->i, s);
	waiter_answer(s);
}

void tmf_frame(struct slot *s, uint8_t bhs[ISCSI_BHS_SIZE])
{
	bhs_start(bhs, OP_TMF_RESPONSE, FLAG_FINAL, s->task.itt);
	bhs[2] = s->verdict;
}

void iscsi_task_end(struct iscsi *i, struct iscsi_task *task)
{
	struct slot *s = slot_of(i, task);

	assert(s->state == SLOT_CANCELLING);
	s->in_host = false;
	tmf_task_over(i, s);
	if (s->fault != FAULT_NONE && !i->lost)
		command_fail(i, s);
	else
		slot_free(i, s);
}
