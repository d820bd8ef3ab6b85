/* One thing that is not so, all else made right by who knows the format and has the signer: a
 * block's header, or a segment's, is found by the files alone, and placed. */
#include "tests/unit/audit_forgery.h"

static uint8_t secret[SIGNER_SECRET_SIZE];
static struct chain chain;

static void spoil_before(struct block_header *h)
{
	h->before[7] ^= 1;
}

static void spoil_root(struct block_header *h)
{
	h->root[7] ^= 1;
}

static void spoil_context(struct block_header *h)
{
	h->flags |= BLOCK_CONTEXT;
	h->context[7] ^= 1;
}

static void spoil_other(struct block_header *h)
{
	h->other[7] ^= 1;
}

static void spoil_other_far(struct block_header *h)
{
	h->other_synced += 100;
}

static void spoil_sequence(struct block_header *h)
{
	h->first_sequence += 3;
}

static void spoil_sequence_back(struct block_header *h)
{
	h->first_sequence -= 3;
}

static void spoil_records(struct block_header *h)
{
	h->records--;
}

static void spoil_luns(struct block_header *h)
{
	h->index.luns &= h->index.luns - 1;
}

static void spoil_lba(struct block_header *h)
{
	h->index.lba_least = 99999;
}

static void spoil_ops(struct block_header *h)
{
	h->index.ops = 0;
}

static void spoil_span(struct block_header *h)
{
	h->span_ns += 1000;
}

static void spoil_clock(struct block_header *h)
{
	h->mono_ns /= 2;
}

static void spoil_epoch(struct block_header *h)
{
	h->epoch--;
}

static void spoil_defines(struct block_header *h)
{
	h->flags &= (uint8_t)~BLOCK_DEFINES;
}

static const struct spoil_case {
	const char *why;
	void (*spoil)(struct block_header *h);
	enum audit_log log;
	uint64_t number;
	enum verify_kind want;
} spoil_cases[] = {
	{"another hash of the block before", spoil_before, LOG_COMMANDS, 9, FOUND_CHAIN_FALSE},
	{"another root of the blocks before", spoil_root, LOG_COMMANDS, 9, FOUND_TREE_FALSE},
	{"another hash of the segment's header", spoil_context, LOG_COMMANDS, 0,
	 FOUND_CONTEXT_FALSE},
	{"the hash of a header that is none", spoil_context, LOG_EVENTS, 5, FOUND_CONTEXT_FALSE},
	{"another hash of the other log's block", spoil_other, LOG_COMMANDS, 20,
	 FOUND_LOGS_DISAGREE},
	{"a block of the other log that was not made", spoil_other_far, LOG_EVENTS, 9,
	 FOUND_LOGS_DISAGREE},
	{"sequences that are left out", spoil_sequence, LOG_COMMANDS, 9, FOUND_SEQUENCE_MISSING},
	{"sequences that are there twice", spoil_sequence_back, LOG_COMMANDS, 9,
	 FOUND_SEQUENCE_REPEATED},
	{"a record more than is said", spoil_records, LOG_COMMANDS, 9, FOUND_PAYLOAD_FALSE},
	{"an index that hides a LUN", spoil_luns, LOG_COMMANDS, 9, FOUND_INDEX_FALSE},
	{"an index that hides blocks", spoil_lba, LOG_COMMANDS, 9, FOUND_INDEX_FALSE},
	{"an index that hides kinds of events", spoil_ops, LOG_EVENTS, 5, FOUND_INDEX_FALSE},
	{"a last record of another time", spoil_span, LOG_COMMANDS, 9, FOUND_INDEX_FALSE},
	{"a clock that goes back", spoil_clock, LOG_COMMANDS, 9, FOUND_TIME_FALSE},
	{"an epoch that falls", spoil_epoch, LOG_COMMANDS, 30, FOUND_EPOCH_FALSE},
	{"names that a reader would skip", spoil_defines, LOG_COMMANDS, 1, FOUND_INDEX_FALSE},
};

static void assert_found(enum verify_kind want)
{
	if (!judged_find(&judged, want))
		judged_print(&judged);
	assert_non_null(judged_find(&judged, want));
}

