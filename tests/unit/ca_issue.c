/* The gateway's own CA: what it issues is what a verifier takes for that purpose alone, what it
 * revokes is not taken any more, and all of it comes back from its files. */
#include <fcntl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include "auth/ca.h"
#include "gateway/base/fd.h"
#include "tests/unit/test.h"

#define NOW	  1800000000
#define DAY	  86400
#define INITIATOR "iqn.2026-11.net.example:host-7"

static const uint8_t key[STORE_KEY_SIZE] = {1, 2, 3}, other_key[STORE_KEY_SIZE] = {3, 2, 1};
static uint8_t memory[SEALED_SECRET_MAX];
static int state_fd = -1;
static char folder[64], said[512];
static const struct why why = {said, sizeof said};
static struct ca ca;

static const struct certificate_hosts hosts = {{"gw.example.net", "192.0.2.7", "2001:db8::7", "gw"},
					       4};

static void begin(void)
{
	ca = CA_NONE;
	ca.key = key;
	ca.memory = memory;
	ca.now_s = NOW;
}

static int setup(void **state)
{
	(void)state;
	(void)string_copy(folder, sizeof folder, "/tmp/ca-XXXXXX");
	assert_non_null(mkdtemp(folder));
	state_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(state_fd >= 0);
	begin();
	assert_int_equal(ca_make(&ca, state_fd, "Sallyport CA of a test", &hosts, &why), 0);
	return 0;
}

static int teardown(void **state)
{
	static const char *const names[] = {
		CA_FOLDER "/" CA_CERTIFICATE, CA_FOLDER "/" CA_KEY, CA_FOLDER "/" CA_PORTAL,
		CA_FOLDER "/" CA_PORTAL_KEY,  CA_FOLDER "/" CA_CRL,
	};
	static const char *const folders[] = {CA_FOLDER "/" CA_ISSUED, CA_FOLDER "/" CA_INVITATIONS,
					      CA_FOLDER};

	(void)state;
	ca_close(&ca);
	for (size_t k = 0; k < ARRAY_LEN(names); k++)
		(void)unlinkat(state_fd, names[k], 0);
	for (size_t k = 0; k < ARRAY_LEN(folders); k++)
		(void)unlinkat(state_fd, folders[k], AT_REMOVEDIR);
	fd_close(&state_fd);
	return rmdir(folder);
}

static X509 *client_issue(void)
{
	OWNED_PKEY *client = NULL;
	struct certificate_request q = {.kind = CERTIFICATE_CLIENT,
					.name = INITIATOR,
					.initiator = INITIATOR,
					.now_s = NOW};
	X509 *x = NULL;

	assert_int_equal(certificate_key_make(&client), 0);
	q.key = client;
	assert_int_equal(certificate_issue(&ca.by, &q, &x), 0);
	return x;
}

/* What a verifier says of it, at that time: X509_V_OK or an error. */
static int verified(X509 *x, int purpose, int64_t at_s)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *context = X509_STORE_CTX_new();
	X509_VERIFY_PARAM *parameters;
	int r;

	assert_int_equal(X509_STORE_add_cert(store, ca.by.certificate), 1);
	assert_int_equal(X509_STORE_add_crl(store, ca.crl), 1);
	assert_int_equal(X509_STORE_CTX_init(context, store, x, NULL), 1);
	parameters = X509_STORE_CTX_get0_param(context);
	(void)X509_VERIFY_PARAM_set_flags(parameters,
					  X509_V_FLAG_CRL_CHECK | X509_V_FLAG_X509_STRICT);
	(void)X509_VERIFY_PARAM_set_purpose(parameters, purpose);
	X509_VERIFY_PARAM_set_time(parameters, at_s);
	r = X509_verify_cert(context) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(context);
	X509_STORE_CTX_free(context);
	X509_STORE_free(store);
	return r;
}

static void run_portal(void **state)
{
	struct certificate_hosts found;

	(void)state;
	assert_int_equal(verified(ca.portal, X509_PURPOSE_SSL_SERVER, NOW), X509_V_OK);
	assert_int_equal(verified(ca.portal, X509_PURPOSE_SSL_CLIENT, NOW),
			 X509_V_ERR_INVALID_PURPOSE);
	assert_int_equal(verified(ca.portal, X509_PURPOSE_SSL_SERVER, NOW + 366 * DAY),
			 X509_V_ERR_CERT_HAS_EXPIRED);
	certificate_hosts(ca.portal, &found);
	assert_int_equal(found.count, hosts.count);
	for (size_t k = 0; k < found.count; k++)
		assert_string_equal(found.names[k], hosts.names[k]);
	assert_true(certificate_has_host(ca.portal, "GW.example.net"));
	assert_true(certificate_has_host(ca.portal, "2001:db8:0::7"));
	assert_false(certificate_has_host(ca.portal, "192.0.2.8"));
	assert_false(certificate_has_host(ca.portal, "example.net"));
}

