/* MODE SENSE: each page, each page control, both formats. */
#include "tests/unit/scsi_mode_rig.h"

static const struct reply_row replies[] = {
	{"MODE SENSE(6): all pages, in their order",
	 {{0x1a, 0, 0x3f, 0, 255}, IN(255)},
	 68,
	 {{0, 4, 0x43001008},
	  {4, 8, 0x0000400000000200},
	  {12, 8, 0x010a000000000000},
	  {24, 4, 0x88120400},
	  {44, 6, 0x8a0a22100000},
	  {56, 4, 0x1c0a0800}}},
	{"MODE SENSE(6): all pages and subpages",
	 {{0x1a, 8, 0x3f, 0xff, 255}, IN(255)},
	 92,
	 {{0, 4, 0x5b001000}, {36, 2, 0x8a0a}, {48, 4, 0x4a01001c}, {52, 8, 0}, {80, 2, 0x1c0a}}},
	{"MODE SENSE(6): without block descriptor",
	 {{0x1a, 0x08, 0x08, 0, 255}, IN(255)},
	 24,
	 {{0, 4, 0x17001000}, {4, 4, 0x88120400}, {8, 8, 0}}},
	{"MODE SENSE(6): cut to the allocation length, with the whole length said",
	 {{0x1a, 0, 0x3f, 0, 6}, IN(6)},
	 6,
	 {{0, 4, 0x43001008}, {4, 2, 0}}},
	{"MODE SENSE(6): read-write error recovery",
	 {{0x1a, 8, 0x01, 0, 255}, IN(255)},
	 16,
	 {{4, 8, 0x010a000000000000}, {12, 4, 0}}},
	{"MODE SENSE(6): of caching, WCE can be changed",
	 {{0x1a, 8, 0x48, 0, 255}, IN(255)},
	 24,
	 {{4, 4, 0x88120400}, {8, 8, 0}, {16, 8, 0}}},
	{"MODE SENSE(6): of control, D_SENSE, SWP and TAS can be changed",
	 {{0x1a, 8, 0x4a, 0, 255}, IN(255)},
	 16,
	 {{4, 4, 0x8a0a0400}, {8, 8, 0x0840000000000000}}},
	{"MODE SENSE(6): of control extension, nothing can be changed",
	 {{0x1a, 8, 0x4a, 1, 255}, IN(255)},
	 36,
	 {{4, 4, 0x4a01001c}, {8, 8, 0}, {28, 8, 0}}},
	{"MODE SENSE(6): of informational exceptions, nothing can be changed",
	 {{0x1a, 8, 0x5c, 0, 255}, IN(255)},
	 16,
	 {{4, 4, 0x1c0a0000}}},
	{"MODE SENSE(6): default values",
	 {{0x1a, 8, 0x8a, 0, 255}, IN(255)},
	 16,
	 {{4, 6, 0x8a0a22100000}}},
	{"MODE SENSE(6): saved values, of which none were",
	 {{0x1a, 8, 0xff, 0, 255}, IN(255)},
	 60,
	 {{16, 4, 0x88120400}, {36, 6, 0x8a0a22100000}}},
	{"MODE SENSE(6): all subpages of a page",
	 {{0x1a, 8, 0x0a, 0xff, 255}, IN(255)},
	 48,
	 {{4, 2, 0x8a0a}, {16, 4, 0x4a01001c}}},
	{"MODE SENSE(6): one subpage",
	 {{0x1a, 8, 0x0a, 1, 255}, IN(255)},
	 36,
	 {{4, 4, 0x4a01001c}}},
	{"MODE SENSE(6): WP on a read-only LUN",
	 {{0x1a, 8, 0x3f, 0, 255}, {0, 5}, IN(255)},
	 60,
	 {{2, 1, 0x90}}},
	{"P3: who may only read can change nothing",
	 {{0x1a, 8, 0x4a, 0, 255}, {0, 5}, IN(255)},
	 16,
	 {{4, 4, 0x8a0a0000}, {8, 8, 0}}},
	{"MODE SENSE(10): all pages",
	 {{0x5a, 0, 0x3f, [8] = 255}, IN(255)},
	 72,
	 {{0, 8, 0x0046001000000008}, {8, 8, 0x0000400000000200}, {16, 2, 0x010a}}},
	{"MODE SENSE(10): long LBA descriptor",
	 {{0x5a, 0x10, 0x3f, [8] = 255}, IN(255)},
	 80,
	 {{0, 8, 0x004e001001000010}, {8, 8, 0x4000}, {16, 8, 0x200}, {24, 2, 0x010a}}},
	{"MODE SENSE(10): LLBAA without a descriptor",
	 {{0x5a, 0x18, 0x08, [8] = 255}, IN(255)},
	 28,
	 {{0, 8, 0x001a001000000000}, {8, 2, 0x8812}}},
};

