/* Marks: whom other CAs and CRLs end is said beforehand as the session itself finds it, without its
 * peer's certificate. Each row is judged both ways. */
#include "gateway/tls/certificates.h"

#include "tests/unit/tls_rig.h"

static struct tests t;

enum crl_by { BY_END, BY_MIDDLE, BY_ROOT };

static const struct row {
	const char *why;
	bool renewed, stranger,
		leave_out; /* CAs: ours with another certificate; another; not ours */
	bool direct;	   /* the CA itself issued the client's */
	struct {
		enum crl_by by;
		int serials[3];
	} crls[3];
	const char *reason;
} rows[] = {
	{.why = "the same CA: nobody ends", .reason = ""},
	{.why = "a CA whose own certificate was renewed is the same",
	 .renewed = true,
	 .reason = ""},
	{.why = "one CA more ends nobody", .stranger = true, .reason = ""},
	{.why = "another CA in its place",
	 .stranger = true,
	 .leave_out = true,
	 .reason = "tls-unknown-ca"},
	{.why = "CRLs that take nobody back",
	 .crls = {{BY_MIDDLE, {0}}, {BY_ROOT, {0}}},
	 .reason = ""},
	{.why = "a CRL that takes it back",
	 .crls = {{BY_MIDDLE, {8, 9}}, {BY_ROOT, {0}}},
	 .reason = "tls-revoked"},
	{.why = "a CRL that takes others back",
	 .crls = {{BY_MIDDLE, {8, 10}}, {BY_ROOT, {11}}},
	 .reason = ""},
	{.why = "its number, of another issuer",
	 .crls = {{BY_MIDDLE, {0}}, {BY_ROOT, {9}}},
	 .reason = ""},
	{.why = "a CRL that takes back who issued it",
	 .crls = {{BY_MIDDLE, {0}}, {BY_ROOT, {2}}},
	 .reason = "tls-revoked"},
	{.why = "the CA's CRL alone: who issued it has none",
	 .crls = {{BY_ROOT, {0}}},
	 .reason = "tls-crl"},
	{.why = "of the CA itself, taken back",
	 .direct = true,
	 .crls = {{BY_ROOT, {9}}},
	 .reason = "tls-revoked"},
	{.why = "of the CA itself, by a CRL beside its renewed certificate",
	 .direct = true,
	 .renewed = true,
	 .crls = {{BY_ROOT, {9}}},
	 .reason = "tls-revoked"},
};

struct material {
	struct list cas, crls;
	struct tls_part authorities, revocations;
};

/* Of one list, each in PEM. */
static char *pem_of(const struct list *l, const char *what, size_t *ret_len)
{
	struct rd r = rd_over(l->octets, l->len);
	BIO *b = BIO_new(BIO_s_mem());
	char *text, *copy;

	while (rd_left(&r) > 0) {
		long len = (long)rd_be(&r, 4);

		assert_true(PEM_write_bio(b, what, "", rd_bytes(&r, (size_t)len), len) > 0);
	}
	*ret_len = (size_t)BIO_get_mem_data(b, &text);
	copy = malloc(*ret_len + 1);
	memcpy(copy, text, *ret_len);
	BIO_free(b);
	return copy;
}

/* As a policy reads them. */
static void parts_read(struct material *m)
{
	OWNED_FREE char *cas = NULL, *crls = NULL;
	size_t cas_len, crls_len;
	struct tls_why why;

	cas = pem_of(&m->cas, "CERTIFICATE", &cas_len);
	assert_int_equal(tls_authorities_read(cas, cas_len, &m->authorities, &why), 0);
	if (m->crls.len == 0)
		return;
	crls = pem_of(&m->crls, "X509 CRL", &crls_len);
	assert_int_equal(
		tls_revocations_add(crls, crls_len, &m->authorities, &m->revocations, &why), 0);
}

/* What the portal has now. */
static void material_make(struct material *m, const struct row *row, const struct rig *r,
			  const struct maker *middle)
{
	static const struct wanted other = {.name = "another CA", .ca = true};
	struct maker stranger = certificate_make(&other, NULL);
	X509 *renewed = X509_dup(r->ca.x);

	X509_gmtime_adj(X509_getm_notAfter(renewed), 30 * DAY);
	assert_true(X509_sign(renewed, r->ca.key, EVP_sha256()) > 0);
	if (!row->leave_out)
		list_add_certificate(&m->cas, row->renewed ? renewed : r->ca.x);
	if (row->stranger)
		list_add_certificate(&m->cas, stranger.x);
	if (row->crls[0].by == BY_MIDDLE)
		list_add_certificate(&m->cas, middle->x);
	for (size_t k = 0; k < ARRAY_LEN(row->crls) && row->crls[k].by != BY_END; k++)
		list_add_crl(&m->crls, row->crls[k].by == BY_MIDDLE ? middle : &r->ca,
			     row->crls[k].serials, -DAY, DAY);
	parts_read(m);
	X509_free(renewed);
	maker_free(&stranger);
}

static void test_judged(void **state)
{
	static const struct wanted between = {.name = "between", .ca = true, .serial = 2},
				   wanted = {.name = "a", .serial = 9};
	const struct row *row = *state;
	struct tls_settings s = {.role = TLS_SERVER};
	struct maker middle, client;
	struct material m = {0};
	struct tls_context *c;
	const char *judged;
	struct tls_peer p;
	char why[128];
	struct rig r;

	rig_open(&r, NULL);
	middle = certificate_make(&between, &r.ca);
	client = certificate_make(&wanted, row->direct ? &r.ca : &middle);
	rig_serve(&r, 0);
	rig_peer(&r, &client);
	if (!row->direct)
		assert_int_equal(SSL_add1_chain_cert(r.peer, middle.x), 1);
	assert_int_equal(rig_shake(&r), 1);
	tls_peer(r.tls, &p);
	assert_int_equal(p.link_count, row->direct ? 2 : 3);
	material_make(&m, row, &r, &middle);
	judged = tls_links_judge(p.links, p.link_count, &m.authorities, &m.revocations);
	assert_string_equal(judged ? judged : "", row->reason);

	s.ca = (struct tls_octets){m.cas.octets, m.cas.len};
	s.crl = (struct tls_octets){m.crls.octets, m.crls.len};
	assert_int_equal(tls_context_make(&s, &c, why, sizeof why), 0);
	assert_string_equal(tls_reason_name(tls_recheck(r.tls, c, time(NULL))), row->reason);
	tls_context_free(c);
	tls_part_free(&m.authorities);
	tls_part_free(&m.revocations);
	maker_free(&middle);
	maker_free(&client);
	rig_close(&r);
}

/* Longer than there is room for: nothing is known, and nothing said. */
static void test_unknown(void **state)
{
	struct tls_part none = {0}, one = {.count = 1};
	uint8_t mark[1][TLS_MARK_SIZE] = {{1}};
	const struct tls_link link = {{2}, {3}};

	(void)state;
	one.marks = mark;
	one.mark_count = 1;
	assert_null(tls_links_judge(&link, 0, &one, &none));
	assert_null(tls_links_judge(&link, 1, &none, &one));
	assert_string_equal(tls_links_judge(&link, 1, &one, &none), "tls-unknown-ca");
}

int main(void)
{
	TESTS_ADD_TABLE(&t, rows, test_judged);
	tests_add(&t, "P7: of whom nothing is known, nothing is said", test_unknown, NULL);
	return tests_run(&t, "tls");
}
