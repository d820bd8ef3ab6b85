/* Task management and the audit: each request has its record before anything of it is carried out,
 * and what ends tasks of others or resets waits until that is durable (P2). An abort of one's own
 * tasks takes nothing from anybody, and would come too late if it waited. Runs in the session; what
 * is asked for, the peer says. Without an audit a request is rejected: the initiator tries again,
 * or leaves. */
#include "gateway/session/session.h"

static bool waits(uint8_t function)
{
	switch (function) {
	case TMF_CLEAR_TASK_SET:
	case TMF_LUN_RESET:
	case TMF_TARGET_WARM_RESET:
	case TMF_TARGET_COLD_RESET:
	case TMF_NEXUS_RESET:
		return true;
	default:
		return false;
	}
}

static struct scsi_management management_of(const struct iscsi_tmf_request *request)
{
	struct scsi_management m = {request->function, request->response, .tag = request->itt};

	memcpy(m.lun, request->lun, sizeof m.lun);
	return m;
}

int host_manage(void *host, const struct iscsi_tmf_request *request)
{
	struct session *s = host;
	struct scsi_management m = management_of(request);
	struct managed *held = &s->managed[s->managed_count];
	int r;

	s->nexus.now_ms = loop_now_ms(s->loop);
	r = scsi_manage(&s->nexus, &m, m.response == 0 ? VERDICT_ADMITTED : VERDICT_REFUSED);
	if (r < 0 || m.response != 0 || !waits(m.function))
		return r;
	held->mark = audit_ring_ask_durable(&s->ring);
	if (audit_ring_is_durable(&s->ring, held->mark))
		return 0;
	assert(s->managed_count < ARRAY_LEN(s->managed)); /* one a slot */
	held->request = *request;
	s->managed_count++;
	return 1;
}

/* The first, which is the oldest: tickets are answered in their order. */
static void go_on(struct session *s, bool well)
{
	struct iscsi_tmf_request request = s->managed[0].request;
	struct scsi_management m = management_of(&request);

	memmove(s->managed, s->managed + 1, --s->managed_count * sizeof s->managed[0]);
	if (!iscsi_tmf_recorded(s->iscsi, request.slot, well))
		IGNORE_RESULT(scsi_manage(&s->nexus, &m, VERDICT_NOT_EXECUTED));
}

void host_audit_moved(struct session *s)
{
	bool healthy = audit_ring_healthy(&s->ring, s->nexus.now_ms);

	scsi_audit_moved(&s->nexus);
	while (s->managed_count > 0) {
		bool durable = audit_ring_is_durable(&s->ring, s->managed[0].mark);

		if (healthy && !durable)
			return;
		go_on(s, durable);
	}
}

void host_manage_drop(struct session *s)
{
	while (s->managed_count > 0)
		go_on(s, false);
}
