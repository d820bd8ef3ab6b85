/* ROD tokens on the bench: two sessions of one initiator and one of another, on two disks, with the
 * real arbiter between them. LUN 0 is the first disk, LUN 1 the second. */
#include "tests/unit/scsi_copy_rig.h"

enum who { ME, MY_OTHER, ELSE };

static struct scsi_nexus nexuses[3];

struct range {
	uint64_t lba;
	uint32_t blocks;
};

static struct scsi_nexus *nexus_of(enum who who)
{
	return who == ME ? &rig->nexus : &nexuses[who];
}

static void open_all(void)
{
	copy_open();
	rig->namesake[MY_OTHER] = 1;
	memset(nexuses, 0, sizeof nexuses);
	rig_open_peer(MY_OTHER, &nexuses[MY_OTHER]);
	rig_open_peer(ELSE, &nexuses[ELSE]);
}

static void close_all(void)
{
	scsi_nexus_close(&nexuses[MY_OTHER]);
	scsi_nexus_close(&nexuses[ELSE]);
	rig_close();
}

static enum scsi_step go_on(struct scsi_task *task, enum scsi_step step)
{
	if (step != SCSI_WANT_DATA && step != SCSI_WANT_BUFFER)
		return step;
	rig_give_buffer(task);
	return step == SCSI_WANT_DATA ? scsi_data_arrived(task) : scsi_buffer_ready(task);
}

static void finish(enum scsi_step step)
{
	for (unsigned turn = 0; step == SCSI_RUNNING && turn < RIG_TURNS && rig->dones == 0;
	     turn++) {
		rig_share();
		rig_reap();
		rig_audit_durable();
		for (enum who who = ME; who <= ELSE; who++)
			scsi_audit_moved(nexus_of(who));
	}
	assert_int_equal(rig->dones, step == SCSI_RUNNING);
	rig->dones = 0;
	rig_audit();
}

static struct scsi_task *run_as(enum who who, const struct rig_command *c)
{
	rig_prepare(&rig->task, c);
	rig->task.nexus = nexus_of(who);
	finish(go_on(&rig->task, scsi_begin(&rig->task)));
	rig->submitted = rig->ended = 0;
	return &rig->task;
}

/* --- the commands --- */

static size_t put_ranges(size_t header, const struct range *ranges, unsigned count)
{
	memset(rig->buffer + header, 0, count * 16u);
	for (unsigned i = 0; i < count; i++) {
		put_be(rig->buffer + header + i * 16u, 8, ranges[i].lba);
		put_be(rig->buffer + header + i * 16u + 8, 4, ranges[i].blocks);
	}
	put_be(rig->buffer, 2, header - 2 + count * 16u);
	put_be(rig->buffer + header - 2, 2, count * 16u);
	return header + count * 16u;
}

static struct rig_command command(uint8_t action, uint8_t lun, uint32_t list, size_t len)
{
	struct rig_command c = {{0x83, action}, {0, lun}, .edtl = (uint32_t)len, .write = true};

	put_be(c.cdb + 6, 4, list);
	put_be(c.cdb + 10, 4, len);
	return c;
}

static struct scsi_task *populate(enum who who, const struct range *ranges, unsigned count)
{
	struct rig_command c;

	memset(rig->buffer, 0, 16);
	c = command(0x10, 0, 5, put_ranges(16, ranges, count));
	return run_as(who, &c);
}

/* RECEIVE ROD TOKEN INFORMATION; the answer is in rig->buffer. */
static struct scsi_task *receive(enum who who, uint8_t lun, uint32_t list)
{
	struct rig_command c = {{0x84, 7}, {0, lun}, .edtl = 1024, .read = true};

	put_be(c.cdb + 2, 4, list);
	put_be(c.cdb + 10, 4, 1024);
	return run_as(who, &c);
}

static void take_token(enum who who, uint8_t ret[TOKEN_SIZE])
{
	assert_int_equal(receive(who, 0, 5)->status, SCSI_GOOD);
	assert_int_equal(rig->task.data_len, 38 + TOKEN_SIZE);
	assert_int_equal(rig->buffer[4], 0x10);
	assert_int_equal(rig->buffer[5], 1);
	assert_int_equal(get_be(rig->buffer + 32, 4), 2 + TOKEN_SIZE);
	memcpy(ret, rig->buffer + 38, TOKEN_SIZE);
}

