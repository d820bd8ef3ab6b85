/* ROD tokens, SPC-4 section 5.16: an initiator was given octets that nobody can guess, which stand
 * for blocks as they are now; it may use them in any of its sessions that has the disk. Whoever
 * writes there voids them first. Not journalled: with this arbiter they end. Runs in the
 * arbiter; what an order says is hostile. */
#include "gateway/arbiter/court.h"

#include <sodium.h>
#include "gateway/base/bytes.h"

#define OF_ONE_INITIATOR 8u				/* tokens of one disk */
#define KNOWN_AFTER_MS	 (TOKEN_UNUSED_MAX_S * 1000ull) /* its end: who uses it hears what it was */

#define KEY_ILLEGAL_REQUEST 0x5
#define KEY_DATA_PROTECT    0x7
#define WRITE_PROTECTED	    0x2700
#define TOKEN_UNKNOWN	    0x2304
#define TOKEN_REVOKED	    0x2306
#define TOKEN_EXPIRED	    0x2307
#define NO_ROOM_FOR_TOKEN   0x550d
#define INVALID_IN_LIST	    0x2600
#define TYPE_POINT_IN_TIME  0x00800001u /* void when the blocks change */
#define TOKEN_HEADER	    8
#define TOKEN_SIZE_AT	    48 /* NUMBER OF BYTES REPRESENTED, 16 octets */

struct token {
	struct token *next;
	unsigned disk, slot;
	bool revoked;
	uint64_t used_ms, unused_ms; /* when last, and how long it may be */
	uint64_t revoked_ms;
	char initiator[ISCSI_NAME_SIZE];
	uint8_t octets[TOKEN_SIZE];
	struct order_ranges ranges;
};

static void slot_free(struct court *c, const struct token *t)
{
	struct arbiter_disk *disk = &c->page->disks[t->disk];

	atomic_store(&disk->tokens[t->slot].end, 0);
	atomic_fetch_sub(&disk->token_count, 1);
}

static void void_token(struct court *c, struct token *t)
{
	if (t->revoked)
		return;
	slot_free(c, t);
	t->revoked = true;
	t->revoked_ms = c->now_ms;
}

static void drop(struct court *c, struct token *t)
{
	struct token **at = &c->tokens;

	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	void_token(c, t);
	sodium_memzero(t, sizeof *t);
	free(t);
}

void tokens_revoke(struct court *c, unsigned d)
{
	for (struct token *t = c->tokens; t != NULL; t = t->next) {
		if (t->disk == d)
			void_token(c, t);
	}
}

void tokens_forget(struct court *c, unsigned d)
{
	struct arbiter_disk *disk = &c->page->disks[d];

	for (size_t k = 0; k < ARBITER_TOKENS; k++)
		atomic_store(&disk->tokens[k].end, 0);
	atomic_store(&disk->token_count, 0);
}

void tokens_close(struct court *c)
{
	while (c->tokens != NULL)
		drop(c, c->tokens);
}

static bool is_expired(const struct court *c, const struct token *t)
{
	return c->now_ms - t->used_ms > t->unused_ms;
}

static uint64_t known_until(const struct token *t)
{
	return KNOWN_AFTER_MS + (t->revoked ? t->revoked_ms : t->used_ms + t->unused_ms);
}

void tokens_tick(struct court *c)
{
	struct token *next;

	for (struct token *t = c->tokens; t != NULL; t = next) {
		next = t->next;
		if (c->now_ms >= known_until(t))
			drop(c, t);
	}
}

uint64_t tokens_next_tick(const struct court *c)
{
	uint64_t at = 0;

	for (const struct token *t = c->tokens; t != NULL; t = t->next)
		at = at == 0 ? known_until(t) : MIN(at, known_until(t));
	return at;
}

/* --- making one --- */

/* Drops what has expired, and if this initiator has as much on the disk as it may have, one that
 * is revoked, or else the oldest. */
