/* Certificates that a policy names: read once, and judged whole. */
#include <sys/stat.h>
#include "tests/unit/certificates.h"

#include "policy/diff.h"
#include "policy/policy.h"

static struct tests t;
static char folder[] = "/tmp/sallyport-certificates-XXXXXX";
static struct made ca, other_ca;
static bool starts; /* the gateway does */

static const char *path_of(const char *name)
{
	static char path[256];

	(void)snprintf(path, sizeof path, "%s/%s", folder, name);
	return path;
}

static int load(struct policy *(*ret)[1], bool keys, const char *portal, char **ret_said)
{
	size_t len = 0;
	FILE *f = open_memstream(ret_said, &len);
	struct policy_options options = {
		.messages = f, .keys = keys, .starts = starts, .state = folder};
	char text[1024];
	int r;

	(void)snprintf(
		text, sizeof text,
		"version: 1\nportals:\n  wan: {listen: ['192.0.2.1:3261'], transport: tls%s}\n"
		"disks: {a: {memory: 1MiB}}\ntargets:\n  iqn.2026-11.net.example.gw:a:\n"
		"    portals: [wan]\n    luns: {0: a}\n    initiators:\n"
		"      iqn.1994-05.com.redhat:alice:\n        from: [192.0.2.7]\n"
		"        chap: {user: alice, mutual: gw}\n",
		portal);
	r = policy_parse(path_of("policy.yaml"), text, strlen(text), &options, &(*ret)[0]);
	assert_int_equal(fclose(f), 0);
	return r;
}

/* The files of a row: everything is right but for what it says. */
static const struct certificate_row {
	const char *why, *said; /* NULL: taken, and nothing is said */
	struct made_spec leaf;
	const char *portal; /* NULL: all of it */
	bool chain_of_another, other_key, open_key;
	long crl_next_s; /* 0: a CRL is not there */
	bool crl_cut;	 /* another one behind it is damaged */
	bool crl_by_other;
} rows[] = {
	{.why = "a certificate with its key and a CA is taken", .said = NULL},
	{.why = "Ed25519 is taken", .leaf = {.key = "ED25519"}},
	{.why = "P-384 is taken", .leaf = {.key = "P-384"}},
	{.why = "RSA of 2048 bits is taken", .leaf = {.key = "RSA"}},
	{.why = "P-521 is not used here",
	 .said = "error: gw.pem has a key of a kind that is not used here",
	 .leaf = {.key = "P-521"}},
	{.why = "RSA of 1024 bits is not used here",
	 .said = "error: gw.pem has a key of a kind that is not used here",
	 .leaf = {.key = "RSA-1024"}},
	{.why = "a client's certificate is none of a gateway",
	 .said = "error: gw.pem begins with a certificate that is not for servers",
	 .leaf = {.usage = "clientAuth"}},
	{.why = "P1: a certificate that is over is an error",
	 .said = "error: gw.pem is over since ",
	 .leaf = {.ends_s = -3600}},
	{.why = "a certificate of tomorrow is an error",
	 .said = "error: gw.pem is not valid yet: the certificate of \"gw\"",
	 .leaf = {.begins_s = DAY_S}},
	{.why = "a certificate that ends in 29 days is a warning",
	 .said = "warning: gw.pem ends in 29 days: the certificate of \"gw\"",
	 .leaf = {.ends_s = 29 * DAY_S + 3600}},
	{.why = "a certificate that ends in 31 days is none", .leaf = {.ends_s = 31 * DAY_S}},
	{.why = "a chain with another one's CA is told of",
	 .said = "error: gw.pem is out of order: its certificate 2 did not sign the one before it",
	 .chain_of_another = true},
	{.why = "another certificate's key is told of",
	 .said = "error: gw.key is not the key of the certificate",
	 .other_key = true},
	{.why = "P3: a key that everybody may read is an error",
	 .said = "error: gw.key is a private key that everybody on this machine may read",
	 .open_key = true},
	{.why = "a CRL of the CA is taken", .crl_next_s = 60 * DAY_S},
	{.why = "P1: a CRL whose successor is due is an error",
	 .said = "error: clients.crl is over since ",
	 .crl_next_s = -3600},
	{.why = "a CRL whose successor is due in 3 days is a warning",
	 .said = "warning: clients.crl ends in 3 days: the CRL of \"clients\"",
	 .crl_next_s = 3 * DAY_S + 3600},
	{.why = "P1: a CRL of a CA that nobody asked for is an error",
	 .said = "error: clients.crl is signed by no CA of client_ca",
	 .crl_next_s = 60 * DAY_S,
	 .crl_by_other = true},
	{.why = "P1: a CRL behind a good one that is damaged is an error: it may name somebody",
	 .said = "error: clients.crl has a CRL that is damaged",
	 .crl_next_s = 60 * DAY_S,
	 .crl_cut = true},
	{.why = "a portal that names no certificate needs the gateway's own CA",
	 .said = "error: the portal \"wan\" names no certificate, and the gateway has no CA of its "
		 "own",
	 .portal = ""},
	{.why = "… and so does one that names no client CA",
	 .said = "names no certificate of a client CA, and the gateway has no CA of its own",
	 .portal = ", certificate: gw.pem, key: gw.key"},
	{.why = "no CA signs as the client of another",
	 .said = "error: gw.pem has a certificate that is no CA's: its certificate 1",
	 .portal = ", certificate: gw.pem, key: gw.key, client_ca: gw.pem"},
	{.why = "a key alone is no certificate",
	 .said = "error: gw.key has no certificate (PEM)",
	 .portal = ", certificate: gw.key, client_ca: clients.pem"},
	{.why = "a certificate without its key is told of",
	 .said = "error: gw.pem has to hold the private key, too, and everybody on this machine "
		 "may read it",
	 .portal = ", certificate: gw.pem, client_ca: clients.pem"},
};

