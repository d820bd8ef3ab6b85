/* What a reviewer types and sees: times, filters, the table and the JSON, with names
 * that try to harm a terminal; and the command itself over files that are damaged. */
#include "tests/unit/audit_place.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "gateway/audit/filter.h"
#include "gateway/base/when.h"
#include "gateway/base/fd.h"
#include "gateway/cli/audit_print.h"

#define S UINT64_C(1000000000)
/* 2026-11-22T10:00:00Z */
#define NOW (UINT64_C(1795341600) * S)

static const struct {
	const char *why, *text;
	int want;
	uint64_t ns;
} times[] = {
	{"seconds ago", "-90s", 0, NOW - 90 * S},
	{"minutes ago", "-5m", 0, NOW - 300 * S},
	{"hours ago", "-2h", 0, NOW - 7200 * S},
	{"days ago", "-1d", 0, NOW - 86400 * S},
	{"weeks ago", "-2w", 0, NOW - 14 * 86400 * S},
	{"now", "now", 0, NOW},
	{"today begins in the local zone", "today", 0, NOW - 11 * 3600 * S},
	{"yesterday begins in the local zone", "yesterday", 0, NOW - 35 * 3600 * S},
	{"a date is its midnight in the local zone", "2026-11-22", 0, NOW - 11 * 3600 * S},
	{"a time is of the local zone", "2026-11-22T10:00", 0, NOW - 3600 * S},
	{"a space may stand for the T", "2026-11-22 10:00", 0, NOW - 3600 * S},
	{"with seconds", "2026-11-22T10:00:30", 0, NOW - 3570 * S},
	{"with a fraction", "2026-11-22T10:00:30.25Z", 0, NOW + 30 * S + S / 4},
	{"with Z it is UTC", "2026-11-22T10:00Z", 0, NOW},
	{"with an offset it is there", "2026-11-22T12:30+02:30", 0, NOW},
	{"with an offset west", "2026-11-22T05:00-05:00", 0, NOW},
	{"summer has its own offset", "2026-07-01T02:00", 0, UINT64_C(1782864000) * S},
	{"nothing is no time", "", -EINVAL, 0},
	{"a word is no time", "noon", -EINVAL, 0},
	{"a number without a unit is no time", "-2", -EINVAL, 0},
	{"an unknown unit is no time", "-2y", -EINVAL, 0},
	{"a unit without a number is no time", "-h", -EINVAL, 0},
	{"no two signs", "--2h", -EINVAL, 0},
	{"before 1970 there is nothing", "-99999w", -ERANGE, 0},
	{"the most weeks overflow nothing", "-4294967295w", -ERANGE, 0},
	{"no 30th of February", "2026-02-30", -ERANGE, 0},
	{"no month 13", "2026-13-01", -ERANGE, 0},
	{"no hour 24", "2026-11-22T24:00", -ERANGE, 0},
	{"no minute 60", "2026-11-22T10:60", -ERANGE, 0},
	{"no year 1969", "1969-12-31T10:00Z", -ERANGE, 0},
	{"no year 9999", "9999-01-01", -ERANGE, 0},
	{"nothing behind a date", "2026-11-22x", -EINVAL, 0},
	{"nothing behind a zone", "2026-11-22T10:00Zz", -EINVAL, 0},
	{"no half offset", "2026-11-22T10:00+01", -EINVAL, 0},
	{"no offset of a day", "2026-11-22T10:00+24:00", -EINVAL, 0},
	{"no empty fraction", "2026-11-22T10:00:00.", -EINVAL, 0},
	{"years have four digits", "26-11-22", -EINVAL, 0},
};

static void check_time(void **state)
{
	const __typeof__(times[0]) *row = *state;
	uint64_t ns = 0;

	assert_int_equal(when_parse(row->text, NOW, false, &ns), row->want);
	assert_int_equal(ns, row->want ? 0 : row->ns);
}

