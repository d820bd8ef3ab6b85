/* A wrapped key from arbitrary bytes: what is parsed lies within them, and its cost is bounded.
 * Nothing is stretched here: that takes a second. */
#include "auth/key_wrap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static bool within(const uint8_t *p, size_t size, const uint8_t *data, size_t len)
{
	return p >= data && size <= len && (size_t)(p - data) <= len - size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct key_wrapped k;
	uint8_t *copy = malloc(len + 1); /* its own, so that a sanitizer sees what is beyond */

	memcpy(copy, data, len);
	if (key_wrapped_parse(copy, len, &k) == 0) {
		assert(len == KEY_WRAPPED_SIZE);
		assert(k.cost.passes >= 1 && k.cost.passes <= 64);
		assert(k.cost.octets >= 8192 && k.cost.octets <= 1ull << 30);
		assert(within(k.key_id, STORE_KEY_ID_SIZE, copy, len));
		assert(within(k.salt, crypto_pwhash_SALTBYTES, copy, len));
		assert(within(k.sealed, STORE_KEY_SIZE + 16, copy, len));
	}
	free(copy);
	return 0;
}
