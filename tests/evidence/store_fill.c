/* store_fill DIR COUNT: puts secrets for u0, u1, … into a state folder's store at once, beside what
 * it has. For a policy with thousands of initiators; a person's way is one command for each. */
#include <stdio.h>
#include "auth/slab.h"
#include "auth/store.h"
#include "gateway/base/bytes.h"
#include "gateway/base/state.h"

static char why[512];

static int fill(struct store *s, unsigned count)
{
	const char *other;
	int r = 0;

	for (unsigned k = 0; k < count && r == 0; k++) {
		struct store_entry entry = {.kind = STORE_SET, .created_s = 1};
		struct secret secret = {0};

		(void)snprintf(entry.name, sizeof entry.name, "u%u", k);
		secret.len = (uint8_t)snprintf((char *)secret.octets, sizeof secret.octets,
					       "secret-of-user-%u", k);
		r = store_put(s, &entry, &secret, &other);
	}
	return r;
}

static int change(const char *path, unsigned count, struct store *s)
{
	OWNED_FD state = state_open(path, true, why, sizeof why);
	OWNED_FREE uint8_t *bytes = NULL;
	OWNED_FD key_fd = -1, store_fd = -1;
	uint8_t key[STORE_KEY_SIZE];
	size_t len;
	int r;

	if (state < 0 || (r = store_key_ensure(path, state, why, sizeof why)) < 0)
		return -EINVAL;
	key_fd = store_key_open(path, why, sizeof why);
	store_fd = store_open(state, why, sizeof why);
	if (key_fd < 0 || store_fd < 0 || (r = store_key_read(key_fd, key)) < 0 ||
	    (r = store_load(s, store_fd, key, why, sizeof why)) < 0)
		return -EINVAL;
	if ((r = fill(s, count)) < 0 || (r = store_seal(s, key, &bytes, &len)) < 0)
		return r;
	return store_write(state, bytes, len, why, sizeof why);
}

int main(int argc, char **argv)
{
	size_t size = STORE_ENTRIES_MAX * sizeof(struct secret);
	struct store store = {.room = STORE_ENTRIES_MAX};
	struct slab slab;
	uint64_t count;
	int r;

	if (argc != 3 || number_parse(argv[2], 1, STORE_ENTRIES_MAX, &count) < 0)
		return 2;
	if (sodium_init() < 0 || slab_open(&slab, size, size, why, sizeof why) < 0) {
		fprintf(stderr, "store_fill: %s\n", why);
		return 3;
	}
	store.secrets = (void *)slab.memory;
	r = change(argv[1], (unsigned)count, &store);
	if (r < 0)
		fprintf(stderr, "store_fill: %s %s\n", strerror(-r), why);
	store_clear(&store);
	slab_close(&slab);
	return r < 0 ? 3 : 0;
}