static void make_token(const struct range *ranges, unsigned count, uint8_t ret[TOKEN_SIZE])
{
	assert_int_equal(populate(ME, ranges, count)->status, SCSI_GOOD);
	take_token(ME, ret);
}

static struct rig_command write_command(const uint8_t token[TOKEN_SIZE], uint64_t offset,
					const struct range *ranges, unsigned count)
{
	memset(rig->buffer, 0, 536);
	put_be(rig->buffer + 8, 8, offset);
	memcpy(rig->buffer + 16, token, TOKEN_SIZE);
	return command(0x11, 1, 6, put_ranges(536, ranges, count));
}

static struct scsi_task *write_using(enum who who, const uint8_t token[TOKEN_SIZE], uint64_t offset,
				     const struct range *ranges, unsigned count)
{
	struct rig_command c = write_command(token, offset, ranges, count);

	return run_as(who, &c);
}

static void write_block(enum who who, uint32_t lba)
{
	struct rig_command c = {{0x2a, 0}, .edtl = 512, .write = true};

	put_be(c.cdb + 2, 4, lba);
	c.cdb[8] = 1;
	memset(rig->buffer, 0x77, 512);
	assert_int_equal(run_as(who, &c)->status, SCSI_GOOD);
}

static uint64_t tokens_of_first(void)
{
	return atomic_load(&rig->shared->disks[0].token_count);
}

static const struct range source[] = {{10, 5}, {600, 700}, {50, 3}},
			  target[] = {{2000, 8}, {100, 700}};

/* --- copying --- */

static void copies(void **state)
{
	uint8_t token[TOKEN_SIZE];

	(void)state;
	open_all();
	make_token(source, 3, token);
	assert_int_equal(tokens_of_first(), 1);
	assert_int_equal(write_using(MY_OTHER, token, 0, target, 2)->status, SCSI_GOOD);
	for (uint64_t n = 0; n < 708; n++) {
		uint64_t from = n < 5 ? 10 + n : n < 705 ? 600 + n - 5 : 50 + n - 705;

		assert_int_equal(copy_block(rig->second_disk, n < 8 ? 2000 + n : 92 + n), from);
	}
	assert_int_equal(copy_block(rig->second_disk, 2008), 1002008);
	assert_int_equal(receive(MY_OTHER, 1, 6)->status, SCSI_GOOD);
	assert_int_equal(rig->buffer[5], 1);
	assert_int_equal(rig->buffer[15], 0xf1);
	assert_int_equal(get_be(rig->buffer + 16, 8), 708);
	assert_int_equal(get_be(rig->buffer + 32, 4), 0);
	assert_int_equal(receive(MY_OTHER, 1, 6)->status, SCSI_CHECK_CONDITION); /* told once */
	close_all();
}

static void with_offset(void **state)
{
	static const struct range all[] = {{0, 1000}};
	uint8_t token[TOKEN_SIZE];

	(void)state;
	open_all();
	make_token(source, 3, token);
	assert_int_equal(write_using(ME, token, 703, all, 1)->status, SCSI_GOOD);
	assert_int_equal(copy_block(rig->second_disk, 0), 1298);
	assert_int_equal(copy_block(rig->second_disk, 1), 1299);
	assert_int_equal(copy_block(rig->second_disk, 2), 50);
	assert_int_equal(copy_block(rig->second_disk, 4), 52);
	assert_int_equal(copy_block(rig->second_disk, 5), 1000005);
	assert_int_equal(receive(ME, 1, 6)->status, SCSI_GOOD);
	assert_int_equal(rig->buffer[5], 4); /* with a residual */
	assert_int_equal(get_be(rig->buffer + 16, 8), 5);
	assert_int_equal(rig_code(write_using(ME, token, 708, all, 1)), 0x2600);
	close_all();
}

