/* What ends many tasks at once, RFC 7143 sections 4.2.3.3 and 4.2.3.4: the commands that
 * it is about and that have not come, and the other connections that are to stop
 * sending. Runs in the session process.
 *
 * One step of the standard is left out on purpose. With TaskReporting=RFC3720 a target is to wait
 * for the Data-Out that is owed to the tasks that end. Linux stops sending it whatever was
 * agreed on, so the wait would end with its patience, and a reset would be of no use when it is
 * needed. As with FastAbort, nothing is waited for, and what still comes is dropped in silence,
 * which section 10.7 asks for in all cases.
 */
#include "gateway/iscsi/core.h"

/* The CmdSN behind the last command that can have been sent before this request. */
static uint32_t end_of(const struct iscsi *i, const struct pdu *pdu)
{
	uint32_t last = i->maxcmdsn + 1;

	return serial_before(last, pdu->cmdsn) ? last : pdu->cmdsn;
}

/* RFC 7143 section 4.2.3.3 b: for a whole target, what has not come counts as received. */
void abort_set_plug(struct iscsi *i, const struct pdu *pdu)
{
	uint32_t end = end_of(i, pdu);

	for (uint32_t sn = i->expcmdsn; serial_before(sn, end); sn++)
		if (window_expects(i, sn))
			window_plug(i, sn);
}

/* RFC 7143 section 4.2.3.3 b: for one LUN, the answer waits until all commands before the request
 * have come: which LUN a missing one is for, nobody knows. Those of this LUN end in their turn,
 * not carried out. The wait is the initiator's to end; it costs the place of one request. */
void abort_set_wait(struct iscsi *i, struct slot *s)
{
	s->gap_end = end_of(i, &s->pdu);
	s->gap = serial_before(i->expcmdsn, s->gap_end);
	i->gaps += s->gap;
}

void abort_set_forget(struct iscsi *i, struct slot *s)
{
	i->gaps -= s->gap;
	s->gap = false;
}

bool abort_set_covers(const struct iscsi *i, const struct slot *command)
{
	if (i->gaps == 0 || command->task.immediate)
		return false;
	EACH_SLOT(i, n)
	{
		const struct slot *s = &i->slots[n];

		if (s->gap && serial_before(command->task.cmdsn, s->gap_end) &&
		    memcmp(command->task.lun, s->pdu.bhs + BHS_LUN, 8) == 0)
			return true;
	}
	return false;
}

void abort_set_moved(struct iscsi *i)
{
	if (i->gaps == 0)
		return;
	EACH_SLOT(i, n)
	{
		struct slot *s = &i->slots[n];

		if (!s->gap || serial_before(i->expcmdsn, s->gap_end))
			continue;
		abort_set_forget(i, s);
		if (s->state == SLOT_ACTIVE)
			waiter_answer(s);
	}
}

/* --- FastAbort ------------------------------------------------------------------------------ */

static bool first_of_its_lun(const struct iscsi *i, const uint64_t set[], const struct slot *s)
{
	EACH_SLOT(i, n)
	{
		const struct slot *other = &i->slots[n];

		if (other == s)
			return true;
		if (slots_has(set, other) && other->conn == s->conn &&
		    memcmp(other->task.lun, s->task.lun, 8) == 0)
			return false;
	}
	return true;
}

static void tell(const struct slot *s)
{
	struct async a = {.event = ASYNC_TASKS_ENDED};

	memcpy(a.lun, s->task.lun, sizeof a.lun);
	async_send(s->conn, &a);
}

/* RFC 7143 section 4.2.3.4 d: once for each LUN, to each connection that tasks of it belong to. An
 * initiator that does not read loses no more than this: its data is dropped in any case. */
void abort_set_tell(struct iscsi *i, const uint64_t set[], const struct iscsi_connection *asker)
{
	if (!i->fast_abort)
		return;
	EACH_SLOT(i, n)
	{
		const struct slot *s = &i->slots[n];

		if (slots_has(set, s) && s->conn != asker && connection_lives(s->conn) &&
		    first_of_its_lun(i, set, s))
			tell(s);
	}
}
