/* The response fence of RFC 7143 section 4.2.2.3.3, for sessions that agreed to it and have
 * several connections: the response to task management that may end many tasks goes
 * out when the initiator has all responses that were sent before it, on every other
 * connection, and no other response goes out on those before the initiator has that
 * response. All else does: what was sent before and is asked for again may be what the
 * fence waits for. One connection needs none: it keeps its order. Runs in the session
 * process. */
#include "gateway/iscsi/core.h"

static bool is_alone(const struct iscsi_connection *c)
{
	EACH_CONNECTION(c->i, other)
	if (other != c && connection_lives(other))
		return false;
	return true;
}

static bool fence_wanted(const struct slot *s)
{
	static const uint32_t many = 1u << TMF_ABORT_TASK_SET | 1u << TMF_CLEAR_TASK_SET |
				     1u << TMF_LUN_RESET | 1u << TMF_TARGET_WARM_RESET |
				     1u << TMF_TARGET_COLD_RESET | 1u << TMF_NEXUS_RESET;
	unsigned function = s->pdu.flags & 0x7f;

	return s->conn->i->response_fence && s->kind == SLOT_TMF && function < 32 &&
	       (many & 1u << function) != 0 && !is_alone(s->conn);
}

bool fence_holds(const struct iscsi_connection *c)
{
	const struct fence *f = &c->i->fence;

	return f->conn && f->conn != c && c->phase == PHASE_FULL;
}

/* The answer to a ping acknowledges, but perhaps not yet what the ping did not know of. */
static void ask(struct iscsi_connection *c)
{
	if (c->fence_asked || c->tx.ping_queued)
		return;
	connection_ping(c);
	c->fence_asked = c->tx.ping_queued;
}

/* Has every other connection acknowledged what it had been given? Who has not is asked. */
static bool others_have_all(struct iscsi *i)
{
	bool all = true;

	EACH_CONNECTION(i, c)
	{
		if (!fence_holds(c) || !c->fence_marked ||
		    !serial_before(c->tx.acked, c->fence_mark))
			continue;
		all = false;
		ask(c);
	}
	return all;
}

bool fence_passes(struct slot *s)
{
	struct iscsi *i = s->conn->i;
	struct fence *f = &i->fence;

	if (!fence_wanted(s) || (f->slot == s && f->passed))
		return true;
	if (f->conn && f->slot != s)
		return false; /* comes back when that fence is over */
	f->conn = s->conn;
	f->slot = s;
	EACH_CONNECTION(i, c)
	{
		c->fence_marked = true;
		c->fence_asked = false;
		c->fence_mark = c->tx.statsn;
	}
	f->passed = others_have_all(i);
	return f->passed;
}

void fence_numbered(const struct slot *s, uint32_t statsn)
{
	struct iscsi_connection *c = s->conn;

	if (c->i->fence.slot != s)
		return;
	c->i->fence.slot = NULL;
	c->i->fence.statsn = statsn;
	c->fence_asked = false;
	ask(c);
}

/* The next one's turn, but not that of a request which ends itself (or NULL). */
static void fence_end(struct iscsi *i, const struct slot *but)
{
	i->fence = (struct fence){0};
	EACH_SLOT(i, n)
	{
		struct slot *s = &i->slots[n];

		if (s != but && s->kind == SLOT_TMF && s->state == SLOT_ACTIVE)
			waiter_answer(s);
	}
}

void fence_moved(struct iscsi *i)
{
	struct fence *f = &i->fence;

	if (!f->conn)
		return;
	if (f->conn->phase != PHASE_FULL ||
	    (!f->slot && serial_before(f->statsn, f->conn->tx.acked)))
		fence_end(i, NULL);
	else if (!f->slot)
		ask(f->conn);
	else if (!f->passed && others_have_all(i)) {
		f->passed = true;
		waiter_answer(f->slot);
	}
}

void fence_answered(struct iscsi_connection *c)
{
	c->fence_asked = false;
	fence_moved(c->i);
}

void fence_forget(const struct slot *s)
{
	struct iscsi *i = s->conn->i;

	if (i->fence.slot == s)
		fence_end(i, s);
}
