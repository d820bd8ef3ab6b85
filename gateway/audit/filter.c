/* Filters of the review. The records come from files and are hostile; the filter is the
 * reviewer's own. */
#include "gateway/audit/filter.h"

#include <strings.h>
#include "gateway/scsi/command_names.h"

static const char *const frame_names[FRAME_TYPES] = {
	[FRAME_SESSION] = "session",
	[FRAME_END] = "end",
};

const char *audit_record_name(const struct trail_record *r)
{
	switch (r->frame.type) {
	case FRAME_COMMAND:
		return r->frame.command.kind == AUDIT_OUTCOME ? "outcome" : "command";
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

/* Is "op-" followed by digits alone in this name? */
static bool is_numbered(const char *op, const char *name)
{
	size_t len = strlen(op);

	if (strncmp(op, name, len) != 0 || name[len] != '-' || name[len + 1] == '\0')
		return false;
	return name[len + 1 + strspn(name + len + 1, "0123456789")] == '\0';
}

static bool op_is_command(struct audit_filter *f, const char *op)
{
	const struct command_name *first = command_name_by_policy(op);

	if (!first)
		return false;
	f->frame = FRAME_COMMAND;
	f->numbered = is_numbered(op, first->policy_name);
	return true;
}

int audit_filter_op(struct audit_filter *f, const char *op)
{
	f->op = op;
	if (op_is_command(f, op))
		return 0;
	for (uint32_t kind = EVENT_INVALID + 1; kind < EVENT_KINDS; kind++) {
		if (strcmp(op, audit_event_name((enum audit_event_kind)kind)) != 0)
			continue;
		f->frame = FRAME_EVENT;
		f->event = kind;
		return 0;
	}
	for (int type = 0; type < FRAME_TYPES; type++) {
		if (!frame_names[type] || strcmp(op, frame_names[type]) != 0)
			continue;
		f->frame = (enum frame_type)type;
		return 0;
	}
	return -ENOENT;
}

static bool command_matches(const struct audit_filter *f, const struct audit_record *c)
{
	size_t len = MIN((size_t)c->cdb_len, sizeof c->cdb), op = strlen(f->op);
	const struct command_name *name = command_name_find(c->cdb, len);

	if (!name)
		return false;
	if (strcmp(name->policy_name, f->op) == 0)
		return true;
	if (f->numbered)
		return is_numbered(f->op, name->policy_name);
	return strncmp(name->policy_name, f->op, op) == 0 && name->policy_name[op] == '-';
}

static bool op_matches(const struct audit_filter *f, const struct frame *frame)
{
	if (f->frame == FRAME_INVALID)
		return true;
	if (f->frame != frame->type)
		return false;
	if (frame->type == FRAME_EVENT)
		return frame->event.kind == f->event;
	return frame->type != FRAME_COMMAND || command_matches(f, &frame->command);
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

static bool subject_matches(const struct audit_filter *f, const struct trail_record *r)
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
	if (f->has_lun && (r->frame.type != FRAME_COMMAND || r->frame.command.lun != f->lun))
		return false;
	if (f->denied && !is_denied(&r->frame))
		return false;
	return op_matches(f, &r->frame) && subject_matches(f, r);
}
