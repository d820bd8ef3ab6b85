/* Target port groups and their asymmetric access states, SPC-4 section 5.15: REPORT and SET TARGET
 * PORT GROUPS, and what a unit carries out in which state. A group is a portal group of the target,
 * with one port. Runs in the session; the parameter list is the peer's, its descriptors are the
 * arbiter's to judge, who alone changes states. */
#include "gateway/scsi/port_groups.h"
#include "gateway/scsi/gate.h"
#include "gateway/scsi/sense.h"
#include "gateway/scsi/shared.h"

enum { FORMAT_LENGTH_ONLY = 0, FORMAT_EXTENDED = 1 };

#define EXTENDED_HEADER 0x10

/* States that a group can be in, octet 1 of its descriptor. */
enum { AO_SUP = 0x01, AN_SUP = 0x02, S_SUP = 0x04, U_SUP = 0x08 };

enum { NO_STATUS = 0, SET_BY_COMMAND = 1 };

#define LIST_HEADER 4u
#define DESCRIPTOR  4u
#define LIST_MAX    (LIST_HEADER + DESCRIPTOR * ARBITER_GROUPS)

/* --- states --- */

enum access_state port_access(const struct scsi_nexus *n, const struct scsi_lun *unit)
{
	const struct arbiter_view_lun *l = &n->arbiter->luns[unit->number];
	const struct arbiter_access *access =
		l->access_is_set ? arbiter_access_of(&l->state, n->groups[0].port) : NULL;

	return access == NULL ? ACCESS_OPTIMIZED : (enum access_state)access->state;
}

#define ANY_ACTION (-1)

/* The last state in which a command is carried out. SPC-4 names these; others that say what the
 * unit is are needed on a path in standby as well, and change nothing. */
static const struct {
	uint8_t opcode;
	int16_t service_action;
	enum access_state last;
} exempt[] = {
	{0x00, ANY_ACTION, ACCESS_NON_OPTIMIZED}, /* TEST UNIT READY */
	{0x03, ANY_ACTION, ACCESS_UNAVAILABLE},	  /* REQUEST SENSE */
	{0x12, ANY_ACTION, ACCESS_UNAVAILABLE},	  /* INQUIRY */
	{0x15, ANY_ACTION, ACCESS_STANDBY},	  /* MODE SELECT(6) */
	{0x1c, ANY_ACTION, ACCESS_STANDBY},	  /* RECEIVE DIAGNOSTIC RESULTS */
	{0x1d, ANY_ACTION, ACCESS_STANDBY},	  /* SEND DIAGNOSTIC */
	{0x3b, ANY_ACTION, ACCESS_UNAVAILABLE},	  /* WRITE BUFFER: echo */
	{0x3c, ANY_ACTION, ACCESS_UNAVAILABLE},	  /* READ BUFFER: echo */
	{0x4c, ANY_ACTION, ACCESS_STANDBY},	  /* LOG SELECT */
	{0x55, ANY_ACTION, ACCESS_STANDBY},	  /* MODE SELECT(10) */
	{0x5e, ANY_ACTION, ACCESS_STANDBY},	  /* PERSISTENT RESERVE IN */
	{0x5f, ANY_ACTION, ACCESS_STANDBY},	  /* PERSISTENT RESERVE OUT */
	{0xa0, ANY_ACTION, ACCESS_UNAVAILABLE},	  /* REPORT LUNS */
	{0xa3, 0x0a, ACCESS_UNAVAILABLE},	  /* REPORT TARGET PORT GROUPS */
	{0xa4, 0x0a, ACCESS_UNAVAILABLE},	  /* SET TARGET PORT GROUPS */
};

static enum access_state last_state(const struct scsi_command *c)
{
	for (size_t k = 0; k < ARRAY_LEN(exempt); k++) {
		if (exempt[k].opcode == c->opcode &&
		    (exempt[k].service_action == ANY_ACTION ||
		     exempt[k].service_action == c->service_action))
			return exempt[k].last;
	}
	return c->touches == TOUCHES_NOTHING ? ACCESS_STANDBY : ACCESS_NON_OPTIMIZED;
}

static enum sense_code why_not(enum access_state state)
{
	return state == ACCESS_STANDBY ? SENSE_PORT_IN_STANDBY : SENSE_PORT_UNAVAILABLE;
}

