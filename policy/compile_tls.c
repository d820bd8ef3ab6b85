/* Portals with TLS: their certificates, read once and judged, and the pins of initiators. Runs in
 * the monitor and the command line, on a tree that the schema has checked. Private keys are not
 * read here but for `check`: whether a key fits its certificate, the authenticator says. */
#include "policy/compile.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include "gateway/base/clock.h"
#include "gateway/base/fd.h"
#include "gateway/base/when.h"

#define NS_PER_S UINT64_C(1000000000)
#define SOON_S	 (INT64_C(30) * 24 * 3600)

void policy_tls_free(struct policy_tls *tls)
{
	if (!tls)
		return;
	for (size_t k = 0; k < tls->crl_count; k++)
		free(tls->crls[k]);
	free(tls->crls);
	free(tls->certificate);
	free(tls->key);
	free(tls->client_ca);
	tls_part_free(&tls->chain);
	tls_part_free(&tls->authorities);
	tls_part_free(&tls->revocations);
	free(tls);
}

/* --- files -------------------------------------------------------------------------------- */

/* One file on its way into a portal. `at`: where the policy names it, or the portal. */
struct file {
	struct compiler *c;
	const struct node *at;
	const char *path, *name; /* name: as people know it */
	struct policy_tls *tls;	 /* the portal's */
	bool secret;		 /* nobody but its owner, and its group, may read it */
	char *bytes;
	size_t len;
};

static void file_free(struct file *f)
{
	if (f->bytes)
		explicit_bzero(f->bytes, f->len);
	free(f->bytes);
}

static struct place place_of(const struct file *f)
{
	return f->at->kind == NODE_TEXT ? f->at->at : node_place(f->at);
}

/* Once it was in force, it is not judged again. */
static bool is_judged(const struct file *f)
{
	return !f->c->options->in_force;
}

static void wrong_tell(struct compiler *c, struct policy_tls *tls, struct place at,
		       const char *text)
{
	if (!c->options->starts) {
		diagnose_error(c->d, at, "%s", text);
		return;
	}
	diagnose_warning(c->d, at, "%s: the portal stays closed", text);
	if (!tls->closed[0])
		(void)string_copy(tls->closed, sizeof tls->closed, text);
}

PRINTF_LIKE(3, 4)
static void file_tell(const struct file *f, const char *hint, const char *fmt, ...)
{
	char text[320], all[512];
	va_list args;

	if (!is_judged(f))
		return;
	va_start(args, fmt);
	(void)vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	(void)snprintf(all, sizeof all, "%s %s", shown_text(f->name).text, text);
	wrong_tell(f->c, f->tls, place_of(f), all);
	diagnose_hint(f->c->d, "%s", hint);
}

/* Whoever may write it decides who we are, or who comes in. */
static bool mode_judge(const struct file *f, const struct stat *st)
{
	const mode_t others = f->secret ? S_IRWXO : S_IWOTH;

	if (!S_ISREG(st->st_mode)) {
		file_tell(f, "name a file with certificates (PEM)", "is no file");
		return false;
	}
	if (!(st->st_mode & others))
		return true;
	if (f->secret && f->at->key && strcmp(f->at->key->text, "key") != 0)
		file_tell(f,
			  "name the key's own file: key: gw.key; or take the right away: chmod "
			  "600",
			  "has to hold the private key, too, and everybody on this machine may "
			  "read it");
	else if (f->secret)
		file_tell(f,
			  "take the right away: chmod 600; and if somebody may have read it, "
			  "make another key",
			  "is a private key that everybody on this machine may read");
	else
		file_tell(f, "take the right away: chmod 644",
			  "may be written by everybody on this machine");
	return false;
}

/* With -ENOENT nothing was told. */
static int file_open(const struct file *f)
{
	OWNED_FD fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0) {
		/* A key is for few: who may not read it, can't say whether it is right. */
		if (errno != ENOENT && !(f->secret && errno == EACCES))
			file_tell(f, "may this user read it?", "can't be read: %s",
				  strerror(errno));
		return errno == ENOENT ? -ENOENT : -EACCES;
	}
	if (!mode_judge(f, &st))
		return -EPERM;
	return fd_take(&fd);
}

