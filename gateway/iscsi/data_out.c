/* Data-Out and R2T, RFC 7143 sections 11.7 and 11.8. Data comes in order (we insist on
 * DataPDUInOrder and DataSequenceInOrder), so "what is there" is one number, and a
 * PDU fits only right behind it. Whatever does not fit is thrown away and ends its
 * command, once all that the initiator still owes has come; at ErrorRecoveryLevel 1,
 * what was lost on the way is asked for again instead. Runs in the session process. */
#include "gateway/iscsi/core.h"

#define FUTILE_MAX 8 /* holes in a row without an octet gained: then the command ends */

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

static bool may_ask(const struct iscsi *i, const struct slot *s)
{
	if (!s->wanting || s->waits_for_chunks || s->unsolicited || s->fault != FAULT_NONE ||
	    s->hole)
		return false;
	return s->asked < s->want && s->r2t_open < i->max_r2t;
}

static struct r2t *r2t_again(struct slot *s)
{
	for (unsigned n = 0; n < s->r2t_open; n++)
		if (s->r2t[n].again)
			return &s->r2t[n];
	return NULL;
}

static void ask(struct iscsi *i, struct slot *s)
{
	if (may_ask(i, s) || r2t_again(s))
		tx_queue(s->conn, &s->ask);
	else
		tx_unqueue(s->conn, &s->ask);
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
}

/* Data was lost, by its digest or by what is missing before it: RFC 7143 sections 7.8 and 7.9. A
 * recovery R2T at level 1, else the command's end. */
static void lose(const struct iscsi *i, struct slot *s)
{
	if (s->fault != FAULT_NONE || s->hole)
		return;
	if (i->level > 0 && ++s->futile <= FUTILE_MAX)
		s->hole = true;
	else
		set_fault(s, FAULT_CRC);
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
	if (where == BELONGS_INVALID || where == BELONGS_TO_ABORTED || s->fault != FAULT_NONE ||
	    s->hole)
		return ROUTE_GO;
	if (where == BELONGS_UNSOLICITED)
		fault = unsolicited_fault(i, s, pdu);
	else
		fault = solicited_fault(s, r2t_find(s, pdu_u32(pdu, BHS_TTT)), pdu);
	if (fault == FAULT_CRC)
		lose(i, s);
	else if (fault != FAULT_NONE)
		set_fault(s, fault);
	if (fault != FAULT_NONE) {
		ask(i, s); /* no R2T meanwhile */
		return ROUTE_GO;
	}
	c->rx.into = s;
	c->rx.into_at = s->got;
	c->rx.discard = s->responded; /* nobody needs it, and the buffer may hold sense */
	return ROUTE_GO;
}

static void burst_ends(struct iscsi *i, struct slot *s, struct r2t *r)
{
	bool whole;

	if (r) {
		whole = r->got == r->length;
		r2t_close(s, r);
	} else {
		/* RFC 7143 section 11.4.7.2: unsolicited data stops at FirstBurstLength or at its
		 * end */
		whole = s->got == unsolicited_end(i, s);
		s->unsolicited = false;
	}
	if (!whole && !s->hole)
		set_fault(s, FAULT_AMOUNT);
	if (!s->hole || s->r2t_open > 0)
		return;
	s->hole = false; /* nothing is owed any more: R2Ts ask for the rest */
	s->asked = s->got;
}

static void take_data(struct slot *s, struct r2t *r, size_t len)
{
	s->got += len;
	if (r)
		r->got += (uint32_t)len;
	if (len > 0)
		s->futile = 0;
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
		lose(i, s);
	if (s->fault == FAULT_NONE && !s->hole)
		take_data(s, r, pdu->data_len);
	if (pdu->final)
		burst_ends(i, s, r);
	data_out_progress(i, s);
}

/* A SNACK asks for the R2Ts with these numbers; false: they are not all open. */
bool data_out_again(struct iscsi *i, struct slot *s, uint32_t from, uint32_t end)
{
	uint32_t found = 0;

	for (unsigned n = 0; n < s->r2t_open; n++)
		found += s->r2t[n].r2tsn - from < end - from;
	if (found != end - from)
		return false;
	for (unsigned n = 0; n < s->r2t_open; n++)
		s->r2t[n].again |= s->r2t[n].r2tsn - from < end - from;
	ask(i, s);
	return true;
}

/* Looks at what a command has and still needs. */
void data_out_progress(struct iscsi *i, struct slot *s)
{
	bool owed = s->unsolicited || s->r2t_open > 0;

	if (s->state != SLOT_ACTIVE)
		return;
	s->asked = MAX(s->asked, s->got);
	ask(i, s);
	if (owed)
		return;
	if (s->responded) {
		command_answer(i, s);
	} else if (s->fault != FAULT_NONE) {
		command_fail(i, s);
	} else if (s->wanting && !s->waits_for_chunks && s->got >= s->want) {
		s->wanting = false;
		slot_set_buffer(i, s, s->want);
		i->ops->data_arrived(i->host, &s->task);
	}
}

static struct r2t *r2t_new(struct iscsi *i, struct slot *s)
{
	struct r2t *r = &s->r2t[s->r2t_open];
	size_t length = MIN(s->want - s->asked, i->max_burst);

	assert(s->r2t_open < R2T_MAX && length > 0);
	*r = (struct r2t){
		.ttt = connection_tag(i, s->task.slot),
		.r2tsn = s->r2tsn++,
		.offset = (uint32_t)s->asked,
		.length = (uint32_t)length,
	};
	s->r2t_open++;
	s->asked += length;
	return r;
}

/* The next R2T, or one again; true: no more for now. */
bool data_out_frame(struct iscsi *i, struct slot *s, struct tx_frame *f)
{
	struct r2t *r = r2t_again(s);

	if (!r)
		r = r2t_new(i, s);
	r->again = false;
	bhs_start(f->head, OP_R2T, FLAG_FINAL, s->task.itt);
	memcpy(f->head + BHS_LUN, s->task.lun, 8);
	bhs_u32(f->head, BHS_TTT, r->ttt);
	bhs_u32(f->head, BHS_DATASN, r->r2tsn);
	bhs_u32(f->head, BHS_OFFSET, r->offset);
	bhs_u32(f->head, BHS_LENGTH, r->length);
	return !may_ask(i, s) && !r2t_again(s);
}
