/* The arbiter's journal: records to octets and back, what damage does, what each death leaves, and
 * every state that a crash can leave the folder in. */
#include <fcntl.h>
#include <stdio.h>
#include <sodium.h>
#include <sys/stat.h>
#include "gateway/arbiter/journal.h"
#include "gateway/base/bytes.h"
#include "gateway/base/fd.h"
#include "tests/unit/test.h"

#define SERIAL "0f5c9e4c-3f4d-4a53-9d31-5d3d6f0c7a11"
#define OTHER  "1f5c9e4c-3f4d-4a53-9d31-5d3d6f0c7a11"

static const uint8_t run_1[JOURNAL_RUN_SIZE] = {1}, run_2[JOURNAL_RUN_SIZE] = {2};
static struct journal journal;
static struct arbiter_record record, back;
static uint8_t octets[JOURNAL_FILE_MAX];

static void add(struct arbiter_record *r, size_t place, uint64_t nexus)
{
	struct registration *g = &r->registrations[place];

	*g = (struct registration){.nexus = nexus,
				   .port = 77,
				   .key = nexus << 8,
				   .relative_port = 1,
				   .isid = {0x80, 1}};
	(void)snprintf(g->initiator, sizeof g->initiator, "iqn.2026-11.net.example:%llu",
		       (unsigned long long)nexus);
	r->state.registrants[place] = nexus;
}

/* Every field says something. */
static struct arbiter_record full(void)
{
	struct arbiter_record r = {
		.state = {.size = 1 << 20,
			  .resets = 7,
			  .holder = 5,
			  .failed = EIO,
			  .progress = 9,
			  .reservation = RESERVATION_WRITE_EXCLUSIVE_REGISTRANTS,
			  .operation = OPERATION_FORMAT,
			  .ejected = 1,
			  .prevented = 1,
			  .stopped = 1,
			  .access = {{9, ACCESS_STANDBY}, [7] = {8, ACCESS_UNAVAILABLE}},
			  .modes = {1, 2, 3}},
		.pr_generation = 12,
		.aptpl = true,
		.saved_modes = {4, 5},
		.failed_since_s = 1700000000,
		.operator_connection = 3,
		.answers = {{4, 8, 2, 5, 0x2400}, {9, 1, 0, 0, 0}},
		.preventers = {4ull << 32, 9ull << 32 | 3},
		.event_count = 1000,
		.event_new = 2,
	};

	add(&r, 0, 5);
	add(&r, 127, 6);
	r.events[0] =
		(struct arbiter_event){.to = 5, .except = 6, .by = 7, .code = 0x2a03, .flags = 3};
	r.events[1] = (struct arbiter_event){.code = 0x2903, .flags = 1};
	return r;
}

static struct arbiter_record crowded(void)
{
	struct arbiter_record r = {.event_new = ARBITER_EVENTS, .event_count = ARBITER_EVENTS};

	for (size_t k = 0; k < ARBITER_REGISTRANTS; k++) {
		add(&r, k, k + 1);
		memset(r.registrations[k].initiator, 'x', ISCSI_NAME_SIZE - 1);
	}
	return r;
}

/* --- octets --- */

static const struct {
	const char *why;
	bool full, crowded;
	const uint8_t *run;
} trips[] = {
	{"a record of a run comes back as it was", true, false, run_1},
	{"a lasting record comes back as it was", true, false, NULL},
	{"an empty record comes back as it was", false, false, run_1},
	{"as many registrations and events as there may be come back", false, true, run_1},
};

static void trip(void **state)
{
	const __typeof__(trips[0]) *row = *state;
	size_t len;

	record = row->full ? full() : row->crowded ? crowded() : (struct arbiter_record){0};
	len = journal_encode(row->run, SERIAL, &record, octets, sizeof octets);
	assert_true(len > 0);
	assert_int_equal(journal_decode(row->run, SERIAL, octets, len, &back), 0);
	assert_memory_equal(&back, &record, sizeof record);
}

