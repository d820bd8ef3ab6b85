/* Task management as the tests ask for it: commands that stay with the host, requests, and
 * the answer that is expected. */
#pragma once

#include "tests/protocol/iscsi_peer.h"

enum { COMPLETE, NO_TASK, NO_LUN, NO_REASSIGN = 4, NOT_SUPPORTED, SUCCEEDED = 7, REJECTED = 255 };

/* A parked command for a LUN; its tag. */
static inline uint32_t park(struct peer *p, uint8_t lun)
{
	uint8_t bhs[ISCSI_BHS_SIZE];

	command_bhs(p, bhs, FLAG_FINAL, 0, CDB_PARKED);
	bhs[BHS_LUN + 1] = lun;
	assert_true(peer_send(p, bhs, NULL, 0));
	return p->itt;
}

static inline void manage(struct peer *p, uint8_t function, uint8_t lun, uint32_t rtt, uint32_t ref)
{
	uint8_t bhs[ISCSI_BHS_SIZE];

	tmf_bhs(p, bhs, function, rtt, ref);
	bhs[BHS_LUN + 1] = lun;
	assert_true(peer_send(p, bhs, NULL, 0));
}

static inline void expect_verdict(struct peer *p, uint8_t verdict)
{
	struct reply r;

	peer_expect(p, &r, OP_TMF_RESPONSE);
	assert_int_equal(reply_u32(&r, BHS_ITT), p->itt);
	assert_int_equal(r.flags, FLAG_FINAL);
	assert_int_equal(r.bhs[2], verdict);
}
