/* What is to be sent: a queue of jobs, from which PDUs are made one by one when there
 * is room in a ring of frames. Numbers and digests are set when a PDU is made, so
 * that MaxCmdSN is as fresh as it can be. Bounded: tasks bring their own jobs, all
 * other answers come from a small pool, and nothing is read while that is full.
 * Runs in the session process. */
#include "gateway/iscsi/core.h"

bool tx_has_room(const struct iscsi *i)
{
	return i->tx.misc_used + TX_MISC_RESERVE < TX_MISC &&
	       TX_ARENA_SIZE - i->tx.arena_used >= SEGMENT_LIMIT;
}

struct misc *tx_misc(struct iscsi *i, enum opcode opcode, uint32_t itt)
{
	for (unsigned n = 0; n < TX_MISC; n++) {
		struct misc *m = &i->tx.misc[(i->tx.misc_next + n) % TX_MISC];

		if (m->used)
			continue;
		i->tx.misc_next = (i->tx.misc_next + n + 1) % TX_MISC;
		*m = (struct misc){.job.kind = JOB_MISC, .used = true};
		bhs_start(m->bhs, opcode, FLAG_FINAL, itt);
		i->tx.misc_used++;
		return m;
	}
	return NULL;
}

bool tx_misc_data(struct iscsi *i, struct misc *m, const void *bytes, size_t len)
{
	if (len > TX_ARENA_SIZE - i->tx.arena_used)
		return false;
	m->data = i->tx.arena + i->tx.arena_used;
	m->data_len = len;
	if (len > 0)
		memcpy(m->data, bytes, len);
	i->tx.arena_used += len;
	return true;
}

static void misc_free(struct iscsi *i, struct misc *m)
{
	m->used = false;
	if (--i->tx.misc_used == 0)
		i->tx.arena_used = 0;
	if (m->effect == EFFECT_PROOF_SENT)
		i->proof_sent = true;
	else if (m->effect == EFFECT_PING)
		i->tx.ping_queued = false;
	else if (m->effect == EFFECT_WINDOW)
		i->tx.window_queued = false;
}

void tx_queue(struct iscsi *i, struct job *job)
{
	if (job->queued)
		return;
	job->queued = true;
	job->next = NULL;
	*i->tx.last = job;
	i->tx.last = &job->next;
}

void tx_unqueue(struct iscsi *i, struct job *job)
{
	struct job **at = &i->tx.first;

	if (!job->queued)
		return;
	while (*at != job)
		at = &(*at)->next;
	*at = job->next;
	if (!*at)
		i->tx.last = at;
	job->queued = false;
}

void tx_drop_all(struct iscsi *i)
{
	while (i->tx.first)
		tx_unqueue(i, i->tx.first);
	i->tx.frame_count = 0;
	i->tx.sent = 0;
}

void tx_start(struct iscsi *i)
{
	i->tx.header_digest = i->keys.result[KEY_HEADER_DIGEST] != 0;
	i->tx.data_digest = i->keys.result[KEY_DATA_DIGEST] != 0;
}

/* StatSN, ExpCmdSN, MaxCmdSN. An answer that counts takes a StatSN, others show the next one. */
static void frame_number(struct iscsi *i, struct tx_frame *f, bool counts)
{
	bhs_u32(f->head, BHS_STATSN, i->tx.statsn);
	i->tx.statsn += counts;
	bhs_u32(f->head, BHS_EXPCMDSN, i->expcmdsn);
	bhs_u32(f->head, BHS_MAXCMDSN, window_max(i));
}

static void frame_seal(struct iscsi *i, struct tx_frame *f, bool plain)
{
	uint32_t crc = CRC_START;

	bhs_data_len(f->head, f->data_len);
	f->head_len = ISCSI_BHS_SIZE;
	if (i->tx.header_digest && !plain) {
		crc_wire(crc_feed(CRC_START, f->head, ISCSI_BHS_SIZE), f->head + ISCSI_BHS_SIZE);
		f->head_len += 4;
	}
	f->tail_len = pdu_padding(f->data_len);
	if (!i->tx.data_digest || plain || f->data_len == 0)
		return;
	for (unsigned n = 0; n < f->spans; n++)
		crc = crc_feed(crc, f->data[n].iov_base, f->data[n].iov_len);
	crc_wire(crc_feed(crc, f->tail, f->tail_len), f->tail + f->tail_len);
	f->tail_len += 4;
}

