/* What is to be sent: a queue of jobs, from which PDUs are made one by one when there
 * is room in a ring of frames. Numbers and digests are set when a PDU is made, so
 * that MaxCmdSN is as fresh as it can be. Bounded: tasks bring their own jobs, all
 * other answers come from a small pool, and nothing is read while that is full.
 * Runs in the session process. */
#include "gateway/iscsi/core.h"

bool tx_has_room(const struct iscsi_connection *c)
{
	return c->tx.misc_used + TX_MISC_RESERVE < TX_MISC &&
	       TX_ARENA_SIZE - c->tx.arena_used >= SEGMENT_LIMIT;
}

struct misc *tx_misc(struct iscsi_connection *c, enum opcode opcode, uint32_t itt)
{
	for (unsigned n = 0; n < TX_MISC; n++) {
		struct misc *m = &c->tx.misc[(c->tx.misc_next + n) % TX_MISC];

		if (m->used)
			continue;
		c->tx.misc_next = (c->tx.misc_next + n + 1) % TX_MISC;
		*m = (struct misc){.job.kind = JOB_MISC, .used = true};
		bhs_start(m->bhs, opcode, FLAG_FINAL, itt);
		c->tx.misc_used++;
		return m;
	}
	return NULL;
}

bool tx_misc_data(struct iscsi_connection *c, struct misc *m, const void *bytes, size_t len)
{
	if (len > TX_ARENA_SIZE - c->tx.arena_used)
		return false;
	m->data = c->tx.arena + c->tx.arena_used;
	m->data_len = len;
	if (len > 0)
		memcpy(m->data, bytes, len);
	c->tx.arena_used += len;
	return true;
}

static void misc_free(struct iscsi_connection *c, struct misc *m)
{
	m->used = false;
	if (--c->tx.misc_used == 0)
		c->tx.arena_used = 0;
	if (m->effect == EFFECT_PROOF_SENT)
		c->proof_sent = true;
	else if (m->effect == EFFECT_PING)
		c->tx.ping_queued = false;
	else if (m->effect == EFFECT_WINDOW)
		c->tx.window_queued = false;
}

void tx_queue(struct iscsi_connection *c, struct job *job)
{
	if (job->queued || c->lost)
		return;
	job->queued = true;
	job->next = NULL;
	*c->tx.last = job;
	c->tx.last = &job->next;
}

void tx_unqueue(struct iscsi_connection *c, struct job *job)
{
	struct job **at = &c->tx.first;

	if (!job->queued)
		return;
	while (*at != job)
		at = &(*at)->next;
	*at = job->next;
	if (!*at)
		c->tx.last = at;
	job->queued = false;
}

void tx_drop_all(struct iscsi_connection *c)
{
	while (c->tx.first)
		tx_unqueue(c, c->tx.first);
	c->tx.frame_count = 0;
	c->tx.sent = 0;
}

void tx_start(struct iscsi_connection *c)
{
	c->tx.header_digest = c->keys.result[KEY_HEADER_DIGEST] != 0;
	c->tx.data_digest = c->keys.result[KEY_DATA_DIGEST] != 0;
}

/* StatSN, ExpCmdSN, MaxCmdSN. An answer that counts takes a StatSN, others show the next one. */
static void frame_number(struct iscsi_connection *c, struct tx_frame *f, bool counts)
{
	bhs_u32(f->head, BHS_STATSN, c->tx.statsn);
	c->tx.statsn += counts;
	bhs_u32(f->head, BHS_EXPCMDSN, c->i->expcmdsn);
	bhs_u32(f->head, BHS_MAXCMDSN, window_max(c->i));
}

static void frame_seal(struct iscsi_connection *c, struct tx_frame *f, bool plain)
{
	uint32_t crc = CRC_START;

	bhs_data_len(f->head, f->data_len);
	f->head_len = ISCSI_BHS_SIZE;
	if (c->tx.header_digest && !plain) {
		crc_wire(crc_feed(CRC_START, f->head, ISCSI_BHS_SIZE), f->head + ISCSI_BHS_SIZE);
		f->head_len += 4;
	}
	f->tail_len = pdu_padding(f->data_len);
	if (!c->tx.data_digest || plain || f->data_len == 0)
		return;
	for (unsigned n = 0; n < f->spans; n++)
		crc = crc_feed(crc, f->data[n].iov_base, f->data[n].iov_len);
	crc_wire(crc_feed(crc, f->tail, f->tail_len), f->tail + f->tail_len);
	f->tail_len += 4;
}

static void frame_misc(struct iscsi_connection *c, struct misc *m, struct tx_frame *f)
{
	memcpy(f->head, m->bhs, ISCSI_BHS_SIZE);
	frame_number(c, f, m->counts);
	f->misc = m;
	f->data_len = m->data_len;
	if (m->data_len > 0)
		f->data[f->spans++] = (struct iovec){m->data, m->data_len};
	frame_seal(c, f, m->plain);
}

