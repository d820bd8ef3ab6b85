/* Commands that wait for their initiator's limits, in a device server whose clock is the test's:
 * they are later, not denied, no record tells of them before they go, and nobody waits for
 * ever, whatever is aborted, reset or changed meanwhile. */
#include "tests/unit/scsi_rig.h"
#include "tests/unit/scsi_copy_rig.h"

#define TASKS	 64
#define DEADLINE 600000 /* of the test's clock: what has not gone by then never will */

static struct client {
	struct scsi_task task;
	uint8_t cdb[16], octets[65536];
	struct iovec iov;
	bool begun, asked, done; /* asked: for its buffer, so it was admitted */
	uint64_t done_ms;
} clients[TASKS];

static void client_done(struct scsi_task *task)
{
	struct client *c = CONTAINER_OF(task, struct client, task);

	c->done = true;
	c->done_ms = rig->nexus.now_ms;
}

static void go_on(struct client *c, enum scsi_step step)
{
	while (step == SCSI_WANT_BUFFER || step == SCSI_WANT_DATA) {
		c->asked = true;
		c->iov = (struct iovec){c->octets, c->task.bytes};
		c->task.iov = &c->iov;
		c->task.iov_count = 1;
		c->task.buffer_len = c->task.bytes;
		step = step == SCSI_WANT_DATA ? scsi_data_arrived(&c->task)
					      : scsi_buffer_ready(&c->task);
	}
	if (step == SCSI_DONE)
		client_done(&c->task);
}

struct wanted {
	uint8_t opcode, lun;
	uint16_t blocks;
	enum scsi_attribute attribute;
};

static struct client *begin(unsigned n, struct wanted w)
{
	struct client *c = &clients[n];
	bool writes = w.opcode == 0x2a;

	*c = (struct client){.begun = true};
	c->cdb[0] = w.opcode;
	put_be(c->cdb + 7, 2, w.blocks);
	c->task = (struct scsi_task){
		.nexus = &rig->nexus,
		.lun = {0, w.lun},
		.cdb = c->cdb,
		.cdb_len = sizeof c->cdb,
		.tag = n,
		.edtl = (uint32_t)w.blocks * RIG_BLOCK,
		.attribute = (uint8_t)w.attribute,
		.read = w.opcode == 0x28,
		.write = writes,
		.done = client_done,
	};
	go_on(c, scsi_begin(&c->task));
	return c;
}

/* What a session's loop does in one turn. */
static void turn(void)
{
	struct scsi_task *task;

	rig_share();
	while (rig->queued > 0)
		rig_reap_one();
	rig->ended = rig->submitted = 0;
	rig_audit_durable();
	scsi_audit_moved(&rig->nexus);
	while ((task = scsi_next(&rig->nexus)) != NULL)
		go_on(CONTAINER_OF(task, struct client, task), scsi_start(task));
	while (rig->queued > 0)
		rig_reap_one();
	rig->ended = rig->submitted = 0;
	rig_audit_durable();
}

static void limit(int lun, struct limit_values values)
{
	scsi_limits(&rig->nexus, lun, &values, 1);
}

static void open_disks(void)
{
	rig_open(NULL);
	rig_add_second(1, true);
	memset(clients, 0, sizeof clients);
	turn();
}

/* --- rates --- */

