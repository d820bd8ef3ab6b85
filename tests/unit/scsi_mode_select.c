/* MODE SELECT: lists that are refused, and where; what is changed, for whom, and until when. */
#include "tests/unit/scsi_mode_rig.h"

#define LIST_MAX 64

static const struct rig_command ready = {{0}, .edtl = 0};

struct list_row {
	const char *why;
	uint8_t opcode; /* 15h or 55h */
	uint8_t list[LIST_MAX];
	size_t len;
	uint16_t code;	/* 0: it is taken */
	int octet, bit; /* of the field pointer; -1: none */
	uint8_t modes;	/* the octet of mode parameters, when it is taken */
};

#define HEADER_6	 0, 0, 0, 0
#define HEADER_10	 0, 0, 0, 0, 0, 0, 0, 0
#define ZEROES_14	 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
#define CACHING(octet_2) 0x08, 0x12, octet_2, ZEROES_14, 0, 0, 0
#define CONTROL(octet_2, octet_3, octet_4, octet_5) \
	0x0a, 0x0a, octet_2, octet_3, octet_4, octet_5, 0, 0, 0, 0, 0, 0

/* clang-format off */
static const struct list_row rows[] = {
	{"a list of less than the header of 6", 0x15, {0}, 3, 0x1a00, -1, 0, 0},
	{"a list of less than the header of 10", 0x55, {0}, 7, 0x1a00, -1, 0, 0},
	{"a medium type, of 6", 0x15, {0, 1, 0, 0}, 4, 0x2600, 1, 7, 0},
	{"a medium type, of 10", 0x55, {0, 0, 1}, 8, 0x2600, 2, 7, 0},
	{"a block descriptor of another length", 0x15, {0, 0, 0, 4}, 8, 0x2600, 3, 7, 0},
	{"a long block descriptor with 6", 0x15, {0, 0, 0, 16}, 20, 0x2600, 3, 7, 0},
	{"a long block descriptor without LONGLBA", 0x55, {0, 0, 0, 0, 0, 0, 0, 16}, 24, 0x2600, 6, 7, 0},
	{"a short block descriptor with LONGLBA", 0x55, {0, 0, 0, 0, 1, 0, 0, 8}, 16, 0x2600, 6, 7, 0},
	{"a block descriptor that is cut", 0x15, {0, 0, 0, 8}, 11, 0x1a00, -1, 0, 0},
	{"another number of blocks", 0x15, {0, 0, 0, 8, 0, 0, 0x40, 1}, 12, 0x2600, 4, 7, 0},
	{"another block size", 0x15, {0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0x10, 0}, 12, 0x2600, 9, 7, 0},
	{"another number of blocks, long", 0x55, {0, 0, 0, 0, 1, 0, 0, 16, [15] = 1}, 24, 0x2600, 8, 7, 0},
	{"another block size, long", 0x55, {0, 0, 0, 0, 1, 0, 0, 16, [23] = 1}, 24, 0x2600, 20, 7, 0},
	{"a page that is not there", 0x15, {HEADER_6, 0x19, 2, 0, 0}, 8, 0x2600, 4, 5, 0},
	{"a page that is not there, of 10", 0x55, {HEADER_10, 0x19, 2, 0, 0}, 12, 0x2600, 8, 5, 0},
	{"the code of all pages", 0x15, {HEADER_6, 0x3f, 0}, 6, 0x2600, 4, 5, 0},
	{"a subpage that is not there", 0x15, {HEADER_6, 0x4a, 2, 0, 0}, 8, 0x2600, 5, 7, 0},
	{"a page without subpages in subpage format", 0x15, {HEADER_6, 0x48, 0, 0, 0x10}, 24, 0x2600, 4, 5, 0},
	{"a page of another length", 0x15, {HEADER_6, 0x08, 0x0a}, 16, 0x2600, 5, 7, 0},
	{"a subpage of another length", 0x15, {HEADER_6, 0x4a, 1, 0, 8}, 16, 0x2600, 6, 7, 0},
	{"a page that is cut", 0x15, {HEADER_6, CACHING(0)}, 23, 0x1a00, -1, 0, 0},
	{"a page's header that is cut", 0x15, {HEADER_6, 0x08}, 5, 0x1a00, -1, 0, 0},
	{"a subpage's header that is cut", 0x15, {HEADER_6, 0x4a, 1, 0}, 7, 0x1a00, -1, 0, 0},
	{"RCD can't be changed", 0x15, {HEADER_6, CACHING(5)}, 24, 0x2600, 6, 0, 0},
	{"TST can't be changed", 0x15, {HEADER_6, CONTROL(0x02, 0x10, 0, 0)}, 16, 0x2600, 6, 5, 0},
	{"QERR can't be changed", 0x15, {HEADER_6, CONTROL(0x22, 0x12, 0, 0)}, 16, 0x2600, 7, 1, 0},
	{"UA_INTLCK_CTRL can't be changed", 0x15, {HEADER_6, CONTROL(0x22, 0x10, 0x38, 0)}, 16, 0x2600, 8, 5, 0},
	{"RWWP can't be changed", 0x15, {HEADER_6, CONTROL(0x22, 0x10, 0, 0x10)}, 16, 0x2600, 9, 4, 0},
	{"a reserved octet", 0x15, {HEADER_6, 0x0a, 0x0a, 0x22, 0x10, [15] = 1}, 16, 0x2600, 15, 0, 0},
	{"DEXCPT can't be changed", 0x15, {HEADER_6, 0x1c, 0x0a}, 16, 0x2600, 6, 3, 0},
	{"control extension can't be changed", 0x15, {HEADER_6, 0x4a, 1, 0, 0x1c, 4}, 36, 0x2600, 8, 2, 0},
	{"a wrong page behind a good one: nothing is changed", 0x15,
	 {HEADER_6, CACHING(0), CONTROL(0x22, 0x90, 0, 0)}, 36, 0x2600, 27, 7, 0},

	{"an empty list", 0x15, {0}, 0, 0, -1, 0, 0},
	{"a header alone", 0x15, {HEADER_6}, 4, 0, -1, 0, 0},
	{"reserved octets as MODE SENSE has them", 0x15, {0x43, 0, 0x90, 0}, 4, 0, -1, 0, 0},
	{"the capacity that it has", 0x15, {0, 0, 0, 8, 0, 0, 0x40, 0, 0, 0, 2, 0}, 12, 0, -1, 0, 0},
	{"no capacity", 0x15, {0, 0, 0, 8}, 12, 0, -1, 0, 0},
	{"as many blocks as there are", 0x15, {0, 0, 0, 8, 0xff, 0xff, 0xff, 0xff}, 12, 0, -1, 0, 0},
	{"the capacity that it has, long", 0x55,
	 {0, 0, 0, 0, 1, 0, 0, 16, [14] = 0x40, [22] = 2}, 24, 0, -1, 0, 0},
	{"the values that there are", 0x15, {HEADER_6, CACHING(4), CONTROL(0x22, 0x10, 0, 0)}, 36, 0, -1, 0, 0},
	{"WCE=0", 0x15, {HEADER_6, CACHING(0)}, 24, 0, -1, 0, MODE_NO_WRITE_CACHE},
	{"WCE=0, of 10", 0x55, {HEADER_10, CACHING(0)}, 28, 0, -1, 0, MODE_NO_WRITE_CACHE},
	{"WCE=0, behind a block descriptor", 0x15,
	 {0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, CACHING(0)}, 32, 0, -1, 0, MODE_NO_WRITE_CACHE},
	{"PS is reserved, and left as MODE SENSE has it", 0x15,
	 {HEADER_6, 0x88, 0x12, [23] = 0}, 24, 0, -1, 0, MODE_NO_WRITE_CACHE},
	{"D_SENSE", 0x15, {HEADER_6, CONTROL(0x26, 0x10, 0, 0)}, 16, 0, -1, 0, MODE_D_SENSE},
	{"SWP", 0x15, {HEADER_6, CONTROL(0x22, 0x10, 8, 0)}, 16, 0, -1, 0, MODE_SWP},
	{"TAS", 0x15, {HEADER_6, CONTROL(0x22, 0x10, 0, 0x40)}, 16, 0, -1, 0, MODE_TAS},
	{"pages in any order", 0x15, {HEADER_6, CONTROL(0x26, 0x10, 0, 0x40), CACHING(0)}, 36, 0, -1, 0,
	 MODE_NO_WRITE_CACHE | MODE_D_SENSE | MODE_TAS},
	{"of the same page the last counts", 0x15, {HEADER_6, CACHING(0), CACHING(4)}, 44, 0, -1, 0, 0},
	{"pages in which nothing can be changed", 0x15,
	 {HEADER_6, 0x4a, 1, 0, 0x1c, [36] = 0x01, 0x0a}, 48, 0, -1, 0, 0},
};
/* clang-format on */

