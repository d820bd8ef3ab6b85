/* Filters of the review. The records come from files and are hostile; the filter is the
 * reviewer's own. */
#include "gateway/audit/filter.h"

#include <strings.h>
#include "gateway/scsi/command_names.h"

static const char *const frame_names[FRAME_TYPES] = {
	[FRAME_SESSION] = "session",
	[FRAME_END] = "end",
};

static const char *kind_name(const struct audit_record *c)
{
	static const char *const names[] = {
		[AUDIT_COMMAND] = "command",
		[AUDIT_OUTCOME] = "outcome",
		[AUDIT_TASK] = "task",
		[AUDIT_LIST] = "list",
	};

	return c->kind < ARRAY_LEN(names) && names[c->kind] ? names[c->kind] : "command";
}

const char *audit_record_name(const struct trail_record *r)
{
	switch (r->frame.type) {
	case FRAME_COMMAND:
		return kind_name(&r->frame.command);
	case FRAME_EVENT:
		return audit_event_name((enum audit_event_kind)r->frame.event.kind);
	default:
		return frame_names[r->frame.type];
	}
}

static const char *either(const char *own, const char *joined)
{
	return own[0] || !joined ? own : joined;
}

struct audit_subject audit_subject(const struct trail_record *r)
{
	const struct auditor_ring_info *s = r->session;
	const struct frame *f = &r->frame;

	if (f->type == FRAME_SESSION)
		s = &f->session;
	if (f->type == FRAME_EVENT)
		return (struct audit_subject){either(f->event.initiator, s ? s->initiator : NULL),
					      either(f->event.target, s ? s->target : NULL),
					      f->event.peer.ip.version || !s ? f->event.peer
									     : s->peer};
	if (s)
		return (struct audit_subject){s->initiator, s->target, s->peer};
	return (struct audit_subject){.initiator = "", .target = ""};
}

/* Row by row of the table of commands: which of them a name means. */
static bool take_commands(struct audit_filter *f, const char *op)
{
	size_t count;
	const struct command_name *row = command_names(&count);
	bool any = false;

	for (const struct command_name *end = row + count; row < end; row++) {
		if (!command_name_fits(row, op))
			continue;
		f->opcodes[row->opcode] |=
			row->service_action < 0 ? UINT32_MAX : 1u << (row->service_action & 0x1f);
		any = true;
	}
	return any;
}

static bool take_type(struct audit_filter *f, const char *op)
{
	if (strcmp(op, "command") == 0)
		return f->all_commands = true;
	if (strcmp(op, "outcome") == 0)
		return f->all_outcomes = true;
	if (strcmp(op, "task") == 0)
		return f->all_tasks = true;
	if (strcmp(op, "list") == 0)
		return f->all_lists = true;
	for (int type = 0; type < FRAME_TYPES; type++) {
		if (!frame_names[type] || strcmp(op, frame_names[type]) != 0)
			continue;
		f->types |= 1u << type;
		return true;
	}
	return false;
}

static bool take_event(struct audit_filter *f, const char *op)
{
	for (int kind = EVENT_INVALID + 1; kind < EVENT_KINDS; kind++) {
		if (strcmp(op, audit_event_name((enum audit_event_kind)kind)) != 0)
			continue;
		f->events |= 1u << kind;
		return true;
	}
	return false;
}

int audit_filter_op(struct audit_filter *f, const char *op)
{
	if (!take_commands(f, op) && !take_event(f, op) && !take_type(f, op))
		return -ENOENT;
	f->has_op = true;
	return 0;
}

int audit_filter_verdict(struct audit_filter *f, const char *name)
{
	for (int v = VERDICT_INVALID + 1; v < VERDICTS; v++) {
		if (strcmp(name, audit_verdict_name((enum audit_verdict)v)) != 0)
			continue;
		f->verdicts |= 1u << v;
		return 0;
	}
	return -ENOENT;
}

int audit_filter_deed(struct audit_filter *f, const char *name)
{
	for (unsigned bit = 0; bit < DEEDS; bit++) {
		if (strcmp(name, deed_name(bit)) != 0)
			continue;
		f->deeds |= 1u << bit;
		return 0;
	}
	return -ENOENT;
}

