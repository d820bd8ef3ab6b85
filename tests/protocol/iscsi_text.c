/* What a Text negotiation declares and when that counts, RFC 7143 sections 6.2, 6.4 and
 * 7.12: a read shows the segment length that the target believes in. */
#include "tests/protocol/iscsi_peer.h"

#define SMALL "MaxRecvDataSegmentLength=512"

static uint32_t text(struct peer *p, uint8_t flags, uint32_t ttt, const void *bytes, size_t len)
{
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct reply r;

	text_bhs(p, bhs, flags, ttt);
	bhs_u32(bhs, BHS_ITT, 7000);
	assert_true(peer_send(p, bhs, bytes, len));
	assert_true(peer_next(p, &r));
	if (r.opcode == OP_TEXT_RESPONSE)
		return reply_u32(&r, BHS_TTT);
	p->cmdsn--; /* rejected, so not received: RFC 7143 section 7.3 */
	return 0;
}

/* Reads 1024 octets: in one Data-In, or in two. */
static void expect_segment(struct peer *p, size_t segment)
{
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct reply r;

	rw_bhs(p, bhs, FLAG_READ | FLAG_FINAL, 1024, 2);
	assert_true(peer_send(p, bhs, NULL, 0));
	for (size_t at = 0; at < 1024; at += segment) {
		peer_expect(p, &r, OP_DATA_IN);
		assert_int_equal(r.len, segment);
	}
	peer_expect_none(p);
}

static void counts_at_the_end(void **state)
{
	struct peer p = {0};
	uint32_t ttt;

	(void)state;
	peer_up(&p, KEYS(KEYS_USUAL));
	ttt = text(&p, 0, TAG_NONE, KEYS(SMALL));
	expect_segment(&p, 1024);
	(void)text(&p, FLAG_FINAL, ttt, NULL, 0);
	expect_segment(&p, 512);
	peer_close(&p);
}

static void broken_off(void **state)
{
	struct peer p = {0};

	(void)state;
	peer_up(&p, KEYS(KEYS_USUAL));
	(void)text(&p, 0, TAG_NONE, KEYS(SMALL));
	(void)text(&p, FLAG_FINAL, TAG_NONE, KEYS("InitiatorAlias=me"));
	expect_segment(&p, 1024);
	peer_close(&p);
}

static void failed(void **state)
{
	struct peer p = {0};

	(void)state;
	peer_up(&p, KEYS(KEYS_USUAL));
	assert_int_equal(text(&p, FLAG_FINAL, TAG_NONE, KEYS(SMALL "\0" SMALL)), 0);
	expect_segment(&p, 1024);
	(void)text(&p, FLAG_FINAL, TAG_NONE, KEYS("InitiatorAlias=me"));
	expect_segment(&p, 1024);
	peer_close(&p);
}

/* The answer goes by what was in force when the question came. */
static void answer_goes_by_the_old(void **state)
{
	static char list[2000];
	struct peer p = {.targets = list, .targets_len = sizeof list};
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct reply r;

	(void)state;
	memset(list, 'a', sizeof list - 1);
	peer_up(&p, KEYS(KEYS_USUAL));
	text_bhs(&p, bhs, FLAG_FINAL, TAG_NONE);
	assert_true(peer_send(&p, bhs, KEYS("SendTargets=\0" SMALL)));
	peer_expect(&p, &r, OP_TEXT_RESPONSE);
	assert_int_equal(r.len, sizeof list);
	expect_segment(&p, 512);
	text_bhs(&p, bhs, FLAG_FINAL, TAG_NONE);
	assert_true(peer_send(&p, bhs, KEYS("SendTargets=")));
	peer_expect(&p, &r, OP_TEXT_RESPONSE);
	assert_int_equal(r.len, 512);
	peer_close(&p);
}

int main(void)
{
	static struct tests t;

	tests_add(&t, "6.2 a declaration counts when its negotiation is over", counts_at_the_end,
		  NULL);
	tests_add(&t, "7.12 a negotiation that is broken off declares nothing", broken_off, NULL);
	tests_add(&t, "7.12 a negotiation that fails declares nothing, then or later", failed,
		  NULL);
	tests_add(&t, "11.11.6 a Text Response keeps to the initiator's segment length",
		  answer_goes_by_the_old, NULL);
	return tests_run(&t, "iscsi text");
}
