/* Certificates of clients: what is good, what is not, each with a reason of its own for
 * the audit and the same answer for the peer. And what a good one says. */
#include "tests/unit/tls_rig.h"

static struct tests t;

#define FULL "URI:iscsi:" CLIENT_NAME

enum issuer { BY_CA, BY_STRANGER, BY_ITSELF, BY_NO_CA };
enum crl { NO_CRL, CRL_EMPTY, CRL_HAS_IT, CRL_HAS_ANOTHER, CRL_OVER, CRL_TO_COME, CRL_OF_STRANGER };

static const struct certificate {
	const char *why;
	struct wanted wanted;
	enum issuer issuer;
	enum crl crl;
	enum tls_reason reason;
} certificates[] = {
	{"a good one", {.name = "a", .sans = FULL, .purpose = "clientAuth"}, BY_CA, NO_CRL, 0},
	{"for everything", {.name = "a", .sans = FULL}, BY_CA, NO_CRL, 0},
	{"P-384", {.name = "a", .key = "P-384", .purpose = "clientAuth"}, BY_CA, NO_CRL, 0},
	{"Ed25519", {.name = "a", .key = "ED25519", .purpose = "clientAuth"}, BY_CA, NO_CRL, 0},
	{"RSA", {.name = "a", .key = "RSA", .purpose = "clientAuth"}, BY_CA, NO_CRL, 0},
	{"RSA-PSS", {.name = "a", .key = "RSA-PSS", .purpose = "clientAuth"}, BY_CA, NO_CRL, 0},
	{"not on the list of revoked ones", {.name = "a", .serial = 9}, BY_CA, CRL_HAS_ANOTHER, 0},
	{"of another CA", {.name = "a"}, BY_STRANGER, NO_CRL, TLS_UNKNOWN_CA},
	{"of itself", {.name = "a"}, BY_ITSELF, NO_CRL, TLS_UNKNOWN_CA},
	{"of a client that is no CA", {.name = "a"}, BY_NO_CA, NO_CRL, TLS_UNKNOWN_CA},
	{"expired", {.name = "a", .from_s = -2 * DAY, .to_s = -1}, BY_CA, NO_CRL, TLS_EXPIRED},
	{"not yet valid",
	 {.name = "a", .from_s = DAY, .to_s = 2 * DAY},
	 BY_CA,
	 NO_CRL,
	 TLS_NOT_YET_VALID},
	{"revoked", {.name = "a", .serial = 9}, BY_CA, CRL_HAS_IT, TLS_REVOKED},
	{"for servers", {.name = "a", .purpose = "serverAuth"}, BY_CA, NO_CRL, TLS_WRONG_PURPOSE},
	{"our CRL is over: nobody is taken", {.name = "a"}, BY_CA, CRL_OVER, TLS_CRL},
	{"our CRL is not yet valid", {.name = "a"}, BY_CA, CRL_TO_COME, TLS_CRL},
	{"our CRL is of another CA", {.name = "a"}, BY_CA, CRL_OF_STRANGER, TLS_CRL},
};

static void crl_add(struct list *l, enum crl crl, const struct maker *ca,
		    const struct maker *stranger)
{
	static const int it[] = {9, 0}, another[] = {10, 0}, none[] = {0};
	const struct {
		const struct maker *by;
		const int *serials;
		long from_s, to_s;
	} rows[] = {
		[CRL_EMPTY] = {ca, none, -DAY, DAY},
		[CRL_HAS_IT] = {ca, it, -DAY, DAY},
		[CRL_HAS_ANOTHER] = {ca, another, -DAY, DAY},
		[CRL_OVER] = {ca, none, -2 * DAY, -1},
		[CRL_TO_COME] = {ca, none, DAY, 2 * DAY},
		[CRL_OF_STRANGER] = {stranger, none, -DAY, DAY},
	};

	if (crl != NO_CRL && rows[crl].by)
		list_add_crl(l, rows[crl].by, rows[crl].serials, rows[crl].from_s, rows[crl].to_s);
}

