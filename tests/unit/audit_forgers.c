/* Forgeries by who knows the format, and perhaps has keys: each is found, and placed, with the
 * least that proves it (the files alone, the signer's public key, the key of an epoch, a checkpoint
 * from elsewhere); and without that, it is said that it is not proven. */
#include "tests/unit/audit_forgery.h"

#define QUICK 20u
#define SOAK  5000u

static uint8_t secret[SIGNER_SECRET_SIZE], other_secret[SIGNER_SECRET_SIZE],
	other_public[SIGNER_KEY_SIZE];

enum has { HAS_NOTHING, HAS_OTHER_SIGNER, HAS_SIGNER, HAS_NEWER_KEYS };
enum given { GIVEN_NOTHING, GIVEN_SIGNER, GIVEN_KEYS, GIVEN_CHECKPOINTS, GIVEN_LIVE, GIVENS };

static struct chain chain;

/* The keys that a session of the machine's later owner finds: of the ends of the epochs. */
static void newer_keys(struct seal_key ret[AUDIT_LOGS])
{
	for (size_t i = 0; i < AUDIT_LOGS; i++) {
		seal_key_first(&ret[i], sample.shown[1].epoch_key, (enum audit_log)(i + 1));
		for (size_t k = 0; k < 1000; k++)
			seal_key_next(&ret[i]);
	}
}

static void chain_has(enum has has, struct seal_key keys[AUDIT_LOGS])
{
	if (has == HAS_OTHER_SIGNER) {
		chain.secret = other_secret;
		memcpy(chain.signer, other_public, sizeof chain.signer);
	} else if (has != HAS_NOTHING) {
		chain.secret = secret;
	}
	if (has == HAS_NEWER_KEYS) {
		newer_keys(keys);
		chain.newer = keys;
	}
}

/* The sample's gateway, as if it ran: the blocks that it has, and its signer. */
static struct verify_live live;

static void live_make(void)
{
	struct chain *c = &chain;
	struct image m;

	chain_take(c, &sample.whole);
	memcpy(live.signer, c->signer, sizeof live.signer);
	memcpy(live.trail, c->logs[0].segments[0].h.trail, sizeof live.trail);
	chain_make(c, &sample.whole, &m);
	for (size_t i = 0; i < AUDIT_LOGS; i++) {
		live.blocks[i] = c->logs[i].tree.size;
		tree_root(&c->logs[i].tree, live.roots[i]);
	}
	image_free(&m);
	chain_free(c);
}

static void judge_given(enum given given)
{
	const struct verify_asked asked = {
		.live_sequence = given == GIVEN_LIVE ? 1 : 0,
		.live = given == GIVEN_LIVE ? &live : NULL,
		.keys = sample.shown,
		.key_count = given == GIVEN_KEYS ? 2 : 0,
		.notes = sample.notes,
		.note_count = given == GIVEN_CHECKPOINTS ? sample.note_count : 0,
		.signers = (const uint8_t(*)[SIGNER_KEY_SIZE]) & sample.shown[0].signer,
		.signer_count = given == GIVEN_SIGNER ? 1 : 0,
	};

	judge(&judged, scratch, &asked);
}

/* Each returns the first block that is not as it was. */
static uint64_t change_time(enum audit_log log, uint64_t number)
{
	chain.logs[log - 1].blocks[number].h.wall_ns += 1000000000;
	return number;
}

/* Not one by which the rest shows that it is gone: a run's end, a segment's own block. */
static uint64_t change_removed(enum audit_log log, uint64_t number)
{
	const struct chain_block *b = &chain.logs[log - 1].blocks[number];
	uint64_t removed;

	while (b->context || b->h.flags & BLOCK_END)
		b++;
	removed = b->h.number;
	chain_remove(&chain, log, removed);
	return removed;
}

static uint64_t change_nothing(enum audit_log log, uint64_t number)
{
	(void)log;
	return number;
}

