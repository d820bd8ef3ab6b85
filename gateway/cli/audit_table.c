/* `sallyport audit`: records as rows of a table for people. Names and texts are the
 * peers', so all of them go through text_escape(). */
#include "gateway/cli/audit_print.h"

#include "gateway/audit/fields.h"
#include "gateway/base/when.h"
#include "gateway/base/log.h"

/* Columns, the last one open. TIME in the local zone is five characters longer than in UTC. */
enum { WHO = 18, FROM = 22, TARGET = 14, LUN = 4, WHAT = 24, BLOCKS = 16 };

/* Characters, not octets, make columns. */
void audit_print_cell(const struct audit_print *p, const char *text, int width)
{
	int used = 0;

	for (const char *c = text; *c; c++)
		used += ((unsigned char)*c & 0xc0) != 0x80;
	(void)fprintf(p->out, "%s%*s ", text, MAX(width - used, 0), "");
}

void audit_print_red(const struct audit_print *p, bool on)
{
	if (p->colour)
		(void)fputs(on ? "\x1b[31m" : "\x1b[0m", p->out);
}

/* What somebody was refused, what failed, and what is missing. */
static bool stands_out(const struct frame *f)
{
	static const uint32_t verdicts = 1u << VERDICT_DENIED | 1u << VERDICT_REFUSED |
					 1u << VERDICT_FAILED | 1u << VERDICT_NOT_EXECUTED;
	static const uint32_t events = 1u << EVENT_CONNECTION | 1u << EVENT_REFUSAL |
				       1u << EVENT_REFUSALS_COUNTED | 1u << EVENT_BAN |
				       1u << EVENT_GAP | 1u << EVENT_DECOY;

	if (f->type == FRAME_COMMAND)
		return f->command.verdict < 32 && (verdicts >> f->command.verdict & 1) != 0;
	return f->type == FRAME_EVENT && f->event.kind < 32 && (events >> f->event.kind & 1) != 0;
}

/* What follows the last colon of a name tells people apart; the whole is in the JSON. */
void audit_print_name(const struct audit_print *p, const char *name, int width)
{
	const char *last = strrchr(name, ':');
	char text[64];

	if (last && last[1])
		name = last + 1;
	(void)text_escape(name, strlen(name), text, MIN((size_t)width + 1, sizeof text));
	audit_print_cell(p, text[0] ? text : "-", width);
}

static void subject_cells(const struct audit_print *p, const struct trail_record *r)
{
	struct audit_subject s = audit_subject(r);
	char from[ADDRESS_TEXT];

	audit_print_name(p, s.initiator, WHO);
	audit_print_cell(p, s.peer.ip.version ? endpoint_format(&s.peer, from) : "-", FROM);
	audit_print_name(p, s.target, TARGET);
}

static void command_result(const struct audit_print *p, const struct audit_record *c)
{
	(void)fprintf(p->out, "%s", audit_verdict_name((enum audit_verdict)c->verdict));
	if (c->verdict == VERDICT_BUSY)
		(void)fprintf(p->out, " (%u commands)", c->blocks);
	if (c->rule_line)
		(void)fprintf(p->out, " (policy.yaml:%u)", c->rule_line);
	if (c->status)
		(void)fprintf(p->out, " status %02xh", c->status);
	if (c->sense_key || c->asc || c->ascq)
		(void)fprintf(p->out, " sense %xh/%02xh/%02xh", c->sense_key, c->asc, c->ascq);
}

static void blocks_text(const struct audit_record *c, char *ret, size_t size)
{
	uint64_t key;

	if (record_command_key(c, &key))
		(void)snprintf(ret, size, "key 0x%llx", (unsigned long long)key);
	else if (c->verdict != VERDICT_BUSY && (c->blocks || c->lba))
		(void)snprintf(ret, size, "%llu+%u", (unsigned long long)c->lba, c->blocks);
	else
		string_copy(ret, size, "-");
}

