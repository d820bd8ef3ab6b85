/* A session's life: opening (all memory at once), the end, time. Runs in the session
 * process; its connections come and go, its tasks and their numbers stay. */
#include "gateway/iscsi/core.h"

#include <sys/mman.h>

static bool limits_ok(const struct iscsi_limits *l)
{
	return l->max_recv_segment >= 512 && l->max_recv_segment <= SEGMENT_LIMIT &&
	       l->max_burst >= 512 && l->max_burst < 1u << 24 && l->first_burst >= 512 &&
	       l->first_burst <= ISCSI_CHUNK_SIZE && l->max_r2t >= 1 && l->max_r2t <= R2T_MAX &&
	       l->queue_depth >= 1 && l->queue_depth <= ISCSI_WINDOW_MAX &&
	       l->max_connections <= ISCSI_CONNECTIONS_MAX && l->error_recovery <= 2;
}

uint8_t *memory_map(size_t size)
{
	uint8_t *m = mmap(NULL, size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return m == MAP_FAILED ? NULL : m;
}

/* Zero, and not there again until it is touched. */
static void memory_give_back(uint8_t *at, size_t size)
{
	(void)madvise(at, size, MADV_DONTNEED);
}

void iscsi_rest(struct iscsi *i)
{
	if (i->free_slot_count == ISCSI_TASKS_MAX)
		memory_give_back(i->chunks, (size_t)ISCSI_POOL_CHUNKS * ISCSI_CHUNK_SIZE);
	EACH_CONNECTION(i, c)
	{
		if (c->rx.state != RX_HEAD || c->rx.stage_end != 0)
			continue;
		memory_give_back(c->rx.stage, STAGE_SIZE);
		memory_give_back(c->rx.segment, SEGMENT_LIMIT);
	}
}

int iscsi_set_limits(struct iscsi *i, const struct iscsi_limits *limits)
{
	if (!limits_ok(limits))
		return -EINVAL;
	i->limits = *limits;
	EACH_CONNECTION(i, c)
	keys_limit(&c->keys, limits);
	return 0;
}

void iscsi_set_ping(struct iscsi *i, uint32_t every_ms, uint32_t misses)
{
	i->limits.ping_every_ms = every_ms;
	i->limits.ping_misses = misses;
}

void session_reset(struct iscsi *i)
{
	memset(&i->now_ms, 0, offsetof(struct iscsi, memory_size) - offsetof(struct iscsi, now_ms));
	i->queue_depth = i->limits.queue_depth;
	i->waiting_last = &i->waiting_first;
	slots_start(i);
	EACH_CONNECTION(i, c)
	if (c->place > 0)
		connection_unmap(c);
	if (i->connections[0])
		connection_reset(i->connections[0]);
	else
		(void)connection_new(i);
}

int iscsi_open(const struct iscsi_limits *limits, uint16_t portal_group,
	       const struct iscsi_host *ops, void *host, struct iscsi **ret_iscsi)
{
	size_t chunks_at = IN_PAGES(sizeof(struct iscsi)),
	       size = chunks_at + (size_t)ISCSI_POOL_CHUNKS * ISCSI_CHUNK_SIZE;
	struct iscsi *i;

	if (!limits_ok(limits))
		return -EINVAL;
	i = (struct iscsi *)(void *)memory_map(size);
	if (!i)
		return -ENOMEM;
	i->memory_size = size;
	i->chunks = (uint8_t *)i + chunks_at;
	i->limits = *limits;
	i->ops = ops;
	i->host = host;
	i->portal_group = portal_group;
	session_reset(i);
	if (!i->connections[0]) {
		(void)munmap(i, size);
		return -ENOMEM;
	}
	*ret_iscsi = i;
	return 0;
}

struct iscsi_connection *iscsi_leading(const struct iscsi *i)
{
	return connection_after(i, NULL);
}

void iscsi_cancel_all(struct iscsi *i)
{
	i->lost = true;
	EACH_CONNECTION(i, c)
	{
		c->lost = true;
		c->phase = PHASE_GONE;
		tx_drop_all(c);
	}
	session_drop_tasks(i, NULL);
}

unsigned iscsi_tasks_running(const struct iscsi *i)
{
	unsigned running = 0;

	EACH_SLOT(i, n)
	running += i->slots[n].state == SLOT_CANCELLING || i->slots[n].in_host;
	return running;
}

void iscsi_close(struct iscsi *i)
{
	iscsi_cancel_all(i);
	assert(iscsi_tasks_running(i) == 0);
	EACH_CONNECTION(i, c)
	connection_unmap(c);
	(void)munmap(i, i->memory_size);
}

bool iscsi_is_full_feature(const struct iscsi *i)
{
	return iscsi_connections(i) > 0;
}

unsigned iscsi_connections(const struct iscsi *i)
{
	unsigned count = 0;

	EACH_CONNECTION(i, c)
	count += connection_lives(c);
	return count;
}

uint8_t iscsi_protocol_level(const struct iscsi *i)
{
	return i->protocol_level;
}

void iscsi_tick(struct iscsi *i, uint64_t now_ms)
{
	i->now_ms = now_ms;
	EACH_CONNECTION(i, c)
	connection_tick(c);
	allegiance_tick(i);
}

uint64_t iscsi_next_tick(const struct iscsi *i)
{
	uint64_t first = 0;

	EACH_CONNECTION(i, c)
	{
		uint64_t at = connection_next_tick(c);

		if (at != 0 && (first == 0 || at < first))
			first = at;
	}
	return first;
}

void async_send(struct iscsi_connection *c, const struct async *a)
{
	struct misc *m = tx_misc(c, OP_ASYNC, TAG_NONE);

	if (!m)
		return;
	m->counts = true;
	memcpy(m->bhs + BHS_LUN, a->lun, sizeof a->lun);
	m->bhs[36] = (uint8_t)a->event;
	for (unsigned n = 0; n < ARRAY_LEN(a->parameter); n++)
		put_be(m->bhs + 38 + 2 * n, 2, a->parameter[n]);
	tx_queue(c, &m->job);
}

static void async_to_all(struct iscsi *i, const struct async *a)
{
	EACH_CONNECTION(i, c)
	if (connection_lives(c))
		async_send(c, a);
}

void iscsi_say_dropped(struct iscsi *i)
{
	async_to_all(i, &(struct async){.event = ASYNC_SESSION_DROPPED});
}

void iscsi_ask_logout(struct iscsi *i, uint16_t seconds)
{
	async_to_all(i, &(struct async){.event = ASYNC_LOGOUT, .parameter = {0, 0, seconds}});
}
