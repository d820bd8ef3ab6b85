/* Handshakes of the server's end with a peer of plain libssl: which versions, suites,
 * groups, keys and protocols there are, and what the signer is asked. */
#include "tests/unit/tls_rig.h"

static struct tests t;

/* --- what is taken --- */

static const struct good {
	const char *why, *key, *suites, *groups, *sigalgs;
	uint32_t flags;
	int version;
	const char *cipher, *group;
	uint32_t form, scheme, hash_len;
} good[] = {
	{"P-256, the first suite and group", NULL, NULL, NULL, NULL, 0, 0, "TLS_AES_256_GCM_SHA384",
	 "x25519", AUTH_SIGN_SERVER, AUTH_SIGN_ECDSA_P256_SHA256, 48},
	{"P-384", "P-384", NULL, NULL, NULL, 0, 0, "TLS_AES_256_GCM_SHA384", "x25519",
	 AUTH_SIGN_SERVER, AUTH_SIGN_ECDSA_P384_SHA384, 48},
	{"Ed25519", "ED25519", NULL, NULL, NULL, 0, 0, "TLS_AES_256_GCM_SHA384", "x25519",
	 AUTH_SIGN_SERVER, AUTH_SIGN_ED25519, 48},
	{"RSA signs with PSS", "RSA", NULL, NULL, NULL, 0, 0, "TLS_AES_256_GCM_SHA384", "x25519",
	 AUTH_SIGN_SERVER, AUTH_SIGN_RSA_PSS_RSAE_SHA256, 48},
	{"RSA-PSS", "RSA-PSS", NULL, NULL, NULL, 0, 0, "TLS_AES_256_GCM_SHA384", "x25519",
	 AUTH_SIGN_SERVER, AUTH_SIGN_RSA_PSS_PSS_SHA256, 48},
	{"a suite whose transcript is SHA-256", NULL, "TLS_AES_128_GCM_SHA256", NULL, NULL, 0, 0,
	 "TLS_AES_128_GCM_SHA256", "x25519", AUTH_SIGN_SERVER, AUTH_SIGN_ECDSA_P256_SHA256, 32},
	{"ChaCha20", NULL, "TLS_CHACHA20_POLY1305_SHA256", NULL, NULL, 0, 0,
	 "TLS_CHACHA20_POLY1305_SHA256", "x25519", AUTH_SIGN_SERVER, AUTH_SIGN_ECDSA_P256_SHA256,
	 32},
	{"our order of suites counts", NULL, "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384",
	 NULL, NULL, 0, 0, "TLS_AES_256_GCM_SHA384", "x25519", AUTH_SIGN_SERVER,
	 AUTH_SIGN_ECDSA_P256_SHA256, 48},
	{"group P-256", NULL, NULL, "P-256", NULL, 0, 0, "TLS_AES_256_GCM_SHA384", "secp256r1",
	 AUTH_SIGN_SERVER, AUTH_SIGN_ECDSA_P256_SHA256, 48},
	{"group P-384", NULL, NULL, "P-384", NULL, 0, 0, "TLS_AES_256_GCM_SHA384", "secp384r1",
	 AUTH_SIGN_SERVER, AUTH_SIGN_ECDSA_P256_SHA256, 48},
	{"a group that is not the client's first guess", NULL, NULL, "P-521:X25519", NULL, 0, 0,
	 "TLS_AES_256_GCM_SHA384", "x25519", AUTH_SIGN_SERVER, AUTH_SIGN_ECDSA_P256_SHA256, 48},
	{"TLS 1.2 when it is allowed", NULL, NULL, NULL, NULL, TLS_ALLOW_12, TLS1_2_VERSION,
	 "ECDHE-ECDSA-AES256-GCM-SHA384", NULL, AUTH_SIGN_KEY_EXCHANGE, AUTH_SIGN_ECDSA_P256_SHA256,
	 0},
	{"TLS 1.2 with P-384", "P-384", NULL, NULL, NULL, TLS_ALLOW_12, TLS1_2_VERSION,
	 "ECDHE-ECDSA-AES256-GCM-SHA384", NULL, AUTH_SIGN_KEY_EXCHANGE, AUTH_SIGN_ECDSA_P384_SHA384,
	 0},
	{"TLS 1.2 with RSA signs with PSS", "RSA", NULL, NULL, NULL, TLS_ALLOW_12, TLS1_2_VERSION,
	 "ECDHE-RSA-AES256-GCM-SHA384", NULL, AUTH_SIGN_KEY_EXCHANGE, AUTH_SIGN_RSA_PSS_RSAE_SHA256,
	 0},
	{"TLS 1.2 with Ed25519", "ED25519", NULL, NULL, NULL, TLS_ALLOW_12, TLS1_2_VERSION,
	 "ECDHE-ECDSA-AES256-GCM-SHA384", NULL, AUTH_SIGN_KEY_EXCHANGE, AUTH_SIGN_ED25519, 0},
	{"TLS 1.2 over P-256", NULL, NULL, "P-256", NULL, TLS_ALLOW_12, TLS1_2_VERSION,
	 "ECDHE-ECDSA-AES256-GCM-SHA384", NULL, AUTH_SIGN_KEY_EXCHANGE, AUTH_SIGN_ECDSA_P256_SHA256,
	 0},
	{"TLS 1.3 though 1.2 is allowed", NULL, NULL, NULL, NULL, TLS_ALLOW_12, 0,
	 "TLS_AES_256_GCM_SHA384", "x25519", AUTH_SIGN_SERVER, AUTH_SIGN_ECDSA_P256_SHA256, 48},
};

