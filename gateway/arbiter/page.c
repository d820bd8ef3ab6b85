/* The session's side of the shared pages: one store and two loads for a request. Runs in
 * the session; trusts the arbiter's page, which nobody else can write, and checks the
 * descriptors that the monitor gives all the same. */
#include "gateway/arbiter/page.h"

#include <sys/mman.h>
#include "gateway/base/fd.h"

#define ADOPT_TRIES 1000 /* while the state is being written: that takes microseconds */

#define ATTENTION_POWER_ON_OR_RESET 0x2900

int arbiter_view_map(struct arbiter_view *v, int page_fd, int own_fd)
{
	void *page, *own;
	int r;

	if ((r = memfd_map(page_fd, sizeof(struct arbiter_page), PROT_READ, &page)) < 0)
		return r;
	r = memfd_map(own_fd, sizeof(struct arbiter_own), PROT_READ | PROT_WRITE, &own);
	if (r < 0) {
		(void)munmap(page, sizeof(struct arbiter_page));
		return r;
	}
	*v = (struct arbiter_view){.page = page, .own = own};
	return 0;
}

static const struct arbiter_disk *disk_of(const struct arbiter_view *v, unsigned lun)
{
	return &v->page->disks[v->luns[lun].disk];
}

static uint64_t generation_of(const struct arbiter_view *v, unsigned lun)
{
	return atomic_load(&v->page->generations[v->luns[lun].disk]);
}

void arbiter_view_hold(struct arbiter_view *v, unsigned lun, uint16_t disk)
{
	assert(lun < ARBITER_LUNS && disk < ARBITER_DISKS_MAX);
	v->luns[lun] = (struct arbiter_view_lun){.held = true, .disk = disk};
	v->luns[lun].events = atomic_load(&v->page->disks[disk].event_count);
}

void arbiter_view_attach(struct arbiter_view *v)
{
	v->attached = true;
	v->changes = atomic_load(&v->page->changes);
}

void arbiter_view_detach(struct arbiter_view *v)
{
	v->attached = false;
}

void arbiter_view_ask(struct arbiter_view *v, const uint64_t luns[ARBITER_LUNS / 64])
{
	for (unsigned lun = 0; lun < ARBITER_LUNS; lun++)
		v->luns[lun].asked = (luns[lun / 64] & 1ull << lun % 64) != 0;
}

void arbiter_view_await(struct arbiter_view *v, uint32_t id)
{
	atomic_store(&v->own->awaits, id);
}

bool arbiter_moved(struct arbiter_view *v)
{
	uint64_t changes = atomic_load_explicit(&v->page->changes, memory_order_acquire);

	if (changes == v->changes)
		return false;
	v->changes = changes;
	return true;
}

/* --- the state --- */

/* False: it was written meanwhile. */
static bool state_copy(const struct arbiter_disk *disk, struct arbiter_state *ret)
{
	uint64_t words[ARBITER_STATE_WORDS], before = atomic_load(&disk->sequence);

	for (size_t k = 0; k < ARBITER_STATE_WORDS; k++)
		words[k] = atomic_load_explicit(&disk->state[k], memory_order_relaxed);
	atomic_thread_fence(memory_order_acquire);
	if (before % 2 != 0 || atomic_load(&disk->sequence) != before)
		return false;
	memcpy(ret, words, sizeof *ret);
	return true;
}

bool reservation_is_of_all(uint8_t type)
{
	return type == RESERVATION_WRITE_EXCLUSIVE_ALL || type == RESERVATION_EXCLUSIVE_ACCESS_ALL;
}

bool reservation_is_of_registrants(uint8_t type)
{
	return type == RESERVATION_WRITE_EXCLUSIVE_REGISTRANTS ||
	       type == RESERVATION_EXCLUSIVE_ACCESS_REGISTRANTS;
}

bool reservation_is_persistent(uint8_t type)
{
	return type == RESERVATION_WRITE_EXCLUSIVE || type == RESERVATION_EXCLUSIVE_ACCESS ||
	       reservation_is_of_registrants(type) || reservation_is_of_all(type);
}

/* SPC-4 section 5.13: all registrants hold a reservation of the last two types. */
static enum standing standing_of(const struct arbiter_state *state, uint64_t nexus)
{
	bool shared = reservation_is_of_all(state->reservation);

	if (state->holder == nexus)
		return STANDING_HOLDER;
	for (size_t k = 0; k < ARRAY_LEN(state->registrants); k++) {
		if (state->registrants[k] == nexus)
			return shared ? STANDING_HOLDER : STANDING_REGISTERED;
	}
	return STANDING_STRANGER;
}

static bool is_access_set(const struct arbiter_state *state)
{
	for (size_t k = 0; k < ARRAY_LEN(state->access); k++) {
		if (state->access[k].port != 0)
			return true;
	}
	return false;
}