static void prints_times(void **state)
{
	char text[WHEN_TEXT];

	(void)state;
	assert_string_equal(when_format(NOW + 5000000, false, text),
			    "2026-11-22T11:00:00.005+01:00");
	assert_string_equal(when_format(NOW, true, text), "2026-11-22T10:00:00.000Z");
	assert_string_equal(when_format(0, true, text), "1970-01-01T00:00:00.000Z");
	(void)when_format(UINT64_MAX, false, text); /* from a file: anything */
}

static struct auditor_ring_info session = {
	.connection = 17, .initiator = "iqn.1994-05.com.redhat:app-3", .target = "iqn.gw:vault"};

static struct trail_record a_write(void)
{
	struct trail_record r = {.run = 0xabc, .session = &session};

	r.frame.type = FRAME_COMMAND;
	r.frame.stamp = (struct stamp){.sequence = 5, .time_ns = NOW};
	r.frame.connection = 17;
	r.frame.command = (struct audit_record){.lba = UINT64_MAX,
						.blocks = 8,
						.lun = 1,
						.kind = AUDIT_COMMAND,
						.verdict = VERDICT_DENIED,
						.rule_line = 12,
						.wall_ns = NOW,
						.cdb_len = 10,
						.cdb = {0x2a}};
	return r;
}

static struct trail_record a_refusal(void)
{
	struct trail_record r = {.run = 0xabc};
	struct audit_event *e = &r.frame.event;

	r.frame.type = FRAME_EVENT;
	r.frame.stamp = (struct stamp){.sequence = 6, .time_ns = NOW};
	e->id = 3;
	e->kind = EVENT_REFUSAL;
	e->algorithm = 5;
	assert_int_equal(endpoint_parse("[2001:db8::7]:99", &e->peer), 0);
	string_copy(e->reason, sizeof e->reason, "wrong-secret");
	string_copy(e->initiator, sizeof e->initiator, "iqn.evil:\x1b[2J\n\"\\\x80x");
	string_copy(e->detail, sizeof e->detail, "a\tb");
	return r;
}

struct match {
	const char *why;
	struct audit_filter filter;
	const char *op, *network;
	bool write, refusal; /* does it match? */
};

static const struct match matches[] = {
	{"no filter matches all", {0}, NULL, NULL, true, true},
	{"since is inclusive", {.since_ns = NOW}, NULL, NULL, true, true},
	{"since leaves out what was before", {.since_ns = NOW + 1}, NULL, NULL, false, false},
	{"until is exclusive", {.until_ns = NOW}, NULL, NULL, false, false},
	{"until takes what was before", {.until_ns = NOW + 1}, NULL, NULL, true, true},
	{"a whole initiator name",
	 {.initiator = "iqn.1994-05.com.redhat:app-3"},
	 NULL,
	 NULL,
	 true,
	 false},
	{"the end of an initiator name", {.initiator = "app-3"}, NULL, NULL, true, false},
	{"in any case", {.initiator = "APP-3"}, NULL, NULL, true, false},
	{"not a part of it", {.initiator = "app"}, NULL, NULL, false, false},
	{"the end of a target name", {.target = "vault"}, NULL, NULL, true, false},
	{"an address", {0}, NULL, "192.0.2.7", true, false},
	{"a network", {0}, NULL, "2001:db8::/32", false, true},
	{"another network", {0}, NULL, "10.0.0.0/8", false, false},
	{"a LUN", {.has_lun = true, .lun = 1}, NULL, NULL, true, false},
	{"another LUN", {.has_lun = true, .lun = 0}, NULL, NULL, false, false},
	{"denied: commands denied, logins refused", {.denied = true}, NULL, NULL, true, true},
	{"a command by its policy name", {0}, "write-10", NULL, true, false},
	{"a family", {0}, "write", NULL, true, false},
	{"another command", {0}, "write-16", NULL, false, false},
	{"another family", {0}, "read", NULL, false, false},
	{"a family of service actions", {0}, "sanitize", NULL, false, false},
	{"an event", {0}, "refusal", NULL, false, true},
	{"another event", {0}, "login", NULL, false, false},
	{"the opening of sessions", {0}, "session", NULL, false, false},
	{"all conditions must hold",
	 {.denied = true, .target = "vault"},
	 "write",
	 "192.0.2.0/24",
	 true,
	 false},
};

