/* Data-Out and R2T, RFC 7143 sections 11.7 and 11.8. Data comes in order (we insist on
 * DataPDUInOrder and DataSequenceInOrder), so "what is there" is one number, and a
 * PDU fits only right behind it. Whatever does not fit is thrown away and ends its
 * command, once all that the initiator still owes has come. Runs in the session
 * process. */
#include "gateway/iscsi/core.h"

enum belongs { BELONGS_INVALID, BELONGS_UNSOLICITED, BELONGS_TO_R2T, BELONGS_TO_ABORTED };

static struct r2t *r2t_find(struct slot *s, uint32_t ttt)
{
	for (unsigned n = 0; n < s->r2t_open; n++)
		if (s->r2t[n].ttt == ttt)
			return &s->r2t[n];
	return NULL;
}

static void r2t_close(struct slot *s, struct r2t *r)
{
	size_t at = (size_t)(r - s->r2t);

	s->r2t_open--;
	memmove(r, r + 1, (s->r2t_open - at) * sizeof *r);
}

static enum belongs belongs_to(struct iscsi_connection *c, const struct pdu *pdu,
			       struct slot **ret_slot)
{
	struct iscsi *i = c->i;
	uint32_t ttt = pdu_u32(pdu, BHS_TTT);
	struct slot *s = slot_by_itt(i, pdu->itt);

	if (!s || s->state == SLOT_CANCELLING)
		return s || aborted_known(i, pdu->itt) ? BELONGS_TO_ABORTED : BELONGS_INVALID;
	if (s->conn != c || (s->state != SLOT_HELD && s->state != SLOT_ACTIVE))
		return BELONGS_INVALID;
	*ret_slot = s;
	if (ttt == TAG_NONE)
		return s->unsolicited ? BELONGS_UNSOLICITED : BELONGS_INVALID;
	return r2t_find(s, ttt) ? BELONGS_TO_R2T : BELONGS_INVALID;
}

static void set_fault(struct slot *s, enum fault fault)
{
	if (s->fault == FAULT_NONE)
		s->fault = fault;
	tx_unqueue(s->conn, &s->ask);
}

/* Where unsolicited data of this command ends at the latest. */
static size_t unsolicited_end(const struct iscsi *i, const struct slot *s)
{
	return MIN(s->task.edtl, i->first_burst);
}

static enum fault unsolicited_fault(const struct iscsi *i, struct slot *s, const struct pdu *pdu)
{
	uint32_t datasn = pdu_u32(pdu, BHS_DATASN), offset = pdu_u32(pdu, BHS_OFFSET);

	/* RFC 7143 section 7.9: a gap in DataSN stands for a digest error */
	if (datasn != s->unsolicited_sn++ || offset != s->got)
		return FAULT_CRC;
	if (pdu->data_len > unsolicited_end(i, s) - s->got)
		return FAULT_UNEXPECTED_DATA;
	return FAULT_NONE;
}

static enum fault solicited_fault(struct slot *s, struct r2t *r, const struct pdu *pdu)
{
	uint32_t datasn = pdu_u32(pdu, BHS_DATASN), offset = pdu_u32(pdu, BHS_OFFSET);

	if (r != s->r2t || datasn != r->datasn++ || offset != r->offset + r->got)
		return FAULT_CRC;
	return pdu->data_len > r->length - r->got ? FAULT_AMOUNT : FAULT_NONE;
}

enum route data_out_route(struct iscsi_connection *c, struct pdu *pdu)
{
	struct iscsi *i = c->i;
	struct slot *s = NULL;
	enum belongs where = belongs_to(c, pdu, &s);
	enum fault fault = FAULT_NONE;

	c->rx.discard = true;
	if (where == BELONGS_INVALID)
		c->rx.reason = REJECT_INVALID_FIELD;
	if (where == BELONGS_INVALID || where == BELONGS_TO_ABORTED || s->fault != FAULT_NONE)
		return ROUTE_GO;
	if (where == BELONGS_UNSOLICITED)
		fault = unsolicited_fault(i, s, pdu);
	else
		fault = solicited_fault(s, r2t_find(s, pdu_u32(pdu, BHS_TTT)), pdu);
	if (fault != FAULT_NONE) {
		set_fault(s, fault);
		return ROUTE_GO;
	}
	c->rx.into = s;
	c->rx.into_at = s->got;
	c->rx.discard = s->responded; /* nobody needs it, and the buffer may hold sense */
	return ROUTE_GO;
}