static void files_make(const struct certificate_row *row)
{
	struct made_spec spec = row->leaf;
	struct made leaf, stranger;

	spec.name = "gw";
	spec.issuer = &ca;
	leaf = made_certificate(&spec);
	stranger = made_certificate(&spec);
	made_write(&leaf, path_of("gw.pem"), false);
	made_write(row->chain_of_another ? &other_ca : &ca, path_of("gw.pem"), true);
	made_write_key(row->other_key ? &stranger : &leaf, path_of("gw.key"));
	if (row->open_key)
		assert_int_equal(chmod(path_of("gw.key"), 0604), 0);
	made_write(&ca, path_of("clients.pem"), false);
	if (row->crl_next_s != 0) {
		X509_CRL *crl =
			made_crl(row->crl_by_other ? &other_ca : &ca, &leaf, row->crl_next_s);
		FILE *f = made_file(path_of("clients.crl"), false);

		assert_int_equal(PEM_write_X509_CRL(f, crl), 1);
		if (row->crl_cut)
			assert_true(fputs("-----BEGIN X509 CRL-----\nMIIB\n"
					  "-----END X509 CRL-----\n",
					  f) >= 0);
		assert_int_equal(fclose(f), 0);
		X509_CRL_free(crl);
	}
	made_free(&leaf);
	made_free(&stranger);
}

static const char *portal_of(const struct certificate_row *row)
{
	return row->portal	 ? row->portal
	       : row->crl_next_s ? ", certificate: gw.pem, key: gw.key, client_ca: clients.pem, "
				   "crl: [clients.crl]"
				 : ", certificate: gw.pem, key: gw.key, client_ca: clients.pem";
}

static void test_files(void **state)
{
	const struct certificate_row *row = *state;
	struct policy *p[1] = {NULL};
	OWNED_FREE char *said = NULL;

	files_make(row);
	(void)load(&p, true, portal_of(row), &said);
	if (!row->said) {
		assert_string_equal(said, "");
		assert_non_null(p[0]);
		assert_int_equal(p[0]->portals[0].tls->chain.count, 2);
		assert_int_equal(p[0]->portals[0].tls->authorities.count, 1);
	} else if (!strstr(said, row->said)) {
		fail_msg("said: %s", said);
	}
	assert_true(!row->said || strncmp(row->said, "warning", 7) == 0 || !p[0]);
	policy_free(p[0]);
}

