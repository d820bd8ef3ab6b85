/* Taking records out of the rings, and giving the slots back. Runs in the auditor. Heads,
 * tickets and records are written by sessions: each is loaded once, into memory of ours, before
 * it is looked at, and every distance is checked. */
#include "gateway/audit/drain.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include "gateway/base/clock.h"
#include "gateway/base/fd.h"

int drain_open(struct drain *d, struct loop *loop, struct trail_writer *writer)
{
	*d = (struct drain){.loop = loop, .writer = writer, .state = AUDIT_CANNOT_WRITE};
	d->rings = calloc(DRAIN_RINGS_MAX, sizeof *d->rings);
	return d->rings ? 0 : -ENOMEM;
}

static void move_to(struct drain *d, struct drain_ring *ring, size_t place)
{
	struct drain_ring *other = d->rings[place];

	d->rings[ring->place] = other;
	other->place = ring->place;
	d->rings[place] = ring;
	ring->place = place;
}

static void make_active(struct drain *d, struct drain_ring *ring)
{
	if (ring->place < d->active)
		return;
	move_to(d, ring, d->active++);
	ring->busy_ms = loop_now_ms(d->loop);
	/* Even: awake. Only we write it. */
	atomic_fetch_add_explicit(&ring->page->naps, 1, memory_order_seq_cst);
}

static void hang_up(struct drain_ring *ring)
{
	if (ring->wake.fd < 0)
		return;
	loop_unwatch(ring->drain->loop, &ring->wake);
	fd_close(&ring->wake.fd);
}

static void ring_free(struct drain_ring *ring)
{
	if (ring->memory)
		(void)munmap((void *)(uintptr_t)ring->memory, sizeof *ring->memory);
	if (ring->page)
		(void)munmap(ring->page, sizeof *ring->page);
	free(ring);
}

void drain_close(struct drain *d)
{
	for (size_t i = 0; i < d->count; i++) {
		hang_up(d->rings[i]);
		ring_free(d->rings[i]);
	}
	free(d->rings);
	d->rings = NULL;
	d->count = d->active = 0;
}

/* The session woke us, or its end of the socket is closed. */
static void wake_ready(struct watch *w, uint32_t ready)
{
	struct drain_ring *ring = CONTAINER_OF(w, struct drain_ring, wake);
	char octets[64];
	ssize_t n = 1;

	(void)ready;
	make_active(ring->drain, ring);
	for (int i = 0; i < 8 && n > 0; i++)
		n = recv(w->fd, octets, sizeof octets, MSG_DONTWAIT);
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		hang_up(ring);
}

static struct drain_ring *find(const struct drain *d, uint32_t connection)
{
	for (size_t i = 0; i < d->count; i++)
		if (d->rings[i]->info.connection == connection)
			return d->rings[i];
	return NULL;
}

static int ring_make(const int fds[3], struct drain_ring **ret_ring)
{
	struct drain_ring *ring = calloc(1, sizeof *ring);
	void *memory = NULL, *page = NULL;
	int e;

	if (!ring)
		return -ENOMEM;
	e = memfd_map(fds[0], sizeof *ring->memory, PROT_READ, &memory);
	if (e == 0) {
		ring->memory = memory;
		e = memfd_map(fds[1], sizeof *ring->page, PROT_READ | PROT_WRITE, &page);
	}
	if (e < 0) {
		ring_free(ring);
		return e;
	}
	ring->page = page;
	*ret_ring = ring;
	return 0;
}

static void ring_begin(struct drain_ring *ring, uint64_t known)
{
	struct audit_ring_page *page = ring->page;

	ring->published = atomic_load_explicit(&page->consumed, memory_order_relaxed);
	ring->taken = ring->goal = MAX(ring->published, known);
	ring->ticket = atomic_load_explicit(&page->durable, memory_order_relaxed);
	ring->opened = atomic_load_explicit(&page->opened, memory_order_relaxed) != 0;
	if (atomic_load_explicit(&page->naps, memory_order_relaxed) % 2)
		atomic_fetch_add_explicit(&page->naps, 1, memory_order_seq_cst);
	atomic_store_explicit(&page->state, ring->drain->state, memory_order_release);
}

int drain_attach(struct drain *d, const struct auditor_ring_info *info, int fds[3], uint64_t known,
		 struct drain_ring **ret_ring)
{
	struct drain_ring *ring;
	int e;

