/* TLS portals in the monitor: certificates and keys on their way to who needs them. What a session
 * is given is in one sealed file for each portal, made once a policy; the key goes to the
 * authenticator alone. What a session says of a client's certificate is the session's word: it adds
 * to CHAP, and is taken once, before the names. */
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/stat.h>
#include "auth/auth.h"
#include "auth/identities.h"
#include "gateway/base/bytes.h"
#include "gateway/base/clock.h"
#include "gateway/base/fd.h"
#include "gateway/base/log.h"
#include "gateway/monitor/ca.h"
#include "gateway/monitor/reload.h"
#include "policy/iscsi_name.h"

/* --- what a portal has -------------------------------------------------------------------- */

static void portal_tls_close(struct portal_tls *p)
{
	fd_close(&p->key_fd);
	fd_close(&p->certificate_fd);
	fd_close(&p->material_fd);
}

void portals_tls_free(struct portals_tls *t)
{
	for (size_t k = 0; k < t->count; k++)
		portal_tls_close(&t->list[k]);
	free(t->list);
	*t = (struct portals_tls){0};
}

/* The gateway's own key is in the state folder; another one where the policy says. */
static int key_open_file(const struct monitor *m, const struct policy_tls *tls)
{
	const int flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	OWNED_FD fd =
		tls->key ? open(tls->key, flags)
			 : openat(m->state_fd, TLS_OWN_FOLDER "/" TLS_OWN_KEY, flags | O_NOFOLLOW);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	return st.st_mode & S_IRWXO ? -EPERM : fd_take(&fd);
}

static int material_make(const struct policy_tls *tls, struct portal_tls *p)
{
	const struct tls_part *const parts[] = {&tls->chain, &tls->authorities, &tls->revocations};
	crypto_hash_sha256_state state;
	OWNED_FREE uint8_t *bytes = NULL;
	size_t len = 0, at = 0;

	for (size_t k = 0; k < ARRAY_LEN(parts); k++)
		len += parts[k]->len;
	bytes = malloc(len + 1);
	if (bytes == NULL)
		return -ENOMEM;
	(void)crypto_hash_sha256_init(&state);
	for (size_t k = 0; k < ARRAY_LEN(parts); k++) {
		if (parts[k]->len > 0)
			memcpy(bytes + at, parts[k]->der, parts[k]->len);
		at += parts[k]->len;
		(void)crypto_hash_sha256_update(&state, parts[k]->hash, sizeof parts[k]->hash);
	}
	(void)crypto_hash_sha256_update(&state, (const uint8_t *)&p->flags, sizeof p->flags);
	(void)crypto_hash_sha256_final(&state, p->hash);
	p->chain_len = (uint32_t)tls->chain.len;
	p->ca_len = (uint32_t)tls->authorities.len;
	p->crl_len = (uint32_t)tls->revocations.len;
	p->material_fd = memfd_sealed("tls", bytes, len);
	return p->material_fd < 0 ? p->material_fd : 0;
}

/* The first of the chain, alone. */
static int certificate_make(const struct policy_tls *tls, struct portal_tls *p)
{
	struct rd r = rd_over(tls->chain.der, tls->chain.len);
	size_t len = (size_t)rd_be(&r, 4);
	const uint8_t *der = rd_bytes(&r, len);

	assert(!r.failed);
	p->certificate_fd = memfd_sealed("certificate", der, len);
	return p->certificate_fd < 0 ? p->certificate_fd : 0;
}

static int portal_prepare(struct monitor *m, const struct policy_tls *tls, struct portal_tls *p)
{
	int r;

	p->kind = tls->certificate ? AUTH_IDENTITY_PEM : AUTH_IDENTITY_SEALED;
	p->flags = tls->allow_tls12 ? SESSION_TLS_ALLOW_12 : 0;
	p->ends_s = tls->chain.ends_s;
	memcpy(p->fingerprint, tls->chain.fingerprint, sizeof p->fingerprint);
	(void)string_copy(p->subject, sizeof p->subject, tls->chain.subject);
	p->key_fd = key_open_file(m, tls);
	if (p->key_fd < 0)
		return p->key_fd;
	if ((r = material_make(tls, p)) < 0 || (r = certificate_make(tls, p)) < 0)
		return r;
	p->identity = ++m->next_identity;
	return 0;
}

/* A policy that comes back, and its files are not there any more: with what it had, or what the
 * portal of its name has now. */