static void frame_misc(struct iscsi *i, struct misc *m, struct tx_frame *f)
{
	memcpy(f->head, m->bhs, ISCSI_BHS_SIZE);
	frame_number(i, f, m->counts);
	f->misc = m;
	f->data_len = m->data_len;
	if (m->data_len > 0)
		f->data[f->spans++] = (struct iovec){m->data, m->data_len};
	frame_seal(i, f, m->plain);
}

/* The last PDU of a task gives its place of the window back in its own MaxCmdSN. */
static void frame_last(struct iscsi *i, struct slot *s, struct tx_frame *f)
{
	i->window_used -= s->counted;
	s->counted = false;
	f->last_of = s;
}

/* True: that was the task's last PDU. */
static bool frame_answer(struct iscsi *i, struct slot *s, struct tx_frame *f)
{
	bool last = true, status = true;

	if (s->kind == SLOT_COMMAND)
		last = data_in_frame(i, s, f);
	else
		tmf_frame(i, s, f->head);
	if (last)
		frame_last(i, s, f);
	if (f->head[0] == OP_DATA_IN)
		status = (f->head[1] & FLAG_STATUS) != 0;
	frame_number(i, f, status);
	if (!status) /* Data-In without status has no StatSN: RFC 7143 section 11.7 */
		bhs_u32(f->head, BHS_STATSN, 0);
	frame_seal(i, f, false);
	return last;
}

static bool frame_r2t(struct iscsi *i, struct slot *s, struct tx_frame *f)
{
	bool last = data_out_frame(i, s, f);

	frame_number(i, f, false);
	frame_seal(i, f, false);
	return last;
}

/* Makes one PDU of the first job; true: the job is done. */
static bool frame_make(struct iscsi *i, struct job *job, struct tx_frame *f)
{
	*f = (struct tx_frame){0};
	switch (job->kind) {
	case JOB_ANSWER:
		return frame_answer(i, CONTAINER_OF(job, struct slot, answer), f);
	case JOB_R2T:
		return frame_r2t(i, CONTAINER_OF(job, struct slot, ask), f);
	default:
		frame_misc(i, CONTAINER_OF(job, struct misc, job), f);
		return true;
	}
}

static void tx_fill(struct iscsi *i)
{
	struct tx *tx = &i->tx;

	while (tx->first && tx->frame_count < TX_FRAMES) {
		struct job *job = tx->first;
		unsigned at = (tx->frame_first + tx->frame_count) % TX_FRAMES;

		tx->frame_count++;
		if (frame_make(i, job, &tx->frames[at]))
			tx_unqueue(i, job);
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

size_t iscsi_tx(struct iscsi *i, struct iovec iov[], size_t max)
{
	struct gather g = {.iov = iov, .max = max, .skip = i->tx.sent};

	if (i->lost)
		return 0;
	tx_fill(i);
	for (unsigned n = 0; n < i->tx.frame_count && g.count < max; n++)
		gather_frame(&g, &i->tx.frames[(i->tx.frame_first + n) % TX_FRAMES]);
	return g.count;
}

static void frame_gone(struct iscsi *i)
{
	struct tx_frame *f = &i->tx.frames[i->tx.frame_first];
	struct slot *s = f->last_of;
	struct misc *m = f->misc;

	i->tx.frame_first = (i->tx.frame_first + 1) % TX_FRAMES;
	i->tx.frame_count--;
	if (m)
		misc_free(i, m);
	if (s)
		slot_free(i, s);
}

void iscsi_sent(struct iscsi *i, size_t len)
{
	i->tx.sent += len;
	while (i->tx.frame_count > 0) {
		size_t first = frame_len(&i->tx.frames[i->tx.frame_first]);

		if (i->tx.sent < first)
			break;
		i->tx.sent -= first;
		frame_gone(i);
	}
	window_announce(i);
	rx_run(i);
}

bool iscsi_tx_waiting(const struct iscsi *i)
{
	return !i->lost && (i->tx.frame_count > 0 || i->tx.first);
}