	if (find(d, info->connection))
		return -EEXIST;
	if (d->count == DRAIN_RINGS_MAX)
		return -EMFILE;
	e = ring_make(fds, &ring);
	if (e < 0)
		return e;
	ring->drain = d;
	ring->info = *info;
	ring->wake = (struct watch){.fd = fds[2], .events = EPOLLIN, .run = wake_ready};
	e = loop_watch(d->loop, &ring->wake);
	if (e < 0) {
		ring_free(ring);
		return e;
	}
	fds[2] = -1;
	ring_begin(ring, known);
	ring->busy_ms = loop_now_ms(d->loop);
	ring->place = d->count;
	d->rings[d->count++] = ring;
	move_to(d, ring, d->active++);
	*ret_ring = ring;
	return 0;
}

void drain_leave(struct drain *d, uint32_t connection)
{
	struct drain_ring *ring = find(d, connection);

	if (!ring)
		return;
	ring->leaving = true;
	make_active(d, ring);
}

void drain_set_state(struct drain *d, enum audit_state state)
{
	d->state = state;
	for (size_t i = 0; i < d->count; i++) {
		struct drain_ring *ring = d->rings[i];

		if (!ring->corrupt)
			atomic_store_explicit(&ring->page->state, state, memory_order_release);
	}
}

static uint64_t head_of(const struct drain_ring *ring)
{
	return atomic_load_explicit(&ring->memory->head, memory_order_acquire);
}

static uint64_t ticket_of(const struct drain_ring *ring)
{
	return atomic_load_explicit(&ring->memory->durable_wanted, memory_order_acquire);
}

/* From now on the ring is only kept until what it gave is synced: the session may stay and put what
 * it likes; it is told that the auditor is away. */
static void give_up(struct drain_ring *ring, const char *what)
{
	struct drain *d = ring->drain;

	atomic_store_explicit(&ring->page->state, AUDIT_AWAY, memory_order_release);
	hang_up(ring);
	ring->leaving = true;
	ring->corrupt = true;
	d->corrupt(d, ring, what);
}

/* One ring's records, at most `limit`, into the trail. Returns what is wrong with it, or NULL. */
static const char *take_some(struct drain_ring *ring, uint64_t limit)
{
	struct trail_writer *writer = ring->drain->writer;

	for (; limit > 0; limit--) {
		struct audit_record copy;

		memcpy(&copy, &ring->memory->slots[ring->taken & (AUDIT_RING_SLOTS - 1)],
		       sizeof copy);
		if (copy.index != ring->taken)
			return "a record's number is not its place";
		ring->last_sequence = writer_put_command(writer, ring->info.connection, &copy);
		ring->taken++;
		ring->drain->records++;
	}
	return NULL;
}

static void take_ring(struct drain_ring *ring, uint64_t now_ms)
{
	uint64_t waiting = head_of(ring) - ring->taken;
	const char *wrong;

	if (waiting == 0 || ring->corrupt)
		return;
	ring->busy_ms = now_ms;
	if (waiting > AUDIT_RING_SLOTS)
		wrong = "its head is out of bounds";
	else
		wrong = take_some(ring, MIN(waiting, writer_room(ring->drain->writer)));
	if (wrong)
		give_up(ring, wrong);
}

void drain_take(struct drain *d, uint64_t now_ms)
{
	writer_clock(d->writer);
	/* Another ring is the first each time: when room is short, all get some. */
	d->next = d->active ? (d->next + 1) % d->active : 0;
	for (size_t i = 0; i < d->active; i++)
		take_ring(d->rings[(d->next + i) % d->active], now_ms);
}

void drain_take_of(struct drain *d, uint32_t connection, uint64_t now_ms)
{
	struct drain_ring *ring = connection ? find(d, connection) : NULL;

	if (!ring || !d->writer->writable)
		return;
	make_active(d, ring);
	writer_clock(d->writer);
	take_ring(ring, now_ms);
}

/* A session writes there what it likes: it wakes nobody but itself with it, at most once each time
 * that `consumed` moves. Beyond what it was told last, of what is in the file: it waits. */
static bool waits_for_written(const struct drain_ring *ring)
{
	uint64_t wanted = atomic_load_explicit(&ring->memory->written_wanted, memory_order_acquire);

	return ring->wake.fd >= 0 && (int64_t)(wanted - ring->written_told) > 0;
}

bool drain_written_wanted(const struct drain *d)
{
	for (size_t i = 0; i < d->active; i++)
		if (d->rings[i]->published != d->rings[i]->taken && waits_for_written(d->rings[i]))
			return true;
	return false;
}