static int portal_keep(const struct monitor *m, struct portal_tls *p)
{
	for (size_t k = 0; k < m->tls.count; k++) {
		const struct portal_tls *had = &m->tls.list[k];
		char name[POLICY_NAME_SIZE];

		if (had->identity == 0 || strcmp(had->portal, p->portal) != 0)
			continue;
		(void)string_copy(name, sizeof name, p->portal);
		*p = *had;
		p->key_fd = fcntl(had->key_fd, F_DUPFD_CLOEXEC, 3);
		p->certificate_fd = fcntl(had->certificate_fd, F_DUPFD_CLOEXEC, 3);
		p->material_fd = fcntl(had->material_fd, F_DUPFD_CLOEXEC, 3);
		return p->key_fd < 0 || p->certificate_fd < 0 || p->material_fd < 0 ? -EMFILE : 0;
	}
	log_error("the portal %s has no certificate: nobody comes in there", p->portal);
	return 0;
}

/* At the start: nothing can stay as it was, and the other portals are no worse for it. */
static void portal_shut(struct portal_tls *p, const char *why)
{
	portal_tls_close(p);
	p->identity = 0;
	(void)string_copy(p->closed, sizeof p->closed, why);
	log_error("THE PORTAL %s STAYS CLOSED: %s; mend it, and reload", p->portal, why);
}

void portals_tls_begin(struct monitor *m)
{
	for (size_t k = 0; k < m->tls.count; k++) {
		if (m->tls.list[k].closed[0] != '\0')
			trail_say(m, EVENT_POLICY, "portal-closed", "portal %s: %s",
				  m->tls.list[k].portal, m->tls.list[k].closed);
	}
}

/* Without a CRL that it names, one who was taken back would come in again. */
static bool is_whole(const struct policy_tls *tls)
{
	return tls->chain.count > 0 && tls->authorities.count > 0 && !tls->unread;
}

static int portal_take(struct monitor *m, struct setup *s, const struct policy_tls *tls,
		       struct portal_tls *p)
{
	const bool starts = m->policy == NULL;
	char why[256];
	int r;

	if (tls->closed[0] != '\0') {
		portal_shut(p, tls->closed);
		return 0;
	}
	r = is_whole(tls) ? portal_prepare(m, tls, p) : portal_keep(m, p);
	if (r == 0)
		return 0;
	(void)snprintf(why, sizeof why, "it can't have its private key: %s",
		       r == -EPERM ? "everybody on this machine may read it (chmod 600)"
				   : strerror(-r));
	if (!starts || r == -ENOMEM) {
		setup_say(s, "the portal %s: %s", p->portal, why);
		return r;
	}
	portal_shut(p, why);
	return 0;
}

int portals_tls_prepare(struct monitor *m, struct setup *s)
{
	const struct policy *policy = s->policy;
	size_t wanted = 0;
	int r = 0;

	s->tls.list = calloc(policy->portal_count + 1, sizeof *s->tls.list);
	if (s->tls.list == NULL)
		return -ENOMEM;
	s->tls.count = policy->portal_count;
	for (size_t k = 0; k < s->tls.count; k++)
		s->tls.list[k].key_fd = s->tls.list[k].certificate_fd = s->tls.list[k].material_fd =
			-1;
	for (size_t k = 0; k < s->tls.count && r == 0; k++) {
		const struct policy_tls *tls = policy->portals[k].tls;

		if (tls == NULL)
			continue;
		(void)string_copy(s->tls.list[k].portal, sizeof s->tls.list[k].portal,
				  policy->portals[k].name);
		if (++wanted > IDENTITIES_MAX) {
			setup_say(s, "more than %d portals have TLS", IDENTITIES_MAX);
			return -ENOSPC;
		}
		r = portal_take(m, s, tls, &s->tls.list[k]);
	}
	return r;
}

static const struct portal_tls *portal_of_name(const struct portals_tls *t, const char *name)
{
	for (size_t k = 0; k < t->count; k++)
		if (strcmp(t->list[k].portal, name) == 0)
			return &t->list[k];
	return NULL;
}

/* The policy's hash says nothing of files that it names. */
static void change_record(struct monitor *m, const struct portal_tls *is)
{
	const struct portal_tls *was = portal_of_name(&m->tls, is->portal);
	char print[TLS_FINGERPRINT_TEXT];

	if (is->identity == 0 ||
	    (was != NULL && memcmp(was->hash, is->hash, sizeof was->hash) == 0))
		return;
	trail_say(m, EVENT_POLICY, "certificates",
		  "portal %s: certificate %s of %s, %u octets of CAs "
		  "and %u of CRLs",
		  is->portal, tls_fingerprint_text(is->fingerprint, print), is->subject, is->ca_len,
		  is->crl_len);
}

