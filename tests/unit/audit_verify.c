/* What verification says of trails that nobody touched: proven by what, and up to where. */
#include "gateway/audit/retention.h"
#include "tests/unit/audit_sample.h"

static struct sample sample;
static struct judged judged;

static void assert_class(enum verify_class class)
{
	if (judged.result.worst != class)
		judged_print(&judged);
	assert_int_equal(judged.result.worst, class);
}

static void test_plain(void **state)
{
	const struct verify_result *r = &judged.result;

	(void)state;
	judge(&judged, sample.folder_fd, NULL);
	assert_class(VERIFY_CLASS_INVALID);
	assert_int_equal(r->end, VERIFY_END_STOP);
	assert_true(r->any && !r->signer_known);
	for (size_t i = 0; i < AUDIT_LOGS; i++) {
		assert_int_equal(r->logs[i].blocks.first, 0);
		assert_int_equal(r->logs[i].signed_end, r->logs[i].blocks.end);
		assert_int_equal(r->logs[i].sealed_count, 0);
		assert_int_equal(r->logs[i].outside_end, 0);
		assert_true(r->logs[i].segments >= 4);
	}
	assert_int_equal(r->logs[0].records + r->logs[1].records, r->last_sequence);
}

static void test_keys(void **state)
{
	const struct verify_asked asked = {.keys = sample.shown,
					   .key_count = 2,
					   .signers = (const uint8_t(*)[SIGNER_KEY_SIZE]) &
						      sample.shown[0].signer,
					   .signer_count = 1};
	const struct verify_log_result *l = judged.result.logs;

	(void)state;
	judge(&judged, sample.folder_fd, &asked);
	assert_class(VERIFY_CLASS_INVALID);
	assert_true(judged.result.signer_known);
	for (size_t i = 0; i < AUDIT_LOGS; i++) {
		assert_int_equal(l[i].sealed_count, 2);
		assert_int_equal(l[i].sealed[0].first, sample.shown[0].first_block[i]);
		assert_true(l[i].sealed[0].end < l[i].blocks.end);
		assert_int_equal(l[i].sealed[1].first, sample.shown[1].first_block[i]);
		assert_int_equal(l[i].sealed[1].end, l[i].blocks.end);
	}
}

/* A key that opens nothing proves nothing, though it was given. */
static void test_key_unused(void **state)
{
	struct audit_key keys[2] = {sample.shown[0], sample.shown[0]};
	struct verify_asked asked = {.keys = keys, .key_count = 1};

	(void)state;
	judge(&judged, sample.folder_fd, NULL);
	for (size_t i = 0; i < AUDIT_LOGS; i++)
		keys[0].first_block[i] = judged.result.logs[i].blocks.end;
	keys[0].epoch = 1000;
	judge(&judged, sample.folder_fd, &asked);
	assert_class(VERIFY_OPEN);
	assert_int_equal(judged.result.logs[0].sealed_count, 0);
	assert_non_null(judged_find(&judged, FOUND_KEY_UNUSED));
	asked.key_count = 2;
	judge(&judged, sample.folder_fd, &asked);
	assert_class(VERIFY_OPEN); /* the other one is not enough */
}

static void test_outside(void **state)
{
	const struct verify_asked asked = {.notes = sample.notes, .note_count = sample.note_count};

	(void)state;
	judge(&judged, sample.folder_fd, &asked);
	assert_class(VERIFY_CLASS_INVALID);
	for (size_t i = 0; i < AUDIT_LOGS; i++)
		assert_int_equal(judged.result.logs[i].outside_end,
				 judged.result.logs[i].blocks.end);
}

/* A trail in a folder of its own, whose gateway died in run 1, or runs: when it is asked to flush,
 * it signs what is there. */
static void left(struct sample *s, bool flushed)
{
	struct trail_end end = {.run = 7, .next_sequence = 1, .trail = {3}};

	memset(s, 0, sizeof *s);
	sample_folder(s);
	s->seed_fd = memfd_sealed("seed", sample.seed, sizeof sample.seed);
	sample_run(s, &end, &s->shown[0]);
	sample_commands(s, 3);
	writer_cut(&s->w);
	assert_int_equal(writer_flush(&s->w), 0);
	if (flushed)
		sample_sync(s, true);
	sample_stop(s, false);
}

static void died(struct sample *s)
{
	left(s, false);
}