static bool file_read(struct file *f)
{
	OWNED_FD fd = file_open(f);
	int r = fd < 0 ? fd : fd_read_all(fd, TLS_FILE_MAX, &f->bytes, &f->len);

	if (r == -ENOENT)
		file_tell(f, "is this the right path? Paths begin in the policy's folder",
			  "is not there");
	else if (fd >= 0 && r < 0)
		file_tell(f, "is it the right file?", "can't be read: %s", strerror(-r));
	return r == 0;
}

/* What its reading came to. */
static bool part_told(const struct file *f, int r, const struct tls_why *why)
{
	if (r == -ENOMEM)
		f->c->no_memory = true;
	else if (r < 0)
		file_tell(f, why->hint, "%s", why->text);
	return r == 0;
}

static void dates_judge(const struct file *f, const struct tls_part *p, const char *what)
{
	const int64_t now = clock_wall_s();
	char when[WHEN_TEXT];

	if (!is_judged(f) || p->ends_s == 0)
		return;
	(void)when_format((uint64_t)MAX(p->ends_s, 0) * NS_PER_S, true, when);
	if (p->begins_s > now)
		file_tell(f, "is the clock of this machine right?",
			  "is not valid yet: %s of \"%s\"", what, p->subject);
	else if (p->ends_s <= now)
		file_tell(f, "put a new one in its place, and reload",
			  "is over since %s: %s of \"%s\"", when, what, p->subject);
	else if (p->ends_s < now + SOON_S) {
		diagnose_warning(f->c->d, place_of(f), "%s ends in %jd days: %s of \"%s\"",
				 shown_text(f->name).text,
				 (intmax_t)((p->ends_s - now) / (24 * 3600)), what, p->subject);
		diagnose_hint(f->c->d, "put a new one in its place, and reload");
	}
}

/* --- what a portal has -------------------------------------------------------------------- */

/* A path of the policy; or NULL, and told. */
static char *path_compile(struct compiler *c, const struct node *n)
{
	char path[PATH_MAX];

	if (!n || n->bad || n->kind != NODE_TEXT)
		return NULL;
	if (path_absolute(c->folder, n->text, path) == 0)
		return compile_copy(c, path);
	diagnose_error(c->d, n->at, "\"%s\" is no path of a file", shown_text(n->text).text);
	diagnose_hint(c->d, "write it from the policy's folder on, or from /, without \"..\"");
	return NULL;
}

/* Of the gateway's own CA. */
static char *own_path(struct compiler *c, const char *name)
{
	char *path = NULL;

	if (asprintf(&path, "%s/" TLS_OWN_FOLDER "/%s", c->options->state, name) < 0) {
		c->no_memory = true;
		return NULL;
	}
	return path;
}

static bool own_missing_tell(const struct file *f, const struct node *portal, const char *path)
{
	struct compiler *c = f->c;
	char text[256];

	if (access(path, F_OK) == 0 || errno != ENOENT)
		return false;
	if (c->options->in_force)
		return true;
	(void)snprintf(text, sizeof text,
		       "the portal \"%s\" names no certificate%s, and the gateway has no CA of its "
		       "own",
		       shown_text(portal->key->text).text,
		       node_get(portal, "certificate") ? " of a client CA" : "");
	wrong_tell(c, f->tls, node_place(portal), text);
	diagnose_hint(c->d, "make one: sallyport ca init; or name %s",
		      node_get(portal, "certificate") ? "client_ca: clients.pem"
						      : "certificate: gw.pem");
	return true;
}

/* The file of one key of the portal, or the gateway's own; false: neither can be had. ret->tls is
 * there. */
