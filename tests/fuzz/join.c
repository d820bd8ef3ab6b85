/* Connections that join a session, with what a taken-over process may say of them; PDUs on each,
 * their loss, and time: at ErrorRecoveryLevel 2, with a response fence and without. */
#include "tests/fuzz/iscsi_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void join(struct fuzz *z, const uint8_t *d)
{
	struct iscsi_handover h = {.tsih = d[0] == 0xff ? 9 : 1,
				   .cid = d[1] & 15,
				   .text_len = (uint16_t)get_be(d + 2, 2),
				   .isid[0] = d[4] == 0xff,
				   .peer_segment = (uint32_t)get_be(d + 5, 3),
				   .header_digest = d[8] & 3,
				   .data_digest = d[9] & 3,
				   .csg = d[10] & 3,
				   .statsn = (uint32_t)d[11] << 24};

	IGNORE_RESULT(iscsi_adopt(z->i, &h, &z->c));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t cmdsn = 1;
	struct fuzz z;

	fuzz_open(&z, false);
	fuzz_go_through_login(&z, cmdsn, FUZZ_LEVEL_2 | (size % 2 ? FUZZ_FENCE : 0));
	for (; size > 18 && z.c; data += 18, size -= 18) {
		if (data[0] & 1)
			join(&z, data + 2);
		else if (data[0] & 2)
			fuzz_pdu(&z, data + 2, &cmdsn);
		fuzz_turn(&z, data[1]);
		fuzz_leave(&z, data[0]);
	}
	fuzz_settle(&z);
	fuzz_close(&z);
	return 0;
}
