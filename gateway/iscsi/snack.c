/* SNACK, RFC 7143 section 11.16: what was lost on the way is sent again, as it was. Runs
 * in the session process; every number here is the peer's. A flood costs its sender
 * no less than reads do: a task has one run of data at a time under way, and the next
 * one is not even read before it is out; a status is queued once; all of it goes
 * into frames that the initiator must take first. */
#include "gateway/iscsi/core.h"

enum snack_type { SNACK_DATA, SNACK_STATUS, SNACK_DATA_ACK, SNACK_R_DATA };

static enum snack_type type_of(const struct pdu *pdu)
{
	return pdu->flags & 0x0f;
}

/* From BegRun on, RunLength of those that are to be had: `first` up to `next`. RFC 7143 sections
 * 11.16.6 and 11.16.7 give zeros a meaning of their own. */
struct run {
	uint32_t from, end;
};

static bool run_of(const struct pdu *pdu, uint32_t first, uint32_t next, struct run *ret_run)
{
	uint32_t from = pdu_u32(pdu, BHS_BEGRUN), len = pdu_u32(pdu, BHS_RUNLENGTH);

	if (from == 0 && len == 0) {
		*ret_run = (struct run){first, next};
		return true;
	}
	if (from - first >= next - first || len > next - from)
		return false;
	*ret_run = (struct run){from, len == 0 ? next : from + len};
	return true;
}

/* The task whose data a SNACK is about; NULL: none of this connection. */
static struct slot *task_of(struct iscsi_connection *c, const struct pdu *pdu)
{
	struct slot *s = slot_by_itt(c->i, pdu->itt);

	if (!s)
		s = slot_answered(c->i, pdu->itt);
	return s && s->conn == c && s->state != SLOT_CANCELLING ? s : NULL;
}

static bool r2t_again(struct iscsi *i, struct slot *s, const struct pdu *pdu)
{
	uint32_t first = s->r2t_open > 0 ? s->r2t[0].r2tsn : s->r2tsn;
	struct run run;

	return run_of(pdu, first, s->r2tsn, &run) && data_out_again(i, s, run.from, run.end);
}

/* Segments longer than the initiator takes by now are for an R-Data SNACK: section 11.16.3. */
static bool data_again(struct iscsi_connection *c, struct slot *s, const struct pdu *pdu)
{
	struct run run;

	if (s->acked_sn != s->base_sn || s->segment > c->peer_segment ||
	    !run_of(pdu, s->base_sn, s->datasn, &run))
		return false;
	s->again_sn = run.from;
	s->again_end = run.end;
	if (run.from != run.end)
		tx_queue(c, &s->again);
	return true;
}

static void data_run(struct iscsi_connection *c, const struct pdu *pdu)
{
	struct slot *s = task_of(c, pdu);

	if (!s)
		reject_run(c, pdu, 0);
	else if (s->task.write && !r2t_again(c->i, s, pdu))
		reject_run(c, pdu, s->r2tsn);
	else if (!s->task.write && !data_again(c, s, pdu))
		reject_run(c, pdu, s->datasn);
}

/* What was longer than the initiator takes by now can't be repeated. */
static bool is_in(const struct iscsi_connection *c, struct job *job, const struct run *run)
{
	if (job->kind == JOB_MISC &&
	    CONTAINER_OF(job, struct misc, job)->data_len > c->peer_segment)
		return false;
	return job->statsn - run->from < run->end - run->from;
}

static void status_again(struct iscsi_connection *c, struct job *job)
{
	/* a queued answer brings its status anyhow */
	if (job->kind == JOB_ANSWER && !job->queued)
		CONTAINER_OF(job, struct slot, answer)->status_again = true;
	tx_queue(c, job);
}

static void status_run(struct iscsi_connection *c, const struct pdu *pdu)
{
	struct run run;
	uint32_t found = 0;

	if (!run_of(pdu, c->tx.acked, c->tx.statsn, &run)) {
		reject(c, pdu, REJECT_PROTOCOL);
		return;
	}
	for (struct job *job = c->tx.kept_first; job; job = job->next_kept)
		found += is_in(c, job, &run);
	if (found != run.end - run.from) { /* some were given up for want of room */
		reject(c, pdu, REJECT_SNACK);
		return;
	}
	for (struct job *job = c->tx.kept_first; job; job = job->next_kept)
		if (is_in(c, job, &run))
			status_again(c, job);
}

/* We never ask for an acknowledgement of data (the A bit). */
static void data_ack_run(struct iscsi_connection *c, const struct pdu *pdu)
{
	reject(c, pdu, REJECT_DATA_ACK);
}

/* All of the data again, in segments as the initiator takes them now, and the status behind it with
 * the tag and the StatSN that it had: section 11.16.3. */
static void r_data_run(struct iscsi_connection *c, const struct pdu *pdu)
{
	struct slot *s = task_of(c, pdu);

	if (!s || !s->task.read) {
		reject_run(c, pdu, 0);
		return;
	}
	s->snack_tag = pdu_u32(pdu, BHS_SNACK_TAG);
	s->apart = true;
	if (s->state != SLOT_ANSWERING && s->state != SLOT_SENT)
		return;
	if (!data_in_restart(c->i, s, s->acked_sn, c->peer_segment)) {
		reject_run(c, pdu, s->datasn);
		return;
	}
	s->status_again = false;
	tx_queue(c, &s->answer);
}

static const struct snack {
	bool of_task; /* else there is no task tag */
	void (*run)(struct iscsi_connection *c, const struct pdu *pdu);
} snacks[] = {
	[SNACK_DATA] = {true, data_run},
	[SNACK_STATUS] = {false, status_run},
	[SNACK_DATA_ACK] = {false, data_ack_run},
	[SNACK_R_DATA] = {true, r_data_run},
};

/* RFC 7143 sections 11.16.4 to 11.16.7. */
static bool fields_ok(const struct pdu *pdu)
{
	uint32_t tag = pdu_u32(pdu, BHS_SNACK_TAG);
	enum snack_type type = type_of(pdu);

	if (!pdu->final || pdu->data_len > 0 || pdu->ahs_len > 0 || type >= ARRAY_LEN(snacks) ||
	    snacks[type].of_task != (pdu->itt != TAG_NONE))
		return false;
	if (type == SNACK_R_DATA)
		return tag != 0 && tag != TAG_NONE && pdu_u32(pdu, BHS_BEGRUN) == 0 &&
		       pdu_u32(pdu, BHS_RUNLENGTH) == 0;
	return type == SNACK_DATA_ACK || tag == TAG_NONE;
}

enum route snack_route(struct iscsi_connection *c, struct pdu *pdu)
{
	struct slot *s = NULL;

	c->rx.discard = true;
	if (c->i->level > 0 && type_of(pdu) == SNACK_DATA)
		s = task_of(c, pdu);
	return s && s->again.queued ? ROUTE_WAIT : ROUTE_GO;
}

void snack_run(struct iscsi_connection *c, struct pdu *pdu, bool digest_ok)
{
	if (c->i->level == 0 || !digest_ok)
		unsupported_run(c, pdu, digest_ok);
	else if (!fields_ok(pdu))
		reject(c, pdu, REJECT_INVALID_FIELD);
	else
		snacks[type_of(pdu)].run(c, pdu);
}