static void flips(void **state)
{
	size_t len;

	(void)state;
	record = full();
	len = journal_encode(run_1, SERIAL, &record, octets, sizeof octets);
	for (size_t k = 0; k < len; k++) {
		octets[k] ^= 0x10;
		assert_int_equal(journal_decode(run_1, SERIAL, octets, len, &back), -EBADMSG);
		octets[k] ^= 0x10;
	}
	for (size_t k = 0; k < len; k++)
		assert_int_equal(journal_decode(run_1, SERIAL, octets, k, &back), -EBADMSG);
	assert_int_equal(journal_decode(run_1, SERIAL, octets, len + 1, &back), -EBADMSG);
	assert_int_equal(journal_decode(run_1, SERIAL, octets, len, &back), 0);
}

/* The same with a hash that is right: bounds are what is left. Whatever is taken is sound. */
static void forged(void **state)
{
	size_t len, hash = crypto_generichash_BYTES, refused = 0;

	(void)state;
	record = full();
	len = journal_encode(run_1, SERIAL, &record, octets, sizeof octets);
	for (size_t k = 0; k < (len - hash) * 8; k++) {
		octets[k / 8] ^= (uint8_t)(1u << k % 8);
		(void)crypto_generichash(octets + len - hash, hash, octets, len - hash, NULL, 0);
		if (journal_decode(run_1, SERIAL, octets, len, &back) < 0)
			refused++;
		else
			assert_true(record_is_sound(&back));
		octets[k / 8] ^= (uint8_t)(1u << k % 8);
	}
	assert_true(refused > 500);
}

static const struct {
	const char *why;
	const uint8_t *run;
	const char *serial;
	int want;
} heads[] = {
	{"a file of another disk is damaged", run_1, OTHER, -EBADMSG},
	{"a file of another run is an old one", run_2, SERIAL, -ESTALE},
	{"a run's file in the place of a lasting one is damaged", NULL, SERIAL, -EBADMSG},
	{"a serial that is none is refused", run_1, "short", -EBADMSG},
};

static void head(void **state)
{
	const __typeof__(heads[0]) *row = *state;
	size_t len;

	record = full();
	len = journal_encode(run_1, SERIAL, &record, octets, sizeof octets);
	assert_int_equal(journal_decode(row->run, row->serial, octets, len, &back), row->want);
}

static void holder_is_nobody(struct arbiter_record *r)
{
	r->state.holder = 99;
}

static void held_without_type(struct arbiter_record *r)
{
	r->state.reservation = RESERVATION_NONE;
}

static void type_unknown(struct arbiter_record *r)
{
	r->state.reservation = 2;
}

static void registered_twice(struct arbiter_record *r)
{
	r->registrations[127].nexus = r->state.registrants[127] = 5;
}

static void registrants_differ(struct arbiter_record *r)
{
	r->state.registrants[3] = 4;
}

static void name_without_end(struct arbiter_record *r)
{
	memset(r->registrations[0].initiator, 'x', ISCSI_NAME_SIZE);
}

static void too_many_events(struct arbiter_record *r)
{
	r->event_new = ARBITER_EVENTS + 1;
}

static void all_hold_without_any(struct arbiter_record *r)
{
	r->registrations[0].nexus = r->registrations[127].nexus = 0;
	memset(r->state.registrants, 0, sizeof r->state.registrants);
	r->state.holder = 0;
	r->state.reservation = RESERVATION_EXCLUSIVE_ACCESS_ALL;
}

static const struct {
	const char *why;
	void (*spoil)(struct arbiter_record *r);
} unsound[] = {
	{"a holder that is not registered is not kept", holder_is_nobody},
	{"a holder of nothing is not kept", held_without_type},
	{"a reservation of an unknown type is not kept", type_unknown},
	{"a nexus that is registered twice is not kept", registered_twice},
	{"registrants that are no registrations are not kept", registrants_differ},
	{"a name without an end is not kept", name_without_end},
	{"more events than there is room for are not kept", too_many_events},
	{"a reservation of all registrants without one is not kept", all_hold_without_any},
};

