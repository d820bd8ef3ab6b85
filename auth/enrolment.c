/* Joining, in the authenticator's sandbox. A request is a stranger's: it is of a fixed size, its
 * code is proven before anything is made for it, and its key is a point that is checked. The
 * certificate is made before the monitor is asked, so that the monitor can keep it; it leaves this
 * process after the monitor's word alone. */
#include "auth/enrolment.h"

#include <openssl/pem.h>
#include <stdio.h>
#include "auth/ca.h"
#include "gateway/base/bytes.h"
#include "gateway/base/fd.h"

#define PEM_MAX	   65536
#define SOURCE_MAX (INVITATIONS_MAX * (5 + (size_t)SEALED_BYTES_MAX))
#define LOCKED(e)  ((e)->locked)

_Static_assert(AUTH_ENROL_REQUEST_SIZE == ENROL_REQUEST_SIZE, "one request");
_Static_assert(AUTH_ENROL_ANSWER_MAX == ENROL_ANSWER_MAX, "one answer");
_Static_assert(AUTH_CERTIFICATE_MAX == CERTIFICATE_DER_MAX, "one certificate");
_Static_assert(AUTH_ENROL_ACCOUNTS_MAX == ENROL_ACCOUNTS_MAX, "as many accounts");
_Static_assert(AUTH_ENROL_TEXT_SIZE <= ENROL_TEXT_MAX, "one text");
_Static_assert(sizeof(struct auth_enrol_ask) <= CHANNEL_BODY_MAX, "a question is one message");
_Static_assert(sizeof(struct auth_enrolled) <= CHANNEL_BODY_MAX, "an answer is one message");

/* All that is done later, once: a CA and a client's certificate, written, read and checked. */
static int warm_up(void)
{
	OWNED_PKEY *key = NULL, *theirs = NULL;
	OWNED_X509 *own = NULL, *x = NULL, *again = NULL;
	uint8_t point[CERTIFICATE_POINT_SIZE], der[CERTIFICATE_DER_MAX];
	struct certificate_request q = {.kind = CERTIFICATE_CA, .name = "none", .now_s = 1};
	struct certificate_issuer by = {0};
	struct certificate_facts facts;
	size_t len = 0;
	int r = certificate_key_make(&key);

	by.key = q.key = key;
	if (r == 0)
		r = certificate_issue(&by, &q, &own);
	if (r == 0)
		r = certificate_key_point(key, point);
	if (r == 0)
		r = certificate_key_of_point(point, &theirs);
	by.certificate = own;
	q = (struct certificate_request){.kind = CERTIFICATE_CLIENT,
					 .name = "none",
					 .initiator = "iqn.none",
					 .key = theirs,
					 .now_s = 1};
	if (r == 0)
		r = certificate_issue(&by, &q, &x);
	if (r == 0)
		r = certificate_write(x, der, &len);
	if (r == 0)
		r = certificate_read(der, len, &again);
	return r == 0 ? certificate_facts(again, &facts) : r;
}

static int key_warm_up(struct enrolment_locked *locked)
{
	OWNED_PKEY *key = NULL, *again = NULL;
	size_t len = 0;
	int r = certificate_key_make(&key);

	if (r == 0)
		r = certificate_key_write(key, locked->key, &len);
	if (r == 0)
		r = certificate_key_read(locked->key, len, &again);
	sodium_memzero(locked->key, sizeof locked->key);
	return r;
}

int enrolment_open(struct enrolment *e, struct enrolment_locked *locked)
{
	int r = warm_up();

	if (r == 0)
		r = key_warm_up(locked);
	if (r == 0)
		e->locked = locked;
	return r;
}

/* --- what the monitor sends ------------------------------------------------------------------ */

static int key_take(struct enrolment *e, const struct enrolment_source *s)
{
	uint8_t bytes[SEALED_BYTES_MAX + 1];
	OWNED_PKEY *key = NULL;
	struct sealed_file f;
	int r = sealed_read(s->key_fd, bytes, &f);

	if (r == 0)
		r = sealed_open(&f, CA_KEY_KIND, s->store_key, LOCKED(e)->key,
				sizeof LOCKED(e)->key);
	if (r == 0)
		r = certificate_key_read(LOCKED(e)->key, f.secret_len, &key);
	if (r == 0 && X509_check_private_key(e->ca, key) != 1)
		r = -EBADMSG;
	if (r == 0)
		e->key_len = f.secret_len;
	return r;
}

static int certificate_take(struct enrolment *e, int fd)
{
	OWNED_FREE char *bytes = NULL;
	BIO *bio = NULL;
	size_t len = 0;
	int r = fd_read_all(fd, PEM_MAX, &bytes, &len);

	if (r == 0 && (bio = BIO_new_mem_buf(bytes, (int)len)) == NULL)
		r = -ENOMEM;
	if (r == 0 && (e->ca = PEM_read_bio_X509(bio, NULL, NULL, NULL)) == NULL)
		r = -EBADMSG;
	BIO_free(bio);
	return r;
}