static void burst_ends(struct iscsi *i, struct slot *s, struct r2t *r)
{
	if (r) {
		if (r->got != r->length)
			set_fault(s, FAULT_AMOUNT);
		r2t_close(s, r);
		return;
	}
	s->unsolicited = false;
	/* RFC 7143 section 11.4.7.2: unsolicited data stops at FirstBurstLength or at its end */
	if (s->got != unsolicited_end(i, s))
		set_fault(s, FAULT_AMOUNT);
}

/* What belonged to nothing when its header came belongs to nothing now: its octets are gone, even
 * if an R2T with the tag that it guessed has been made since. */
void data_out_run(struct iscsi_connection *c, struct pdu *pdu, bool digest_ok)
{
	struct iscsi *i = c->i;
	struct slot *s = NULL;
	enum belongs where = BELONGS_INVALID;
	struct r2t *r = NULL;

	if (c->rx.reason == REJECT_INVALID)
		where = belongs_to(c, pdu, &s);
	if (!digest_ok)
		reject(c, pdu, REJECT_DATA_DIGEST);
	else if (where == BELONGS_INVALID)
		reject(c, pdu, REJECT_INVALID_FIELD);
	if (where == BELONGS_INVALID || where == BELONGS_TO_ABORTED)
		return;
	if (where == BELONGS_TO_R2T)
		r = r2t_find(s, pdu_u32(pdu, BHS_TTT));
	if (!digest_ok)
		set_fault(s, FAULT_CRC);
	if (s->fault == FAULT_NONE) {
		s->got += pdu->data_len;
		if (r)
			r->got += (uint32_t)pdu->data_len;
	}
	if (pdu->final)
		burst_ends(i, s, r);
	data_out_progress(i, s);
}

static bool may_ask(const struct iscsi *i, const struct slot *s)
{
	return s->asked < s->want && s->r2t_open < i->max_r2t;
}

/* Looks at what a command has and still needs. */
void data_out_progress(struct iscsi *i, struct slot *s)
{
	bool owed = s->unsolicited || s->r2t_open > 0;

	if (s->state != SLOT_ACTIVE)
		return;
	if (s->responded || s->fault != FAULT_NONE) {
		if (!owed && s->responded)
			command_answer(i, s);
		else if (!owed)
			command_fail(i, s);
		return;
	}
	if (!s->wanting || s->waits_for_chunks || s->unsolicited)
		return;
	if (s->got >= s->want && !owed) {
		s->wanting = false;
		slot_set_buffer(i, s, s->want);
		i->ops->data_arrived(i->host, &s->task);
		return;
	}
	s->asked = MAX(s->asked, s->got);
	if (may_ask(i, s))
		tx_queue(s->conn, &s->ask);
}

/* The next R2T; true: no more for now. */
bool data_out_frame(struct iscsi *i, struct slot *s, struct tx_frame *f)
{
	struct r2t *r = &s->r2t[s->r2t_open];
	size_t length = MIN(s->want - s->asked, i->max_burst);

	assert(s->r2t_open < R2T_MAX && length > 0);
	*r = (struct r2t){
		.ttt = connection_tag(i, s->task.slot),
		.offset = (uint32_t)s->asked,
		.length = (uint32_t)length,
	};
	s->r2t_open++;
	s->asked += length;
	bhs_start(f->head, OP_R2T, FLAG_FINAL, s->task.itt);
	memcpy(f->head + BHS_LUN, s->task.lun, 8);
	bhs_u32(f->head, BHS_TTT, r->ttt);
	bhs_u32(f->head, BHS_DATASN, s->r2tsn++);
	bhs_u32(f->head, BHS_OFFSET, r->offset);
	bhs_u32(f->head, BHS_LENGTH, r->length);
	return !may_ask(i, s);
}