static void make_room(struct court *c, const struct member *m, unsigned d)
{
	struct token *next, *last = NULL;
	unsigned count = 0;

	for (struct token *t = c->tokens; t != NULL; t = next) {
		bool ours = t->disk == d && strcmp(t->initiator, m->initiator) == 0;

		next = t->next;
		if (is_expired(c, t)) {
			drop(c, t);
			continue;
		}
		count += ours;
		if (ours && (last == NULL || (t->revoked && !last->revoked)))
			last = t;
	}
	if (count >= OF_ONE_INITIATOR)
		drop(c, last);
}

/* Blocks from the first to the last that the ranges have; false: there are none, or it is no list.
 */
static bool hull(const struct order_ranges *r, uint64_t *ret_first, uint64_t *ret_end)
{
	*ret_first = UINT64_MAX;
	*ret_end = 0;
	if (r->count > TOKEN_RANGES_MAX)
		return false;
	for (unsigned i = 0; i < r->count; i++) {
		uint64_t end;

		if (!ADD_OK(r->at[i].lba, r->at[i].blocks, &end))
			return false;
		if (r->at[i].blocks == 0)
			continue;
		*ret_first = MIN(*ret_first, r->at[i].lba);
		*ret_end = MAX(*ret_end, end);
	}
	return *ret_end != 0;
}

static bool slot_take(struct court *c, struct token *t, uint64_t first, uint64_t end)
{
	struct arbiter_disk *disk = &c->page->disks[t->disk];

	for (unsigned k = 0; k < ARBITER_TOKENS; k++) {
		if (atomic_load(&disk->tokens[k].end) != 0)
			continue;
		t->slot = k;
		atomic_store(&disk->tokens[k].first, first);
		atomic_store(&disk->tokens[k].end, end);
		atomic_fetch_add(&disk->token_count, 1);
		return true;
	}
	return false;
}

/* SPC-4's format as far as an initiator may read it; all else is random. */
static void fill(struct token *t, uint64_t octets)
{
	randombytes_buf(t->octets, sizeof t->octets);
	put_be(t->octets, 4, TYPE_POINT_IN_TIME);
	put_be(t->octets + 4, 4, TOKEN_SIZE - TOKEN_HEADER);
	put_be(t->octets + TOKEN_SIZE_AT, 8, 0);
	put_be(t->octets + TOKEN_SIZE_AT + 8, 8, octets);
}

static void append(struct court *c, struct token *t)
{
	struct token **end = &c->tokens;

	while (*end != NULL)
		end = &(*end)->next;
	*end = t;
}

/* Writes that are on their way may or may not be in it: they end before it is answered, and later
 * ones see its mark. What somebody has for himself he may be about to write: that is waited for. */
enum decision order_token_make(struct court *c, struct member *m, unsigned k,
			       struct arbiter_record *draft, struct arbiter_answer *ret)
{
	struct order_ranges ranges;
	struct token *t;
	uint64_t first, end;

	(void)draft;
	memcpy(&ranges, m->order.octets, sizeof ranges);
	if (m->order.len != sizeof ranges || !hull(&ranges, &first, &end))
		return answer_sense(ret, KEY_ILLEGAL_REQUEST, INVALID_IN_LIST);
	if (ranges_meet(c, m->luns[k].disk, first, end - first))
		return range_wait(c, &m->petitions[PETITION_ORDER], m->luns[k].disk, first,
				  end - first);
	m->petitions[PETITION_ORDER].behind = 0;
	t = calloc(1, sizeof *t);
	if (t == NULL)
		return answer_sense(ret, KEY_ILLEGAL_REQUEST, NO_ROOM_FOR_TOKEN);
	t->ranges = ranges;
	t->disk = m->luns[k].disk;
	t->used_ms = c->now_ms;
	t->unused_ms = MIN(m->order.at, TOKEN_UNUSED_MAX_S) * 1000ull;
	(void)string_copy(t->initiator, sizeof t->initiator, m->initiator);
	make_room(c, m, t->disk);
	if (!slot_take(c, t, first, end)) {
		free(t);
		return answer_sense(ret, KEY_ILLEGAL_REQUEST, NO_ROOM_FOR_TOKEN);
	}
	fill(t, m->order.key);
	append(c, t);
	memcpy(ret->octets, t->octets, sizeof t->octets);
	ret->len = ret->total = sizeof t->octets;
	return DECISION_DRAIN;
}

