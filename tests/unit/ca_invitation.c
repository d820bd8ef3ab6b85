/* Invitations: codes as people copy them, and the files that prove them without holding them. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include "auth/ca.h"
#include "auth/invitation.h"
#include "gateway/base/fd.h"
#include "tests/unit/test.h"

#define NOW	  1800000000
#define INITIATOR "iqn.2026-11.net.example:host-7"

/* What invitation_code_write() makes of this place and the secret 00h, 01h, … 0fh. */
#define PLACE	"gw.example.net:3261"
#define LETTERS "000g40r40m30e209185gr38e1w"

static const uint8_t key[STORE_KEY_SIZE] = {1, 2, 3};
static char code[INVITATION_CODE_SIZE], folder[64];
static int ca_fd = -1;

static void code_make(const char *place, struct invitation_code *ret)
{
	const char *why;

	assert_int_equal(invitation_place_parse(place, ret, &why), 0);
	for (size_t k = 0; k < sizeof ret->secret; k++)
		ret->secret[k] = (uint8_t)k;
	invitation_code_write(ret, code);
}

/* --- the code -------------------------------------------------------------------------------- */

static void run_code(void **state)
{
	struct invitation_code c, again;
	const char *why;

	(void)state;
	code_make(PLACE, &c);
	assert_int_equal(strncmp(code, PLACE "/" LETTERS, strlen(PLACE "/" LETTERS)), 0);
	assert_int_equal(strlen(code), strlen(PLACE "/") + INVITATION_LETTERS);
	assert_int_equal(invitation_code_parse(code, &again, &why), 0);
	assert_memory_equal(c.secret, again.secret, sizeof c.secret);
	assert_string_equal(again.host, "gw.example.net");
	assert_int_equal(again.port, 3261);
}

/* As it may be typed: `from` is replaced by `to` once. */
static const struct typed_row {
	const char *why, *from, *to;
	bool fine;
} typed_rows[] = {
	{"as it was shown", "", "", true},
	{"the place in upper case", "gw.example", "GW.Example", true},
	{"a letter in upper case", "g40r", "G40R", true},
	{"O for 0", "000g", "oOog", true},
	{"I and L for 1", "209185", "2o9I85", true},
	{"hyphens between its letters", "000g40r4", "000g-40r4-", true},
	{"one wrong letter", "000g", "001g", false},
	{"two letters changed their places", "g40r", "g4r0", false},
	{"one letter is missing", "000g", "00g", false},
	{"one letter more", "000g", "0000g", false},
	{"U, which no code has", "000g", "u00g", false},
	{"a space", "000g", "0 0g", false},
	{"a letter of another alphabet", "000g",
	 "\xc3\xb8"
	 "00g",
	 false},
	{"no place", "gw.example.net:3261/", "", false},
	{"another place", "gw.", "gx.", false},
	{"another port", "3261", "3260", false},
	{"no port", ":3261", "", false},
	{"port 0", "3261", "0", false},
	{"a port beyond 65535", "3261", "65536", false},
	{"no letters at all", LETTERS, "", false},
};

static void run_typed(void **state)
{
	const struct typed_row *row = *state;
	char typed[2 * INVITATION_CODE_SIZE];
	struct invitation_code c = {.port = 7};
	const char *why = NULL, *at;
	size_t before;
	int r;

	code_make(PLACE, &c);
	at = strstr(code, row->from);
	assert_non_null(at);
	before = (size_t)(at - code);
	(void)snprintf(typed, sizeof typed, "%.*s%s%s", (int)before, code, row->to,
		       at + strlen(row->from));
	r = invitation_code_parse(typed, &c, &why);
	assert_int_equal(r, row->fine ? 0 : -EINVAL);
	assert_non_null(why);
}

static const struct place_row {
	const char *why, *place, *host;
} place_rows[] = {
	{"an address", "192.0.2.7:3261", "192.0.2.7"},
	{"an IPv6 address in brackets", "[2001:DB8::7]:3261", "2001:db8::7"},
	{"an IPv6 address without brackets", "2001:db8::7:3261", NULL},
	{"brackets around a name", "[a:b]:3261", NULL},
	{"nothing before the port", ":3261", NULL},
	{"empty brackets", "[]:3261", NULL},
	{"a slash in it", "a/b:3261", NULL},
	{"a control character", "a\033b:3261", NULL},
	{"a port with a sign", "gw:+3261", NULL},
	{"a quote, which would end a text in a file of settings", "a\"b:3261", NULL},
	{"a backslash", "a\\b:3261", NULL},
	{"a dollar", "$a:3261", NULL},
	{"what a name of the field has", "gw-1.a_b.example:3261", "gw-1.a_b.example"},
};

static void run_place(void **state)
{
	const struct place_row *row = *state;
	struct invitation_code c;
	const char *why;
	int r = invitation_place_parse(row->place, &c, &why);

	assert_int_equal(r, row->host ? 0 : -EINVAL);
	if (row->host)
		assert_string_equal(c.host, row->host);
}