static void spoilt(void **state)
{
	record = full();
	((const __typeof__(unsound[0]) *)*state)->spoil(&record);
	assert_int_equal(journal_encode(run_1, SERIAL, &record, octets, sizeof octets), 0);
}

/* --- a loss of power --- */

static void power_with_aptpl(void **state)
{
	(void)state;
	record = back = full();
	record_after_power_loss(&record);
	assert_memory_equal(record.registrations, back.registrations, sizeof back.registrations);
	assert_int_equal(record.state.reservation, RESERVATION_WRITE_EXCLUSIVE_REGISTRANTS);
	assert_int_equal(record.state.holder, 5);
	assert_true(record.aptpl);
	assert_int_equal(record.pr_generation, 0);
	assert_int_equal(record.state.failed, EIO);
	assert_int_equal(record.failed_since_s, 1700000000);
	assert_int_equal(record.state.operation, OPERATION_FORMAT_FAILED);
	assert_memory_equal(record.state.modes, record.saved_modes, ARBITER_MODES);
	assert_false(record.state.prevented || record.state.stopped || record.state.ejected);
	assert_int_equal(record.answers[0].connection, 0);
	assert_int_equal(record.preventers[0], 0);
	assert_int_equal(record.event_count, 0);
}

static void power_without_aptpl(void **state)
{
	(void)state;
	record = full();
	record.aptpl = false;
	record.state.operation = OPERATION_SANITIZE;
	record_after_power_loss(&record);
	assert_int_equal(record.state.reservation, RESERVATION_NONE);
	assert_int_equal(record.state.holder, 0);
	for (size_t k = 0; k < ARBITER_REGISTRANTS; k++)
		assert_int_equal(record.state.registrants[k], 0);
	assert_int_equal(record.state.operation, OPERATION_SANITIZE_FAILED);
	assert_true(record_is_sound(&record));
}

static void power_and_reserve(void **state)
{
	(void)state;
	record = (struct arbiter_record){
		.state = {.reservation = RESERVATION_RESERVE_6, .holder = 5}};
	record_after_power_loss(&record);
	assert_int_equal(record.state.reservation, RESERVATION_NONE);
	assert_int_equal(record.state.holder, 0);
}

/* --- the folder --- */

static char folder[] = "/tmp/journal-XXXXXX";

static int folder_open(void **state)
{
	(void)state;
	memcpy(folder, "/tmp/journal-XXXXXX", sizeof folder);
	if (mkdtemp(folder) == NULL)
		return -1;
	journal =
		(struct journal){.folder_fd = open(folder, O_RDONLY | O_DIRECTORY), .first = true};
	memcpy(journal.run, run_1, sizeof run_1);
	return journal.folder_fd < 0;
}

static int folder_close(void **state)
{
	static const char *const names[] = {SERIAL ".run", SERIAL ".lasting", SERIAL ".run.new",
					    SERIAL ".lasting.new"};

	(void)state;
	(void)fchmod(journal.folder_fd, 0700);
	for (size_t k = 0; k < ARRAY_LEN(names); k++)
		(void)unlinkat(journal.folder_fd, names[k], 0);
	fd_close(&journal.folder_fd);
	return rmdir(folder);
}

static void next_life(void)
{
	journal.first = false;
}

static void next_run(void)
{
	journal.first = true;
	memcpy(journal.run, run_2, sizeof run_2);
}

static bool is_there(const char *name)
{
	return faccessat(journal.folder_fd, name, F_OK, 0) == 0;
}

static void write_file(const char *name, const void *bytes, size_t len)
{
	OWNED_FD fd = openat(journal.folder_fd, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, bytes, len), 0);
}

static void same_run(void **state)
{
	(void)state;
	record = full();
	assert_int_equal(journal_load(&journal, SERIAL, &back), 0);
	assert_int_equal(journal_keep(&journal, SERIAL, &record), 0);
	next_life();
	assert_int_equal(journal_load(&journal, SERIAL, &back), 1);
	assert_memory_equal(&back, &record, sizeof record);
	assert_int_equal(journal_load(&journal, OTHER, &back), 0);
}

