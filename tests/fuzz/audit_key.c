/* A verification key from arbitrary text: one that is read is written as it was. The checksum is
 * made right here, or nothing would get behind it. */
#include "gateway/audit/key_text.h"

#include <sodium.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *line = malloc(len + 16), again[AUDIT_KEY_SIZE];
	uint8_t hash[crypto_hash_sha256_BYTES];
	struct audit_key k;

	memcpy(line, data, len);
	(void)crypto_hash_sha256(hash, data, len);
	line[len] = ' ';
	(void)sodium_bin2hex(line + len + 1, 9, hash, 4);
	if (audit_key_read(&k, line, len + 9) == 0) {
		audit_key_write(again, &k);
		assert(strlen(again) == len + 9 && memcmp(again, line, len + 9) == 0);
	}
	free(line);
	return 0;
}
