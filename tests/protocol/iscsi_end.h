/* How a command of the tests ends: GOOD, or CHECK CONDITION with the code that the
 * standard gives for wrong data, and then nothing was written. */
#pragma once

#include "tests/protocol/iscsi_peer.h"

#define BOTH_DIGESTS "HeaderDigest=CRC32C\0DataDigest=CRC32C"
#define R2T_ONLY     "InitialR2T=Yes\0ImmediateData=No"

enum sense { SENSE_NONE, SENSE_UNEXPECTED = 0x0c0c, SENSE_AMOUNT = 0x0c0d, SENSE_CRC = 0x4705 };

static uint8_t junk[300000];

/* The command's end: GOOD, or CHECK CONDITION with that code; nothing was written. */
static inline void expect_end(struct peer *p, enum sense sense)
{
	struct reply r;

	peer_expect(p, &r, OP_SCSI_RESPONSE);
	assert_int_equal(r.bhs[2], 0);
	assert_int_equal(r.bhs[3], sense == SENSE_NONE ? 0 : 2);
	if (sense == SENSE_NONE)
		return;
	assert_int_equal(get_be(r.data, 2), 18);
	assert_int_equal(r.data[2], 0x70);
	assert_int_equal(get_be(r.data + 2 + 12, 2), sense);
	for (size_t n = 0; n < DISK_SIZE; n += 251)
		assert_int_equal(p->disk[n], (uint8_t)(n * 7 + n / 512));
	assert_int_equal(p->arrived_calls, 0);
}

static inline void junk_fill(void)
{
	for (size_t n = 0; n < sizeof junk; n++)
		junk[n] = (uint8_t)(n * 31 + 5);
}
