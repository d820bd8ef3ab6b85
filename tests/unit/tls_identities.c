/* Private keys of TLS portals in the authenticator, as a process behind its closed door: what it
 * signs, for whom, and what it never does. Signatures are verified by OpenSSL over octets that this
 * test builds itself. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include "tests/unit/certificates.h"

#include "auth/ca.h"
#include "auth/chap.h"
#include "auth/identities.h"
#include "gateway/base/fd.h"
#include "gateway/base/process.h"

#define WAIT_MS 30000

static struct tests t;
static const uint8_t store_key[STORE_KEY_SIZE] = {4, 2};
static pid_t pid;
static struct channel monitor;

/* --- the monitor's side ------------------------------------------------------------------- */

static NORETURN void child_run(int fd)
{
	static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS};

	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		(void)signal(signals[i], SIG_DFL);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (fd != PROCESS_FD_FIRST && dup2(fd, PROCESS_FD_FIRST) < 0)
		_exit(99);
	(void)close_range(PROCESS_FD_FIRST + 1, ~0u, 0);
	_exit(authenticator_main());
}

static int setup(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(channel_pair(fds), 0);
	pid = fork();
	if (pid == 0)
		child_run(fds[1]);
	(void)close(fds[1]);
	channel_open(&monitor, fds[0], auth_outbox, auth_outbox_len);
	return 0;
}

static int teardown(void **state)
{
	int status;

	(void)state;
	channel_close(&monitor);
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0
		       ? 0
		       : -1;
}

static void expect(struct channel *c, uint32_t type, void *ret_body, size_t size)
{
	struct pollfd p = {c->fd, POLLIN, 0};
	struct message m;

	assert_int_equal(poll(&p, 1, WAIT_MS), 1);
	assert_int_equal(channel_receive(c, &m), 1);
	assert_int_equal(m.type, type);
	memcpy(ret_body, m.body, size);
}

static int memfd_of_key(const struct made *m)
{
	BIO *out = BIO_new(BIO_s_mem());
	char *bytes;
	long len;
	int fd;

	assert_int_equal(PEM_write_bio_PrivateKey(out, m->key, NULL, NULL, 0, NULL, NULL), 1);
	len = BIO_get_mem_data(out, &bytes);
	fd = memfd_sealed("key", bytes, (size_t)len);
	BIO_free(out);
	return fd;
}

static int memfd_of_certificate(const struct made *m)
{
	unsigned char *der = NULL;
	int len = i2d_X509(m->certificate, &der), fd;

	assert_true(len > 0);
	fd = memfd_sealed("certificate", der, (size_t)len);
	OPENSSL_free(der);
	return fd;
}