/* P2: source and destination, before the first read. */
static void is_audited(void **state)
{
	static const struct range three[] = {{700, 3}};
	uint8_t token[TOKEN_SIZE];
	uint64_t before;

	(void)state;
	open_all();
	make_token(source, 3, token);
	before = rig->ring.head;
	assert_int_equal(write_using(ME, token, 4, three, 1)->status, SCSI_GOOD);
	assert_int_equal(rig->log[0].records_before, before + 4);
	assert_int_equal(rig_record(before)->source, 1);
	assert_int_equal(rig_record(before)->lun, 0);
	assert_int_equal(rig_record(before)->lba, 14);
	assert_int_equal(rig_record(before + 1)->source, 0);
	assert_int_equal(rig_record(before + 1)->lun, 1);
	assert_int_equal(rig_record(before + 1)->lba, 700);
	assert_int_equal(rig_record(before + 2)->lba, 600);
	assert_int_equal(rig_record(before + 3)->lba, 701);
	assert_int_equal(rig_record(before + 3)->blocks, 2);
	close_all();
}

static void zeroes(void **state)
{
	static const uint8_t zero[TOKEN_SIZE] = {0xff, 0xff, 0, 1, 0, 0, 0x01, 0xf8};

	(void)state;
	open_all();
	assert_int_equal(write_using(ME, zero, 0, target, 2)->status, SCSI_GOOD);
	assert_int_equal(copy_block(rig->second_disk, 2000), 0);
	assert_int_equal(copy_block(rig->second_disk, 799), 0);
	assert_int_equal(copy_block(rig->second_disk, 800), 1000800);
	assert_int_equal(receive(ME, 1, 6)->status, SCSI_GOOD);
	assert_int_equal(get_be(rig->buffer + 16, 8), 708);
	close_all();
}

/* --- whose they are --- */

static void differ(void **state)
{
	uint8_t first[TOKEN_SIZE], second[TOKEN_SIZE];
	unsigned same = 0;

	(void)state;
	open_all();
	make_token(source, 1, first);
	make_token(source, 1, second);
	for (size_t i = 64; i < TOKEN_SIZE; i++)
		same += first[i] == second[i];
	assert_true(same < 30);
	close_all();
}

static void of_another(void **state)
{
	uint8_t token[TOKEN_SIZE];

	(void)state;
	open_all();
	make_token(source, 3, token);
	assert_int_equal(rig_code(write_using(ELSE, token, 0, target, 2)), 0x2304);
	assert_int_equal(receive(ELSE, 0, 5)->status, SCSI_CHECK_CONDITION);
	token[300] ^= 1;
	assert_int_equal(rig_code(write_using(ME, token, 0, target, 2)), 0x2304);
	assert_int_equal(copy_block(rig->second_disk, 2000), 1002000);
	close_all();
}

/* P1: its rules bind when it is used, not only when it is made. */
static void is_protected(void **state)
{
	uint8_t token[TOKEN_SIZE];

	(void)state;
	open_all();
	make_token(source, 3, token);
	nexuses[MY_OTHER].rules.ranges[0] = (struct protected_range){51, 51, 0, true, 9};
	nexuses[MY_OTHER].rules.range_count = 1;
	assert_int_equal(rig_code(write_using(MY_OTHER, token, 0, target, 2)), 0x2700);
	assert_int_equal(rig_last(0)->rule_line, 9);
	nexuses[ELSE].rules = nexuses[MY_OTHER].rules;
	assert_int_equal(rig_code(populate(ELSE, source, 3)), 0x2700);
	close_all();
}

/* --- when they end --- */

static const struct {
	const char *why;
	enum who who;
	uint32_t lba;
	uint32_t code;
} writes[] = {
	{"a token is void when its first block is written", ME, 10, 0x2306},
	{"a token is void when another initiator writes there", ELSE, 1299, 0x2306},
	{"a token is void when its last range is written", MY_OTHER, 52, 0x2306},
	{"a token outlives writes between its ranges", ELSE, 53, 0},
	{"a token outlives writes before it", ME, 9, 0},
	{"a token outlives writes after it", ME, 1300, 0},
};

static void written(void **state)
{
	const __typeof__(writes[0]) *row = *state;
	uint8_t token[TOKEN_SIZE];

	open_all();
	make_token(source, 3, token);
	write_block(row->who, row->lba);
	assert_int_equal(rig_code(write_using(ME, token, 0, target, 2)), row->code);
	assert_int_equal(tokens_of_first(), row->code == 0);
	close_all();
}

