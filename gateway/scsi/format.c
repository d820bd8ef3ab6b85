/* FORMAT UNIT, SBC-3 section 5: the whole medium reads as zeroes afterwards; its block size and its
 * protection, of which there is none, stay. Runs in the session. There are no lists of defects
 * to take or to make. The parameter list has no length in the CDB: what came is what there is. */
#include "gateway/scsi/gate.h"
#include "gateway/scsi/operation.h"
#include "gateway/scsi/sense.h"

/* CDB, octet 1 */
enum {
	FMTPINFO = 0xc0,
	LONGLIST = 0x20,
	FMTDATA = 0x10,
	CMPLST = 0x08,
	DEFECT_LIST_FORMAT = 0x07,
};

/* Parameter list header, octet 1 */
enum {
	FOV = 0x80,
	DPRY = 0x40,
	DCRT = 0x20,
	STPF = 0x10,
	IP = 0x08,
	IMMED = 0x02,
};

#define SHORT_HEADER 4u
#define LONG_HEADER  8u

static size_t header_length(const struct scsi_task *task)
{
	if ((task->cdb[1] & FMTDATA) == 0)
		return 0;
	return (task->cdb[1] & LONGLIST) != 0 ? LONG_HEADER : SHORT_HEADER;
}

/* Without parameter data there is nothing that these could speak of. */
static bool check_cdb(struct scsi_task *task)
{
	uint8_t wrong = FMTPINFO | DEFECT_LIST_FORMAT;

	if ((task->cdb[1] & FMTDATA) == 0)
		wrong |= LONGLIST | CMPLST;
	wrong &= task->cdb[1];
	if (wrong == 0)
		return true;
	sense_cdb_field(task, 1, 31 - (unsigned)__builtin_clz(wrong));
	return false;
}

static bool check_length(struct scsi_task *task, size_t len)
{
	if (len == 0 || (task->write && task->edtl >= len))
		return true;
	sense_set(task, KEY_ILLEGAL_REQUEST, SENSE_PARAMETER_LIST_LENGTH_ERROR);
	return false;
}

static bool fail_octet(struct scsi_task *task, unsigned octet)
{
	sense_set(task, KEY_ILLEGAL_REQUEST, SENSE_INVALID_FIELD_IN_PARAMETER_LIST);
	sense_parameter_field(task, octet);
	return false;
}

/* DPRY, DCRT and STPF change nothing where there are no defects and nothing is certified. An
 * initialization pattern is not taken: SANITIZE writes one. */
static bool check_header(struct scsi_task *task, const uint8_t *header, size_t len)
{
	uint8_t allowed = IMMED | ((header[1] & FOV) != 0 ? FOV | DPRY | DCRT | STPF : 0);
	size_t list_at = len == LONG_HEADER ? 4 : 2;

	if (header[0] != 0)
		return fail_octet(task, 0);
	if ((header[1] & ~(unsigned)allowed) != 0)
		return fail_octet(task, 1);
	for (size_t at = 2; at < list_at; at++) { /* protection information */
		if (header[at] != 0)
			return fail_octet(task, (unsigned)at);
	}
	if (get_be(header + list_at, len - list_at) != 0)
		return fail_octet(task, (unsigned)list_at);
	return true;
}

static enum scsi_step start(struct scsi_task *task, bool immediate)
{
	struct operation_plan plan = {
		.immediate = immediate,
		.op = task->unit->thin ? IO_DISCARD : IO_ZERO,
		.passes = 1,
	};

	return operation_start(task, &plan);
}

enum scsi_step format_begin(struct scsi_task *task)
{
	size_t len = header_length(task);

	if (!medium_is_ready(task) || !check_cdb(task) || !check_length(task, len))
		return task_refuse(task);
	task->wanted = task->bytes = len;
	if (len == 0)
		return gate_admit(task) ? start(task, false) : task_fail(task);
	return gate_reserve(task) ? SCSI_WANT_DATA : task_fail(task);
}

enum scsi_step format_start(struct scsi_task *task)
{
	uint8_t header[LONG_HEADER];

	if (task->buffer_len < task->bytes) {
		sense_set(task, KEY_ABORTED_COMMAND, SENSE_INVALID_FIELD_IN_COMMAND_IU);
		return task_refuse(task);
	}
	task_gather(task, 0, header, task->bytes);
	if (!check_header(task, header, task->bytes))
		return task_refuse(task);
	if (!gate_admit_ranges(task, NULL, 0))
		return task_fail(task);
	return start(task, (header[1] & IMMED) != 0);
}
