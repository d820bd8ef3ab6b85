/* SCSI Command, RFC 7143 section 11.3: from the PDU to the host's task and to its
 * response. What the header claims is checked before a slot is filled; what is
 * wrong with the data ends the one command, with CHECK CONDITION. Runs in the
 * session process. */
#include "gateway/iscsi/core.h"

#define SENSE_FIXED_LEN 18

enum { CHECK_CONDITION = 0x02, TASK_ABORTED = 0x40 }; /* SCSI status */

/* RFC 7143 section 11.4.7.2, all ABORTED COMMAND. The host hears of none of these commands, or that
 * it is over: what is wrong with the CDB, or with its R and W bits, is the device's to say. */
static const struct sense_row {
	uint8_t key, asc, ascq;
} faults[] = {
	[FAULT_UNEXPECTED_DATA] = {0x0b, 0x0c, 0x0c},
	[FAULT_AMOUNT] = {0x0b, 0x0c, 0x0d},
	[FAULT_CRC] = {0x0b, 0x47, 0x05},
};

#define AHS_EXTENDED_CDB 1
#define AHS_READ_LENGTH	 2

/* One Additional Header Segment, RFC 7143 section 11.2.2; `cdb` gets an extended CDB. */
static enum reject_reason take_ahs(struct rd *r, struct iscsi_task *task)
{
	size_t len = (size_t)rd_be(r, 2), extra;
	uint8_t type = (uint8_t)rd_be(r, 1);
	const uint8_t *bytes;

	rd_skip(r, 1); /* reserved, and the first of the len octets */
	if (r->failed || len == 0)
		return REJECT_INVALID_FIELD;
	extra = len - 1;
	bytes = rd_bytes(r, extra);
	rd_skip(r, pdu_padding(3 + len));
	if (!bytes)
		return REJECT_INVALID_FIELD;
	if (type == AHS_READ_LENGTH && extra == 4)
		return REJECT_INVALID;
	if (type != AHS_EXTENDED_CDB || task->cdb_len > 16 || extra > ISCSI_CDB_MAX - 16)
		return REJECT_INVALID_FIELD;
	memcpy(task->cdb + 16, bytes, extra);
	task->cdb_len = 16 + extra;
	return REJECT_INVALID;
}

static enum reject_reason take_cdb(const struct pdu *pdu, struct iscsi_task *task)
{
	struct rd r = rd_over(pdu->ahs, pdu->ahs_len);
	enum reject_reason reason = REJECT_INVALID;

	memcpy(task->cdb, pdu->bhs + BHS_CDB, 16);
	task->cdb_len = 16;
	while (rd_left(&r) > 0 && reason == REJECT_INVALID)
		reason = take_ahs(&r, task);
	return r.failed ? REJECT_INVALID_FIELD : reason;
}

/* What makes the command PDU itself invalid; REJECT_INVALID: nothing. */
static enum reject_reason header_fault(struct iscsi *i, const struct pdu *pdu)
{
	if (pdu->itt == TAG_NONE || (pdu->flags & 7) > TASK_ACA)
		return REJECT_INVALID_FIELD;
	/* RFC 7143 section 11.3.1: F and W both 0 is an error; so is a task tag in use */
	if ((!pdu->final && !(pdu->flags & FLAG_WRITE)) || slot_by_itt(i, pdu->itt))
		return REJECT_PROTOCOL;
	if (pdu->immediate && i->immediate_used == ISCSI_IMMEDIATE_MAX)
		return REJECT_IMMEDIATE;
	return REJECT_INVALID;
}

static enum fault data_fault(const struct iscsi *i, const struct iscsi_task *t,
			     const struct pdu *pdu)
{
	if (!pdu->final && i->initial_r2t)
		return FAULT_UNEXPECTED_DATA;
	if (pdu->data_len == 0)
		return FAULT_NONE;
	if (!t->write || !i->immediate_data || pdu->data_len > i->first_burst)
		return FAULT_UNEXPECTED_DATA;
	return pdu->data_len > t->edtl ? FAULT_AMOUNT : FAULT_NONE;
}

static enum route refuse(struct iscsi_connection *c, enum reject_reason reason)
{
	c->rx.reason = reason;
	c->rx.discard = true;
	return ROUTE_GO;
}

