/* Exclusive ranges of blocks: the one place where a command that reads, thinks and writes is
 * alone (COMPARE AND WRITE and its like). They stand on the page, which outlives the
 * arbiter, so a new one finds them there. Runs in the arbiter; an order is hostile. */
#include "gateway/arbiter/court.h"

#define KEY_ILLEGAL_REQUEST  0x5
#define KEY_DATA_PROTECT     0x7
#define INVALID_FIELD_IN_CDB 0x2400
#define WRITE_PROTECTED	     0x2700

static uint64_t owner_of(const struct member *m, uint32_t id)
{
	return (uint64_t)m->connection << 32 | id;
}

/* Granted to somebody. */
bool ranges_meet(const struct court *c, unsigned d, uint64_t lba, uint64_t blocks)
{
	struct arbiter_disk *disk = &c->page->disks[d];

	for (size_t k = 0; k < ARBITER_RANGES; k++) {
		struct arbiter_range_slot *slot = &disk->ranges[k];

		if (atomic_load(&slot->owner) != 0 &&
		    blocks_meet(lba, blocks, atomic_load(&slot->lba), atomic_load(&slot->blocks)))
			return true;
	}
	return false;
}

static struct arbiter_range_slot *free_slot(struct arbiter_disk *disk)
{
	for (size_t k = 0; k < ARBITER_RANGES; k++) {
		if (atomic_load(&disk->ranges[k].owner) == 0)
			return &disk->ranges[k];
	}
	return NULL;
}

bool range_is_held(const struct court *c, unsigned d, uint64_t owner)
{
	const struct arbiter_disk *disk = &c->page->disks[d];

	for (size_t k = 0; k < ARBITER_RANGES; k++) {
		if (atomic_load(&disk->ranges[k].owner) == owner)
			return true;
	}
	return false;
}

/* It has as many as one may have, so that no session alone takes all places. */
static bool has_enough(const struct court *c, const struct member *m, unsigned d)
{
	const struct arbiter_disk *disk = &c->page->disks[d];
	unsigned count = 0;

	for (size_t k = 0; k < ARBITER_RANGES; k++)
		count += atomic_load(&disk->ranges[k].owner) >> 32 == m->connection;
	return count >= ARBITER_RANGES_EACH;
}

static bool wants(const struct petition *p, unsigned d, uint64_t lba, uint64_t blocks)
{
	return p->is_range && p->member->luns[p->place].disk == d &&
	       blocks_meet(lba, blocks, p->lba, p->blocks);
}

/* Somebody who asked earlier waits for the same blocks, and not for himself alone. */
static bool is_wanted(const struct court *c, const struct petition *mine, unsigned d)
{
	for (const struct petition *p = c->queue; p != NULL && p != mine; p = p->next) {
		if (wants(p, d, mine->lba, mine->blocks) && !has_enough(c, p->member, d))
			return true;
	}
	return false;
}

/* Who is waited for already, if that still has a point. */
static uint64_t others_in_the_way(const struct court *c, const struct petition *p, unsigned d,
				  uint64_t lba, uint64_t blocks)
{
	struct arbiter_disk *disk = &c->page->disks[d];
	bool full = p->is_range && free_slot(disk) == NULL;
	uint64_t first = 0;

	for (size_t k = 0; k < ARBITER_RANGES; k++) {
		struct arbiter_range_slot *slot = &disk->ranges[k];
		uint64_t owner = atomic_load(&slot->owner);
		bool meets = blocks_meet(lba, blocks, atomic_load(&slot->lba),
					 atomic_load(&slot->blocks));

		if (owner == 0 || owner >> 32 == p->member->connection || !(full || meets))
			continue;
		if (owner == p->behind)
			return owner;
		first = first == 0 ? owner : first;
	}
	return first;
}

enum decision range_wait(struct court *c, struct petition *p, unsigned d, uint64_t lba,
			 uint64_t blocks)
{
	uint64_t owner = others_in_the_way(c, p, d, lba, blocks);

	if (owner != p->behind)
		p->behind_ms = c->now_ms + ARBITER_RANGE_MS;
	p->behind = owner;
	return DECISION_WAIT;
}

static enum decision refuse(struct petition *p, uint8_t key, uint16_t code)
{
	p->key = key;
	p->code = code;
	return DECISION_ANSWER;
}

/* P3: who was given the disk for reading keeps nobody from its blocks. One that is held already was
 * asked for again, after the arbiter that granted it died. */
enum decision range_decide(struct court *c, struct petition *p, unsigned d)
{
	struct arbiter_disk *disk = &c->page->disks[d];
	struct arbiter_range_slot *slot = free_slot(disk);
	const struct member *m = p->member;

	if (!m->luns[p->place].writable)
		return refuse(p, KEY_DATA_PROTECT, WRITE_PROTECTED);
	if (p->blocks > ORDER_RANGE_BLOCKS_MAX)
		return refuse(p, KEY_ILLEGAL_REQUEST, INVALID_FIELD_IN_CDB);
	if (range_is_held(c, d, owner_of(m, p->id)))
		return DECISION_DRAIN;
	if (has_enough(c, m, d)) {
		p->behind = 0;
		return DECISION_WAIT;
	}
	if (slot == NULL || ranges_meet(c, d, p->lba, p->blocks) || is_wanted(c, p, d))
		return range_wait(c, p, d, p->lba, p->blocks);
	tokens_give_way(c, d, p->lba, p->blocks);
	p->behind = 0;
	atomic_store(&slot->lba, p->lba);
	atomic_store(&slot->blocks, p->blocks);
	atomic_store(&slot->owner, owner_of(m, p->id));
	atomic_fetch_add(&disk->range_count, 1);
	return DECISION_DRAIN;
}

void court_drop_ranges(struct court *c, const struct member *m, unsigned d, uint32_t id)
{
	struct arbiter_disk *disk = &c->page->disks[d];

	for (size_t k = 0; k < ARBITER_RANGES; k++) {
		struct arbiter_range_slot *slot = &disk->ranges[k];
		uint64_t owner = atomic_load(&slot->owner);

		if (owner == 0 || owner >> 32 != m->connection ||
		    (id != 0 && owner != owner_of(m, id)))
			continue;
		atomic_store(&slot->owner, 0);
		atomic_fetch_sub(&disk->range_count, 1);
		disk_set(&c->dropped, d, true);
	}
}

/* The count may be wrong when an arbiter died between two stores; the owners are right. */
void court_recount_ranges(struct court *c, unsigned d)
{
	struct arbiter_disk *disk = &c->page->disks[d];
	uint64_t count = 0;

	for (size_t k = 0; k < ARBITER_RANGES; k++) {
		uint64_t owner = atomic_load(&disk->ranges[k].owner);

		if (owner != 0 && c->gone_on && court_find(c, (uint32_t)(owner >> 32)) == NULL)
			atomic_store(&disk->ranges[k].owner, 0);
		else if (owner != 0)
			count++;
	}
	atomic_store(&disk->range_count, count);
}
