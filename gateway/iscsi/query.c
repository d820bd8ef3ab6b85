/* The questions of RFC 7144 section 6.3: is this task there, is any, does a unit attention
 * wait? They change nothing. Only of a session at iSCSIProtocolLevel 2. Runs in the
 * session process. */
#include "gateway/iscsi/core.h"

static bool is_there(const struct slot *s)
{
	return s->kind == SLOT_COMMAND && (s->state == SLOT_HELD || s->state == SLOT_ACTIVE);
}

/* RFC 7144 sections 6.3.3 and 6.4.2: what is not in the task set is "function complete"; that of a
 * command that has not come is told as for ABORT TASK. */
enum tmf_verdict query_task(struct iscsi *i, struct slot *s)
{
	const struct slot *task = slot_by_itt(i, pdu_u32(&s->pdu, BHS_RTT));

	if (!task)
		return tmf_missing(i, &s->pdu);
	if (!is_there(task) || memcmp(task->task.lun, s->pdu.bhs + BHS_LUN, 8) != 0)
		return TMF_COMPLETE;
	return TMF_SUCCEEDED;
}

enum tmf_verdict query_task_set(struct iscsi *i, struct slot *s)
{
	EACH_SLOT(i, n)
	if (is_there(&i->slots[n]) && memcmp(i->slots[n].task.lun, s->pdu.bhs + BHS_LUN, 8) == 0)
		return TMF_SUCCEEDED;
	return TMF_COMPLETE;
}

enum tmf_verdict query_event(struct iscsi *i, struct slot *s)
{
	uint8_t sense[3];

	if (!i->ops->attention(i->host, s->pdu.bhs + BHS_LUN, sense))
		return TMF_COMPLETE;
	/* SAM-5: UADE DEPTH 00b, since the host does not say how many wait */
	s->info[0] = sense[0] & 0x0f;
	s->info[1] = sense[1];
	s->info[2] = sense[2];
	return TMF_SUCCEEDED;
}
