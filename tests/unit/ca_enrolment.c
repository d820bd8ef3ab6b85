/* Who has the code while somebody else joins with it. A session that was taken over, or a client
 * that connects twice, asks as often as it likes: one at a time is heard. */
#include "auth/enrolment.h"
#include "auth/certificate.h"
#include "tests/unit/test.h"

static struct enrolment_locked locked;
static uint8_t proof[INVITATION_KEY_SIZE] = {1, 2, 3}, wrong[INVITATION_KEY_SIZE] = {3, 2, 1};
static struct enrolment e;
static struct tests t;

static void setup(void)
{
	EVP_PKEY *key = NULL;
	struct certificate_request q = {.kind = CERTIFICATE_CA, .name = "CA", .now_s = 1000};
	struct certificate_issuer by = {0};

	e = (struct enrolment){.locked = &locked, .count = 1, .open = 1};
	assert_int_equal(certificate_key_make(&key), 0);
	by.key = q.key = key;
	assert_int_equal(certificate_issue(&by, &q, &e.ca), 0);
	assert_int_equal(certificate_key_write(key, locked.key, &e.key_len), 0);
	EVP_PKEY_free(key);
	e.list = calloc(1, sizeof *e.list);
	assert_non_null(e.list);
	e.list[0].invitation = (struct invitation){.id = {9, 8, 7}, .until_s = 2000};
	(void)string_copy(e.list[0].invitation.initiator, ISCSI_NAME_SIZE, "iqn.2026-11.net:x");
	e.list[0].key = proof;
}

static struct auth_enrol request_make(const uint8_t key[INVITATION_KEY_SIZE])
{
	struct enrol_request q = {.id = {9, 8, 7}, .box = {5, 5, 5}};
	struct auth_enrol said = {.exporter = {7}};
	const struct enrol_proof by = {key, said.exporter};
	EVP_PKEY *own = NULL;

	assert_int_equal(certificate_key_make(&own), 0);
	assert_int_equal(certificate_key_point(own, q.point), 0);
	EVP_PKEY_free(own);
	enrol_request_write(&q, &by, said.request);
	return said;
}

static const struct row {
	const char *why;
	const uint8_t *second; /* what the second one proves its code with */
} rows[] = {
	{"P3: who is refused because another joins does not open the code for a third", proof},
	{"P3: nor does one that has not the code", wrong},
};

static void run(void **state)
{
	const struct row *row = *state;
	struct auth_enrol good = request_make(proof), second = request_make(row->second);
	struct enrolling first, another, third;

	setup();
	assert_int_equal(enrolment_ask(&e, &good, 1500, &first), AUTH_OK);
	assert_int_equal(enrolment_ask(&e, &second, 1500, &another), AUTH_JOIN_USED);
	enrolment_drop(&e, &another);
	assert_int_equal(enrolment_ask(&e, &good, 1500, &third), AUTH_JOIN_USED);
	enrolment_drop(&e, &third);
	enrolment_drop(&e, &first); /* the monitor said no */
	assert_int_equal(enrolment_ask(&e, &good, 1500, &third), AUTH_OK);
	enrolment_close(&e);
}

int main(void)
{
	assert(sodium_init() >= 0);
	TESTS_ADD_TABLE(&t, rows, run);
	return tests_run(&t, "ca");
}