static uint64_t generation(void)
{
	return atomic_load(&rig->shared->generations[0]);
}

static uint8_t modes_now(void)
{
	return rig->seats[0].view.luns[0].state.modes[0];
}

static void expect_pointer(const struct scsi_task *task, uint8_t first, int octet, int bit)
{
	if (octet < 0) {
		assert_int_equal(get_be(task->sense + 15, 3), 0);
		return;
	}
	assert_int_equal(task->sense[15], first | bit);
	assert_int_equal(get_be(task->sense + 16, 2), octet);
}

static void list(void **state)
{
	const struct list_row *row = *state;
	struct rig_command c = {
		.cdb = {row->opcode, 0x10}, .edtl = (uint32_t)row->len, .write = true};
	struct scsi_task *task;
	uint64_t before;

	rig_open(NULL);
	before = generation();
	c.cdb[row->opcode == 0x15 ? 4 : 8] = (uint8_t)row->len;
	memcpy(rig->buffer, row->list, sizeof row->list);
	task = mode_run(&rig->nexus, &c);
	if (row->code == 0) {
		assert_int_equal(task->status, SCSI_GOOD);
		assert_int_equal(task->wanted, row->len);
		assert_int_equal(modes_now(), row->modes);
		if (row->modes == 0)
			assert_int_equal(generation(), before);
	} else {
		assert_int_equal(task->status, SCSI_CHECK_CONDITION);
		assert_int_equal(rig_code(task), row->code);
		expect_pointer(task, 0x88, row->octet, row->bit);
		assert_int_equal(generation(), before);
		assert_int_equal(rig->submitted, 0);
	}
	rig_close();
}

