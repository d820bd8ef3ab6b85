/* A CDB taken apart: each field where SPC and SBC have it, nothing beyond the CDB's end. */
#include "tests/unit/test.h"

#include "gateway/audit/cdb_fields.h"

struct wanted {
	const char *name;
	uint64_t value;
	unsigned seen;
};

static const struct taken_apart {
	const char *why;
	uint8_t cdb[32];
	size_t len;
	const char *name; /* NULL: nothing is known of it */
	uint64_t value;
} cases[] = {
	{"READ(6) has 21 bits of LBA",
	 {0x08, 0xff, 0x12, 0x34, 5},
	 6,
	 "LOGICAL BLOCK ADDRESS",
	 0x1f1234},
	{"WRITE(10)'s LBA", {0x2a, 0, 1, 2, 3, 4}, 10, "LOGICAL BLOCK ADDRESS", 0x01020304},
	{"WRITE(10)'s FUA", {0x2a, 0x08}, 10, "FUA", 1},
	{"WRITE(10)'s DPO is another bit", {0x2a, 0x08}, 10, "DPO", 0},
	{"WRITE(16)'s LBA has 64 bits",
	 {0x8a, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe},
	 16,
	 "LOGICAL BLOCK ADDRESS",
	 UINT64_MAX - 1},
	{"WRITE(16)'s length", {[0] = 0x8a, [12] = 1, [13] = 2}, 16, "TRANSFER LENGTH", 0x102},
	{"COMPARE AND WRITE has one octet of it",
	 {[0] = 0x89, [13] = 9},
	 16,
	 "NUMBER OF LOGICAL BLOCKS",
	 9},
	{"WRITE SAME's UNMAP", {0x93, 0x08}, 16, "UNMAP", 1},
	{"a service action", {0x5f, 0x04}, 10, "SERVICE ACTION", 4},
	{"a reservation's type", {0x5f, 0x01, 0x05}, 10, "TYPE", 5},
	{"its list's length", {0x5f, 0, 0, 0, 0, 0, 0, 0, 24}, 10, "PARAMETER LIST LENGTH", 24},
	{"the last octet is CONTROL", {[0] = 0x12, [5] = 7}, 6, "CONTROL", 7},
	{"an unknown command", {0xc1}, 16, NULL, 0},
	{"a CDB that ends too early", {0x8a}, 15, NULL, 0},
	{"no CDB", {0}, 0, NULL, 0},
};

static void note(void *arg, const char *name, uint64_t value)
{
	struct wanted *w = arg;

	if (w->name && strcmp(name, w->name) == 0) {
		w->seen++;
		w->value = value;
	}
}

static void test_case(void **state)
{
	const struct taken_apart *c = *state;
	struct wanted w = {.name = c->name};
	uint8_t *exact = malloc(c->len + 1); /* a sanitizer sees what is read beyond */

	assert_non_null(exact);
	memcpy(exact, c->cdb, c->len);
	exact = realloc(exact, c->len ? c->len : 1);
	assert_int_equal(cdb_fields(exact, c->len, note, &w), c->name != NULL);
	assert_int_equal(w.seen, c->name ? 1 : 0);
	assert_int_equal(w.value, c->value);
	free(exact);
}

static void in_bounds(void **state)
{
	uint8_t cdb[32];
	struct wanted w = {0};

	(void)state;
	memset(cdb, 0xff, sizeof cdb);
	for (unsigned opcode = 0; opcode < 256; opcode++) {
		for (size_t len = 0; len <= sizeof cdb; len++) {
			uint8_t *exact = malloc(len ? len : 1);

			assert_non_null(exact);
			memcpy(exact, cdb, len);
			exact[0] = (uint8_t)opcode;
			(void)cdb_fields(exact, len, note, &w);
			free(exact);
		}
	}
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, cases, test_case);
	tests_add(&t, "whatever the octets, nothing beyond the end is read", in_bounds, NULL);
	return tests_run(&t, "audit_cdb");
}