static bool part_file(struct compiler *c, const struct node *portal, const char *key,
		      const char *own, struct file *ret)
{
	const struct node *n = node_get(portal, key);
	OWNED_FREE char *path = NULL;

	*ret = (struct file){
		.c = c, .at = n ? n : portal, .name = n ? n->text : own, .tls = ret->tls};
	if (n)
		path = path_compile(c, n);
	else if (c->options->state)
		path = own_path(c, own);
	if (!path || (!n && own_missing_tell(ret, portal, path)))
		return false;
	/* The state folder is the gateway's: who may not read it, can't say whether it is right. */
	if (!n && access(path, R_OK) < 0)
		return false;
	ret->path = path;
	return file_read(ret);
}

static void chain_compile(struct compiler *c, struct policy_tls *tls, const struct node *portal)
{
	OWNED_BY(file_free) struct file f = {.tls = tls};
	struct tls_why why;

	if (part_file(c, portal, "certificate", TLS_OWN_CERTIFICATE, &f) &&
	    part_told(&f, tls_chain_read(f.bytes, f.len, &tls->chain, &why), &why))
		dates_judge(&f, &tls->chain, "the certificate");
}

static void authorities_compile(struct compiler *c, struct policy_tls *tls,
				const struct node *portal)
{
	OWNED_BY(file_free) struct file f = {.tls = tls};
	struct tls_why why;

	if (part_file(c, portal, "client_ca", TLS_OWN_AUTHORITY, &f) &&
	    part_told(&f, tls_authorities_read(f.bytes, f.len, &tls->authorities, &why), &why))
		dates_judge(&f, &tls->authorities, "the CA");
}

static void crl_compile(struct compiler *c, struct policy_tls *tls, const struct node *at,
			const char *path)
{
	const char *name = at->kind == NODE_TEXT ? at->text : TLS_OWN_REVOKED;
	OWNED_BY(file_free)
	struct file f = {.c = c, .at = at, .path = path, .name = name, .tls = tls};
	struct tls_why why;

	if (file_read(&f) && part_told(&f,
				       tls_revocations_add(f.bytes, f.len, &tls->authorities,
							   &tls->revocations, &why),
				       &why))
		dates_judge(&f, &tls->revocations, "the CRL");
	else
		tls->unread = true;
}

/* Whom the gateway's own CA has taken back. A CA has a CRL from its first moment on. */
static void own_crl_compile(struct compiler *c, struct policy_tls *tls, const struct node *portal)
{
	OWNED_FREE char *own = own_path(c, TLS_OWN_REVOKED);

	if (own && tls->authorities.count > 0 && (access(own, R_OK) == 0 || errno == ENOENT))
		crl_compile(c, tls, portal, own);
}

static void crls_compile(struct compiler *c, struct policy_tls *tls, const struct node *portal)
{
	const struct node *list = node_list(portal, "crl");

	tls->crls = compile_alloc(c, node_count(list), sizeof *tls->crls);
	for (const struct node *n = node_first(list); n && tls->crls; n = n->next) {
		char *path = path_compile(c, n);

		if (!path)
			continue;
		tls->crls[tls->crl_count++] = path;
		if (!c->options->in_force || c->options->state)
			crl_compile(c, tls, n, path);
	}
	if (!tls->client_ca && c->options->state)
		own_crl_compile(c, tls, portal);
}

/* The key: that it is there, and nobody else's to read; for `check`, that it fits. */
static void key_compile(struct compiler *c, struct policy_tls *tls, const struct node *portal)
{
	const struct node *n = node_get(portal, "key");
	OWNED_BY(file_free)
	struct file f = {.c = c,
			 .at = n ? n : node_get(portal, "certificate"),
			 .path = tls->key,
			 .name = n ? n->text : node_text(portal, "certificate"),
			 .tls = tls,
			 .secret = true};
	OWNED_FD fd = -1;
	struct tls_why why;

	if (!f.at || !f.name || !tls->key || c->options->in_force)
		return;
	if (c->options->keys) {
		if (file_read(&f) && tls->chain.count > 0)
			(void)part_told(&f, tls_key_check(f.bytes, f.len, &tls->chain, &why), &why);
		return;
	}
	fd = file_open(&f);
	if (fd == -ENOENT)
		file_tell(&f, "is this the right path? Paths begin in the policy's folder",
			  "is not there");
}