/* What it returns is not to be believed any more. */
static void source_is_lost(void **state)
{
	uint8_t token[TOKEN_SIZE];

	(void)state;
	open_all();
	make_token(source, 3, token);
	rig->nexus.luns[0].failed = EIO;
	assert_int_equal(rig_code(write_using(ME, token, 0, target, 2)), 0x0d01);
	assert_int_equal(copy_block(rig->second_disk, 2000), 1002000);
	close_all();
}

static void reset(void **state)
{
	uint8_t token[TOKEN_SIZE];

	(void)state;
	open_all();
	make_token(source, 3, token);
	rig_reset_by(ELSE);
	rig_share();
	assert_int_equal(tokens_of_first(), 0);
	for (enum who who = ME; who <= ELSE; who++)
		nexus_of(who)->luns[0].attention_count = 0;
	assert_int_equal(rig_code(write_using(ME, token, 0, target, 2)), 0x2306);
	close_all();
}

static void grown(void **state)
{
	struct arbiter_news news = {.disk = 0, .size = 2ull * RIG_BLOCK * RIG_BLOCKS};
	uint8_t token[TOKEN_SIZE];

	(void)state;
	open_all();
	make_token(source, 3, token);
	court_news(&rig->court, &news, rig->nexus.now_ms);
	rig_share();
	assert_int_equal(tokens_of_first(), 0);
	assert_int_equal(rig_code(write_using(ME, token, 0, target, 2)), 0x2306);
	close_all();
}

static void expired(void **state)
{
	uint8_t token[TOKEN_SIZE];

	(void)state;
	open_all();
	make_token(source, 3, token);
	rig->nexus.now_ms += 59000;
	assert_int_equal(write_using(ME, token, 0, target, 2)->status, SCSI_GOOD);
	rig->nexus.now_ms += 59000;
	assert_int_equal(write_using(ME, token, 0, target, 2)->status, SCSI_GOOD);
	rig->nexus.now_ms += 61000;
	assert_int_equal(rig_code(write_using(ME, token, 0, target, 2)), 0x2307);
	write_block(ME, 10);
	assert_int_equal(tokens_of_first(), 0);
	close_all();
}

static void deleted(void **state)
{
	struct rig_command c;
	uint8_t token[TOKEN_SIZE];

	(void)state;
	open_all();
	make_token(source, 3, token);
	c = write_command(token, 0, target, 2);
	rig->buffer[2] = 2;
	assert_int_equal(run_as(ME, &c)->status, SCSI_GOOD);
	assert_int_equal(tokens_of_first(), 0);
	assert_int_equal(rig_code(write_using(ME, token, 0, target, 2)), 0x2304);
	close_all();
}

/* Of one initiator the oldest goes; others keep theirs. */
static void many(void **state)
{
	uint8_t first[TOKEN_SIZE], last[TOKEN_SIZE], theirs[TOKEN_SIZE];

	(void)state;
	open_all();
	assert_int_equal(populate(ELSE, source, 3)->status, SCSI_GOOD);
	take_token(ELSE, theirs);
	make_token(source, 3, first);
	for (unsigned i = 0; i < 40; i++)
		make_token(source, 3, last);
	assert_int_equal(tokens_of_first(), 9);
	assert_int_equal(rig_code(write_using(ME, first, 0, target, 2)), 0x2304);
	assert_int_equal(write_using(ME, last, 0, target, 2)->status, SCSI_GOOD);
	assert_int_equal(write_using(ELSE, theirs, 0, target, 2)->status, SCSI_GOOD);
	close_all();
}