static void test_certificate(void **state)
{
	static const struct wanted other = {.name = "another CA", .ca = true};
	const struct certificate *row = *state;
	struct maker stranger = certificate_make(&other, NULL), client, issuer;
	struct rig r;

	rig_open(&r, NULL);
	issuer = client_make(&r);
	client = certificate_make(&row->wanted, row->issuer == BY_CA	     ? &r.ca
						: row->issuer == BY_STRANGER ? &stranger
						: row->issuer == BY_NO_CA    ? &issuer
									     : NULL);
	crl_add(&r.crls, row->crl, &r.ca, &stranger);
	rig_serve(&r, 0);
	rig_peer(&r, &client);
	if (row->issuer == BY_NO_CA)
		SSL_CTX_add1_chain_cert(r.peers, issuer.x), SSL_use_certificate(r.peer, client.x);
	assert_int_equal(rig_shake(&r), row->reason ? -EPROTO : 1);
	assert_string_equal(tls_reason_name(tls_reason(r.tls)), tls_reason_name(row->reason));
	if (row->reason) /* whatever is wrong, this is all that the peer hears */
		assert_int_equal(rig_alert(&r), SSL_AD_HANDSHAKE_FAILURE);
	maker_free(&stranger);
	maker_free(&client);
	maker_free(&issuer);
	rig_close(&r);
}

static void test_none(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r, NULL);
	rig_serve(&r, 0);
	rig_peer(&r, NULL);
	assert_int_equal(rig_shake(&r), -EPROTO);
	assert_int_equal(tls_reason(r.tls), TLS_NO_CERTIFICATE);
	assert_int_equal(rig_alert(&r), 116); /* certificate_required: RFC 8446 section 4.4.2.4 */
	rig_close(&r);
}

/* It shows alice's certificate and signs with a key of its own. */
static int stolen(void *arg, const struct auth_sign *ask, struct auth_signature *ret)
{
	return signs_sign(arg, ask, ret);
}

static int shake_both(struct tls *client, struct rig *r)
{
	int ours = 0, theirs = 0;
	uint32_t events;

	for (unsigned turn = 0; turn < 64 && ours >= 0 && (ours == 0 || theirs == 0); turn++) {
		if (theirs == 0)
			theirs = tls_handshake(client, &events);
		if (ours == 0)
			ours = tls_handshake(r->tls, &events);
	}
	return ours;
}

static struct tls_context *client_context(struct rig *r, const struct maker *shown,
					  const struct tls_signer *signer, const char *name)
{
	struct list chain = {.len = 0};
	struct tls_context *c;
	char why[128];
	struct tls_settings s = {
		.role = TLS_CLIENT,
		.ca = {r->cas.octets, r->cas.len},
		.signer = signer,
		.name = name,
		.alpn = TLS_ALPN_ISCSI,
	};

	list_add_certificate(&chain, shown->x);
	s.chain = (struct tls_octets){chain.octets, chain.len};
	assert_int_equal(tls_context_make(&s, &c, why, sizeof why), 0);
	return c;
}

static void test_stolen(void **state)
{
	struct rig r;
	struct maker alice, mallory;
	struct signs signs = {0};
	const struct tls_signer signer = {stolen, &signs};
	struct tls_context *c;
	struct tls *client;

	(void)state;
	rig_open(&r, NULL);
	alice = client_make(&r);
	mallory = client_make(&r);
	signs.key = mallory.key;
	rig_serve(&r, 0);
	c = client_context(&r, &alice, &signer, "gw.example");
	assert_int_equal(tls_open(c, r.fds[1], &client), 0);
	assert_int_equal(shake_both(client, &r), -EPROTO);
	assert_int_equal(tls_reason(r.tls), TLS_BAD_SIGNATURE);
	tls_free(client);
	tls_context_free(c);
	maker_free(&alice);
	maker_free(&mallory);
	rig_close(&r);
}