static void test_good(void **state)
{
	const struct good *row = *state;
	struct rig r;
	struct maker alice;
	struct tls_peer p;

	rig_open(&r, row->key);
	alice = client_make(&r);
	rig_serve(&r, row->flags);
	rig_peer(&r, &alice);
	if (row->version)
		SSL_set_max_proto_version(r.peer, row->version);
	if (row->suites)
		assert_int_equal(SSL_set_ciphersuites(r.peer, row->suites), 1);
	if (row->groups)
		assert_int_equal(SSL_set1_groups_list(r.peer, row->groups), 1);
	if (rig_shake(&r) != 1)
		fail_msg("%s: %s", tls_reason_name(tls_reason(r.tls)), tls_detail(r.tls));
	tls_peer(r.tls, &p);
	assert_int_equal(p.version, row->version ? row->version : TLS1_3_VERSION);
	assert_string_equal(p.cipher, row->cipher);
	if (row->group)
		assert_string_equal(p.group, row->group);
	assert_int_equal(r.signs.asked, 1);
	assert_int_equal(r.signs.last.form, row->form);
	assert_int_equal(r.signs.last.scheme, row->scheme);
	assert_int_equal(r.signs.last.hash_len, row->hash_len);
	assert_true(p.have_certificate);
	assert_int_equal(p.name_count, 1);
	assert_string_equal(p.names[0], CLIENT_NAME);
	maker_free(&alice);
	rig_close(&r);
}

/* --- what is not --- */

static const struct bad {
	const char *why, *suites, *groups;
	uint32_t flags;
	int min, max;
	enum tls_reason reason;
	int alert;
} bad[] = {
	{"TLS 1.2 when it is not allowed", NULL, NULL, 0, 0, TLS1_2_VERSION, TLS_VERSION,
	 SSL_AD_PROTOCOL_VERSION},
	{"TLS 1.1, though 1.2 is allowed", NULL, NULL, TLS_ALLOW_12, TLS1_VERSION, TLS1_1_VERSION,
	 TLS_VERSION, SSL_AD_PROTOCOL_VERSION},
	{"TLS 1.0", NULL, NULL, 0, TLS1_VERSION, TLS1_VERSION, TLS_VERSION,
	 SSL_AD_PROTOCOL_VERSION},
	{"a suite of the short tag", "TLS_AES_128_CCM_8_SHA256", NULL, 0, 0, 0, TLS_NO_CIPHER,
	 SSL_AD_HANDSHAKE_FAILURE},
	{"group P-521 alone", NULL, "P-521", 0, 0, 0, TLS_NO_GROUP, SSL_AD_HANDSHAKE_FAILURE},
	{"finite fields alone", NULL, "ffdhe2048", 0, 0, 0, TLS_NO_GROUP, SSL_AD_HANDSHAKE_FAILURE},
};