/* Clients that give a next command as soon as the one before is done, for 10 s. */
static const struct mix {
	const char *why;
	struct limit_values all, first, second; /* of the nexus, of LUN 0, of LUN 1 */
	struct wanted commands[6];
	unsigned depth;
	uint64_t on_first, on_second; /* commands that are done in a second; 0: not looked at */
	uint64_t octets;
} mixes[] = {
	{"reads of 4 KiB, one at a time",
	 {.iops = 500},
	 .commands = {{0x28, 0, 8, 0}},
	 .depth = 1,
	 .on_first = 500},
	{"reads of 4 KiB, six at a time",
	 {.iops = 500},
	 .commands = {{0x28, 0, 8, 0}},
	 .depth = 6,
	 .on_first = 500},
	{"reads and writes, small and large",
	 {.bandwidth = 2 << 20},
	 .commands = {{0x28, 0, 1, 0}, {0x2a, 0, 64, 0}, {0x28, 0, 128, 0}, {0x2a, 0, 8, 0}},
	 .depth = 4,
	 .octets = 2 << 20},
	{"two LUNs share their initiator's",
	 {.iops = 400},
	 .commands = {{0x28, 0, 8, 0}, {0x28, 1, 8, 0}},
	 .depth = 6,
	 .on_first = 200,
	 .on_second = 200},
	{"each LUN has its own",
	 {0},
	 {.iops = 300},
	 {.iops = 100},
	 .commands = {{0x28, 0, 8, 0}, {0x28, 1, 8, 0}},
	 .depth = 6,
	 .on_first = 300,
	 .on_second = 100},
	{"a LUN without a limit is not held up by one that has some",
	 {0},
	 {.iops = 50},
	 {0},
	 .commands = {{0x28, 0, 8, 0}, {0x28, 1, 8, 0}},
	 .depth = 6,
	 .on_first = 50,
	 .on_second = 3000},
	{"a LUN's limit within its initiator's",
	 {.iops = 500},
	 {.iops = 100},
	 {0},
	 .commands = {{0x28, 0, 8, 0}, {0x28, 1, 8, 0}},
	 .depth = 6,
	 .on_first = 100,
	 .on_second = 400},
	{"commands at once of one LUN",
	 {.iops = 300},
	 {.outstanding = 1},
	 {0},
	 .commands = {{0x28, 0, 8, 0}, {0x28, 0, 8, 0}},
	 .depth = 6,
	 .on_first = 300},
	{"PRE-FETCH to the end counts what it reads",
	 {.bandwidth = 40 << 20},
	 .commands = {{0x34, 0, 0, 0}},
	 .depth = 3,
	 .on_first = 10},
	{"VERIFY counts what it reads",
	 {.bandwidth = 1 << 20},
	 .commands = {{0x2f, 0, 128, 0}},
	 .depth = 3,
	 .on_first = 16},
};

static void within(const char *why, uint64_t got, uint64_t wanted)
{
	if (wanted != 0 && (got < wanted * 95 / 100 || got > wanted * 105 / 100))
		fail_msg("%s: %llu, not %llu", why, (unsigned long long)got,
			 (unsigned long long)wanted);
}

struct sums {
	uint64_t commands[2], octets;
};

static void serve(const struct mix *mix, unsigned ms, struct sums *ret)
{
	unsigned kinds = 0;

	while (kinds < 6 && mix->commands[kinds].opcode != 0)
		kinds++;
	for (unsigned k = 0; k < ms; k++, rig->nexus.now_ms++) {
		for (unsigned n = 0; n < mix->depth; n++) {
			const struct wanted *w = &mix->commands[n % kinds];

			if (clients[n].done) {
				assert_int_equal(clients[n].task.status, SCSI_GOOD);
				ret->commands[w->lun]++;
				ret->octets += (uint64_t)w->blocks * RIG_BLOCK;
			}
			if (clients[n].done || !clients[n].begun)
				(void)begin(n, *w);
		}
		turn();
	}
}

static void rates(void **state)
{
	const struct mix *mix = *state;
	struct sums sums = {0};

	open_disks();
	limit(-1, mix->all);
	limit(0, mix->first);
	limit(1, mix->second);
	serve(mix, 10000, &sums);
	within(mix->why, sums.commands[0], mix->on_first * 10);
	within(mix->why, sums.commands[1], mix->on_second * 10);
	within(mix->why, sums.octets, mix->octets * 10);
	rig_close();
}

static void changed_midway(void **state)
{
	static const struct mix mix = {"", .commands = {{0x28, 0, 8, 0}}, .depth = 6};
	struct sums sums = {0};

	(void)state;
	open_disks();
	limit(-1, (struct limit_values){.iops = 100});
	serve(&mix, 5000, &sums);
	within("before", sums.commands[0], 500);
	limit(-1, (struct limit_values){.iops = 400});
	serve(&mix, 5000, &sums);
	within("after", sums.commands[0], 2500);
	limit(-1, (struct limit_values){0});
	sums.commands[0] = 0;
	serve(&mix, 1000, &sums);
	within("without", sums.commands[0], 6000);
	rig_close();
}

/* --- one by one --- */

/* Nobody may draw for 10 s. */
static void exhaust(void)
{
	limit(-1, (struct limit_values){.iops = 10, .bandwidth = 10 << 20});
	limits_draw(&rig->nexus.limits, 100, 0);
}

