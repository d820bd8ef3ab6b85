/* One connection of a session: its memory, its end, its pings. Runs in the session
 * process; the rooms beside it do the protocol. */
#include "gateway/iscsi/core.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>

/* One mapping, untouched until it is used: a connection that never logs in costs a few pages. */
static struct iscsi_connection *connection_map(void)
{
	size_t size = IN_PAGES(sizeof(struct iscsi_connection)) + STAGE_SIZE + TEXT_MAX +
		      SEGMENT_LIMIT + TX_ARENA_SIZE;
	uint8_t *m = memory_map(size);
	struct iscsi_connection *c = (struct iscsi_connection *)(void *)m;

	if (!m)
		return NULL;
	c->memory = m;
	c->memory_size = size;
	return c;
}

void connection_reset(struct iscsi_connection *c)
{
	uint8_t *at = c->memory + IN_PAGES(sizeof(struct iscsi_connection));
	struct iscsi *i = c->i;

	memset(c, 0, offsetof(struct iscsi_connection, place));
	c->i = i;
	c->rx.stage = at;
	c->text.bytes = c->rx.stage + STAGE_SIZE;
	c->text.size = TEXT_MAX;
	c->rx.segment = c->text.bytes + TEXT_MAX;
	c->tx.arena = c->rx.segment + SEGMENT_LIMIT;
	c->phase = PHASE_LOGIN;
	c->login.step = CHAP_START;
	c->tx.statsn = 1;
	c->tx.acked = c->tx.statsn;
	c->tx.last = &c->tx.first;
	c->attached = true;
	c->tx.kept_last = &c->tx.kept_first;
	keys_start(&c->keys, &i->limits);
	c->peer_segment = c->keys.result[KEY_MAX_RECV_SEGMENT];
}

struct iscsi_connection *connection_new(struct iscsi *i)
{
	for (unsigned n = 0; n < ARRAY_LEN(i->connections); n++) {
		struct iscsi_connection *c;

		if (i->connections[n])
			continue;
		c = connection_map();
		if (!c)
			return NULL;
		c->i = i;
		c->place = n;
		connection_reset(c);
		i->connections[n] = c;
		i->places_used = MAX(i->places_used, n + 1);
		return c;
	}
	return NULL;
}

/* One that lives, one that is over but whose transport is still there, or one that is lost. */
struct iscsi_connection *connection_by_cid(const struct iscsi *i, uint16_t cid)
{
	struct iscsi_connection *found = NULL;

	EACH_CONNECTION(i, c)
	{
		if (c->cid != cid || !c->was_full || c->phase > PHASE_LOST ||
		    (c->phase == PHASE_OVER && c->logged_out))
			continue;
		if (!found || c->phase < found->phase)
			found = c;
	}
	return found;
}

bool connection_lives(const struct iscsi_connection *c)
{
	return c->phase == PHASE_FULL;
}

void connection_unmap(struct iscsi_connection *c)
{
	text_close(c);
	c->i->connections[c->place] = NULL;
	(void)munmap(c->memory, c->memory_size);
}

struct iscsi_connection *connection_after(const struct iscsi *i, const struct iscsi_connection *c)
{
	unsigned n = c ? c->place + 1 : 0;

	while (n < i->places_used && !i->connections[n])
		n++;
	return n < i->places_used ? i->connections[n] : NULL;
}

/* The first reason stays. What is queued is still sent, but nothing more is read. */
void connection_end(struct iscsi_connection *c, enum iscsi_end end, const char *fmt, ...)
{
	va_list args;

	if (c->end != ISCSI_END_NONE || c->phase >= PHASE_OVER)
		return;
	c->end = end;
	c->phase = PHASE_OVER;
	va_start(args, fmt);
	(void)vsnprintf(c->detail, sizeof c->detail, fmt, args);
	va_end(args);
}

enum iscsi_end iscsi_ended(const struct iscsi_connection *c, const char **ret_detail)
{
	if (ret_detail)
		*ret_detail = c->detail;
	return c->end;
}

bool iscsi_proof_sent(const struct iscsi_connection *c)
{
	return c->proof_sent;
}

uint32_t connection_tag(struct iscsi *i, unsigned slot)
{
	assert(slot < 0xff); /* so that no tag is TAG_NONE */
	return i->next_tag++ << 8 | slot;
}

/* --- pings ---------------------------------------------------------------------------------- */

void connection_ping(struct iscsi_connection *c)
{
	struct misc *m;

	c->ping_open = true;
	c->ping_at_ms = c->i->now_ms;
	if (c->tx.ping_queued) /* the last one has not even left */
		return;
	m = tx_misc(c, OP_NOP_IN, TAG_NONE);
	if (!m)
		return;
	c->ping_ttt = connection_tag(c->i, 0);
	bhs_u32(m->bhs, BHS_TTT, c->ping_ttt);
	m->effect = EFFECT_PING;
	c->tx.ping_queued = true;
	tx_queue_first(c, &m->job); /* it may ask for what the others wait for */
}

uint64_t connection_next_tick(const struct iscsi_connection *c)
{
	uint64_t from = c->ping_open ? c->ping_at_ms : c->rx.last_ms;

	if (c->phase == PHASE_LOST)
		return c->until_ms;
	if (c->phase != PHASE_FULL || c->i->limits.ping_every_ms == 0)
		return 0;
	return MAX(from + c->i->limits.ping_every_ms, 1);
}

void connection_tick(struct iscsi_connection *c)
{
	uint64_t due = connection_next_tick(c);

	if (due == 0 || c->i->now_ms < due || c->phase == PHASE_LOST)
		return;
	/* Whoever still takes the answers that our ping is behind is slow, not silent. */
	if (c->tx.ping_queued && c->tx.moves)
		c->ping_missed = 0;
	else if (c->ping_open)
		c->ping_missed++;
	c->tx.moves = false;
	if (c->ping_open && c->ping_missed >= c->i->limits.ping_misses)
		connection_end(c, ISCSI_END_SILENT, "%u pings were not answered", c->ping_missed);
	else
		connection_ping(c);
}
