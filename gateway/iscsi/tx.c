/* What is to be sent: a queue of jobs, from which PDUs are made one by one when there
 * is room in a ring of frames. Numbers and digests are set when a PDU is made, so
 * that MaxCmdSN is as fresh as it can be. Bounded: tasks bring their own jobs, all
 * other answers come from a small pool, and nothing is read while that is full.
 * Runs in the session process. */
#include "gateway/iscsi/core.h"

/* Where in the arena's count of octets the next `len` can begin: in one piece. */
static uint64_t arena_next(const struct tx *tx, size_t len)
{
	size_t at = (size_t)(tx->arena_to % TX_ARENA_SIZE);

	return at + len <= TX_ARENA_SIZE ? tx->arena_to : tx->arena_to + (TX_ARENA_SIZE - at);
}

/* It is free up to the oldest octets that are still needed. */
static void arena_scan(struct tx *tx)
{
	uint64_t from = tx->arena_to;

	for (unsigned n = 0; n < TX_MISC; n++)
		if (tx->misc[n].used && tx->misc[n].data_len > 0)
			from = MIN(from, tx->misc[n].data_at);
	tx->arena_from = from;
}

static bool arena_has(struct tx *tx, size_t len)
{
	if (arena_next(tx, len) + len - tx->arena_from <= TX_ARENA_SIZE)
		return true;
	arena_scan(tx);
	return arena_next(tx, len) + len - tx->arena_from <= TX_ARENA_SIZE;
}

static void arena_give_back(struct tx *tx, const struct misc *m)
{
	if (m->data_len > 0 && --tx->arena_users == 0)
		tx->arena_from = tx->arena_to = 0;
}

bool tx_has_room(struct iscsi_connection *c)
{
	while (c->tx.misc_used + TX_MISC_RESERVE >= TX_MISC || !arena_has(&c->tx, SEGMENT_LIMIT))
		if (!kept_give_up(c))
			return false;
	return true;
}

struct misc *tx_misc(struct iscsi_connection *c, enum opcode opcode, uint32_t itt)
{
	if (c->tx.misc_used == TX_MISC)
		(void)kept_give_up(c);
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
	if (len == 0)
		return true;
	if (!arena_has(&c->tx, len))
		return false;
	m->data_at = arena_next(&c->tx, len);
	m->data = c->tx.arena + m->data_at % TX_ARENA_SIZE;
	m->data_len = len;
	memcpy(m->data, bytes, len);
	c->tx.arena_to = m->data_at + len;
	c->tx.arena_users++;
	return true;
}

