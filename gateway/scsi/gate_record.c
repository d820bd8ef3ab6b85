/* What the audit trail is told of a task. Runs in the session; what is in it, the peer wrote, and
 * whoever reads the record knows that. */
#include "gateway/scsi/commands.h"
#include "gateway/scsi/gate.h"
#include "gateway/scsi/sense.h"

struct audit_record gate_record(const struct scsi_task *task, enum audit_kind kind,
				enum audit_verdict verdict)
{
	int lun = scsi_lun_decode(task->lun);
	struct sense sense;
	struct audit_record r = {
		.wall_ns = task->nexus->wall_ns,
		.lba = task->lba,
		.blocks = task->blocks,
		.task_tag = task->tag,
		.lun = lun < 0 ? AUDIT_NO_LUN : (uint16_t)lun,
		.kind = (uint8_t)kind,
		.verdict = (uint8_t)verdict,
		.status = task->status,
		.cdb_len = (uint8_t)MIN(task->cdb_len, UINT8_MAX),
	};

	memcpy(r.cdb, task->cdb, MIN(task->cdb_len, sizeof r.cdb));
	if (sense_read(task, &sense)) {
		r.sense_key = (uint8_t)sense.key;
		r.asc = (uint8_t)(sense.code >> 8);
		r.ascq = (uint8_t)sense.code;
	}
	return r;
}

int gate_put_list(struct scsi_task *task, size_t at)
{
	struct scsi_nexus *n = task->nexus;
	int r = 0;

	for (; r == 0 && at < task->bytes; at += sizeof((struct audit_record *)0)->cdb) {
		struct audit_record record = gate_record(task, AUDIT_LIST, VERDICT_ADMITTED);

		record.lba = at;
		record.blocks = 0;
		record.cdb_len = (uint8_t)MIN(task->bytes - at, sizeof record.cdb);
		memset(record.cdb, 0, sizeof record.cdb);
		task_gather(task, at, record.cdb, record.cdb_len);
		r = gate_may_record(n) ? audit_ring_put(n->ring, &record, n->now_ms) : -EBUSY;
		if (r == 0)
			gate_is_on_record(task, task->unit);
	}
	return r;
}

/* What ends tasks is of no use to who has to send it again, so it has the room that commands have,
 * and no more: none of it is carried out without its record. */
int scsi_manage(struct scsi_nexus *n, const struct scsi_management *m, enum audit_verdict verdict)
{
	int lun = scsi_lun_decode(m->lun);
	struct audit_record r = {
		.wall_ns = n->wall_ns,
		.task_tag = m->tag,
		.lun = lun < 0 ? AUDIT_NO_LUN : (uint16_t)lun,
		.kind = AUDIT_TASK,
		.verdict = (uint8_t)verdict,
		.cdb_len = 2,
		.cdb = {m->function, m->response},
	};

	return gate_may_record(n) ? audit_ring_put(n->ring, &r, n->now_ms) : -EBUSY;
}