enum route command_route(struct iscsi_connection *c, struct pdu *pdu)
{
	enum reject_reason reason;
	struct iscsi *i = c->i;
	struct iscsi_task *t;
	struct slot *s;

	if (window_order(i, pdu) == ORDER_DROP)
		return refuse(c, REJECT_INVALID); /* in silence */
	reason = header_fault(i, pdu);
	if (reason != REJECT_INVALID)
		return refuse(c, reason);
	s = slot_new(c, SLOT_COMMAND, pdu);
	if (!s) /* never, as long as the window keeps to slots_for_window() */
		return refuse(c, REJECT_RESOURCES);
	t = &s->task;
	reason = take_cdb(pdu, t);
	if (reason != REJECT_INVALID) {
		slot_free(i, s);
		return refuse(c, reason);
	}
	memcpy(t->lun, pdu->bhs + BHS_LUN, 8);
	t->attribute = pdu->flags & 7;
	t->read = (pdu->flags & FLAG_READ) != 0;
	t->write = (pdu->flags & FLAG_WRITE) != 0;
	t->edtl = pdu_u32(pdu, BHS_EDTL);
	s->unsolicited = t->write && !pdu->final;
	s->fault = data_fault(i, t, pdu);
	c->rx.into = s;
	c->rx.discard = s->fault != FAULT_NONE;
	return ROUTE_GO;
}

void command_run(struct iscsi_connection *c, struct pdu *pdu, bool digest_ok)
{
	struct slot *s = c->rx.into;
	struct iscsi *i = c->i;

	if (!s) {
		if (c->rx.reason != REJECT_INVALID)
			reject(c, pdu, digest_ok ? c->rx.reason : REJECT_DATA_DIGEST);
		return;
	}
	if (!digest_ok) { /* RFC 7143 section 7.8: the command is discarded with its data */
		slot_free(i, s);
		reject(c, pdu, REJECT_DATA_DIGEST);
		return;
	}
	if (s->fault == FAULT_NONE)
		s->got = pdu->data_len;
	switch (window_order(i, pdu)) {
	case ORDER_LATER:
		s->state = SLOT_HELD;
		i->held_count++;
		return;
	case ORDER_DROP: /* aborted, or come on another connection, while its data came */
		aborted_remember(i, s->task.itt);
		slot_free(i, s);
		return;
	default:
		break;
	}
	if (!pdu->immediate)
		i->expcmdsn++;
	command_turn(i, s);
	abort_set_moved(i);
}

void command_turn(struct iscsi *i, struct slot *s)
{
	if (abort_set_covers(i, s)) {
		aborted_remember(i, s->task.itt);
		slot_free(i, s);
		return;
	}
	slot_activate(i, s);
	if (s->fault != FAULT_NONE) {
		data_out_progress(i, s);
		return;
	}
	s->in_host = true;
	i->ops->command(i->host, &s->task);
}

static void set_sense(struct slot *s, const struct sense_row *row)
{
	uint8_t *sense = s->sense + 2;

	memset(sense, 0, SENSE_FIXED_LEN);
	sense[0] = 0x70;
	sense[2] = row->key;
	sense[7] = SENSE_FIXED_LEN - 8;
	sense[12] = row->asc;
	sense[13] = row->ascq;
	put_be(s->sense, 2, SENSE_FIXED_LEN);
	s->sense_len = 2 + SENSE_FIXED_LEN;
}

/* Ends a command whose data was wrong, or that another nexus ended, without the host's having
 * carried it out. */
void command_fail(struct iscsi *i, struct slot *s)
{
	if (s->in_host && !i->ops->cancel(i->host, &s->task)) {
		s->state = SLOT_CANCELLING; /* iscsi_task_end() comes back here */
		return;
	}
	s->in_host = false;
	s->status = s->fault == FAULT_ABORTED ? TASK_ABORTED : CHECK_CONDITION;
	s->data_len = 0;
	if (s->status == CHECK_CONDITION)
		set_sense(s, &faults[s->fault]);
	s->residual_flag = s->task.edtl > 0 ? FLAG_UNDERFLOW : 0;
	s->residual = s->task.edtl;
	command_answer(i, s);
}

void command_answer(struct iscsi *i, struct slot *s)
{
	s->state = SLOT_ANSWERING;
	data_in_start(i, s, s->conn->peer_segment);
	tx_queue(s->conn, &s->answer);
}