static const struct field_row refused[] = {
	{"MODE SENSE: a page that is not there", {{0x1a, 0, 0x19, 0, 255}, IN(255)}, 0x2400, 2, 5},
	{"MODE SENSE: a subpage that is not there",
	 {{0x5a, 0, 0x0a, 2, [8] = 255}, IN(255)},
	 0x2400,
	 3,
	 7},
	{"MODE SENSE: of all pages, one subpage", {{0x1a, 0, 0x3f, 1, 255}, IN(255)}, 0x2400, 3, 7},
	{"MODE SENSE: a subpage of a page that has none",
	 {{0x1a, 0, 0x08, 1, 255}, IN(255)},
	 0x2400,
	 3,
	 7},
};

/* --- a disk without a write cache, by its policy --- */

static const struct reply_row through[] = {
	{"P2: write_cache: false is WCE=0, current",
	 {{0x1a, 8, 0x08, 0, 255}, IN(255)},
	 24,
	 {{4, 4, 0x88120000}}},
	{"P2: write_cache: false is WCE=0, by default",
	 {{0x1a, 8, 0x88, 0, 255}, IN(255)},
	 24,
	 {{4, 4, 0x88120000}}},
	{"P2: write_cache: false can't be changed by an initiator",
	 {{0x1a, 8, 0x48, 0, 255}, IN(255)},
	 24,
	 {{4, 4, 0x88120000}}},
	{"P2: write_cache: false is WCE=0, saved",
	 {{0x1a, 8, 0xc8, 0, 255}, IN(255)},
	 24,
	 {{4, 4, 0x88120000}}},
};

/* Whatever was stored before the policy said so. */
static void written_through(void **state)
{
	const struct reply_row *row = *state;

	rig_open(NULL);
	mode_set(&rig->nexus, true, MODE_NO_WRITE_CACHE);
	rig->submitted = 0;
	rig->nexus.luns[0].write_through = true;
	reply_expect(row);
	rig_close();
}

/* --- octets that no honest session stored --- */

static void any_octets(void **state)
{
	static const struct rig_command all = {{0x1a, 8, 0x3f, 0xff, 255}, IN(255)};
	uint8_t *modes;

	rig_open(state);
	modes = rig->seats[0].view.luns[0].state.modes;
	for (unsigned octet = 0; octet < 256; octet++) {
		memset(modes, (int)octet, ARBITER_MODES);
		assert_int_equal(mode_run(&rig->nexus, &all)->status, SCSI_GOOD);
		assert_int_equal(rig->task.data_len, 92);
		assert_int_equal(get_be(rig->buffer + 36, 2), 0x8a0a);
		assert_int_equal(rig->buffer[38] & ~4, 0x22);
		assert_int_equal(rig->buffer[40] & ~8, 0);
		assert_int_equal(rig->buffer[41] & ~0x40, 0);
		assert_int_equal(mode_swp(&rig->nexus, &rig->nexus.luns[0]),
				 (octet & MODE_SWP) != 0);
	}
	rig_close();
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, replies, reply_check);
	TESTS_ADD_TABLE(&t, refused, field_check);
	TESTS_ADD_TABLE(&t, through, written_through);
	tests_add(&t, "P3: any octets that a session stored are mode parameters", any_octets, NULL);
	return tests_run(&t, "scsi mode");
}