/* What is wrong with a file of the portal closes it, and no other mistake is forgiven. */
static void test_start(void **state)
{
	const struct certificate_row *row = *state;
	const bool of_file = row->said && (strncmp(row->said, "error: gw.", 10) == 0 ||
					   strncmp(row->said, "error: clients.", 15) == 0);
	const bool error = row->said && strncmp(row->said, "warning", 7) != 0;
	struct policy *p[1] = {NULL};
	OWNED_FREE char *said = NULL;

	files_make(row);
	starts = true;
	(void)load(&p, true, portal_of(row), &said);
	starts = false;
	if (of_file || !error)
		assert_non_null(p[0]);
	if (p[0])
		assert_int_equal(p[0]->portals[0].tls->closed[0] != '\0', error);
	if (of_file)
		assert_non_null(strstr(said, ": the portal stays closed"));
	policy_free(p[0]);
}

/* --- what differs ------------------------------------------------------------------------- */

static struct policy *load_well(void)
{
	struct policy *p[1] = {NULL};
	OWNED_FREE char *said = NULL;

	if (load(&p, false, ", certificate: gw.pem, key: gw.key, client_ca: clients.pem", &said) <
	    0)
		fail_msg("said: %s", said);
	return p[0];
}

static void test_replaced(void **state)
{
	static const struct certificate_row plain = {.why = ""};
	struct policy *before, *same, *after;
	struct differences d = {0};

	(void)state;
	files_make(&plain);
	before = load_well();
	same = load_well();
	files_make(&plain);
	after = load_well();
	assert_int_equal(policy_differences(before, same, &d), 0);
	assert_int_equal(d.count, 0);
	differences_free(&d);
	assert_int_equal(policy_differences(before, after, &d), 0);
	assert_int_equal(d.count, 1);
	assert_string_equal(d.list[0].key, "certificate");
	assert_string_not_equal(d.list[0].before, d.list[0].after);
	differences_free(&d);
	policy_free(before);
	policy_free(same);
	policy_free(after);
}

static void test_near(void **state)
{
	static const struct certificate_row plain = {.why = ""};
	struct policy *p;

	(void)state;
	files_make(&plain);
	p = load_well();
	assert_int_equal(p->portals[0].transport, PORTAL_TLS);
	assert_int_equal(p->portals[0].advertise_count, 1);
	assert_true(p->portals[0].advertise_near);
	assert_true(ip_is_loopback(&p->portals[0].advertise[0].ip));
	assert_int_equal(p->portals[0].advertise[0].port, 3260);
	policy_free(p);
}

/* --- whose certificate -------------------------------------------------------------------- */

#define VAULT "iqn.2026-11.net.example.gw:vault"
#define STORE "iqn.2026-11.net.example.gw:store"
#define ALICE "iqn.1994-05.com.redhat:alice"
#define BOB   "iqn.1994-05.com.redhat:bob"

/* Alice by her name into the vault, by a pin (11h…) into the store. */
static const char claims_text[] =
	"version: 1\n"
	"portals:\n"
	"  wan: {listen: ['192.0.2.1:3261'], transport: tls, certificate: a.pem, client_ca: "
	"b.pem}\n"
	"  vpn: {listen: ['192.0.2.1:3260'], transport: plain, accept_risk: true}\n"
	"disks: {a: {memory: 1MiB}, b: {memory: 1MiB}}\n"
	"targets:\n"
	"  " VAULT ":\n"
	"    portals: [wan, vpn]\n"
	"    luns: {0: a}\n"
	"    initiators:\n"
	"      " ALICE ": {from: [192.0.2.7], chap: {user: alice, mutual: gw}}\n" /* 11 */
	"  " STORE ":\n"
	"    portals: [wan]\n"
	"    luns: {0: b}\n"
	"    initiators:\n"
	"      " ALICE ":\n"
	"        from: [192.0.2.7]\n"
	"        chap: {user: alice, mutual: gw}\n"
	"        certificate: sha256:11111111111111111111111111111111"
	"11111111111111111111111111111111\n"; /* 19 */