/* The payload as it is unpacked, with an octet of it changed. */
static uint64_t change_record(enum audit_log log, uint64_t number)
{
	struct chain_block *b = &chain.logs[log - 1].blocks[number];
	struct unpacker u;

	while (b->h.records == 0)
		b++;
	assert_int_equal(unpacker_open(&u), 0);
	b->own = malloc(b->h.raw);
	if (b->h.flags & BLOCK_ZSTD) {
		assert_int_equal(unpacker_unpack(&u, b->payload, b->h.stored, b->own, b->h.raw), 0);
	} else {
		memcpy(b->own, b->payload, b->h.raw);
	}
	unpacker_close(&u);
	b->own[b->h.raw - 1] ^= 1;
	b->payload = b->own;
	b->h.stored = b->h.raw;
	b->h.flags &= (uint8_t)~BLOCK_ZSTD;
	return b->h.number;
}

static const struct forger_case {
	const char *why;
	uint64_t (*change)(enum audit_log log, uint64_t number);
	enum has has;
	bool without_notes;
	enum verify_class want[GIVENS]; /* at least, with what was given */
} forger_cases[] = {
	{"a trail that was taken apart and put together is as it was",
	 change_nothing,
	 HAS_NOTHING,
	 false,
	 {VERIFY_CLASS_INVALID, VERIFY_CLASS_INVALID, VERIFY_CLASS_INVALID, VERIFY_CLASS_INVALID,
	  VERIFY_CLASS_INVALID}},
	{"another time, chained anew: the checkpoints tell",
	 change_time,
	 HAS_NOTHING,
	 false,
	 {VERIFY_FORGED, VERIFY_FORGED, VERIFY_FORGED, VERIFY_FORGED, VERIFY_FORGED}},
	{"a block less, chained anew: the checkpoints tell",
	 change_removed,
	 HAS_NOTHING,
	 false,
	 {VERIFY_FORGED, VERIFY_FORGED, VERIFY_FORGED, VERIFY_FORGED, VERIFY_FORGED}},
	{"another record, chained anew: the checkpoints tell",
	 change_record,
	 HAS_NOTHING,
	 false,
	 {VERIFY_FORGED, VERIFY_FORGED, VERIFY_FORGED, VERIFY_FORGED, VERIFY_FORGED}},
	{"chained anew, without checkpoints: the end is not proven",
	 change_time,
	 HAS_NOTHING,
	 true,
	 {VERIFY_OPEN, VERIFY_OPEN, VERIFY_FORGED, VERIFY_FORGED, VERIFY_FORGED}},
	{"signed by somebody else: who knows the signer, or more, sees it",
	 change_time,
	 HAS_OTHER_SIGNER,
	 false,
	 {VERIFY_CLASS_INVALID, VERIFY_FORGED, VERIFY_FORGED, VERIFY_FORGED, VERIFY_FORGED}},
	{"a block less, signed by somebody else",
	 change_removed,
	 HAS_OTHER_SIGNER,
	 false,
	 {VERIFY_CLASS_INVALID, VERIFY_FORGED, VERIFY_FORGED, VERIFY_FORGED, VERIFY_FORGED}},
	{"signed with the stolen signer: the keys, or outside checkpoints, see it",
	 change_time,
	 HAS_SIGNER,
	 false,
	 {VERIFY_CLASS_INVALID, VERIFY_CLASS_INVALID, VERIFY_FORGED, VERIFY_FORGED, VERIFY_FORGED}},
	{"a block less, signed with the stolen signer",
	 change_removed,
	 HAS_SIGNER,
	 false,
	 {VERIFY_CLASS_INVALID, VERIFY_CLASS_INVALID, VERIFY_FORGED, VERIFY_FORGED, VERIFY_FORGED}},
	{"sealed again with newer keys, and signed: the keys, or outside checkpoints, see it",
	 change_time,
	 HAS_NEWER_KEYS,
	 false,
	 {VERIFY_CLASS_INVALID, VERIFY_CLASS_INVALID, VERIFY_FORGED, VERIFY_FORGED, VERIFY_FORGED}},
	{"a block less, sealed again with newer keys, and signed",
	 change_removed,
	 HAS_NEWER_KEYS,
	 false,
	 {VERIFY_CLASS_INVALID, VERIFY_CLASS_INVALID, VERIFY_FORGED, VERIFY_FORGED, VERIFY_FORGED}},
};