static void test_bad(void **state)
{
	const struct bad *row = *state;
	struct rig r;
	struct maker alice;

	rig_open(&r, NULL);
	alice = client_make(&r);
	rig_serve(&r, row->flags);
	rig_peer(&r, &alice);
	SSL_set_security_level(r.peer, 0);
	if (row->min)
		SSL_set_min_proto_version(r.peer, row->min);
	if (row->max)
		SSL_set_max_proto_version(r.peer, row->max);
	if (row->suites)
		assert_int_equal(SSL_set_ciphersuites(r.peer, row->suites), 1);
	if (row->groups)
		assert_int_equal(SSL_set1_groups_list(r.peer, row->groups), 1);
	SSL_set_cipher_list(r.peer, "ALL:@SECLEVEL=0");
	assert_int_equal(rig_shake(&r), -EPROTO);
	assert_string_equal(tls_reason_name(tls_reason(r.tls)), tls_reason_name(row->reason));
	assert_int_equal(rig_alert(&r), row->alert);
	assert_int_equal(r.signs.asked, 0); /* nothing was signed for it */
	maker_free(&alice);
	rig_close(&r);
}

static const struct suite_12 {
	const char *why, *suites;
} suites_12[] = {
	{"TLS 1.2 with CBC", "ECDHE-ECDSA-AES256-SHA384:ECDHE-ECDSA-AES128-SHA"},
	{"TLS 1.2 without a fresh key", "AES256-GCM-SHA384:AES128-GCM-SHA256"},
	{"TLS 1.2 with finite fields", "DHE-RSA-AES256-GCM-SHA384"},
	{"TLS 1.2 with nobody's certificate", "AECDH-AES256-SHA:@SECLEVEL=0"},
	{"TLS 1.2 with CCM", "ECDHE-ECDSA-AES256-CCM8:ECDHE-ECDSA-AES256-CCM"},
};

static void test_suite_12(void **state)
{
	const struct suite_12 *row = *state;
	struct rig r;

	rig_open(&r, NULL);
	rig_serve(&r, TLS_ALLOW_12);
	rig_peer(&r, NULL);
	SSL_set_max_proto_version(r.peer, TLS1_2_VERSION);
	assert_int_equal(SSL_set_cipher_list(r.peer, row->suites), 1);
	assert_int_equal(rig_shake(&r), -EPROTO);
	assert_int_equal(tls_reason(r.tls), TLS_NO_CIPHER);
	rig_close(&r);
}

/* --- protocols --- */

static const struct protocol {
	const char *why, *offer;
	unsigned len;
	uint32_t flags;
	int version;
	enum tls_alpn alpn;
	bool good, certificate;
} protocols[] = {
	{"no ALPN is taken: old tunnels have none", NULL, 0, 0, 0, TLS_ALPN_NONE, true, true},
	{"iscsi", "\5iscsi", 6, 0, 0, TLS_ALPN_IS_ISCSI, true, true},
	{"iscsi among others", "\2h2\5iscsi", 9, 0, 0, TLS_ALPN_IS_ISCSI, true, true},
	{"HTTP is not", "\2h2\10http/1.1", 12, 0, 0, TLS_ALPN_NONE, false, true},
	{"a name that begins like ours is not", "\6iscsi2", 7, 0, 0, TLS_ALPN_NONE, false, true},
	{"joining is not, while no invitation is open", "\20sallyport-join/1", 17, 0, 0,
	 TLS_ALPN_NONE, false, false},
	{"joining needs no certificate, while one is", "\20sallyport-join/1", 17, TLS_JOINS, 0,
	 TLS_ALPN_IS_JOIN, true, false},
	{"joining needs TLS 1.3", "\20sallyport-join/1", 17, TLS_JOINS | TLS_ALLOW_12,
	 TLS1_2_VERSION, TLS_ALPN_NONE, false, false},
	{"iscsi needs one, while an invitation is open", "\5iscsi", 6, TLS_JOINS, 0,
	 TLS_ALPN_IS_ISCSI, false, false},
	{"iscsi beside joining is iscsi, and needs one", "\20sallyport-join/1\5iscsi", 23,
	 TLS_JOINS, 0, TLS_ALPN_IS_ISCSI, false, false},
	{"no ALPN needs one, while an invitation is open", NULL, 0, TLS_JOINS, 0, TLS_ALPN_NONE,
	 false, false},
};

