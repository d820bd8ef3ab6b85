/* Every form of the export: each field stands where the tables say, in each form, with the value
 * that the record has; and texts that try to break out of their form stay what they are. */
#include "tests/unit/test.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include "gateway/audit/export.h"
#include "gateway/base/fd.h"
#include "gateway/base/log.h"

#define NAUGHTY "=cmd|' /C calc'!A0\"\n\\,]|=\x1b[2J<b>\xe2\x80\xae\xff%"

static struct auditor_ring_info session = {.connection = 7};

/* One of each kind, all fields of it set. */
static struct trail_record command_of(uint8_t opcode, enum audit_verdict verdict)
{
	struct trail_record r = {.run = 0xabcdef, .session = &session};

	r.frame.type = FRAME_COMMAND;
	r.frame.stamp = (struct stamp){12345, UINT64_C(1795341600123456789), 77};
	r.frame.connection = 7;
	r.frame.command = (struct audit_record){.index = 3,
						.wall_ns = UINT64_C(1795341600123450000),
						.lba = 4096,
						.blocks = 8,
						.rule_line = 17,
						.task_tag = 99,
						.lun = 2,
						.kind = AUDIT_COMMAND,
						.verdict = (uint8_t)verdict,
						.cdb_len = 10,
						.source = 1,
						.cdb = {opcode, 0, 0, 0, 16, 0, 0, 0, 8}};
	return r;
}

static struct trail_record outcome_of(uint8_t status, enum audit_verdict verdict)
{
	struct trail_record r = command_of(0x2a, verdict);

	r.frame.command.kind = AUDIT_OUTCOME;
	r.frame.command.status = status;
	r.frame.command.sense_key = 3;
	r.frame.command.asc = 0x0c;
	r.frame.command.ascq = 2;
	r.frame.command.latency_us = 1500;
	return r;
}

static struct trail_record event_of(enum audit_event_kind kind, const char *text)
{
	struct trail_record r = command_of(0, VERDICT_ADMITTED);
	struct audit_event *e = &r.frame.event;

	r.session = NULL;
	r.frame.type = FRAME_EVENT;
	*e = (struct audit_event){.id = 5,
				  .wall_ns = UINT64_C(1795341600000000001),
				  .count = 3,
				  .kind = kind,
				  .policy_line = 21,
				  .algorithm = 7};
	assert_int_equal(endpoint_parse("[2001:db8::7]:51234", &e->peer), 0);
	string_copy(e->portal, sizeof e->portal, text);
	string_copy(e->reason, sizeof e->reason, text);
	string_copy(e->user, sizeof e->user, text);
	string_copy(e->initiator, sizeof e->initiator, text);
	string_copy(e->target, sizeof e->target, text);
	string_copy(e->detail, sizeof e->detail, text);
	return r;
}

static struct trail_record records[EVENT_KINDS + 16];
static size_t record_count;

static void make_records(void)
{
	static const uint8_t opcodes[] = {0x2a, 0x28, 0x42, 0x5f, 0x12, 0xff, 0x15};

	string_copy(session.initiator, sizeof session.initiator, "iqn.test:" NAUGHTY);
	string_copy(session.target, sizeof session.target, "iqn.test:vault");
	assert_int_equal(endpoint_parse("192.0.2.7:4000", &session.peer), 0);
	for (size_t i = 0; i < ARRAY_LEN(opcodes); i++)
		records[record_count++] = command_of(opcodes[i], VERDICT_ADMITTED);
	records[record_count++] = command_of(0x2a, VERDICT_DENIED);
	records[record_count++] = command_of(0x2a, VERDICT_REFUSED);
	records[record_count++] = outcome_of(2, VERDICT_FAILED);
	records[record_count++] = outcome_of(0, VERDICT_DONE);
	for (enum audit_event_kind k = EVENT_INVALID + 1; k < EVENT_KINDS; k++)
		records[record_count++] = event_of(k, k % 2 ? NAUGHTY : "iqn.test:calm");
	records[record_count] = command_of(0, VERDICT_ADMITTED);
	records[record_count].frame.type = FRAME_SESSION;
	records[record_count++].frame.session = session;
	records[record_count] = command_of(0, VERDICT_ADMITTED);
	records[record_count].session = NULL;
	records[record_count].frame.type = FRAME_END;
	records[record_count++].frame.end = SEGMENT_END_STOP;
	assert_true(record_count <= ARRAY_LEN(records));
}