static const struct field_row cdbs[] = {
	{"without PF there are no pages",
	 {{0x15, 0, 0, 0, 4}, .edtl = 4, .write = true},
	 0x2400,
	 1,
	 4},
	{"RTD is not there", {{0x15, 0x12, 0, 0, 4}, .edtl = 4, .write = true}, 0x2400, 1, 1},
	{"a list longer than any",
	 {{0x55, 0x10, [7] = 4, 1}, .edtl = 1025, .write = true},
	 0x1a00,
	 -1,
	 0},
	{"a list that does not come", {{0x15, 0x10, 0, 0, 4}, .edtl = 4}, 0x0e03, -1, 0},
	{"a list that comes in part",
	 {{0x15, 0x10, 0, 0, 5}, .edtl = 4, .write = true},
	 0x0e03,
	 -1,
	 0},
};

/* --- for whom, and until when --- */

static struct scsi_nexus other;

static void open_two(void)
{
	rig_open(NULL);
	memset(&other, 0, sizeof other);
	rig_open_peer(1, &other);
}

static void close_two(void)
{
	scsi_nexus_close(&other);
	rig_close();
}

static unsigned attention_of(struct scsi_nexus *n)
{
	struct scsi_task *task = mode_run(n, &ready);

	if (task->status == SCSI_GOOD)
		return 0;
	assert_int_equal(task->status, SCSI_CHECK_CONDITION);
	assert_int_equal(task->sense[2], 6);
	return rig_code(task);
}

static void shared(void **state)
{
	static const struct rig_command sense = {{0x1a, 8, 0x08, 0, 255}, IN(255)};

	(void)state;
	open_two();
	mode_set(&other, false, MODE_NO_WRITE_CACHE);
	assert_int_equal(attention_of(&other), 0);
	assert_int_equal(attention_of(&rig->nexus), 0x2a01);
	assert_int_equal(attention_of(&rig->nexus), 0);
	assert_int_equal(mode_run(&rig->nexus, &sense)->status, SCSI_GOOD);
	assert_int_equal(rig->buffer[6], 0);
	mode_set(&other, false, MODE_NO_WRITE_CACHE); /* as it is */
	assert_int_equal(attention_of(&rig->nexus), 0);
	close_two();
}

