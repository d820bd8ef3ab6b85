/* Checkpoints from arbitrary text: what is read can be written again, and is the same. */
#include "gateway/audit/note.h"

#include <sodium.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint8_t seed[32];
	uint8_t public_key[SIGNER_KEY_SIZE], secret_key[SIGNER_SECRET_SIZE];
	char *text = malloc(len + 1), again[NOTE_SIZE]; /* its own, for the sanitizer */
	struct note n, m;
	int size;

	assert(sodium_init() >= 0 && crypto_sign_seed_keypair(public_key, secret_key, seed) == 0);
	memcpy(text, data, len);
	assert(note_span(text, len) <= len);
	if (note_read(&n, text, len) == 0) {
		assert(note_span(text, len) == len);
		size = note_write(again, &n, secret_key);
		assert(note_read(&m, again, (size_t)size) == 0);
		assert(m.size == n.size && m.log == n.log && m.others == 0);
		assert(memcmp(m.root, n.root, sizeof n.root) == 0);
		assert(note_signature_right(&m, public_key));
	}
	if (note_verifier_read(text, len, &n, public_key) == 0)
		assert(len < NOTE_VERIFIER_SIZE);
	free(text);
	return 0;
}
