/* A sealed file from arbitrary bytes: what is parsed lies within them. */
#include "auth/sealed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static bool within(const uint8_t *p, size_t size, const uint8_t *data, size_t len)
{
	return p >= data && size <= len && (size_t)(p - data) <= len - size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const uint8_t key[STORE_KEY_SIZE] = {1};
	uint8_t secret[SEALED_SECRET_MAX];
	struct sealed_file f;
	uint8_t *copy = malloc(len + 1); /* its own, so that a sanitizer sees what is beyond */

	memcpy(copy, data, len);
	if (sealed_parse(copy, len, &f) == 0) {
		assert(len <= SEALED_BYTES_MAX && f.count >= 1 && f.count <= SEALED_SEALS_MAX);
		assert(within(f.clear, f.clear_len, copy, len));
		for (size_t k = 0; k < f.count; k++)
			assert(within(f.seals[k], f.secret_len + SEALED_TAG_SIZE, copy, len));
		assert(sealed_open(&f, "a test", key, secret, sizeof secret) < 0);
	}
	free(copy);
	return 0;
}