/* --- using one --- */

/* NULL: this initiator was given none like it. */
static struct token *find(const struct court *c, const struct member *m)
{
	for (struct token *t = c->tokens; t != NULL; t = t->next) {
		if (strcmp(t->initiator, m->initiator) == 0 &&
		    sodium_memcmp(t->octets, m->order.octets, sizeof t->octets) == 0)
			return t;
	}
	return NULL;
}

/* A LUN of the asker's that is the token's disk; -1: it has none. */
static int lun_of(const struct member *m, const struct token *t)
{
	for (unsigned k = 0; k < m->lun_count; k++) {
		if (m->luns[k].disk == t->disk)
			return m->luns[k].lun;
	}
	return -1;
}

static uint16_t why_not(const struct court *c, const struct member *m, const struct token *t)
{
	if (t == NULL || m->order.len != TOKEN_SIZE || lun_of(m, t) < 0)
		return TOKEN_UNKNOWN;
	if (t->revoked)
		return TOKEN_REVOKED;
	return m->order.action == ORDER_TOKEN_BEGIN && is_expired(c, t) ? TOKEN_EXPIRED : 0;
}

enum decision order_token_use(struct court *c, struct member *m, unsigned k,
			      struct arbiter_record *draft, struct arbiter_answer *ret)
{
	struct token *t = find(c, m);
	uint16_t code = why_not(c, m, t);
	struct order_ranges ranges;

	(void)k, (void)draft;
	if (code != 0)
		return answer_sense(ret, KEY_ILLEGAL_REQUEST, code);
	t->used_ms = c->now_ms;
	ranges = t->ranges;
	ranges.lun = (uint32_t)lun_of(m, t);
	memcpy(ret->octets, &ranges, sizeof ranges);
	ret->len = ret->total = sizeof ranges;
	if (m->order.action == ORDER_TOKEN_DELETE)
		drop(c, t);
	return DECISION_ANSWER;
}

/* --- voiding them --- */

static bool stands_for(const struct token *t, uint64_t lba, uint64_t blocks)
{
	for (unsigned i = 0; i < t->ranges.count; i++) {
		uint64_t first = t->ranges.at[i].lba, count = t->ranges.at[i].blocks;

		if (count != 0 && first < lba + blocks && lba < first + count)
			return true;
	}
	return false;
}

/* Tokens are made under new generations, so under this one there is none for those blocks. P3: who
 * was given the disk for reading writes nothing, so he voids nothing. */
enum decision order_token_void(struct court *c, struct member *m, unsigned k,
			       struct arbiter_record *draft, struct arbiter_answer *ret)
{
	unsigned d = m->luns[k].disk;
	uint64_t generation = atomic_load(&c->page->generations[d]);

	(void)draft;
	if (!m->luns[k].writable)
		return answer_sense(ret, KEY_DATA_PROTECT, WRITE_PROTECTED);
	for (struct token *t = c->tokens; t != NULL; t = t->next) {
		if (t->disk == d &&
		    (is_expired(c, t) || stands_for(t, m->order.lba, m->order.blocks)))
			void_token(c, t);
	}
	memcpy(ret->octets, &generation, sizeof generation);
	ret->len = ret->total = sizeof generation;
	return DECISION_ANSWER;
}

/* The page tells of a token as one stretch: whoever writes within it asks first. */
void tokens_give_way(struct court *c, unsigned d, uint64_t lba, uint64_t blocks)
{
	for (struct token *t = c->tokens; t != NULL; t = t->next) {
		const struct arbiter_token_slot *slot = &c->page->disks[d].tokens[t->slot];

		if (t->disk == d && !t->revoked && atomic_load(&slot->first) < lba + blocks &&
		    atomic_load(&slot->end) > lba)
			void_token(c, t);
	}
}
