/* Data-In and SCSI Response, RFC 7143 sections 11.4 and 11.7: segments no longer than
 * the initiator declared, sequences no longer than MaxBurstLength, and the status in
 * the last Data-In when it is GOOD. What a DataSN carries follows from the number, so
 * that any run of them can be sent again. Runs in the session process; what is sent
 * is what the host said it has set in the task's buffer. */
#include "gateway/iscsi/core.h"

static uint32_t segments(size_t octets, uint32_t segment)
{
	return (uint32_t)((octets + segment - 1) / segment);
}

struct place {
	size_t offset, len;
	bool ends; /* its sequence */
};

/* What this DataSN carries. */
static struct place place_of(const struct iscsi *i, const struct slot *s, uint32_t sn)
{
	size_t at = s->base_at, room = i->max_burst - s->base_used;
	uint32_t nth = sn - s->base_sn, first = segments(room, s->segment), each;
	struct place p;

	if (nth >= first) { /* behind the sequence that the base is in */
		at += room;
		room = i->max_burst;
		each = segments(room, s->segment);
		nth -= first;
		at += (size_t)(nth / each) * room;
		nth %= each;
	}
	p.offset = at + (size_t)nth * s->segment;
	p.len = MIN(s->segment, at + room - p.offset);
	p.ends = p.offset + p.len == at + room;
	if (p.len >= s->data_len - p.offset) {
		p.len = s->data_len - p.offset;
		p.ends = true;
	}
	return p;
}

/* Everything from DataSN `from`, which begins at `at`, comes in segments of this size. */
static void rebase(struct iscsi *i, struct slot *s, uint32_t from, size_t at)
{
	size_t rest = s->data_len - at, room = i->max_burst - s->base_used;
	uint32_t count = segments(MIN(rest, room), s->segment);

	s->base_sn = s->datasn = from;
	s->base_at = at;
	if (rest > room) {
		rest -= room;
		count += (uint32_t)(rest / i->max_burst) * segments(i->max_burst, s->segment) +
			 segments(rest % i->max_burst, s->segment);
	}
	s->datasn_end = from + count;
}

void data_in_start(struct iscsi *i, struct slot *s, uint32_t segment)
{
	assert(segment > 0);
	s->segment = MIN(segment, SEGMENT_LIMIT);
	rebase(i, s, 0, 0);
}

bool data_in_restart(struct iscsi *i, struct slot *s, uint32_t from, uint32_t segment)
{
	size_t at = s->acked_at;

	assert(segment > 0);
	if (from != s->acked_sn) {
		if (from - s->base_sn > s->datasn - s->base_sn)
			return false;
		at = from == s->datasn_end ? s->data_len : place_of(i, s, from).offset;
	}
	tx_unqueue(s->conn, &s->again);
	s->acked_sn = from;
	s->acked_at = at;
	s->segment = MIN(segment, SEGMENT_LIMIT);
	s->base_used = 0;
	rebase(i, s, from, at);
	return true;
}

/* What is left of an answer that is on its way gets shorter, within the sequence that it is in. */
static void resegment(struct iscsi *i, struct slot *s, uint32_t segment)
{
	size_t at = place_of(i, s, s->datasn).offset;

	s->base_used = (s->base_used + at - s->base_at) % i->max_burst;
	s->segment = segment;
	rebase(i, s, s->datasn, at);
}

/* What was to be sent again in longer ones is not: RFC 7143 section 11.16.3 has the initiator ask
 * for all of it anew. */
void data_in_resegment(struct iscsi_connection *c)
{
	EACH_SLOT(c->i, n)
	{
		struct slot *s = &c->i->slots[n];

		if (s->conn != c || s->segment <= c->peer_segment)
			continue;
		tx_unqueue(c, &s->again);
		if (s->answer.queued && s->datasn != s->datasn_end)
			resegment(c->i, s, c->peer_segment);
	}
}

static void put_status(const struct slot *s, uint8_t *head)
{
	head[1] |= s->residual_flag;
	bhs_u32(head, BHS_RESIDUAL, s->residual_flag ? s->residual : 0);
	head[3] = s->status;
}

static void put_spans(struct iscsi *i, struct slot *s, struct tx_frame *f, const struct place *p)
{
	size_t at = p->offset, left = p->len, room;

	while (left > 0) {
		uint8_t *bytes = slot_at(i, s, at, &room);

		room = MIN(room, left);
		assert(f->spans < TX_SPANS);
		f->data[f->spans++] = (struct iovec){bytes, room};
		at += room;
		left -= room;
	}
	f->data_len = p->len;
}

/* Does this DataSN carry the status too? */
static bool collapses(const struct slot *s, uint32_t sn)
{
	return sn + 1 == s->datasn_end && !s->apart && s->status == 0 && s->response == 0 &&
	       s->sense_len == 0;
}

static void put_segment(struct iscsi *i, struct slot *s, uint32_t sn, struct tx_frame *f)
{
	struct place p = place_of(i, s, sn);

	bhs_start(f->head, OP_DATA_IN, p.ends ? FLAG_FINAL : 0, s->task.itt);
	bhs_u32(f->head, BHS_TTT, TAG_NONE);
	bhs_u32(f->head, BHS_DATASN, sn);
	bhs_u32(f->head, BHS_OFFSET, (uint32_t)p.offset);
	put_spans(i, s, f, &p);
	if (!collapses(s, sn))
		return;
	f->head[1] |= FLAG_STATUS;
	put_status(s, f->head);
}

static void put_response(struct slot *s, struct tx_frame *f)
{
	bhs_start(f->head, OP_SCSI_RESPONSE, FLAG_FINAL, s->task.itt);
	f->head[2] = s->response;
	put_status(s, f->head);
	bhs_u32(f->head, BHS_SNACK_TAG, s->snack_tag);
	bhs_u32(f->head, BHS_DATASN, s->response == 0 ? s->datasn_end : 0); /* ExpDataSN */
	if (s->sense_len > 0)
		f->data[f->spans++] = (struct iovec){s->sense, s->sense_len};
	f->data_len = s->sense_len;
}

bool data_in_frame(struct iscsi *i, struct slot *s, struct tx_frame *f)
{
	uint32_t sn = s->datasn;

	if (sn == s->datasn_end) {
		put_response(s, f);
		return true;
	}
	s->datasn++;
	put_segment(i, s, sn, f);
	return collapses(s, sn);
}

bool data_in_again(struct iscsi *i, struct slot *s, struct tx_frame *f)
{
	put_segment(i, s, s->again_sn++, f);
	return s->again_sn == s->again_end;
}

/* What carried the status; if that was a Data-In which is too long by now, a SCSI Response. */
void data_in_status(struct iscsi *i, struct slot *s, struct tx_frame *f)
{
	uint32_t last = s->datasn_end - 1;

	if (s->datasn_end != s->base_sn && collapses(s, last) &&
	    place_of(i, s, last).len <= s->conn->peer_segment)
		put_segment(i, s, last, f);
	else
		put_response(s, f);
}
