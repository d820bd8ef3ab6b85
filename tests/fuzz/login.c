/* The login phase: requests whose flags and text are the input's, one after another. */
#include "tests/fuzz/iscsi_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One request: two octets of length, one of flags, one that spoils the header now and then. */
static size_t request(struct fuzz *z, const uint8_t *data, size_t size)
{
	uint8_t pdu[ISCSI_BHS_SIZE + 2048 + 4] = {0};
	size_t len = MIN((size_t)get_be(data, 2) % 2048, size - 4);

	bhs_start(pdu, OP_LOGIN, data[2], 7);
	pdu[0] |= OPCODE_IMMEDIATE;
	bhs_data_len(pdu, len);
	if (data[3] & 0x80)
		pdu[data[3] % ISCSI_BHS_SIZE] ^= data[2];
	memcpy(pdu + ISCSI_BHS_SIZE, data + 4, len);
	(void)fuzz_feed(z, pdu, ISCSI_BHS_SIZE + len + pdu_padding(len));
	fuzz_drain(z);
	return 4 + len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz z;

	fuzz_open(&z, true);
	z.i->limits.digests_required = size & 1;
	keys_limit(&z.c->keys, &z.i->limits);
	while (size > 4 && iscsi_ended(z.c, NULL) == ISCSI_END_NONE) {
		size_t n = request(&z, data, size);

		data += n;
		size -= n;
	}
	if (iscsi_is_full_feature(z.i) && !keys_insisted(&z.c->keys))
		abort();
	fuzz_close(&z);
	return 0;
}
