/* Framing: octets from the network become PDUs. Headers and small things go through a
 * staging buffer; the data of a PDU goes straight to where it belongs, into a task's
 * chunks or the segment buffer, whose sizes were checked first. Runs in the session
 * process; every length here is the peer's. */
#include "gateway/iscsi/core.h"

static size_t staged(const struct rx *rx)
{
	return rx->stage_end - rx->stage_at;
}

/* Takes up to len staged octets; their number. */
static size_t stage_take(struct rx *rx, uint8_t *to, size_t len)
{
	size_t n = MIN(len, staged(rx));

	if (n > 0 && to)
		memcpy(to, rx->stage + rx->stage_at, n);
	rx->stage_at += n;
	if (rx->stage_at == rx->stage_end)
		rx->stage_at = rx->stage_end = 0;
	return n;
}

/* Where the next octets of data go; NULL: nowhere. */
static uint8_t *data_place(struct iscsi_connection *c, size_t *ret_len)
{
	struct rx *rx = &c->rx;
	uint8_t *place;

	*ret_len = rx->data_left;
	if (rx->discard)
		return NULL;
	if (!rx->into)
		return rx->segment + rx->into_at;
	place = slot_at(c->i, rx->into, rx->into_at, ret_len);
	*ret_len = MIN(*ret_len, rx->data_left);
	return place;
}

static void data_advance(struct rx *rx, const uint8_t *bytes, size_t len)
{
	if (rx->data_digest)
		rx->crc = crc_feed(rx->crc, bytes, len);
	rx->into_at += len;
	rx->data_left -= len;
}

static bool data_is_direct(const struct rx *rx)
{
	return rx->state == RX_DATA && !rx->discard && staged(rx) == 0;
}

/* Makes room behind what is staged. */
static void stage_compact(struct rx *rx)
{
	if (rx->stage_at == 0 || rx->stage_end < STAGE_SIZE / 2)
		return;
	memmove(rx->stage, rx->stage + rx->stage_at, staged(rx));
	rx->stage_end -= rx->stage_at;
	rx->stage_at = 0;
}

size_t iscsi_rx_space(struct iscsi_connection *c, struct iovec iov[], size_t max)
{
	struct rx *rx = &c->rx;
	size_t count = 0, at = 0, left = data_is_direct(rx) ? rx->data_left : 0, stage;

	if (c->phase >= PHASE_OVER || c->handed_over || max == 0)
		return 0;
	for (; left > 0 && count < max; count++) {
		size_t len = left;
		uint8_t *to = rx->segment + rx->into_at + at;

		if (rx->into)
			to = slot_at(c->i, rx->into, rx->into_at + at, &len);
		len = MIN(len, left);
		iov[count] = (struct iovec){to, len};
		at += len;
		left -= len;
	}
	stage_compact(rx);
	stage = MIN(STAGE_SIZE - rx->stage_end, at < STAGE_SIZE / 2 ? STAGE_SIZE : STAGE_BEHIND);
	if (left == 0 && count < max && stage > 0)
		iov[count++] = (struct iovec){rx->stage + rx->stage_end, stage};
	return count;
}

void iscsi_received(struct iscsi_connection *c, size_t len, uint64_t now_ms)
{
	struct rx *rx = &c->rx;

	c->i->now_ms = now_ms;
	if (c->phase >= PHASE_OVER || len == 0)
		return;
	rx->last_ms = now_ms;
	c->ping_open = false;
	c->ping_missed = 0;
	if (data_is_direct(rx)) {
		while (len > 0 && rx->data_left > 0) {
			size_t n;
			uint8_t *at = data_place(c, &n);

			n = MIN(n, len);
			data_advance(rx, at, n);
			len -= n;
		}
	}
	assert(len <= STAGE_SIZE - rx->stage_end);
	rx->stage_end += len;
	rx_run(c->i);
}

/* A task that is over takes no data any more. */
void rx_forget(struct iscsi_connection *c, const struct slot *s)
{
	if (c->rx.into != s)
		return;
	c->rx.into = NULL;
	c->rx.discard = true;
}

static bool may_start(struct iscsi_connection *c)
{
	if (c->closing || !tx_has_room(c))
		return false;
	return c->phase != PHASE_LOGIN || c->login.ask == ASK_NOTHING;
}

static size_t head_need(const struct rx *rx)
{
	if (rx->head_len < ISCSI_BHS_SIZE)
		return ISCSI_BHS_SIZE;
	return ISCSI_BHS_SIZE + rx->head[4] * (size_t)4 + (rx->header_digest ? 4 : 0);
}

static bool header_intact(const struct rx *rx)
{
	size_t covered = rx->head_len - 4;
	uint8_t want[4];

	crc_wire(crc_feed(CRC_START, rx->head, covered), want);
	return memcmp(want, rx->head + covered, 4) == 0;
}

