/* The sealed store as bytes: what goes in comes out, names are read without the key,
 * and nothing that was touched, cut or sealed under another key is taken. */
#include "auth/store.h"
#include "tests/unit/test.h"

#define ROOM 8

static struct secret slots[ROOM], spare[ROOM];
static const uint8_t key[STORE_KEY_SIZE] = {1, 2, 3}, other_key[STORE_KEY_SIZE] = {3, 2, 1};

static struct secret secret_of(const char *text)
{
	struct secret s = {.len = (uint8_t)strlen(text)};

	memcpy(s.octets, text, s.len);
	return s;
}

static int put(struct store *s, const char *name, const char *text)
{
	struct store_entry e = {.created_s = 1700000000, .kind = STORE_SET};
	struct secret secret = secret_of(text);
	const char *other = "";

	assert_true(string_copy(e.name, sizeof e.name, name));
	return store_put(s, &e, &secret, &other);
}

static void holds(const struct store *s, const char *name, const char *text)
{
	ssize_t at = store_list_find(&s->list, name);
	struct secret want = secret_of(text);

	assert_true(at >= 0);
	assert_true(secret_equal(&s->secrets[at], &want));
}

/* Three secrets, sealed; malloc'd. */
static uint8_t *sealed(size_t *ret_len)
{
	struct store s = {.secrets = slots, .room = ROOM};
	uint8_t *bytes;

	assert_int_equal(put(&s, "gw-for-alice", "the gateway's own"), 0);
	assert_int_equal(put(&s, "alice", "alice's secret of 24 oct"), 0);
	assert_int_equal(put(&s, "bob", "bob's secret"), 0);
	assert_int_equal(store_seal(&s, key, &bytes, ret_len), 0);
	store_clear(&s);
	return bytes;
}

static void run_round(void **state)
{
	struct store s = {.secrets = spare, .room = ROOM};
	OWNED_FREE uint8_t *bytes = NULL;
	struct store_list names;
	size_t len;

	(void)state;
	bytes = sealed(&len);
	assert_true(sodium_is_zero((const uint8_t *)slots, sizeof slots));
	assert_int_equal(store_unseal(&s, key, bytes, len), 0);
	assert_int_equal(s.list.count, 3);
	holds(&s, "alice", "alice's secret of 24 oct");
	holds(&s, "bob", "bob's secret");
	holds(&s, "gw-for-alice", "the gateway's own");
	assert_int_equal(store_list_parse(bytes, len, &names), 0);
	assert_true(store_list_knows(&names, "alice") && store_list_knows(&names, "bob"));
	assert_false(store_list_knows(&names, "alic") || store_list_knows(&names, "alicex") ||
		     store_list_knows(&names, "Alice") || store_list_knows(&names, ""));
	assert_string_equal(names.entries[0].name, "alice");
	assert_int_equal(names.entries[0].created_s, 1700000000);
	store_list_free(&names);
	store_clear(&s);
}

static void run_hidden(void **state)
{
	OWNED_FREE uint8_t *bytes = NULL;
	OWNED_FREE uint8_t *again = NULL;
	size_t len, len_again;

	(void)state;
	bytes = sealed(&len);
	again = sealed(&len_again);
	assert_int_equal(len, len_again);
	assert_memory_not_equal(bytes, again, len); /* a fresh nonce each time */
	assert_null(memmem(bytes, len, "secret of", 9));
	assert_null(memmem(bytes, len, "gateway's", 9));
}

static void run_touched(void **state)
{
	struct store s = {.secrets = spare, .room = ROOM};
	OWNED_FREE uint8_t *bytes = NULL;
	size_t len;
	int r;

	(void)state;
	bytes = sealed(&len);
	for (size_t i = 0; i < len * 8; i++) {
		bytes[i / 8] ^= (uint8_t)(1u << i % 8);
		r = store_unseal(&s, key, bytes, len);
		assert_true(r == -EBADMSG || r == -EKEYREJECTED);
		assert_int_equal(s.list.count, 0);
		bytes[i / 8] ^= (uint8_t)(1u << i % 8);
	}
	assert_true(sodium_is_zero((const uint8_t *)spare, sizeof spare));
	assert_int_equal(store_unseal(&s, key, bytes, len), 0);
	store_clear(&s);
}