static void command_cells(const struct audit_print *p, const struct audit_record *c)
{
	char lun[8] = "-", what[72] = "", blocks[48], name[56];

	if (c->lun != 0xffff)
		(void)snprintf(lun, sizeof lun, "%u", c->lun);
	(void)record_command_text(c, name, sizeof name);
	if (name[0] && c->kind == AUDIT_OUTCOME)
		(void)snprintf(what, sizeof what, "end of %s", name);
	else if (name[0] && c->source)
		(void)snprintf(what, sizeof what, "source of %s", name);
	else
		string_copy(what, sizeof what, name[0] ? name : "commands");
	blocks_text(c, blocks, sizeof blocks);
	audit_print_cell(p, lun, LUN);
	audit_print_cell(p, what, WHAT);
	audit_print_cell(p, blocks, BLOCKS);
	command_result(p, c);
}

static void text_part(const struct audit_print *p, const char *before, const char *text)
{
	char escaped[4 * AUDIT_DETAIL_SIZE];

	if (text[0])
		(void)fprintf(p->out, "%s%s", before,
			      text_escape(text, strlen(text), escaped, sizeof escaped));
}

static void event_result(const struct audit_print *p, const struct audit_event *e)
{
	text_part(p, "", e->reason);
	text_part(p, e->reason[0] ? ", user " : "user ", e->user);
	if (e->count > 1)
		(void)fprintf(p->out, ", %llu times", (unsigned long long)e->count);
	if (e->policy_line)
		(void)fprintf(p->out, " (policy.yaml:%u)", e->policy_line);
	text_part(p, e->reason[0] || e->user[0] ? ": " : "", e->detail);
}

static void other_cells(const struct audit_print *p, const struct trail_record *r)
{
	const struct frame *f = &r->frame;

	audit_print_cell(p, "-", LUN);
	audit_print_cell(p, audit_record_name(r), WHAT);
	audit_print_cell(p, "-", BLOCKS);
	if (f->type == FRAME_EVENT)
		event_result(p, &f->event);
	else if (f->type == FRAME_SESSION)
		(void)fprintf(p->out, "opened");
	else
		(void)fprintf(p->out, f->end == SEGMENT_END_STOP
					      ? "a clean stop"
					      : "the monitor died; all sessions ended with it");
}

void audit_print_row(const struct audit_print *p, const struct trail_record *r)
{
	bool red = stands_out(&r->frame);
	char time[WHEN_TEXT];

	(void)fprintf(p->out, "%s %9llu ", when_format(r->frame.stamp.time_ns, p->utc, time),
		      (unsigned long long)r->frame.stamp.sequence);
	subject_cells(p, r);
	if (red)
		audit_print_red(p, true);
	if (r->frame.type == FRAME_COMMAND)
		command_cells(p, &r->frame.command);
	else
		other_cells(p, r);
	if (red)
		audit_print_red(p, false);
	(void)fputc('\n', p->out);
}

void audit_print_head(const struct audit_print *p)
{
	if (p->csv)
		audit_print_csv(p, NULL);
	if (p->json || p->csv)
		return;
	(void)fprintf(p->out, "%-*s %9s ", p->utc ? 24 : 29, "TIME", "SEQ");
	audit_print_cell(p, "WHO", WHO);
	audit_print_cell(p, "FROM", FROM);
	audit_print_cell(p, "TARGET", TARGET);
	audit_print_cell(p, "LUN", LUN);
	audit_print_cell(p, "WHAT", WHAT);
	audit_print_cell(p, "BLOCKS", BLOCKS);
	(void)fprintf(p->out, "RESULT\n");
}

void audit_print(const struct audit_print *p, const struct trail_record *r)
{
	if (p->json)
		audit_print_json(p, r);
	else if (p->csv)
		audit_print_csv(p, r);
	else
		audit_print_row(p, r);
}
