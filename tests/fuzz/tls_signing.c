/* Octets that libssl would have signed: what is taken apart is one of the forms, and builds the
 * same octets again. */
#include "gateway/base/bytes.h"
#include "gateway/tls/parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct auth_sign ask;

	if (len < 1 || tls_signing_parse(data + 1, len - 1, data[0], &ask) < 0)
		return 0;
	assert(ask.form < 8 && data[0] & 1u << ask.form);
	if (ask.form == AUTH_SIGN_KEY_EXCHANGE)
		assert(len - 1 == 68 + ask.point_len && get_be(data + 66, 2) == ask.curve &&
		       memcmp(ask.point, data + 69, ask.point_len) == 0);
	else
		assert(len - 1 == 98 + ask.hash_len && (ask.hash_len == 32 || ask.hash_len == 48) &&
		       memcmp(ask.hash, data + 99, ask.hash_len) == 0);
	return 0;
}