/* --- the client's end --- */

static const struct server_name {
	const char *why, *name;
	enum tls_reason reason;
} server_names[] = {
	{"the client's end takes the server by its name", "gw.example", 0},
	{"… and no other", "gw2.example", TLS_WRONG_NAME},
	{"… and no address that is not in the certificate", "192.0.2.1", TLS_WRONG_NAME},
};

static void test_server_name(void **state)
{
	const struct server_name *row = *state;
	struct rig r;
	struct maker alice;
	struct signs signs = {0};
	const struct tls_signer signer = {signs_sign, &signs};
	struct tls_context *c;
	struct tls *client;

	rig_open(&r, NULL);
	alice = client_make(&r);
	signs.key = alice.key;
	rig_serve(&r, 0);
	c = client_context(&r, &alice, &signer, row->name);
	assert_int_equal(tls_open(c, r.fds[1], &client), 0);
	assert_int_equal(shake_both(client, &r), row->reason ? -EPROTO : 1);
	assert_int_equal(tls_reason(client), row->reason);
	assert_int_equal(signs.asked, row->reason ? 0 : 1);
	if (!row->reason) {
		assert_int_equal(signs.last.form, AUTH_SIGN_CLIENT);
		assert_int_equal(tls_alpn(client), TLS_ALPN_IS_ISCSI);
	}
	tls_free(client);
	tls_context_free(c);
	maker_free(&alice);
	rig_close(&r);
}

/* --- what it says --- */

static const struct says {
	const char *why, *sans;
	uint32_t count;
	const char *first, *second;
} says[] = {
	{"no names", NULL, 0, NULL, NULL},
	{"a DNS name is none", "DNS:a.example", 0, NULL, NULL},
	{"a URI of another scheme is none", "URI:https://a.example", 0, NULL, NULL},
	{"nothing after the scheme is none", "URI:iscsi:", 0, NULL, NULL},
	{"a name", "URI:iscsi:iqn.2026-11.a:b", 1, "iqn.2026-11.a:b", NULL},
	{"the scheme in capitals", "URI:ISCSI:iqn.2026-11.a:b", 1, "iqn.2026-11.a:b", NULL},
	{"two names, and others between them",
	 "URI:iscsi:iqn.2026-11.a:b,DNS:x,URI:http://a,URI:iscsi:eui.02004567A425678D", 2,
	 "iqn.2026-11.a:b", "eui.02004567A425678D"},
	{"more than there is room for",
	 "URI:iscsi:a,URI:iscsi:b,URI:iscsi:c,URI:iscsi:d,URI:iscsi:e", 4, "a", "b"},
	{"a name with a blank is left out", "URI:iscsi:a b,URI:iscsi:c", 1, "c", NULL},
};

static void test_says(void **state)
{
	const struct says *row = *state;
	const struct wanted wanted = {.name = "a", .sans = row->sans, .serial = 0x1234};
	uint8_t digest[32];
	unsigned len = sizeof digest;
	struct rig r;
	struct maker m;
	struct tls_peer p;
	int days, seconds;

	rig_open(&r, NULL);
	m = certificate_make(&wanted, &r.ca);
	rig_serve(&r, 0);
	rig_peer(&r, &m);
	assert_int_equal(rig_shake(&r), 1);
	tls_peer(r.tls, &p);
	assert_int_equal(p.name_count, row->count);
	if (row->first)
		assert_string_equal(p.names[0], row->first);
	if (row->second)
		assert_string_equal(p.names[1], row->second);
	assert_int_equal(p.serial_len, 2);
	assert_memory_equal(p.serial, "\x12\x34", 2);
	assert_int_equal(X509_digest(m.x, EVP_sha256(), digest, &len), 1);
	assert_memory_equal(p.fingerprint, digest, 32);
	assert_int_equal(ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(m.x)), 1);
	assert_in_range(p.not_after_s, time(NULL) + days * DAY + seconds - 5,
			time(NULL) + days * DAY + seconds + 5);
	maker_free(&m);
	rig_close(&r);
}