/* As the gateway's own CA keeps it. */
static int file_of_sealed_key(const struct made *m, const char *kind)
{
	char folder[] = "/tmp/sallyport-identities-XXXXXX";
	uint8_t der[CERTIFICATE_KEY_MAX];
	struct sealed s = {.kind = kind, .secret = der};
	const struct sealed_keys keys = {{store_key}, 1};
	int at, fd;

	assert_non_null(mkdtemp(folder));
	at = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(certificate_key_write(m->key, der, &s.secret_len), 0);
	assert_int_equal(sealed_write(at, "portal.key", &s, &keys), 0);
	fd = openat(at, "portal.key", O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	(void)unlinkat(at, "portal.key", 0);
	(void)rmdir(folder);
	(void)close(at);
	return fd;
}

struct given {
	const struct made *key, *certificate;
	uint32_t number, flags;
	const char *sealed; /* of which kind; NULL: PEM */
};

static void give(const struct given *g)
{
	const struct auth_identity body = {.identity = g->number,
					   .kind = g->sealed ? AUTH_IDENTITY_SEALED
							     : AUTH_IDENTITY_PEM,
					   .flags = g->flags};
	int fds[] = {g->sealed ? file_of_sealed_key(g->key, g->sealed) : memfd_of_key(g->key),
		     memfd_of_certificate(g->certificate),
		     memfd_sealed("store key", store_key, sizeof store_key)};

	assert_int_equal(channel_send(&monitor, AUTH_IDENTITY, &body, sizeof body, fds, 3), 0);
	for (size_t k = 0; k < ARRAY_LEN(fds); k++)
		(void)close(fds[k]);
}

/* `count`: of identities that came. The accounts come with an empty store. */
static struct auth_ready give_rest(uint32_t count)
{
	static const struct auth_account list[] = {{.user = "alice", .algorithms = 1u << 7}};
	const struct auth_identities all = {.count = count};
	const struct auth_count accounts = {1, 1u << 7};
	struct auth_ready ready;
	int fds[2] = {memfd_sealed("store", "", 0),
		      memfd_sealed("store key", store_key, sizeof store_key)};
	int fd = memfd_sealed("accounts", list, sizeof list);

	assert_int_equal(CHANNEL_SEND(&monitor, AUTH_IDENTITIES, &all), 0);
	assert_int_equal(channel_send(&monitor, AUTH_STORE, NULL, 0, fds, 2), 0);
	assert_int_equal(channel_send(&monitor, AUTH_ACCOUNTS, &accounts, sizeof accounts, &fd, 1),
			 0);
	(void)close(fds[0]);
	(void)close(fds[1]);
	(void)close(fd);
	expect(&monitor, AUTH_READY, &ready, sizeof ready);
	return ready;
}

/* --- a session's side --------------------------------------------------------------------- */

static void enter(struct channel *c, uint32_t number, uint32_t identity)
{
	const struct auth_connection info = {number, 60000, identity};
	int fds[2];

	assert_int_equal(channel_pair(fds), 0);
	assert_int_equal(channel_send(&monitor, AUTH_CONNECTION, &info, sizeof info, &fds[1], 1),
			 0);
	(void)close(fds[1]);
	channel_open(c, fds[0], auth_session_outbox, auth_session_outbox_len);
}

static void expect_broken(struct channel *c, uint32_t number)
{
	struct pollfd p = {c->fd, POLLIN, 0};
	struct auth_verdict v;
	struct message m;

	expect(&monitor, AUTH_VERDICT, &v, sizeof v);
	assert_int_equal(v.connection, number);
	assert_int_equal(v.reason, AUTH_BROKEN);
	/* A refusal as of CHAP may come, and then nothing. */
	for (int r = 1; r > 0;) {
		assert_int_equal(poll(&p, 1, WAIT_MS), 1);
		r = channel_receive(c, &m);
		assert_true(r <= 0 || m.type == AUTH_RESULT);
	}
	channel_close(c);
}

static struct auth_signature sign(struct channel *c, const struct auth_sign *ask)
{
	struct auth_signature s;

	assert_int_equal(CHANNEL_SEND(c, AUTH_SIGN, ask), 0);
	expect(c, AUTH_SIGNATURE, &s, sizeof s);
	return s;
}

static struct auth_sign ask_of(uint32_t scheme, uint32_t hash_len)
{
	struct auth_sign ask = {.form = AUTH_SIGN_SERVER, .scheme = scheme, .hash_len = hash_len};

	for (size_t k = 0; k < hash_len && k < sizeof ask.hash; k++)
		ask.hash[k] = (uint8_t)(k * 7 + 1);
	return ask;
}

/* RFC 8446 section 4.4.3, in words of our own. */
static size_t content_of(const struct auth_sign *ask, uint8_t ret[256])
{
	static const char context[] = "TLS 1.3, server CertificateVerify";

	memset(ret, ' ', 64);
	memcpy(ret + 64, context, sizeof context);
	memcpy(ret + 64 + sizeof context, ask->hash, ask->hash_len);
	return 64 + sizeof context + ask->hash_len;
}

static bool verifies(EVP_PKEY *key, const char *digest, const struct auth_signature *s,
		     const uint8_t *content, size_t len)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	EVP_PKEY_CTX *how = NULL;
	bool ok;

	assert_int_equal(EVP_DigestVerifyInit_ex(context, &how, digest, NULL, NULL, key, NULL), 1);
	if (EVP_PKEY_is_a(key, "RSA")) {
		EVP_PKEY_CTX_set_rsa_padding(how, RSA_PKCS1_PSS_PADDING);
		EVP_PKEY_CTX_set_rsa_pss_saltlen(how, RSA_PSS_SALTLEN_DIGEST);
	}
	ok = EVP_DigestVerify(context, s->signature, s->len, content, len) == 1;
	EVP_MD_CTX_free(context);
	return ok;
}

/* --- what is signed ----------------------------------------------------------------------- */

static const struct kind_row {
	const char *why, *key, *digest;
	uint32_t scheme, other_scheme;
} kind_rows[] = {
	{"P-256 signs a handshake, once", "P-256", "SHA256", 0x0403, 0x0503},
	{"P-384 signs a handshake, once", "P-384", "SHA384", 0x0503, 0x0403},
	{"Ed25519 signs a handshake, once", "ED25519", NULL, 0x0807, 0x0403},
	{"RSA signs a handshake, once, with PSS", "RSA", "SHA256", 0x0804, 0x0809},
	{"RSA signs a handshake with PSS and SHA-384", "RSA", "SHA384", 0x0805, 0x0401},
};

