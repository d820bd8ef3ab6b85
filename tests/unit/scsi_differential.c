/* Random commands of four sessions on one disk, against a model of it (scsi_model.h). The court
 * hears and says things late; commands are cancelled, and requests fail; disk, data and status have
 * to be the model's. SALLYPORT_SOAK=1 runs a million commands, else it is 20 000. */
#include "tests/unit/scsi_model.h"
#include "tests/unit/scsi_copy_rig.h"

#define HOT	   24u
#define STUCK	   2000000u /* turns without an end */
#define QUICK	   20000u
#define SOAK	   1000000u
#define MISCOMPARE 0x1d00
#define OPS	   6u /* of a session at once */

static struct op ops[RIG_SEATS][OPS];
static struct scsi_nexus peers[RIG_SEATS - 1];
static struct {
	size_t begun, over, good, differing, refused, hurt, cancelled, of[KINDS];
} figures;

static struct scsi_nexus *nexus_of(unsigned seat)
{
	return seat == 0 ? &rig->nexus : &peers[seat - 1];
}

/* --- commands --- */

static void choose_blocks(struct op *op, uint32_t most)
{
	uint32_t blocks = 1 + (uint32_t)chance(one_in(100) ? most : one_in(10) ? 32 : 8);

	op->blocks = MIN(blocks, most);
	op->lba = chance(one_in(4) ? BLOCKS : HOT);
	if (op->lba + op->blocks > BLOCKS && !one_in(2)) /* else it is out of range */
		op->lba = BLOCKS - op->blocks;
}

/* Octets that no other write has. */
static void fill(uint8_t *at, size_t len)
{
	for (; len > 0; len -= RIG_BLOCK, at += RIG_BLOCK) {
		put_be(at, 8, ++stamp);
		for (size_t done = 8; done < RIG_BLOCK; done *= 2)
			memcpy(at + done, at, done);
	}
}

/* What is there now, most often. */
static void guess(uint8_t *at, const struct op *op)
{
	size_t from = MIN(op->lba, BLOCKS) * RIG_BLOCK, len = op->blocks * RIG_BLOCK;

	memset(at, 0, len);
	memcpy(at, model + from, MIN(len, OCTETS - from));
	if (one_in(8))
		at[chance(len)] ^= 1;
}

static void set_cdb(struct op *op, uint8_t opcode, uint8_t flags)
{
	op->cdb[0] = opcode;
	op->cdb[1] = flags;
	put_be(op->cdb + 2, 8, op->lba);
	put_be(op->cdb + 10, 4, op->blocks);
}

static void set_out(struct op *op, size_t len)
{
	op->task.write = len > 0;
	op->task.edtl = (uint32_t)len;
}

static uint8_t some_fua(void)
{
	return one_in(8) ? 0x08 : 0;
}

static void make_read(struct op *op)
{
	choose_blocks(op, BLOCKS);
	set_cdb(op, 0x88, some_fua());
	op->task.read = true;
	op->task.edtl = op->blocks * RIG_BLOCK;
}

static void make_verify(struct op *op)
{
	choose_blocks(op, BLOCKS);
	set_cdb(op, 0x8f, 0x02);
	guess(op->out, op);
	set_out(op, op->blocks * RIG_BLOCK);
}

static void make_write(struct op *op)
{
	choose_blocks(op, BLOCKS);
	set_cdb(op,
		op->kind == WRITE ? 0x8a
		: op->kind == OR  ? 0x8b
				  : 0x8e,
		op->kind == VERIFIED ? 0x02 : some_fua());
	fill(op->out, op->blocks * RIG_BLOCK);
	set_out(op, op->blocks * RIG_BLOCK);
}

static void make_same(struct op *op)
{
	bool zeroes = one_in(2);

	choose_blocks(op, BLOCKS);
	set_cdb(op, 0x93, one_in(2) ? 0x08 : 0); /* UNMAP */
	if (zeroes)
		memset(op->out, 0, RIG_BLOCK);
	else
		fill(op->out, RIG_BLOCK);
	set_out(op, RIG_BLOCK);
}

static void make_unmap(struct op *op)
{
	choose_blocks(op, BLOCKS);
	op->lba = MIN(op->lba, BLOCKS - op->blocks);
	op->cdb[0] = 0x42;
	op->cdb[8] = 24;
	memset(op->out, 0, 24);
	put_be(op->out, 2, 22);
	put_be(op->out + 2, 2, 16);
	put_be(op->out + 8, 8, op->lba);
	put_be(op->out + 16, 4, op->blocks);
	set_out(op, 24);
}

static void make_compare(struct op *op)
{
	size_t half;

	choose_blocks(op, COMPARE_AND_WRITE_MAX_BLOCKS);
	half = op->blocks * RIG_BLOCK;
	set_cdb(op, 0x89, some_fua());
	put_be(op->cdb + 10, 4, 0);
	op->cdb[13] = (uint8_t)op->blocks;
	guess(op->out, op);
	fill(op->out + half, half);
	set_out(op, 2 * half);
}