static void drop_notes(struct image *m)
{
	for (size_t i = m->count; i-- > 0;)
		if (is_note(&m->files[i]))
			image_drop(m, &m->files[i]);
}

/* The first seal that is false is that of the first block that is not as it was, if a key is of
 * its epoch. */
static void assert_placed(enum given given, enum audit_log log, uint64_t number)
{
	const struct verify_finding *f = judged_find(&judged, FOUND_SEAL_FALSE);

	if (given == GIVEN_KEYS && f && f->log == log &&
	    chain.logs[log - 1].blocks[number].h.epoch == sample.shown[0].epoch)
		assert_int_equal(f->block, number);
}

static bool forge_chain(const struct forger_case *c, enum audit_log log, uint64_t number)
{
	struct seal_key keys[AUDIT_LOGS];
	struct image m;
	bool found = true;

	chain_take(&chain, &sample.whole);
	number %= chain.logs[log - 1].count - 4;
	chain_has(c->has, keys);
	number = c->change(log, number);
	chain.changed = &chain.logs[log - 1].blocks[number];
	chain_make(&chain, &sample.whole, &m);
	if (c->without_notes)
		drop_notes(&m);
	image_write(&m, scratch);
	for (enum given given = GIVEN_NOTHING; given < GIVENS; given++) {
		judge_given(given);
		if (c->want[given] == VERIFY_CLASS_INVALID ? judged.result.worst > VERIFY_SAID
							   : judged.result.worst < c->want[given]) {
			print_message("%s: given %d, log %d, block %llu\n", c->why, given, log,
				      (unsigned long long)number);
			judged_print(&judged);
			found = false;
		}
		if (c->has >= HAS_SIGNER)
			assert_placed(given, log, number);
	}
	image_free(&m);
	chain_free(&chain);
	return found;
}

static void test_forger(void **state)
{
	const struct forger_case *c = *state;

	for (uint64_t number = 0; number < 30; number += 9) {
		assert_true(forge_chain(c, LOG_COMMANDS, number));
		assert_true(forge_chain(c, LOG_EVENTS, number));
	}
}

/* --- files, and the whole
 * -------------------------------------------------------------------------- */

static void assert_found(enum verify_kind want)
{
	if (!judged_find(&judged, want))
		judged_print(&judged);
	assert_non_null(judged_find(&judged, want));
}

static void notes_swapped(struct sample_file *f)
{
	size_t len = note_span((char *)f->bytes, f->len);
	uint8_t first[NOTE_SIZE];

	memcpy(first, f->bytes, len);
	memmove(f->bytes, f->bytes + len, f->len - len);
	memcpy(f->bytes + f->len - len, first, len);
}

static void notes_cosigned(struct sample_file *f)
{
	static const char line[] = "\xe2\x80\x94 witness.example AAAAAAAA\n";

	octets_in(f, f->len, (const uint8_t *)line, sizeof line - 1);
}

static void notes_torn(struct sample_file *f)
{
	f->len -= 5;
}

static void notes_none(struct sample_file *f)
{
	f->len = 0;
}

static void notes_first_out(struct sample_file *f)
{
	note_cut(f, 0);
}

static void notes_second_out(struct sample_file *f)
{
	note_cut(f, 1);
}

static void notes_last_out(struct sample_file *f)
{
	note_cut(f, SIZE_MAX);
}

static void notes_last_twice(struct sample_file *f)
{
	uint8_t last[NOTE_SIZE];
	size_t len = f->len;

	note_cut(f, SIZE_MAX); /* whose octets stand there still */
	len -= f->len;
	memcpy(last, f->bytes + f->len, len);
	f->len += len;
	octets_in(f, f->len, last, len);
}