static void test_kind(void **state)
{
	const struct kind_row *row = *state;
	const uint32_t lens[] = {32, 48};
	struct made m = made_certificate(&(struct made_spec){.name = "gw", .key = row->key});
	struct auth_signature s;
	uint8_t content[256];
	struct channel c;

	give(&(struct given){.key = &m, .certificate = &m, .number = 7});
	assert_int_equal(give_rest(1).identities, 1);
	for (uint32_t k = 0; k < ARRAY_LEN(lens); k++) {
		struct auth_sign ask = ask_of(row->scheme, lens[k]);
		size_t len = content_of(&ask, content);

		enter(&c, 1 + k, 7);
		s = sign(&c, &ask);
		assert_true(verifies(m.key, row->digest, &s, content, len));
		content[len - 1] ^= 1;
		assert_false(verifies(m.key, row->digest, &s, content, len));
		assert_int_equal(CHANNEL_SEND(&c, AUTH_SIGN, &ask), 0);
		expect_broken(&c, 1 + k);
	}
	enter(&c, 9, 7);
	s = sign(&c, &(struct auth_sign){.form = 1, .scheme = row->other_scheme, .hash_len = 32});
	assert_int_equal(s.len, 0);
	channel_close(&c);
	made_free(&m);
}

/* --- what is never signed ----------------------------------------------------------------- */

static const struct refused_row {
	const char *why;
	uint32_t identity;
	struct auth_sign ask;
} refused_rows[] = {
	{"P3: a connection of a plain portal gets no signature",
	 0,
	 {.form = AUTH_SIGN_SERVER, .scheme = 0x0403, .hash_len = 32}},
	{"P3: a hash of another length is not signed",
	 7,
	 {.form = AUTH_SIGN_SERVER, .scheme = 0x0403, .hash_len = 20}},
	{"P3: a hash beyond its field is not signed",
	 7,
	 {.form = AUTH_SIGN_SERVER, .scheme = 0x0403, .hash_len = 64}},
	{"P3: a client's handshake is not signed",
	 7,
	 {.form = AUTH_SIGN_CLIENT, .scheme = 0x0403, .hash_len = 32}},
	{"P3: TLS 1.2 is not signed where the portal does not take it",
	 7,
	 {.form = AUTH_SIGN_KEY_EXCHANGE, .scheme = 0x0403, .curve = 23, .point_len = 65}},
	{"P3: a point of another length is not signed",
	 8,
	 {.form = AUTH_SIGN_KEY_EXCHANGE, .scheme = 0x0403, .curve = 23, .point_len = 133}},
	{"P3: a curve that nobody has is not signed",
	 8,
	 {.form = AUTH_SIGN_KEY_EXCHANGE, .scheme = 0x0403, .curve = 21, .point_len = 65}},
};

static void test_refused(void **state)
{
	const struct refused_row *row = *state;
	struct made m = made_certificate(&(struct made_spec){.name = "gw"});
	struct channel c;

	give(&(struct given){.key = &m, .certificate = &m, .number = 7});
	give(&(struct given){
		.key = &m, .certificate = &m, .number = 8, .flags = AUTH_IDENTITY_TLS12});
	assert_int_equal(give_rest(2).identities, 2);
	enter(&c, 3, row->identity);
	assert_int_equal(CHANNEL_SEND(&c, AUTH_SIGN, &row->ask), 0);
	expect_broken(&c, 3);
	made_free(&m);
}

static void test_late(void **state)
{
	const struct auth_offer offer = {.count = 1, .algorithms = {7}};
	const struct auth_sign ask = ask_of(0x0403, 32);
	struct made m = made_certificate(&(struct made_spec){.name = "gw"});
	struct auth_challenge challenge;
	struct channel c;

	(void)state;
	give(&(struct given){.key = &m, .certificate = &m, .number = 7});
	(void)give_rest(1);
	enter(&c, 3, 7);
	assert_int_equal(CHANNEL_SEND(&c, AUTH_OFFER, &offer), 0);
	expect(&c, AUTH_CHALLENGE, &challenge, sizeof challenge);
	assert_int_equal(CHANNEL_SEND(&c, AUTH_SIGN, &ask), 0);
	expect_broken(&c, 3);
	made_free(&m);
}

/* RFC 8422 section 5.4. */
static void test_tls12(void **state)
{
	struct auth_sign ask = {.form = AUTH_SIGN_KEY_EXCHANGE,
				.scheme = 0x0403,
				.client_random = {1, 2},
				.server_random = {3, 4},
				.curve = 29,
				.point_len = 32,
				.point = {5, 6}};
	struct made m = made_certificate(&(struct made_spec){.name = "gw"});
	uint8_t content[256] = {1, 2, [32] = 3, 4, [64] = 3, 0, 29, 32, 5, 6};
	struct auth_signature s;
	struct channel c;

	(void)state;
	give(&(struct given){
		.key = &m, .certificate = &m, .number = 8, .flags = AUTH_IDENTITY_TLS12});
	(void)give_rest(1);
	enter(&c, 3, 8);
	s = sign(&c, &ask);
	assert_true(verifies(m.key, "SHA256", &s, content, 64 + 4 + 32));
	channel_close(&c);
	made_free(&m);
}