void portals_tls_commit(struct monitor *m, struct setup *s)
{
	for (size_t k = 0; m->serving && k < s->tls.count; k++)
		change_record(m, &s->tls.list[k]);
	portals_tls_free(&m->tls);
	m->tls = s->tls;
	s->tls = (struct portals_tls){0};
}

/* --- to the authenticator ----------------------------------------------------------------- */

static int identity_send(struct helper *h, const struct portal_tls *p, char *ret_why, size_t size)
{
	const struct auth_identity body = {
		.identity = p->identity,
		.kind = p->kind,
		.flags = p->flags & SESSION_TLS_ALLOW_12 ? AUTH_IDENTITY_TLS12 : 0,
	};
	OWNED_FD opens = p->kind == AUTH_IDENTITY_SEALED
				 ? key_get(h->m, ret_why, size)
				 : fcntl(p->certificate_fd, F_DUPFD_CLOEXEC, 3);
	const int fds[] = {p->key_fd, p->certificate_fd, opens};

	if (opens < 0)
		return -EIO;
	return helper_sent(h, channel_send(&h->channel, AUTH_IDENTITY, &body, sizeof body, fds,
					   ARRAY_LEN(fds)));
}

int portals_tls_send(struct helper *h, const struct portals_tls *t, char *ret_why, size_t size)
{
	struct auth_identities all = {0};
	int r = 0;

	ret_why[0] = '\0';
	for (size_t k = 0; k < t->count && r == 0; k++) {
		if (t->list[k].identity == 0)
			continue;
		r = identity_send(h, &t->list[k], ret_why, size);
		all.count++;
	}
	if (r == 0)
		r = helper_send(h, AUTH_IDENTITIES, &all, sizeof all, -1);
	if (r < 0 && ret_why[0] == '\0')
		(void)snprintf(ret_why, size,
			       "the authenticator does not take the portals' keys: %s",
			       strerror(-r));
	return r;
}

/* --- a connection ------------------------------------------------------------------------- */

static const struct portal_tls *tls_of(const struct connection *c)
{
	return c->portal < c->m->tls.count && c->m->policy->portals[c->portal].tls != NULL
		       ? &c->m->tls.list[c->portal]
		       : NULL;
}

int connection_tls_make(struct connection *c)
{
	const struct portal_tls *p = tls_of(c);

	if (p == NULL)
		return 0;
	if (p->identity == 0)
		return -ENOKEY;
	c->tls = calloc(1, sizeof *c->tls);
	return c->tls == NULL ? -ENOMEM : 0;
}

uint32_t connection_tls_identity(const struct connection *c)
{
	const struct portal_tls *p = c->tls != NULL ? tls_of(c) : NULL;

	return p != NULL ? p->identity : 0;
}

void connection_tls_tell(struct connection *c)
{
	const struct portal_tls *p = c->tls != NULL ? tls_of(c) : NULL;
	struct session_tls body;

	if (p == NULL || p->identity == 0 ||
	    memcmp(c->tls->told, p->hash, sizeof c->tls->told) == 0)
		return;
	body = (struct session_tls){.flags = p->flags | (ca_joins() ? SESSION_TLS_JOINS : 0),
				    .identity = p->identity,
				    .chain_len = p->chain_len,
				    .ca_len = p->ca_len,
				    .crl_len = p->crl_len};
	memcpy(c->tls->told, p->hash, sizeof c->tls->told);
	connection_send(c, SESSION_TLS, &body, sizeof body, p->material_fd);
}

void connection_tls_said(struct connection *c, const struct message *msg)
{
	struct connection_tls *t = c->tls;
	const char *why;

	if (t == NULL || t->shown || c->state != CONN_LOGIN || c->claimed || c->judged)
		return connection_kill(c, "certificate-out-of-turn");
	t->shown = true;
	memcpy(&t->said, msg->body, sizeof t->said);
	t->said.cipher[sizeof t->said.cipher - 1] = '\0';
	t->said.group[sizeof t->said.group - 1] = '\0';
	memcpy(t->claim.fingerprint, t->said.fingerprint, sizeof t->claim.fingerprint);
	t->claim.version = t->said.version;
	for (size_t k = 0; k < t->said.name_count && k < SESSION_CERTIFICATE_NAMES; k++) {
		char *name = t->said.names[k];

		name[sizeof t->said.names[k] - 1] = '\0';
		if (iscsi_name_normalise(name, t->claim.names[t->claim.name_count], &why) == 0)
			t->claim.name_count++;
	}
	_Static_assert(sizeof t->claim.links == sizeof t->said.links, "all of them");
	t->claim.link_count = MIN(t->said.link_count, (uint32_t)TLS_LINKS);
	memcpy(t->claim.links, t->said.links, sizeof t->claim.links);
}