/* What does not open is left out: the others are as good as before. */
static void invitation_take(struct enrolment *e, const struct enrolment_source *s,
			    const struct sealed_file *f, bool used)
{
	struct known *k = &e->list[e->count];

	*k = (struct known){0};
	if (invitation_parse(f, &k->invitation) < 0)
		return;
	k->invitation.used = used;
	if (!used && k->invitation.until_s > s->now_s) {
		uint8_t *key = LOCKED(e)->proofs[e->open];

		if (e->open == INVITATIONS_OPEN_MAX ||
		    sealed_open(f, CA_INVITATION_KIND, s->store_key, key, INVITATION_KEY_SIZE) < 0)
			return;
		k->key = key;
		e->open++;
	}
	e->count++;
}

static int invitations_take(struct enrolment *e, const struct enrolment_source *s)
{
	OWNED_FREE char *bytes = NULL;
	size_t len = 0;
	int r = fd_read_all(s->invitations_fd, SOURCE_MAX, &bytes, &len);
	struct rd rd = rd_over(bytes, len);

	if (r == 0 && (e->list = calloc(ENROLMENT_KNOWN_MAX, sizeof *e->list)) == NULL)
		r = -ENOMEM;
	while (r == 0 && rd_left(&rd) > 0 && e->count < ENROLMENT_KNOWN_MAX) {
		const bool used = rd_be(&rd, 1) != 0;
		const size_t size = (size_t)rd_be(&rd, 4);
		const uint8_t *file = rd_bytes(&rd, size);
		struct sealed_file f;

		if (rd.failed)
			r = -EBADMSG;
		else if (sealed_parse(file, size, &f) == 0)
			invitation_take(e, s, &f, used);
	}
	return r;
}

int enrolment_take(struct enrolment *e, const struct enrolment_source *s, const struct why *why)
{
	int r;

	enrolment_close(e);
	r = certificate_take(e, s->certificate_fd);
	if (r == 0)
		r = key_take(e, s);
	if (r == 0)
		r = invitations_take(e, s);
	if (r == 0 && e->open > 0)
		return 0;
	enrolment_close(e);
	if (r == 0)
		return why_say(why, -ENOENT, "no invitation is open");
	return why_say(why, r, "the key of the CA (" CA_FOLDER "/" CA_KEY ") can't be opened: %s",
		       r == -EKEYREJECTED
			       ? "it was sealed under another key than the key file holds"
		       : r == -EBADMSG ? "it is damaged, or another CA's"
				       : strerror(-r));
}

void enrolment_message(struct enrolment *e, const int fds[4], uint8_t *key, int64_t now_s,
		       struct auth_ca_ready *ret_ready)
{
	const struct enrolment_source source = {fds[0], fds[2], fds[3], key, now_s};
	const struct why why = {ret_ready->why, sizeof ret_ready->why};
	int r;

	*ret_ready = (struct auth_ca_ready){0};
	if (!e->locked)
		r = why_say(&why, -ENOMEM, "no memory can be locked for the key of the CA");
	else if (store_key_read(fds[1], key) < 0)
		r = why_say(&why, -EIO, "the key file can't be read");
	else
		r = enrolment_take(e, &source, &why);
	sodium_memzero(key, STORE_KEY_SIZE);
	ret_ready->taken = r == 0;
	ret_ready->open = (uint32_t)e->open;
}

void enrolment_close(struct enrolment *e)
{
	struct enrolment_locked *locked = e->locked;

	if (locked)
		sodium_memzero(locked, sizeof *locked);
	X509_free(e->ca);
	free(e->list);
	*e = (struct enrolment){.locked = locked};
}

/* --- who asks -------------------------------------------------------------------------------- */

static struct known *known_find(const struct enrolment *e, const uint8_t *id)
{
	for (size_t k = 0; k < e->count; k++)
		if (sodium_memcmp(e->list[k].invitation.id, id, INVITATION_ID_SIZE) == 0)
			return &e->list[k];
	return NULL;
}

static enum auth_reason known_check(const struct known *k, const struct auth_enrol *said,
				    const struct enrol_request *q, int64_t now_s)
{
	struct enrol_proof by = {k->key, said->exporter};

	if (k->invitation.used || k->asked)
		return AUTH_JOIN_USED;
	if (!k->key || k->invitation.until_s <= now_s)
		return AUTH_JOIN_OVER;
	if (!enrol_request_proven(said->request, &by))
		return AUTH_JOIN_UNPROVEN;
	if (q->initiator[0] && strcmp(q->initiator, k->invitation.initiator) != 0)
		return AUTH_JOIN_OTHER_NAME;
	return AUTH_OK;
}