/* --- looking again --- */

static const struct again {
	const char *why;
	enum crl crl;
	bool other_ca;
	enum tls_reason reason;
} agains[] = {
	{"nothing has changed: a live session goes on", NO_CRL, false, 0},
	{"P7: a CRL that does not name it changes nothing", CRL_HAS_ANOTHER, false, 0},
	{"it was revoked meanwhile", CRL_HAS_IT, false, TLS_REVOKED},
	{"its CA is no longer taken", NO_CRL, true, TLS_UNKNOWN_CA},
	{"the CRL is over", CRL_OVER, false, TLS_CRL},
};

static void test_again(void **state)
{
	static const struct wanted other = {.name = "another CA", .ca = true},
				   wanted = {.name = "a", .serial = 9};
	const struct again *row = *state;
	struct maker stranger = certificate_make(&other, NULL), m;
	struct list cas = {.len = 0}, crls = {.len = 0};
	struct tls_context *c;
	struct rig r;
	char why[128];
	struct tls_settings s = {.role = TLS_SERVER};

	rig_open(&r, NULL);
	m = certificate_make(&wanted, &r.ca);
	rig_serve(&r, 0);
	rig_peer(&r, &m);
	assert_int_equal(rig_shake(&r), 1);
	list_add_certificate(&cas, row->other_ca ? stranger.x : r.ca.x);
	crl_add(&crls, row->crl, &r.ca, &stranger);
	s.ca = (struct tls_octets){cas.octets, cas.len};
	s.crl = (struct tls_octets){crls.octets, crls.len};
	assert_int_equal(tls_context_make(&s, &c, why, sizeof why), 0);
	assert_string_equal(tls_reason_name(tls_recheck(r.tls, c, time(NULL))),
			    tls_reason_name(row->reason));
	tls_context_free(c);
	maker_free(&stranger);
	maker_free(&m);
	rig_close(&r);
}

/* The clock is set back to before it begins: it is not good then, and nobody waits for the day. */
static void test_set_back(void **state)
{
	struct maker alice;
	struct rig r;

	(void)state;
	rig_open(&r, NULL);
	alice = client_make(&r);
	rig_serve(&r, 0);
	rig_peer(&r, &alice);
	assert_int_equal(rig_shake(&r), 1);
	assert_int_equal(tls_recheck_in_ms(r.tls, time(NULL) - 3 * DAY), 3600000);
	assert_int_equal(tls_recheck(r.tls, r.context, time(NULL) - 3 * DAY), TLS_NOT_YET_VALID);
	assert_int_equal(tls_recheck(r.tls, r.context, time(NULL)), TLS_REASON_NONE);
	maker_free(&alice);
	rig_close(&r);
}

/* --- what it rests on ends --- */

#define LATER 5000 /* an end that is not the first */

static const struct end {
	const char *why;
	long leaf_s, middle_s;	/* of the client's certificate, and of who issued it */
	long crl_s, crl_ca_s;	/* CRLs of who issued it, and of the CA above; 0: there are none */
	bool old_crl;		/* one that is over already lies beside them */
	long until_s;		/* what ends first */
	enum tls_reason reason; /* then */
} ends[] = {
	{"its own certificate ends", 1000, LATER, 0, 0, false, 1000, TLS_EXPIRED},
	{"one between it and the CA ends", LATER, 1000, 0, 0, false, 1000, TLS_EXPIRED},
	{"the CA ends", 2 * DAY, 2 * DAY, 0, 0, false, DAY, TLS_EXPIRED},
	{"the CRL of who issued it ends", LATER, LATER, 1000, LATER, false, 1000, TLS_CRL},
	{"the CRL of the CA above ends", LATER, LATER, LATER, 1000, false, 1000, TLS_CRL},
	{"P7: a CRL that was over does not count beside a new one", LATER, 1000, LATER, LATER, true,
	 1000, TLS_EXPIRED},
};

