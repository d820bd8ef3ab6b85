/* Logout, RFC 7143 sections 11.14 and 11.15: of the session, of one connection (this one
 * or another), or of a connection that was lost, so that its tasks can be reassigned.
 * The answer waits for the tasks that end by it. Runs in the session process. */
#include "gateway/iscsi/core.h"

enum { LOGOUT_SESSION, LOGOUT_CONNECTION, LOGOUT_FOR_RECOVERY };
enum { LOGOUT_DONE = 0, LOGOUT_NO_CID = 1, LOGOUT_NO_RECOVERY = 2 };

static uint8_t reason_of(const struct slot *s)
{
	return s->pdu.flags & 0x7f;
}

static void end_tasks(struct slot *s, const struct iscsi_connection *of)
{
	struct iscsi *i = s->conn->i;

	EACH_SLOT(i, n)
	if (!of || i->slots[n].conn == of)
		waiter_add(s, &i->slots[n]);
	tmf_cancel(i, s->waits);
}

static void leave_session(struct slot *s)
{
	EACH_CONNECTION(s->conn->i, c)
	{
		c->logged_out = true;
		c->closing = true;
	}
	end_tasks(s, NULL);
}

static void leave_connection(struct slot *s, struct iscsi_connection *of)
{
	of->logged_out = true;
	of->closing = true;
	end_tasks(s, of);
	if (of == s->conn)
		return;
	connection_end(of, ISCSI_END_LOGOUT, "the initiator logged it out");
	connection_detach(of);
}

/* Its tasks wait for the initiator to reassign them. */
static void remove_for_recovery(struct slot *s, struct iscsi_connection *of)
{
	if (of == s->conn) {
		of->closing = true;
		return;
	}
	connection_end(of, ISCSI_END_LOGOUT, "the initiator removed it for recovery");
	connection_detach(of);
}

static uint8_t leave(struct slot *s)
{
	struct iscsi *i = s->conn->i;
	struct iscsi_connection *of = connection_by_cid(i, pdu_u16(&s->pdu, BHS_CID));

	if (reason_of(s) == LOGOUT_FOR_RECOVERY && i->level < 2)
		return LOGOUT_NO_RECOVERY;
	if (reason_of(s) != LOGOUT_SESSION && !of)
		return LOGOUT_NO_CID;
	if (reason_of(s) == LOGOUT_SESSION)
		leave_session(s);
	else if (reason_of(s) == LOGOUT_CONNECTION)
		leave_connection(s, of);
	else
		remove_for_recovery(s, of);
	return LOGOUT_DONE;
}

static bool ends_session(const struct slot *s)
{
	bool own = pdu_u16(&s->pdu, BHS_CID) == s->conn->cid;

	return s->verdict == LOGOUT_DONE &&
	       (reason_of(s) == LOGOUT_SESSION ||
		(reason_of(s) == LOGOUT_CONNECTION && own && iscsi_connections(s->conn->i) <= 1));
}

void logout_run(struct iscsi_connection *c, struct pdu *pdu, bool digest_ok)
{
	struct slot *s;

	(void)digest_ok;
	if (!pdu->final || pdu->data_len > 0 || pdu->itt == TAG_NONE ||
	    (pdu->flags & 0x7f) > LOGOUT_FOR_RECOVERY) {
		reject(c, pdu, REJECT_INVALID_FIELD);
		return;
	}
	s = waiter_new(c, SLOT_LOGOUT, pdu);
	if (!s)
		return;
	s->verdict = leave(s);
	if (ends_session(s))
		waiter_spread(s, TMF_NONE); /* what the nexus held is free before the answer */
	waiter_answer(s);
}

/* The answer is queued: what it answers for closes behind it. */
void logout_answered(struct slot *s)
{
	if (s->verdict != LOGOUT_DONE)
		return;
	if (reason_of(s) == LOGOUT_SESSION)
		session_end_all(s->conn->i, "the initiator logged out");
	else if (pdu_u16(&s->pdu, BHS_CID) == s->conn->cid)
		connection_end(s->conn, ISCSI_END_LOGOUT, "the initiator logged it out");
}

/* Its connection is lost before it could be answered: what it asked for is done all the same. */
void logout_dropped(const struct slot *s)
{
	if (reason_of(s) == LOGOUT_SESSION)
		session_end_all(s->conn->i, "the initiator logged out");
}

void logout_frame(struct slot *s, uint8_t bhs[ISCSI_BHS_SIZE])
{
	const struct iscsi *i = s->conn->i;

	bhs_start(bhs, OP_LOGOUT_RESPONSE, FLAG_FINAL, s->task.itt);
	bhs[2] = s->verdict;
	put_be(bhs + 40, 2, i->time2wait);
	put_be(bhs + 42, 2, i->level == 2 ? i->time2retain : 0);
}