static void new_run(void **state)
{
	(void)state;
	record = full();
	assert_int_equal(journal_keep(&journal, SERIAL, &record), 0);
	next_run();
	assert_int_equal(journal_load(&journal, SERIAL, &back), 1);
	record_after_power_loss(&record);
	assert_memory_equal(&back, &record, sizeof record);
	assert_false(is_there(SERIAL ".run"));
	next_life(); /* of which nothing was kept yet */
	assert_int_equal(journal_load(&journal, SERIAL, &back), 1);
	assert_memory_equal(&back, &record, sizeof record);
}

static void nothing_lasting(void **state)
{
	(void)state;
	record = (struct arbiter_record){.state.reservation = RESERVATION_RESERVE_6,
					 .state.holder = 5};
	assert_int_equal(journal_keep(&journal, SERIAL, &record), 0);
	assert_false(is_there(SERIAL ".lasting"));
	next_run();
	assert_int_equal(journal_load(&journal, SERIAL, &back), 0);
}

/* Registrations that were given up don't come back with the power. */
static void lasting_no_more(void **state)
{
	(void)state;
	record = full();
	assert_int_equal(journal_keep(&journal, SERIAL, &record), 0);
	record = (struct arbiter_record){.event_count = 1001};
	assert_int_equal(journal_keep(&journal, SERIAL, &record), 0);
	next_run();
	assert_int_equal(journal_load(&journal, SERIAL, &back), 1);
	assert_int_equal(back.state.reservation, RESERVATION_NONE);
	assert_int_equal(back.state.registrants[0], 0);
}

/* States that a crash leaves behind, and what the next arbiter of the same run, or the next run,
 * takes up: 0 nothing, 1 the record before, 2 the new one, negative: the disk is refused. */
struct crash {
	const char *why;
	const char *half; /* this file is half written */
	bool lasting_new; /* the lasting file was replaced, the run's was not */
	bool damaged_run, damaged_lasting, empty_lasting;
	int same, new;
};

static const struct crash crashes[] = {
	{.why = "crash: before anything was written", .same = 1, .new = 1},
	{.why = "crash: while the run's file is written",
	 .half = SERIAL ".run.new",
	 .same = 1,
	 .new = 1},
	{.why = "crash: while the lasting file is written",
	 .half = SERIAL ".lasting.new",
	 .same = 1,
	 .new = 1},
	{.why = "crash: between the two, the change is not made in this run",
	 .lasting_new = true,
	 .same = 1,
	 .new = 2},
	{.why = "a damaged file of the run refuses the disk",
	 .damaged_run = true,
	 .same = -EBADMSG,
	 .new = 1},
	{.why = "a damaged lasting file refuses the disk in the next run",
	 .damaged_lasting = true,
	 .same = 1,
	 .new = -EBADMSG},
	{.why = "an empty lasting file refuses the disk in the next run",
	 .empty_lasting = true,
	 .same = 1,
	 .new = -EBADMSG},
};

static struct arbiter_record changed(void)
{
	struct arbiter_record r = full();

	r.registrations[127] = (struct registration){0};
	r.state.registrants[127] = 0;
	r.pr_generation++;
	return r;
}

static void crash_now(const struct crash *row)
{
	size_t len;

	record = full();
	assert_int_equal(journal_keep(&journal, SERIAL, &record), 0);
	if (row->half != NULL)
		write_file(row->half, "half", 4);
	if (row->damaged_run)
		write_file(SERIAL ".run", "damage", 6);
	if (row->damaged_lasting)
		write_file(SERIAL ".lasting", "damage", 6);
	if (row->empty_lasting)
		write_file(SERIAL ".lasting", "", 0);
	if (!row->lasting_new)
		return;
	record = changed();
	record_after_power_loss(&record);
	len = journal_encode(NULL, SERIAL, &record, octets, sizeof octets);
	write_file(SERIAL ".lasting", octets, len);
}

static void expect_load(int want, bool power)
{
	int r = journal_load(&journal, SERIAL, &back);

	assert_int_equal(r, want < 0 ? want : want != 0);
	if (want <= 0)
		return;
	record = want == 1 ? full() : changed();
	if (power)
		record_after_power_loss(&record);
	assert_memory_equal(&back, &record, sizeof record);
}