static void not_recorded_before_it_goes(void **state)
{
	uint64_t records;
	struct client *c;

	(void)state;
	open_disks();
	exhaust();
	records = rig->ring.head;
	c = begin(0, (struct wanted){0x2a, 0, 8, SCSI_SIMPLE});
	turn();
	assert_false(c->asked);
	assert_int_equal(rig->ring.head, records);
	assert_in_range(scsi_wake_ms(&rig->nexus), rig->nexus.now_ms + 9000,
			rig->nexus.now_ms + 10100);
	rig->nexus.now_ms = scsi_wake_ms(&rig->nexus);
	turn();
	assert_true(c->done && c->task.status == SCSI_GOOD);
	assert_int_equal(rig->ring.head, records + 1);
	assert_int_equal(rig_last(0)->verdict, VERDICT_ADMITTED);
	assert_int_equal(scsi_wake_ms(&rig->nexus), 0);
	rig_close();
}

/* It is judged by what is in force when it goes. */
static void denied_when_it_goes(void **state)
{
	struct client *c;

	(void)state;
	open_disks();
	exhaust();
	c = begin(0, (struct wanted){0x2a, 0, 8, SCSI_SIMPLE});
	rig->nexus.luns[0].writable = false;
	rig->nexus.now_ms += 20000;
	turn();
	assert_true(c->done && c->task.status == SCSI_CHECK_CONDITION);
	assert_int_equal(rig_last(0)->verdict, VERDICT_DENIED);
	rig_close();
}

static void what_is_no_medium_access_goes(void **state)
{
	static const uint8_t opcodes[] = {0x00, 0x12, 0x25, 0x1a, 0x4d};

	(void)state;
	open_disks();
	exhaust();
	(void)begin(0, (struct wanted){0x28, 0, 8, SCSI_SIMPLE});
	for (unsigned k = 0; k < ARRAY_LEN(opcodes); k++) {
		struct client *c = begin(1 + k, (struct wanted){opcodes[k], 0, 0, SCSI_SIMPLE});

		assert_true(c->done);
	}
	assert_false(clients[0].done);
	rig_close();
}

static const struct order {
	const char *why;
	enum scsi_attribute attributes[4];
	const char *ends; /* in this order */
} orders[] = {
	{"SIMPLE: first come, first served",
	 {SCSI_SIMPLE, SCSI_SIMPLE, SCSI_SIMPLE, SCSI_SIMPLE},
	 "0123"},
	{"HEAD OF QUEUE goes first",
	 {SCSI_SIMPLE, SCSI_SIMPLE, SCSI_HEAD_OF_QUEUE, SCSI_SIMPLE},
	 "2013"},
	{"two of them, as they came",
	 {SCSI_SIMPLE, SCSI_HEAD_OF_QUEUE, SCSI_HEAD_OF_QUEUE, SCSI_SIMPLE},
	 "1203"},
	{"ORDERED is not overtaken", {SCSI_SIMPLE, SCSI_ORDERED, SCSI_SIMPLE, SCSI_SIMPLE}, "0123"},
};

static void attributes(void **state)
{
	const struct order *order = *state;
	char ends[8] = "";

	open_disks();
	exhaust();
	for (unsigned n = 0; n < 4; n++)
		(void)begin(n, (struct wanted){0x28, 0, 8, order->attributes[n]});
	for (unsigned ms = 0; ms < 20000 && strlen(ends) < 4; ms++, rig->nexus.now_ms++) {
		turn();
		for (unsigned n = 0; n < 4; n++) {
			if (clients[n].done)
				ends[strlen(ends)] = (char)('0' + n);
			clients[n].done = false;
		}
	}
	assert_string_equal(ends, order->ends);
	rig_close();
}

static void cancelled(void **state)
{
	uint32_t room;
	uint64_t records;

	(void)state;
	open_disks();
	room = scsi_room(&rig->nexus);
	exhaust();
	records = rig->ring.head;
	for (unsigned n = 0; n < 4; n++)
		(void)begin(n, (struct wanted){0x28, 0, 8, SCSI_SIMPLE});
	assert_int_equal(scsi_room(&rig->nexus), room - 4); /* they keep their places */
	for (unsigned n = 1; n < 4; n++)
		assert_true(scsi_cancel(&clients[n].task));
	assert_int_equal(scsi_room(&rig->nexus), room - 1);
	rig->nexus.now_ms += 20000;
	turn();
	assert_true(clients[0].done && !clients[1].done && !clients[3].done);
	assert_int_equal(rig->ring.head, records + 1);
	assert_int_equal(scsi_room(&rig->nexus), room);
	assert_int_equal(rig->nexus.luns[0].limits.going, 0);
	rig_close();
}

