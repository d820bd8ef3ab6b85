/* Reading what `sallyport connect` shall do. Runs in the process that the operator
 * started, before anything is opened. Trusts nothing in the text: sizes are bounded, and
 * whatever is not known is a mistake with its line. */
#include "gateway/connect/config.h"

#include <ctype.h>
#include "gateway/base/bytes.h"
#include "policy/nearest.h"
#include "policy/yaml_tree.h"

/* --- words -------------------------------------------------------------------------------- */

/* Labels of letters, digits, '-' and '_', dots between; not all of digits and dots. */
static bool host_ok(const char *host)
{
	size_t label = 0;
	bool letters = false;

	for (const char *p = host; *p; p++) {
		if (*p == '.' ? label == 0 : !isalnum((unsigned char)*p) && *p != '-' && *p != '_')
			return false;
		if (*p == '-' && label == 0)
			return false;
		letters = letters || isalpha((unsigned char)*p);
		label = *p == '.' ? 0 : label + 1;
		if (label > 63)
			return false;
	}
	return letters;
}

bool connect_name_is_one(const char *text)
{
	struct ip ip;

	return ip_parse(text, &ip) == 0 || host_ok(text);
}

/* Without the brackets of an IPv6 address. */
static int host_take(const char *text, size_t len, char ret[CONNECT_HOST_SIZE])
{
	struct ip ip;
	bool brackets = len >= 2 && text[0] == '[' && text[len - 1] == ']';

	if (brackets) {
		text++;
		len -= 2;
	}
	if (len == 0 || len >= CONNECT_HOST_SIZE)
		return -EINVAL;
	memcpy(ret, text, len);
	ret[len] = '\0';
	if (ip_parse(ret, &ip) == 0)
		return (ip.version == 6) == brackets ? 0 : -EINVAL;
	return !brackets && host_ok(ret) ? 0 : -EINVAL;
}

int connect_gateway_parse(const char *text, struct connect_tunnel *ret, const char **ret_why)
{
	const char *colon = strrchr(text, ':');
	char host[CONNECT_HOST_SIZE];
	uint64_t port;

	*ret_why = "it takes HOST:PORT: gw.example.net:3261, 192.0.2.1:3261, [2001:db8::1]:3261";
	if (!colon || host_take(text, (size_t)(colon - text), host) < 0)
		return -EINVAL;
	if (number_parse(colon + 1, 1, UINT16_MAX, &port) < 0) {
		*ret_why = "its port is a number from 1 to 65535";
		return -EINVAL;
	}
	memcpy(ret->host, host, sizeof host);
	memcpy(ret->server_name, host, sizeof host);
	ret->server_name[strcspn(host, "%")] = '\0'; /* a scope is in no certificate */
	ret->port = (uint16_t)port;
	return 0;
}

int connect_listen_add(struct connect_tunnel *t, const char *text, const char **ret_why)
{
	struct endpoint e;

	if (endpoint_parse(text, &e) < 0 || e.port == 0) {
		*ret_why = "it takes an address of this machine and a port: 127.0.0.1:3260";
		return -EINVAL;
	}
	if (!ip_is_loopback(&e.ip) && !t->accept_risk) {
		*ret_why = "whoever reaches that address gets through this tunnel, with this "
			   "machine's certificate; only loopback addresses are taken without "
			   "accepting the risk";
		return -EPERM;
	}
	if (t->listen_count == CONNECT_LISTENS_MAX) {
		*ret_why = "a tunnel listens on 4 addresses at most";
		return -EINVAL;
	}
	t->listen[t->listen_count++] = e;
	return 0;
}

void connect_listen_default(struct connect_tunnel *t)
{
	static const struct endpoint both[] = {
		{.ip = {.version = 4, .bytes = {127, 0, 0, 1}}, .port = CONNECT_LISTEN_PORT},
		{.ip = {.version = 6, .bytes = {[15] = 1}}, .port = CONNECT_LISTEN_PORT},
	};

	if (t->listen_count > 0)
		return;
	memcpy(t->listen, both, sizeof both);
	t->listen_count = ARRAY_LEN(both);
	t->listen_default = true;
}

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, tolower((unsigned char)c)) : NULL;

	return at ? (int)(at - digits) : -1;
}