static void crash_same(void **state)
{
	const struct crash *row = *state;

	assert_int_equal(folder_open(NULL), 0);
	crash_now(row);
	next_life();
	expect_load(row->same, false);
	if (row->same == 1 && !row->damaged_lasting && !row->empty_lasting) { /* and goes on */
		record = changed();
		assert_int_equal(journal_keep(&journal, SERIAL, &record), 0);
		expect_load(2, false);
	}
	assert_int_equal(folder_close(NULL), 0);
	assert_int_equal(folder_open(NULL), 0);
	crash_now(row);
	next_run();
	expect_load(row->new, true);
	assert_int_equal(folder_close(NULL), 0);
}

static void never_over_damage(void **state)
{
	(void)state;
	write_file(SERIAL ".lasting", "damage", 6);
	record = full();
	assert_int_equal(journal_keep(&journal, SERIAL, &record), -EBADMSG);
	assert_int_equal(journal_keep(&journal, SERIAL, &record), -EBADMSG);
	assert_int_equal(journal_start_over(&journal, SERIAL, &record), 0);
	next_run();
	assert_int_equal(journal_load(&journal, SERIAL, &back), 1);
}

static void no_room(void **state)
{
	(void)state;
	record = full();
	assert_int_equal(journal_keep(&journal, SERIAL, &record), 0);
	assert_int_equal(mkdirat(journal.folder_fd, SERIAL ".run.new", 0700), 0);
	record = changed();
	assert_true(journal_keep(&journal, SERIAL, &record) < 0);
	next_life();
	expect_load(1, false);
	next_run();
	(void)unlinkat(journal.folder_fd, SERIAL ".run.new", AT_REMOVEDIR);
	expect_load(1, true);
}

static const char *const bad_serials[] = {"", "x", "../../../../../../../../../../etc/passwd",
					  "0f5c9e4c/3f4d-4a53-9d31-5d3d6f0c7a11",
					  "0F5C9E4C-3f4d-4a53-9d31-5d3d6f0c7a11"};

static void names(void **state)
{
	(void)state;
	record = full();
	for (size_t k = 0; k < ARRAY_LEN(bad_serials); k++) {
		assert_int_equal(journal_keep(&journal, bad_serials[k], &record), -EINVAL);
		assert_int_equal(journal_load(&journal, bad_serials[k], &back), -EINVAL);
	}
}

static const struct {
	const char *why;
	CMUnitTestFunction run;
} in_folder[] = {
	{"the same run takes up everything", same_run},
	{"P4: a new run takes up what a loss of power leaves", new_run},
	{"what need not last makes no lasting file", nothing_lasting},
	{"P4: what was given up does not come back with the power", lasting_no_more},
	{"P4: a damaged file is never written over, until somebody says so", never_over_damage},
	{"P4: without room nothing changes", no_room},
	{"a serial that is no file's name is refused", names},
};

static void with_folder(void **state)
{
	assert_int_equal(folder_open(NULL), 0);
	((const __typeof__(in_folder[0]) *)*state)->run(state);
	assert_int_equal(folder_close(NULL), 0);
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, trips, trip);
	tests_add(&t, "P4: no octet of a file changes, and none is missing, unnoticed", flips,
		  NULL);
	tests_add(&t, "P4: what a forged file says is within its bounds", forged, NULL);
	TESTS_ADD_TABLE(&t, heads, head);
	TESTS_ADD_TABLE(&t, unsound, spoilt);
	tests_add(&t, "P4: APTPL keeps registrations and reservation over a loss of power",
		  power_with_aptpl, NULL);
	tests_add(&t, "without APTPL a loss of power ends registrations and reservation",
		  power_without_aptpl, NULL);
	tests_add(&t, "a loss of power ends a reservation of RESERVE", power_and_reserve, NULL);
	TESTS_ADD_TABLE(&t, in_folder, with_folder);
	TESTS_ADD_TABLE(&t, crashes, crash_same);
	return tests_run(&t, "arbiter");
}