static void check_match(void **state)
{
	const struct match *m = *state;
	struct trail_record write = a_write(), refusal = a_refusal();
	struct audit_filter f = m->filter;

	if (m->op)
		assert_int_equal(audit_filter_op(&f, m->op), 0);
	if (m->network)
		assert_int_equal(network_parse(m->network, &f.network), 0);
	assert_int_equal(audit_filter_match(&f, &write), m->write);
	assert_int_equal(audit_filter_match(&f, &refusal), m->refusal);
}

static void unknown_op(void **state)
{
	struct audit_filter f = {0};

	(void)state;
	assert_int_equal(audit_filter_op(&f, "wriet"), -ENOENT);
	assert_int_equal(audit_filter_op(&f, ""), -ENOENT);
	assert_int_equal(audit_filter_op(&f, "unknown"), -ENOENT);
}

static char *printed(const struct trail_record *r, bool json)
{
	struct audit_print p = {.utc = true, .json = json};
	char *text = NULL;
	size_t len;

	p.out = open_memstream(&text, &len);
	assert_non_null(p.out);
	audit_print(&p, r);
	assert_int_equal(fclose(p.out), 0);
	return text;
}

static void is_harmless(const char *line)
{
	size_t len = strlen(line);

	assert_int_equal(line[len - 1], '\n');
	for (size_t i = 0; i + 1 < len; i++)
		assert_true((unsigned char)line[i] >= 0x20 && line[i] != 0x7f);
}

static void prints_rows(void **state)
{
	struct trail_record write = a_write(), refusal = a_refusal();
	char *row = printed(&write, false);

	(void)state;
	assert_string_equal(row,
			    "2026-11-22T10:00:00.000Z         5 app-3              "
			    "192.0.2.7:4000         vault          1    WRITE(10)"
			    "                18446744073709551615+8 denied (policy.yaml:12)\n");
	free(row);
	row = printed(&refusal, false);
	is_harmless(row);
	assert_non_null(strstr(row, "\\x1b[2J\\x0a"));
	assert_non_null(strstr(row, "wrong-secret: a\\x09b"));
	free(row);
}

static void prints_outcomes(void **state)
{
	struct trail_record r = a_write();
	char *row;

	(void)state;
	r.frame.command = (struct audit_record){.kind = AUDIT_OUTCOME,
						.verdict = VERDICT_FAILED,
						.status = 2,
						.sense_key = 3,
						.asc = 0x0c,
						.lun = 0xffff,
						.cdb_len = 16,
						.cdb = {0xc1, 0xff}};
	row = printed(&r, false);
	assert_non_null(strstr(row, "-    end of c1h/1fh"));
	assert_non_null(strstr(row, "failed status 02h sense 3h/0ch/00h"));
	free(row);
	r.frame.command =
		(struct audit_record){.kind = AUDIT_OUTCOME, .verdict = VERDICT_BUSY, .blocks = 7};
	row = printed(&r, false);
	assert_non_null(strstr(row, "busy (7 commands)"));
	free(row);
}

static const char *string_of(const json_t *o, const char *name)
{
	const char *text = json_string_value(json_object_get(o, name));

	assert_non_null(text);
	return text;
}

static void prints_keys(void **state)
{
	struct trail_record r = a_write();
	char *text;

	(void)state;
	r.frame.command = (struct audit_record){.lba = 0xb200000000000001u,
						.kind = AUDIT_COMMAND,
						.verdict = VERDICT_ADMITTED,
						.cdb_len = 10,
						.cdb = {0x5f, 0x04}};
	text = printed(&r, false);
	assert_non_null(strstr(text, " key 0xb200000000000001 admitted"));
	free(text);
	text = printed(&r, true);
	assert_non_null(strstr(text, "\"reservation_key\":\"0xb200000000000001\""));
	assert_null(strstr(text, "\"lba\""));
	free(text);
	r.frame.command.verdict = VERDICT_REFUSED; /* before its list came */
	r.frame.command.lba = 0;
	text = printed(&r, false);
	assert_null(strstr(text, "key"));
	free(text);
}

