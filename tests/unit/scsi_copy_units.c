/* Which LUN a designator of EXTENDED COPY stands for when a disk is several of them. */
#include "tests/unit/scsi_copy_rig.h"

/* clang-format off */
static const struct {
	const char *why;
	bool writable, other_writable; /* of LUN 1 and LUN 2, which are one disk */
	bool failed;		       /* LUN 1 */
	uint16_t code;
	int lun; /* that is in the audit as the destination */
} rows[] = {
	{"a disk that is read-only first and writable then is written", false, true, false, 0, 2},
	{"a disk that is writable first is written there", true, false, false, 0, 1},
	{"a disk that is writable twice is written by the first", true, true, false, 0, 1},
	{"P3: a disk that is read-only twice is not written", false, false, false, 0x2700, -1},
	{"a LUN that failed is passed over where another is well", true, true, true, 0, 2},
};
/* clang-format on */

static void twice(void **state)
{
	static const struct copy_case c = {
		.targets = {{.lun = 0}, {.lun = 1}},
		.segments = {{.from = 0, .to = 1, .blocks = 5, .from_lba = 0, .to_lba = 100}}};
	const __typeof__(rows[0]) *row = *state;
	struct scsi_task *task;

	copy_open();
	rig_add_lun(2, row->other_writable);
	rig->nexus.luns[1].writable = row->writable;
	memcpy(rig->nexus.luns[2].naa, rig->nexus.luns[1].naa, 8);
	rig->nexus.luns[2].backend = &rig->second;
	rig->nexus.luns[1].failed = row->failed ? EIO : 0;
	task = copy_run(&c);
	assert_int_equal(rig_code(task), row->code);
	assert_int_equal(task->status == SCSI_GOOD, row->code == 0);
	assert_int_equal(copy_block(rig->second_disk, 102), row->code == 0 ? 2 : 1000102);
	if (row->lun >= 0)
		assert_int_equal(rig_last(0)->lun, row->lun);
	rig_close();
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, rows, twice);
	return tests_run(&t, "scsi copy units");
}