static void run_cut(void **state)
{
	struct store s = {.secrets = spare, .room = ROOM};
	OWNED_FREE uint8_t *bytes = NULL;
	OWNED_FREE uint8_t *longer = NULL;
	size_t len;

	(void)state;
	bytes = sealed(&len);
	for (size_t cut = 1; cut < len; cut++) {
		/* its own allocation, so that a sanitizer sees a read beyond it */
		OWNED_FREE uint8_t *part = malloc(cut);

		memcpy(part, bytes, cut);
		assert_int_equal(store_unseal(&s, key, part, cut), -EBADMSG);
	}
	longer = calloc(1, len + 1);
	memcpy(longer, bytes, len);
	assert_int_equal(store_unseal(&s, key, longer, len + 1), -EBADMSG);
}

#define ROW(n, at) (56 + (n)*80 + (at))

static const struct clear {
	const char *why;
	size_t at;
	const char *bytes;
	size_t len;
} clears[] = {
	{"names: another magic is no store", 0, "s", 1},
	{"names: version 3 is not known", 11, "\3", 1},
	{"names: more names than the file holds", 15, "\4", 1},
	{"names: more names than a store may hold", 12, "\377\377\377\377", 4},
	{"names: one twice", ROW(1, 0), "alice", 6},
	{"names: out of order", ROW(1, 0), "aaaaa", 6},
	{"names: an empty one", ROW(0, 0), "\0\0\0\0\0", 5},
	{"names: with a newline", ROW(0, 0), "al\n", 3},
	{"names: without an end", ROW(2, 63), "x", 1},
	{"names: something behind the end", ROW(0, 7), "x", 1},
	{"names: made after the year 9999", ROW(0, 66), "\1", 1},
	{"names: of no kind", ROW(0, 72), "\0", 1},
	{"names: of an unknown kind", ROW(0, 72), "\3", 1},
	{"names: one of before a rotation without one of after it", ROW(0, 79), "\1", 1},
	{"names: one of before another name's rotation", ROW(1, 79), "\1", 1},
	{"names: one that is good beyond the year 9999", ROW(1, 74), "\1", 1},
};

static void run_clear(void **state)
{
	const struct clear *row = *state;
	struct store_list names = {0};
	OWNED_FREE uint8_t *bytes = NULL;
	size_t len;

	bytes = sealed(&len);
	assert_int_equal(store_list_parse(bytes, len, &names), 0);
	store_list_free(&names);
	memcpy(bytes + row->at, row->bytes, row->len);
	assert_int_equal(store_list_parse(bytes, len, &names), -EBADMSG);
	assert_null(names.entries);
}

static void run_other_key(void **state)
{
	struct store s = {.secrets = spare, .room = ROOM};
	OWNED_FREE uint8_t *bytes = NULL;
	size_t len;

	(void)state;
	bytes = sealed(&len);
	assert_int_equal(store_unseal(&s, other_key, bytes, len), -EKEYREJECTED);
	assert_int_equal(s.list.count, 0);
}

static void run_room(void **state)
{
	struct store s = {.secrets = spare, .room = 2};
	OWNED_FREE uint8_t *bytes = NULL;
	size_t len;

	(void)state;
	bytes = sealed(&len);
	assert_int_equal(store_unseal(&s, key, bytes, len), -ENOSPC);
	assert_true(sodium_is_zero((const uint8_t *)spare, sizeof spare));
	assert_int_equal(put(&s, "a", "secret number 1"), 0);
	assert_int_equal(put(&s, "b", "secret number 2"), 0);
	assert_int_equal(put(&s, "c", "secret number 3"), -ENOSPC);
	assert_int_equal(put(&s, "b", "secret number 4"), 0); /* replacing needs no room */
	holds(&s, "b", "secret number 4");
	store_clear(&s);
}