int connect_pin_parse(const char *text, uint8_t ret[CONNECT_PIN_SIZE])
{
	uint8_t pin[CONNECT_PIN_SIZE];

	if (strncasecmp(text, CONNECT_FINGERPRINT, strlen(CONNECT_FINGERPRINT)) != 0)
		return -EINVAL;
	text += strlen(CONNECT_FINGERPRINT);
	for (size_t k = 0; k < sizeof pin; k++) {
		int high = hex_digit(text[0]), low = high < 0 ? -1 : hex_digit(text[1]);

		if (low < 0)
			return -EINVAL;
		pin[k] = (uint8_t)(high << 4 | low);
		text += 2;
		if (*text == ':' && k + 1 < sizeof pin)
			text++;
	}
	if (*text)
		return -EINVAL;
	memcpy(ret, pin, sizeof pin);
	return 0;
}

/* --- the file ----------------------------------------------------------------------------- */

struct reading {
	struct diagnostics *d;
	struct connect_config *config;
	const char *file;
};

static const char *text_of(struct reading *r, const struct node *n)
{
	if (n->kind == NODE_TEXT && n->text[0])
		return n->text;
	diagnose_error(r->d, n->at, "%s takes a text, not %s", shown_text(n->key->text).text,
		       n->kind == NODE_TEXT ? "an empty one" : node_kind_name(n));
	return NULL;
}

static void take_gateway(struct reading *r, const struct node *n, struct connect_tunnel *t)
{
	const char *text = text_of(r, n), *why;

	if (text && connect_gateway_parse(text, t, &why) < 0)
		diagnose_error(r->d, n->at, "gateway: %s", why);
}

static void take_listen(struct reading *r, const struct node *n, struct connect_tunnel *t)
{
	const char *why;

	if (n->kind == NODE_TEXT && connect_listen_add(t, n->text, &why) < 0)
		diagnose_error(r->d, n->at, "listen: %s", why);
	if (n->kind == NODE_MAP || (n->kind == NODE_LIST && n->count == 0))
		diagnose_error(r->d, n->at, "listen takes addresses with ports");
	if (n->kind != NODE_LIST)
		return;
	for (const struct node *one = n->first; one; one = one->next) {
		int got = one->kind == NODE_TEXT ? connect_listen_add(t, one->text, &why) : 1;

		if (got > 0)
			diagnose_error(r->d, one->at, "listen: %s is no address with a port",
				       node_kind_name(one));
		if (got < 0)
			diagnose_error(r->d, one->at, "listen: %s", why);
		if (got == -EPERM)
			diagnose_hint(r->d, "accept_risk: true, in this tunnel, takes it");
	}
}

/* A path from where the file is. */
static void take_identity(struct reading *r, const struct node *n, struct connect_tunnel *t)
{
	const char *text = text_of(r, n), *slash = strrchr(r->file, '/');
	int folder = slash ? (int)(slash - r->file) : 0;
	int len;

	if (!text)
		return;
	len = text[0] == '/' ? snprintf(t->identity, sizeof t->identity, "%s", text)
			     : snprintf(t->identity, sizeof t->identity, "%.*s%s%s", folder,
					r->file, slash ? "/" : "", text);
	if (len < 0 || (size_t)len >= sizeof t->identity)
		diagnose_error(r->d, n->at, "identity: the path is longer than %zu octets",
			       sizeof t->identity - 1);
}

static void take_name(struct reading *r, const struct node *n, struct connect_tunnel *t)
{
	const char *text = text_of(r, n);

	if (!text)
		return;
	if (!connect_name_is_one(text) || !string_copy(t->server_name, sizeof t->server_name, text))
		diagnose_error(r->d, n->at, "name: it is neither a host's name nor an address");
}

static void take_server(struct reading *r, const struct node *n, struct connect_tunnel *t)
{
	const char *text = text_of(r, n);

	if (text && connect_pin_parse(text, t->pin) < 0) {
		diagnose_error(r->d, n->at, "server: it takes sha256: and 64 hex digits");
		diagnose_hint(r->d, "`sallyport connect --check` prints the certificate's");
	}
	t->pinned = true;
}