/* The source is written while it is copied: the copy does not end with GOOD. */
static void written_meanwhile(void **state)
{
	static const uint8_t write_10[16] = {0x2a, 0, 0, 0, 4, 0x13, 0, 0, 1}; /* block 1043 */
	struct scsi_task reader, writer;
	uint8_t token[TOKEN_SIZE], cdb[16];
	struct rig_command c;

	(void)state;
	open_all();
	make_token(source, 3, token);
	c = write_command(token, 0, target, 2);
	rig_prepare(&reader, &c);
	memcpy(cdb, rig->cdb, 16);
	reader.cdb = cdb;
	assert_int_equal(go_on(&reader, scsi_begin(&reader)), SCSI_RUNNING);
	rig_share();
	rig_reap_one();
	writer = (struct scsi_task){.nexus = &nexuses[ELSE], .cdb = write_10, .cdb_len = 16};
	writer.edtl = 512;
	writer.write = true;
	writer.done = rig_done;
	assert_int_equal(scsi_begin(&writer), SCSI_WANT_DATA);
	writer.iov = &(struct iovec){rig->buffer + 4096, 512};
	writer.iov_count = 1;
	writer.buffer_len = 512;
	assert_int_equal(scsi_data_arrived(&writer), SCSI_RUNNING);
	for (unsigned turn = 0; turn < RIG_TURNS && rig->dones < 2; turn++) {
		rig_share();
		rig_reap();
	}
	assert_int_equal(writer.status, SCSI_GOOD);
	assert_int_equal(reader.status, SCSI_CHECK_CONDITION);
	assert_int_equal(rig_code(&reader), 0x2306);
	close_all();
}

/* --- blocks that somebody has for himself --- */

static enum scsi_step begin_compare(struct scsi_task *task, uint8_t lba)
{
	struct rig_command c = {{0x89}, .edtl = 1024, .write = true};
	static uint8_t cdb[16];

	c.cdb[9] = lba;
	c.cdb[13] = 1;
	rig_prepare(task, &c);
	memcpy(cdb, rig->cdb, sizeof cdb);
	task->cdb = cdb;
	memset(rig->buffer, 0, 1024);
	memcpy(rig->buffer, rig->disk + lba * RIG_BLOCK, 512);
	memcpy(rig->buffer + 512, rig->buffer, 512);
	return go_on(task, scsi_begin(task));
}

/* The first has the blocks, the second waits for them: then the arbiter hears nothing of the first
 * but that it is over, and it must need no more. */
static void compares(void **state)
{
	struct scsi_task first, second;
	struct arbiter_order order;
	uint8_t token[TOKEN_SIZE];

	(void)state;
	open_all();
	make_token(source, 3, token);
	assert_int_equal(begin_compare(&first, 100), SCSI_RUNNING); /* between the ranges */
	assert_int_equal(begin_compare(&second, 100), SCSI_RUNNING);
	for (unsigned turn = 0; turn < RIG_TURNS && rig->dones < 2; turn++) {
		if (scsi_order_next(&rig->nexus, &order)) {
			scsi_order_sent(&rig->nexus);
			assert_int_equal(
				rig_say(&rig->seats[0], ARBITER_ORDER, &order, sizeof order), 0);
			publish_generation(&rig->court, 0); /* somebody excludes somebody */
		}
		rig_share();
		rig_reap();
	}
	assert_int_equal(rig->dones, 2);
	assert_int_equal(first.status, SCSI_GOOD);
	assert_int_equal(second.status, SCSI_GOOD);
	close_all();
}

/* A token of blocks that somebody has for himself is made when he has written them. */
static void made_afterwards(void **state)
{
	struct scsi_task compare, maker;
	uint8_t list[64] = {0}, token[TOKEN_SIZE];
	struct rig_command c;

	(void)state;
	open_all();
	memset(rig->buffer, 0, 16);
	c = command(0x10, 0, 5, put_ranges(16, source, 3));
	memcpy(list, rig->buffer, sizeof list);
	assert_int_equal(begin_compare(&compare, 12), SCSI_RUNNING);
	rig_share();
	assert_int_equal(rig->queued, 1);
	rig_prepare(&maker, &c);
	assert_int_equal(scsi_begin(&maker), SCSI_WANT_DATA);
	maker.iov = &(struct iovec){list, sizeof list};
	maker.iov_count = 1;
	maker.buffer_len = sizeof list;
	assert_int_equal(scsi_data_arrived(&maker), SCSI_RUNNING);
	rig_share();
	assert_int_equal(tokens_of_first(), 0);
	rig_reap_one(); /* read */
	rig_share();
	assert_int_equal(tokens_of_first(), 0);
	rig_reap_one(); /* written */
	rig_share();
	assert_int_equal(rig->dones, 2);
	assert_int_equal(maker.status, SCSI_GOOD);
	rig->dones = 0;
	take_token(ME, token);
	assert_int_equal(write_using(ME, token, 0, target, 2)->status, SCSI_GOOD);
	close_all();
}

