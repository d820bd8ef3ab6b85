/* Task management, RFC 7143 sections 11.5 and 11.6: it ends tasks, and answers only when
 * the last of these has ended. For the tasks of this session; what others must see
 * of it is told to the host. Runs in the session process. */
#include "gateway/iscsi/core.h"

enum tmf_scope { SCOPE_NONE, SCOPE_TASK, SCOPE_LUN, SCOPE_TARGET, SCOPE_ASK };

/* clang-format off */
static const struct function {
	uint8_t function;
	enum tmf_scope scope;
	enum tmf_verdict verdict;
	bool spreads;		/* to every session that has the LUN */
	uint8_t protocol_level; /* at least */
	enum tmf_verdict (*ask)(struct iscsi *i, struct slot *s); /* instead of the verdict */
} functions[] = {
	/* function              scope         verdict            spreads level */
	{ TMF_ABORT_TASK,        SCOPE_TASK,   TMF_COMPLETE,      false,  0, NULL },
	{ TMF_ABORT_TASK_SET,    SCOPE_LUN,    TMF_COMPLETE,      false,  0, NULL },
	{ TMF_CLEAR_ACA,         SCOPE_NONE,   TMF_NOT_SUPPORTED, false,  0, NULL }, /* NormACA is 0 */
	{ TMF_CLEAR_TASK_SET,    SCOPE_LUN,    TMF_COMPLETE,      false,  0, NULL }, /* one task set for each I_T nexus */
	{ TMF_LUN_RESET,         SCOPE_LUN,    TMF_COMPLETE,      true,   0, NULL },
	{ TMF_TARGET_WARM_RESET, SCOPE_TARGET, TMF_COMPLETE,      true,   0, NULL },
	{ TMF_TARGET_COLD_RESET, SCOPE_TARGET, TMF_COMPLETE,      true,   0, NULL },
	{ TMF_TASK_REASSIGN,     SCOPE_NONE,   TMF_COMPLETE,      false,  0, NULL },
	{ TMF_QUERY_TASK,        SCOPE_ASK,    TMF_COMPLETE,      false,  PROTOCOL_LEVEL_7144, query_task },
	{ TMF_QUERY_TASK_SET,    SCOPE_ASK,    TMF_COMPLETE,      false,  PROTOCOL_LEVEL_7144, query_task_set },
	{ TMF_NEXUS_RESET,       SCOPE_TARGET, TMF_COMPLETE,      false,  PROTOCOL_LEVEL_7144, NULL },
	{ TMF_QUERY_EVENT,       SCOPE_ASK,    TMF_COMPLETE,      false,  PROTOCOL_LEVEL_7144, query_event },
};
/* clang-format on */

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

		if (slots_has(set, s) && (!can_end(s) || task_cancel(i, s)))
			set_remove(set, s);
	}
}

/* What the answer that is queued brings with it: RFC 7143 section 11.5.1, RFC 7144 section 6.3. */
static void follow(struct slot *s)
{
	uint8_t function = s->pdu.flags & 0x7f;

	if (function == TMF_TARGET_COLD_RESET)
		session_end_all(s->conn->i, "the initiator asked for a target cold reset");
	else if (function == TMF_NEXUS_RESET)
		session_end_all(s->conn->i, "the initiator asked for an I_T nexus reset");
	else if (function == TMF_TASK_REASSIGN)
		task_reassign(s->conn, &s->pdu);
}

/* Answers when nothing is left to wait for. */
void waiter_answer(struct slot *s)
{
	if (!set_is_empty(s->waits) || s->unrecorded || s->spreading || s->gap || !fence_passes(s))
		return;
	s->state = SLOT_ANSWERING;
	tx_queue(s->conn, &s->answer);
	if (s->kind == SLOT_LOGOUT)
		logout_answered(s);
	else if (s->verdict == TMF_COMPLETE)
		follow(s);
}

void waiter_add(struct slot *s, const struct slot *task)
{
	if (can_end(task))
		set_add(s->waits, task);
}