static void run_client(void **state)
{
	OWNED_X509 *x = client_issue();
	struct certificate_facts facts;

	(void)state;
	assert_int_equal(verified(x, X509_PURPOSE_SSL_CLIENT, NOW), X509_V_OK);
	assert_int_equal(verified(x, X509_PURPOSE_SSL_SERVER, NOW), X509_V_ERR_INVALID_PURPOSE);
	assert_int_equal(verified(x, X509_PURPOSE_SSL_CLIENT, NOW + 366 * DAY),
			 X509_V_ERR_CERT_HAS_EXPIRED);
	assert_int_equal(certificate_facts(x, &facts), 0);
	assert_string_equal(facts.initiator, INITIATOR);
	assert_int_equal(strlen(facts.serial), 2 * CERTIFICATE_SERIAL_SIZE);
	assert_int_equal(facts.until_s, NOW + (int64_t)CERTIFICATE_LEAF_DAYS * DAY);
}

static void run_revoked(void **state)
{
	OWNED_X509 *x = client_issue(), *other = client_issue();
	int64_t since_s = 0;

	(void)state;
	assert_int_equal(ca_revoke(&ca, &x, 1, &why), 0);
	assert_int_equal(verified(x, X509_PURPOSE_SSL_CLIENT, NOW), X509_V_ERR_CERT_REVOKED);
	assert_int_equal(verified(other, X509_PURPOSE_SSL_CLIENT, NOW), X509_V_OK);
	ca.now_s = NOW + 5;
	assert_int_equal(ca_revoke(&ca, &other, 1, &why), 0);
	assert_true(certificate_is_revoked(ca.crl, x, &since_s));
	assert_int_equal(since_s, NOW);
	assert_true(certificate_is_revoked(ca.crl, other, &since_s));
	assert_int_equal(since_s, NOW + 5);
	/* A gateway that nobody touches for years goes on. */
	assert_int_equal(verified(ca.portal, X509_PURPOSE_SSL_SERVER, NOW + 364 * DAY), X509_V_OK);
}

static void run_files(void **state)
{
	OWNED_X509 *x = client_issue();

	(void)state;
	assert_int_equal(ca_revoke(&ca, &x, 1, &why), 0);
	ca_close(&ca);
	begin();
	assert_int_equal(ca_open(&ca, state_fd, &why), 0);
	assert_int_equal(verified(x, X509_PURPOSE_SSL_CLIENT, NOW), X509_V_ERR_CERT_REVOKED);
	ca.now_s = NOW + 300 * DAY;
	assert_int_equal(ca_renew(&ca, &hosts, &why), 0);
	assert_int_equal(verified(ca.portal, X509_PURPOSE_SSL_SERVER, NOW + 600 * DAY), X509_V_OK);
	ca_close(&ca);
	begin();
	assert_int_equal(ca_make(&ca, state_fd, "another", &hosts, &why), -EEXIST);
}

static void run_other_key(void **state)
{
	(void)state;
	ca_close(&ca);
	begin();
	ca.key = other_key;
	assert_int_equal(ca_open(&ca, state_fd, &why), -EKEYREJECTED);
	assert_non_null(strstr(said, "put the right key back"));
	ca_close(&ca);
	assert_int_equal(ca_seal_under_both(state_fd, key, other_key, said, sizeof said), 0);
	for (size_t k = 0; k < 2; k++) {
		begin();
		ca.key = k == 0 ? key : other_key;
		assert_int_equal(ca_open(&ca, state_fd, &why), 0);
		assert_int_equal(ca_renew(&ca, &hosts, &why), 0);
		ca_close(&ca);
	}
	assert_int_equal(ca_seal_under_one(state_fd, other_key, said, sizeof said), 0);
	begin();
	assert_int_equal(ca_open(&ca, state_fd, &why), -EKEYREJECTED);
}

static void run_foreign_list(void **state)
{
	struct ca first = ca;
	OWNED_FREE char *crl = NULL;
	OWNED_FD fd = openat(state_fd, CA_FOLDER "/" CA_CRL, O_RDONLY | O_CLOEXEC);
	size_t len;

	(void)state;
	assert_int_equal(fd_read_all(fd, 65536, &crl, &len), 0);
	assert_int_equal(unlinkat(state_fd, CA_FOLDER "/" CA_CERTIFICATE, 0), 0);
	begin(); /* another CA, with the list of the first */
	assert_int_equal(ca_make(&ca, state_fd, "another", &hosts, &why), 0);
	assert_int_equal(file_replace(ca.fd, CA_CRL, crl, len, 0600), 0);
	ca_close(&ca);
	ca_close(&first);
	begin();
	assert_int_equal(ca_open(&ca, state_fd, &why), -EBADMSG);
	assert_non_null(strstr(said, CA_CRL));
}