static void run_empty(void **state)
{
	struct store s = {.secrets = spare, .room = ROOM};
	OWNED_FREE uint8_t *bytes = NULL;
	size_t len;

	(void)state;
	assert_int_equal(store_unseal(&s, key, NULL, 0), 0);
	assert_int_equal(s.list.count, 0);
	assert_int_equal(store_seal(&s, key, &bytes, &len), 0);
	assert_int_equal(store_unseal(&s, key, bytes, len), 0);
	assert_int_equal(s.list.count, 0);
	assert_int_equal(store_unseal(&s, other_key, bytes, len), -EKEYREJECTED);
}

static void run_reuse(void **state)
{
	struct store s = {.secrets = spare, .room = ROOM};
	struct store_entry e = {.name = "gw", .created_s = 1, .kind = STORE_SET};
	struct secret same = secret_of("alice's secret");
	const char *other = NULL;

	(void)state;
	assert_int_equal(put(&s, "alice", "alice's secret"), 0);
	assert_int_equal(store_put(&s, &e, &same, &other), -EEXIST);
	assert_string_equal(other, "alice");
	assert_int_equal(s.list.count, 1);
	assert_int_equal(put(&s, "gw", "alice's secret."), 0); /* a longer one is another one */
	assert_int_equal(put(&s, "alice", "alice's secret."), -EEXIST);
	holds(&s, "alice", "alice's secret");
	assert_int_equal(put(&s, "alice", "alice's secret"), 0); /* its own again */
	store_clear(&s);
}

static void run_remove(void **state)
{
	struct store s = {.secrets = spare, .room = ROOM};

	(void)state;
	assert_int_equal(put(&s, "a", "secret number 1"), 0);
	assert_int_equal(put(&s, "b", "secret number 2"), 0);
	assert_int_equal(put(&s, "c", "secret number 3"), 0);
	assert_int_equal(store_remove(&s, "B"), -ENOENT);
	assert_int_equal(store_remove(&s, "a"), 0);
	assert_int_equal(store_remove(&s, "a"), -ENOENT);
	holds(&s, "b", "secret number 2");
	holds(&s, "c", "secret number 3");
	assert_true(sodium_is_zero((const uint8_t *)&spare[2], sizeof spare[2]));
	assert_int_equal(put(&s, "d", "secret number 1"), 0); /* it is free again */
	store_clear(&s);
}

/* --- rotation -------------------------------------------------------------------------------- */

static int rotate(struct store *s, const char *name, const char *text, uint64_t until_s)
{
	struct store_entry e = {.created_s = 1700000001, .kind = STORE_GENERATED};
	struct secret secret = secret_of(text);
	const char *other = "";

	assert_true(string_copy(e.name, sizeof e.name, name));
	return store_rotate(s, &e, &secret, until_s, &other);
}

/* What the name has of before a rotation. */
static void held(const struct store *s, const char *name, const char *text, uint64_t until_s)
{
	ssize_t at = store_list_before(&s->list, (size_t)store_list_find(&s->list, name));
	struct secret want = secret_of(text ? text : "");

	assert_int_equal(at >= 0, text != NULL);
	if (!text)
		return;
	assert_string_equal(s->list.entries[at].name, name);
	assert_int_equal(s->list.entries[at].until_s, until_s);
	assert_true(secret_equal(&s->secrets[at], &want));
}

static void run_rotate(void **state)
{
	struct store s = {.secrets = slots, .room = ROOM}, again = {.secrets = spare, .room = ROOM};
	OWNED_FREE uint8_t *bytes = NULL;
	size_t len;

	(void)state;
	assert_int_equal(put(&s, "a", "secret number 1"), 0);
	assert_int_equal(put(&s, "b", "secret number 2"), 0);
	assert_int_equal(put(&s, "c", "secret number 3"), 0);
	assert_int_equal(rotate(&s, "b", "secret number 4", 1800000000), 0);
	holds(&s, "b", "secret number 4");
	held(&s, "b", "secret number 2", 1800000000);
	assert_int_equal(s.list.entries[1].created_s, 1700000001);
	assert_int_equal(s.list.entries[2].created_s, 1700000000);
	assert_int_equal(store_seal(&s, key, &bytes, &len), 0);
	assert_int_equal(store_unseal(&again, key, bytes, len), 0);
	assert_int_equal(again.list.count, 4);
	holds(&again, "a", "secret number 1");
	holds(&again, "b", "secret number 4");
	held(&again, "b", "secret number 2", 1800000000);
	holds(&again, "c", "secret number 3");
	held(&again, "a", NULL, 0);
	held(&again, "c", NULL, 0);
	store_clear(&again);
	store_clear(&s);
}