const struct claim_certificate *connection_tls_claim(const struct connection *c)
{
	_Static_assert(CLAIM_NAMES_MAX == SESSION_CERTIFICATE_NAMES, "all of them");
	return c->tls != NULL && c->tls->shown ? &c->tls->claim : NULL;
}

/* --- for people --------------------------------------------------------------------------- */

static const char *version_text(uint32_t version)
{
	return version == 0x0304 ? "TLS 1.3" : version == 0x0303 ? "TLS 1.2" : "TLS";
}

/* As a session says them: printable, whatever they are. */
static const char *word_text(const char *word, char ret[64])
{
	return text_escape(word, strlen(word), ret, 64);
}

const char *connection_tls_text(const struct connection *c, char ret[CONNECTION_TLS_TEXT])
{
	char print[TLS_FINGERPRINT_TEXT], cipher[64], group[64];

	ret[0] = '\0';
	if (c->tls == NULL || !c->tls->shown)
		return ret;
	(void)snprintf(ret, CONNECTION_TLS_TEXT, "; %s, %.48s, %.24s, certificate %.23s",
		       version_text(c->tls->said.version), word_text(c->tls->said.cipher, cipher),
		       word_text(c->tls->said.group, group),
		       tls_fingerprint_text(c->tls->claim.fingerprint, print));
	return ret;
}

static json_t *names_json(const struct claim_certificate *claim)
{
	json_t *list = json_array();

	for (size_t k = 0; k < claim->name_count; k++)
		json_array_append_new(list, json_string(claim->names[k]));
	return list;
}

/* Hexadecimal: for `plan`, which asks them about other CAs and CRLs. */
static json_t *links_json(const struct claim_certificate *claim)
{
	char text[2 * sizeof claim->links[0] + 1];
	json_t *list = json_array();

	for (size_t k = 0; k < claim->link_count; k++)
		json_array_append_new(list,
				      json_string(sodium_bin2hex(text, sizeof text,
								 (const uint8_t *)&claim->links[k],
								 sizeof claim->links[k])));
	return list;
}

json_t *connection_tls_json(const struct connection *c)
{
	char print[TLS_FINGERPRINT_TEXT], cipher[64], group[64];
	const struct session_certificate *said;

	if (c->tls == NULL || !c->tls->shown)
		return json_null();
	said = &c->tls->said;
	return json_pack("{s:s,s:s,s:s,s:b,s:b,s:s,s:o,s:o,s:I}", "version",
			 version_text(said->version), "cipher", word_text(said->cipher, cipher),
			 "group", word_text(said->group, group), "kernel_sends",
			 (int)!!(said->ktls & SESSION_CERTIFICATE_SENDS), "kernel_receives",
			 (int)!!(said->ktls & SESSION_CERTIFICATE_RECEIVES), "certificate",
			 tls_fingerprint_text(c->tls->claim.fingerprint, print), "names",
			 names_json(&c->tls->claim), "rests_on", links_json(&c->tls->claim),
			 "until_s", (json_int_t)said->not_after_s);
}

#define DAY_S	  (24 * 3600)
#define SOON_DAYS 30
#define CRL_DAYS  2 /* they are renewed by the week, or by the day */

static int64_t days_left(int64_t ends_s)
{
	return (ends_s - clock_wall_s()) / DAY_S;
}

/* What clients are measured by: with one of these over, nobody comes in, and nobody stays. */
static const struct measure {
	const char *what;
	size_t part; /* in struct policy_tls */
	int64_t soon_days;
} measures[] = {
	{"CA for clients", offsetof(struct policy_tls, authorities), SOON_DAYS},
	{"CRL", offsetof(struct policy_tls, revocations), CRL_DAYS},
};

static const struct tls_part *measured(const struct monitor *m, size_t portal,
				       const struct measure *by)
{
	return (const struct tls_part *)((const char *)m->policy->portals[portal].tls + by->part);
}