/* RFC 7143 section 11.5.6: an ExpDataSN of 0, or one that can't be, leaves what was acknowledged.
 */
void command_answer_again(struct slot *s, uint32_t expdatasn)
{
	uint32_t segment = s->conn->peer_segment;
	struct iscsi *i = s->conn->i;
	bool known;

	known = expdatasn != 0 && data_in_restart(i, s, expdatasn, segment);
	if (!known)
		known = data_in_restart(i, s, s->acked_sn, segment);
	assert(known);
	s->apart = false;
	s->snack_tag = 0;
	s->status_again = false;
	s->answer.numbered = false;
	s->state = SLOT_ANSWERING;
	tx_queue(s->conn, &s->answer);
}

static void set_residual(struct slot *s, size_t wanted)
{
	size_t moved = s->task.read ? s->data_len : wanted;

	if (wanted > s->task.edtl) {
		s->residual_flag = FLAG_OVERFLOW;
		s->residual = (uint32_t)MIN(wanted - s->task.edtl, UINT32_MAX);
	} else if (moved < s->task.edtl) {
		s->residual_flag = FLAG_UNDERFLOW;
		s->residual = s->task.edtl - (uint32_t)moved;
	}
}

static void set_answer(struct slot *s, const struct iscsi_response *r)
{
	size_t sense_len = MIN(r->sense_len, ISCSI_SENSE_MAX);

	assert(r->data_len <= s->task.buffer_len || r->data_len == 0);
	s->status = r->status;
	s->response = r->response;
	s->data_len = s->task.read ? MIN(r->data_len, s->task.edtl) : 0;
	set_residual(s, r->wanted);
	if (sense_len == 0)
		return;
	put_be(s->sense, 2, sense_len);
	memcpy(s->sense + 2, r->sense, sense_len);
	s->sense_len = 2 + sense_len;
}

/* At level 2 the response of a connection that ends unasked may still be fetched by another. */
static bool nobody_waits(const struct iscsi_connection *c)
{
	return c->phase == PHASE_GONE ||
	       (c->phase == PHASE_OVER && (c->logged_out || c->i->level < 2));
}

void iscsi_task_respond(struct iscsi *i, struct iscsi_task *task, const struct iscsi_response *r)
{
	struct slot *s = slot_of(i, task);
	bool cancelled = s->state == SLOT_CANCELLING;

	set_answer(s, r);
	s->in_host = false;
	s->wanting = false;
	tx_unqueue(s->conn, &s->ask);
	i->ops->finished(i->host, task);
	if (cancelled) {
		iscsi_task_end(i, task);
	} else if (nobody_waits(s->conn)) {
		slot_free(i, s);
	} else {
		s->responded = true;
		data_out_progress(i, s);
	}
}

int iscsi_task_want(struct iscsi *i, struct iscsi_task *task, size_t bytes)
{
	struct slot *s = slot_of(i, task);
	size_t want = task->write ? MIN(bytes, task->edtl) : 0;

	if (want > (size_t)ISCSI_TASK_CHUNKS * ISCSI_CHUNK_SIZE)
		return -EMSGSIZE;
	s->want = want;
	if (s->got >= want && !s->unsolicited) {
		slot_set_buffer(i, s, want);
		return 0;
	}
	s->wanting = true;
	if (slot_reserve(i, s, want))
		data_out_progress(i, s);
	return -EAGAIN;
}

int iscsi_task_buffer(struct iscsi *i, struct iscsi_task *task, size_t bytes)
{
	struct slot *s = slot_of(i, task);

	if (bytes > (size_t)ISCSI_TASK_CHUNKS * ISCSI_CHUNK_SIZE)
		return -EMSGSIZE;
	if (!slot_reserve(i, s, bytes))
		return -EAGAIN;
	slot_set_buffer(i, s, bytes);
	return 0;
}

/* The chunks that it waited for are there. */
void command_buffer_ready(struct iscsi *i, struct slot *s)
{
	if (s->state != SLOT_ACTIVE)
		return;
	if (s->wanting) {
		data_out_progress(i, s);
		return;
	}
	slot_set_buffer(i, s, s->reserve);
	if (s->in_host)
		i->ops->buffer_ready(i->host, &s->task);
}
