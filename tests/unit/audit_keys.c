/* The keys of an epoch: what is sealed can be proved by who has the epoch's key, an auditor that
 * is started again goes on where the page says, and no key of what was sealed is left anywhere. */
#include "gateway/audit/keys.h"

#include <sodium.h>
#include <sys/mman.h>
#include "gateway/base/fd.h"
#include "tests/unit/test.h"

static struct tests t;

static const uint8_t seed[KEYS_SEED_SIZE] = {9, 8, 7};
static const uint64_t first[AUDIT_LOGS] = {4, 11};
static int seed_fd = -1, page_fd = -1;
static struct keys *k;
static struct keys_page *page;

static int setup(void **state)
{
	void *memory;

	(void)state;
	seed_fd = memfd_sealed("seed", seed, sizeof seed);
	page_fd = memfd_shared("page", sizeof *page);
	assert_int_equal(memfd_map(page_fd, sizeof *page, PROT_READ | PROT_WRITE, &memory), 0);
	page = memory;
	assert_int_equal(keys_open(seed_fd, page_fd, &k), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	keys_close(k);
	(void)munmap(page, sizeof *page);
	fd_close(&seed_fd);
	fd_close(&page_fd);
	return 0;
}

static void again(void)
{
	keys_close(k);
	assert_int_equal(keys_open(seed_fd, page_fd, &k), 0);
}

/* As an auditor that starts, and then has an operator show the key. */
static struct audit_key begun(void)
{
	struct audit_key key = {0};

	assert_int_equal(keys_begin(k, 2, false, first), 0);
	assert_int_equal(keys_epoch(k), 3);
	assert_int_equal(keys_new_epoch(k, &key), 0);
	assert_int_equal(key.epoch, 4);
	assert_memory_equal(key.first_block, first, sizeof first);
	assert_memory_equal(key.signer, keys_signer(k), SIGNER_KEY_SIZE);
	return key;
}

static uint8_t *seal(enum audit_log log, uint64_t number)
{
	static uint8_t block[5 + SEAL_SIZE] = "block";

	keys_seal(k, log, number, block, 5);
	return block + 5;
}

static bool right(const struct audit_key *key, enum audit_log log, uint64_t number,
		  const uint8_t *made)
{
	struct seal_key own;

	seal_key_first(&own, key->epoch_key, log);
	for (uint64_t n = key->first_block[log - 1]; n < number; n++)
		seal_key_next(&own);
	return seal_right(&own, (const uint8_t *)"block", 5, made);
}

static void run_proved(void **state)
{
	struct audit_key key = begun();

	(void)state;
	assert_true(right(&key, LOG_COMMANDS, 4, seal(LOG_COMMANDS, 4)));
	assert_true(right(&key, LOG_COMMANDS, 5, seal(LOG_COMMANDS, 5)));
	assert_true(right(&key, LOG_EVENTS, 11, seal(LOG_EVENTS, 11)));
	assert_false(right(&key, LOG_EVENTS, 11, seal(LOG_EVENTS, 12)));
}

static void run_again(void **state)
{
	static const uint64_t next[AUDIT_LOGS] = {5, 12};
	struct audit_key key = begun();

	(void)state;
	(void)seal(LOG_COMMANDS, 4); /* in its file, and the page does not know of it */
	(void)seal(LOG_EVENTS, 11);
	keys_written(k, LOG_EVENTS);
	again();
	assert_int_equal(keys_begin(k, 4, true, next), 0);
	assert_int_equal(keys_epoch(k), 4);
	assert_true(right(&key, LOG_COMMANDS, 5, seal(LOG_COMMANDS, 5)));
	assert_true(right(&key, LOG_EVENTS, 12, seal(LOG_EVENTS, 12)));
}

/* The trail on the disk is not the one that the page's keys are of. */
static void run_elsewhere(void **state)
{
	static const struct {
		uint64_t epoch, next[AUDIT_LOGS], want;
		bool same_run;
	} ends[] = {
		{4, {3, 12}, 5, true},		       /* it lost blocks */
		{9, {5, 12}, 10, true},		       /* it is of a later epoch */
		{4, {5, 12}, 5, false},		       /* another run wrote it last */
		{4, {UINT64_C(1) << 40, 12}, 5, true}, /* it has blocks that nobody made */
	};
	struct audit_key key = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		memset(page, 0, sizeof *page);
		again();
		key = begun();
		again();
		assert_int_equal(keys_begin(k, ends[i].epoch, ends[i].same_run, ends[i].next), 0);
		assert_int_equal(keys_epoch(k), ends[i].want);
		assert_false(right(&key, LOG_EVENTS, 12, seal(LOG_EVENTS, 12)));
	}
}

static bool is_in_page(const void *octets)
{
	return memmem(page, sizeof *page, octets, 32) != NULL;
}

static void run_nothing_left(void **state)
{
	struct audit_key key = begun();
	struct seal_key own;

	(void)state;
	seal_key_first(&own, key.epoch_key, LOG_COMMANDS);
	assert_true(is_in_page(&own));
	(void)seal(LOG_COMMANDS, 4);
	keys_written(k, LOG_COMMANDS);
	assert_false(is_in_page(&own));
	assert_null(memmem(k, 256, &own, 32));
	assert_null(memmem(k, 256, key.epoch_key, 32));
	assert_false(is_in_page(key.epoch_key));
	assert_false(is_in_page(seed));
}

/* Killed while it writes the state that is not in force. */
static void run_half_written(void **state)
{
	(void)state;
	(void)begun();
	memset(&page->states[!page->active], 0xaa, sizeof page->states[0] / 2);
	again();
	assert_int_equal(keys_begin(k, 4, true, first), 0);
	assert_int_equal(keys_epoch(k), 4);
	assert_true(sodium_is_zero((const uint8_t *)&page->states[!page->active],
				   sizeof page->states[0]));
}

static void run_signed(void **state)
{
	struct note note = {.trail = {1, 2}, .log = LOG_EVENTS, .size = 7}, read;
	uint8_t public_key[SIGNER_KEY_SIZE];
	char text[NOTE_SIZE];
	int len;

	(void)state;
	memcpy(public_key, keys_signer(k), sizeof public_key);
	again();
	len = keys_note(k, &note, text);
	assert_true(len > 0);
	assert_int_equal(note_read(&read, text, (size_t)len), 0);
	assert_true(note_signature_right(&read, public_key));
}

static void run_other_memory(void **state)
{
	struct keys *other = NULL;

	(void)state;
	assert_int_equal(keys_open(page_fd, seed_fd, &other), -EINVAL);
	assert_null(other);
}

int main(void)
{
	static const struct {
		const char *why;
		void (*run)(void **state);
	} rows[] = {
		{"who has the epoch's key proves each seal, and its place", run_proved},
		{"an auditor that is started again goes on in the epoch", run_again},
		{"but not on a trail that its keys are not of", run_elsewhere},
		{"no key of what was sealed is left, nor the epoch's", run_nothing_left},
		{"one that died while it wrote the page has the state before", run_half_written},
		{"the signer is the same again", run_signed},
		{"memory of another size is refused", run_other_memory},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		tests_add(&t, rows[i].why, rows[i].run, NULL);
		t.list[i].setup_func = setup;
		t.list[i].teardown_func = teardown;
	}
	return tests_run(&t, "audit");
}