/* Each page is one session's: neither undoes the other's. */
static void both(void **state)
{
	static const uint8_t caching[] = {CACHING(0)}, control[] = {CONTROL(0x22, 0x10, 0, 0x40)};

	(void)state;
	open_two();
	assert_int_equal(mode_select(&other, false, caching, sizeof caching)->status, SCSI_GOOD);
	assert_int_equal(attention_of(&rig->nexus), 0x2a01);
	assert_int_equal(mode_select(&rig->nexus, false, control, sizeof control)->status,
			 SCSI_GOOD);
	assert_int_equal(attention_of(&other), 0x2a01);
	assert_int_equal(modes_now(), MODE_NO_WRITE_CACHE | MODE_TAS);
	close_two();
}

static void saved(void **state)
{
	static const struct rig_command sense = {{0x1a, 8, 0xc8, 0, 255}, IN(255)};

	(void)state;
	open_two();
	mode_set(&rig->nexus, true, MODE_NO_WRITE_CACHE);
	assert_int_equal(rig->durable_keeps, 1);
	mode_set(&rig->nexus, false, MODE_TAS);
	assert_int_equal(rig->durable_keeps, 1);
	assert_int_equal(rig->keeps, 2);
	assert_int_equal(mode_run(&rig->nexus, &sense)->status, SCSI_GOOD);
	assert_int_equal(rig->buffer[6], 0); /* WCE, saved */
	rig_reset_by(1);
	rig_share();
	assert_int_equal(attention_of(&rig->nexus), 0x2903);
	assert_int_equal(modes_now(), MODE_NO_WRITE_CACHE);
	close_two();
}

static void unsaved(void **state)
{
	(void)state;
	open_two();
	mode_set(&rig->nexus, false, MODE_NO_WRITE_CACHE | MODE_D_SENSE);
	rig_reset_by(1);
	rig_share();
	assert_int_equal(attention_of(&rig->nexus), 0x2903);
	assert_int_equal(modes_now(), 0);
	close_two();
}

static void not_kept(void **state)
{
	static const uint8_t page[] = {CACHING(0)};

	rig_open(state);
	rig->keep_result = -EIO;
	assert_int_equal(mode_select(&rig->nexus, true, page, sizeof page)->status, SCSI_BUSY);
	assert_int_equal(modes_now(), 0);
	rig_close();
}

static void read_only(void **state)
{
	static const uint8_t same[] = {CACHING(4)}, change[] = {CACHING(0)};

	rig_open(state);
	rig->nexus.luns[0].writable = false;
	assert_int_equal(mode_select(&rig->nexus, true, same, sizeof same)->status, SCSI_GOOD);
	assert_int_equal(mode_select(&rig->nexus, true, change, sizeof change)->status,
			 SCSI_CHECK_CONDITION);
	assert_int_equal(rig_code(&rig->task), 0x2600);
	expect_pointer(&rig->task, 0x88, 6, 2);
	assert_int_equal(rig->keeps, 0);
	rig_close();
}

static void strange_order(void **state)
{
	struct arbiter_order order = {.id = 1, .kind = ORDER_MODES, .len = ARBITER_MODES - 1};

	(void)state;
	open_two();
	assert_int_equal(rig_say(&rig->seats[1], ARBITER_ORDER, &order, sizeof order), 0);
	assert_int_equal(rig->seats[1].answered, 1);
	assert_int_equal(rig->seats[1].answers[0].status, SCSI_CHECK_CONDITION);
	assert_int_equal(rig->keeps, 0);
	rig->seats[1].answered = 0;
	close_two();
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, rows, list);
	TESTS_ADD_TABLE(&t, cdbs, field_check);
	tests_add(&t, "MODE SELECT binds all; the others hear 2Ah/01h, if it changed anything",
		  shared, NULL);
	tests_add(&t, "two sessions that change different pages don't undo each other", both, NULL);
	tests_add(&t, "SP: what is saved is durable, and stands again after a reset", saved, NULL);
	tests_add(&t, "without SP, a reset takes it back", unsaved, NULL);
	tests_add(&t, "P4: what the journal can't keep is not changed: BUSY", not_kept, NULL);
	tests_add(&t, "P3: who may only read changes nothing", read_only, NULL);
	tests_add(&t, "an order of another size changes nothing", strange_order, NULL);
	return tests_run(&t, "scsi mode_select");
}
