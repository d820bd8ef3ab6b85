/* What happens on one connection of a session while another is in the middle of something: of a
 * PDU, of a Logout, of a response that is fenced; RFC 7143 sections 4.2.2, 4.2.2.3.3, 4.2.3, 6.3.4,
 * 7.5 and 11.14. `p` is the first connection and the host, `q` a second one. */
#include "gateway/iscsi/core.h"
#include "tests/protocol/iscsi_join.h"

/* --- a command that has come by half -------------------------------------------------------- */

static uint8_t half_data[512];

/* A WRITE with its data; the first 100 octets of it are sent. */
static size_t send_half(struct peer *p, uint8_t wire[])
{
	uint8_t bhs[ISCSI_BHS_SIZE];
	size_t n;

	rw_bhs(p, bhs, FLAG_FINAL | FLAG_WRITE, 512, 1);
	n = peer_wire(p, bhs, (struct body){NULL, half_data, sizeof half_data}, wire);
	assert_int_equal(peer_feed(p, wire, 100), 100);
	return n;
}

static void send_rest(struct peer *p, const uint8_t wire[], size_t n)
{
	assert_int_equal(peer_feed(p, wire + 100, n - 100), n - 100);
	peer_drain(p);
	peer_expect_none(p);
}

/* The next command is in its turn. */
static void expect_next(struct peer *p, struct peer *q, unsigned commands)
{
	uint8_t bhs[ISCSI_BHS_SIZE];

	q->cmdsn = p->cmdsn;
	command_bhs(q, bhs, FLAG_FINAL, 0, 0);
	assert_true(peer_send(q, bhs, NULL, 0));
	expect_status(q, q->itt, 0);
	assert_int_equal(p->commands, commands);
}

static const struct half_row {
	const char *why;
	uint8_t function;
} half_rows[] = {
	{"4.2.3.3 a reset ends a WRITE whose data is still coming", TMF_TARGET_WARM_RESET},
	{"11.6.1 an abort ends a WRITE whose data is still coming", TMF_ABORT_TASK},
};

static void half_aborted(void **state)
{
	const struct half_row *row = *state;
	uint8_t bhs[ISCSI_BHS_SIZE], wire[700];
	struct peer p = {0}, q;
	struct reply r;
	size_t n;

	up(&p, KEYS(SEVERAL));
	join(&p, &q, 1);
	n = send_half(&p, wire);
	q.cmdsn = p.cmdsn;
	tmf_bhs(&q, bhs, row->function, p.itt, p.cmdsn - 1);
	assert_true(peer_send(&q, bhs, NULL, 0));
	peer_expect(&q, &r, OP_TMF_RESPONSE);
	assert_int_equal(r.bhs[2], COMPLETE);
	send_rest(&p, wire, n);
	assert_int_equal(p.commands, 0);
	expect_next(&p, &q, 1);
	leave(&q);
	peer_close(&p);
}

static void half_overtaken(void **state)
{
	uint8_t bhs[ISCSI_BHS_SIZE], wire[700];
	struct peer p = {0}, q;
	size_t n;

	(void)state;
	up(&p, KEYS(SEVERAL));
	join(&p, &q, 1);
	n = send_half(&p, wire);
	q.cmdsn = p.cmdsn - 1;
	command_bhs(&q, bhs, FLAG_FINAL, 0, 0);
	assert_true(peer_send(&q, bhs, NULL, 0));
	expect_status(&q, q.itt, 0);
	send_rest(&p, wire, n);
	assert_int_equal(p.commands, 1);
	expect_next(&p, &q, 2);
	leave(&q);
	peer_close(&p);
}

/* While a ping of 256 KiB comes, one that was held is answered: the room for its own answer is not
 * there any more, and is waited for. */
static void half_without_room(void **state)
{
	static uint8_t data[SEGMENT_LIMIT], wire[SEGMENT_LIMIT + 64];
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct peer p = {0}, q;
	struct reply r;
	size_t n;

	(void)state;
	up(&p, KEYS(SEVERAL "\0MaxRecvDataSegmentLength=262144"));
	join(&p, &q, 1);
	nop_bhs(&p, bhs, true);
	n = peer_wire(&p, bhs, (struct body){NULL, data, sizeof data}, wire);
	assert_int_equal(peer_feed(&p, wire, n), n);
	q.cmdsn = p.cmdsn++;
	nop_bhs(&p, bhs, false);
	n = peer_wire(&p, bhs, (struct body){NULL, data, 60000}, wire);
	assert_int_equal(peer_feed(&p, wire, n), n);
	nop_bhs(&p, bhs, true);
	n = peer_wire(&p, bhs, (struct body){NULL, data, sizeof data}, wire);
	assert_int_equal(peer_feed(&p, wire, 5000), 5000);
	command_bhs(&q, bhs, FLAG_FINAL, 0, 0);
	assert_true(peer_send(&q, bhs, NULL, 0));
	assert_int_equal(peer_feed(&p, wire + 5000, n - 5000), n - 5000);
	peer_drain(&p);
	for (unsigned k = 0; k < 3; k++)
		peer_expect(&p, &r, OP_NOP_IN);
	assert_int_equal(r.len, sizeof data);
	leave(&q);
	peer_close(&p);
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, half_rows, half_aborted);
	tests_add(&t, "4.2.2.1 a CmdSN that came whole while it was coming is not run twice",
		  half_overtaken, NULL);
	tests_add(&t, "11.18 a ping that comes waits for room for its answer", half_without_room,
		  NULL);
	return tests_run(&t, "iscsi meanwhile");
}