static void prints_json(void **state)
{
	struct trail_record write = a_write(), refusal = a_refusal();
	char *line = printed(&write, true);
	json_t *o = json_loads(line, JSON_DECODE_INT_AS_REAL, NULL);

	(void)state;
	assert_non_null(o);
	assert_non_null(strstr(line, "\"lba\":18446744073709551615,"));
	assert_string_equal(string_of(o, "time"), "2026-11-22T10:00:00.000Z");
	assert_string_equal(string_of(o, "kind"), "command");
	assert_string_equal(string_of(o, "command"), "WRITE(10)");
	assert_string_equal(string_of(o, "cdb"), "2a000000000000000000");
	assert_string_equal(string_of(o, "initiator"), session.initiator);
	assert_string_equal(string_of(o, "target"), session.target);
	assert_string_equal(string_of(o, "peer_ip"), "192.0.2.7");
	assert_string_equal(string_of(o, "verdict"), "denied");
	assert_true(json_real_value(json_object_get(o, "rule_line")) == 12);
	assert_true(json_real_value(json_object_get(o, "connection")) == 17);
	json_decref(o);
	free(line);

	line = printed(&refusal, true);
	is_harmless(line);
	o = json_loads(line, 0, NULL);
	assert_non_null(o);
	assert_string_equal(string_of(o, "event"), "refusal");
	assert_string_equal(string_of(o, "reason"), "wrong-secret");
	assert_string_equal(string_of(o, "algorithm"), "md5");
	assert_string_equal(string_of(o, "peer_ip"), "2001:db8::7");
	assert_string_equal(string_of(o, "initiator"), "iqn.evil:\\x1b[2J\\x0a\\x22\\x5c\\x80x");
	json_decref(o);
	free(line);
}

/* A trail of three segments of commands, three blocks of a write each. */
static void trail_make(struct place *p)
{
	place_open(p);
	for (uint32_t segment = 1; segment <= 3; segment++) {
		place_begin(p, segment == 1 ? AUDIT_LOG_INVALID : LOG_COMMANDS);
		for (uint32_t i = 0; i < 3; i++) {
			struct trail_record r = a_write();

			r.frame.command.blocks = segment;
			r.frame.command.index = segment * 3 + i;
			place_time(p, NOW + p->writer.next_sequence * S, 0);
			(void)writer_put_command(&p->writer, 17, &r.frame.command);
			place_block(p);
		}
	}
	place_writer_close(p);
}

static void flip(const struct place *p, uint64_t number)
{
	static uint8_t bytes[64 << 10];
	size_t len = place_read(p, LOG_COMMANDS, number, bytes, sizeof bytes), block;

	bytes[place_block_at(bytes, len, 2, &block) + BLOCK_HEADER_SIZE] ^= 4;
	place_write(p, LOG_COMMANDS, number, bytes, len);
}

