/* Both logs in the order of their sequences: no record is missing or stands there twice, each log
 * knows the blocks of the other one as they are, and the clock goes forward. */
#include "gateway/audit/verify_parts.h"

#include <sodium.h>

struct verify_finding verify_at_block(const struct verify_log *l, enum verify_kind kind)
{
	struct verify_finding f = verify_at(l, kind);

	f.has_place = f.has_block = true;
	f.offset = l->block_offset;
	f.octets = l->size;
	f.block = f.last_block = l->block.number;
	if (l->block.records) {
		f.sequence = l->block.first_sequence;
		f.last_sequence = f.sequence + l->block.records - 1;
	}
	return f;
}

static struct verify_log *other_of(struct verify_log *l)
{
	return &l->v->logs[l->log == LOG_COMMANDS ? 1 : 0];
}

/* Blocks of the log that were taken before: the one in hand is not. */
static uint64_t taken(const struct verify_log *l)
{
	return l->have ? l->block.number : l->next;
}

/* Beside a running gateway one log is read to its end before the other one: what is from `sequence`
 * on was made after the gateway was asked, and may have been written behind that end. */
static bool is_younger(const struct verify_log *l, uint64_t sequence)
{
	const struct verify_log *o = &l->v->logs[l->log == LOG_COMMANDS ? 1 : 0];
	const uint64_t live = l->v->asked->live_sequence;

	return live > 0 && sequence > live && !o->have && o->over;
}

/* Which of two blocks was made first? */
static bool before(struct verify_log *a, struct verify_log *b)
{
	const struct block_header *x = &a->block, *y = &b->block;

	if (x->first_sequence != y->first_sequence)
		return x->first_sequence < y->first_sequence;
	if ((x->records == 0) != (y->records == 0))
		return x->records == 0;
	if ((x->other_synced <= taken(b)) != (y->other_synced <= taken(a)))
		return x->other_synced <= taken(b);
	return x->mono_ns <= y->mono_ns;
}

static struct verify_log *choose(struct verify *v)
{
	struct verify_log *chosen = NULL;

	for (size_t i = 0; i < AUDIT_LOGS; i++) {
		struct verify_log *l = &v->logs[i];

		if (!l->have && !verify_log_next(l))
			continue;
		if (!chosen || before(l, chosen))
			chosen = l;
	}
	return chosen;
}

/* --- sequences ---------------------------------------------------------------------------- */

void verify_order_broken(struct verify_log *l)
{
	if (!l->broken.is)
		return;
	l->broken.is = false;
	verify_found(l->v, &l->broken.finding);
}

/* Records are missing before the block in hand: is that what is missing of a log? */
static bool explained(struct verify *v, uint64_t last)
{
	bool any = false;

	for (size_t i = 0; i < AUDIT_LOGS; i++) {
		struct verify_break *b = &v->logs[i].broken;

		if (!b->is)
			continue;
		if (b->finding.sequence == 0)
			b->finding.sequence = v->expected;
		b->finding.last_sequence = last;
		any = true;
	}
	for (size_t i = 0; i < AUDIT_LOGS; i++)
		any |= !v->logs[i].any; /* which was told */
	return any || last < v->pruned;
}

static void check_sequence(struct verify_log *l)
{
	struct verify *v = l->v;
	const struct block_header *h = &l->block;
	struct verify_finding f;

	if (v->expected && h->first_sequence > v->expected && !is_younger(l, v->expected) &&
	    !explained(v, h->first_sequence - 1)) {
		f = verify_at_block(l, FOUND_SEQUENCE_MISSING);
		f.sequence = v->expected;
		f.last_sequence = h->first_sequence - 1;
		verify_cut(v, 0, &f);
	}
	if (h->first_sequence < v->expected || h->first_sequence == 0) {
		f = verify_at_block(l, FOUND_SEQUENCE_REPEATED);
		verify_found(v, &f);
	}
	verify_order_broken(l);
	if (!ADD_OK(h->first_sequence, h->records, &v->expected))
		v->expected = UINT64_MAX;
	if (h->records == 0)
		return;
	if (v->result->first_sequence == 0) {
		v->result->first_sequence = h->first_sequence;
		v->result->first_ns = h->wall_ns;
	}
	v->result->last_sequence = MAX(v->result->last_sequence, v->expected - 1);
	v->result->last_ns = h->wall_ns + h->span_ns;
}