static void crls_add(struct rig *r, const struct end *row, const struct maker *middle)
{
	static const int none[] = {0};

	if (row->old_crl)
		list_add_crl(&r->crls, middle, none, -2 * DAY, -1);
	if (row->crl_s)
		list_add_crl(&r->crls, middle, none, -DAY, row->crl_s);
	if (row->crl_ca_s)
		list_add_crl(&r->crls, &r->ca, none, -DAY, row->crl_ca_s);
}

static void test_end(void **state)
{
	const struct end *row = *state;
	const struct wanted between = {
		.name = "between", .ca = true, .serial = 2, .from_s = -DAY, .to_s = row->middle_s};
	const struct wanted wanted = {
		.name = "a", .serial = 9, .from_s = -DAY, .to_s = row->leaf_s};
	struct maker middle, m;
	int64_t until_s;
	struct rig r;

	rig_open(&r, NULL);
	until_s = time(NULL) + row->until_s;
	middle = certificate_make(&between, &r.ca);
	m = certificate_make(&wanted, &middle);
	crls_add(&r, row, &middle);
	rig_serve(&r, 0);
	rig_peer(&r, &m);
	assert_int_equal(SSL_add1_chain_cert(r.peer, middle.x), 1);
	assert_int_equal(rig_shake(&r), 1);
	/* Made a moment later than asked, or earlier than the CA. */
	assert_in_range(tls_until_s(r.tls), until_s - 60, until_s + 60);
	until_s = tls_until_s(r.tls);
	assert_int_equal(tls_recheck(r.tls, r.context, until_s - 1), TLS_REASON_NONE);
	assert_int_equal(tls_until_s(r.tls), until_s);
	assert_int_equal(tls_recheck_in_ms(r.tls, until_s - 7200), 3600000);
	assert_int_equal(tls_recheck_in_ms(r.tls, until_s - 1), 1000);
	/* P2: whoever lets that time pass within the handshake is not forgotten. */
	assert_int_equal(tls_recheck_in_ms(r.tls, until_s), 0);
	assert_int_equal(tls_recheck_in_ms(r.tls, until_s + 1), 0);
	assert_string_equal(tls_reason_name(tls_recheck(r.tls, r.context, until_s)),
			    tls_reason_name(row->reason));
	maker_free(&middle);
	maker_free(&m);
	rig_close(&r);
}

/* More than the room for a chain, sent by one who has a good certificate. */
static void test_long_chain(void **state)
{
	struct rig r;
	struct maker alice;

	(void)state;
	rig_open(&r, NULL);
	alice = client_make(&r);
	rig_serve(&r, 0);
	rig_peer(&r, &alice);
	for (unsigned k = 0; k < 60; k++)
		assert_int_equal(SSL_add1_chain_cert(r.peer, r.ca.x), 1);
	assert_int_equal(rig_shake(&r), -EPROTO);
	assert_int_equal(tls_reason(r.tls), TLS_GARBAGE);
	maker_free(&alice);
	rig_close(&r);
}

int main(void)
{
	TESTS_ADD_TABLE(&t, certificates, test_certificate);
	tests_add(&t, "none at all", test_none, NULL);
	tests_add(&t, "P3: somebody else's, without its key", test_stolen, NULL);
	TESTS_ADD_TABLE(&t, server_names, test_server_name);
	TESTS_ADD_TABLE(&t, says, test_says);
	TESTS_ADD_TABLE(&t, agains, test_again);
	tests_add(&t, "a clock that is set back", test_set_back, NULL);
	TESTS_ADD_TABLE(&t, ends, test_end);
	tests_add(&t, "P6: a chain without end is not gathered", test_long_chain, NULL);
	return tests_run(&t, "tls");
}
