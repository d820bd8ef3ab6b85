/* The main path through the iSCSI core: login, reads, writes, pings, logout. */
#include "tests/protocol/iscsi_peer.h"

static void logs_in(void **state)
{
	struct peer p = {.alias = "Vault"};

	(void)state;
	peer_up(&p, KEYS(KEYS_USUAL));
	assert_int_equal(p.names_calls, 1);
	assert_string_equal(p.names.initiator, NAME_I);
	assert_string_equal(p.names.target, NAME_T);
	assert_int_equal(p.names.cid, 9);
	assert_int_equal(p.enter_calls, 1);
	assert_true(iscsi_proof_sent(p.c));
	peer_alive(&p);
	peer_close(&p);
}

/* How a WRITE's data is sent: immediate, unsolicited, asked for. */
static const struct flow {
	const char *why, *keys;
	size_t keys_len;
	uint32_t blocks, immediate, unsolicited;
} flows[] = {
	{"11.3.6 a write with all of its data immediate", KEYS(KEYS_USUAL), 4, 2048, 0},
	{"11.7 a write with immediate and unsolicited data", KEYS(KEYS_USUAL), 100, 8192, 51200},
	{"13.11 a write with unsolicited data only", KEYS("InitialR2T=No\0ImmediateData=No"), 64, 0,
	 32768},
	{"11.8 a write with immediate, unsolicited and solicited data", KEYS(KEYS_USUAL), 1024,
	 8192, 65536},
	{"13.10 a write with R2T only (InitialR2T=Yes, ImmediateData=No)",
	 KEYS("InitialR2T=Yes\0ImmediateData=No"), 700, 0, 0},
	{"13.10 a write with R2T after immediate data", KEYS("InitialR2T=Yes"), 300, 4096, 0},
	{"13.13 a write in bursts of 512 octets", KEYS("MaxBurstLength=512\0FirstBurstLength=512"),
	 9, 512, 0},
	{"13.17 a write with four R2Ts at once", KEYS("MaxOutstandingR2T=4\0MaxBurstLength=4096"),
	 99, 0, 0},
	{"13.1 a write with both digests",
	 KEYS(KEYS_USUAL "\0HeaderDigest=CRC32C\0DataDigest=CRC32C"), 1000, 8192, 65536},
	{"11.8 a write of 2 MiB in many chunks", KEYS("MaxBurstLength=1000448"), 4096, 0, 0},
	{"11.8 a write of one block by one R2T", KEYS("InitialR2T=Yes"), 1, 0, 0},
};

static void send_out(struct peer *p, const uint8_t *data, uint32_t ttt, size_t from, size_t len)
{
	uint8_t bhs[ISCSI_BHS_SIZE];
	size_t end = from + len;
	uint32_t sn = 0;

	while (from < end) {
		size_t n = MIN(end - from, 7000);

		data_out_bhs(p, bhs,
			     (struct out_place){from + n == end, ttt, sn++, (uint32_t)from});
		assert_true(peer_send(p, bhs, data + from, n));
		from += n;
	}
}

static void write_with(const struct flow *f, size_t drip)
{
	struct peer p = {0};
	size_t len = f->blocks * 512;
	uint8_t bhs[ISCSI_BHS_SIZE], *data = malloc(len);
	struct reply r = {0};

	assert_non_null(data);
	for (size_t n = 0; n < len; n++)
		data[n] = (uint8_t)(n * 13 + 1);
	peer_up(&p, f->keys, f->keys_len);
	p.drip = drip;
	rw_bhs(&p, bhs, (uint8_t)(FLAG_WRITE | (f->unsolicited ? 0 : FLAG_FINAL)), (uint32_t)len,
	       f->blocks);
	assert_true(peer_send(&p, bhs, data, f->immediate));
	if (f->unsolicited)
		send_out(&p, data, TAG_NONE, f->immediate, f->unsolicited - f->immediate);
	while (peer_next(&p, &r) && r.opcode == OP_R2T)
		send_out(&p, data, reply_u32(&r, BHS_TTT), reply_u32(&r, BHS_OFFSET),
			 reply_u32(&r, BHS_LENGTH));
	assert_int_equal(r.opcode, OP_SCSI_RESPONSE);
	assert_int_equal(r.bhs[3], 0);
	assert_int_equal(r.flags, FLAG_FINAL);
	assert_memory_equal(p.disk, data, len);
	assert_int_equal(p.finished, 1);
	peer_alive(&p);
	peer_close(&p);
	free(data);
}

