/* Chain, tree and seals against known answers: the roots of Certificate Transparency's reference
 * leaves (RFC 6962 section 2.1), and seals that another implementation of BLAKE2b made. */
#include "tests/unit/test.h"

#include <sodium.h>
#include "gateway/audit/hash.h"

static const char *const leaves[] = {
	"",
	"00",
	"10",
	"2021",
	"3031",
	"40414243",
	"5051525354555657",
	"606162636465666768696a6b6c6d6e6f",
};

static void add_hex(struct tree *t, const char *hex)
{
	uint8_t octets[16], leaf[HASH_SIZE];
	size_t len;

	assert_int_equal(sodium_hex2bin(octets, sizeof octets, hex, strlen(hex), NULL, &len, NULL),
			 0);
	tree_leaf_hash(octets, len, leaf);
	tree_add(t, leaf);
}

static void assert_root(const struct tree *t, const char *want)
{
	uint8_t root[HASH_SIZE];
	char hex[2 * HASH_SIZE + 1];

	tree_root(t, root);
	assert_string_equal(sodium_bin2hex(hex, sizeof hex, root, sizeof root), want);
}

static const struct root_case {
	const char *why;
	size_t size;
	const char *want;
} root_cases[] = {
	{"of no leaf, SHA-256 of nothing", 0,
	 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
	{"of one leaf", 1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"},
	{"of two", 2, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"},
	{"of three", 3, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"},
	{"of four", 4, "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"},
	{"of five", 5, "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"},
	{"of six", 6, "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"},
	{"of seven", 7, "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"},
	{"of eight", 8, "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"},
};

static void test_root(void **state)
{
	const struct root_case *c = *state;
	struct tree t = {.size = 0};

	for (size_t i = 0; i < c->size; i++)
		add_hex(&t, leaves[i]);
	assert_root(&t, c->want);
}

static void add_octet(struct tree *t, uint8_t octet)
{
	uint8_t leaf[HASH_SIZE];

	tree_leaf_hash(&octet, 1, leaf);
	tree_add(t, leaf);
}

static void test_hundred(void **state)
{
	struct tree t = {.size = 0};

	(void)state;
	for (uint8_t i = 0; i < 100; i++)
		add_octet(&t, i);
	assert_root(&t, "9eccc8f11ab3ecd41cbf41f5045df576dcedc60f44d4a3de5f40b7d4f7e9d7e3");
}

/* What a segment's header has of the tree. */
static void test_frontier(void **state)
{
	uint8_t frontier[TREE_LEVELS][HASH_SIZE];
	struct tree t = {.size = 0}, again;

	(void)state;
	for (uint8_t i = 0; i < 100; i++) {
		size_t count = tree_frontier(&t, frontier);

		assert_int_equal(count, tree_frontier_count(t.size));
		tree_restore(&again, t.size, (const uint8_t(*)[HASH_SIZE])frontier);
		assert_memory_equal(&again, &t, offsetof(struct tree, nodes));
		for (uint8_t k = i; k < 100; k++)
			add_octet(&again, k);
		assert_root(&again,
			    "9eccc8f11ab3ecd41cbf41f5045df576dcedc60f44d4a3de5f40b7d4f7e9d7e3");
		add_octet(&t, i);
	}
}

static void test_same_hash(void **state)
{
	uint8_t bytes[4096] = {1, 2, 3}, slow[2][HASH_SIZE], quick[2][HASH_SIZE];

	(void)state;
	block_hash(bytes, sizeof bytes, slow[0]);
	tree_leaf_hash(bytes, sizeof bytes, slow[1]);
	assert_int_equal(hash_start(), 0);
	block_hash(bytes, sizeof bytes, quick[0]);
	tree_leaf_hash(bytes, sizeof bytes, quick[1]);
	hash_stop();
	assert_memory_equal(slow, quick, sizeof slow);
	assert_memory_not_equal(slow[0], slow[1], HASH_SIZE);
}

static const struct seal_case {
	const char *why;
	enum audit_log log;
	size_t evolved;
	const char *want_key, *want_seal;
} seal_cases[] = {
	{"the first key of the commands", LOG_COMMANDS, 0,
	 "e5bcef5f7ae761096dbe4564ff015ad58b91b85cf57a3f79561bd8276853acaf", NULL},
	{"the second one, and a seal under it", LOG_COMMANDS, 1,
	 "6b7430da87655ea5b0a2831023774f442a7f2669aea6adbfb7023f026156d9e3",
	 "36e821ed0e1f5f074c7095c9b8bc1453dd62102ffdd984ff2ddc88bb797de425"},
	{"the first key of the events", LOG_EVENTS, 0,
	 "98fa6174addb81977b76b6f26b1d5d88268875cabe79aef1acc91797858287b8", NULL},
	{"their second one, and a seal under it", LOG_EVENTS, 1,
	 "8f65ad2828fe275764db433627c5aa3143449594d730bbf6ea56f6040326f268",
	 "3862d0e632eec1ae6ef548656129e9ec3d7535ef7b8395b466aad62844ecfef1"},
};

static void test_seal(void **state)
{
	const struct seal_case *c = *state;
	static const uint8_t block[] = {'a', ' ', 'b', 'l', 'o', 'c', 'k'};
	uint8_t epoch_key[32], seal[SEAL_SIZE];
	char hex[2 * SEAL_SIZE + 1];
	struct seal_key k;

	for (uint8_t i = 0; i < 32; i++)
		epoch_key[i] = i;
	seal_key_first(&k, epoch_key, c->log);
	for (size_t i = 0; i < c->evolved; i++)
		seal_key_next(&k);
	assert_string_equal(sodium_bin2hex(hex, sizeof hex, k.octets, sizeof k.octets),
			    c->want_key);
	if (!c->want_seal)
		return;
	seal_make(&k, block, sizeof block, seal);
	assert_string_equal(sodium_bin2hex(hex, sizeof hex, seal, sizeof seal), c->want_seal);
	assert_true(seal_right(&k, block, sizeof block, seal));
	assert_false(seal_right(&k, block, sizeof block - 1, seal));
	seal_key_next(&k);
	assert_false(seal_right(&k, block, sizeof block, seal));
}

int main(void)
{
	static struct tests t;

	if (sodium_init() < 0)
		return 1;
	TESTS_ADD_TABLE(&t, root_cases, test_root);
	TESTS_ADD_TABLE(&t, seal_cases, test_seal);
	tests_add(&t, "the root of a hundred leaves", test_hundred, NULL);
	tests_add(&t, "a tree goes on from its frontier, at any size", test_frontier, NULL);
	tests_add(&t, "both implementations of SHA-256 say the same", test_same_hash, NULL);
	return tests_run(&t, "audit");
}
