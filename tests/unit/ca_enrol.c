/* The octets of joining: both ends prove the code to each other over one TLS connection, and
 * nothing that was changed on the way is taken. */
#include "auth/enrol.h"
#include "tests/unit/test.h"

static const uint8_t key[INVITATION_KEY_SIZE] = {1, 2, 3}, other[INVITATION_KEY_SIZE] = {3, 2, 1};
static const uint8_t line[ENROL_EXPORTER_SIZE] = {7}, another[ENROL_EXPORTER_SIZE] = {8};
static const struct enrol_proof by = {key, line};

static struct enrol_request request_make(void)
{
	struct enrol_request q = {.id = {9, 8, 7}, .point = {4, 1, 2}, .box = {5, 5, 5}};

	(void)string_copy(q.initiator, sizeof q.initiator, "iqn.2026-11.net.example:host-7");
	return q;
}

static void run_request(void **state)
{
	struct enrol_request q = request_make(), again;
	uint8_t bytes[ENROL_REQUEST_SIZE];

	(void)state;
	enrol_request_write(&q, &by, bytes);
	assert_int_equal(enrol_request_parse(bytes, &again), 0);
	assert_memory_equal(q.id, again.id, sizeof q.id);
	assert_memory_equal(q.point, again.point, sizeof q.point);
	assert_memory_equal(q.box, again.box, sizeof q.box);
	assert_string_equal(q.initiator, again.initiator);
	assert_true(enrol_request_proven(bytes, &by));
}

static void run_request_touched(void **state)
{
	struct enrol_request q = request_make();
	uint8_t bytes[ENROL_REQUEST_SIZE];

	(void)state;
	enrol_request_write(&q, &by, bytes);
	for (size_t k = 0; k < sizeof bytes; k++) {
		bytes[k] ^= 1;
		assert_false(enrol_request_proven(bytes, &by));
		bytes[k] ^= 1;
	}
	assert_false(enrol_request_proven(bytes, &(struct enrol_proof){other, line}));
	assert_false(enrol_request_proven(bytes, &(struct enrol_proof){key, another}));
}

static void run_request_broken(void **state)
{
	struct enrol_request q = request_make(), again;
	uint8_t bytes[ENROL_REQUEST_SIZE];

	(void)state;
	enrol_request_write(&q, &by, bytes);
	bytes[0] ^= 1;
	assert_int_equal(enrol_request_parse(bytes, &again), -EBADMSG);
	bytes[0] ^= 1;
	memset(bytes + ENROL_REQUEST_SIZE - ENROL_PROOF_SIZE - ISCSI_NAME_SIZE, 'a',
	       ISCSI_NAME_SIZE);
	assert_int_equal(enrol_request_parse(bytes, &again), -EBADMSG);
}

static ssize_t answer_make(uint8_t bytes[ENROL_ANSWER_MAX])
{
	const struct enrol_answer a = {
		{(const uint8_t *)"certificate", 11},
		{(const uint8_t *)"ca", 2},
		{(const uint8_t *)"sealed", 6},
		{(const uint8_t *)"initiator x\n", 12},
	};

	return enrol_answer_write(&a, &by, bytes);
}

static void run_answer(void **state)
{
	uint8_t bytes[ENROL_ANSWER_MAX];
	ssize_t len = answer_make(bytes);
	struct enrol_answer a;

	(void)state;
	assert_true(len > 0);
	assert_true(enrol_answer_proven(bytes, (size_t)len, &by));
	assert_int_equal(enrol_answer_parse(bytes, (size_t)len, &a), 0);
	assert_memory_equal(a.certificate.octets, "certificate", 11);
	assert_memory_equal(a.text.octets, "initiator x\n", a.text.len);
	for (size_t k = 0; k < (size_t)len; k++) {
		bytes[k] ^= 1;
		assert_false(enrol_answer_proven(bytes, (size_t)len, &by));
		bytes[k] ^= 1;
	}
	for (size_t cut = 0; cut < (size_t)len; cut++) {
		assert_int_equal(enrol_answer_parse(bytes, cut, &a), -EBADMSG);
		assert_false(enrol_answer_proven(bytes, cut, &by));
	}
}

/* A client's own proof, sent back, is none of a gateway. */
static void run_reflected(void **state)
{
	struct enrol_request q = request_make();
	uint8_t bytes[ENROL_REQUEST_SIZE];

	(void)state;
	enrol_request_write(&q, &by, bytes);
	assert_false(enrol_answer_proven(bytes, sizeof bytes, &by));
}

static void run_too_large(void **state)
{
	static uint8_t much[ENROL_ANSWER_MAX];
	const struct enrol_answer a = {.certificate = {much, sizeof much - 40}};
	uint8_t bytes[ENROL_ANSWER_MAX];

	(void)state;
	assert_int_equal(enrol_answer_write(&a, &by, bytes), -EMSGSIZE);
}

static void run_accounts(void **state)
{
	uint8_t public_key[ENROL_BOX_SIZE], secret_key[crypto_box_SECRETKEYBYTES];
	uint8_t memory[ENROL_ACCOUNTS_BYTES_MAX], sealed[ENROL_SEALED_MAX];
	struct enrol_accounts a = {.count = ENROL_ACCOUNTS_MAX}, again;
	struct enrol_part part = {.octets = sealed};

	(void)state;
	for (size_t k = 0; k < a.count; k++) { /* as large as they may be */
		memset(a.list[k].user, 'u', sizeof a.list[k].user - 1);
		memset(a.list[k].mutual, 'm', sizeof a.list[k].mutual - 1);
		a.list[k].secret.len = a.list[k].mutual_secret.len = CHAP_SECRET_MAX;
		memset(a.list[k].secret.octets, 0xa5, CHAP_SECRET_MAX);
	}
	(void)crypto_box_keypair(public_key, secret_key);
	part.len = enrol_accounts_seal(&a, public_key, memory, sealed);
	assert_null(memmem(sealed, part.len, a.list[0].secret.octets, 8));
	assert_int_equal(enrol_accounts_open(&part, public_key, secret_key, memory, &again), 0);
	assert_memory_equal(&a, &again, sizeof a);
	secret_key[0] ^= 8;
	assert_int_equal(enrol_accounts_open(&part, public_key, secret_key, memory, &again),
			 -EBADMSG);
	secret_key[0] ^= 8;
	sealed[part.len - 1] ^= 1;
	assert_int_equal(enrol_accounts_open(&part, public_key, secret_key, memory, &again),
			 -EBADMSG);
}

static struct tests t;

int main(void)
{
	static const struct {
		const char *why;
		void (*run)(void **state);
	} rows[] = {
		{"a request is read as it was written, and proven", run_request},
		{"one bit, another code or another connection: it is not proven",
		 run_request_touched},
		{"another magic, or a name without an end: it is no request", run_request_broken},
		{"an answer is read as it was written; one bit or less of it is not proven",
		 run_answer},
		{"a client's own proof is none of a gateway", run_reflected},
		{"what does not fit is not sent", run_too_large},
		{"P3: secrets are for the key alone that asked for them", run_accounts},
	};

	assert(sodium_init() >= 0);
	for (size_t k = 0; k < ARRAY_LEN(rows); k++)
		tests_add(&t, rows[k].why, rows[k].run, NULL);
	return tests_run(&t, "ca");
}