/* It has drawn, and its host has not asked for it yet. */
static void cancelled_when_it_may_go(void **state)
{
	uint32_t room;

	(void)state;
	open_disks();
	room = scsi_room(&rig->nexus);
	exhaust();
	(void)begin(0, (struct wanted){0x28, 0, 8, SCSI_SIMPLE});
	(void)begin(1, (struct wanted){0x28, 0, 8, SCSI_SIMPLE});
	rig->nexus.now_ms += 30000;
	scsi_shared_turn(&rig->nexus);
	assert_true(scsi_cancel(&clients[0].task));
	assert_int_equal(rig->nexus.luns[0].limits.going, 0);
	turn();
	rig->nexus.now_ms += 1000;
	turn();
	assert_true(clients[1].done && !clients[0].done);
	assert_int_equal(scsi_room(&rig->nexus), room);
	rig_close();
}

static void reset_by_another(void **state)
{
	struct scsi_nexus other;

	(void)state;
	open_disks();
	rig_open_peer(1, &other);
	exhaust();
	for (unsigned n = 0; n < 3; n++)
		(void)begin(n, (struct wanted){0x28, 0, 8, SCSI_SIMPLE});
	rig_reset_by(1);
	turn();
	assert_true(rig->seats[0].to_end & 1);
	for (unsigned n = 0; n < 3; n++) /* as the session does it */
		assert_true(scsi_cancel(&clients[n].task));
	scsi_tasks_ended(&rig->nexus, 0);
	turn();
	assert_int_equal(rig->nexus.luns[0].begun, 0);
	assert_null(rig->nexus.limited.first);
	scsi_nexus_close(&other);
	rig_close();
}

/* --- what moves more than its CDB says --- */

static struct client *begin_copy(unsigned blocks)
{
	struct copy_case copy = {.segments = {{.from = 0, .to = 1, .blocks = (uint16_t)blocks}}};
	struct client *c = &clients[0];
	size_t len = copy_put(&copy);
	struct rig_command command = copy_command(len);

	*c = (struct client){.begun = true};
	memcpy(c->octets, rig->buffer, len);
	memcpy(c->cdb, command.cdb, sizeof c->cdb);
	c->task = (struct scsi_task){.nexus = &rig->nexus,
				     .cdb = c->cdb,
				     .cdb_len = sizeof c->cdb,
				     .edtl = (uint32_t)len,
				     .write = true,
				     .done = client_done};
	go_on(c, scsi_begin(&c->task));
	return c;
}

/* 4 MiB read and 4 MiB written, in pieces, of 1 MiB a second. */
static void a_copy_keeps_to_it(void **state)
{
	struct client *c;
	uint64_t from;

	(void)state;
	open_disks();
	limit(-1, (struct limit_values){.bandwidth = 1 << 20});
	limit(0, (struct limit_values){.outstanding = 1}); /* it does not wait for itself */
	limit(1, (struct limit_values){.outstanding = 1});
	from = rig->nexus.now_ms;
	c = begin_copy(8192);
	while (!c->done && rig->nexus.now_ms < from + DEADLINE) {
		turn();
		rig->nexus.now_ms++;
	}
	assert_true(c->done && c->task.status == SCSI_GOOD);
	assert_in_range(c->done_ms - from, 6500, 8400); /* the last piece may be owed */
	rig_close();
}

/* The first reads wait behind the copy's piece, the copy's next piece behind them. */
static void a_copy_and_reads_take_turns(void **state)
{
	static const struct mix mix = {"", .commands = {{0x28, 0, 128, 0}}, .depth = 4};
	struct client *c;
	unsigned reads = 0;

	(void)state;
	open_disks();
	limit(0, (struct limit_values){.bandwidth = 1 << 20, .outstanding = 2});
	c = begin_copy(8192);
	for (unsigned ms = 0; !c->done && ms < DEADLINE; ms++, rig->nexus.now_ms++) {
		for (unsigned n = 1; n < mix.depth; n++) {
			reads += clients[n].done;
			if (clients[n].done || !clients[n].begun)
				(void)begin(n, mix.commands[0]);
		}
		turn();
	}
	assert_true(c->done && c->task.status == SCSI_GOOD);
	assert_true(reads > 10);
	rig_close();
}