static const char *const tls_keys[] = {"certificate", "key", "client_ca", "crl", "allow_tls12"};

static void others_tell(struct compiler *c, const struct policy_portal *p,
			const struct node *portal)
{
	const struct node *transport = node_get(portal, "transport");

	for (size_t k = 0; k < ARRAY_LEN(tls_keys); k++) {
		const struct node *n = node_get(portal, tls_keys[k]);

		if (!n || !transport || transport->bad)
			continue;
		diagnose_error(c->d, n->key->at, "\"%s\" is for portals with transport: tls",
			       tls_keys[k]);
		diagnose_hint(c->d, "write transport: tls, or take it out");
	}
	(void)p;
}

void compile_tls(struct compiler *c, struct policy_portal *p, const struct node *portal)
{
	const struct node *certificate = node_get(portal, "certificate");
	const struct node *key = node_get(portal, "key");
	struct policy_tls *tls;

	if (p->transport != PORTAL_TLS) {
		others_tell(c, p, portal);
		return;
	}
	p->tls = tls = compile_alloc(c, 1, sizeof *tls);
	if (!tls)
		return;
	tls->certificate = path_compile(c, certificate);
	tls->client_ca = path_compile(c, node_get(portal, "client_ca"));
	tls->key = key		      ? path_compile(c, key)
		   : tls->certificate ? compile_copy(c, tls->certificate)
				      : NULL;
	tls->allow_tls12 = schema_value(SECTION_PORTAL, portal, "allow_tls12");
	if (key && !certificate) {
		diagnose_error(c->d, key->key->at, "\"key\" without \"certificate\"");
		diagnose_hint(c->d, "add certificate: gw.pem");
	}
	if (!c->options->in_force || c->options->state) {
		chain_compile(c, tls, portal);
		authorities_compile(c, tls, portal);
	}
	crls_compile(c, tls, portal);
	key_compile(c, tls, portal);
}

/* --- pins --------------------------------------------------------------------------------- */

static bool has_tls(const struct compiler *c, const struct policy_target *t)
{
	for (size_t k = 0; k < t->portal_count; k++)
		if (c->policy->portals[t->portals[k]].transport == PORTAL_TLS)
			return true;
	return t->portal_count == 0; /* told already */
}

/* A portal of the target where nobody is asked for a certificate; NULL: there is none. */
static const char *portal_without_tls(const struct compiler *c, const struct policy_target *t)
{
	for (size_t k = 0; k < t->portal_count; k++)
		if (c->policy->portals[t->portals[k]].transport != PORTAL_TLS)
			return c->policy->portals[t->portals[k]].name;
	return NULL;
}

void compile_pin(struct compiler *c, const struct policy_target *t, struct policy_initiator *i,
		 const struct node *n)
{
	const struct node *pin = node_get(n, "certificate");

	if (!pin || pin->bad || pin->kind != NODE_TEXT)
		return;
	i->pin_line = node_place(pin).line;
	i->pinned = tls_fingerprint_parse(pin->text, i->pin);
	if (!i->pinned) {
		diagnose_error(c->d, pin->at, "\"%s\" is no fingerprint of a certificate",
			       shown_text(pin->text).text);
		diagnose_hint(c->d,
			      "write sha256: and 64 hexadecimal digits, as `openssl x509 -noout "
			      "-fingerprint -sha256 -in client.pem` says them");
	} else if (!has_tls(c, t)) {
		diagnose_warning(c->d, pin->key->at,
				 "no portal of this target has TLS: nobody asks for a certificate");
		diagnose_hint(c->d, "put the target on a portal with transport: tls, or take it "
				    "out");
	} else if (portal_without_tls(c, t)) {
		diagnose_warning(c->d, pin->key->at,
				 "the target is on the portal %s, too, where nobody is asked for a "
				 "certificate: there the secret alone is enough",
				 portal_without_tls(c, t));
		diagnose_hint(c->d, "leave the target on portals with transport: tls alone");
	}
}