/* --- taking up ---------------------------------------------------------------------------- */

static void test_taken(void **state)
{
	struct made old = made_certificate(&(struct made_spec){.name = "old"});
	struct made new = made_certificate(&(struct made_spec){.name = "new"});
	const struct auth_sign ask = ask_of(0x0403, 32);
	struct auth_signature s;
	struct auth_ready ready;
	uint8_t content[256];
	struct channel c, d;

	(void)state;
	give(&(struct given){.key = &old, .certificate = &old, .number = 1});
	assert_int_equal(give_rest(1).taken, 1);
	enter(&c, 1, 1);
	/* A key of another certificate: nothing is taken. */
	give(&(struct given){.key = &new, .certificate = &new, .number = 2});
	give(&(struct given){.key = &old, .certificate = &new, .number = 3});
	ready = give_rest(2);
	assert_int_equal(ready.taken, 0);
	assert_non_null(strstr(ready.why, "it is not the key of the certificate"));
	assert_int_equal(ready.identities, 1);
	enter(&d, 2, 2);
	assert_int_equal(sign(&d, &ask).len, 0); /* away */
	channel_close(&d);
	give(&(struct given){.key = &new, .certificate = &new, .number = 4});
	assert_int_equal(give_rest(1).taken, 1);
	s = sign(&c, &ask); /* who began with the old one goes on with it */
	assert_true(verifies(old.key, "SHA256", &s, content, content_of(&ask, content)));
	/* What is in use is not read again: its file may hold the next one already. */
	give(&(struct given){.key = &old, .certificate = &new, .number = 4});
	assert_int_equal(give_rest(1).taken, 1);
	enter(&d, 3, 4);
	s = sign(&d, &ask);
	assert_true(verifies(new.key, "SHA256", &s, content, content_of(&ask, content)));
	channel_close(&c);
	channel_close(&d);
	made_free(&old);
	made_free(&new);
}

static void test_sealed(void **state)
{
	struct made m = made_certificate(&(struct made_spec){.name = "gw"});
	const struct auth_sign ask = ask_of(0x0403, 48);
	struct auth_signature s;
	uint8_t content[256];
	struct channel c;

	(void)state;
	give(&(struct given){
		.key = &m, .certificate = &m, .number = 1, .sealed = CA_PORTAL_KEY_KIND});
	assert_int_equal(give_rest(1).taken, 1);
	enter(&c, 1, 1);
	s = sign(&c, &ask);
	assert_true(verifies(m.key, "SHA256", &s, content, content_of(&ask, content)));
	channel_close(&c);
	/* The key of the CA itself is sealed likewise, and is none of a portal's. */
	give(&(struct given){.key = &m, .certificate = &m, .number = 2, .sealed = CA_KEY_KIND});
	assert_int_equal(give_rest(1).taken, 0);
	made_free(&m);
}

/* At the first time, portals whose keys are right are served. */
static void test_first(void **state)
{
	struct made m = made_certificate(&(struct made_spec){.name = "gw"});
	struct made other = made_certificate(&(struct made_spec){.name = "other"});
	const struct auth_sign ask = ask_of(0x0403, 32);
	struct auth_ready ready;
	struct channel c;

	(void)state;
	give(&(struct given){.key = &other, .certificate = &m, .number = 1});
	give(&(struct given){.key = &m, .certificate = &m, .number = 2});
	ready = give_rest(2);
	assert_int_equal(ready.identities, 1);
	assert_int_equal(ready.taken, 1);
	assert_non_null(strstr(ready.why, "private key can't be used"));
	enter(&c, 1, 2);
	assert_true(sign(&c, &ask).len > 0);
	channel_close(&c);
	made_free(&m);
	made_free(&other);
}

int main(void)
{
	TESTS_ADD_TABLE(&t, kind_rows, test_kind);
	TESTS_ADD_TABLE(&t, refused_rows, test_refused);
	tests_add(&t, "P3: nothing is signed once CHAP has begun", test_late, NULL);
	tests_add(&t, "TLS 1.2's parameters are signed where the portal takes it", test_tls12,
		  NULL);
	tests_add(&t, "P7: keys are taken up together or not at all, and logins go on", test_taken,
		  NULL);
	tests_add(&t, "the gateway's own key is opened by the key of the secrets", test_sealed,
		  NULL);
	tests_add(&t, "at the start a wrong key keeps its own portal closed alone", test_first,
		  NULL);
	for (size_t k = 0; k < t.count; k++) {
		t.list[k].setup_func = setup;
		t.list[k].teardown_func = teardown;
	}
	return tests_run(&t, "tls_identities");
}
