/* What `audit verify` says: the verdict first, what it rests on, each log in a line, then what was
 * found, with its place. Names and details may be of anybody's making, and are escaped. */
#include <inttypes.h>
#include "gateway/audit/escape.h"
#include "gateway/base/when.h"
#include "gateway/cli/audit_verify.h"

static const struct verdict {
	const char *name, *text;
	int status;
} verdicts[VERIFY_CLASSES] = {
	[VERIFY_CLASS_INVALID] = {"ok", "the trail is as it was written", EXIT_DONE},
	[VERIFY_SAID] = {"ok", "the trail is as it was written", EXIT_DONE},
	[VERIFY_GAP] = {"gap",
			"records were lost, as the trail itself says; the rest is as it was "
			"written",
			EXIT_GAPS},
	[VERIFY_OPEN] =
		{"end-not-proven",
		 "what is there is as it was written, but not all of it is proven: see below",
		 EXIT_TAIL},
	[VERIFY_DAMAGED] = {"damaged", "the trail is not as it was written", EXIT_DAMAGED},
	[VERIFY_FORGED] = {"forged", "the trail was changed by somebody", EXIT_DAMAGED},
};

static const char *const ends[] = {
	[VERIFY_END_INVALID] = "",
	[VERIFY_END_NONE] = "not proven",
	[VERIFY_END_STOP] = "the signed record of a stop",
	[VERIFY_END_LIVE] = "the running gateway's newest durable record",
	[VERIFY_END_OUTSIDE] = "outside checkpoints",
};

static const char *const end_names[] = {
	[VERIFY_END_INVALID] = "",  [VERIFY_END_NONE] = "none",	      [VERIFY_END_STOP] = "stop",
	[VERIFY_END_LIVE] = "live", [VERIFY_END_OUTSIDE] = "outside",
};

static const char *const class_names[VERIFY_CLASSES] = {
	[VERIFY_SAID] = "note",	      [VERIFY_GAP] = "gap",	  [VERIFY_OPEN] = "end-not-proven",
	[VERIFY_DAMAGED] = "damaged", [VERIFY_FORGED] = "forged",
};

/* --- text --------------------------------------------------------------------------------- */

static void text_range(FILE *f, const char *what, uint64_t first, uint64_t last)
{
	if (first == last)
		fprintf(f, ", %s %" PRIu64, what, first);
	else
		fprintf(f, ", %ss %" PRIu64 " to %" PRIu64, what, first, last);
}

static void text_finding(FILE *f, const struct verify_finding *v)
{
	const struct verify_words *w = verify_words(v->kind);

	fprintf(f, "%s: ", w->name);
	if (v->file[0])
		escape_put(f, ESCAPE_TABLE, v->file);
	else
		fprintf(f, "%s", v->log ? audit_log_name(v->log) : "trail");
	if (v->has_place && v->octets > 0)
		text_range(f, "octet", v->offset, v->offset + v->octets - 1);
	else if (v->has_place)
		fprintf(f, ", octet %" PRIu64, v->offset);
	if (v->has_block)
		text_range(f, "block", v->block, v->last_block);
	if (v->sequence)
		text_range(f, "record", v->sequence, v->last_sequence);
	fprintf(f, "\n    %s", w->means);
	if (v->text[0]) {
		fputs(" (", f);
		escape_put(f, ESCAPE_TABLE, v->text);
		fputs(")", f);
	}
	fprintf(f, "\n    to do: %s\n", w->what_to_do);
}

static void text_up_to(FILE *f, const char *what, const struct verify_range *all, uint64_t end)
{
	if (end == all->end && end > all->first)
		fprintf(f, ", %s whole", what);
	else if (end > all->first)
		fprintf(f, ", %s to block %" PRIu64, what, end - 1);
}

