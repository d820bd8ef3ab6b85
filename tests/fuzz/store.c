/* The sealed store from arbitrary bytes: its clear part is parsed; nothing is unsealed that was not
 * sealed; what has a good header is sealed again and must come out as it went in. */
#include "auth/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void round_trip(const struct store_list *list, const uint8_t *key)
{
	struct secret *secrets = calloc(list->count + 1, 2 * sizeof *secrets);
	struct store from = {*list, secrets, list->count};
	struct store to = {.secrets = secrets + list->count, .room = list->count};
	uint8_t *bytes;
	size_t size;

	for (size_t i = 0; i < list->count; i++)
		secrets[i].len = CHAP_SECRET_MIN;
	assert(store_seal(&from, key, &bytes, &size) == 0);
	assert(store_unseal(&to, key, bytes, size) == 0 && to.list.count == list->count);
	store_clear(&to);
	free(bytes);
	free(secrets);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint8_t key[STORE_KEY_SIZE] = {42};
	static struct secret slots[64];
	struct store store = {.secrets = slots, .room = ARRAY_LEN(slots)};
	struct store_list list = {0};

	if (store_list_parse(data, len, &list) == 0) {
		assert(!store_list_knows(&list, "no such name!"));
		round_trip(&list, key);
		store_list_free(&list);
	}
	assert(len == 0 || store_unseal(&store, key, data, len) < 0);
	store_clear(&store);
	return 0;
}