/* The last PDU of a task gives its place of the window back in its own MaxCmdSN. */
static void frame_last(struct iscsi_connection *c, struct slot *s, struct tx_frame *f)
{
	c->i->window_used -= s->counted;
	s->counted = false;
	f->last_of = s;
}

/* True: that was the task's last PDU. */
static bool frame_answer(struct iscsi_connection *c, struct slot *s, struct tx_frame *f)
{
	bool last = true, status = true;

	if (s->kind == SLOT_COMMAND)
		last = data_in_frame(c->i, s, f);
	else if (s->kind == SLOT_LOGOUT)
		logout_frame(s, f->head);
	else
		tmf_frame(s, f->head);
	if (last)
		frame_last(c, s, f);
	if (f->head[0] == OP_DATA_IN)
		status = (f->head[1] & FLAG_STATUS) != 0;
	frame_number(c, f, status);
	if (!status) /* Data-In without status has no StatSN: RFC 7143 section 11.7 */
		bhs_u32(f->head, BHS_STATSN, 0);
	frame_seal(c, f, false);
	return last;
}

static bool frame_r2t(struct iscsi_connection *c, struct slot *s, struct tx_frame *f)
{
	bool last = data_out_frame(c->i, s, f);

	frame_number(c, f, false);
	frame_seal(c, f, false);
	return last;
}

/* Makes one PDU of the first job; true: the job is done. */
static bool frame_make(struct iscsi_connection *c, struct job *job, struct tx_frame *f)
{
	*f = (struct tx_frame){0};
	switch (job->kind) {
	case JOB_ANSWER:
		return frame_answer(c, CONTAINER_OF(job, struct slot, answer), f);
	case JOB_R2T:
		return frame_r2t(c, CONTAINER_OF(job, struct slot, ask), f);
	default:
		frame_misc(c, CONTAINER_OF(job, struct misc, job), f);
		return true;
	}
}

static void tx_fill(struct iscsi_connection *c)
{
	struct tx *tx = &c->tx;

	while (tx->first && tx->frame_count < TX_FRAMES) {
		struct job *job = tx->first;
		unsigned at = (tx->frame_first + tx->frame_count) % TX_FRAMES;

		tx->frame_count++;
		if (frame_make(c, job, &tx->frames[at]))
			tx_unqueue(c, job);
	}
}

static size_t frame_len(const struct tx_frame *f)
{
	return f->head_len + f->data_len + f->tail_len;
}

struct gather {
	struct iovec *iov;
	size_t count, max, skip;
};

static void gather_add(struct gather *g, const void *bytes, size_t len)
{
	size_t skip = MIN(g->skip, len);

	g->skip -= skip;
	if (len == skip || g->count == g->max)
		return;
	g->iov[g->count++] = (struct iovec){(uint8_t *)(uintptr_t)bytes + skip, len - skip};
}

static void gather_frame(struct gather *g, const struct tx_frame *f)
{
	gather_add(g, f->head, f->head_len);
	for (unsigned n = 0; n < f->spans; n++)
		gather_add(g, f->data[n].iov_base, f->data[n].iov_len);
	gather_add(g, f->tail, f->tail_len);
}

size_t iscsi_tx(struct iscsi_connection *c, struct iovec iov[], size_t max)
{
	struct gather g = {.iov = iov, .max = max, .skip = c->tx.sent};

	if (c->lost)
		return 0;
	tx_fill(c);
	for (unsigned n = 0; n < c->tx.frame_count && g.count < max; n++)
		gather_frame(&g, &c->tx.frames[(c->tx.frame_first + n) % TX_FRAMES]);
	return g.count;
}

static void frame_gone(struct iscsi_connection *c)
{
	struct tx_frame *f = &c->tx.frames[c->tx.frame_first];
	struct slot *s = f->last_of;
	struct misc *m = f->misc;

	c->tx.frame_first = (c->tx.frame_first + 1) % TX_FRAMES;
	c->tx.frame_count--;
	if (m)
		misc_free(c, m);
	if (s)
		slot_free(c->i, s);
}

void iscsi_sent(struct iscsi_connection *c, size_t len)
{
	c->tx.sent += len;
	c->tx.moves = c->tx.moves || len > 0;
	while (c->tx.frame_count > 0) {
		size_t first = frame_len(&c->tx.frames[c->tx.frame_first]);

		if (c->tx.sent < first)
			break;
		c->tx.sent -= first;
		frame_gone(c);
	}
	window_announce(c->i);
	rx_run(c->i);
}

bool iscsi_tx_waiting(const struct iscsi_connection *c)
{
	return !c->lost && (c->tx.frame_count > 0 || c->tx.first);
}