static void text_log(FILE *f, enum audit_log log, const struct verify_log_result *l)
{
	uint64_t sealed = 0;

	if (l->segments == 0) {
		fprintf(f, "  %-8s  nothing\n", audit_log_name(log));
		return;
	}
	for (size_t i = 0; i < l->sealed_count; i++)
		sealed += l->sealed[i].end - l->sealed[i].first;
	fprintf(f, "  %-8s  %" PRIu64 " records", audit_log_name(log), l->records);
	if (l->blocks.end > l->blocks.first)
		text_range(f, "block", l->blocks.first, l->blocks.end - 1);
	fprintf(f, ", %" PRIu64 " file%s, %" PRIu64 " checkpoints", l->segments,
		l->segments == 1 ? "" : "s", l->notes);
	text_up_to(f, "signed", &l->blocks, l->signed_end);
	if (sealed > 0 && sealed == l->blocks.end - l->blocks.first)
		fputs(", sealed whole", f);
	for (size_t i = 0; i < l->sealed_count && sealed < l->blocks.end - l->blocks.first; i++)
		text_range(f, i ? "and block" : "sealed: block", l->sealed[i].first,
			   l->sealed[i].end - 1);
	text_up_to(f, "outside checkpoints", &l->blocks, l->outside_end);
	fputc('\n', f);
}

static bool all_signed(const struct verify_result *r)
{
	return r->logs[0].signed_end == r->logs[0].blocks.end &&
	       r->logs[1].signed_end == r->logs[1].blocks.end;
}

static bool any_sealed(const struct verify_result *r)
{
	return r->logs[0].sealed_count + r->logs[1].sealed_count > 0;
}

static bool any_outside(const struct verify_result *r)
{
	return r->logs[0].outside_end + r->logs[1].outside_end > 0;
}

/* By what, and by what not. */
static void text_levels(FILE *f, const struct verify_told *t, const struct verify_result *r)
{
	bool whole = r->worst < VERIFY_DAMAGED;

	fprintf(f, "proven by: %s%s%s%s\n", whole ? "chain" : "nothing as a whole",
		whole ? all_signed(r) ? ", signature" : ", signature (not to the end)" : "",
		any_sealed(r) ? ", seal" : "", any_outside(r) ? ", outside checkpoint" : "");
	fprintf(f, "end: %s\n", ends[r->end]);
	if (!r->signer_known)
		fputs("not proven: that the signer is yours (--signer, with what `audit key "
		      "--public` said)\n",
		      f);
	if (!any_sealed(r))
		fprintf(f, "not proven: that who had the machine later did not make it anew (%s)\n",
			t->keys_given ? "the key that you gave seals no block that is there"
				      : "--key, with what `audit key` said");
	if (!any_outside(r))
		fputs("not proven: by a checkpoint that was kept elsewhere (--checkpoint)\n", f);
}

static void text_head(const struct verify_told *t, const struct verify_result *r)
{
	const struct verdict *v = &verdicts[r->worst];
	char first[WHEN_TEXT], last[WHEN_TEXT], signer[NOTE_VERIFIER_SIZE];

	fprintf(t->out, "%s: %s\n", v->name, v->text);
	if (r->first_sequence)
		fprintf(t->out, "records %" PRIu64 " to %" PRIu64 ", %s to %s\n", r->first_sequence,
			r->last_sequence, when_format(r->first_ns, t->utc, first),
			when_format(r->last_ns, t->utc, last));
	text_levels(t->out, t, r);
	for (enum audit_log log = LOG_COMMANDS; log <= AUDIT_LOGS; log++)
		text_log(t->out, log, &r->logs[log - 1]);
	if (r->any)
		fprintf(t->out, "  signer    %s\n",
			note_verifier_write(signer, r->trail, LOG_COMMANDS, r->signer));
}

static uint64_t total(const struct verify_result *r)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < VERIFY_CLASSES; i++)
		sum += r->counts[i];
	return sum;
}

static void text(const struct verify_told *t, const struct verify_result *r)
{
	text_head(t, r);
	for (size_t i = 0; i < t->count; i++)
		text_finding(t->out, &t->findings[i]);
	if (total(r) > t->count)
		fprintf(t->out, "and %" PRIu64 " more findings\n", total(r) - t->count);
}

/* --- JSON --------------------------------------------------------------------------------- */

static void json_text(FILE *f, const char *name, const char *value)
{
	fprintf(f, ",\"%s\":\"", name);
	escape_put(f, ESCAPE_JSON, value);
	fputc('"', f);
}

