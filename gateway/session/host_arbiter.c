/* The session and the arbiter: resets of other sessions end our tasks and leave a unit attention
 * (SAM-5); resets of ours wait until all others did the same. The device server's orders
 * go the same way. Trusts the arbiter. While there is none, nothing is admitted, and
 * resets and orders wait. */
#include "gateway/session/session.h"

#define EACH_LUN(lun) for (unsigned lun = 0; lun < ARBITER_LUNS; lun++)

static bool has(const uint64_t luns[], unsigned lun)
{
	return (luns[lun / 64] & 1ull << lun % 64) != 0;
}

static void add(uint64_t luns[], unsigned lun)
{
	luns[lun / 64] |= 1ull << lun % 64;
}

static void forget(uint64_t luns[], unsigned lun)
{
	luns[lun / 64] &= ~(1ull << lun % 64);
}

/* --- to the arbiter --- */

/* True when it is sent. What waits for room is tried again when there is some; what a channel that
 * closed did not take, the next arbiter is asked. */
static bool say(struct session *s, uint32_t type, const void *body, size_t size)
{
	int r = channel_send(&s->arbiter_channel, type, body, size, NULL, 0);

	if (r == -EAGAIN && loop_change(s->loop, &s->arbiter_watch, EPOLLIN | EPOLLOUT) < 0)
		session_end(s, SESSION_END_FAILED, "epoll");
	return r == 0;
}

static void luns_of(const struct session *s, const struct iscsi_tmf_request *request,
		    uint64_t ret_luns[ARBITER_LUNS / 64])
{
	int one = request->function == TMF_LUN_RESET ? scsi_lun_decode(request->lun) : -1;

	EACH_LUN(lun)
	if (s->nexus.luns[lun].present && (one < 0 || (unsigned)one == lun))
		add(ret_luns, lun);
}

/* Is there anything that the end of the nexus ends for others? */
static bool holds_any(struct session *s)
{
	bool any = false;

	EACH_LUN(lun)
	any = any || (s->nexus.luns[lun].present && scsi_holds(&s->nexus, lun));
	return any;
}

static bool say_leave(struct session *s, uint32_t id)
{
	struct arbiter_leave body = {.id = id};

	return say(s, ARBITER_LEAVE, &body, sizeof body);
}

static bool say_reset(struct session *s, uint32_t id)
{
	struct arbiter_exclude body = {.id = id};

	luns_of(s, &s->spreads.queue[0], body.luns);
	if (!say(s, ARBITER_EXCLUDE, &body, sizeof body))
		return false;
	arbiter_view_ask(&s->arbiter, body.luns);
	return true;
}

static void ask(struct session *s)
{
	struct spreads *q = &s->spreads;

	if (q->count == 0 || q->asked || s->arbiter_channel.fd < 0)
		return;
	q->asked = (q->queue[0].function == TMF_NONE ? say_leave : say_reset)(s, q->id + 1);
	if (q->asked)
		q->id++;
}

/* Orders of commands, ranges that they do not need any more, and that nothing is in flight from
 * before a change. */
void host_arbiter_say(struct session *s)
{
	struct arbiter_order order;
	struct arbiter_drop drop;

	if (s->arbiter_channel.fd < 0)
		return;
	while (scsi_drop_next(&s->nexus, &drop) && say(s, ARBITER_DROP, &drop, sizeof drop))
		scsi_drop_sent(&s->nexus);
	while (scsi_order_next(&s->nexus, &order) && say(s, ARBITER_ORDER, &order, sizeof order))
		scsi_order_sent(&s->nexus);
	while (s->arbiter.settled > 0 && say(s, ARBITER_SETTLED, NULL, 0))
		s->arbiter.settled--;
}

bool host_spread(void *host, const struct iscsi_tmf_request *request)
{
	struct session *s = host;
	uint64_t luns[ARBITER_LUNS / 64] = {0}, any = 0;

	luns_of(s, request, luns);
	for (size_t k = 0; k < ARRAY_LEN(luns); k++)
		any |= luns[k];
	if (any == 0 || (request->function == TMF_NONE && !holds_any(s)))
		return true;
	assert(s->spreads.count < ARRAY_LEN(s->spreads.queue)); /* one a slot */
	s->spreads.queue[s->spreads.count++] = *request;
	ask(s);
	return false;
}

static void ask_over(struct session *s)
{
	static const uint64_t none[ARBITER_LUNS / 64];

	s->spreads.asked = false;
	arbiter_view_ask(&s->arbiter, none);
}

static unsigned queue_take(struct spreads *q)
{
	unsigned slot = q->queue[0].slot;

	memmove(q->queue, q->queue + 1, --q->count * sizeof q->queue[0]);
	return slot;
}

void host_arbiter_drop(struct session *s)
{
	ask_over(s);
	while (s->spreads.count > 0)
		iscsi_tmf_spread_done(s->iscsi, queue_take(&s->spreads));
}