static const struct claim_row {
	const char *why, *target;
	size_t portal;
	const char *names[2]; /* of the certificate; NULL: it has none */
	uint8_t print;	      /* each octet of its fingerprint; 0: no certificate was shown */
	uint32_t version;
	bool nobody;	    /* explain asks, nobody logged in */
	const char *reason; /* of the certificate's layer; NULL: it was not asked */
	uint32_t line;
} claim_rows[] = {
	{.why = "P1: a certificate in one's name",
	 .target = VAULT,
	 .names = {ALICE},
	 .print = 1,
	 .reason = "allowed",
	 .line = 11},
	{.why = "P1: one of its names is enough",
	 .target = VAULT,
	 .names = {BOB, ALICE},
	 .print = 1,
	 .reason = "allowed",
	 .line = 11},
	{.why = "P1: a certificate in another name alone is wrong: refused",
	 .target = VAULT,
	 .names = {BOB},
	 .print = 1,
	 .reason = "certificate-is-of-another-name",
	 .line = 11},
	{.why = "P1: a certificate without a name is wrong: refused",
	 .target = VAULT,
	 .print = 1,
	 .reason = "certificate-is-of-another-name",
	 .line = 11},
	{.why = "P1: no certificate: refused, whoever proved what",
	 .target = VAULT,
	 .reason = "tls-no-certificate",
	 .line = 11},
	{.why = "P1: the pinned one, whatever its name",
	 .target = STORE,
	 .names = {BOB},
	 .print = 0x11,
	 .reason = "allowed",
	 .line = 19},
	{.why = "P1: the right name, and not the pinned one: refused",
	 .target = STORE,
	 .names = {ALICE},
	 .print = 0x12,
	 .reason = "certificate-is-not-the-pinned-one",
	 .line = 19},
	{.why = "who came by TLS 1.2, where it is taken no more: refused",
	 .target = VAULT,
	 .names = {ALICE},
	 .print = 0x11,
	 .version = 0x0303,
	 .reason = "tls-version",
	 .line = 3},
	{.why = "who came by TLS 1.3 is taken",
	 .target = VAULT,
	 .names = {ALICE},
	 .print = 0x11,
	 .version = 0x0304,
	 .reason = "allowed",
	 .line = 11},
	{.why = "explain says that a certificate will be asked for",
	 .target = VAULT,
	 .nobody = true,
	 .reason = "allowed",
	 .line = 11},
	{.why = "a plain portal asks for none", .target = VAULT, .portal = 1},
};

static void test_claim(void **state)
{
	const struct claim_row *row = *state;
	struct policy_options options = {.messages = fopen("/dev/null", "we"), .in_force = true};
	struct claim_certificate shown = {0};
	struct claim claim = {.portal = row->portal,
			      .user = row->nobody ? NULL : "alice",
			      .initiator = ALICE,
			      .target = row->target,
			      .certificate = row->print ? &shown : NULL,
			      .lun = -1};
	struct policy *p = NULL;
	struct decision d;

	assert_int_equal(policy_parse("p.yaml", claims_text, strlen(claims_text), &options, &p), 0);
	assert_int_equal(fclose(options.messages), 0);
	assert_int_equal(ip_parse("192.0.2.7", &claim.from), 0);
	memset(shown.fingerprint, row->print, sizeof shown.fingerprint);
	shown.version = row->version;
	for (; shown.name_count < 2 && row->names[shown.name_count]; shown.name_count++)
		(void)string_copy(shown.names[shown.name_count], ISCSI_NAME_SIZE,
				  row->names[shown.name_count]);
	policy_decide(p, &claim, &d);
	assert_int_equal(d.verdicts[LAYER_CERTIFICATE].asked, row->reason != NULL);
	if (row->reason) {
		assert_string_equal(d.verdicts[LAYER_CERTIFICATE].reason, row->reason);
		assert_int_equal(d.verdicts[LAYER_CERTIFICATE].line, row->line);
	}
	assert_int_equal(d.allowed, !row->reason || strcmp(row->reason, "allowed") == 0);
	assert_int_equal(d.identity, d.allowed);
	assert_int_equal(d.layer, d.allowed ? LAYER_NONE : LAYER_CERTIFICATE);
	policy_free(p);
}