/* Runs the command that stands beside the tests; its output and errors in one text. */
static int run(const struct place *p, const char *arguments, char *ret, size_t size)
{
	char self[256], command[512];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	int status;
	size_t len;
	FILE *f;

	assert_true(n > 0);
	self[n] = '\0';
	for (int i = 0; i < 3; i++)
		*strrchr(self, '/') = '\0';
	(void)snprintf(command, sizeof command, "%s/sallyport audit --state %s %s 2>&1", self,
		       p->state, arguments);
	f = popen(command, "r");
	assert_non_null(f);
	len = fread(ret, 1, size - 1, f);
	ret[len] = '\0';
	status = pclose(f);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static const struct {
	const char *why, *arguments, *want;
	int status;
	int64_t flip, gone; /* which segment is damaged in its second record, which is deleted */
} runs[] = {
	{"show prints every record", "show --json", "\"seq\":9,", 0, 0, 0},
	{"show prints a table", "show", "WRITE(10)", 0, 0, 0},
	{"tail prints the last ones first", "tail -n 2 --utc & sleep 0.1; kill -INT $!; wait $!",
	 "        8 -", 0, 0, 0},
	{"a wrong time says which are right", "show --since noon", "2026-11-22T10:00+01:00", 2, 0,
	 0},
	{"a wrong address says which are right", "show --address 10.0.0.1/8", "192.0.2.0/24", 2, 0,
	 0},
	{"a wrong op names the nearest", "show --op wirte-10", "did you mean write-10?", 2, 0, 0},
	{"a wrong LUN says which are right", "show --lun x", "from 0 to 65534", 2, 0, 0},
	{"an unknown verb names the nearest", "shwo", "did you mean show?", 2, 0, 0},
	{"a damaged spot is told with file and octet, and the rest is read", "show --json",
	 "commands-000002.log: damaged from octet ", 21, 2, 0},
	{"what stands behind a damaged spot is read", "show --json", "\"seq\":6,", 21, 2, 0},
	{"a segment that is missing is told with what is gone", "show --json",
	 "records 4 to 6 are missing", 21, 0, 2},
	{"records behind a missing segment are read", "show --json", "\"seq\":9,", 21, 0, 2},
};

static void check_run(void **state)
{
	const __typeof__(runs[0]) *row = *state;
	char out[16384], name[SEGMENT_NAME_SIZE];
	struct place p;
	int status;

	trail_make(&p);
	if (row->flip)
		flip(&p, (uint64_t)row->flip);
	if (row->gone)
		assert_int_equal(
			unlinkat(p.fd, segment_name(LOG_COMMANDS, (uint64_t)row->gone, name), 0),
			0);
	status = run(&p, row->arguments, out, sizeof out);
	place_close(&p);
	if (status != row->status || !strstr(out, row->want))
		fail_msg("exit status %d, and:\n%s", status, out);
}

static void ignore(void *arg, bool damage, const char *text)
{
	(void)arg;
	(void)damage;
	(void)text;
}

/* Somebody empties the folder under a reader that stands before an incomplete record. */
static void folder_emptied(void **state)
{
	static struct trail_record record;
	char name[SEGMENT_NAME_SIZE];
	uint64_t records = 0, offset;
	struct trail *trail;
	struct place p;
	int fd;

	(void)state;
	trail_make(&p);
	fd = openat(p.fd, segment_name(LOG_COMMANDS, 3, name), O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_int_equal(write(fd, "SP", 2), 2);
	close(fd);
	assert_int_equal(trail_open(&trail, p.fd, NULL, ignore, NULL), 0);
	while (records < 9 && trail_next(trail, &record) == 1)
		records++;
	folder_empty(p.fd);
	assert_int_equal(trail_next(trail, &record), 0);
	assert_string_equal(trail_torn(trail, &offset), segment_name(LOG_COMMANDS, 3, name));
	trail_close(trail);
	place_close(&p);
}

static void no_log(void **state)
{
	struct place p = {.state = "/nonexistent"};
	char out[1024];

	(void)state;
	assert_int_equal(run(&p, "show", out, sizeof out), 3);
	assert_non_null(strstr(out, "--state DIR"));
}

int main(void)
{
	static struct tests t;

	assert_int_equal(setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1), 0);
	tzset();
	assert_int_equal(endpoint_parse("192.0.2.7:4000", &session.peer), 0);
	TESTS_ADD_TABLE(&t, times, check_time);
	TESTS_ADD_TABLE(&t, matches, check_match);
	TESTS_ADD_TABLE(&t, runs, check_run);
	tests_add(&t, "times are printed with milliseconds and their offset", prints_times, NULL);
	tests_add(&t, "what is neither command nor event is no --op", unknown_op, NULL);
	tests_add(&t, "a row has its columns, and no control characters of a peer's", prints_rows,
		  NULL);
	tests_add(&t, "outcomes say what became of a command", prints_outcomes, NULL);
	tests_add(&t, "JSON is valid whatever names hold, and has all 64 bits", prints_json, NULL);
	tests_add(&t, "a PERSISTENT RESERVE OUT is told with its keys", prints_keys, NULL);
	tests_add(&t, "without a log it says where it looked and what to do", no_log, NULL);
	tests_add(&t, "segments that are removed while they are read harm nobody", folder_emptied,
		  NULL);
	return tests_run(&t, "audit_review");
}