static void rest_flipped(struct sample_file *f)
{
	f->bytes[f->len - 1] ^= 1;
}

static void rest_longer(struct sample_file *f)
{
	octets_in(f, f->len, (const uint8_t *)"x", 1);
}

static const struct file_case {
	const char *why, *file;
	void (*change)(struct sample_file *f);
	enum verify_kind want;
} file_cases[] = {
	{"checkpoints in another order", "commands-000001.note", notes_swapped, FOUND_NOTE_DAMAGED},
	{"a line that somebody else signed", "events-000001.note", notes_cosigned,
	 FOUND_NOTE_DAMAGED},
	{"a checkpoint that is torn", "commands-000001.note", notes_torn, FOUND_NOTE_DAMAGED},
	{"the last checkpoint is gone", "events-000004.note", notes_last_out, FOUND_OPEN},
	{"the last checkpoints are gone", "events-000004.note", notes_none, FOUND_NOTE_MISSING},
	{"the first checkpoint is gone", "commands-000001.note", notes_first_out,
	 FOUND_NOTE_MISSING},
	{"a checkpoint between others is gone", "commands-000004.note", notes_second_out,
	 FOUND_NOTE_MISSING},
	{"the last checkpoint of a file that is not the last is gone", "events-000001.note",
	 notes_last_out, FOUND_NOTE_MISSING},
	{"all checkpoints of a file are gone", "commands-000003.note", notes_none,
	 FOUND_NOTE_MISSING},
	{"a checkpoint stands there twice", "commands-000001.note", notes_last_twice,
	 FOUND_NOTE_DAMAGED},
	{"what stands in the next segment, too, and differs", "commands-000001.log", rest_flipped,
	 FOUND_REST_FALSE},
	{"more than stands in the next segment", "commands-000001.log", rest_longer,
	 FOUND_REST_FALSE},
};

static void test_file(void **state)
{
	const struct file_case *c = *state;
	struct image m;

	image_copy(&m, &sample.whole);
	assert_non_null(image_find(&m, c->file));
	c->change(image_find(&m, c->file));
	image_write(&m, scratch);
	judge_given(GIVEN_NOTHING);
	assert_found(c->want);
	image_free(&m);
}

/* The last blocks, but not the checkpoint of them. */
static void test_cut_end(void **state)
{
	size_t at[CHAIN_BLOCKS] = {0}, count;
	struct sample_file *f;
	struct image m;

	(void)state;
	image_copy(&m, &sample.whole);
	f = image_find(&m, "commands-000004.log");
	count = blocks_of(f, at);
	f->len = at[count - 1];
	image_write(&m, scratch);
	judge_given(GIVEN_NOTHING);
	assert_found(FOUND_CUT);
	image_free(&m);
}

/* The whole folder as it was after the first run, which was stopped cleanly. */
static void test_rolled_back(void **state)
{
	(void)state;
	image_write(&sample.first, scratch);
	judge_given(GIVEN_NOTHING);
	assert_int_equal(judged.result.worst, VERIFY_CLASS_INVALID);
	judge_given(GIVEN_KEYS);
	assert_int_equal(judged.result.worst, VERIFY_FORGED);
	assert_non_null(judged_find(&judged, FOUND_CUT));
	judge_given(GIVEN_CHECKPOINTS);
	assert_int_equal(judged.result.worst, VERIFY_FORGED);
	assert_non_null(judged_find(&judged, FOUND_CUT));
	judge_given(GIVEN_LIVE);
	assert_int_equal(judged.result.worst, VERIFY_FORGED);
	assert_non_null(judged_find(&judged, FOUND_LIVE_FALSE));
}

/* With the stolen signer, blocks that follow the newest key that somebody has are made part of the
 * epoch behind it, of which nobody has the key: so that begins earlier than it did. */