/* --- lists --- */

static const struct {
	const char *why;
	struct range ranges[3];
	unsigned count;
	uint32_t code;
} lists[] = {
	{"a token of no ranges", {{0, 0}}, 0, 0x2600},
	{"a token of no blocks", {{5, 0}}, 1, 0x2600},
	{"a token of blocks behind the end", {{RIG_BLOCKS - 1, 2}}, 1, 0x2100},
	{"a token of an LBA that wraps", {{UINT64_MAX, 2}}, 1, 0x2100},
	{"a token whose ranges overlap", {{5, 10}, {100, 1}, {14, 1}}, 3, 0x2600},
	{"a token of the last block", {{RIG_BLOCKS - 1, 1}}, 1, 0},
	{"a token of the whole disk", {{0, RIG_BLOCKS}}, 1, 0},
};

static void listed(void **state)
{
	const __typeof__(lists[0]) *row = *state;

	open_all();
	assert_int_equal(rig_code(populate(ME, row->ranges, row->count)), row->code);
	assert_int_equal(tokens_of_first(), row->code == 0);
	assert_int_equal(scsi_room(&rig->nexus), RIG_ADMISSIONS);
	close_all();
}

static void truncated(void **state)
{
	uint8_t token[TOKEN_SIZE];
	struct rig_command c;

	(void)state;
	open_all();
	make_token(source, 3, token);
	for (size_t len = 1; len < 568; len++) {
		c = write_command(token, 0, target, 2);
		put_be(c.cdb + 10, 4, len);
		assert_int_equal(rig_code(run_as(ME, &c)), 0x1a00);
	}
	for (size_t len = 1; len < 64; len++) {
		memset(rig->buffer, 0, 16);
		(void)put_ranges(16, source, 3);
		c = command(0x10, 0, 5, len);
		assert_int_equal(rig_code(run_as(ME, &c)), 0x1a00);
	}
	assert_int_equal(tokens_of_first(), 1);
	close_all();
}

int main(void)
{
	static struct tests t;

	tests_add(&t, "a token's blocks are copied in another session of its initiator", copies,
		  NULL);
	tests_add(&t, "an offset into a token; what it has no more of is a residual", with_offset,
		  NULL);
	tests_add(&t, "P2: source and destination are in the audit before a token is used",
		  is_audited, NULL);
	tests_add(&t, "the token of zeroes writes zeroes", zeroes, NULL);
	tests_add(&t, "two tokens of the same blocks are not alike", differ, NULL);
	tests_add(&t, "P1: a token is its initiator's, and every octet counts", of_another, NULL);
	tests_add(&t, "P1: what is protected is not read through a token", is_protected, NULL);
	TESTS_ADD_TABLE(&t, writes, written);
	tests_add(&t, "P4: nothing is copied from a disk that is lost", source_is_lost, NULL);
	tests_add(&t, "a token is void when its disk is reset", reset, NULL);
	tests_add(&t, "a token is void when its disk has grown", grown, NULL);
	tests_add(&t, "a token that is not used expires", expired, NULL);
	tests_add(&t, "a token is deleted where that is asked for", deleted, NULL);
	tests_add(&t, "P6: an initiator has a few tokens of a disk, and takes nobody else's", many,
		  NULL);
	tests_add(&t, "a copy whose source is written meanwhile fails", written_meanwhile, NULL);
	TESTS_ADD_TABLE(&t, lists, listed);
	tests_add(&t, "P4: who has blocks for himself needs no leave to write them", compares,
		  NULL);
	tests_add(&t, "a token waits for who has its blocks for himself", made_afterwards, NULL);
	tests_add(&t, "token lists that are cut anywhere are refused", truncated, NULL);
	return tests_run(&t, "scsi");
}