/* --- the other log ------------------------------------------------------------------------ */

/* The hash of a block of this log that was taken before; NULL: not known any more. */
static const uint8_t *past_hash(const struct verify_log *l, uint64_t number)
{
	size_t place = number % VERIFY_PAST;

	if (l->past->number[place] == number + 1)
		return l->past->hash[place];
	return number + 1 == l->result->blocks.first && l->any ? l->first_before : NULL;
}

/* More of the other log than there is, or than was made before. */
static void check_ahead(struct verify_log *l, struct verify_log *o)
{
	bool over = !o->have && o->over;
	struct verify_finding f;

	if ((over && o->cut) || is_younger(l, l->block.first_sequence))
		return;
	f = verify_at_block(l, over ? FOUND_CUT : FOUND_LOGS_DISAGREE);
	if (over) {
		o->cut = true;
		f = verify_at(o, o->torn_octets ? FOUND_DAMAGED : FOUND_CUT);
		f.has_place = f.has_block = true;
		f.offset = o->torn_at;
		f.octets = o->torn_octets;
		f.block = o->next;
		f.last_block = l->block.other_synced - 1;
	}
	verify_text(&f, "block %llu of the %s says that %llu blocks of the %s were on the disk",
		    (unsigned long long)l->block.number, audit_log_name(l->log),
		    (unsigned long long)l->block.other_synced, audit_log_name(o->log));
	verify_found(l->v, &f);
}

static void check_other(struct verify_log *l)
{
	static const uint8_t zeros[HASH_SIZE];
	struct verify_log *o = other_of(l);
	uint64_t synced = l->block.other_synced;
	const uint8_t *hash = synced ? NULL : zeros;
	struct verify_finding f;

	if (synced > taken(o)) {
		check_ahead(l, o);
		return;
	}
	if (synced)
		hash = past_hash(o, synced - 1);
	/* Unknown: deleted by retention, not readable (which was told), or too long ago: no log
	 * has so many blocks that are not synced. */
	if (!hash && (synced <= o->result->blocks.first || taken(o) - synced < VERIFY_PAST))
		return;
	if (hash && memcmp(hash, l->block.other, HASH_SIZE) == 0)
		return;
	f = verify_at_block(l, FOUND_LOGS_DISAGREE);
	verify_text(&f, "it has another hash of block %llu of the %s",
		    (unsigned long long)synced - 1, audit_log_name(o->log));
	verify_found(l->v, &f);
}

/* --- clocks and epochs -------------------------------------------------------------------- */

static void check_time(struct verify_log *l)
{
	struct verify *v = l->v;
	const struct block_header *h = &l->block;
	struct verify_finding f;
	uint64_t last;

	if (h->records == 0)
		return;
	if (memcmp(v->boot, l->head.boot, sizeof v->boot) != 0 ||
	    (v->run != l->head.run && sodium_is_zero(v->boot, sizeof v->boot)))
		v->mono_ns = 0; /* another boot, for all that is known */
	memcpy(v->boot, l->head.boot, sizeof v->boot);
	v->run = l->head.run;
	if (h->mono_ns < v->mono_ns || !ADD_OK(h->mono_ns, h->span_ns, &last)) {
		f = verify_at_block(l, FOUND_TIME_FALSE);
		verify_text(&f, "by %llu ns", (unsigned long long)(v->mono_ns - h->mono_ns));
		verify_found(v, &f);
		return;
	}
	v->mono_ns = last;
}

static void check_epoch(struct verify_log *l)
{
	struct verify_finding f;

	if (l->block.epoch < l->epoch) {
		f = verify_at_block(l, FOUND_EPOCH_FALSE);
		verify_text(&f, "epoch %llu after epoch %llu", (unsigned long long)l->block.epoch,
			    (unsigned long long)l->epoch);
		verify_found(l->v, &f);
	}
	l->epoch = MAX(l->epoch, l->block.epoch);
}

bool verify_order_take(struct verify *v)
{
	struct verify_log *l = choose(v);

	if (!l)
		return false;
	check_sequence(l);
	check_other(l);
	check_time(l);
	check_epoch(l);
	verify_rows(l);
	v->octets += l->size;
	l->have = false;
	return true;
}