static void a_copy_is_cancelled(void **state)
{
	struct client *c;

	(void)state;
	open_disks();
	limit(-1, (struct limit_values){.bandwidth = 1 << 20});
	c = begin_copy(8192);
	for (unsigned k = 0; k < 50; k++, rig->nexus.now_ms++)
		turn();
	assert_true(!c->done && rig->nexus.limited.first == &c->task);
	assert_true(scsi_cancel(&c->task));
	assert_int_equal(rig_last(0)->verdict, VERDICT_FAILED); /* it had begun */
	assert_null(rig->nexus.limited.first);
	turn();
	rig_close();
}

/* --- whatever happens --- */

static uint32_t dice_state;

static uint32_t dice(uint32_t sides)
{
	dice_state = dice_state * 1664525u + 1013904223u;
	return (dice_state >> 8) % sides;
}

static void change_limits(void)
{
	struct limit_values v = {
		.bandwidth = dice(3) ? 0 : (1u + dice(8)) << 20,
		.iops = dice(3) ? 0 : 10 + dice(1000),
		.outstanding = dice(2) ? 0 : 1 + dice(4),
	};

	scsi_limits(&rig->nexus, (int)dice(3) - 1, &v, 1 + dice(3));
}

static void one_step(void)
{
	static const uint8_t opcodes[] = {0x28, 0x2a, 0x2f, 0x35, 0x00, 0x34};
	struct client *c = &clients[dice(RIG_ADMISSIONS)];

	if (!c->begun && scsi_room(&rig->nexus) > 0)
		(void)begin((unsigned)(c - clients),
			    (struct wanted){opcodes[dice(6)], (uint8_t)dice(2),
					    (uint16_t)(1 + dice(128)),
					    (enum scsi_attribute)(1 + dice(3))});
	else if (c->begun && !c->done && dice(10) == 0)
		c->begun = !scsi_cancel(&c->task);
	if (c->done)
		c->begun = c->done = false;
	if (dice(50) == 0)
		change_limits();
	rig->nexus.now_ms += dice(20);
	turn();
}

static void nobody_waits_for_ever(void **state)
{
	uint32_t room;

	(void)state;
	for (dice_state = 1; dice_state < 20; dice_state += 2) {
		uint32_t seed = dice_state;

		open_disks();
		room = scsi_room(&rig->nexus);
		for (unsigned k = 0; k < 2000; k++)
			one_step();
		for (unsigned ms = 0; ms < DEADLINE / 10; ms += 10, rig->nexus.now_ms += 10)
			turn();
		for (unsigned n = 0; n < RIG_ADMISSIONS; n++)
			assert_true(clients[n].done || !clients[n].begun);
		assert_int_equal(scsi_room(&rig->nexus), room);
		assert_int_equal(rig->nexus.luns[0].limits.going, 0);
		assert_int_equal(rig->nexus.luns[1].limits.going, 0);
		assert_int_equal(scsi_wake_ms(&rig->nexus), 0);
		rig_close();
		dice_state = seed;
	}
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, mixes, rates);
	tests_add(&t, "limits that change while commands wait", changed_midway, NULL);
	tests_add(&t, "P2: its record is made when it goes, and it is no denial",
		  not_recorded_before_it_goes, NULL);
	tests_add(&t, "it is judged by what is in force when it goes", denied_when_it_goes, NULL);
	tests_add(&t, "what does not access the medium does not wait",
		  what_is_no_medium_access_goes, NULL);
	TESTS_ADD_TABLE(&t, orders, attributes);
	tests_add(&t, "who waits keeps a place in the window, until it is aborted", cancelled,
		  NULL);
	tests_add(&t, "who may go is aborted before it has begun", cancelled_when_it_may_go, NULL);
	tests_add(&t, "another session resets the LUN", reset_by_another, NULL);
	tests_add(&t, "a copy draws for each piece that it reads and writes", a_copy_keeps_to_it,
		  NULL);
	tests_add(&t, "a copy and reads take turns, also with few commands at once",
		  a_copy_and_reads_take_turns, NULL);
	tests_add(&t, "a copy that waits is aborted", a_copy_is_cancelled, NULL);
	tests_add(&t, "whatever comes, is aborted, is changed: nobody waits for ever",
		  nobody_waits_for_ever, NULL);
	return tests_run(&t, "scsi_limited");
}
