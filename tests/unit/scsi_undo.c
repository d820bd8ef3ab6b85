/* A WRITE ATOMIC whose write failed half-way: the old blocks are put back whatever happened
 * meanwhile, because it was admitted as a whole. Three sessions before a real court. */
#include "tests/unit/reservation_peers.h"
#include "gateway/scsi/sense.h"

#define ATOMIC_AT 8u
#define ATOMIC                                                                 \
	{                                                                      \
		{0x9c, [9] = ATOMIC_AT, [13] = 8}, .edtl = 4096, .write = true \
	}

static struct peer_task writer, other;

static uint8_t *block(unsigned n)
{
	return rig->disk + (size_t)(ATOMIC_AT + n) * RIG_BLOCK;
}

/* A's write of 7s over 3s is at the disk, and half of it is there; it is going to fail. */
static void write_half(void)
{
	static const struct rig_command atomic = ATOMIC;
	uint8_t data[4096];

	peers_open();
	peer_register(B);
	memset(rig->disk, 3, (size_t)RIG_BLOCK * RIG_BLOCKS);
	memset(data, 7, sizeof data);
	rig->results[1] = -EIO;
	assert_int_equal(peer_begin(&writer, A, &atomic), SCSI_WANT_DATA);
	assert_int_equal(peer_buffer(&writer, data, sizeof data), SCSI_RUNNING);
	peers_turn();
	rig_reap_one();
	assert_int_equal(rig->log[1].op, IO_WRITE);
	memset(block(0), 7, 4 * RIG_BLOCK);
}

static void is_as_it_was(void)
{
	for (size_t at = 0; at < (size_t)RIG_BLOCK * RIG_BLOCKS; at++)
		assert_int_equal(rig->disk[at], 3);
}

static void write_over(void)
{
	assert_int_equal(rig->dones, 1);
	rig->dones = 0;
	assert_null(writer.task.admission);
	assert_int_equal(rig_last(0)->verdict, VERDICT_FAILED);
	peers_turn();
	is_as_it_was();
}

static void told_its_own_error(void)
{
	assert_int_equal(writer.task.status, SCSI_CHECK_CONDITION);
	assert_int_equal(rig_code(&writer.task), SENSE_WRITE_ERROR);
}

static void reserve_by_other(void)
{
	struct pr_list list = {.key = KEY_B};
	struct rig_command c = pr_out_command(PR_RESERVE, RESERVATION_EXCLUSIVE_ACCESS, 24);
	uint8_t octets[64];

	assert_int_equal(list_write(&list, octets), 24);
	assert_int_equal(peer_begin(&other, B, &c), SCSI_WANT_DATA);
	assert_int_equal(peer_buffer(&other, octets, 24), SCSI_RUNNING);
	peers_turn();
	assert_int_equal(rig->dones, 0); /* what is at the disk is waited for */
}

static void reserved_meanwhile(void **state)
{
	(void)state;
	write_half();
	reserve_by_other();
	rig_reap_one();
	peers_turn();
	assert_int_equal(rig->submitted, 3);
	assert_int_equal(rig->dones, 0); /* … and what undoes it, too */
	rig_reap_one();
	told_its_own_error();
	write_over();
	assert_int_equal(rig->dones, 1);
	rig->dones = 0;
	assert_int_equal(other.task.status, SCSI_GOOD);
	peers_close();
}

static void aborted_before(void **state)
{
	(void)state;
	write_half();
	assert_false(scsi_cancel(&writer.task));
	rig_reap_one();
	assert_int_equal(rig->dones, 0);
	rig_reap_one();
	write_over();
	peers_close();
}

static void aborted_while_undoing(void **state)
{
	(void)state;
	write_half();
	rig_reap_one();
	assert_false(scsi_cancel(&writer.task));
	rig_reap_one();
	write_over();
	peers_close();
}

/* The disk's end takes nothing now: it is tried again, and whoever aborts the command waits. */
static void no_place_at_the_disk(void **state)
{
	(void)state;
	write_half();
	rig->submit_result = -EAGAIN;
	rig_reap_one();
	peers_turn();
	assert_int_equal(rig->submitted, 2);
	assert_false(scsi_cancel(&writer.task));
	rig->submit_result = 0;
	peers_turn();
	assert_int_equal(rig->submitted, 3);
	rig_reap_one();
	write_over();
	peers_close();
}

/* P4: neither the old blocks nor the new ones are there: everybody is told. */
static void cannot_be_undone(void **state)
{
	(void)state;
	write_half();
	rig->results[2] = -ENOSPC;
	rig_reap();
	told_its_own_error();
	assert_int_equal(writer.task.sense[2], KEY_MEDIUM_ERROR);
	assert_int_equal(rig->failures, 1);
	assert_int_equal(rig->failure, EIO);
	rig->dones = 0;
	peers_turn();
	assert_int_equal(peers[B].luns[0].failed, EIO);
	peers_close();
}

int main(void)
{
	static struct tests t;

	tests_add(&t, "a reservation that others took meanwhile does not keep it from being undone",
		  reserved_meanwhile, NULL);
	tests_add(&t, "what was aborted is undone", aborted_before, NULL);
	tests_add(&t, "an abort waits for the undoing", aborted_while_undoing, NULL);
	tests_add(&t, "what undoes it waits for a place at the disk", no_place_at_the_disk, NULL);
	tests_add(&t, "P4: what can't be undone ends the unit for everybody", cannot_be_undone,
		  NULL);
	return tests_run(&t, "scsi undo");
}