static void run_rotate_refused(void **state)
{
	struct store s = {.secrets = spare, .room = 4};

	(void)state;
	assert_int_equal(put(&s, "a", "secret number 1"), 0);
	assert_int_equal(put(&s, "b", "secret number 2"), 0);
	assert_int_equal(rotate(&s, "c", "secret number 3", 2), -ENOENT);
	assert_int_equal(rotate(&s, "b", "secret number 2", 2), -EEXIST); /* its own */
	assert_int_equal(rotate(&s, "b", "secret number 1", 2), -EEXIST);
	assert_int_equal(rotate(&s, "b", "eleven byte", 2), -EINVAL);
	assert_int_equal(rotate(&s, "b", "secret number 3", 0), -EINVAL);
	assert_int_equal(rotate(&s, "b", "secret number 3", 253402300800u), -EINVAL);
	assert_int_equal(rotate(&s, "b", "secret number 3", 2), 0);
	assert_int_equal(rotate(&s, "b", "secret number 4", 3), -EALREADY);
	assert_int_equal(put(&s, "a", "secret number 2"), -EEXIST); /* b had it before */
	assert_int_equal(put(&s, "c", "secret number 2"), -EEXIST);
	assert_int_equal(rotate(&s, "a", "secret number 5", 3), 0);
	assert_int_equal(s.list.count, 4);
	assert_int_equal(store_overlap_end(&s, "a"), 0);
	assert_int_equal(store_overlap_end(&s, "a"), -ENOENT);
	assert_int_equal(put(&s, "c", "secret number 6"), 0);
	assert_int_equal(rotate(&s, "a", "secret number 7", 3), -ENOSPC);
	holds(&s, "a", "secret number 5");
	held(&s, "b", "secret number 2", 2);
	store_clear(&s);
}

static void run_expire(void **state)
{
	struct store s = {.secrets = spare, .room = ROOM};

	(void)state;
	assert_int_equal(put(&s, "a", "secret number 1"), 0);
	assert_int_equal(put(&s, "b", "secret number 2"), 0);
	assert_int_equal(rotate(&s, "a", "secret number 3", 100), 0);
	assert_int_equal(rotate(&s, "b", "secret number 4", 200), 0);
	assert_int_equal(store_expire(&s, 99), 0);
	assert_int_equal(store_expire(&s, 100), 1);
	held(&s, "a", NULL, 0);
	held(&s, "b", "secret number 2", 200);
	holds(&s, "a", "secret number 3");
	assert_true(sodium_is_zero((const uint8_t *)&spare[3], sizeof spare[3]));
	assert_int_equal(store_expire(&s, 1000), 1);
	assert_int_equal(s.list.count, 2);
	assert_true(sodium_is_zero((const uint8_t *)&spare[2], sizeof spare[2]));
	assert_int_equal(rotate(&s, "a", "secret number 1", 300), 0); /* it is nobody's any more */
	store_clear(&s);
}

static void run_rotated_away(void **state)
{
	struct store s = {.secrets = spare, .room = ROOM};

	(void)state;
	assert_int_equal(put(&s, "a", "secret number 1"), 0);
	assert_int_equal(put(&s, "b", "secret number 2"), 0);
	assert_int_equal(rotate(&s, "a", "secret number 3", 100), 0);
	assert_int_equal(put(&s, "a", "secret number 4"), 0); /* replaces both */
	assert_int_equal(s.list.count, 2);
	held(&s, "a", NULL, 0);
	assert_int_equal(rotate(&s, "a", "secret number 3", 100), 0);
	assert_int_equal(store_remove(&s, "a"), 0);
	assert_int_equal(s.list.count, 1);
	holds(&s, "b", "secret number 2");
	assert_true(sodium_is_zero((const uint8_t *)&spare[1], 2 * sizeof spare[1]));
	store_clear(&s);
}

