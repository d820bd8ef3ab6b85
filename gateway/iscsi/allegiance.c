/* Which connection a task belongs to, and what becomes of it when that is lost: RFC 7143
 * sections 4.2.5.1, 7.2.2 and 7.5. Below level 2 a task ends with its connection. At
 * level 2 it waits, without a word to anybody, until the initiator reassigns it to
 * another connection or the time for that is over. Runs in the session process. */
#include "gateway/iscsi/core.h"

static void slot_drop(struct iscsi *i, struct slot *s)
{
	s->fault = FAULT_NONE; /* nobody is there to be told */
	if (s->state == SLOT_CANCELLING)
		return;
	i->held_count -= s->state == SLOT_HELD;
	if (s->kind == SLOT_LOGOUT && s->state == SLOT_ACTIVE)
		logout_dropped(s);
	if (s->spreading || s->unrecorded) {
		s->state = SLOT_CANCELLING; /* until the host has done with it */
		return;
	}
	if (s->in_host && !i->ops->cancel(i->host, &s->task)) {
		s->state = SLOT_CANCELLING;
		return;
	}
	s->in_host = false;
	slot_free(i, s);
}

/* Of one connection, or all of them (NULL). */
void session_drop_tasks(struct iscsi *i, const struct iscsi_connection *c)
{
	EACH_SLOT(i, n)
	if (!c || i->slots[n].conn == c)
		slot_drop(i, &i->slots[n]);
}

static bool has_tasks(const struct iscsi *i, const struct iscsi_connection *c)
{
	EACH_SLOT(i, n)
	if (i->slots[n].conn == c)
		return true;
	return false;
}

/* What has not been in its turn was not acknowledged, so it comes again; so does what was asked of
 * us about other tasks. */
static void drop_all_but_commands(struct iscsi *i, const struct iscsi_connection *c)
{
	EACH_SLOT(i, n)
	{
		struct slot *s = &i->slots[n];

		if (s->conn == c &&
		    (s->kind != SLOT_COMMAND || s->state == SLOT_FILLING || s->state == SLOT_HELD))
			slot_drop(i, s);
	}
}

void connection_detach(struct iscsi_connection *c)
{
	struct iscsi *i = c->i;
	bool kept = c->was_full && !c->logged_out && !i->lost && i->level == 2 &&
		    i->time2retain > 0;

	if (c->phase == PHASE_LOST && c->logged_out) { /* nothing waits any more */
		c->phase = PHASE_GONE;
		session_drop_tasks(i, c);
	}
	if (c->phase >= PHASE_LOST)
		return;
	c->lost = true;
	c->phase = kept ? PHASE_LOST : PHASE_GONE;
	c->until_ms = i->now_ms + 1000ull * (i->time2wait + i->time2retain);
	tx_drop_all(c);
	drop_all_but_commands(i, c);
	fence_moved(i);
	if (!kept)
		session_drop_tasks(i, c);
}

/* RFC 7143 section 11.9: event 2 tells the other connections. */
static void tell_the_others(const struct iscsi_connection *gone)
{
	const struct iscsi *i = gone->i;
	struct async a = {.event = ASYNC_CONNECTION_DROPPED, .parameter = {gone->cid}};

	if (gone->phase == PHASE_LOST) {
		a.parameter[1] = (uint16_t)i->time2wait;
		a.parameter[2] = (uint16_t)i->time2retain;
	}
	EACH_CONNECTION(i, c)
	if (connection_lives(c))
		async_send(c, &a);
}

void iscsi_disconnected(struct iscsi_connection *c)
{
	struct iscsi *i = c->i;
	bool unexpected = c->phase < PHASE_LOST && !c->logged_out && c->was_full;

	c->attached = false;
	connection_detach(c);
	if (unexpected)
		tell_the_others(c);
	session_sweep(i);
}

/* Not from within a handler: it may be of the connection that goes. */
void session_sweep(struct iscsi *i)
{
	EACH_CONNECTION(i, c)
	if (c->phase == PHASE_GONE && !c->attached && !has_tasks(i, c))
		connection_unmap(c);
}

void allegiance_tick(struct iscsi *i)
{
	EACH_CONNECTION(i, c)
	{
		if (c->phase != PHASE_LOST || i->now_ms < c->until_ms)
			continue;
		c->phase = PHASE_GONE;
		session_drop_tasks(i, c);
	}
	session_sweep(i);
}

void session_make_place(struct iscsi *i)
{
	struct iscsi_connection *oldest = NULL;
	unsigned used = 0;

	session_sweep(i);
	EACH_CONNECTION(i, c)
	{
		used++;
		if (c->phase == PHASE_LOST && !c->attached &&
		    (!oldest || c->until_ms < oldest->until_ms))
			oldest = c;
	}
	if (used < CONNECTION_PLACES || !oldest)
		return;
	oldest->phase = PHASE_GONE;
	session_drop_tasks(i, oldest);
	session_sweep(i);
}

void session_end_all(struct iscsi *i, const char *why)
{
	EACH_CONNECTION(i, c)
	{
		c->logged_out = true;
		if (c->phase == PHASE_LOST)
			c->phase = PHASE_GONE;
		connection_end(c, ISCSI_END_LOGOUT, "%s", why);
	}
}

/* --- task reassignment, RFC 7143 sections 7.2.2 and 11.5 --- */

/* One that was answered, too, as long as that is kept. */
static struct slot *task_referred(struct iscsi *i, const struct pdu *pdu)
{
	struct slot *s = slot_by_itt(i, pdu_u32(pdu, BHS_RTT));

	return s ? s : slot_answered(i, pdu_u32(pdu, BHS_RTT));
}

enum tmf_verdict task_may_move(struct iscsi *i, const struct pdu *pdu)
{
	const struct slot *s = task_referred(i, pdu);

	if (i->level < 2)
		return TMF_NO_REASSIGN;
	if (!s || s->state == SLOT_CANCELLING || memcmp(s->task.lun, pdu->bhs + BHS_LUN, 8) != 0)
		return TMF_NO_TASK;
	return s->conn->phase == PHASE_LOST ? TMF_COMPLETE : TMF_STILL_ALLEGIANT;
}

/* Data that was asked for and did not come is asked for again; what was answered goes out again,
 * from the Data-In that the initiator expects next. */
void task_reassign(struct iscsi_connection *c, const struct pdu *pdu)
{
	struct slot *s = task_referred(c->i, pdu);
	uint32_t expdatasn = pdu_u32(pdu, BHS_DATASN);

	kept_remove(s->conn, &s->answer);
	s->conn = c;
	s->r2t_open = 0;
	s->hole = false;
	s->unsolicited = false;
	s->asked = s->got;
	if (s->state == SLOT_ACTIVE)
		data_out_progress(c->i, s);
	else
		command_answer_again(s, expdatasn);
}

bool iscsi_is_over(const struct iscsi *i)
{
	EACH_CONNECTION(i, c)
	if (c->phase != PHASE_GONE)
		return false;
	return true;
}