static void writes(void **state)
{
	write_with(*state, 0);
}

static void writes_dripping(void **state)
{
	write_with(*state, 1);
}

static const struct read_row {
	const char *why, *keys;
	size_t keys_len;
	uint32_t blocks;
	size_t segment, max_burst;
} reads[] = {
	{"11.7.3 a read in one Data-In with its status", KEYS(KEYS_USUAL), 8, 65536, 262144},
	{"13.12 a read in segments of 512 octets", KEYS("MaxRecvDataSegmentLength=512"), 33, 512,
	 262144},
	{"13.12 a read in segments of an odd length", KEYS("MaxRecvDataSegmentLength=1001"), 33,
	 1001, 262144},
	{"13.13 a read over many chunks and bursts",
	 KEYS("MaxRecvDataSegmentLength=262144\0MaxBurstLength=300000"), 4096, 262144, 300000},
	{"13.1 a read with both digests",
	 KEYS("MaxRecvDataSegmentLength=3333\0HeaderDigest=CRC32C,None\0DataDigest=CRC32C,None"),
	 99, 3333, 262144},
	{"13.12 a read without any declaration, in segments of 8192", KEYS("MaxBurstLength=9000"),
	 50, 8192, 9000},
};

static void reads_back(void **state)
{
	const struct read_row *row = *state;
	struct peer p = {0};
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct reply r;
	size_t got = 0, burst = 0;
	uint32_t sn = 0;

	peer_up(&p, row->keys, row->keys_len);
	rw_bhs(&p, bhs, FLAG_FINAL | FLAG_READ, row->blocks * 512, row->blocks);
	assert_true(peer_send(&p, bhs, NULL, 0));
	do {
		peer_expect(&p, &r, OP_DATA_IN);
		assert_true(r.len > 0 && r.len <= row->segment);
		assert_int_equal(reply_u32(&r, BHS_DATASN), sn++);
		assert_int_equal(reply_u32(&r, BHS_OFFSET), got);
		assert_memory_equal(r.data, p.disk + got, r.len);
		got += r.len;
		burst += r.len;
		assert_true(burst <= row->max_burst);
		assert_int_equal((r.flags & FLAG_FINAL) != 0,
				 burst == row->max_burst || got == row->blocks * 512);
		if (r.flags & FLAG_FINAL)
			burst = 0;
	} while (!(r.flags & FLAG_STATUS));
	assert_int_equal(got, row->blocks * 512);
	assert_int_equal(r.flags, FLAG_FINAL | FLAG_STATUS);
	peer_alive(&p);
	peer_close(&p);
}

static void logs_out(void **state)
{
	struct peer p = {0};
	uint8_t bhs[ISCSI_BHS_SIZE];
	const char *detail;
	struct reply r;

	(void)state;
	peer_up(&p, KEYS(KEYS_USUAL));
	bhs_start(bhs, OP_LOGOUT, FLAG_FINAL, 55);
	bhs_u32(bhs, BHS_CMDSN, p.cmdsn);
	assert_true(peer_send(&p, bhs, NULL, 0));
	peer_expect(&p, &r, OP_LOGOUT_RESPONSE);
	assert_int_equal(r.bhs[2], 0);
	assert_int_equal(get_be(r.bhs + 40, 2), 2);
	assert_int_equal(iscsi_ended(p.c, &detail), ISCSI_END_LOGOUT);
	peer_close(&p);
}

int main(void)
{
	static struct tests t;

	tests_add(&t, "6.3 mutual CHAP, negotiation and a grant lead to the full-feature phase",
		  logs_in, NULL);
	TESTS_ADD_TABLE(&t, flows, writes);
	TESTS_ADD_TABLE(&t, reads, reads_back);
	tests_add(&t, "11.1 octet by octet: a write with every kind of data", writes_dripping,
		  &flows[3]);
	tests_add(&t, "11.1 octet by octet: a write with both digests", writes_dripping, &flows[8]);
	tests_add(&t, "11.14 a Logout is answered and ends the connection", logs_out, NULL);
	return tests_run(&t, "iscsi path");
}