static void test_died(void **state)
{
	static struct sample s;

	(void)state;
	died(&s);
	judge(&judged, s.folder_fd, NULL);
	assert_class(VERIFY_OPEN);
	assert_int_equal(judged.result.end, VERIFY_END_NONE);
	assert_non_null(judged_find(&judged, FOUND_OPEN));
	sample_free(&s);
}

static void test_live(void **state)
{
	static struct sample s;
	struct verify_asked live = {.live_sequence = 1};

	(void)state;
	left(&s, true);
	judge(&judged, s.folder_fd, NULL);
	live.live_sequence = judged.result.last_sequence;
	judge(&judged, s.folder_fd, &live);
	assert_class(VERIFY_CLASS_INVALID);
	assert_int_equal(judged.result.end, VERIFY_END_LIVE);
	live.live_sequence++;
	judge(&judged, s.folder_fd, &live);
	assert_class(VERIFY_FORGED);
	assert_int_equal(judged_find(&judged, FOUND_CUT)->sequence, live.live_sequence);
	sample_free(&s);
}

/* Who can't sign takes the last checkpoints away: the gateway's word is about numbers alone. */
static void test_live_unsigned(void **state)
{
	static struct sample s;
	struct verify_asked live = {.live_sequence = 1};
	struct image m;

	(void)state;
	left(&s, true);
	image_read(&m, s.folder_fd);
	note_cut(image_find(&m, "commands-000002.note"), SIZE_MAX);
	note_cut(image_find(&m, "events-000002.note"), SIZE_MAX);
	image_write(&m, s.folder_fd);
	judge(&judged, s.folder_fd, NULL);
	live.live_sequence = judged.result.last_sequence;
	judge(&judged, s.folder_fd, &live);
	assert_class(VERIFY_OPEN);
	assert_int_equal(judged.result.end, VERIFY_END_NONE);
	assert_non_null(judged_find(&judged, FOUND_UNSIGNED));
	image_free(&m);
	sample_free(&s);
}

static void test_died_outside(void **state)
{
	static struct sample s;
	struct verify_asked asked = {.notes = s.notes};

	(void)state;
	died(&s);
	asked.note_count = s.note_count;
	judge(&judged, s.folder_fd, &asked);
	assert_class(VERIFY_OPEN); /* what was written behind the last checkpoint */
	sample_free(&s);
}

static void test_gap(void **state)
{
	static struct sample s;
	bool declares = *(const bool *)*state;

	died(&s);
	sample_again(&s, false, &s.shown[1]);
	if (declares)
		sample_event(&s, EVENT_GAP, "unclean-end");
	sample_stop(&s, true);
	judge(&judged, s.folder_fd, NULL);
	assert_class(declares ? VERIFY_GAP : VERIFY_FORGED);
	assert_int_equal(judged.result.end, VERIFY_END_STOP);
	assert_non_null(judged_find(&judged, declares ? FOUND_GAP : FOUND_RUN_CUT));
	sample_free(&s);
}

static void test_torn(void **state)
{
	static struct sample s;
	struct verify_asked live = {.live_sequence = 1};
	struct image m;
	struct sample_file *f;

	(void)state;
	died(&s);
	image_read(&m, s.folder_fd);
	f = image_find(&m, "commands-000002.log");
	assert_non_null(f);
	f->len -= 7;
	image_write(&m, s.folder_fd);
	judge(&judged, s.folder_fd, NULL);
	assert_class(VERIFY_OPEN);
	assert_string_equal(judged_find(&judged, FOUND_TORN)->file, f->name);
	judge(&judged, s.folder_fd, &live);
	assert_class(VERIFY_CLASS_INVALID);
	image_free(&m);
	sample_free(&s);
}

/* What a busy gateway wrote to one log after that was read to its end, and before the other was. */
static void test_live_younger(void **state)
{
	static struct sample s;
	struct verify_asked live = {.live_sequence = 1};
	struct sample_file *f;
	struct image m;

	(void)state;
	left(&s, true);
	judge(&judged, s.folder_fd, NULL);
	live.live_sequence = judged.result.last_sequence;
	image_read(&m, s.folder_fd);
	f = image_find(&m, "commands-000002.log");
	assert_non_null(f);
	f->len -= f->len / 3;
	note_cut(image_find(&m, "commands-000002.note"), SIZE_MAX);
	image_write(&m, s.folder_fd);
	judge(&judged, s.folder_fd, &live);
	assert_class(VERIFY_FORGED);
	live.live_sequence = 1;
	judge(&judged, s.folder_fd, &live);
	assert_null(judged_find(&judged, FOUND_CUT));
	assert_null(judged_find(&judged, FOUND_SEQUENCE_MISSING));
	image_free(&m);
	sample_free(&s);
}