static void problems_add(const struct monitor *m, size_t portal, json_t *problems)
{
	const struct portal_tls *p = &m->tls.list[portal];
	char text[400];

	if (p->closed[0] != '\0')
		(void)snprintf(text, sizeof text,
			       "portal %s: it stays closed: %s; mend it, and reload", p->portal,
			       p->closed);
	else if (p->identity == 0 || p->ends_s <= clock_wall_s())
		(void)snprintf(text, sizeof text, "portal %s: its certificate %s: nobody comes in",
			       p->portal, p->identity == 0 ? "is missing" : "is over");
	else
		text[0] = '\0';
	if (text[0] != '\0')
		json_array_append_new(problems, json_string(text));
	for (size_t k = 0; k < ARRAY_LEN(measures); k++) {
		const struct tls_part *part = measured(m, portal, &measures[k]);

		if (part->ends_s == 0 || part->ends_s > clock_wall_s())
			continue;
		(void)snprintf(text, sizeof text,
			       "portal %s: its %s (%s) is out of date: who needs it neither comes "
			       "in nor stays; put a new one in its place, and reload",
			       p->portal, measures[k].what, part->subject);
		json_array_append_new(problems, json_string(text));
	}
}

/* Of how many sessions the kernel does it, each way. */
static json_t *kernel_json(const struct monitor *m, size_t portal)
{
	json_int_t sends = 0, receives = 0;

	for (uint32_t k = 0; k < m->connection_max; k++) {
		const struct connection *c = &m->connections[k];

		if (c->state != CONN_GRANTED || c->portal != portal || c->tls == NULL)
			continue;
		sends += !!(c->tls->said.ktls & SESSION_CERTIFICATE_SENDS);
		receives += !!(c->tls->said.ktls & SESSION_CERTIFICATE_RECEIVES);
	}
	return json_pack("{s:I,s:I}", "sends", sends, "receives", receives);
}

json_t *portal_tls_json(const struct monitor *m, size_t portal, json_t *problems)
{
	const struct portal_tls *p = portal < m->tls.count ? &m->tls.list[portal] : NULL;
	char print[TLS_FINGERPRINT_TEXT];

	if (p == NULL || m->policy->portals[portal].tls == NULL)
		return json_null();
	problems_add(m, portal, problems);
	return json_pack("{s:s,s:s,s:I,s:I,s:b,s:o}", "certificate",
			 tls_fingerprint_text(p->fingerprint, print), "name", p->subject, "until_s",
			 (json_int_t)p->ends_s, "days_left", (json_int_t)days_left(p->ends_s),
			 "tls12", (int)!!(p->flags & SESSION_TLS_ALLOW_12), "kernel",
			 kernel_json(m, portal));
}

static void warning_add(json_t *list, const char *what, const char *portal,
			const struct tls_part *part)
{
	char text[400];

	(void)snprintf(text, sizeof text,
		       "the %s of the portal %s (%s) ends in %jd days: put a new one in its place, "
		       "and reload",
		       what, portal, part->subject, (intmax_t)days_left(part->ends_s));
	json_array_append_new(list, json_string(text));
}

static bool ends_soon(int64_t ends_s, int64_t soon_days)
{
	return ends_s > clock_wall_s() && days_left(ends_s) < soon_days;
}

void portals_tls_warnings(const struct monitor *m, json_t *list)
{
	for (size_t k = 0; k < m->tls.count; k++) {
		const struct portal_tls *p = &m->tls.list[k];

		if (p->identity == 0 || m->policy->portals[k].tls == NULL)
			continue;
		if (ends_soon(p->ends_s, SOON_DAYS)) {
			struct tls_part own = {.ends_s = p->ends_s};

			(void)string_copy(own.subject, sizeof own.subject, p->subject);
			warning_add(list, "certificate", p->portal, &own);
		}
		for (size_t n = 0; n < ARRAY_LEN(measures); n++) {
			const struct tls_part *part = measured(m, k, &measures[n]);

			if (ends_soon(part->ends_s, measures[n].soon_days))
				warning_add(list, measures[n].what, p->portal, part);
		}
	}
}

static json_t *hash_json(const struct tls_part *part)
{
	char text[TLS_FINGERPRINT_TEXT];

	return json_string(tls_fingerprint_text(part->hash, text));
}

json_t *portals_tls_hashes(const struct monitor *m)
{
	json_t *all = json_object();

	for (size_t k = 0; k < m->policy->portal_count; k++) {
		const struct policy_tls *tls = m->policy->portals[k].tls;

		if (tls != NULL)
			json_object_set_new(all, m->policy->portals[k].name,
					    json_pack("{s:o,s:o,s:o}", "certificate",
						      hash_json(&tls->chain), "client_ca",
						      hash_json(&tls->authorities), "crl",
						      hash_json(&tls->revocations)));
	}
	return all;
}
