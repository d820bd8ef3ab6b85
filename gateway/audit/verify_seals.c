/* Seals, with the verification keys that were given: each is hashed forward block by block, as
 * the auditor did, from the first block of its epoch on. */
#include "gateway/audit/verify_parts.h"

#include <sodium.h>

/* Hashing forward over blocks that are not there takes time: so many at most. */
#define SKIP_MAX (UINT64_C(1) << 28)

int verify_seals_start(struct verify_log *l)
{
	const struct verify_asked *asked = l->v->asked;

	l->seals = calloc(asked->key_count + 1, sizeof *l->seals);
	if (!l->seals)
		return -ENOMEM;
	for (size_t i = 0; i < asked->key_count; i++) {
		struct verify_seal *s = &l->seals[i];

		s->key = &asked->keys[i];
		s->block = s->key->first_block[l->log - 1];
		seal_key_first(&s->now, s->key->epoch_key, l->log);
	}
	return 0;
}

static void seal_false(struct verify_log *l)
{
	struct verify_finding *f = &l->seal_false;

	if (f->kind != FOUND_INVALID && f->last_block + 1 == l->block.number) {
		f->last_block++;
		if (l->block.records)
			f->last_sequence = l->block.first_sequence + l->block.records - 1;
		return;
	}
	if (f->kind != FOUND_INVALID)
		verify_found(l->v, f);
	*f = verify_at_block(l, FOUND_SEAL_FALSE);
}

static void seal_good(struct verify_log_result *r, uint64_t number)
{
	struct verify_range *last = r->sealed_count ? &r->sealed[r->sealed_count - 1] : NULL;

	if (last && last->end == number)
		last->end++;
	else if (r->sealed_count < VERIFY_SEALED_MAX)
		r->sealed[r->sealed_count++] = (struct verify_range){number, number + 1};
}

static void place_false(struct verify_log *l, const struct verify_seal *s)
{
	struct verify_finding f = verify_at_block(l, FOUND_EPOCH_FALSE);

	verify_text(&f, "it is of epoch %llu; by the key, epoch %llu begins with block %llu",
		    (unsigned long long)l->block.epoch, (unsigned long long)s->key->epoch,
		    (unsigned long long)s->key->first_block[l->log - 1]);
	verify_found(l->v, &f);
}

static void check(struct verify_log *l, struct verify_seal *s)
{
	const struct block_header *h = &l->block;
	size_t sealed = l->size - BLOCK_TRAILER_SIZE;
	uint64_t first = s->key->first_block[l->log - 1];

	if (memcmp(s->key->trail, l->v->result->trail, TRAIL_ID_SIZE) != 0)
		return; /* was told */
	if (s->over || h->epoch < s->key->epoch) {
		/* The epoch's first block has it, if the log goes on so far. */
		if (!s->over && h->number == first)
			place_false(l, s);
		return;
	}
	if (h->epoch > s->key->epoch) {
		if (h->number == first)
			place_false(l, s);
		s->over = true;
		sodium_memzero(&s->now, sizeof s->now);
		return;
	}
	if (h->number < s->block || h->number - s->block > SKIP_MAX) {
		place_false(l, s);
		return;
	}
	for (; s->block < h->number; s->block++)
		seal_key_next(&s->now);
	s->used = true;
	if (seal_right(&s->now, l->bytes, sealed, l->bytes + sealed))
		seal_good(l->result, h->number);
	else
		seal_false(l); /* which is told */
}

void verify_seals_check(struct verify_log *l)
{
	for (size_t i = 0; i < l->v->asked->key_count; i++)
		check(l, &l->seals[i]);
}

void verify_seals_finish(struct verify_log *l)
{
	struct verify *v = l->v;

	if (l->seal_false.kind != FOUND_INVALID)
		verify_found(v, &l->seal_false);
	for (size_t i = 0; i < v->asked->key_count; i++) {
		const struct audit_key *key = l->seals[i].key;
		uint64_t first = key->first_block[l->log - 1];

		sodium_memzero(&l->seals[i].now, sizeof l->seals[i].now);
		if (first > l->next && !l->cut &&
		    memcmp(key->trail, v->result->trail, TRAIL_ID_SIZE) == 0) {
			struct verify_finding f = verify_at(l, FOUND_CUT);

			f.has_block = true;
			f.block = l->next;
			f.last_block = first - 1;
			verify_text(
				&f,
				"the key that you gave is of an epoch that began with block %llu",
				(unsigned long long)first);
			verify_found(v, &f);
			l->cut = true;
		}
	}
}

/* Not a block of its epoch is there, in either log. */
static bool is_unused(const struct verify *v, size_t key)
{
	return !v->logs[0].seals[key].used && !v->logs[1].seals[key].used;
}

/* The logs go on from behind its epoch's first blocks. */
static bool is_old(const struct verify *v, const struct audit_key *key)
{
	for (size_t i = 0; i < AUDIT_LOGS; i++)
		if (key->first_block[i] >= v->result->logs[i].blocks.first)
			return false;
	return true;
}

void verify_seals_judge(struct verify *v)
{
	const struct verify_asked *asked = v->asked;
	bool any = false;

	for (size_t i = 0; i < asked->key_count; i++)
		any |= !is_unused(v, i);
	for (size_t i = 0; i < asked->key_count; i++) {
		const struct audit_key *key = &asked->keys[i];
		struct verify_finding f = {.kind = FOUND_KEY_UNUSED};

		if (!is_unused(v, i) || memcmp(key->trail, v->result->trail, TRAIL_ID_SIZE) != 0)
			continue; /* another trail's was told */
		if (any && is_old(v, key))
			f.kind = FOUND_OLD_KEY;
		verify_text(&f, "the key of epoch %llu", (unsigned long long)key->epoch);
		verify_found(v, &f);
	}
}