static void test_protocol(void **state)
{
	const struct protocol *row = *state;
	struct rig r;
	struct maker alice;
	uint8_t one[32], two[32];

	rig_open(&r, NULL);
	alice = client_make(&r);
	rig_serve(&r, row->flags);
	rig_peer(&r, row->certificate ? &alice : NULL);
	if (row->version)
		SSL_set_max_proto_version(r.peer, row->version);
	if (row->offer)
		SSL_set_alpn_protos(r.peer, (const uint8_t *)row->offer, row->len);
	assert_int_equal(rig_shake(&r), row->good ? 1 : -EPROTO);
	if (row->good) {
		assert_int_equal(tls_alpn(r.tls), row->alpn);
		assert_int_equal(tls_exporter(r.tls, TLS_JOIN_LABEL, one), 0);
		assert_int_equal(SSL_export_keying_material(r.peer, two, 32, TLS_JOIN_LABEL,
							    strlen(TLS_JOIN_LABEL), NULL, 0, 0),
				 1);
		assert_memory_equal(one, two, 32);
	} else {
		assert_int_equal(tls_reason(r.tls), row->alpn == TLS_ALPN_IS_ISCSI || !row->offer
							    ? TLS_NO_CERTIFICATE
							    : TLS_ALPN);
	}
	maker_free(&alice);
	rig_close(&r);
}

/* --- tickets, renegotiation, resumption --- */

static int tickets;

static int on_session(SSL *ssl, SSL_SESSION *session)
{
	(void)ssl;
	(void)session;
	tickets++;
	return 0;
}

static void test_tickets(void **state)
{
	struct rig r;
	struct maker alice;
	uint8_t octet;

	(void)state;
	rig_open(&r, NULL);
	alice = client_make(&r);
	rig_serve(&r, 0);
	rig_peer(&r, &alice);
	SSL_CTX_set_session_cache_mode(r.peers, SSL_SESS_CACHE_CLIENT);
	SSL_CTX_sess_set_new_cb(r.peers, on_session);
	tickets = 0;
	assert_int_equal(rig_shake(&r), 1);
	assert_int_equal(SSL_read(r.peer, &octet, 1), -1);
	assert_int_equal(tickets, 0);
	maker_free(&alice);
	rig_close(&r);
}

static void test_renegotiation(void **state)
{
	struct rig r;
	struct maker alice;
	struct iovec iov = {(uint8_t[64]){0}, 64};

	(void)state;
	rig_open(&r, NULL);
	alice = client_make(&r);
	rig_serve(&r, TLS_ALLOW_12);
	rig_peer(&r, &alice);
	SSL_set_max_proto_version(r.peer, TLS1_2_VERSION);
	assert_int_equal(rig_shake(&r), 1);
	assert_int_equal(SSL_renegotiate(r.peer), 1);
	for (unsigned turn = 0; turn < 8; turn++) {
		(void)SSL_do_handshake(r.peer);
		IGNORE_RESULT(tls_receive(r.tls, &iov, 1));
	}
	assert_int_equal(r.signs.asked, 1);
	ERR_clear_error();
	maker_free(&alice);
	rig_close(&r);
}

/* --- the key --- */

static void test_key_away(void **state)
{
	struct rig r;
	struct maker alice;

	(void)state;
	rig_open(&r, NULL);
	alice = client_make(&r);
	rig_serve(&r, 0);
	rig_peer(&r, &alice);
	r.signs.away = true;
	assert_int_equal(rig_shake(&r), -EPROTO);
	assert_int_equal(tls_reason(r.tls), TLS_KEY_AWAY);
	maker_free(&alice);
	rig_close(&r);
}

static void test_other_key(void **state)
{
	struct rig r;
	struct maker alice;

	(void)state;
	rig_open(&r, NULL);
	alice = client_make(&r);
	r.signs.key = alice.key;
	rig_serve(&r, 0);
	rig_peer(&r, &alice);
	assert_int_equal(rig_shake(&r), -EPROTO);
	assert_int_equal(tls_reason(r.tls), TLS_ALERT);
	assert_string_equal(tls_detail(r.tls), "the peer's alert 51"); /* decrypt_error */
	maker_free(&alice);
	rig_close(&r);
}

int main(void)
{
	TESTS_ADD_TABLE(&t, good, test_good);
	TESTS_ADD_TABLE(&t, bad, test_bad);
	TESTS_ADD_TABLE(&t, suites_12, test_suite_12);
	TESTS_ADD_TABLE(&t, protocols, test_protocol);
	tests_add(&t, "no ticket is given, so nothing is resumed", test_tickets, NULL);
	tests_add(&t, "a renegotiation does not happen", test_renegotiation, NULL);
	tests_add(&t, "a signer that does not sign ends the handshake, with its own reason",
		  test_key_away, NULL);
	tests_add(&t, "P3: what another key signed, the peer does not take", test_other_key, NULL);
	return tests_run(&t, "tls");
}