/* Our process may take a while to end, and its ring longer. */
void host_arbiter_leave(struct session *s)
{
	if (s->arbiter_channel.fd >= 0)
		(void)say_leave(s, 0);
}

/* --- what others did --- */

/* We may be within a command here: its unit's tasks end later in this turn, and until they have
 * nothing is admitted there. */
void host_end_tasks(void *host, const struct scsi_lun *lun, bool with_status)
{
	struct session *s = host;

	add(s->spreads.aborts, lun->number);
	if (with_status)
		add(s->spreads.with_status, lun->number);
}

/* A LUN has two spellings: SAM-5 section 4.7, peripheral device and flat space addressing. */
static void abort_tasks(struct session *s, unsigned lun)
{
	uint8_t peripheral[8] = {0x00, (uint8_t)lun}, flat[8] = {0x40, (uint8_t)lun};
	void (*end)(struct iscsi * i, const uint8_t lun[8]) =
		has(s->spreads.with_status, lun) ? iscsi_abort_lun_told : iscsi_abort_lun;

	end(s->iscsi, peripheral);
	end(s->iscsi, flat);
	forget(s->spreads.aborts, lun);
	forget(s->spreads.with_status, lun);
	scsi_tasks_ended(&s->nexus, lun);
}

static bool abort_all(struct session *s)
{
	uint64_t any = 0;

	for (size_t k = 0; k < ARRAY_LEN(s->spreads.aborts); k++)
		any |= s->spreads.aborts[k];
	if (any == 0)
		return false;
	EACH_LUN(lun)
	{
		if (has(s->spreads.aborts, lun))
			abort_tasks(s, lun);
	}
	return true;
}

/* What waited for the end of those tasks, a copy of another LUN for one, goes on. */
void host_arbiter_turn(struct session *s)
{
	do
		scsi_shared_turn(&s->nexus);
	while (abort_all(s));
	host_arbiter_say(s);
}

/* --- from the arbiter --- */

static void on_done(struct session *s, const struct message *m)
{
	struct arbiter_done done;

	memcpy(&done, m->body, sizeof done);
	if (!s->spreads.asked || done.id != s->spreads.id)
		return;		     /* of a connection that was lost meanwhile */
	scsi_shared_turn(&s->nexus); /* our unit attention stands before the answer */
	ask_over(s);
	iscsi_tmf_spread_done(s->iscsi, queue_take(&s->spreads));
	ask(s);
}

static void on_answer(struct session *s, const struct message *m)
{
	struct arbiter_answer answer;

	memcpy(&answer, m->body, sizeof answer);
	answer.len = MIN(answer.len, ARBITER_OCTETS);
	scsi_answered(&s->nexus, &answer);
}

static void channel_end(struct session *s)
{
	if (s->arbiter_channel.fd >= 0)
		loop_unwatch(s->loop, &s->arbiter_watch);
	channel_close(&s->arbiter_channel);
	arbiter_view_detach(&s->arbiter);
}

/* All that waits; negative: the channel is over. */
static int hear(struct session *s)
{
	struct message m;
	int r;

	while ((r = channel_receive(&s->arbiter_channel, &m)) > 0) {
		if (m.type == ARBITER_DONE) /* CHANGED is only to wake us: on_turn() looks */
			on_done(s, &m);
		if (m.type == ARBITER_ANSWER)
			on_answer(s, &m);
	}
	return r;
}

static void on_arbiter(struct watch *w, uint32_t ready)
{
	struct session *s = CONTAINER_OF(w, struct session, arbiter_watch);

	if ((ready & EPOLLOUT) && loop_change(s->loop, w, EPOLLIN) == 0)
		ask(s);
	s->nexus.now_ms = loop_now_ms(s->loop);
	if (hear(s) < 0)
		channel_end(s);
}

/* What the arbiter before was told is forgotten with it; what it was asked is asked again. */
void host_arbiter_take(struct session *s, struct message *m)
{
	struct arbiter_hello hello = {0};

	if (s->iscsi != NULL && s->arbiter_channel.fd >= 0)
		IGNORE_RESULT(hear(s)); /* its last answers */
	if (s->iscsi != NULL)
		host_arbiter_turn(s); /* what was seen of the one before is done */
	channel_end(s);
	channel_open(&s->arbiter_channel, m->fds[0], arbiter_session_outbox,
		     arbiter_session_outbox_len);
	m->fds[0] = -1;
	s->arbiter_watch = (struct watch){s->arbiter_channel.fd, EPOLLIN, on_arbiter};
	if (loop_watch(s->loop, &s->arbiter_watch) < 0)
		return session_end(s, SESSION_END_FAILED, "epoll");
	arbiter_view_attach(&s->arbiter);
	s->arbiter.settled = 0;
	scsi_arbiter_changed(&s->nexus);
	ask_over(s);
	hello.life = ARBITER_LIFE(s->arbiter.changes);
	if (say(s, ARBITER_HELLO, &hello, sizeof hello))
		ask(s);
}
