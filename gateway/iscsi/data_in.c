/* Data-In and SCSI Response, RFC 7143 sections 11.4 and 11.7: segments no longer than
 * the initiator declared, sequences no longer than MaxBurstLength, and the status in
 * the last Data-In when it is GOOD. Runs in the session process; what is sent is
 * what the host said it has set in the task's buffer. */
#include "gateway/iscsi/core.h"

static void put_status(const struct slot *s, uint8_t *head)
{
	head[1] |= s->residual_flag;
	bhs_u32(head, BHS_RESIDUAL, s->residual_flag ? s->residual : 0);
	head[3] = s->status;
}

static void put_spans(struct iscsi *i, struct slot *s, struct tx_frame *f, size_t len)
{
	size_t at = s->data_sent, left = len, room;

	while (left > 0) {
		uint8_t *bytes = slot_at(i, s, at, &room);

		room = MIN(room, left);
		assert(f->spans < TX_SPANS);
		f->data[f->spans++] = (struct iovec){bytes, room};
		at += room;
		left -= room;
	}
	f->data_len = len;
}

static bool data_segment(struct iscsi *i, struct slot *s, struct tx_frame *f)
{
	size_t len = MIN(MIN(s->conn->peer_segment, SEGMENT_LIMIT), s->data_len - s->data_sent);
	bool last;

	len = MIN(len, s->burst_left);
	last = s->data_sent + len == s->data_len;
	bhs_start(f->head, OP_DATA_IN, 0, s->task.itt);
	bhs_u32(f->head, BHS_TTT, TAG_NONE);
	bhs_u32(f->head, BHS_DATASN, s->datasn++);
	bhs_u32(f->head, BHS_OFFSET, (uint32_t)s->data_sent);
	put_spans(i, s, f, len);
	s->data_sent += len;
	s->burst_left -= len;
	if (s->burst_left == 0 || last) {
		f->head[1] |= FLAG_FINAL;
		s->burst_left = i->max_burst;
	}
	if (!last || s->status != 0 || s->response != 0 || s->sense_len > 0)
		return false;
	f->head[1] |= FLAG_STATUS;
	put_status(s, f->head);
	return true;
}

bool data_in_frame(struct iscsi *i, struct slot *s, struct tx_frame *f)
{
	if (s->data_sent < s->data_len)
		return data_segment(i, s, f);
	bhs_start(f->head, OP_SCSI_RESPONSE, FLAG_FINAL, s->task.itt);
	f->head[2] = s->response;
	put_status(s, f->head);
	bhs_u32(f->head, BHS_DATASN, s->response == 0 ? s->datasn : 0); /* ExpDataSN */
	if (s->sense_len > 0)
		f->data[f->spans++] = (struct iovec){s->sense, s->sense_len};
	f->data_len = s->sense_len;
	return true;
}