static void publish_ring(struct drain_ring *ring)
{
	if (ring->published != ring->taken) {
		ring->published = ring->taken;
		atomic_store_explicit(&ring->page->consumed, ring->taken, memory_order_release);
	}
	/* It may ask for what was in the file already when its octet came. */
	if (ring->written_told == ring->published || !waits_for_written(ring))
		return;
	ring->written_told = ring->published;
	(void)!send(ring->wake.fd, "w", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void drain_publish(struct drain *d)
{
	for (size_t i = 0; i < d->active; i++) {
		struct drain_ring *ring = d->rings[i];

		if (!ring->opened) /* what is put when it is attached is in the file, too */
			atomic_store_explicit(&ring->page->opened, 1, memory_order_relaxed);
		ring->opened = true;
		publish_ring(ring);
	}
}

/* Whose socket is hung up waits for nothing any more. */
static bool has_ticket(const struct drain_ring *ring)
{
	return ring->wake.fd >= 0 &&
	       ticket_of(ring) != atomic_load_explicit(&ring->page->durable, memory_order_relaxed);
}

/* The eventcount of ring.c: odd naps first, then another look at the head. */
static void nap(struct drain *d, struct drain_ring *ring)
{
	move_to(d, ring, --d->active);
	atomic_fetch_add_explicit(&ring->page->naps, 1, memory_order_seq_cst);
	if (!ring->corrupt &&
	    atomic_load_explicit(&ring->memory->head, memory_order_seq_cst) != ring->taken)
		make_active(d, ring);
}

void drain_nap(struct drain *d, uint64_t now_ms)
{
	for (size_t i = d->active; i-- > 0;) {
		struct drain_ring *ring = d->rings[i];

		if (ring->leaving || has_ticket(ring) || ring->published != ring->taken ||
		    head_of(ring) != ring->taken || now_ms < ring->busy_ms + DRAIN_IDLE_MS)
			continue;
		nap(d, ring);
	}
}

static void forget(struct drain *d, struct drain_ring *ring)
{
	if (ring->place < d->active)
		move_to(d, ring, --d->active);
	move_to(d, ring, --d->count);
	d->rings[d->count] = NULL;
	hang_up(ring);
	ring_free(ring);
}

void drain_forget(struct drain *d)
{
	uint64_t synced = writer_synced_below(d->writer, LOG_COMMANDS);

	for (size_t i = d->active; i-- > 0;) {
		struct drain_ring *ring = d->rings[i];

		if (!ring->leaving || ring->published != ring->taken ||
		    ring->last_sequence >= synced)
			continue;
		if (ring->corrupt || head_of(ring) == ring->taken)
			forget(d, ring);
	}
}

bool drain_over(const struct drain *d)
{
	for (size_t i = 0; i < d->count; i++) {
		const struct drain_ring *ring = d->rings[i];

		if (ring->corrupt)
			continue;
		if ((ring->wake.fd >= 0 && !ring->leaving) || head_of(ring) != ring->taken)
			return false;
	}
	return true;
}

bool drain_wanted(const struct drain *d)
{
	for (size_t i = 0; i < d->active; i++)
		if (has_ticket(d->rings[i]))
			return true;
	return false;
}

void drain_goal(struct drain *d)
{
	for (size_t i = 0; i < d->count; i++)
		d->rings[i]->ticket = ticket_of(d->rings[i]);
	for (size_t i = 0; i < d->count; i++) {
		struct drain_ring *ring = d->rings[i];

		ring->goal = head_of(ring);
		if (ring->goal != ring->taken || has_ticket(ring))
			make_active(d, ring);
	}
}

bool drain_goal_met(const struct drain *d)
{
	for (size_t i = 0; i < d->active; i++) {
		const struct drain_ring *ring = d->rings[i];

		/* Distances, not sizes: a hostile head is given up when it is drained. */
		if (!ring->corrupt && (int64_t)(ring->goal - ring->taken) > 0)
			return false;
	}
	return true;
}

void drain_answer(struct drain *d)
{
	for (size_t i = 0; i < d->active; i++) {
		struct drain_ring *ring = d->rings[i];

		if (ring->wake.fd < 0 || atomic_load_explicit(&ring->page->durable,
							      memory_order_relaxed) == ring->ticket)
			continue;
		atomic_store_explicit(&ring->page->durable, ring->ticket, memory_order_release);
		(void)!send(ring->wake.fd, "d", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	}
}

const struct auditor_ring_info *drain_session(void *arg, size_t i)
{
	const struct drain *d = arg;

	return i < d->count ? &d->rings[i]->info : NULL;
}
