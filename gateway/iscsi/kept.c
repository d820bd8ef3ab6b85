/* What was sent at ErrorRecoveryLevel 1 and above, and can be asked for again: RFC 7143
 * section 7.1.4. Every numbered answer stays, in the order of StatSN, until the
 * initiator's ExpStatSN has passed it. Bounded by what there is anyhow: slots, whose
 * number the window is made smaller by, and the pool of other answers, which gives
 * up its oldest ones. Runs in the session process; ExpStatSN is the peer's. */
#include "gateway/iscsi/core.h"

#define KEPT_MANY (ISCSI_WINDOW_MAX / 2)

void kept_add(struct iscsi_connection *c, struct job *job)
{
	job->kept = true;
	job->next_kept = NULL;
	*c->tx.kept_last = job;
	c->tx.kept_last = &job->next_kept;
}

void kept_remove(struct iscsi_connection *c, struct job *job)
{
	struct job **at = &c->tx.kept_first;

	if (!job->kept)
		return;
	while (*at != job)
		at = &(*at)->next_kept;
	*at = job->next_kept;
	if (!*at)
		c->tx.kept_last = at;
	job->kept = false;
}

/* RFC 7143 section 4.2.2.2. What was not given yet can't be acknowledged: that number is passed
 * over. */
void kept_acknowledge(struct iscsi_connection *c, const struct pdu *pdu)
{
	uint32_t expected = pdu_u32(pdu, BHS_EXPSTATSN);
	struct job *job;

	if (!serial_before(c->tx.acked, expected) || !serial_at_most(expected, c->tx.statsn))
		return;
	c->tx.acked = expected;
	c->tx.solicited = false;
	while ((job = c->tx.kept_first) && serial_before(job->statsn, c->tx.acked)) {
		kept_remove(c, job);
		tx_release(c, job);
	}
	kept_solicit(c->i);
	fence_moved(c->i);
}

bool kept_give_up(struct iscsi_connection *c)
{
	for (struct job *job = c->tx.kept_first; job; job = job->next_kept) {
		if (job->kind != JOB_MISC || job->queued ||
		    CONTAINER_OF(job, struct misc, job)->in_frames > 0)
			continue;
		kept_remove(c, job);
		tx_release(c, job);
		return true;
	}
	return false;
}

/* RFC 7143 section 7.1.4.2: a NOP-In shows the next StatSN to who does not acknowledge, and has to
 * be answered. One at a time, and the next only when that has moved something. */
void kept_solicit(struct iscsi *i)
{
	if (i->level == 0 || (i->withheld < KEPT_MANY && !i->waiting_first &&
			      i->immediate_used < ISCSI_IMMEDIATE_MAX))
		return;
	EACH_CONNECTION(i, c)
	{
		if (c->phase != PHASE_FULL || !c->tx.kept_first || c->tx.solicited)
			continue;
		c->tx.solicited = true;
		connection_ping(c);
	}
}