static void task_over(struct iscsi *i, const struct slot *over)
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

/* Is it a request of this kind that the tag names, perhaps this very one? */
static bool names_request(struct iscsi *i, uint32_t itt)
{
	EACH_SLOT(i, n)
	if (i->slots[n].pdu.opcode == OP_TMF && i->slots[n].task.itt == itt)
		return true;
	return false;
}

/* RFC 7143 section 11.6.1: a command that has not come yet counts as received. */
enum tmf_verdict tmf_missing(struct iscsi *i, const struct pdu *pdu)
{
	uint32_t ref = pdu_u32(pdu, BHS_REFCMDSN);

	if (names_request(i, pdu_u32(pdu, BHS_RTT)))
		return TMF_REJECTED;
	if (!serial_before(ref, pdu->cmdsn) || !window_expects(i, ref))
		return TMF_NO_TASK;
	window_plug(i, ref);
	return TMF_COMPLETE;
}

static enum tmf_verdict abort_task(struct iscsi *i, const struct pdu *pdu, uint64_t set[])
{
	struct slot *s = slot_by_itt(i, pdu_u32(pdu, BHS_RTT));

	if (!s || s->state == SLOT_FILLING)
		return tmf_missing(i, pdu);
	if (!can_end(s) || memcmp(s->task.lun, pdu->bhs + BHS_LUN, 8) != 0)
		return TMF_NO_TASK;
	set_add(set, s);
	return TMF_COMPLETE;
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

static bool names_lun(const struct function *f)
{
	return f->scope == SCOPE_LUN || f->scope == SCOPE_ASK;
}

/* Collects the tasks that end, those that have not come included. */
static enum tmf_verdict choose(struct iscsi *i, struct slot *s)
{
	const struct function *f = function_of(&s->pdu);

	if (!f || f->protocol_level > i->protocol_level)
		return TMF_NOT_SUPPORTED;
	if (f->function == TMF_TASK_REASSIGN)
		return task_may_move(i, &s->pdu);
	if (names_lun(f) && !i->ops->lun_exists(i->host, s->pdu.bhs + BHS_LUN))
		return TMF_NO_LUN;
	if (f->ask)
		return f->ask(i, s);
	if (f->scope == SCOPE_TASK)
		return abort_task(i, &s->pdu, s->waits);
	if (f->scope == SCOPE_NONE)
		return f->verdict;
	collect(i, &s->pdu, f->scope == SCOPE_TARGET, s->waits);
	if (f->scope == SCOPE_TARGET)
		abort_set_plug(i, &s->pdu);
	else
		abort_set_wait(i, s);
	return f->verdict;
}

/* A slot that waits for tasks, that in which the request was held if it was; NULL: rejected. */
struct slot *waiter_new(struct iscsi_connection *c, enum slot_kind kind, const struct pdu *pdu)
{
	struct slot *s = c->i->in_turn ? TAKE(c->i->in_turn) : slot_new(c, kind, pdu);

