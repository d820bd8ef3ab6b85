/* LOG SENSE: which pages there are, what each says, and where a parameter pointer leads. */
#include "tests/unit/scsi_reply.h"
#include "gateway/scsi/log.h"

#define SENSE(page, subpage) {0x4d, 0, page, subpage, [7] = 2, 0}, IN(512)

static const struct reply_row replies[] = {
	{"LOG SENSE: the pages of a disk that is not thin",
	 {SENSE(0x40, 0)},
	 7,
	 {{0, 7, 0x0000000300102f}}},
	{"LOG SENSE: the same with subpages",
	 {SENSE(0x40, 0xff)},
	 12,
	 {{0, 8, 0x40ff0008000000ff}, {8, 4, 0x10002f00}}},
	{"LOG SENSE: no exception, no temperature",
	 {SENSE(0x6f, 0)},
	 12,
	 {{0, 8, 0x2f00000800000304}, {8, 4, 0x0000ff00}}},
	{"LOG SENSE: 20 self-tests that never were",
	 {SENSE(0x50, 0)},
	 404,
	 {{0, 8, 0x1000019000010310}, {8, 8, 0}, {16, 8, 0}, {384, 4, 0x00140310}, {388, 8, 0}}},
	{"LOG SENSE: self-tests from the 20th on",
	 {{0x4d, 0, 0x50, 0, 0, 0, 20, 2, 0}, IN(512)},
	 24,
	 {{0, 8, 0x1000001400140310}}},
	{"LOG SENSE: threshold values are the same list",
	 {SENSE(0x2f, 0)},
	 12,
	 {{0, 4, 0x2f000008}}},
};

static const struct reply_row thin[] = {
	{"LOG SENSE: a thin disk tells what room it takes",
	 {SENSE(0x40, 0)},
	 8,
	 {{0, 8, 0x00000004000c102f}}},
	{"LOG SENSE: room in use, in sets of 1 MiB, rounded up, of this unit alone",
	 {SENSE(0x4c, 0)},
	 16,
	 {{0, 8, 0x0c00000c00020308}, {8, 4, 3}, {12, 4, 0x01000000}}},
	{"LOG SENSE: the pointer may name the parameter",
	 {{0x4d, 0, 0x4c, 0, 0, 0, 2, 2, 0}, IN(512)},
	 16,
	 {{4, 2, 2}}},
};

static const struct field_row fields[] = {
	{"LOG SENSE: a page that is not there", {SENSE(0x4d, 0)}, 0x2400, 2, 5},
	{"LOG SENSE: provisioning of a disk that is not thin", {SENSE(0x4c, 0)}, 0x2400, 2, 5},
	{"LOG SENSE: a subpage that is not there", {SENSE(0x6f, 1)}, 0x2400, 3, 7},
	{"LOG SENSE: a pointer behind the last parameter",
	 {{0x4d, 0, 0x6f, 0, 0, 0, 1, 2, 0}, IN(512)},
	 0x2400,
	 5,
	 7},
	{"LOG SENSE: a pointer behind the last self-test",
	 {{0x4d, 0, 0x50, 0, 0, 0, 21, 2, 0}, IN(512)},
	 0x2400,
	 5,
	 7},
	{"LOG SENSE: SP, because nothing is saved",
	 {{0x4d, 1, 0x40, [8] = 64}, IN(64)},
	 0x2400,
	 1,
	 0},
	{"LOG SENSE: PPC is obsolete", {{0x4d, 2, 0x40, [8] = 64}, IN(64)}, 0x2400, 1, 1},
};

static void thin_reply(void **state)
{
	rig_open(NULL);
	rig->nexus.luns[0].thin = true;
	rig->backend.used_bytes = (2u << 20) + 1;
	reply_expect(*state);
	rig_close();
}

static void every_listed_page_exists(void **state)
{
	static const struct rig_command list = {SENSE(0x40, 0xff)};
	uint8_t pages[64];
	size_t len;

	rig_open(state);
	rig->nexus.luns[0].thin = true;
	(void)rig_run(&list);
	len = rig->task.data_len - 4;
	assert_int_equal(len, 10);
	memcpy(pages, rig->buffer + 4, len);
	for (size_t i = 0; i < len; i += 2) {
		struct rig_command c = {SENSE(pages[i], pages[i + 1])};

		assert_true(i == 0 || get_be(pages + i, 2) > get_be(pages + i - 2, 2));
		assert_int_equal(rig_run(&c)->status, SCSI_GOOD);
		assert_int_equal(get_be(rig->buffer + 2, 2) + 4, rig->task.data_len);
	}
	rig_close();
}

static void device(void **state)
{
	static const struct rig_command c = {SENSE(0x4c, 0)};

	rig_open(state);
	rig->nexus.luns[0].thin = true;
	rig->backend.used_bytes = BACKEND_USED_UNKNOWN;
	assert_int_equal(rig_run(&c)->status, SCSI_CHECK_CONDITION);
	assert_int_equal(rig_code(&rig->task), 0x2400);
	rig_close();
}

static void keeps_twenty(void **state)
{
	static const struct rig_command c = {SENSE(0x50, 0)};

	rig_open(state);
	rig->nexus.now_ms = 7 * 3600000u;
	(void)rig_run(&c); /* for its unit */
	for (unsigned i = 0; i < SELF_TESTS_MAX; i++)
		log_self_test(&rig->task, 5, true);
	log_self_test(&rig->task, 1, false);
	(void)rig_run(&c);
	assert_int_equal(get_be(rig->buffer + 8, 4), 0x24000007);
	assert_int_equal(get_be(rig->buffer + 12, 8), UINT64_MAX);
	assert_int_equal(get_be(rig->buffer + 20, 4), 0x043e0300);
	assert_int_equal(get_be(rig->buffer + 28, 4), 0xa0000007);
	assert_int_equal(get_be(rig->buffer + 40, 4), 0);
	assert_int_equal(get_be(rig->buffer + 384 + 4, 4), 0xa0000007);
	rig_close();
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, replies, reply_check);
	TESTS_ADD_TABLE(&t, thin, thin_reply);
	TESTS_ADD_TABLE(&t, fields, field_check);
	tests_add(&t, "LOG SENSE: every page that is listed is there", every_listed_page_exists,
		  NULL);
	tests_add(&t, "LOG SENSE: a device does not know what room it takes", device, NULL);
	tests_add(&t, "LOG SENSE: the last 20 self-tests, the newest first", keeps_twenty, NULL);
	return tests_run(&t, "scsi log");
}
