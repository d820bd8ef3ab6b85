/* The session's side of the shared pages: one store and one load for a command. Runs in
 * the session; trusts the arbiter's page, which nobody else can write, and checks the
 * descriptors that the monitor gives all the same. */
#include "gateway/arbiter/page.h"

#include <sys/mman.h>
#include "gateway/base/fd.h"

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

static uint64_t generation_of(const struct arbiter_view *v, unsigned lun)
{
	return atomic_load(&v->page->disks[v->luns[lun].disk].generation);
}

static void admit_under(struct arbiter_view *v, unsigned lun, uint64_t generation)
{
	v->luns[lun].seen = generation;
	v->luns[lun].draining = false;
	atomic_store(&v->own->luns[lun].under, generation);
}

void arbiter_view_hold(struct arbiter_view *v, unsigned lun, uint16_t disk)
{
	assert(lun < ARBITER_LUNS && disk < ARBITER_DISKS_MAX);
	v->luns[lun] = (struct arbiter_view_lun){.held = true, .disk = disk};
	admit_under(v, lun, generation_of(v, lun));
}

void arbiter_view_attach(struct arbiter_view *v)
{
	v->attached = true;
	v->changes = atomic_load(&v->page->changes);
	for (unsigned lun = 0; lun < ARBITER_LUNS; lun++) {
		if (v->luns[lun].held)
			admit_under(v, lun, generation_of(v, lun));
	}
}

void arbiter_view_ask(struct arbiter_view *v, const uint64_t luns[ARBITER_LUNS / 64])
{
	for (unsigned lun = 0; lun < ARBITER_LUNS; lun++)
		v->luns[lun].asked = (luns[lun / 64] & 1ull << lun % 64) != 0;
}

void arbiter_view_detach(struct arbiter_view *v)
{
	v->attached = false;
}

bool arbiter_is_open(const struct arbiter_view *v, unsigned lun)
{
	const struct arbiter_view_lun *l = &v->luns[lun];

	return v->attached && l->seen != 0 && l->seen == generation_of(v, lun);
}

bool arbiter_enter(struct arbiter_view *v, unsigned lun)
{
	uint32_t in_flight =
		atomic_load_explicit(&v->own->luns[lun].in_flight, memory_order_relaxed);

	assert(lun < ARBITER_LUNS && v->luns[lun].held);
	atomic_store(&v->own->luns[lun].in_flight, in_flight + 1);
	if (arbiter_is_open(v, lun))
		return true;
	arbiter_leave(v, lun);
	return false;
}

/* Ours alone to write: no atomic addition is needed. */
void arbiter_leave(struct arbiter_view *v, unsigned lun)
{
	uint32_t in_flight =
		atomic_load_explicit(&v->own->luns[lun].in_flight, memory_order_relaxed);

	assert(in_flight > 0);
	atomic_store(&v->own->luns[lun].in_flight, in_flight - 1);
}

bool arbiter_moved(struct arbiter_view *v)
{
	uint64_t changes = atomic_load_explicit(&v->page->changes, memory_order_acquire);

	if (changes == v->changes)
		return false;
	v->changes = changes;
	return true;
}

/* Another life of the arbiter is no exclusion: its channel is on the way to us. */
enum arbiter_news arbiter_look(struct arbiter_view *v, unsigned lun)
{
	struct arbiter_view_lun *l = &v->luns[lun];
	uint64_t now, was = l->draining ? l->next : l->seen;

	if (!l->held || !v->attached)
		return ARBITER_NEWS_NONE;
	now = generation_of(v, lun);
	if (now == was || now == 0 || ARBITER_LIFE(now) != ARBITER_LIFE(was))
		return ARBITER_NEWS_NONE;
	if (l->asked && !l->draining && atomic_load(&v->page->disks[l->disk].by) == v->me) {
		admit_under(v, lun, now);
		return ARBITER_NEWS_OURS;
	}
	l->draining = true;
	l->next = now;
	return ARBITER_NEWS_RESET;
}

bool arbiter_settle(struct arbiter_view *v, unsigned lun)
{
	struct arbiter_view_lun *l = &v->luns[lun];

	if (!l->draining || atomic_load(&v->own->luns[lun].in_flight) != 0)
		return false;
	admit_under(v, lun, l->next);
	return true;
}