/* Its key lives as long as this takes. */
static int issue(struct enrolment *e, struct enrolling *who, int64_t now_s)
{
	OWNED_PKEY *own = NULL, *theirs = NULL;
	OWNED_X509 *x = NULL;
	struct certificate_issuer by = {.certificate = e->ca};
	struct certificate_request q = {.kind = CERTIFICATE_CLIENT,
					.name = who->initiator,
					.initiator = who->initiator,
					.now_s = now_s};
	struct certificate_facts facts;
	size_t len = 0;
	int r = certificate_key_of_point(who->request.point, &theirs);

	if (r == 0)
		r = certificate_key_read(LOCKED(e)->key, e->key_len, &own);
	by.key = own;
	q.key = theirs;
	if (r == 0)
		r = certificate_issue(&by, &q, &x);
	if (r == 0)
		r = certificate_facts(x, &facts);
	if (r == 0)
		r = certificate_write(x, who->ask.certificate, &len);
	if (r == 0)
		r = certificate_write(e->ca, who->ca, &who->ca_len);
	if (r < 0)
		return r;
	who->ask.len = (uint32_t)len;
	(void)string_copy(who->ask.serial, sizeof who->ask.serial, facts.serial);
	return 0;
}

enum auth_reason enrolment_ask(struct enrolment *e, const struct auth_enrol *said, int64_t now_s,
			       struct enrolling *ret)
{
	enum auth_reason reason;
	struct known *k;

	*ret = (struct enrolling){0};
	if (enrol_request_parse(said->request, &ret->request) < 0)
		return AUTH_BROKEN;
	if (!e->ca)
		return AUTH_JOIN_CLOSED;
	if ((k = known_find(e, ret->request.id)) == NULL)
		return AUTH_JOIN_UNKNOWN;
	memcpy(ret->ask.id, k->invitation.id, sizeof ret->ask.id);
	(void)string_copy(ret->ask.initiator, sizeof ret->ask.initiator, k->invitation.initiator);
	(void)string_copy(ret->initiator, sizeof ret->initiator, k->invitation.initiator);
	if ((reason = known_check(k, said, &ret->request, now_s)) != AUTH_OK)
		return reason;
	if (issue(e, ret, now_s) < 0)
		return AUTH_JOIN_FAILED;
	memcpy(ret->exporter, said->exporter, sizeof ret->exporter);
	memcpy(ret->proof, k->key, sizeof ret->proof);
	k->asked = ret->holds = true;
	return AUTH_OK;
}

void enrolment_drop(struct enrolment *e, const struct enrolling *who)
{
	struct known *k = who->holds ? known_find(e, who->request.id) : NULL;

	if (k)
		k->asked = false;
}

/* --- what he gets ---------------------------------------------------------------------------- */

static int secret_find(const struct store *store, const char *name, struct secret *ret)
{
	ssize_t at = name[0] ? store_list_find(&store->list, name) : -1;

	if (at < 0)
		return name[0] ? -ENOKEY : 0;
	*ret = store->secrets[at];
	return 0;
}

static int accounts_fill(struct enrol_accounts *a, const struct auth_enrol_go *go,
			 const struct store *store)
{
	int r = go->count <= ENROL_ACCOUNTS_MAX ? 0 : -EINVAL;

	for (; r == 0 && a->count < go->count; a->count++) {
		struct enrol_account *i = &a->list[a->count];

		(void)string_copy(i->user, sizeof i->user, go->accounts[a->count].user);
		(void)string_copy(i->mutual, sizeof i->mutual, go->accounts[a->count].mutual);
		r = secret_find(store, i->user, &i->secret);
		if (r == 0)
			r = secret_find(store, i->mutual, &i->mutual_secret);
	}
	return r;
}

int enrolment_answer(struct enrolment *e, const struct enrolling *who,
		     const struct auth_enrol_go *go, const struct store *store,
		     struct auth_enrolled *ret)
{
	struct enrol_accounts *accounts = &LOCKED(e)->accounts;
	const struct enrol_proof by = {who->proof, who->exporter};
	uint8_t sealed[ENROL_SEALED_MAX];
	struct enrol_answer a = {
		.certificate = {who->ask.certificate, who->ask.len},
		.ca = {who->ca, who->ca_len},
		.accounts = {.octets = sealed},
		.text = {(const uint8_t *)go->text, strnlen(go->text, sizeof go->text)},
	};
	ssize_t len = accounts_fill(accounts, go, store);
	struct known *k = known_find(e, who->request.id);

	if (k) /* the monitor tells so, too; until then nobody is to ask again */
		k->invitation.used = true;
	if (len == 0) {
		a.accounts.len =
			enrol_accounts_seal(accounts, who->request.box, LOCKED(e)->bytes, sealed);
		len = enrol_answer_write(&a, &by, ret->answer);
	}
	sodium_memzero(accounts, sizeof *accounts);
	if (len < 0)
		return (int)len;
	ret->len = (uint32_t)len;
	return 0;
}
