/* Arbitrary sequences of offers and proofs into CHAP exchanges: nobody gets in, nothing is
 * answered twice, and a refusal is always the same. */
#include "auth/exchange.h"
static struct accounts accounts;
static struct exchange_common common;

int LLVMFuzzerInitialize(int *argc, char ***argv), LLVMFuzzerTestOneInput(const uint8_t *, size_t);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const struct auth_account one = {"alice", "", 1u << CHAP_MD5 | 1u << CHAP_SHA256};
	static struct secret slot = {16, "a secret of 16.."}, dummies[ACCOUNT_DUMMIES];
	static struct store_entry entry = {.name = "alice", .created_s = 1, .kind = STORE_SET};
	static const struct store store = {{&entry, 1}, &slot, 1};

	assert(argc && argv && sodium_init() >= 0 && chap_open() == 0);
	accounts_open(&accounts, dummies, &store);
	exchange_common_open(&common, &accounts);
	return accounts_set(&accounts, &one, 1, one.algorithms) |
	       (int)accounts_resolve(&accounts, &store, (char[1]){0}, 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct exchange e = {.state = EXCHANGE_NEW};
	struct exchange_answer a;

	for (size_t turn = 0, take; len > 0 && turn < 4;
	     turn++, data += 1 + take, len -= 1 + take) {
		_Alignas(16) uint8_t body[CHANNEL_BODY_MAX] = {0};
		const bool was_over = e.state == EXCHANGE_OVER;

		take = MIN(len - 1, (size_t)(data[0] >> 1) * 16);
		memcpy(body, data + 1, take);
		exchange_take(&e, &common, data[0] & 1 ? AUTH_OFFER : AUTH_PROOF, body, &a);
		assert(a.verdict.reason != AUTH_OK && a.verdict.reason < AUTH_REASONS);
		assert(a.type != AUTH_RESULT || a.result.ok + a.result.response_len == 0);
		assert(was_over ? !a.type : (e.state == EXCHANGE_OVER) == !!a.verdict.reason);
	}
	return 0;
}