static bool opcode_matches(const struct audit_filter *f, const struct audit_record *c)
{
	static const uint8_t variable_length = 0x7f;
	uint32_t actions;
	unsigned action;

	if (c->cdb_len == 0)
		return false;
	actions = f->opcodes[c->cdb[0]];
	if (actions == 0 || actions == UINT32_MAX)
		return actions != 0;
	if (c->cdb[0] != variable_length)
		return c->cdb_len > 1 && (actions >> (c->cdb[1] & 0x1f) & 1) != 0;
	action = (unsigned)c->cdb[8] << 8 | c->cdb[9];
	return c->cdb_len > 9 && action < 32 && (actions >> action & 1) != 0;
}

static bool op_matches(const struct audit_filter *f, const struct frame *frame)
{
	if (frame->type == FRAME_EVENT)
		return frame->event.kind < EVENT_KINDS && (f->events >> frame->event.kind & 1) != 0;
	if (frame->type != FRAME_COMMAND)
		return (f->types >> frame->type & 1) != 0;
	if (frame->command.kind == AUDIT_TASK)
		return f->all_tasks;
	if (frame->command.kind == AUDIT_LIST)
		return f->all_lists;
	if (frame->command.kind == AUDIT_OUTCOME ? f->all_outcomes : f->all_commands)
		return true;
	return opcode_matches(f, &frame->command);
}

static bool wants_blocks(const struct audit_filter *f)
{
	return f->deeds != 0 || f->range_count != 0;
}

static bool reach_matches(const struct audit_filter *f, const struct audit_record *c)
{
	struct reach reach = audit_reach(c);

	if (f->deeds && !(f->deeds & reach.deeds))
		return false;
	return f->range_count == 0 ||
	       (reach.blocks &&
		lba_ranges_meet(f->ranges, f->range_count, reach.first, reach.last) != NULL);
}

/* Conditions that only the record of a command can fulfil. */
static bool command_matches(const struct audit_filter *f, const struct frame *frame)
{
	const struct audit_record *c = &frame->command;

	if (!f->has_lun && !f->verdicts && !wants_blocks(f))
		return true;
	if (frame->type != FRAME_COMMAND || (f->has_lun && c->lun != f->lun))
		return false;
	if (f->verdicts && (c->verdict >= VERDICTS || !(f->verdicts >> c->verdict & 1)))
		return false;
	return !wants_blocks(f) || reach_matches(f, c);
}

static bool is_denied(const struct frame *f)
{
	if (f->type == FRAME_COMMAND)
		return f->command.verdict == VERDICT_DENIED;
	return f->type == FRAME_EVENT &&
	       (f->event.kind == EVENT_REFUSAL || f->event.kind == EVENT_REFUSALS_COUNTED ||
		f->event.kind == EVENT_CONNECTION);
}

static bool name_matches(const char *wanted, const char *name)
{
	const char *last = strrchr(name, ':');

	return strcasecmp(wanted, name) == 0 || (last && strcasecmp(wanted, last + 1) == 0);
}

bool audit_subject_matches(const struct audit_filter *f, const struct trail_record *r)
{
	struct audit_subject s;

	if (!f->initiator && !f->target && !f->network.ip.version)
		return true;
	s = audit_subject(r);
	if (f->initiator && !name_matches(f->initiator, s.initiator))
		return false;
	if (f->target && !name_matches(f->target, s.target))
		return false;
	return !f->network.ip.version ||
	       (s.peer.ip.version && network_contains(&f->network, &s.peer.ip));
}

bool audit_filter_match(const struct audit_filter *f, const struct trail_record *r)
{
	uint64_t time = r->frame.stamp.time_ns;

	if (time < f->since_ns || (f->until_ns && time >= f->until_ns))
		return false;
	if (f->connection && r->frame.connection != f->connection)
		return false;
	if (f->has_op && !op_matches(f, &r->frame))
		return false;
	if (!command_matches(f, &r->frame) || (f->denied && !is_denied(&r->frame)))
		return false;
	return audit_subject_matches(f, r);
}