/* A line of a form, NUL-ended; its length is checked against the promise. */
static char *line_of(enum export_format format, const struct trail_record *r)
{
	static char line[EXPORT_TEXT_MAX + 1];
	struct wr w = wr_over(line, EXPORT_TEXT_MAX);

	export_line(&w, format, r);
	assert_false(w.failed);
	line[wr_len(&w)] = '\0';
	assert_int_equal(line[wr_len(&w) - 1], '\n');
	return line;
}

/* What a form must hold for a field, as text. */
static const char *wanted(const struct field_values *v, enum field_id id)
{
	static char text[4 * AUDIT_DETAIL_SIZE];

	if (fields[id].type == FIELD_NUMBER)
		(void)snprintf(text, sizeof text, "%llu", (unsigned long long)v->of[id].number);
	else
		(void)text_escape(v->of[id].text, strlen(v->of[id].text), text, sizeof text);
	return text;
}

/* --- the forms that are JSON ---------------------------------------------------------------- */

/* "event.sequence" in the object; a name with a dot of its own does not occur. */
static json_t *at_path(json_t *object, const char *path)
{
	const char *dot;

	while ((dot = strchr(path, '.'))) {
		object = json_object_getn(object, path, (size_t)(dot - path));
		path = dot + 1;
	}
	return json_object_get(object, path);
}

static void check_json_value(json_t *got, const struct field_values *v, enum field_id id)
{
	if (fields[id].type == FIELD_TEXT)
		assert_string_equal(json_string_value(got), wanted(v, id));
	else
		assert_int_equal(json_integer_value(got), v->of[id].number);
}

/* Of two fields that share a name, one at most is set. */
static bool name_is_set(enum export_format format, const char *name, const struct field_values *v)
{
	char other[EXPORT_NAME_SIZE];

	for (enum field_id id = 0; id < FIELDS; id++)
		if (field_is_set(v, id) && strcmp(export_name(format, id, other), name) == 0)
			return true;
	return false;
}

static void check_json(enum export_format format, const struct trail_record *r)
{
	struct field_values v;
	char name[EXPORT_NAME_SIZE];
	json_t *object = json_loads(line_of(format, r), JSON_REJECT_DUPLICATES, NULL);

	assert_non_null(object);
	fields_of(&v, r, true);
	for (enum field_id id = 0; id < FIELDS; id++) {
		json_t *got = at_path(object, export_name(format, id, name));

		if (field_is_set(&v, id))
			check_json_value(got, &v, id);
		else if (!name_is_set(format, name, &v) && id != FIELD_INITIATOR)
			assert_null(got); /* the initiator's name has stand-ins */
	}
	json_decref(object);
}

static const struct {
	const char *why;
	enum export_format format;
} json_forms[] = {
	{"jsonl: each field stands under its own name", EXPORT_JSONL},
	{"ecs: each field stands where the table says", EXPORT_ECS},
	{"ocsf: each field stands where the table says", EXPORT_OCSF},
};

static void check_json_form(void **state)
{
	const __typeof__(json_forms[0]) *row = *state;

	for (size_t i = 0; i < record_count; i++)
		check_json(row->format, &records[i]);
}

static void check_great_lba(void **state)
{
	struct trail_record r = command_of(0x2a, VERDICT_REFUSED);

	(void)state;
	r.frame.command.lba = UINT64_MAX;
	assert_non_null(strstr(line_of(EXPORT_JSONL, &r), "\"lba\":18446744073709551615,"));
	assert_non_null(strstr(line_of(EXPORT_ECS, &r), "\"lba\":18446744073709551615,"));
	assert_non_null(strstr(line_of(EXPORT_OCSF, &r), "\"lba\":18446744073709551615,"));
	assert_non_null(strstr(line_of(EXPORT_CEF, &r), " cn1=18446744073709551615 "));
}