static void make_atomic(struct op *op)
{
	choose_blocks(op, BLOCKS);
	set_cdb(op, 0x9c, some_fua()); /* the length's upper half is ATOMIC BOUNDARY: none */
	fill(op->out, op->blocks * RIG_BLOCK);
	set_out(op, op->blocks * RIG_BLOCK);
}

static void make_copy(struct op *op)
{
	const struct copy_target unit = {.lun = 0};
	struct copy_segment segment;
	size_t len = 16 + COPY_TARGET_SIZE + COPY_SEGMENT_SIZE;

	choose_blocks(op, 64);
	op->lba = MIN(op->lba, BLOCKS - op->blocks);
	op->source = chance(BLOCKS - op->blocks + 1);
	op->cdb[0] = 0x83;
	put_be(op->cdb + 10, 4, len);
	memset(op->out, 0, 16);
	op->out[1] = 0x18; /* not to be remembered */
	put_be(op->out + 2, 2, COPY_TARGET_SIZE);
	put_be(op->out + 8, 4, COPY_SEGMENT_SIZE);
	segment = (struct copy_segment){
		.blocks = (uint16_t)op->blocks, .from_lba = op->source, .to_lba = op->lba};
	copy_put_target(op->out + 16, &unit);
	copy_put_segment(op->out + 16 + COPY_TARGET_SIZE, &segment);
	set_out(op, len);
}

static const struct {
	void (*make)(struct op *op);
	unsigned weight;
} kinds[KINDS] = {
	[READ] = {make_read, 5},       [VERIFY] = {make_verify, 3}, [WRITE] = {make_write, 5},
	[VERIFIED] = {make_write, 1},  [SAME] = {make_same, 3},	    [UNMAP] = {make_unmap, 2},
	[COMPARE] = {make_compare, 6}, [OR] = {make_write, 2},	    [ATOMIC] = {make_atomic, 3},
	[COPY] = {make_copy, 2},
};

static enum kind choose_kind(void)
{
	unsigned all = 0, at;
	int k = -1;

	for (size_t i = 0; i < KINDS; i++)
		all += kinds[i].weight;
	at = (unsigned)chance(all);
	do {
		k++;
		all -= kinds[k].weight;
	} while (all > at);
	return (enum kind)k;
}

/* --- ends --- */

static void check_good(const struct op *op)
{
	bool looks = op->kind == READ || op->kind == VERIFY || op->kind == COMPARE;

	figures.good++;
	assert_int_equal(op->task.status, SCSI_GOOD);
	if (looks)
		assert_int_equal(op->looked, op->blocks);
	if (op->kind != READ && op->kind != VERIFY)
		assert_int_equal(op->wrote, op->blocks);
	if (op->kind == READ && memcmp(op->in, op->seen, op->blocks * RIG_BLOCK) != 0)
		fail_msg("a read returns what was not there");
}

static void check_refused(const struct op *op)
{
	figures.refused++;
	assert_int_equal(op->task.status, SCSI_CHECK_CONDITION);
	assert_int_equal(rig_code(&op->task), 0x2100);
	assert_int_equal(op->wrote + op->looked, 0);
}

static void check_differs(const struct op *op)
{
	figures.differing++;
	assert_int_equal(op->task.status, SCSI_CHECK_CONDITION);
	assert_int_equal(rig_code(&op->task), MISCOMPARE);
	assert_int_equal(get_be(op->task.sense + 3, 4), op->differs_at);
	assert_int_equal(op->wrote, op->kind == VERIFIED ? op->blocks : 0);
}

/* However it ended, it was written as a whole or not at all. */
static void check_whole(const struct op *op)
{
	size_t at = op->lba * RIG_BLOCK;

	if (!op->hurt)
		assert_true(op->wrote == 0 || op->wrote == op->blocks);
	else if (op->wrote > 0 && memcmp(model + at, op->seen, op->blocks * RIG_BLOCK) != 0)
		fail_msg("of a write atomic that failed something is left");
}

static void op_over(struct op *op)
{
	assert_true(op->live);
	op->live = false;
	if (op->kind == ATOMIC)
		check_whole(op);
	disown(op);
	figures.over++;
	assert_null(op->task.admission);
	if (op->cancelled) {
		figures.cancelled++;
	} else if (op->lba + op->blocks > BLOCKS) {
		check_refused(op);
	} else if (op->hurt) {
		figures.hurt++;
		assert_int_equal(op->task.status, SCSI_CHECK_CONDITION);
	} else if (op->differs) {
		check_differs(op);
	} else {
		check_good(op);
	}
}

static void on_done(struct scsi_task *task)
{
	op_over(CONTAINER_OF(task, struct op, task));
}

/* --- the sessions --- */

static void go_on(struct op *op, enum scsi_step step)
{
	struct scsi_task *task = &op->task;
	size_t cut = chance(3) * 100;

	if (step == SCSI_WANT_DATA || step == SCSI_WANT_BUFFER) {
		uint8_t *buffer = step == SCSI_WANT_DATA ? op->given : op->in;

		assert_true(task->bytes <= OCTETS);
		memcpy(op->given, op->out, task->write ? task->bytes : 0);
		cut = MIN(cut, task->bytes);
		op->iov[0] = (struct iovec){buffer, cut};
		op->iov[1] = (struct iovec){buffer + cut, task->bytes - cut};
		task->iov = op->iov;
		task->iov_count = 2;
		task->buffer_len = task->bytes;
		step = step == SCSI_WANT_DATA ? scsi_data_arrived(task) : scsi_buffer_ready(task);
	}
	if (step == SCSI_DONE)
		op_over(op);
	else
		assert_int_equal(step, SCSI_RUNNING);
}

