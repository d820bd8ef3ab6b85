/* What a filter looks for, in the words of the blocks' index: never less than the filter takes, and
 * as little more as the index can say. */
#include "gateway/audit/filter.h"

#include "gateway/scsi/command_names.h"

#define DENIED_EVENTS (1u << EVENT_REFUSAL | 1u << EVENT_REFUSALS_COUNTED | 1u << EVENT_CONNECTION)

static bool session_matches(void *arg, const struct auditor_ring_info *session)
{
	const struct audit_filter *f = arg;
	const struct trail_record record = {.frame = {.type = FRAME_COMMAND}, .session = session};

	return (!f->connection || session->connection == f->connection) &&
	       audit_subject_matches(f, &record);
}

/* Bit opcode % 64 of the commands that may do one of these. */
static uint64_t opcodes_that(uint32_t deeds)
{
	uint64_t bits = 0;

	if (deeds & DEED_OTHER) /* unknown ones, too */
		return UINT64_MAX;
	for (unsigned opcode = 0; opcode < 256; opcode++) {
		if (opcode_deeds((uint8_t)opcode) & deeds)
			bits |= UINT64_C(1) << opcode % 64;
	}
	return bits;
}

static uint64_t opcodes_of(const struct audit_filter *f)
{
	uint64_t bits = 0;

	if (!f->has_op || f->all_commands || f->all_outcomes || f->all_tasks || f->all_lists)
		return UINT64_MAX;
	for (unsigned opcode = 0; opcode < 256; opcode++) {
		if (f->opcodes[opcode])
			bits |= UINT64_C(1) << opcode % 64;
	}
	return bits;
}

static void want_commands(const struct audit_filter *f, struct trail_wanted *w)
{
	static const uint32_t session = 1u << FRAME_SESSION;
	uint64_t opcodes = opcodes_of(f) & (f->deeds ? opcodes_that(f->deeds) : UINT64_MAX);
	uint32_t verdicts = f->verdicts ? f->verdicts : UINT32_MAX;

	if (f->denied)
		verdicts &= 1u << VERDICT_DENIED;
	if (f->has_op && (f->types & session)) /* whose opening is not in the index of opcodes */
		return;
	w->no_commands = opcodes == 0 || verdicts == 0;
	w->opcodes = opcodes == UINT64_MAX ? 0 : opcodes;
	w->verdicts = verdicts == UINT32_MAX ? 0 : verdicts;
	if (f->has_lun)
		w->luns = UINT64_C(1) << f->lun % 64;
	if (f->range_count) {
		w->has_blocks = true;
		w->first_lba = f->ranges[0].first;
		w->last_lba = f->ranges[f->range_count - 1].last;
	}
}

static void want_events(const struct audit_filter *f, struct trail_wanted *w)
{
	static const uint32_t end = 1u << FRAME_END;
	uint32_t events = f->has_op ? f->events : UINT32_MAX;

	if (f->denied)
		events &= DENIED_EVENTS;
	else if (f->has_op && (f->types & end))
		return;
	w->no_events = events == 0 || f->has_lun || f->verdicts || f->deeds || f->range_count;
	w->events = events == UINT32_MAX ? 0 : events;
}

void audit_filter_wanted(const struct audit_filter *f, struct trail_wanted *ret)
{
	*ret = (struct trail_wanted){.since_ns = f->since_ns, .until_ns = f->until_ns};
	want_commands(f, ret);
	want_events(f, ret);
	if (f->connection || f->initiator || f->target || f->network.ip.version) {
		ret->session = session_matches;
		ret->arg = (void *)(uintptr_t)f;
	}
}

void audit_deeds_wanted(uint32_t deeds, struct trail_wanted *ret)
{
	*ret = (struct trail_wanted){.no_events = true, .opcodes = opcodes_that(deeds)};
}
