/* Which commands are answered while the medium is stopped, away, being erased or left half
 * erased: SBC-3 (FORMAT UNIT, START STOP UNIT), SBC-4 (sanitize operations). Runs in the
 * session; trusts what the arbiter published. */
#include "gateway/scsi/availability.h"
#include "gateway/scsi/sense.h"
#include "gateway/scsi/shared.h"

enum { FORMAT_UNIT = 0x04, SANITIZE = 0x48 };

/* They move no data of the medium, and still speak of it. */
static const struct {
	uint8_t opcode;
	int16_t action; /* -1: any, or none */
} of_medium[] = {
	{0x00, -1},   /* TEST UNIT READY */
	{0x25, -1},   /* READ CAPACITY (10) */
	{0x35, -1},   /* SYNCHRONIZE CACHE (10) */
	{0x37, -1},   /* READ DEFECT DATA (10) */
	{0x91, -1},   /* SYNCHRONIZE CACHE (16) */
	{0x9e, 0x10}, /* READ CAPACITY (16) */
	{0xb7, -1},   /* READ DEFECT DATA (12) */
};

/* Of the disk that the task asks for, or that its request is for. */
static const struct arbiter_state *state_of(const struct scsi_task *task)
{
	return &task->nexus->arbiter->luns[task_io_unit(task)->number].state;
}

static bool needs_medium(const struct scsi_command *c)
{
	if (c->touches & (TOUCHES_READ | TOUCHES_WRITE | TOUCHES_DISCARD))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(of_medium); i++) {
		if (of_medium[i].opcode == c->opcode &&
		    (of_medium[i].action < 0 || of_medium[i].action == c->service_action))
			return true;
	}
	return false;
}

/* What only tells something of the unit is answered even while it is erased. */
static bool is_idle_talk(const struct scsi_command *c)
{
	return c->touches == TOUCHES_NOTHING && !needs_medium(c);
}

static bool formats(const struct scsi_command *c)
{
	return c->opcode == FORMAT_UNIT || c->opcode == SANITIZE;
}

static bool refused_within(const struct scsi_command *c)
{
	return !is_idle_talk(c);
}

static bool refused_after_sanitize(const struct scsi_command *c)
{
	return !is_idle_talk(c) && c->opcode != SANITIZE;
}

static bool refused_after_format(const struct scsi_command *c)
{
	return needs_medium(c) && !formats(c);
}

static bool is_formatting(const struct arbiter_state *s)
{
	return s->operation == OPERATION_FORMAT;
}

static bool is_sanitizing(const struct arbiter_state *s)
{
	return s->operation == OPERATION_SANITIZE;
}

static bool failed_sanitize(const struct arbiter_state *s)
{
	return s->operation == OPERATION_SANITIZE_FAILED;
}

static bool failed_format(const struct arbiter_state *s)
{
	return s->operation == OPERATION_FORMAT_FAILED;
}

static bool is_ejected(const struct arbiter_state *s)
{
	return s->ejected;
}

static bool is_stopped(const struct arbiter_state *s)
{
	return s->stopped;
}

/* The first that is there and refuses the command decides. */
static const struct hindrance {
	bool (*is_there)(const struct arbiter_state *s);
	bool (*refuses)(const struct scsi_command *c);
	enum sense_key key;
	enum sense_code code;
} hindrances[] = {
	{is_formatting, refused_within, KEY_NOT_READY, SENSE_FORMAT_IN_PROGRESS},
	{is_sanitizing, refused_within, KEY_NOT_READY, SENSE_SANITIZE_IN_PROGRESS},
	{failed_sanitize, refused_after_sanitize, KEY_MEDIUM_ERROR, SENSE_SANITIZE_FAILED},
	{is_ejected, needs_medium, KEY_NOT_READY, SENSE_MEDIUM_NOT_PRESENT},
	{is_stopped, needs_medium, KEY_NOT_READY, SENSE_INITIALIZING_COMMAND_REQUIRED},
	{failed_format, refused_after_format, KEY_MEDIUM_ERROR, SENSE_MEDIUM_FORMAT_CORRUPTED},
};

static bool refuse(struct scsi_task *task, const struct hindrance *h)
{
	const struct arbiter_state *s = state_of(task);

	if (is_formatting(s) || is_sanitizing(s))
		sense_set_progress(task, h->key, h->code, s->progress);
	else
		sense_set(task, h->key, h->code);
	return false;
}

/* None of the hindrances is there: looked at first, for it is so at nearly every command. */
static bool is_well(const struct arbiter_state *s)
{
	return s->operation == OPERATION_NONE && !s->ejected && !s->stopped;
}

bool medium_is_available(struct scsi_task *task)
{
	const struct arbiter_state *s;

	if (task->unit == NULL || task->command == NULL || task->operates)
		return true;
	s = state_of(task);
	if (is_well(s))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(hindrances); i++) {
		if (hindrances[i].is_there(s) && hindrances[i].refuses(task->command))
			return refuse(task, &hindrances[i]);
	}
	return true;
}

bool medium_hindrance(struct scsi_task *task)
{
	const struct arbiter_state *s = state_of(task);

	for (size_t i = 0; i < ARRAY_LEN(hindrances); i++) {
		if (hindrances[i].is_there(s))
			return !refuse(task, &hindrances[i]);
	}
	return false;
}