static void op_begin(struct op *op, unsigned seat)
{
	static const uint8_t attributes[] = {SCSI_ORDERED, SCSI_HEAD_OF_QUEUE};

	op->task = (struct scsi_task){
		.nexus = nexus_of(seat),
		.cdb = op->cdb,
		.cdb_len = 16,
		.attribute = one_in(50) ? attributes[chance(2)] : SCSI_SIMPLE,
		.done = on_done,
	};
	memset(op->cdb, 0, sizeof op->cdb);
	op->live = true;
	op->cancelled = op->hurt = op->alone = op->differs = false;
	op->stepped = op->wrote = op->looked = 0;
	op->kind = choose_kind();
	kinds[op->kind].make(op);
	figures.begun++;
	figures.of[op->kind]++;
	rig_audit();
	go_on(op, scsi_begin(&op->task));
}

static void begin_some(void)
{
	unsigned seat = (unsigned)chance(RIG_SEATS);
	struct op *op = &ops[seat][chance(OPS)];

	if (!op->live)
		op_begin(op, seat);
}

static void cancel_some(void)
{
	struct op *op = &ops[chance(RIG_SEATS)][chance(OPS)];

	if (!op->live || op->cancelled)
		return;
	op->cancelled = true;
	if (scsi_cancel(&op->task))
		op_over(op);
}

static void share_some(void)
{
	unsigned seat = (unsigned)chance(RIG_SEATS);
	struct scsi_task *task;

	(void)rig_share_one(&rig->seats[seat]);
	while ((task = scsi_next(nexus_of(seat))) != NULL)
		go_on(CONTAINER_OF(task, struct op, task), scsi_start(task));
}

static void audit_some(void)
{
	rig_audit_durable();
	for (unsigned seat = 0; seat < RIG_SEATS; seat++)
		scsi_audit_moved(nexus_of(seat));
}

static void turn(bool more)
{
	uint64_t what = chance(16);

	rig->submitted = 0;
	if (what < 4 && more)
		begin_some();
	else if (what < 11 && rig->queued > 0)
		step_io();
	else if (what < 15)
		share_some();
	else if (one_in(4))
		cancel_some();
	else
		audit_some();
}

static void run(uint64_t seed, size_t commands)
{
	size_t end = figures.begun + commands, over = figures.over, quiet = 0;

	printf("seed %llu\n", (unsigned long long)seed);
	state_of_chance = seed * 0x9e3779b97f4a7c15;
	rig_open(NULL);
	memset(model, 0, sizeof model);
	rig->nexus.luns[0].thin = true;
	rig->nexus.luns[0].blocks = BLOCKS;
	rig->nexus.luns[0].physical_block_size = RIG_BLOCK; /* WRITE ATOMIC of any block */
	for (unsigned seat = 1; seat < RIG_SEATS; seat++)
		rig_open_peer(seat, nexus_of(seat));
	while (figures.begun < end || figures.over < figures.begun) {
		turn(figures.begun < end);
		quiet = figures.over == over ? quiet + 1 : 0;
		over = figures.over;
		assert_true(quiet < STUCK);
	}
	assert_memory_equal(rig->disk, model, OCTETS);
	rig_share();
	assert_int_equal(atomic_load(&rig->shared->disks[0].range_count), 0);
	for (unsigned seat = 0; seat < RIG_SEATS; seat++)
		assert_int_equal(scsi_room(nexus_of(seat)), RIG_ADMISSIONS);
	for (unsigned seat = 1; seat < RIG_SEATS; seat++)
		scsi_nexus_close(nexus_of(seat));
	rig_close();
}

static void differential(void **state)
{
	const char *soak = getenv("SALLYPORT_SOAK");
	size_t commands = soak != NULL && soak[0] != '\0' ? SOAK : QUICK;

	(void)state;
	for (uint64_t seed = 1; seed <= 10; seed++)
		run(seed, commands / 10);
}

static void tell(void)
{
	printf("ok scsi: %zu commands of 4 sessions against a model of the disk:", figures.over);
	for (size_t k = 0; k < KINDS; k++)
		printf(" %zu %s,", figures.of[k], kind_names[k]);
	printf(" of them %zu good, %zu miscompares, %zu out of range, %zu on a failing disk, "
	       "%zu aborted; no difference\n",
	       figures.good, figures.differing, figures.refused, figures.hurt, figures.cancelled);
}

int main(void)
{
	static struct tests t;
	int failed;

	tests_add(&t, "random commands of four sessions do what a model of the disk does",
		  differential, NULL);
	failed = tests_run(&t, "scsi differential");
	if (failed == 0)
		tell();
	return failed;
}