static bool stop_at_once(void *arg)
{
	(void)arg;
	return true;
}

/* A file of four TiB, whose octets would be read for an hour. */
static void test_stopped(void **state)
{
	const struct verify_asked asked = {.stop = stop_at_once};
	static struct sample s;
	OWNED_FD fd = -1;

	(void)state;
	left(&s, true);
	fd = openat(s.folder_fd, "reserve", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, (off_t)1 << 42) < 0) {
		(void)unlinkat(s.folder_fd, "reserve", 0);
		sample_free(&s);
		print_message("no file can be so large here: %s\n", strerror(errno));
		skip();
	}
	judge(&judged, s.folder_fd, &asked);
	(void)unlinkat(s.folder_fd, "reserve", 0);
	assert_true(judged.result.interrupted);
	sample_free(&s);
}

static void test_lost_found(void **state)
{
	static struct sample s;
	struct image m;

	(void)state;
	left(&s, true);
	assert_int_equal(mkdirat(s.folder_fd, "lost+found", 0700), 0);
	judge(&judged, s.folder_fd, NULL);
	assert_null(judged_find(&judged, FOUND_UNKNOWN_FILE));
	assert_int_equal(unlinkat(s.folder_fd, "lost+found", AT_REMOVEDIR), 0);
	image_read(&m, s.folder_fd);
	image_add(&m, "lost+found", "anything", 8);
	image_write(&m, s.folder_fd);
	judge(&judged, s.folder_fd, NULL);
	assert_non_null(judged_find(&judged, FOUND_UNKNOWN_FILE));
	image_free(&m);
	sample_free(&s);
}

/* The oldest segment of a log, as retention deletes it: recorded, then gone. */
static struct retention oldest(const struct sample *s, enum audit_log log)
{
	struct retention r = {.log = log, .segment = 1, .first_sequence = 1};
	struct segment_header h[2];
	char name[SEGMENT_NAME_SIZE];
	struct image m;
	size_t size;

	image_read(&m, s->folder_fd);
	for (uint64_t i = 0; i < 2; i++) {
		const struct sample_file *f = image_find(&m, segment_name(log, i + 1, name));

		assert_int_equal(segment_header_size(f->bytes, &size), 0);
		assert_int_equal(segment_header_read(f->bytes, size, &h[i]), 0);
	}
	r.blocks = h[1].first_block - h[0].first_block;
	r.sequences = h[1].first_sequence - 1;
	memcpy(r.last_hash, h[1].before, sizeof r.last_hash);
	image_free(&m);
	return r;
}

static const struct retention_case {
	const char *why;
	bool commands, events; /* are recorded */
	bool events_too;       /* their first segment is deleted as well */
	bool damage_hash;
	uint64_t fewer; /* blocks than were deleted */
	enum verify_kind want;
} retention_cases[] = {
	{"what retention deleted, and recorded, is not missed", true, false, false, false, 0,
	 FOUND_INVALID},
	{"what nobody recorded as deleted is missed", false, false, false, false, 0,
	 FOUND_START_MISSING},
	{"what was deleted beyond the record is missed", true, false, false, false, 1,
	 FOUND_START_MISSING},
	{"what was deleted is not what the record says", true, false, false, true, 0,
	 FOUND_LOGS_DISAGREE},
	{"of both logs, each has its record", true, true, true, false, 0, FOUND_INVALID},
	{"the record of older commands may be gone with the events", false, true, true, false, 0,
	 FOUND_INVALID},
	{"events that nobody recorded as deleted are missed", true, false, true, false, 0,
	 FOUND_START_MISSING},
};

static void record(struct sample *s, const struct retention *r)
{
	struct audit_event e = {.kind = EVENT_RETENTION, .reason = RETENTION_REASON};

	retention_write(r, e.detail);
	(void)writer_put_event(&s->w, &e);
}

static void segment_gone(const struct sample *s, enum audit_log log)
{
	char name[SEGMENT_NAME_SIZE];

	assert_int_equal(unlinkat(s->folder_fd, segment_name(log, 1, name), 0), 0);
	assert_int_equal(unlinkat(s->folder_fd, segment_note_name(log, 1, name), 0), 0);
}