static const struct host_row {
	const char *why, *name;
	int want;
} host_rows[] = {
	{"a DNS name", "gw.example.net", 0},
	{"one label", "gw", 0},
	{"an IPv4 address", "192.0.2.7", 0},
	{"an IPv6 address", "2001:db8::7", 0},
	{"nothing", "", -EINVAL},
	{"an empty label", "gw..net", -EINVAL},
	{"a label that begins with a hyphen", "-gw.net", -EINVAL},
	{"a label that ends with one", "gw-.net", -EINVAL},
	{"a name that ends with one", "gw-", -EINVAL},
	{"a dot at the end", "gw.net.", -EINVAL},
	{"a space", "gw example", -EINVAL},
	{"a port", "gw:3261", -EINVAL},
	{"a wildcard", "*.example.net", -EINVAL},
	{"an underscore", "a_b", -EINVAL},
	{"what another kind of name would be", "gw,DNS:evil", -EINVAL},
	{"a label of 64 octets",
	 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.net", -EINVAL},
};

static void run_host(void **state)
{
	const struct host_row *row = *state;
	struct certificate_hosts h = {0};

	assert_int_equal(certificate_host_add(&h, row->name), row->want);
	assert_int_equal(h.count, row->want == 0);
	if (row->want == 0) {
		assert_int_equal(certificate_host_add(&h, row->name), 0);
		assert_int_equal(h.count, 1);
	}
}

static void run_point(void **state)
{
	OWNED_PKEY *made = NULL, *read = NULL;
	uint8_t point[CERTIFICATE_POINT_SIZE];

	(void)state;
	assert_int_equal(certificate_key_make(&made), 0);
	assert_int_equal(certificate_key_point(made, point), 0);
	assert_int_equal(certificate_key_of_point(point, &read), 0);
	assert_int_equal(EVP_PKEY_eq(made, read), 1);
	point[CERTIFICATE_POINT_SIZE - 1] ^= 1; /* off the curve */
	EVP_PKEY_free(TAKE(read));
	assert_int_equal(certificate_key_of_point(point, &read), -EINVAL);
	memset(point, 0, sizeof point);
	assert_int_equal(certificate_key_of_point(point, &read), -EINVAL);
}

/* As it is written, and as others write it; less of it, or more, is none. */
static void run_key(void **state)
{
	uint8_t der[CERTIFICATE_KEY_MAX + 1] = {0}, *pkcs8 = NULL;
	EVP_PKEY *made = NULL, *read = NULL;
	PKCS8_PRIV_KEY_INFO *info;
	size_t len = 0;
	int n;

	(void)state;
	assert_int_equal(certificate_key_make(&made), 0);
	assert_int_equal(certificate_key_write(made, der, &len), 0);
	assert_int_equal(certificate_key_read(der, len, &read), 0);
	assert_int_equal(EVP_PKEY_eq(made, read), 1);
	EVP_PKEY_free(TAKE(read));
	for (size_t k = 0; k < len; k++)
		assert_int_equal(certificate_key_read(der, k, &read), -EBADMSG);
	assert_int_equal(certificate_key_read(der, len + 1, &read), -EBADMSG);
	info = EVP_PKEY2PKCS8(made);
	n = i2d_PKCS8_PRIV_KEY_INFO(info, &pkcs8);
	assert_in_range(n, 1, CERTIFICATE_KEY_MAX);
	assert_int_equal(certificate_key_read(pkcs8, (size_t)n, &read), 0);
	assert_int_equal(EVP_PKEY_eq(made, read), 1);
	PKCS8_PRIV_KEY_INFO_free(info);
	OPENSSL_free(pkcs8);
	EVP_PKEY_free(read);
	EVP_PKEY_free(made);
}

static struct tests t;

int main(void)
{
	static const struct {
		const char *why;
		void (*run)(void **state);
	} rows[] = {
		{"the portal's certificate is for servers, and for its hosts", run_portal},
		{"a client's is for clients, has its initiator's name, and ends", run_client},
		{"what is revoked is not taken any more, and stays so", run_revoked},
		{"its files bring it back; there is no second one over it", run_files},
		{"P3: the key of the secrets alone opens it, also while that changes",
		 run_other_key},
		{"another CA's list of what was revoked is refused", run_foreign_list},
	};

	assert(certificate_begin());
	for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
		tests_add(&t, rows[k].why, rows[k].run, NULL);
		t.list[k].setup_func = setup;
		t.list[k].teardown_func = teardown;
	}
	TESTS_ADD_TABLE(&t, host_rows, run_host);
	tests_add(&t, "a public key is a point on the curve, or refused", run_point, NULL);
	tests_add(&t, "a private key is read as it was written", run_key, NULL);
	return tests_run(&t, "ca");
}