static void test_false_epoch(void **state)
{
	const struct audit_key *key = &sample.shown[0];
	struct verify_asked asked = {.keys = key, .key_count = 1};
	struct image m;

	(void)state;
	chain_take(&chain, &sample.whole);
	chain.secret = secret;
	for (size_t i = 0; i < AUDIT_LOGS; i++) {
		struct chain_block *blocks = chain.logs[i].blocks;

		for (uint64_t n = key->first_block[i] + 2; blocks[n].h.epoch == key->epoch; n++) {
			blocks[n].h.epoch++;
			blocks[n].h.wall_ns += 1000000000;
		}
	}
	chain_make(&chain, &sample.whole, &m);
	image_write(&m, scratch);
	judge(&judged, scratch, &asked);
	assert_int_equal(judged.result.worst, VERIFY_CLASS_INVALID);
	for (size_t i = 0; i < AUDIT_LOGS; i++) /* as the manual says: look where these end */
		assert_int_equal(judged.result.logs[i].sealed[0].end, key->first_block[i] + 2);
	asked.key_count = 2; /* a newer one binds what was before it */
	judge(&judged, scratch, &asked);
	assert_int_equal(judged.result.worst, VERIFY_FORGED);
	asked = (struct verify_asked){.notes = sample.notes, .note_count = sample.note_count};
	judge(&judged, scratch, &asked);
	assert_int_equal(judged.result.worst, VERIFY_FORGED);
	assert_found(FOUND_ROOT_FALSE);
	image_free(&m);
	chain_free(&chain);
}

/* Another gateway's trail in its place is right in itself. */
static void test_stranger(void **state)
{
	static const enum verify_kind kinds[GIVENS] = {
		[GIVEN_SIGNER] = FOUND_SIGNER_FALSE,
		[GIVEN_KEYS] = FOUND_KEY_FALSE,
		[GIVEN_CHECKPOINTS] = FOUND_OTHER_TRAIL,
		[GIVEN_LIVE] = FOUND_LIVE_FALSE,
	};

	(void)state;
	image_write(&stranger.whole, scratch);
	judge_given(GIVEN_NOTHING);
	assert_int_equal(judged.result.worst, VERIFY_CLASS_INVALID);
	for (enum given given = GIVEN_SIGNER; given < GIVENS; given++) {
		judge_given(given);
		assert_int_equal(judged.result.worst, VERIFY_FORGED);
		assert_non_null(judged_find(&judged, kinds[given]));
	}
}

static bool any_forger(uint64_t *state)
{
	const struct forger_case *c = &forger_cases[below(state, ARRAY_LEN(forger_cases))];
	enum audit_log log = (enum audit_log)(1 + below(state, AUDIT_LOGS));

	return forge_chain(c, log, next_random(state) % CHAIN_BLOCKS);
}

static void test_random(void **state)
{
	(void)state;
	random_forgeries(QUICK, SOAK, any_forger);
}

int main(void)
{
	static struct tests t;
	uint8_t unused[SIGNER_KEY_SIZE];
	int r;

	if (!forgery_begin() || crypto_sign_seed_keypair(unused, secret, sample.seed) != 0 ||
	    crypto_sign_seed_keypair(other_public, other_secret, stranger.seed) != 0)
		return 1;
	live_make();
	TESTS_ADD_TABLE(&t, forger_cases, test_forger);
	TESTS_ADD_TABLE(&t, file_cases, test_file);
	tests_add(&t, "an end that was cut off is missed by the checkpoint of it", test_cut_end,
		  NULL);
	tests_add(&t, "a roll back to a clean stop is seen with a newer key or checkpoint, or live",
		  test_rolled_back, NULL);
	tests_add(&t, "another trail in its place is seen with signer, key or checkpoint, or live",
		  test_stranger, NULL);
	tests_add(&t, "an epoch begun earlier is seen with outside checkpoints, or a newer key",
		  test_false_epoch, NULL);
	tests_add(&t, "random forgeries are found", test_random, NULL);
	r = tests_run(&t, "audit");
	forgery_end();
	return r;
}