/* --- CSV ------------------------------------------------------------------------------------ */

/* The next field of RFC 4180 into `ret`; returns what follows it, or NULL at the end of line. */
static const char *csv_next(const char *p, char *ret)
{
	if (*p == '"') {
		for (p++; *p != '"' || p[1] == '"'; p++) {
			assert_int_not_equal(*p, '\0');
			p += *p == '"';
			*ret++ = *p;
		}
		p++;
	} else {
		while (*p != ',' && *p != '\r')
			*ret++ = *p++;
	}
	*ret = '\0';
	if (*p == ',')
		return p + 1;
	assert_string_equal(p, "\r\n");
	return NULL;
}

static void check_csv(void **state)
{
	char head[2048], cell[4 * AUDIT_DETAIL_SIZE];
	struct wr w = wr_over(head, sizeof head - 1);
	struct field_values v;

	(void)state;
	export_head(&w, EXPORT_CSV);
	head[wr_len(&w)] = '\0';
	for (size_t i = 0; i < record_count; i++) {
		const char *name = head, *value = line_of(EXPORT_CSV, &records[i]);

		fields_of(&v, &records[i], true);
		for (enum field_id id = 0; id < FIELDS; id++) {
			const char *text = cell;

			assert_true(name && value);
			name = csv_next(name, cell);
			assert_string_equal(cell, fields[id].name);
			value = csv_next(value, cell);
			assert_true(!cell[0] || !strchr("=+-@|%", cell[0]));
			text += cell[0] == '\'';
			assert_string_equal(text, field_is_set(&v, id) ? wanted(&v, id) : "");
		}
		assert_true(!name && !value);
	}
}

/* --- CEF ------------------------------------------------------------------------------------ */

/* The value of an extension, its escapes undone; false: there is none. */
static bool cef_value(const char *line, const char *key, char *ret)
{
	char start[EXPORT_NAME_SIZE + 4];
	const char *p;

	(void)snprintf(start, sizeof start, "%s=", key);
	for (p = line; (p = strstr(p, start)); p++)
		if (p[-1] == ' ' || p[-1] == '|')
			break;
	if (!p)
		return false;
	for (p += strlen(start); *p && *p != '\n'; p++) {
		const char *word = p + 1;

		if (*p == '\\') {
			*ret++ = *++p;
			continue;
		}
		assert_int_not_equal(*p, '=');
		if (*p == ' ' &&
		    word[strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUV"
				      "WXYZ0123456789")] == '=')
			break;
		*ret++ = *p;
	}
	*ret = '\0';
	return true;
}

static void check_cef(void **state)
{
	char name[EXPORT_NAME_SIZE], value[4 * AUDIT_DETAIL_SIZE];
	struct field_values v;

	(void)state;
	for (size_t i = 0; i < record_count; i++) {
		const char *line = line_of(EXPORT_CEF, &records[i]), *p = line;
		int pipes = 0;

		assert_int_equal(strncmp(line, "CEF:0|Sallyport|sallyport|", 26), 0);
		for (; pipes < 7; p++) {
			pipes += *p == '|';
			assert_int_not_equal(*p, '\0');
		}
		fields_of(&v, &records[i], true);
		for (enum field_id id = 0; id < FIELDS; id++) {
			(void)export_name(EXPORT_CEF, id, name);
			if (id == FIELD_PEER_IP && field_is_set(&v, id) &&
			    strchr(v.of[id].text, ':'))
				string_copy(name, sizeof name, "c6a2");
			if (!cef_value(p - 1, name, value))
				assert_false(field_is_set(&v, id));
			else if (field_is_set(&v, id))
				assert_string_equal(value, wanted(&v, id));
			else
				assert_true(name_is_set(EXPORT_CEF, name, &v));
		}
	}
}

/* --- names ---------------------------------------------------------------------------------- */

