/* The file of the trail's signer from arbitrary bytes: what is parsed lies within them. */
#include "auth/signer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static bool within(const uint8_t *p, size_t size, const uint8_t *data, size_t len)
{
	return p >= data && size <= len && (size_t)(p - data) <= len - size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct signer_file f;
	uint8_t *copy = malloc(len + 1); /* its own, so that a sanitizer sees what is beyond */

	memcpy(copy, data, len);
	if (signer_parse(copy, len, &f) == 0) {
		assert(len <= SIGNER_BYTES_MAX && f.count >= 1 && f.count <= SIGNER_SEALS_MAX);
		assert(within(f.public_key, SIGNER_PUBLIC_SIZE, copy, len));
		for (size_t k = 0; k < f.count; k++)
			assert(within(f.sealed[k], SIGNER_SEALED_SIZE, copy, len));
	}
	free(copy);
	return 0;
}