static void take_risk(struct reading *r, const struct node *n, struct connect_tunnel *t)
{
	const char *text = text_of(r, n);

	if (text && strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
		diagnose_error(r->d, n->at, "accept_risk: it is true or false");
	t->accept_risk = text && strcmp(text, "true") == 0;
}

/* In the order in which they are taken: what listen: may hold depends on the risk, name: comes
 * after the gateway that it differs from. */
static const struct key {
	const char *name;
	void (*take)(struct reading *r, const struct node *n, struct connect_tunnel *t);
} keys[] = {
	{"accept_risk", take_risk},  {"gateway", take_gateway}, {"listen", take_listen},
	{"identity", take_identity}, {"name", take_name},	{"server", take_server},
};

static void unknown_key(struct reading *r, const struct node *n, const char *where)
{
	struct nearest near = nearest_to(n->key->text);

	for (size_t k = 0; k < ARRAY_LEN(keys); k++)
		nearest_offer(&near, keys[k].name);
	diagnose_error(r->d, n->key->at, "unknown key \"%s\" in %s", shown_text(n->key->text).text,
		       where);
	if (nearest_found(&near))
		diagnose_hint(r->d, "did you mean \"%s\"?", nearest_found(&near));
	else
		diagnose_hint(r->d, "the keys of a tunnel: gateway, listen, identity, name, "
				    "server, accept_risk");
}

static bool key_known(const char *name)
{
	for (size_t k = 0; k < ARRAY_LEN(keys); k++)
		if (strcmp(keys[k].name, name) == 0)
			return true;
	return false;
}

static bool same_place(const struct connect_tunnel *a, const struct connect_tunnel *b)
{
	for (size_t i = 0; i < a->listen_count; i++)
		for (size_t k = 0; k < b->listen_count; k++)
			if (endpoint_compare(&a->listen[i], &b->listen[k]) == 0)
				return true;
	return false;
}

static void tunnel_read(struct reading *r, const struct node *n)
{
	struct connect_tunnel *t = &r->config->tunnels[r->config->count];
	struct node here = {.kind = NODE_TEXT, .text = (char[]){"."}, .at = n->at, .key = n->key};

	take_identity(r, &here, t);
	if (!string_copy(t->name, sizeof t->name, shown_text(n->key->text).text))
		diagnose_error(r->d, n->key->at, "a tunnel's name is longer than %d octets",
			       CONNECT_NAME_SIZE - 1);
	for (const struct node *one = n->first; n->kind == NODE_MAP && one; one = one->next)
		if (!key_known(one->key->text))
			unknown_key(r, one, "a tunnel");
	for (size_t k = 0; k < ARRAY_LEN(keys); k++) {
		const struct node *one = node_get(n, keys[k].name);

		if (one)
			keys[k].take(r, one, t);
	}
	if (!node_get(n, "gateway"))
		diagnose_error(r->d, node_place(n), "this tunnel has no gateway: HOST:PORT");
	connect_listen_default(t);
	for (size_t k = 0; k < r->config->count; k++)
		if (same_place(&r->config->tunnels[k], t))
			diagnose_error(r->d, node_place(n), "it listens where \"%s\" does",
				       r->config->tunnels[k].name);
	r->config->count++;
}

static void root_read(struct reading *r, const struct node *root)
{
	const struct node *version = node_get(root, "version"),
			  *tunnels = node_get(root, "tunnels");

	if (!version || version->kind != NODE_TEXT || strcmp(version->text, "1") != 0)
		diagnose_error(r->d, version ? version->at : (struct place){0},
			       "it begins with version: 1");
	for (const struct node *n = root->kind == NODE_MAP ? root->first : NULL; n; n = n->next)
		if (n != version && n != tunnels)
			unknown_key(r, n, "this file, which has version and tunnels");
	if (!tunnels || tunnels->kind != NODE_MAP || tunnels->count == 0) {
		diagnose_error(r->d, tunnels ? tunnels->at : (struct place){0},
			       "it has no tunnels: NAME: {gateway: HOST:PORT}");
		return;
	}
	for (const struct node *n = tunnels->first; n; n = n->next) {
		if (r->config->count == CONNECT_TUNNELS_MAX) {
			diagnose_error(r->d, node_place(n), "there are %d tunnels at most",
				       CONNECT_TUNNELS_MAX);
			return;
		}
		tunnel_read(r, n);
	}
}

int connect_config_parse(const char *file, const char *text, size_t len, FILE *messages,
			 struct connect_config *ret)
{
	OWNED_FREE struct connect_config *config = calloc(1, sizeof *config);
	struct reading r = {.config = config, .file = file};
	struct yaml_tree tree = {0};
	int result = config ? diagnostics_open(file, text, len, &r.d) : -ENOMEM;

	if (result == 0)
		result = yaml_tree_read(text, len, r.d, &tree);
	if (result == 0 && tree.root)
		root_read(&r, tree.root);
	if (result == 0 && (diagnostics_errors(r.d) > 0 || !tree.root))
		result = -EINVAL;
	if (result == 0)
		*ret = *config;
	if (r.d)
		diagnostics_print(r.d, messages, false);
	yaml_tree_free(&tree);
	diagnostics_free(r.d);
	return result;
}