static void misc_free(struct iscsi_connection *c, struct misc *m)
{
	m->used = false;
	c->tx.misc_used--;
	arena_give_back(&c->tx, m);
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

void tx_queue_first(struct iscsi_connection *c, struct job *job)
{
	if (job->queued || c->lost)
		return;
	job->queued = true;
	job->next = c->tx.first;
	if (!job->next)
		c->tx.last = &job->next;
	c->tx.first = job;
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
	for (unsigned n = 0; n < c->tx.frame_count; n++) {
		struct tx_frame *f = &c->tx.frames[(c->tx.frame_first + n) % TX_FRAMES];

		if (f->of)
			f->of->in_frames--;
		if (f->misc)
			f->misc->in_frames--;
	}
	c->tx.frame_count = 0;
	c->tx.sent = 0;
}

/* An answer that has gone is forgotten, unless it is kept or on its way once more. */
void tx_release(struct iscsi_connection *c, struct job *job)
{
	if (job->kept)
		return;
	if (job->kind == JOB_ANSWER) {
		struct slot *s = CONTAINER_OF(job, struct slot, answer);

		if (s->state == SLOT_SENT && s->in_frames == 0)
			slot_free(c->i, s);
	} else {
		struct misc *m = CONTAINER_OF(job, struct misc, job);

		if (m->in_frames > 0)
			return;
		tx_unqueue(c, job);
		misc_free(c, m);
	}
}

void tx_start(struct iscsi_connection *c)
{
	c->tx.header_digest = c->keys.result[KEY_HEADER_DIGEST] != 0;
	c->tx.data_digest = c->keys.result[KEY_DATA_DIGEST] != 0;
}

/* Can it be asked for again? Not what was sent in the login. */
static bool is_kept(const struct iscsi_connection *c, struct job *job)
{
	return c->i->level > 0 &&
	       (job->kind != JOB_MISC || !CONTAINER_OF(job, struct misc, job)->plain);
}

/* StatSN, ExpCmdSN, MaxCmdSN. An answer that counts takes a StatSN, and has the same when it is
 * sent again: RFC 7143 section 11.16. Others (NULL) show the next one. */
static void frame_number(struct iscsi_connection *c, struct tx_frame *f, struct job *answer)
{
	if (answer && !answer->numbered) {
		answer->numbered = true;
		answer->statsn = c->tx.statsn++;
		if (answer->kind == JOB_ANSWER)
			fence_numbered(CONTAINER_OF(answer, struct slot, answer), answer->statsn);
		if (is_kept(c, answer))
			kept_add(c, answer);
		else if (!c->i->response_fence)
			c->tx.acked = c->tx.statsn; /* nobody asks */
	}
	bhs_u32(f->head, BHS_STATSN, answer ? answer->statsn : c->tx.statsn);
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
	frame_number(c, f, m->counts ? &m->job : NULL);
	f->misc = m;
	m->in_frames++;
	f->data_len = m->data_len;
	if (m->data_len > 0)
		f->data[f->spans++] = (struct iovec){m->data, m->data_len};
	frame_seal(c, f, m->plain);
}

/* The last PDU of a task gives its place of the window back in its own MaxCmdSN, but for as long as
 * it is kept. */
static void frame_last(struct iscsi_connection *c, struct slot *s, struct tx_frame *f)
{
	f->last = true;
	if (!s->counted)
		return;
	s->counted = false;
	c->i->window_used--;
	s->withheld = c->i->level > 0;
	c->i->withheld += s->withheld;
}

/* Data-In without status has no StatSN: RFC 7143 section 11.7. */
static void frame_of_slot(struct iscsi_connection *c, struct slot *s, struct tx_frame *f)
{
	bool status = f->head[0] != OP_DATA_IN || (f->head[1] & FLAG_STATUS);

	f->of = s;
	s->in_frames++;
	frame_number(c, f, status ? &s->answer : NULL);
	if (!status)
		bhs_u32(f->head, BHS_STATSN, 0);
	frame_seal(c, f, false);
}

/* True: that was the task's last PDU. */
static bool frame_answer(struct iscsi_connection *c, struct slot *s, struct tx_frame *f)
{
	bool again = s->status_again, last = true;

	s->status_again = false;
	if (s->kind == SLOT_LOGOUT)
		logout_frame(s, f->head);
	else if (s->kind != SLOT_COMMAND)
		tmf_frame(s, f->head);
	else if (again)
		data_in_status(c->i, s, f);
	else
		last = data_in_frame(c->i, s, f);
	if (last && !again)
		frame_last(c, s, f);
	frame_of_slot(c, s, f);
	return last;
}

static bool frame_again(struct iscsi_connection *c, struct slot *s, struct tx_frame *f)
{
	bool last = data_in_again(c->i, s, f);

	frame_of_slot(c, s, f);
	return last;
}

static bool frame_r2t(struct iscsi_connection *c, struct slot *s, struct tx_frame *f)
{
	bool last = data_out_frame(c->i, s, f);

	frame_number(c, f, NULL);
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
	case JOB_AGAIN:
		return frame_again(c, CONTAINER_OF(job, struct slot, again), f);
	case JOB_R2T:
		return frame_r2t(c, CONTAINER_OF(job, struct slot, ask), f);
	default:
		frame_misc(c, CONTAINER_OF(job, struct misc, job), f);
		return true;
	}
}

/* The next that may go out: behind a fence, none that is a new response of a task; NULL: none. */
static struct job *next_job(const struct iscsi_connection *c)
{
	struct job *job = c->tx.first;

	if (job && fence_holds(c))
		while (job && job->kind == JOB_ANSWER && !job->numbered)
			job = job->next;
	return job;
}

static void tx_fill(struct iscsi_connection *c)
{
	struct tx *tx = &c->tx;
	struct job *job;

	while (tx->frame_count < TX_FRAMES && (job = next_job(c)) != NULL) {
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
	struct slot *s = f->of;
	struct misc *m = f->misc;

	c->tx.frame_first = (c->tx.frame_first + 1) % TX_FRAMES;
	c->tx.frame_count--;
	if (m) {
		m->in_frames--;
		tx_release(c, &m->job);
	}
	if (!s)
		return;
	s->in_frames--;
	if (f->last)
		slot_sent(c->i, s);
	tx_release(c, &s->answer);
	if (f->last)
		kept_solicit(c->i);
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
	return !c->lost && (c->tx.frame_count > 0 || next_job(c));
}
