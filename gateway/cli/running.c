/* Policies as the command line meets them: read from a file, or asked of the running gateway. The
 * gateway's answer is believed: its socket is the state folder's. */
#include "gateway/cli/running.h"

#include <fcntl.h>
#include <sodium.h>
#include "auth/auth.h"
#include "gateway/cli/ask.h"

bool cli_secrets_find(const struct cli *cli, struct store_list *ret_list)
{
	OWNED_FD state = open(cli->state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char why[512];

	if (state < 0) {
		(void)string_copy(why, sizeof why, strerror(errno));
		if (errno ==
		    ENOENT) /* nothing was ever set up here: an example, another machine's */
			return false;
	} else if (store_list_load(state, ret_list, why, sizeof why) == 0) {
		return true;
	}
	fprintf(stderr, "%s: secrets are not looked up: %s\n", cli->state, why);
	return false;
}

int cli_policy_exit(int loaded)
{
	return loaded == 0 ? EXIT_DONE : loaded == -EINVAL ? EXIT_NO : EXIT_CANNOT;
}

int cli_policy_load(const struct cli *cli, const char *path, struct policy **ret_policy)
{
	struct policy_options how = {
		.messages = stderr, .colour = cli_colour(stderr), .state = cli->state};
	struct store_list secrets = {0};
	int r;

	if (cli_secrets_find(cli, &secrets)) {
		how.secret_known = store_list_knows;
		how.arg = &secrets;
	}
	r = policy_load(path, &how, ret_policy);
	store_list_free(&secrets);
	return cli_policy_exit(r);
}

/* --- the gateway -------------------------------------------------------------------------- */

static const char *text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

/* What its files held when it took them up: their hashes, as it tells them. */
static void hashes_read(const json_t *answer, struct policy *p)
{
	for (size_t k = 0; k < p->portal_count; k++) {
		const json_t *row =
			json_object_get(json_object_get(answer, "tls"), p->portals[k].name);
		struct policy_tls *tls = p->portals[k].tls;

		if (!row || !tls)
			continue;
		(void)tls_fingerprint_parse(text_of(row, "certificate"), tls->chain.hash);
		(void)tls_fingerprint_parse(text_of(row, "client_ca"), tls->authorities.hash);
		(void)tls_fingerprint_parse(text_of(row, "crl"), tls->revocations.hash);
	}
}

/* What it has in force, compiled again: valid once, and so it is now, unless it is another
 * version's. */
static int policy_read(const struct cli *cli, const json_t *answer, struct running *r)
{
	OWNED_FREE char *said = NULL;
	size_t said_len = 0;
	FILE *f = open_memstream(&said, &said_len);
	struct policy_options how = {.messages = f, .in_force = true};
	const char *text = text_of(answer, "text");
	int error;

	if (!f)
		return cli_cannot(cli, "no memory");
	error = policy_parse(text_of(answer, "policy"), text, strlen(text), &how, &r->policy);
	if (fclose(f) != 0)
		error = -ENOMEM;
	if (error < 0 && strcmp(r->version, SALLYPORT_VERSION) != 0)
		return cli_cannot(cli,
				  "the running gateway is sallyport %s, and this one (%s) can't "
				  "read its policy: restart the gateway",
				  r->version, SALLYPORT_VERSION);
	if (error < 0)
		return cli_cannot(cli, "the running gateway's policy can't be read: %s",
				  error == -EINVAL && said ? said : strerror(-error));
	hashes_read(answer, r->policy);
	return EXIT_DONE;
}

int running_ask(const struct cli *cli, struct running *ret_running)
{
	int error = 0, r = EXIT_DONE;
	json_t *answer = gateway_ask(cli->state, "policy", &error);

	if (!answer && (error == -ENOENT || error == -ECONNREFUSED))
		return EXIT_DONE;
	if (!answer)
		return cli_cannot(cli, "the gateway in %s can't be asked: %s", cli->state,
				  strerror(-error));
	(void)string_copy(ret_running->version, sizeof ret_running->version,
			  text_of(answer, "version"));
	if (json_object_get(answer, "error"))
		r = cli_cannot(cli, "the gateway says: %s", text_of(answer, "error"));
	else
		r = policy_read(cli, answer, ret_running);
	json_decref(answer);
	if (r != EXIT_DONE)
		return r;
	ret_running->sessions = gateway_ask(cli->state, "sessions", &error);
	if (!ret_running->sessions)
		return cli_cannot(cli, "the gateway in %s does not tell its sessions: %s",
				  cli->state, strerror(-error));
	return EXIT_DONE;
}

void running_free(struct running *r)
{
	policy_free(r->policy);
	json_decref(r->sessions);
	*r = (struct running){0};
}

static uint32_t algorithm_number(const char *name)
{
	for (enum chap_algorithm a = CHAP_MD5; a <= CHAP_SHA3_256; a++)
		if (strcmp(chap_algorithm_name(a), name) == 0)
			return a;
	return 0;
}

static void luns_read(const json_t *row, struct running_session *ret)
{
	const json_t *lun;
	size_t k;

	json_array_foreach(json_object_get(row, "luns"), k, lun)
	{
		if (ret->s.lun_count == ARRAY_LEN(ret->luns))
			break;
		ret->luns[ret->s.lun_count++] = (struct effect_lun){
			(uint16_t)json_integer_value(json_object_get(lun, "lun")),
			json_is_true(json_object_get(lun, "writable"))};
	}
	ret->s.luns = ret->luns;
}

/* All, or none. */
static void links_read(const json_t *tls, struct claim_certificate *ret)
{
	const json_t *links = json_object_get(tls, "rests_on"), *link;
	size_t k, len;

	json_array_foreach(links, k, link)
	{
		const char *text = json_string_value(link);

		if (k == TLS_LINKS || !text ||
		    sodium_hex2bin((uint8_t *)&ret->links[k], sizeof ret->links[k], text,
				   strlen(text), NULL, &len, NULL) != 0 ||
		    len != sizeof ret->links[k])
			return;
	}
	ret->link_count = json_array_size(links);
}

/* Of a session by TLS. */
static void certificate_read(const json_t *row, struct running_session *ret)
{
	const json_t *tls = json_object_get(row, "tls"), *name;
	size_t k;

	if (!tls_fingerprint_parse(text_of(tls, "certificate"), ret->certificate.fingerprint))
		return;
	if (strcmp(text_of(tls, "version"), "TLS 1.2") == 0)
		ret->certificate.version = 0x0303;
	json_array_foreach(json_object_get(tls, "names"), k, name)
	{
		const char *text = json_string_value(name);

		if (k < CLAIM_NAMES_MAX && text &&
		    string_copy(ret->certificate.names[k], ISCSI_NAME_SIZE, text))
			ret->certificate.name_count = k + 1;
	}
	links_read(tls, &ret->certificate);
	ret->s.certificate = &ret->certificate;
}

bool running_session_read(const json_t *row, struct running_session *ret)
{
	bool discovery = json_is_true(json_object_get(row, "discovery"));
	char interface[INTERFACE_NAME_SIZE];
	struct endpoint peer, proxy;

	if (strcmp(text_of(row, "state"), "granted") != 0)
		return false;
	*ret = (struct running_session){
		.s = {.portal = text_of(row, "portal"),
		      .user = text_of(row, "user"),
		      .algorithm = algorithm_number(text_of(row, "algorithm")),
		      .initiator = text_of(row, "initiator"),
		      .target = discovery ? NULL : text_of(row, "target")},
		.id = json_integer_value(json_object_get(row, "session")),
		.peer = text_of(row, "peer"),
	};
	if (endpoint_parse_on(ret->peer, &peer, interface) < 0)
		return false;
	ret->s.from = peer.ip;
	if (endpoint_parse_on(text_of(row, "proxy"), &proxy, interface) == 0)
		ret->s.proxy = proxy.ip;
	if (endpoint_parse_on(text_of(row, "local"), &ret->s.local, interface) < 0)
		ret->s.local = (struct endpoint){0};
	luns_read(row, ret);
	certificate_read(row, ret);
	return true;
}
