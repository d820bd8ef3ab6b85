/* Framing and the full-feature phase, after a canned login: PDUs with fields from the input (small
 * numbers, so that tags and numbers meet), raw octets, and the host's turns. */
#include "tests/fuzz/iscsi_fuzz.h"

#define TURNS_MAX 16 /* longer conversations find nothing that shorter ones don't, more slowly */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t cmdsn = 0xfffffff8;
	unsigned turns = 0;
	struct fuzz z;

	if (size == 0)
		return 0;
	fuzz_open(&z, data[0] & 1);
	fuzz_login(&z, cmdsn, data[0]);
	for (data++, size--;
	     size > 17 && turns < TURNS_MAX && iscsi_ended(z.c, NULL) == ISCSI_END_NONE; turns++) {
		size_t n = data[0] & 0x40 ? 17 : 17 - data[0] % 16;

		if (n == 17)
			fuzz_pdu(&z, data + 1, &cmdsn);
		else
			(void)fuzz_feed(&z, data + 1, n - 1);
		fuzz_turn(&z, data[0] & 0x80 ? 1 : data[0]);
		data += n;
		size -= n;
	}
	fuzz_close(&z);
	return 0;
}
