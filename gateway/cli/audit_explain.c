/* `sallyport audit show SEQUENCE`: one record for a person, every field with what it means. Peers'
 * texts go through the escaper. */
#include "gateway/cli/audit_print.h"

#include "gateway/audit/cdb_fields.h"
#include "gateway/audit/escape.h"
#include "gateway/audit/fields.h"

#define NAME_WIDTH  16
#define VALUE_WIDTH 34

static void value_print(const struct audit_print *p, const struct field_value *value,
			enum field_type type)
{
	char text[4 * AUDIT_DETAIL_SIZE + 8];

	if (type == FIELD_NUMBER)
		(void)snprintf(text, sizeof text, "%llu", (unsigned long long)value->number);
	else if (escape_copy(ESCAPE_TABLE, value->text, text, sizeof text) < 0)
		string_copy(text, sizeof text, "too long to show");
	audit_print_cell(p, text, VALUE_WIDTH);
}

static void cdb_line(void *arg, const char *name, uint64_t value)
{
	const struct audit_print *p = arg;
	char text[48];

	(void)snprintf(text, sizeof text, value < 10 ? "%llu" : "%llu (%llxh)",
		       (unsigned long long)value, (unsigned long long)value);
	(void)fprintf(p->out, "  %-28s %s\n", name, text);
}

static void cdb_print(const struct audit_print *p, const struct audit_record *c)
{
	if (c->cdb_len == 0)
		return;
	(void)fprintf(p->out, "\nCDB\n");
	if (!cdb_fields(c->cdb, MIN((size_t)c->cdb_len, sizeof c->cdb), cdb_line,
			(void *)(uintptr_t)p))
		(void)fprintf(p->out, "  its fields are not known here\n");
}

/* What becomes of it is told by another record, if at all. */
static const char *meaning(const struct trail_record *r)
{
	static const char *const of[VERDICTS] = {
		[VERDICT_ADMITTED] =
			"it was let go; if it did not end well, an outcome record with "
			"the same connection and task_tag follows",
		[VERDICT_DENIED] = "the policy forbids it; it never reached the disk",
		[VERDICT_REFUSED] = "the device refused it; it never reached the disk",
		[VERDICT_NOT_EXECUTED] = "it was admitted, and ended before it reached the disk",
		[VERDICT_FAILED] = "it ended with another status than GOOD; what it writes may be "
				   "written in part",
		[VERDICT_BUSY] = "so many commands were answered BUSY while the audit was away",
		[VERDICT_DONE] = "it ended well",
	};
	uint8_t verdict = r->frame.command.verdict;

	if (r->frame.type != FRAME_COMMAND || verdict >= VERDICTS)
		return NULL;
	return of[verdict];
}

void audit_print_explained(const struct audit_print *p, const struct trail_record *r)
{
	struct field_values values;
	const char *means = meaning(r);

	fields_of(&values, r, p->utc);
	for (enum field_id id = 0; id < FIELDS; id++) {
		if (!field_is_set(&values, id))
			continue;
		(void)fprintf(p->out, "%-*s ", NAME_WIDTH, fields[id].name);
		value_print(p, &values.of[id], fields[id].type);
		(void)fprintf(p->out, " %s\n", fields[id].help);
	}
	(void)fprintf(p->out, "\nIt stands in block %llu of the log %s, in its segment %llu.\n",
		      (unsigned long long)r->block, audit_log_name(r->log),
		      (unsigned long long)r->segment);
	if (r->frame.type == FRAME_COMMAND)
		cdb_print(p, &r->frame.command);
	if (means)
		(void)fprintf(p->out, "\n%s: %s\n",
			      audit_verdict_name((enum audit_verdict)r->frame.command.verdict),
			      means);
}