bool access_refuses(struct scsi_task *task)
{
	enum access_state state = port_access(task->nexus, task->unit);

	if (state <= ACCESS_NON_OPTIMIZED || state <= last_state(task->command))
		return false;
	sense_set(task, KEY_NOT_READY, why_not(state));
	return true;
}

enum sense_code access_sense(const struct scsi_task *task)
{
	enum access_state state = port_access(task->nexus, task->unit);

	return state <= ACCESS_NON_OPTIMIZED ? SENSE_NONE : why_not(state);
}

/* --- REPORT TARGET PORT GROUPS --- */

static void write_group(const struct scsi_task *task, const struct scsi_port_group *group,
			struct wr *w)
{
	const struct arbiter_access *access = arbiter_access_of(shared_state(task), group->port);

	wr_be(w, 1, access == NULL ? ACCESS_OPTIMIZED : access->state);
	wr_be(w, 1, AO_SUP | AN_SUP | S_SUP | U_SUP);
	wr_be(w, 2, group->tag);
	wr_be(w, 1, 0);
	wr_be(w, 1, access == NULL ? NO_STATUS : SET_BY_COMMAND);
	wr_be(w, 1, 0);
	wr_be(w, 1, 1);
	wr_be(w, 2, 0);
	wr_be(w, 2, group->tag); /* a SCSI port is a portal group */
}

/* The groups of the target by which this initiator may come, its own first; of others it hears
 * nothing. */
bool report_port_groups_reply(struct scsi_task *task, struct wr *w)
{
	unsigned format = task->cdb[1] >> 5;

	if (format > FORMAT_EXTENDED) {
		sense_cdb_field(task, 1, 7);
		return false;
	}
	wr_be(w, 4, 0);
	if (format == FORMAT_EXTENDED) {
		wr_be(w, 1, EXTENDED_HEADER);
		wr_be(w, 1, 0); /* IMPLICIT TRANSITION TIME: no transition takes any */
		wr_be(w, 2, 0);
	}
	for (unsigned k = 0; k < task->nexus->group_count; k++)
		write_group(task, &task->nexus->groups[k], w);
	put_be(w->start, 4, wr_len(w) - 4);
	return true;
}

/* --- SET TARGET PORT GROUPS --- */

static bool check_length(struct scsi_task *task, size_t len)
{
	if (len % DESCRIPTOR != 0 || len > LIST_MAX)
		sense_set(task, KEY_ILLEGAL_REQUEST, SENSE_PARAMETER_LIST_LENGTH_ERROR);
	else if (len != 0 && (!task->write || task->edtl < len))
		sense_set(task, KEY_ILLEGAL_REQUEST, SENSE_INVALID_FIELD_IN_COMMAND_IU);
	else
		return true;
	return false;
}

enum scsi_step set_port_groups_begin(struct scsi_task *task)
{
	size_t len = get_be(task->cdb + 6, 4);

	if (!check_length(task, len))
		return task_refuse(task);
	task->wanted = task->bytes = len;
	if (!gate_admit(task))
		return task_fail(task);
	return len == 0 ? task_nothing(task) : SCSI_WANT_DATA;
}

/* The list stays in the task's buffer. */
static void order(const struct scsi_task *task, struct arbiter_order *ret)
{
	ret->kind = ORDER_ACCESS;
	ret->len = (uint32_t)(task->bytes - LIST_HEADER);
	task_gather(task, LIST_HEADER, ret->octets, ret->len);
}

enum scsi_step set_port_groups_start(struct scsi_task *task)
{
	uint8_t header[LIST_HEADER];

	if (task->buffer_len < task->bytes) {
		sense_set(task, KEY_ABORTED_COMMAND, SENSE_INVALID_FIELD_IN_COMMAND_IU);
		return task_fail(task);
	}
	task_gather(task, 0, header, sizeof header);
	for (unsigned k = 0; k < LIST_HEADER; k++) {
		if (header[k] == 0)
			continue;
		sense_set(task, KEY_ILLEGAL_REQUEST, SENSE_INVALID_FIELD_IN_PARAMETER_LIST);
		sense_parameter_field(task, k);
		return task_fail(task);
	}
	if (task->bytes == LIST_HEADER)
		return task_nothing(task);
	if (gate_put_list(task, LIST_HEADER) < 0)
		return task_busy(task);
	return task_order(task, order, task_answered);
}