const struct arbiter_access *arbiter_access_of(const struct arbiter_state *state, uint64_t port)
{
	for (size_t k = 0; k < ARRAY_LEN(state->access) && port != 0; k++) {
		if (state->access[k].port == port)
			return &state->access[k];
	}
	return NULL;
}

bool arbiter_adopt(struct arbiter_view *v, unsigned lun)
{
	struct arbiter_view_lun *l = &v->luns[lun];
	uint64_t generation = generation_of(v, lun);

	if (!v->attached || generation == 0)
		return false;
	for (unsigned tries = 0; tries < ADOPT_TRIES; tries++) {
		if (!state_copy(disk_of(v, lun), &l->state))
			continue;
		l->seen = generation;
		l->standing = standing_of(&l->state, v->nexus);
		l->access_is_set = is_access_set(&l->state);
		return true;
	}
	l->seen = 0;
	return false;
}

bool arbiter_is_current(const struct arbiter_view *v, unsigned lun)
{
	return v->attached && v->luns[lun].seen != 0 && v->luns[lun].seen == generation_of(v, lun);
}

/* --- events --- */

/* Of an event that is written over while it is read, nothing is believed. */
static bool event_copy(const struct arbiter_disk *disk, uint64_t number, struct arbiter_event *ret)
{
	const _Atomic uint64_t *from = disk->events[number % ARBITER_EVENTS];
	uint64_t words[3];

	for (size_t k = 0; k < ARRAY_LEN(words); k++)
		words[k] = atomic_load(&from[k]);
	memcpy(ret, words, sizeof *ret);
	return atomic_load(&disk->event_count) - number < ARBITER_EVENTS;
}

bool arbiter_event_next(struct arbiter_view *v, unsigned lun, struct arbiter_event *ret)
{
	struct arbiter_view_lun *l = &v->luns[lun];
	const struct arbiter_disk *disk = disk_of(v, lun);
	uint64_t count = atomic_load(&disk->event_count);

	while (l->events < count) {
		if (!event_copy(disk, l->events, ret)) {
			l->events = count;
			*ret = (struct arbiter_event){.code = ATTENTION_POWER_ON_OR_RESET,
						      .flags = EVENT_ABORTS};
			return true;
		}
		l->events++;
		if ((ret->to == 0 || ret->to == v->nexus) &&
		    (ret->except == 0 || ret->except != v->nexus))
			return true;
	}
	return false;
}

/* --- in flight --- */

/* Ours alone to write: no atomic addition is needed. */
static _Atomic uint32_t *counter(const struct arbiter_view *v, unsigned lun, int parity)
{
	return &v->own->luns[lun].in_flight[parity];
}

int arbiter_enter(struct arbiter_view *v, unsigned lun)
{
	int parity = (int)(v->luns[lun].seen & 1);
	_Atomic uint32_t *in_flight = counter(v, lun, parity);

	assert(lun < ARBITER_LUNS && v->luns[lun].held);
	atomic_store(in_flight, atomic_load_explicit(in_flight, memory_order_relaxed) + 1);
	if (arbiter_is_current(v, lun))
		return parity;
	arbiter_leave(v, lun, parity);
	return -EAGAIN;
}

/* The arbiter may wait for the last one from before a change. */
void arbiter_leave(struct arbiter_view *v, unsigned lun, int parity)
{
	_Atomic uint32_t *in_flight = counter(v, lun, parity);
	uint32_t left = atomic_load_explicit(in_flight, memory_order_relaxed);

	assert(left > 0);
	atomic_store(in_flight, left - 1);
	if (left == 1 && (generation_of(v, lun) & 1) != (unsigned)parity)
		v->settled++;
}

/* --- exclusive ranges --- */

bool arbiter_range_is_taken(const struct arbiter_view *v, unsigned lun, uint64_t lba,
			    uint64_t blocks, uint32_t id)
{
	const struct arbiter_disk *disk = disk_of(v, lun);
	uint64_t ours = (uint64_t)v->me << 32 | id;

	if (blocks == 0 || atomic_load(&disk->range_count) == 0)
		return false;
	for (size_t k = 0; k < ARBITER_RANGES; k++) {
		const struct arbiter_range_slot *slot = &disk->ranges[k];
		uint64_t owner = atomic_load(&slot->owner);

		if (owner != 0 && owner != ours &&
		    blocks_meet(lba, blocks, atomic_load(&slot->lba), atomic_load(&slot->blocks)))
			return true;
	}
	return false;
}

/* --- tokens --- */

bool arbiter_has_token(const struct arbiter_view *v, unsigned lun, uint64_t lba, uint64_t blocks)
{
	const struct arbiter_disk *disk = disk_of(v, lun);

	if (blocks == 0 || atomic_load(&disk->token_count) == 0)
		return false;
	for (size_t k = 0; k < ARBITER_TOKENS; k++) {
		uint64_t end = atomic_load(&disk->tokens[k].end);

		if (end > lba && atomic_load(&disk->tokens[k].first) < lba + blocks)
			return true;
	}
	return false;
}
