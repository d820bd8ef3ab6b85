/* SCSI commands between the iSCSI core and the device server: the steps that the device
 * asks for, the answers that the core sends. */
#include "gateway/base/bytes.h"
#include "gateway/scsi/sense.h"
#include "gateway/session/session.h"

_Static_assert((int)SCSI_UNTAGGED == TASK_UNTAGGED && (int)SCSI_SIMPLE == TASK_SIMPLE &&
		       (int)SCSI_ORDERED == TASK_ORDERED &&
		       (int)SCSI_HEAD_OF_QUEUE == TASK_HEAD_OF_QUEUE && (int)SCSI_ACA == TASK_ACA,
	       "the device numbers attributes as the transport does");

static void respond(struct command *cmd)
{
	struct session *s = cmd->s;
	const struct scsi_task *t = &cmd->scsi;
	struct iscsi_response response = {
		.status = t->status,
		.data_len = t->data_len,
		.wanted = t->wanted,
		.sense = t->sense,
		.sense_len = t->sense_len,
	};

	s->read_bytes += t->data_len;
	if (cmd->task->write && t->status == SCSI_GOOD)
		s->written_bytes += MIN(t->wanted, cmd->task->edtl);
	iscsi_task_respond(s->iscsi, cmd->task, &response);
}

static void on_done(struct scsi_task *scsi)
{
	struct command *cmd = CONTAINER_OF(scsi, struct command, scsi);

	if (cmd->cancelled)
		iscsi_task_end(cmd->s->iscsi, cmd->task);
	else
		respond(cmd);
}

static void failed(struct command *cmd)
{
	cmd->scsi.status = SCSI_BUSY;
	cmd->scsi.data_len = cmd->scsi.sense_len = 0;
	respond(cmd);
}

static void set_buffer(struct command *cmd)
{
	cmd->scsi.iov = cmd->task->iov;
	cmd->scsi.iov_count = cmd->task->iov_count;
	cmd->scsi.buffer_len = cmd->task->buffer_len;
	cmd->s->nexus.now_ms = loop_now_ms(cmd->s->loop);
}

/* Does what the device asked for, as long as it can be had at once. */
static void go_on(struct command *cmd, enum scsi_step step)
{
	struct iscsi *i = cmd->s->iscsi;
	int r = 0;

	while (step == SCSI_WANT_DATA || step == SCSI_WANT_BUFFER) {
		bool data = step == SCSI_WANT_DATA;

		r = data ? iscsi_task_want(i, cmd->task, cmd->scsi.bytes)
			 : iscsi_task_buffer(i, cmd->task, cmd->scsi.bytes);
		if (r < 0)
			break;
		set_buffer(cmd);
		step = data ? scsi_data_arrived(&cmd->scsi) : scsi_buffer_ready(&cmd->scsi);
	}
	if (r < 0 && r != -EAGAIN && scsi_cancel(&cmd->scsi))
		failed(cmd); /* larger than any buffer: the device does not ask for that */
	if (r == 0 && step == SCSI_DONE)
		respond(cmd);
}

void host_command(void *host, struct iscsi_task *task)
{
	struct session *s = host;
	struct command *cmd = &s->commands[task->slot];

	cmd->s = s;
	cmd->task = task;
	cmd->cancelled = false;
	cmd->scsi = (struct scsi_task){
		.nexus = &s->nexus,
		.cdb = task->cdb,
		.cdb_len = task->cdb_len,
		.tag = task->itt,
		.edtl = task->edtl,
		.attribute = task->attribute,
		.read = task->read,
		.write = task->write,
		.done = on_done,
	};
	memcpy(cmd->scsi.lun, task->lun, sizeof cmd->scsi.lun);
	s->nexus.now_ms = loop_now_ms(s->loop);
	s->command_count++;
	go_on(cmd, scsi_begin(&cmd->scsi));
}

/* Apart from what ends tasks: those that a reset is about to end never start. */
bool host_start_waiting(struct session *s)
{
	struct scsi_task *scsi;
	bool any = false;

	while ((scsi = scsi_next(&s->nexus)) != NULL) {
		go_on(CONTAINER_OF(scsi, struct command, scsi), scsi_start(scsi));
		any = true;
	}
	return any;
}

void host_data_arrived(void *host, struct iscsi_task *task)
{
	struct command *cmd = &((struct session *)host)->commands[task->slot];

	set_buffer(cmd);
	go_on(cmd, scsi_data_arrived(&cmd->scsi));
}

void host_buffer_ready(void *host, struct iscsi_task *task)
{
	struct command *cmd = &((struct session *)host)->commands[task->slot];

	set_buffer(cmd);
	go_on(cmd, scsi_buffer_ready(&cmd->scsi));
}

bool host_cancel(void *host, struct iscsi_task *task)
{
	struct command *cmd = &((struct session *)host)->commands[task->slot];

	cmd->cancelled = true;
	return scsi_cancel(&cmd->scsi);
}

void host_finished(void *host, struct iscsi_task *task)
{
	(void)host;
	(void)task; /* the device keeps nothing beyond its result */
}

bool host_lun_exists(void *host, const uint8_t lun[8])
{
	struct session *s = host;
	int number = scsi_lun_decode(lun);

	return number >= 0 && s->nexus.luns[number].present;
}

bool host_attention(void *host, const uint8_t lun[8], uint8_t ret_sense[3])
{
	struct session *s = host;
	int number = scsi_lun_decode(lun);
	uint16_t code = number < 0 ? 0 : scsi_attention(&s->nexus, (unsigned)number);

	if (code == 0)
		return false;
	ret_sense[0] = KEY_UNIT_ATTENTION;
	put_be(ret_sense + 1, 2, code);
	return true;
}

uint32_t host_room(void *host)
{
	struct session *s = host;

	return s->discovery ? ISCSI_WINDOW_MAX : scsi_room(&s->nexus);
}

/* "All" in discovery, "" (its own) in a normal session; else one target by name: the entry whose
 * TargetName is `which`, up to the next TargetName. */
size_t host_send_targets(void *host, const char *which, const char **ret_text)
{
	struct session *s = host;
	size_t at = 0, start = 0;
	bool found = false;

	*ret_text = s->targets;
	if (strcmp(which, "All") == 0 || which[0] == '\0')
		return s->targets_len;
	while (at < s->targets_len) {
		const char *pair = s->targets + at;

		if (strncmp(pair, "TargetName=", 11) == 0) {
			if (found)
				break;
			found = strcmp(pair + 11, which) == 0;
			start = at;
		}
		at += strlen(pair) + 1;
	}
	*ret_text = s->targets + start;
	return found ? at - start : 0;
}
