/* Text and the table of keys: any octets, in either stage and in full feature. */
#include "gateway/iscsi/keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct iscsi_limits limits = {.max_recv_segment = 262144,
				      .max_burst = 1048576,
				      .first_burst = 65536,
				      .max_r2t = 4,
				      .header_digest = true,
				      .data_digest = true,
				      .digests_required = size > 0 && data[0] & 16};
	static struct keys k;
	static uint8_t out[KEYS_ANSWER_MAX];
	struct rd r = rd_over(data + 1, size ? size - 1 : 0);
	struct wr w = wr_over(out, sizeof out);
	const struct key *key;
	struct text_pair pair;
	int more = 0;

	if (size == 0)
		return 0;
	keys_start(&k, &limits);
	k.discovery = data[0] & 8;
	if (data[0] & 32) /* what comes is an answer of digests */
		(void)keys_insist(&k, &w);
	while ((more = text_next(&r, &pair)) > 0) {
		if (pair.key_len > TEXT_KEY_MAX || strlen(pair.value) != pair.value_len)
			abort();
		if (keys_take(&k, 1u << data[0] % 3, &pair, &key) < 0)
			break;
	}
	keys_answer(&k, &w);
	if (w.failed || keys_first_burst(&k) > k.result[KEY_MAX_BURST])
		abort();
	return 0;
}