/* RFC 7143 section 7.8: after a header digest error nothing in the stream can be believed, not
 * even where the next PDU begins. Without a layer of sync and steering there is no finding it
 * again: the connection ends, at every level of recovery. */
static bool head_complete(struct iscsi_connection *c)
{
	struct rx *rx = &c->rx;

	if (rx->header_digest && !header_intact(rx)) {
		connection_end(c, ISCSI_END_DIGEST, "a header digest is wrong");
		return false;
	}
	pdu_decode(rx->head, &rx->pdu);
	rx->pdu.ahs = rx->head + ISCSI_BHS_SIZE;
	rx->pdu.data = rx->segment;
	rx->state = RX_ROUTE;
	return true;
}

static bool step_head(struct iscsi_connection *c)
{
	struct rx *rx = &c->rx;
	size_t need;

	if (rx->head_len == 0) {
		if (!may_start(c))
			return false;
		if (c->phase == PHASE_FULL && window_turn(c->i))
			return true;
	}
	need = head_need(rx);
	rx->head_len += stage_take(rx, rx->head + rx->head_len, need - rx->head_len);
	if (rx->head_len < need)
		return false;
	if (need == ISCSI_BHS_SIZE && c->phase == PHASE_LOGIN) {
		pdu_decode(rx->head, &rx->pdu);
		if (!login_check_header(c, &rx->pdu))
			return false;
	}
	return head_need(rx) > need || head_complete(c);
}

/* The data's place was decided: what is left of the PDU. */
static void expect_data(struct rx *rx)
{
	size_t len = rx->pdu.data_len;

	rx->data_left = len;
	rx->crc = CRC_START;
	rx->tail_len = 0;
	rx->tail_need = pdu_padding(len) + (rx->data_digest && len > 0 ? 4 : 0);
	rx->state = RX_DATA;
}

static bool step_route(struct iscsi_connection *c)
{
	struct rx *rx = &c->rx;

	rx->into = NULL;
	rx->into_at = 0;
	rx->discard = false;
	rx->reason = REJECT_INVALID;
	if (c->phase == PHASE_FULL && ffp_route(c, &rx->pdu) != ROUTE_GO)
		return false;
	expect_data(rx);
	return true;
}

static bool step_data(struct iscsi_connection *c)
{
	struct rx *rx = &c->rx;
	const uint8_t *from = rx->stage + rx->stage_at;
	uint8_t *to;
	size_t len;

	if (rx->data_left == 0) {
		rx->state = RX_TAIL;
		return true;
	}
	to = data_place(c, &len);
	len = MIN(len, staged(rx));
	if (len == 0)
		return false;
	data_advance(rx, from, len);
	(void)stage_take(rx, to, len);
	return true;
}

static bool data_intact(const struct rx *rx)
{
	size_t padding = pdu_padding(rx->pdu.data_len);
	uint8_t want[4];

	if (!rx->data_digest || rx->pdu.data_len == 0)
		return true;
	crc_wire(crc_feed(rx->crc, rx->tail, padding), want);
	return memcmp(want, rx->tail + padding, 4) == 0;
}

static bool step_tail(struct iscsi_connection *c)
{
	struct rx *rx = &c->rx;

	rx->tail_len += stage_take(rx, rx->tail + rx->tail_len, rx->tail_need - rx->tail_len);
	if (rx->tail_len < rx->tail_need)
		return false;
	if (c->phase == PHASE_FULL && !tx_has_room(c))
		return false; /* what was held has had its turn since this one began */
	rx->state = RX_HEAD;
	rx->head_len = 0;
	if (c->phase == PHASE_LOGIN)
		login_run(c, &rx->pdu);
	else
		ffp_done(c, &rx->pdu, data_intact(rx));
	rx->into = NULL;
	return true;
}

static bool rx_step(struct iscsi_connection *c)
{
	switch (c->rx.state) {
	case RX_HEAD:
		return step_head(c);
	case RX_ROUTE:
		return step_route(c);
	case RX_DATA:
		return step_data(c);
	default:
		return step_tail(c);
	}
}

static void rx_steps(struct iscsi_connection *c)
{
	while (c->phase < PHASE_OVER && rx_step(c))
		;
}

/* Runs what is staged, as far as it may: of every connection, since what one brings may be what
 * another has waited for. Not entered again from a handler's call to the host. */
void rx_run(struct iscsi *i)
{
	i->again = true;
	if (i->running)
		return;
	i->running = true;
	while (i->again) {
		i->again = false;
		while (window_turn(i))
			;
		EACH_CONNECTION(i, c)
		rx_steps(c);
	}
	i->running = false;
}