static void run_derived(void **state)
{
	uint8_t id[INVITATION_ID_SIZE], proof[INVITATION_KEY_SIZE];
	struct invitation_code c;

	(void)state;
	code_make(PLACE, &c);
	invitation_derive(c.secret, id, proof);
	assert_memory_not_equal(id, c.secret, sizeof id);
	assert_memory_not_equal(proof, c.secret, sizeof c.secret);
	assert_memory_not_equal(proof, id, sizeof id);
}

/* --- files ----------------------------------------------------------------------------------- */

static int setup(void **state)
{
	(void)state;
	(void)string_copy(folder, sizeof folder, "/tmp/invitations-XXXXXX");
	assert_non_null(mkdtemp(folder));
	ca_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(ca_fd >= 0);
	return mkdirat(ca_fd, CA_INVITATIONS, 0700);
}

static int teardown(void **state)
{
	OWNED_BY(invitations_free) struct invitations all = {0};

	(void)state;
	assert_int_equal(invitations_load(ca_fd, &all), 0);
	for (size_t k = 0; k < all.count; k++)
		assert_int_equal(invitation_remove(ca_fd, &all.list[k]), 0);
	(void)unlinkat(ca_fd, CA_INVITATIONS "/stray", 0);
	(void)unlinkat(ca_fd, CA_INVITATIONS, AT_REMOVEDIR);
	fd_close(&ca_fd);
	return rmdir(folder);
}

static struct invitation put(uint8_t number, int64_t until_s)
{
	const struct sealed_keys keys = {{key}, 1};
	struct invitation i = {.id = {number}, .made_s = NOW + number, .until_s = until_s};
	uint8_t proof[INVITATION_KEY_SIZE] = {9, 8, 7};

	(void)string_copy(i.initiator, sizeof i.initiator, INITIATOR);
	assert_int_equal(invitation_put(ca_fd, &i, proof, &keys), 0);
	return i;
}

static void run_files(void **state)
{
	OWNED_BY(invitations_free) struct invitations all = {0};
	struct invitation first = put(1, NOW + 100);

	(void)state;
	(void)put(2, NOW + 200);
	assert_int_equal(invitation_use(ca_fd, first.id), 0);
	assert_int_equal(invitation_use(ca_fd, first.id), -ENOENT);
	assert_int_equal(invitations_load(ca_fd, &all), 0);
	assert_int_equal(all.count, 2);
	assert_int_equal(all.list[0].id[0], 2); /* the youngest first */
	assert_string_equal(all.list[1].initiator, INITIATOR);
	assert_true(all.list[1].used);
	assert_false(invitation_is_open(&all.list[1], NOW));
	assert_true(invitation_is_open(&all.list[0], NOW + 199));
	assert_false(invitation_is_open(&all.list[0], NOW + 200));
}

static const struct kept_row {
	const char *why;
	bool used;
	int64_t until_s;
	size_t younger;
	bool forgotten;
} kept_rows[] = {
	{"one that is over is known for a while", false, NOW - INVITATION_KEPT_S, 0, false},
	{"and then forgotten", false, NOW - INVITATION_KEPT_S - 1, 0, true},
	{"one that was used is known", true, NOW + 100, INVITATIONS_OVER_MAX - 1, false},
	{"but not behind many: these would crowd out who is invited", true, NOW + 100,
	 INVITATIONS_OVER_MAX, true},
	{"nor one that is over", false, NOW, INVITATIONS_OVER_MAX, true},
	{"one that is open is never forgotten", false, NOW + 1, INVITATIONS_MAX, false},
};
_Static_assert(INVITATIONS_OVER_MAX + 2 * INVITATIONS_OPEN_MAX < INVITATIONS_MAX, "all are seen");

static void run_kept(void **state)
{
	const struct kept_row *row = *state;
	const struct invitation i = {.used = row->used, .until_s = row->until_s};

	assert_int_equal(invitation_is_forgotten(&i, row->younger, NOW), row->forgotten);
}

static void run_strays(void **state)
{
	OWNED_BY(invitations_free) struct invitations all = {0};
	OWNED_FD inside = openat(ca_fd, CA_INVITATIONS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char name[INVITATION_NAME_SIZE];
	struct invitation i = put(1, NOW + 100);

	(void)state;
	assert_int_equal(file_replace(inside, "stray", "what", 4, 0600), 0);
	invitation_name(&i, name);
	/* Under another one's name it is not that one. */
	assert_int_equal(renameat(inside, name, inside, "stray"), 0);
	assert_int_equal(invitations_load(ca_fd, &all), 0);
	assert_int_equal(all.count, 0);
}

static struct tests t;

int main(void)
{
	static const struct {
		const char *why;
		void (*run)(void **state);
	} rows[] = {
		{"an invitation is open until it is used, or its time is over", run_files},
		{"what is no invitation, or has another one's name, is left out", run_strays},
	};

	for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
		tests_add(&t, rows[k].why, rows[k].run, NULL);
		t.list[k].setup_func = setup;
		t.list[k].teardown_func = teardown;
	}
	tests_add(&t, "a code is read as it was written", run_code, NULL);
	tests_add(&t, "what proves a code does not tell it", run_derived, NULL);
	TESTS_ADD_TABLE(&t, typed_rows, run_typed);
	TESTS_ADD_TABLE(&t, place_rows, run_place);
	TESTS_ADD_TABLE(&t, kept_rows, run_kept);
	return tests_run(&t, "ca");
}