	if (!s) {
		reject(c, pdu, pdu->immediate ? REJECT_IMMEDIATE : REJECT_RESOURCES);
		return NULL;
	}
	s->kind = kind;
	slot_activate(c->i, s);
	return s;
}

void waiter_spread(struct slot *s, uint8_t function)
{
	struct iscsi *i = s->conn->i;
	struct iscsi_tmf_request request = {.slot = s->task.slot, .function = function};

	memcpy(request.lun, s->pdu.bhs + BHS_LUN, sizeof request.lun);
	s->spreading = true; /* the host may answer from within */
	if (i->ops->spread(i->host, &request))
		s->spreading = false;
}

static void spread(struct slot *s)
{
	const struct function *f = function_of(&s->pdu);

	if (s->verdict == TMF_COMPLETE && f->spreads)
		waiter_spread(s, f->function);
}

/* What may end by it goes on until it is recorded: its own end is none of this request's then. */
void waiters_forget(struct iscsi *i, const struct slot *over)
{
	EACH_SLOT(i, n)
	if (i->slots[n].unrecorded)
		set_remove(i->slots[n].waits, over);
}

static void reject_it(struct slot *s)
{
	memset(s->waits, 0, sizeof s->waits);
	abort_set_forget(s->conn->i, s);
	s->verdict = TMF_REJECTED;
}

/* True: it may be carried out now. */
static bool record(struct slot *s)
{
	struct iscsi *i = s->conn->i;
	struct iscsi_tmf_request request = {
		.slot = s->task.slot,
		.function = s->pdu.flags & 0x7f,
		.itt = pdu_u32(&s->pdu, BHS_RTT),
		.response = s->verdict,
	};
	int r;

	memcpy(request.lun, s->pdu.bhs + BHS_LUN, sizeof request.lun);
	r = i->ops->manage(i->host, &request);
	if (r < 0)
		reject_it(s);
	s->unrecorded = r > 0;
	i->unrecorded += s->unrecorded;
	return r == 0;
}

static void carry_out(struct slot *s)
{
	abort_set_tell(s->conn->i, s->waits, s->conn);
	tmf_cancel(s->conn->i, s->waits);
	spread(s);
}

bool iscsi_tmf_recorded(struct iscsi *i, unsigned slot, bool well)
{
	struct slot *s = &i->slots[slot];

	assert(slot < ISCSI_TASKS_MAX && s->unrecorded);
	s->unrecorded = false;
	i->unrecorded--;
	if (s->state == SLOT_CANCELLING) {
		slot_free(i, s);
		return false;
	}
	if (well)
		carry_out(s);
	else
		reject_it(s);
	waiter_answer(s);
	rx_run(i); /* a task that was held gives the turn to what is behind it */
	return well;
}

void iscsi_tmf_spread_done(struct iscsi *i, unsigned slot)
{
	struct slot *s = &i->slots[slot];

	assert(slot < ISCSI_TASKS_MAX && s->spreading);
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
	abort_set_tell(i, set, NULL);
	tmf_cancel(i, set);
	rx_run(i); /* a task that was held gives the turn to what is behind it */
}

/* The host forgets it now; its data may still be on the way. */
static void task_tell(struct iscsi *i, struct slot *s)
{
	if (!connection_lives(s->conn) && s->conn->phase != PHASE_LOST) {
		(void)task_cancel(i, s); /* nobody is there to be told */
		return;
	}
	s->fault = FAULT_ABORTED;
	s->wanting = false;
	tx_unqueue(s->conn, &s->ask);
	if (s->in_host && !i->ops->cancel(i->host, &s->task)) {
		s->state = SLOT_CANCELLING; /* iscsi_task_end() answers */
		return;
	}
	s->in_host = false;
	data_out_progress(i, s);
}

void iscsi_abort_lun_told(struct iscsi *i, const uint8_t lun[8])
{
	EACH_SLOT(i, n)
	{
		struct slot *s = &i->slots[n];

		if (s->kind == SLOT_COMMAND && s->state == SLOT_ACTIVE && !s->responded &&
		    s->fault == FAULT_NONE && memcmp(s->task.lun, lun, 8) == 0)
			task_tell(i, s);
	}
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
	s->verdict = (uint8_t)choose(c->i, s);
	if (record(s))
		carry_out(s);
	waiter_answer(s);
}

void tmf_frame(struct slot *s, uint8_t bhs[ISCSI_BHS_SIZE])
{
	bhs_start(bhs, OP_TMF_RESPONSE, FLAG_FINAL, s->task.itt);
	bhs[2] = s->verdict;
	memcpy(bhs + BHS_TMF_INFO, s->info, sizeof s->info);
}

void iscsi_task_end(struct iscsi *i, struct iscsi_task *task)
{
	struct slot *s = slot_of(i, task);

	assert(s->state == SLOT_CANCELLING);
	s->in_host = false;
	task_over(i, s);
	if (s->fault != FAULT_NONE && !i->lost)
		command_fail(i, s);
	else
		slot_free(i, s);
}
