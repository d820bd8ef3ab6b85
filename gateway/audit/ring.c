/* The producer's side of a ring: the session puts records here before commands run.
 * Runs in the session; trusts the page (only the auditor can write it), and checks the
 * descriptors that the monitor gives all the same.
 *
 * Memory ordering. A record's octets are published by the release store of `head`; the auditor
 * loads it with acquire. It gives slots back by the release store of `consumed`, which we load
 * with acquire before a slot is written again. Sleep and wake-up are an eventcount: the auditor
 * makes `naps` odd and then loads `head`, we store `head` and then load `naps`, all four
 * sequentially consistent, so at least one of the two sees the other. That store of `head` is done
 * once a turn, in audit_ring_wake(), and not per record. (No fences: TSan can't follow them.) */
#include "gateway/audit/ring.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include "gateway/base/fd.h"

_Static_assert((AUDIT_RING_SLOTS & (AUDIT_RING_SLOTS - 1)) == 0, "a power of 2");

int audit_ring_attach(struct audit_ring *r, int ring_fd, int page_fd, int wake_fd)
{
	void *memory, *page;
	int e;

	e = memfd_map(ring_fd, sizeof(struct audit_ring_memory), PROT_READ | PROT_WRITE, &memory);
	if (e < 0)
		return e;
	e = memfd_map(page_fd, sizeof(struct audit_ring_page), PROT_READ, &page);
	if (e < 0) {
		(void)munmap(memory, sizeof(struct audit_ring_memory));
		return e;
	}
	*r = (struct audit_ring){.memory = memory, .page = page, .wake_fd = wake_fd};
	r->head = atomic_load_explicit(&r->memory->head, memory_order_relaxed);
	return 0;
}

void audit_ring_rewake(struct audit_ring *r, int wake_fd)
{
	fd_close(&r->wake_fd);
	r->wake_fd = wake_fd;
	r->last_nap = 0;
	r->oldest_ms = 0; /* a new auditor has all of the patience again */
}

void audit_ring_detach(struct audit_ring *r)
{
	fd_close(&r->wake_fd);
	if (r->memory)
		(void)munmap(r->memory, sizeof *r->memory);
	if (r->page)
		(void)munmap((void *)(uintptr_t)r->page, sizeof *r->page);
	r->memory = NULL;
	r->page = NULL;
}

static uint64_t consumed(const struct audit_ring *r)
{
	return atomic_load_explicit(&r->page->consumed, memory_order_acquire);
}

uint32_t audit_ring_free(const struct audit_ring *r)
{
	uint64_t waiting = r->head - consumed(r);

	if (!AUDIT_IS_BUILT)
		return AUDIT_RING_SLOTS;
	return waiting > AUDIT_RING_SLOTS ? 0 : AUDIT_RING_SLOTS - (uint32_t)waiting;
}

/* Watches one record at a time: the oldest that waited when it was chosen. Its true age is at least
 * what we count, so an auditor that is away is noticed after one patience, at most two. */
static bool is_patient(struct audit_ring *r, uint64_t now_ms)
{
	uint64_t next = consumed(r);

	if (next == r->head) {
		r->oldest_ms = 0;
		return true;
	}
	if (r->oldest_ms == 0 || next > r->oldest_index) {
		r->oldest_ms = MAX(now_ms, 1);
		r->oldest_index = next;
	}
	return now_ms < r->oldest_ms + AUDIT_PATIENCE_MS;
}

bool audit_ring_healthy(struct audit_ring *r, uint64_t now_ms)
{
	if (!AUDIT_IS_BUILT)
		return true;
	if (r->wake_fd < 0)
		return false;
	if (atomic_load_explicit(&r->page->state, memory_order_acquire) != AUDIT_WRITING)
		return false;
	return is_patient(r, now_ms);
}

/* The auditor has read the slot on another core: to have its lines back takes longer than to write
 * them, and the next record comes in a while. */
static void fetch_next(const struct audit_ring *r)
{
	const char *slot = (const char *)&r->memory->slots[r->head & (AUDIT_RING_SLOTS - 1)];

	__builtin_prefetch(slot, 1);
	__builtin_prefetch(slot + sizeof(struct audit_record) - 1, 1);
}

void audit_ring_put_kept(struct audit_ring *r, struct audit_record *record, uint64_t now_ms)
{
	if (!AUDIT_IS_BUILT)
		return;
	assert(audit_ring_free(r) > 0);
	if (r->oldest_ms == 0) {
		r->oldest_ms = MAX(now_ms, 1);
		r->oldest_index = r->head;
	}
	record->index = r->head;
	memcpy(&r->memory->slots[r->head & (AUDIT_RING_SLOTS - 1)], record, sizeof *record);
	r->head++;
	atomic_store_explicit(&r->memory->head, r->head, memory_order_release);
	fetch_next(r);
}

int audit_ring_put(struct audit_ring *r, struct audit_record *record, uint64_t now_ms)
{
	if (!audit_ring_healthy(r, now_ms) || audit_ring_free(r) == 0)
		return -EBUSY;
	audit_ring_put_kept(r, record, now_ms);
	return 0;
}

static void send_octet(struct audit_ring *r)
{
	/* A full socket holds octets that wake the auditor as well; a closed one is
	 * audit_ring_woken()'s. */
	if (r->wake_fd >= 0)
		(void)!send(r->wake_fd, "w", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void audit_ring_wake(struct audit_ring *r)
{
	uint32_t naps;

	if (!AUDIT_IS_BUILT)
		return;
	atomic_store_explicit(&r->memory->head, r->head, memory_order_seq_cst);
	naps = atomic_load_explicit(&r->page->naps, memory_order_seq_cst);
	if (!r->asked && (naps % 2 == 0 || naps == r->last_nap))
		return;
	if (naps % 2)
		r->last_nap = naps;
	r->asked = false;
	send_octet(r);
}

uint64_t audit_ring_ask_durable(struct audit_ring *r)
{
	uint64_t mark = atomic_load_explicit(&r->memory->durable_wanted, memory_order_relaxed) + 1;

	atomic_store_explicit(&r->memory->durable_wanted, mark, memory_order_release);
	r->asked = true;
	return mark;
}

bool audit_ring_is_durable(const struct audit_ring *r, uint64_t mark)
{
	return !AUDIT_IS_BUILT ||
	       atomic_load_explicit(&r->page->durable, memory_order_acquire) >= mark;
}

uint64_t audit_ring_ask_written(struct audit_ring *r)
{
	if (!AUDIT_IS_BUILT || audit_ring_is_written(r, r->head))
		return r->head;
	atomic_store_explicit(&r->memory->written_wanted, r->head, memory_order_release);
	r->asked = true;
	return r->head;
}

bool audit_ring_is_written(const struct audit_ring *r, uint64_t mark)
{
	return !AUDIT_IS_BUILT || consumed(r) >= mark;
}

int audit_ring_woken(struct audit_ring *r)
{
	char octets[64];

	while (r->wake_fd >= 0) {
		ssize_t n = recv(r->wake_fd, octets, sizeof octets, MSG_DONTWAIT);

		if (n > 0 || (n < 0 && errno == EINTR))
			continue;
		if (n < 0 && errno == EAGAIN)
			return 0;
		fd_close(&r->wake_fd);
	}
	return -EPIPE;
}
