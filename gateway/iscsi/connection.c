/* A connection's life: opening (all memory at once), the end, time and pings.
 * Runs in the session process; the rooms beside it do the protocol. */
#include "gateway/iscsi/core.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>

#define PAGE	    4096u
#define IN_PAGES(n) (((n) + PAGE - 1) / PAGE * PAGE)

static bool limits_ok(const struct iscsi_limits *l)
{
	return l->max_recv_segment >= 512 && l->max_recv_segment <= SEGMENT_LIMIT &&
	       l->max_burst >= 512 && l->max_burst < 1u << 24 && l->first_burst >= 512 &&
	       l->first_burst <= ISCSI_CHUNK_SIZE && l->max_r2t >= 1 && l->max_r2t <= R2T_MAX &&
	       l->queue_depth >= 1 && l->queue_depth <= ISCSI_WINDOW_MAX;
}

/* One mapping, untouched until it is used: a connection that never logs in costs a few pages. */
static struct iscsi *connection_map(void)
{
	size_t size = IN_PAGES(sizeof(struct iscsi)) + STAGE_SIZE + TEXT_MAX + SEGMENT_LIMIT +
		      TX_ARENA_SIZE + (size_t)ISCSI_POOL_CHUNKS * ISCSI_CHUNK_SIZE;
	uint8_t *m = mmap(NULL, size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	struct iscsi *i = (struct iscsi *)(void *)m;

	if (m == MAP_FAILED)
		return NULL;
	i->memory = m;
	i->memory_size = size;
	return i;
}

void connection_reset(struct iscsi *i)
{
	uint8_t *at = i->memory + IN_PAGES(sizeof(struct iscsi));
	struct iscsi_limits limits = i->limits;
	const struct iscsi_host *ops = i->ops;
	void *host = i->host;
	uint16_t portal_group = i->portal_group;

	memset(i, 0, offsetof(struct iscsi, memory));
	i->limits = limits;
	i->ops = ops;
	i->host = host;
	i->portal_group = portal_group;
	i->rx.stage = at;
	i->text.bytes = i->rx.stage + STAGE_SIZE;
	i->text.size = TEXT_MAX;
	i->rx.segment = i->text.bytes + TEXT_MAX;
	i->tx.arena = i->rx.segment + SEGMENT_LIMIT;
	i->chunks = i->tx.arena + TX_ARENA_SIZE;
	i->phase = PHASE_LOGIN;
	i->login.step = CHAP_START;
	i->queue_depth = limits.queue_depth;
	i->tx.statsn = 1;
	i->tx.last = &i->tx.first;
	i->waiting_last = &i->waiting_first;
	keys_start(&i->keys, &limits);
	i->peer_segment = i->keys.result[KEY_MAX_RECV_SEGMENT];
	slots_start(i);
}

int iscsi_open(const struct iscsi_limits *limits, uint16_t portal_group,
	       const struct iscsi_host *ops, void *host, struct iscsi **ret_iscsi)
{
	struct iscsi *i;

	if (!limits_ok(limits))
		return -EINVAL;
	i = connection_map();
	if (!i)
		return -ENOMEM;
	i->limits = *limits;
	i->ops = ops;
	i->host = host;
	i->portal_group = portal_group;
	connection_reset(i);
	*ret_iscsi = i;
	return 0;
}

static void slot_drop(struct iscsi *i, struct slot *s)
{
	if (s->state == SLOT_CANCELLING)
		return;
	if (s->in_host && !i->ops->cancel(i->host, &s->task)) {
		s->state = SLOT_CANCELLING;
		s->fault = FAULT_NONE;
		return;
	}
	s->in_host = false;
	slot_free(i, s);
}

void iscsi_cancel_all(struct iscsi *i)
{
	i->lost = true;
	i->phase = PHASE_OVER;
	tx_drop_all(i);
	EACH_SLOT(i, n)
	slot_drop(i, &i->slots[n]);
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
	text_close(i);
	(void)munmap(i->memory, i->memory_size);
}

/* The first reason stays. What is queued is still sent, but nothing more is read. */
void connection_end(struct iscsi *i, enum iscsi_end end, const char *fmt, ...)
{
	va_list args;

	if (i->end != ISCSI_END_NONE)
		return;
	i->end = end;
	i->phase = PHASE_OVER;
	va_start(args, fmt);
	(void)vsnprintf(i->detail, sizeof i->detail, fmt, args);
	va_end(args);
}

enum iscsi_end iscsi_ended(const struct iscsi *i, const char **ret_detail)
{
	if (ret_detail)
		*ret_detail = i->detail;
	return i->end;
}

bool iscsi_is_full_feature(const struct iscsi *i)
{
	return i->phase == PHASE_FULL;
}

bool iscsi_proof_sent(const struct iscsi *i)
{
	return i->proof_sent;
}

uint32_t connection_tag(struct iscsi *i, unsigned slot)
{
	assert(slot < 0xff); /* so that no tag is TAG_NONE */
	return i->next_tag++ << 8 | slot;
}

static void ping_send(struct iscsi *i)
{
	struct misc *m;

	i->ping_open = true;
	i->ping_at_ms = i->now_ms;
	if (i->tx.ping_queued) /* the last one has not even left */
		return;
	m = tx_misc(i, OP_NOP_IN, TAG_NONE);
	if (!m)
		return;
	i->ping_ttt = connection_tag(i, 0);
	bhs_u32(m->bhs, BHS_TTT, i->ping_ttt);
	m->effect = EFFECT_PING;
	i->tx.ping_queued = true;
	tx_queue(i, &m->job);
}

void iscsi_tick(struct iscsi *i, uint64_t now_ms)
{
	uint64_t due = iscsi_next_tick(i);

	i->now_ms = now_ms;
	if (due == 0 || now_ms < due)
		return;
	if (i->ping_open && ++i->ping_missed >= i->limits.ping_misses) {
		connection_end(i, ISCSI_END_SILENT, "%u pings were not answered", i->ping_missed);
		return;
	}
	ping_send(i);
}

uint64_t iscsi_next_tick(const struct iscsi *i)
{
	uint64_t from = i->ping_open ? i->ping_at_ms : i->rx.last_ms;

	if (i->phase != PHASE_FULL || i->limits.ping_every_ms == 0)
		return 0;
	return MAX(from + i->limits.ping_every_ms, 1);
}

/* RFC 7143 section 11.9: event 1 asks for a Logout. */
void iscsi_ask_logout(struct iscsi *i, uint16_t seconds)
{
	struct misc *m;

	if (i->phase != PHASE_FULL)
		return;
	m = tx_misc(i, OP_ASYNC, TAG_NONE);
	if (!m)
		return;
	m->counts = true;
	m->bhs[36] = 1;
	put_be(m->bhs + 42, 2, seconds); /* Parameter3 */
	tx_queue(i, &m->job);
}