static void json_number(FILE *f, const char *name, uint64_t value)
{
	fprintf(f, ",\"%s\":%" PRIu64, name, value);
}

static void json_finding(FILE *f, const struct verify_finding *v)
{
	const struct verify_words *w = verify_words(v->kind);

	fprintf(f, "{\"finding\":\"%s\",\"class\":\"%s\"", w->name, class_names[w->class]);
	if (v->log)
		json_text(f, "log", audit_log_name(v->log));
	if (v->file[0])
		json_text(f, "file", v->file);
	if (v->has_place) {
		json_number(f, "offset_bytes", v->offset);
		json_number(f, "length_bytes", v->octets);
	}
	if (v->has_block) {
		json_number(f, "first_block", v->block);
		json_number(f, "last_block", v->last_block);
	}
	if (v->sequence) {
		json_number(f, "first_sequence", v->sequence);
		json_number(f, "last_sequence", v->last_sequence);
	}
	json_text(f, "means", w->means);
	json_text(f, "detail", v->text);
	json_text(f, "to_do", w->what_to_do);
	fputc('}', f);
}

static void json_log(FILE *f, enum audit_log log, const struct verify_log_result *l)
{
	fprintf(f, "\"%s\":{\"records\":%" PRIu64, audit_log_name(log), l->records);
	json_number(f, "segments", l->segments);
	json_number(f, "size_bytes", l->octets);
	json_number(f, "checkpoints", l->notes);
	json_number(f, "first_block", l->blocks.first);
	json_number(f, "end_block", l->blocks.end);
	json_number(f, "signed_end_block", l->signed_end);
	json_number(f, "outside_end_block", l->outside_end);
	fputs(",\"sealed_blocks\":[", f);
	for (size_t i = 0; i < l->sealed_count; i++)
		fprintf(f, "%s[%" PRIu64 ",%" PRIu64 "]", i ? "," : "", l->sealed[i].first,
			l->sealed[i].end);
	fputs("]}", f);
}

static void json_levels(FILE *f, const struct verify_result *r)
{
	bool whole = r->worst < VERIFY_DAMAGED;

	fprintf(f,
		",\"proven\":{\"chain\":%s,\"signature\":%s,\"seal\":%s,\"outside\":%s,"
		"\"signer\":%s}",
		whole ? "true" : "false", whole && all_signed(r) ? "true" : "false",
		any_sealed(r) ? "true" : "false", any_outside(r) ? "true" : "false",
		r->signer_known ? "true" : "false");
}

static void json(const struct verify_told *t, const struct verify_result *r)
{
	char signer[NOTE_VERIFIER_SIZE];
	FILE *f = t->out;

	fprintf(f, "{\"verdict\":\"%s\",\"exit_status\":%d", verdicts[r->worst].name,
		verdicts[r->worst].status);
	json_number(f, "first_sequence", r->first_sequence);
	json_number(f, "last_sequence", r->last_sequence);
	json_number(f, "first_time_ns", r->first_ns);
	json_number(f, "last_time_ns", r->last_ns);
	json_text(f, "end", end_names[r->end]);
	json_levels(f, r);
	if (r->any)
		json_text(f, "signer",
			  note_verifier_write(signer, r->trail, LOG_COMMANDS, r->signer));
	fputs(",\"logs\":{", f);
	for (enum audit_log log = LOG_COMMANDS; log <= AUDIT_LOGS; log++) {
		fputs(log > LOG_COMMANDS ? "," : "", f);
		json_log(f, log, &r->logs[log - 1]);
	}
	fputc('}', f);
	json_number(f, "findings_total", total(r));
	fputs(",\"findings\":[", f);
	for (size_t i = 0; i < t->count; i++) {
		fputs(i ? "," : "", f);
		json_finding(f, &t->findings[i]);
	}
	fputs("]}\n", f);
}

int verify_print(const struct verify_told *t, const struct verify_result *r)
{
	(t->cli->json ? json : text)(t, r);
	if (fflush(t->out) == EOF || ferror(t->out))
		return cli_cannot(t->cli, "can't write the output: %s", strerror(errno));
	return verdicts[r->worst].status;
}
