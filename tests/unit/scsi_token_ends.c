/* How ROD tokens end: writes to their blocks, resets, growth, time, deletion, too many of them; and
 * what they have to do with blocks that somebody has for himself. */
#include "tests/unit/scsi_token_rig.h"

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
	rig_recorded();
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

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, writes, written);
	tests_add(&t, "P4: nothing is copied from a disk that is lost", source_is_lost, NULL);
	tests_add(&t, "a token is void when its disk is reset", reset, NULL);
	tests_add(&t, "a token is void when its disk has grown", grown, NULL);
	tests_add(&t, "a token that is not used expires", expired, NULL);
	tests_add(&t, "a token is deleted where that is asked for", deleted, NULL);
	tests_add(&t, "P6: an initiator has a few tokens of a disk, and takes nobody else's", many,
		  NULL);
	tests_add(&t, "a copy whose source is written meanwhile fails", written_meanwhile, NULL);
	tests_add(&t, "P4: who has blocks for himself needs no leave to write them", compares,
		  NULL);
	tests_add(&t, "a token waits for who has its blocks for himself", made_afterwards, NULL);
	return tests_run(&t, "scsi");
}