/* What is said of the pinned initiator's target, when it is on these portals. */
static const struct pin_row {
	const char *why, *portals, *said; /* NULL: nothing */
} pin_rows[] = {
	{"a pin on portals with TLS alone is well", "    portals: [wan]\n", NULL},
	{"P1: a pin on a portal without TLS, too, is warned of: there it binds nobody",
	 "    portals: [wan, vpn]\n",
	 "warning: the target is on the portal vpn, too, where nobody is asked for a certificate"},
	{"a pin on no portal with TLS is warned of", "    portals: [vpn]\n",
	 "warning: no portal of this target has TLS"},
};

static void test_pin(void **state)
{
	static const char store[] = "  " STORE ":\n", wan[] = "    portals: [wan]\n";
	const struct pin_row *row = *state;
	const char *head = strstr(claims_text, store);
	OWNED_FREE char *said = NULL, *text = NULL;
	size_t len = 0;
	struct policy_options options = {.messages = open_memstream(&said, &len), .in_force = true};
	struct policy *p = NULL;

	assert_true(head && strncmp(head + strlen(store), wan, strlen(wan)) == 0);
	head += strlen(store);
	assert_true(asprintf(&text, "%.*s%s%s", (int)(head - claims_text), claims_text,
			     row->portals, head + strlen(wan)) > 0);
	assert_int_equal(policy_parse("p.yaml", text, strlen(text), &options, &p), 0);
	assert_int_equal(fclose(options.messages), 0);
	assert_true(row->said ? strstr(said, row->said) != NULL : !strstr(said, "certificate:"));
	policy_free(p);
}

static size_t targets_seen;

static void target_count(void *arg, const struct policy_target *target)
{
	(void)arg;
	(void)target;
	targets_seen++;
}

static void test_listed(void **state)
{
	struct policy_options options = {.messages = fopen("/dev/null", "we"), .in_force = true};
	struct claim_certificate shown = {.name_count = 1, .names = {ALICE}};
	struct claim claim = {.portal = SIZE_MAX,
			      .user = "alice",
			      .initiator = ALICE,
			      .certificate = &shown,
			      .lun = -1};
	struct policy *p = NULL;

	(void)state;
	assert_int_equal(policy_parse("p.yaml", claims_text, strlen(claims_text), &options, &p), 0);
	assert_int_equal(fclose(options.messages), 0);
	assert_int_equal(ip_parse("192.0.2.7", &claim.from), 0);
	targets_seen = 0;
	policy_each_target(p, &claim, target_count, NULL);
	assert_int_equal(targets_seen, 1);
	policy_free(p);
}

int main(void)
{
	static char at_start[ARRAY_LEN(rows)][160];
	static const char *const files[] = {"gw.pem", "gw.key", "clients.pem", "clients.crl"};
	int r;

	if (!mkdtemp(folder))
		abort();
	ca = made_certificate(&(struct made_spec){.name = "clients", .ca = true});
	other_ca = made_certificate(&(struct made_spec){.name = "others", .ca = true});
	TESTS_ADD_TABLE(&t, rows, test_files);
	for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
		(void)snprintf(at_start[k], sizeof at_start[k], "at the start: %s", rows[k].why);
		tests_add(&t, at_start[k], test_start, (void *)(uintptr_t)&rows[k]);
	}
	tests_add(&t, "a certificate that was replaced under its name is a difference",
		  test_replaced, NULL);
	tests_add(&t, "who comes by TLS is led to the near end of its tunnel", test_near, NULL);
	TESTS_ADD_TABLE(&t, claim_rows, test_claim);
	TESTS_ADD_TABLE(&t, pin_rows, test_pin);
	tests_add(&t, "P1: discovery lists what this certificate opens, and no more", test_listed,
		  NULL);
	r = tests_run(&t, "policy_certificates");
	for (size_t k = 0; k < ARRAY_LEN(files); k++)
		(void)unlink(path_of(files[k]));
	(void)rmdir(folder);
	made_free(&ca);
	made_free(&other_ca);
	return r;
}