static void check_names_differ(void **state)
{
	static const enum export_format forms[] = {EXPORT_JSONL, EXPORT_CSV, EXPORT_ECS,
						   EXPORT_OCSF, EXPORT_CEF};
	char a[EXPORT_NAME_SIZE], b[EXPORT_NAME_SIZE];

	(void)state;
	for (size_t f = 0; f < ARRAY_LEN(forms); f++)
		for (enum field_id i = 0; i < FIELDS; i++)
			for (enum field_id k = i + 1; k < FIELDS; k++) {
				bool action = forms[f] == EXPORT_ECS && i == FIELD_EVENT &&
					      k == FIELD_COMMAND; /* no record has both */

				assert_int_equal(strcmp(export_name(forms[f], i, a),
							export_name(forms[f], k, b)) == 0,
						 action);
			}
}

/* Each test runs in a folder of its own. */
static int manual_open(void)
{
	static const char page[] = "deploy/man/sallyport-audit-export.5";
	const char *build = getenv("SALLYPORT_BUILD");
	char path[512];

	(void)snprintf(path, sizeof path, "%s%s%s", build ? build : "", build ? "/../" : "", page);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static void check_manual(void **state)
{
	OWNED_FD fd = manual_open();
	OWNED_FREE char *page = NULL;
	size_t len;
	char row[256], ecs[EXPORT_NAME_SIZE], ocsf[EXPORT_NAME_SIZE], cef[EXPORT_NAME_SIZE];

	(void)state;
	if (fd < 0) {
		print_message("the manual is not here: run from the top of the tree\n");
		skip();
	}
	assert_int_equal(fd_read_all(fd, 1 << 20, &page, &len), 0);
	for (enum field_id id = 0; id < FIELDS; id++) {
		(void)snprintf(row, sizeof row, ".It %s Ta %s Ta %s Ta %s\n", fields[id].name,
			       export_name(EXPORT_ECS, id, ecs), export_name(EXPORT_OCSF, id, ocsf),
			       export_name(EXPORT_CEF, id, cef));
		if (!strstr(page, row))
			fail_msg("the manual lacks: %s", row);
		(void)snprintf(row, sizeof row, ".It Sy %s\n%s\n", fields[id].name,
			       fields[id].help);
		if (!strstr(page, row))
			fail_msg("the manual lacks: %s", row);
	}
}

/* --- classes -------------------------------------------------------------------------------- */

static const struct {
	const char *why;
	uint8_t opcode;
	enum audit_verdict verdict;
	const char *ecs, *ocsf;
} commands[] = {
	{"a read is an access to a datastore", 0x28, VERDICT_ADMITTED,
	 "\"category\":[\"database\"],\"type\":[\"access\"],\"outcome\":\"unknown\"",
	 "\"activity_id\":1,\"activity_name\":\"Read\",\"type_uid\":600501,\"severity_id\":1,"
	 "\"status_id\":0"},
	{"a write changes it", 0x2a, VERDICT_ADMITTED, "\"type\":[\"change\"]",
	 "\"type_uid\":600505"},
	{"a discard deletes", 0x42, VERDICT_ADMITTED, "\"type\":[\"change\"]",
	 "\"type_uid\":600507"},
	{"a reservation updates", 0x5f, VERDICT_ADMITTED, "\"type\":[\"change\"]",
	 "\"type_uid\":600502"},
	{"identification is a query", 0x12, VERDICT_ADMITTED, "\"type\":[\"info\"]",
	 "\"type_uid\":600504"},
	{"what has no name is other", 0xff, VERDICT_REFUSED,
	 "\"type\":[\"info\"],\"outcome\":\"failure\"", "\"type_uid\":600599"},
	{"a command that ended well is a success", 0x28, VERDICT_DONE, "\"outcome\":\"success\"",
	 "\"status_id\":1"},
	{"what the policy denies failed, and was denied", 0x2a, VERDICT_DENIED,
	 "\"category\":[\"database\",\"network\"],\"type\":[\"change\",\"denied\"],\"outcome\":"
	 "\"failure\"",
	 "\"severity_id\":3,\"status_id\":2,\"status\":\"Failure\""},
};

static void check_command(void **state)
{
	const __typeof__(commands[0]) *row = *state;
	struct trail_record r = command_of(row->opcode, row->verdict);

	assert_non_null(strstr(line_of(EXPORT_ECS, &r), row->ecs));
	assert_non_null(strstr(line_of(EXPORT_OCSF, &r), row->ocsf));
}

static void check_every_event(void **state)
{
	(void)state;
	for (enum audit_event_kind k = EVENT_INVALID + 1; k < EVENT_KINDS; k++) {
		struct trail_record r = event_of(k, "x");
		struct export_class class = export_class(&r);

		assert_string_not_equal(class.title, "Record"); /* it has a row */
		assert_true(class.ecs_category[0] && class.ecs_type[0]);
	}
}

/* --- messages ------------------------------------------------------------------------------- */

static void check_syslog(void **state)
{
	static char line[EXPORT_TEXT_MAX];
	struct trail_record r = event_of(EVENT_REFUSAL, "a]b\"c\n");
	struct wr w = wr_over(line, sizeof line - 1);
	static const char head[] =
		"<108>1 2026-11-22T10:00:00.123456Z gw1 sallyport - refusal [meta "
		"sequenceId=\"12345\"][sallyport@32473 seq=\"12345\" event=\"refusal\" "
		"reason=\"a\\]b\\\\x22c\\\\x0a\" ";

	(void)state;
	export_syslog(&w, EXPORT_JSONL, &r, "gw1");
	assert_false(w.failed);
	line[wr_len(&w)] = '\0';
	assert_int_equal(strncmp(line, head, strlen(head)), 0);
	assert_null(strchr(line, '\n'));
	assert_non_null(strstr(line, " peer_ip=\"2001:db8::7\"] {\"seq\":12345,"));
	assert_int_equal(line[strlen(line) - 1], '}');
}

static void check_sequence_id(void **state)
{
	static char line[EXPORT_TEXT_MAX];
	struct trail_record r = event_of(EVENT_LOGIN, "x");
	struct wr w = wr_over(line, sizeof line - 1);

	(void)state;
	r.frame.stamp.sequence = UINT64_C(2147483648);
	export_syslog(&w, EXPORT_CEF, &r, "gw1");
	assert_non_null(strstr(line, "[meta sequenceId=\"1\"]"));
}

/* Each line of an entry is NAME=value: no text of a peer's makes one of its own. */
static void check_journal(void **state)
{
	static char entry[EXPORT_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < record_count; i++) {
		struct wr w = wr_over(entry, sizeof entry - 1);
		struct field_values v;
		int lines = 0;

		export_journal(&w, EXPORT_JSONL, &records[i]);
		assert_false(w.failed);
		entry[wr_len(&w)] = '\0';
		fields_of(&v, &records[i], true);
		for (const char *p = entry; *p; p = strchr(p, '\n') + 1, lines++)
			assert_int_equal(p[strspn(p, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_")], '=');
		assert_int_equal(lines, 4 + __builtin_popcountll(v.set));
	}
}

static struct tests t;

int main(void)
{
	make_records();
	TESTS_ADD_TABLE(&t, json_forms, check_json_form);
	tests_add(&t, "an LBA of 64 bits is written whole", check_great_lba, NULL);
	tests_add(&t, "csv: a column for each field, no text a formula", check_csv, NULL);
	tests_add(&t, "cef: seven pipes, and each field's extension", check_cef, NULL);
	tests_add(&t, "no two fields share a name", check_names_differ, NULL);
	tests_add(&t, "the manual has every field and its name in each form", check_manual, NULL);
	TESTS_ADD_TABLE(&t, commands, check_command);
	tests_add(&t, "every kind of event has a class", check_every_event, NULL);
	tests_add(&t, "syslog: header, structured data and message", check_syslog, NULL);
	tests_add(&t, "syslog: sequenceId begins again after 2147483647", check_sequence_id, NULL);
	tests_add(&t, "journal: a line a field, and none that a peer made", check_journal, NULL);
	return tests_run(&t, "audit export");
}
