/* A disk that grows while sessions have it, or whose room runs out: who is told what, and from when
 * on the new blocks are there. */
#include "tests/unit/scsi_medium_rig.h"

#define HALF (RIG_BLOCKS / 2)
#define BEHIND                                                                    \
	{                                                                         \
		{0x28, 0, 0, 0, HALF >> 8, 0, 0, 0, 1}, .edtl = 512, .read = true \
	}
#define CAPACITY                                \
	{                                       \
		{0x25}, .edtl = 8, .read = true \
	}
#define WRITE_HALF                                                                 \
	{                                                                          \
		{0x2a, 0, 0, 0, HALF >> 8, 0, 0, 0, 1}, .edtl = 512, .write = true \
	}

static void open_half(void)
{
	two_open();
	rig->nexus.luns[0].blocks = other.luns[0].blocks = HALF;
	rig->backend.size_bytes = (uint64_t)HALF * RIG_BLOCK;
}

static void news(uint64_t blocks, bool low)
{
	struct arbiter_news n = {.disk = 0, .low = low, .size = blocks * RIG_BLOCK};

	court_news(&rig->court, &n, rig->nexus.now_ms);
}

static uint64_t last_lba(struct scsi_nexus *n)
{
	static const struct rig_command c = CAPACITY;

	assert_int_equal(run_on(n, &c)->status, SCSI_GOOD);
	return get_be(rig->buffer, 4);
}

static void grown(void **state)
{
	(void)state;
	open_half();
	assert_code(&other, BEHIND, 0x2100);
	news(RIG_BLOCKS, false);
	assert_code(&other, READY, 0x2a09);
	assert_code(&rig->nexus, READY, 0x2a09);
	assert_int_equal(last_lba(&other), RIG_BLOCKS - 1);
	assert_int_equal(last_lba(&rig->nexus), RIG_BLOCKS - 1);
	assert_code(&other, BEHIND, 0);
	assert_code(&rig->nexus, WRITE_HALF, 0);
	assert_int_equal(rig->backend.size_bytes, (uint64_t)RIG_BLOCKS * RIG_BLOCK);
	two_close();
}

static void told_once(void **state)
{
	(void)state;
	open_half();
	news(RIG_BLOCKS, false);
	assert_code(&other, READY, 0x2a09);
	news(RIG_BLOCKS, false); /* a new arbiter is told again */
	assert_code(&other, READY, 0);
	news(HALF, false); /* it never shrinks */
	assert_code(&other, READY, 0);
	assert_int_equal(last_lba(&other), RIG_BLOCKS - 1);
	two_close();
}

static void low_on_room(void **state)
{
	(void)state;
	open_half();
	news(0, true);
	assert_code(&other, READY, 0x3807);
	assert_code(&rig->nexus, READY, 0x3807);
	assert_code(&other, READY, 0);
	assert_int_equal(last_lba(&other), HALF - 1);
	news(0, true); /* once more, after there was room */
	assert_code(&other, READY, 0x3807);
	two_close();
}

/* What runs under the generation before the last has to end first. */
static void waits(void **state)
{
	static const struct rig_command write = WRITE_5, stop = STOP;
	struct scsi_task writing, stopping;

	(void)state;
	open_half();
	rig->nexus.luns[0].removable = other.luns[0].removable = false;
	assert_int_equal(begin_on(&other, &writing, &write), SCSI_RUNNING);
	assert_int_equal(begin_on(&rig->nexus, &stopping, &stop), SCSI_RUNNING);
	rig_recorded();
	assert_int_equal(rig->queued, 2);
	rig->queue[0] = rig->queue[1]; /* the flush of the stop ends first */
	rig->queue[1] = &writing.io;
	rig_reap_one();
	settle();
	news(RIG_BLOCKS, false);
	rig_share();
	assert_int_equal(atomic_load(&rig->shared->disks[0].event_count), 0);
	rig_reap();
	settle();
	assert_int_equal(atomic_load(&rig->shared->disks[0].event_count), 1);
	two_close();
}

static void not_kept(void **state)
{
	(void)state;
	open_half();
	rig->keep_result = -EIO;
	news(RIG_BLOCKS, true);
	assert_code(&other, READY, 0);
	rig->keep_result = 0;
	court_tick(&rig->court, rig->nexus.now_ms);
	assert_code(&other, READY, 0x2a09);
	assert_code(&other, READY, 0x3807);
	two_close();
}

/* A format that is under way goes on to the new end. */
static void formatted_whole(void **state)
{
	static const struct rig_command format = FORMAT;
	struct scsi_task task;

	(void)state;
	open_half();
	memset(rig->disk, 'a', (size_t)RIG_BLOCK * RIG_BLOCKS);
	assert_int_equal(begin_on(&rig->nexus, &task, &format), SCSI_RUNNING);
	settle();
	news(RIG_BLOCKS, false);
	settle_all();
	assert_int_equal(task.status, SCSI_GOOD);
	assert_int_equal(rig->disk[(size_t)RIG_BLOCK * RIG_BLOCKS - 1], 0);
	two_close();
}

int main(void)
{
	static struct tests t;

	tests_add(&t, "a disk that grew is as large for everybody, who is told", grown, NULL);
	tests_add(&t, "a disk's growth is told once", told_once, NULL);
	tests_add(&t, "little room below a disk is told to everybody", low_on_room, NULL);
	tests_add(&t, "growth is told when the change before it is over", waits, NULL);
	tests_add(&t, "P4: growth that can't be kept now is told later", not_kept, NULL);
	tests_add(&t, "a format goes on to the new end of a disk that grows", formatted_whole,
		  NULL);
	return tests_run(&t, "scsi");
}