/* Beside one that proves what is left, it is no fault that the other one's epoch is gone. */
static void assert_old_key(const struct sample *s)
{
	struct audit_key keys[2] = {s->shown[0], s->shown[0]};
	struct verify_asked asked = {.keys = keys, .key_count = 1};

	keys[0].epoch = 1;
	memset(keys[0].first_block, 0, sizeof keys[0].first_block);
	judge(&judged, s->folder_fd, &asked);
	assert_class(VERIFY_OPEN);
	assert_non_null(judged_find(&judged, FOUND_KEY_UNUSED));
	asked.key_count = 2;
	judge(&judged, s->folder_fd, &asked);
	assert_class(VERIFY_SAID);
	assert_non_null(judged_find(&judged, FOUND_OLD_KEY));
}

static void test_retention(void **state)
{
	const struct retention_case *c = *state;
	struct trail_end end = {.run = 7, .next_sequence = 1, .trail = {4}};
	static struct sample s;
	struct retention commands, events;

	memset(&s, 0, sizeof s);
	sample_folder(&s);
	s.seed_fd = memfd_sealed("seed", sample.seed, sizeof sample.seed);
	sample_run(&s, &end, &s.shown[0]);
	commands = oldest(&s, LOG_COMMANDS);
	commands.blocks -= c->fewer;
	commands.last_hash[3] ^= c->damage_hash;
	events = oldest(&s, LOG_EVENTS);
	if (c->commands)
		record(&s, &commands);
	if (c->events)
		record(&s, &events);
	sample_stop(&s, true);
	segment_gone(&s, LOG_COMMANDS);
	if (c->events_too)
		segment_gone(&s, LOG_EVENTS);
	judge(&judged, s.folder_fd, NULL);
	if (c->want == FOUND_INVALID)
		assert_class(VERIFY_CLASS_INVALID);
	else
		assert_non_null(judged_find(&judged, c->want));
	assert_true(judged.result.logs[0].blocks.first > 0);
	if (c->events_too && c->want == FOUND_INVALID)
		assert_old_key(&s);
	sample_free(&s);
}

static void test_empty(void **state)
{
	static struct sample s;
	const struct verify_asked asked = {.notes = sample.notes, .note_count = sample.note_count};

	(void)state;
	sample_folder(&s);
	s.seed_fd = -1;
	judge(&judged, s.folder_fd, NULL);
	assert_false(judged.result.any);
	assert_true(judged.result.worst >= VERIFY_OPEN);
	judge(&judged, s.folder_fd, &asked);
	assert_class(VERIFY_FORGED);
	sample_free(&s);
}

int main(void)
{
	static struct tests t;
	static const bool yes = true, no = false;
	int r;

	if (sodium_init() < 0 || hash_start() < 0)
		return 1;
	sample_make(&sample, 1);
	tests_add(&t, "a trail that ends with a clean stop is proven by chain and signature",
		  test_plain, NULL);
	tests_add(&t, "with the keys that were shown, their epochs' seals are proven", test_keys,
		  NULL);
	tests_add(&t, "a key that seals no block that is there proves nothing", test_key_unused,
		  NULL);
	tests_add(&t, "outside checkpoints prove the whole", test_outside, NULL);
	tests_add(&t, "after a death the end is open, unless a running gateway says where it is",
		  test_died, NULL);
	tests_add(&t, "who stops the verification does not wait for a huge file", test_stopped,
		  NULL);
	tests_add(&t, "lost+found is a file system's folder, and nothing else", test_lost_found,
		  NULL);
	tests_add(&t, "beside a running gateway, the end is what it says is durable", test_live,
		  NULL);
	tests_add(&t, "beside a running gateway, an end that nobody signed is not proven",
		  test_live_unsigned, NULL);
	tests_add(&t, "beside a running gateway, what it wrote since it was asked is no damage",
		  test_live_younger, NULL);
	tests_add(&t, "outside checkpoints prove no more than they are about", test_died_outside,
		  NULL);
	tests_add(&t, "a death that the next run declares is a gap", test_gap, &yes);
	tests_add(&t, "a death that the next run does not declare is none", test_gap, &no);
	tests_add(&t, "a torn end is open; beside a running gateway, it is being written",
		  test_torn, NULL);
	TESTS_ADD_TABLE(&t, retention_cases, test_retention);
	tests_add(&t, "an empty folder proves nothing", test_empty, NULL);
	r = tests_run(&t, "audit");
	sample_free(&sample);
	return r;
}
