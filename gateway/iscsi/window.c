/* Command numbering, RFC 7143 section 4.2.2.1: which PDU is next, which waits, which
 * is dropped in silence, and how far the window is open. Runs in the session
 * process; CmdSNs are the peer's and are only compared. */
#include "gateway/iscsi/core.h"

static bool plugged(const struct iscsi *i, uint32_t cmdsn)
{
	return (i->plugged[cmdsn / 64 % 4] & 1ull << cmdsn % 64) != 0;
}

static struct slot *held_at(struct iscsi *i, uint32_t cmdsn)
{
	if (i->held_count == 0)
		return NULL;
	EACH_SLOT(i, n)
	if (i->slots[n].state == SLOT_HELD && i->slots[n].task.cmdsn == cmdsn)
		return &i->slots[n];
	return NULL;
}

enum order window_order(struct iscsi *i, const struct pdu *pdu)
{
	uint32_t cmdsn = pdu->cmdsn;

	if (pdu->immediate)
		return ORDER_NOW;
	if (serial_before(cmdsn, i->expcmdsn) || !serial_at_most(cmdsn, i->maxcmdsn))
		return ORDER_DROP;
	if (cmdsn == i->expcmdsn)
		return ORDER_NOW;
	return held_at(i, cmdsn) || plugged(i, cmdsn) ? ORDER_DROP : ORDER_LATER;
}

/* How many commands may come, from ExpCmdSN on: none without a slot for it. An answer that is on
 * its way frees its slot by itself; one that is kept for a SNACK does so when the initiator likes.
 */
static uint32_t window_open(struct iscsi *i)
{
	uint32_t depth = MIN(i->queue_depth, ISCSI_WINDOW_MAX - i->withheld), unused;

	if (i->outstanding != 0 && i->outstanding < depth)
		depth = i->outstanding;
	unused = depth > i->window_used ? depth - i->window_used : 0;
	/* what is held has come already, and has its place */
	unused = MIN(unused, slots_for_window(i) + i->held_count);
	if (i->discovery || unused == 0)
		return unused;
	return MIN(unused, i->ops->room(i->host));
}

void iscsi_set_outstanding(struct iscsi *i, uint32_t outstanding)
{
	i->outstanding = outstanding;
}

uint32_t window_max(struct iscsi *i)
{
	uint32_t max;

	if (iscsi_is_full_feature(i)) {
		max = i->expcmdsn + window_open(i) - 1;
		if (serial_before(i->maxcmdsn, max))
			i->maxcmdsn = max;
	}
	return i->maxcmdsn;
}

/* Is nothing on its way that will tell the window anyhow? */
static bool idle_everywhere(const struct iscsi *i)
{
	EACH_CONNECTION(i, c)
	if (c->phase == PHASE_FULL && (c->tx.first || c->tx.window_queued))
		return false;
	return true;
}

/* An initiator that was told of a shut window learns from nothing else that it is open again. */
void window_announce(struct iscsi *i)
{
	struct misc *m;

	if (i->maxcmdsn != i->expcmdsn - 1 || !idle_everywhere(i) || window_open(i) == 0)
		return;
	EACH_CONNECTION(i, c)
	{
		m = c->phase == PHASE_FULL ? tx_misc(c, OP_NOP_IN, TAG_NONE) : NULL;
		if (!m)
			continue;
		bhs_u32(m->bhs, BHS_TTT, TAG_NONE);
		m->effect = EFFECT_WINDOW;
		c->tx.window_queued = true;
		tx_queue(c, &m->job);
		return;
	}
}

void iscsi_room_changed(struct iscsi *i)
{
	window_announce(i);
	rx_run(i);
	session_sweep(i);
}

bool window_expects(struct iscsi *i, uint32_t cmdsn)
{
	return !serial_before(cmdsn, i->expcmdsn) && serial_at_most(cmdsn, i->maxcmdsn) &&
	       !held_at(i, cmdsn) && !plugged(i, cmdsn);
}

void window_plug(struct iscsi *i, uint32_t cmdsn)
{
	if (plugged(i, cmdsn))
		return;
	i->plugged[cmdsn / 64 % 4] |= 1ull << cmdsn % 64;
	i->plug_count++;
}

bool window_turn(struct iscsi *i)
{
	uint32_t next = i->expcmdsn;
	struct slot *s;

	if (i->plug_count > 0 && plugged(i, next)) {
		i->plugged[next / 64 % 4] &= ~(1ull << next % 64);
		i->plug_count--;
		i->expcmdsn++;
		abort_set_moved(i);
		return true;
	}
	s = held_at(i, next);
	if (!s || !connection_lives(s->conn) || !tx_has_room(s->conn))
		return false;
	i->held_count--;
	i->expcmdsn++;
	if (s->kind == SLOT_COMMAND)
		command_turn(i, s);
	else
		ffp_turn(s);
	abort_set_moved(i);
	return true;
}