/* As sealed by a version of the program that knew no rotation: the version is all that differs. */
static void run_version_one(void **state)
{
	struct store s = {.secrets = slots, .room = ROOM};
	struct store_list names;
	uint8_t *bytes;
	size_t len;

	(void)state;
	bytes = sealed(&len);
	bytes[11] = 1;
	assert_int_equal(store_list_parse(bytes, len, &names), 0);
	assert_int_equal(names.count, 3);
	store_list_free(&names);
	free(bytes);
	assert_int_equal(put(&s, "a", "secret number 1"), 0);
	assert_int_equal(rotate(&s, "a", "secret number 2", 100), 0);
	assert_int_equal(store_seal(&s, key, &bytes, &len), 0);
	bytes[11] = 1;
	assert_int_equal(store_list_parse(bytes, len, &names), -EBADMSG);
	free(bytes);
	store_clear(&s);
}

static const struct lengths {
	const char *why;
	size_t len;
	int want;
} lengths[] = {
	{"a secret of 0 octets is refused", 0, -EINVAL},
	{"a secret of 11 octets is refused", 11, -EINVAL},
	{"a secret of 12 octets is taken", 12, 0},
	{"a secret of 16 octets is taken", 16, 0},
	{"a secret of 255 octets is taken", 255, 0},
};

static void run_lengths(void **state)
{
	const struct lengths *row = *state;
	struct store s = {.secrets = spare, .room = ROOM};
	char text[256] = {0};

	memset(text, 'x', row->len);
	assert_int_equal(put(&s, "alice", text), row->want);
	store_clear(&s);
}

static const struct names {
	const char *why, *name;
	bool valid;
} names[] = {
	{"a name of letters, digits, dot, underscore and hyphen", "Gw-1_for.alice", true},
	{"a name of one character", "a", true},
	{"a name of 63 characters",
	 "123456789012345678901234567890123456789012345678901234567890123", true},
	{"a name of 64 characters is none",
	 "1234567890123456789012345678901234567890123456789012345678901234", false},
	{"no name is none", "", false},
	{"a blank is no name", "a b", false},
	{"a slash is no name", "../key", false},
	{"a newline is no name", "alice\n", false},
	{"an octet above 127 is no name",
	 "al\xc3\xaf"
	 "ce",
	 false},
};

static void run_names(void **state)
{
	const struct names *row = *state;

	assert_int_equal(store_name_valid(row->name), row->valid);
}

int main(void)
{
	static struct tests t;

	assert(sodium_init() >= 0);
	tests_add(&t, "what was sealed is unsealed, and names are read without the key", run_round,
		  NULL);
	tests_add(&t, "no secret shows in the sealed store, no nonce is used twice", run_hidden,
		  NULL);
	tests_add(&t, "a store with any one bit changed is refused, and nothing of it stays",
		  run_touched, NULL);
	tests_add(&t, "a store cut anywhere, or with an octet more, is refused", run_cut, NULL);
	tests_add(&t, "another key is told from damage", run_other_key, NULL);
	tests_add(&t, "a store that does not fit is refused, and nothing of it stays", run_room,
		  NULL);
	tests_add(&t, "no octets are an empty store; an empty store is sealed, too", run_empty,
		  NULL);
	tests_add(&t, "one secret for two names is refused, in both directions", run_reuse, NULL);
	tests_add(&t, "what is removed is wiped, and its neighbours stay", run_remove, NULL);
	tests_add(&t, "a rotation keeps the secret of before, through seal and unseal", run_rotate,
		  NULL);
	tests_add(&t, "a rotation is refused whole: no name, no new secret, no room, one under way",
		  run_rotate_refused, NULL);
	tests_add(&t, "what a rotation left is wiped in the second when its time is over",
		  run_expire, NULL);
	tests_add(&t, "replacing and removing take the secret of before the rotation along",
		  run_rotated_away, NULL);
	tests_add(&t, "a store of version 1 is read, and has no rotation", run_version_one, NULL);
	TESTS_ADD_TABLE(&t, clears, run_clear);
	TESTS_ADD_TABLE(&t, lengths, run_lengths);
	TESTS_ADD_TABLE(&t, names, run_names);
	return tests_run(&t, "secret_store");
}
