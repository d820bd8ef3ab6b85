/* An entry that is like another is what it would be with the keys written out: the two policies
 * differ in nothing. */
#include "tests/unit/test.h"

#include "policy/diff.h"
#include "tests/unit/policy_diff.h"

static struct tests t;

#define TEXT(vault, other)                                                                   \
	"version: 1\n"                                                                       \
	"portals: {here: {listen: ['127.0.0.1:3261'], transport: plain}}\n"                  \
	"disks: {a: {memory: 1MiB}, b: {memory: 2MiB}}\n"                                    \
	"targets:\n"                                                                         \
	"  " VAULT ":\n    portals: [here]\n    luns: {0: a, 1: b}\n    initiators:\n" vault \
	"  " OTHER ":\n    portals: [here]\n    luns: {0: b}\n    initiators:\n" other

#define ALICE_KEYS                                              \
	"        from: [127.0.0.1, 127.0.0.2]\n"                \
	"        luns: {0: read-only}\n        deny: [unmap]\n" \
	"        protect: [{lun: 0, blocks: 0-7}]\n"
#define ALICE_ENTRY    \
	"      " ALICE \
	":\n        chap: {user: alice, mutual: gw-a, algorithms: [sha256]}\n" ALICE_KEYS
#define CAROL_ENTRY "      " CAROL ":\n        chap: {user: carol, mutual: gw-c}\n"
#define BOB_ENTRY   "      " BOB ":\n        chap: {user: bob, mutual: gw-b}\n"

static const struct row {
	const char *why, *like, *written;
} rows[] = {
	{"all keys but chap, of another initiator",
	 TEXT(ALICE_ENTRY BOB_ENTRY "        like: " ALICE "\n", CAROL_ENTRY),
	 TEXT(ALICE_ENTRY BOB_ENTRY ALICE_KEYS, CAROL_ENTRY)},
	{"what is written beside it wins",
	 TEXT(ALICE_ENTRY BOB_ENTRY "        like: " ALICE "\n        deny: [write-16]\n"
				    "        luns: {0: read-write, 1: read-only}\n",
	      CAROL_ENTRY),
	 TEXT(ALICE_ENTRY BOB_ENTRY
	      "        from: [127.0.0.1, 127.0.0.2]\n        deny: [write-16]\n"
	      "        luns: {0: read-write, 1: read-only}\n"
	      "        protect: [{lun: 0, blocks: 0-7}]\n",
	      CAROL_ENTRY)},
	{"before the one that it is like, and through another",
	 TEXT("      " CAROL ":\n        chap: {user: carol, mutual: gw-c}\n        like: " BOB
	      "\n" BOB_ENTRY "        like: " ALICE "\n        deny: [write-16]\n" ALICE_ENTRY,
	      CAROL_ENTRY),
	 TEXT("      " CAROL ":\n        chap: {user: carol, mutual: gw-c}\n"
	      "        from: [127.0.0.1, 127.0.0.2]\n        luns: {0: read-only}\n"
	      "        deny: [write-16]\n        protect: [{lun: 0, blocks: 0-7}]\n" BOB_ENTRY
	      "        from: [127.0.0.1, 127.0.0.2]\n        luns: {0: read-only}\n"
	      "        deny: [write-16]\n        protect: [{lun: 0, blocks: 0-7}]\n" ALICE_ENTRY,
	      CAROL_ENTRY)},
	{"the same initiator in another target: with its chap, without its LUNs",
	 TEXT(ALICE_ENTRY, "      " ALICE ":\n        like: " ALICE "\n"),
	 TEXT(ALICE_ENTRY,
	      "      " ALICE ":\n        chap: {user: alice, mutual: gw-a, algorithms: [sha256]}\n"
	      "        from: [127.0.0.1, 127.0.0.2]\n        deny: [unmap]\n")},
	{"named with its target, and in capitals",
	 TEXT(ALICE_ENTRY, "      " ALICE ":\n        like: IQN.2026-11.net.example.gw:VAULT/"
			   "iqn.1994-05.com.RedHat:alice\n"),
	 TEXT(ALICE_ENTRY,
	      "      " ALICE ":\n        chap: {user: alice, mutual: gw-a, algorithms: [sha256]}\n"
	      "        from: [127.0.0.1, 127.0.0.2]\n        deny: [unmap]\n")},
	{"this target's entry before another target's",
	 TEXT(ALICE_ENTRY BOB_ENTRY "        like: " CAROL "\n" CAROL_ENTRY
				    "        deny: [write-16]\n",
	      CAROL_ENTRY "        deny: [unmap]\n"),
	 TEXT(ALICE_ENTRY BOB_ENTRY "        deny: [write-16]\n" CAROL_ENTRY
				    "        deny: [write-16]\n",
	      CAROL_ENTRY "        deny: [unmap]\n")},
};

static void is_the_same(void **state)
{
	const struct row *row = *state;
	struct policy *like = policy_taken(row->like, strlen(row->like));
	struct policy *written = policy_taken(row->written, strlen(row->written));
	struct differences d = {0};

	assert_int_equal(policy_differences(written, like, &d), 0);
	for (size_t k = 0; k < d.count; k++)
		print_message("%s %s: %s, and written out %s\n", d.list[k].initiator, d.list[k].key,
			      d.list[k].after, d.list[k].before);
	assert_int_equal(d.count, 0);
	differences_free(&d);
	policy_free(like);
	policy_free(written);
}

/* The line that decides is where the key is written. */
static void lines_are_the_source(void **state)
{
	struct policy *p = policy_taken(rows[0].like, strlen(rows[0].like));
	const struct policy_initiator *alice = &p->targets[0].initiators[0],
				      *bob = &p->targets[0].initiators[1];

	(void)state;
	assert_string_equal(bob->name, BOB);
	assert_int_equal(bob->from_line, alice->from_line);
	assert_int_equal(bob->denied_line, alice->denied_line);
	assert_int_not_equal(bob->chap_line, alice->chap_line);
	assert_int_not_equal(bob->line, alice->line);
	policy_free(p);
}

int main(void)
{
	TESTS_ADD_TABLE(&t, rows, is_the_same);
	tests_add(&t, "P5: the line that decides is where the key is written", lines_are_the_source,
		  NULL);
	return tests_run(&t, "policy");
}