static void test_spoiled(void **state)
{
	const struct spoil_case *c = *state;
	const struct verify_finding *f;
	struct image m;

	chain_take(&chain, &sample.whole);
	chain.secret = secret;
	chain.spoil = c->spoil;
	chain.spoiled = &chain.logs[c->log - 1].blocks[c->number];
	chain_make(&chain, &sample.whole, &m);
	image_write(&m, scratch);
	judge(&judged, scratch, NULL);
	assert_found(c->want);
	f = judged_find(&judged, c->want);
	assert_int_equal(f->log, c->log);
	assert_true(!f->has_block || (f->block <= c->number + 1 && f->last_block + 1 >= c->number));
	image_free(&m);
	chain_free(&chain);
}

static void header_before(struct segment_header *h)
{
	h->before[7] ^= 1;
}

static void header_tree(struct segment_header *h)
{
	h->tree.nodes[__builtin_ctzll(h->first_block)][7] ^= 1;
}

static void header_trail(struct segment_header *h)
{
	h->trail[7] ^= 1;
}

static void header_signer(struct segment_header *h)
{
	h->signer[7] ^= 1;
}

static void header_run(struct segment_header *h)
{
	h->run++;
}

static const struct header_case {
	const char *why;
	void (*spoil)(struct segment_header *h);
	enum verify_kind want;
} header_cases[] = {
	{"a header with another block before it", header_before, FOUND_HEADER_FALSE},
	{"a header with other blocks before it", header_tree, FOUND_HEADER_FALSE},
	{"a header of another trail", header_trail, FOUND_HEADER_FALSE},
	{"a header with another signer", header_signer, FOUND_SIGNER_FALSE},
	{"a header of another run", header_run, FOUND_RUN_CUT},
};

static void test_header(void **state)
{
	const struct header_case *c = *state;
	struct image m;

	chain_take(&chain, &sample.whole);
	chain.secret = secret;
	chain.spoil_header = c->spoil;
	chain.spoiled_segment = &chain.logs[0].segments[1];
	chain_make(&chain, &sample.whole, &m);
	image_write(&m, scratch);
	judge(&judged, scratch, NULL);
	assert_found(c->want);
	image_free(&m);
	chain_free(&chain);
}

/* Headers one behind the other, each of a block as large as can be. */
static void test_claims(void **state)
{
	static const size_t size = 8u << 20;
	uint8_t *claims = malloc(size);
	struct segment_header head;
	struct sample_file *f;
	struct image m;
	size_t at, len;

	(void)state;
	image_copy(&m, &sample.whole);
	f = image_find(&m, "commands-000004.log");
	assert_true(f && claims);
	assert_int_equal(segment_header_size(f->bytes, &len), 0);
	assert_int_equal(segment_header_read(f->bytes, len, &head), 0);
	for (at = 0; at + BLOCK_HEADER_SIZE <= size; at += BLOCK_HEADER_SIZE) {
		struct block_header h = {.log = LOG_COMMANDS,
					 .stored = BLOCK_PAYLOAD_MAX,
					 .raw = BLOCK_PAYLOAD_MAX,
					 .number = 1000,
					 .first_sequence = 1000};

		block_header_write(&h, head.salt, claims + at);
	}
	octets_in(f, len, claims, at);
	image_write(&m, scratch);
	judge(&judged, scratch, NULL);
	assert_found(FOUND_DAMAGED);
	assert_true(judged.result.worst >= VERIFY_DAMAGED);
	assert_non_null(strstr(judged_find(&judged, FOUND_DAMAGED)->text, "no more is looked for"));
	free(claims);
	image_free(&m);
}

int main(void)
{
	static struct tests t;
	uint8_t unused[SIGNER_KEY_SIZE];
	int r;

	if (!forgery_begin() || crypto_sign_seed_keypair(unused, secret, sample.seed) != 0)
		return 1;
	TESTS_ADD_TABLE(&t, spoil_cases, test_spoiled);
	TESTS_ADD_TABLE(&t, header_cases, test_header);
	tests_add(&t, "P6: what only claims to be large blocks is not looked at again and again",
		  test_claims, NULL);
	r = tests_run(&t, "audit");
	forgery_end();
	return r;
}
