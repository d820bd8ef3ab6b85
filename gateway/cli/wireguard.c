/* `sallyport wireguard POLICY`: WireGuard's configuration for both ends of every tunnel that the
 * policy's portals with an interface need. Reads the policy, and trusts nothing in it; keys are
 * made once and kept in the secret store. */
#include "gateway/cli/running.h"
#include "gateway/cli/tunnel_out.h"
#include "policy/types.h"

#define PORT	      51820
#define ENDPOINT_SIZE 280

static const struct cli_option options[] = {
	{"--dir", "DIR", "write files there, with their keys, instead of to stdout"},
	{"--endpoint", "HOST:PORT", "where initiators reach the gateway (port 51820)"},
	{"--with-secrets", NULL, "print the keys, too"},
	{"--passphrase-fd", "N", "where the passphrase of the secrets' key is read"},
	{NULL, NULL, NULL},
};

static void write_end(FILE *f, const struct tunnel_out *o, const struct tunnel_peer *peer)
{
	wireguard_write(f, o->tunnels, peer, o->choice);
}

static int keys_make(struct tunnel_out *o)
{
	const struct tunnels *t = o->tunnels;
	const char *interface = t->like->through;
	char name[STORE_NAME_SIZE + 256];
	int r = tunnel_keys_open(o, t->count + 1);

	(void)snprintf(name, sizeof name, "wireguard.%s", interface);
	if (r == 0)
		r = tunnel_key_ensure(o, name, true);
	for (size_t i = 0; r == 0 && i < t->count; i++) {
		(void)snprintf(name, sizeof name, "wireguard.%s.%s", interface, t->peers[i].user);
		r = tunnel_key_ensure(o, name, true);
	}
	return r ? r : tunnel_keys_close(o);
}

/* Packets of an address go to one peer: two of them would take them from each other. */
static int overlap_tell(const struct tunnel_out *o)
{
	const struct tunnel_peer *other = NULL, *one = tunnels_overlap(o->tunnels, &other);

	if (!one)
		return 0;
	fprintf(stderr,
		"%s: %s (line %u) and %s (line %u) share addresses; in WireGuard each address is "
		"one "
		"peer's: give each its own in `from`\n",
		o->cli->arguments[0], one->initiator, one->line, other->initiator, other->line);
	return EXIT_NO;
}

static int run_interface(struct tunnel_out *o, const struct policy *p,
			 const struct policy_portal *portal)
{
	OWNED_BY(tunnels_free) struct tunnels t = {0};
	char file[INTERFACE_NAME_SIZE + sizeof ".conf"];
	int r;

	/* The gateway's key of wg0.alice would be alice's of wg0. */
	if (strchr(portal->through, '.'))
		return cli_cannot(o->cli,
				  "%s: the names of its keys could be those of another "
				  "interface's: give the tunnel a name without a dot",
				  portal->through);
	if (tunnels_find(p, portal, &t) < 0)
		return cli_cannot(o->cli, "no memory for the tunnels");
	(void)snprintf(file, sizeof file, "%s.conf", portal->through);
	o->file = file;
	o->tunnels = &t;
	r = overlap_tell(o);
	if (r == 0)
		r = keys_make(o);
	if (r == 0)
		r = tunnel_out_run(o);
	tunnel_out_close(o);
	o->bench = (struct bench){0};
	return r;
}

static bool is_first(const struct policy *p, size_t portal)
{
	for (size_t i = 0; i < portal; i++)
		if (strcmp(p->portals[i].through, p->portals[portal].through) == 0)
			return false;
	return p->portals[portal].through[0] != '\0';
}

/* Each interface has a port of its own. */
static int run_all(struct tunnel_out *o, const struct policy *p,
		   const struct wireguard_choice *first)
{
	struct wireguard_choice choice = *first;
	char endpoint[ENDPOINT_SIZE + 8];
	unsigned count = 0;
	int r = 0;

	o->choice = &choice;
	for (size_t i = 0; r == 0 && i < p->portal_count; i++) {
		if (!is_first(p, i))
			continue;
		choice.port = (uint16_t)(first->port + count++);
		(void)snprintf(endpoint, sizeof endpoint, "%s:%u",
			       first->endpoint ? first->endpoint : "", choice.port);
		choice.endpoint = first->endpoint ? endpoint : NULL;
		r = run_interface(o, p, &p->portals[i]);
	}
	o->choice = NULL;
	if (count > 0)
		return r;
	fprintf(stderr, "%s: no portal has transport: {interface: NAME}\n", o->cli->arguments[0]);
	return EXIT_NO;
}

/* "HOST", "HOST:PORT", "[V6]:PORT" or "V6" to the host as WireGuard takes it, and the port. */
static bool endpoint_read(const char *text, char ret_host[ENDPOINT_SIZE], uint16_t *ret_port)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:-[]";
	const char *colon = strrchr(text, ':');
	uint64_t port = PORT;
	struct ip ip;

	if (!text[0] || strlen(text) > ENDPOINT_SIZE - 3 || text[strspn(text, letters)])
		return false;
	if (ip_parse(text, &ip) == 0 && ip.version == 6)
		return snprintf(ret_host, ENDPOINT_SIZE, "[%s]", text) > 0;
	if (colon && colon[1] != '\0' && !strchr(colon, ']')) {
		if (whole_number_parse(colon + 1, &port) < 0 || port < 1 || port > 65535)
			return false;
		*ret_port = (uint16_t)port;
		return colon != text &&
		       snprintf(ret_host, ENDPOINT_SIZE, "%.*s", (int)(colon - text), text) > 0;
	}
	return !strchr(text, ':') && string_copy(ret_host, ENDPOINT_SIZE, text);
}

static int run_wireguard(const struct cli *cli)
{
	const char *endpoint = cli_option(cli, "--endpoint");
	struct wireguard_choice choice = {.port = PORT};
	struct tunnel_out o = {
		.cli = cli,
		.folder = cli_option(cli, "--dir"),
		.secrets = cli_option(cli, "--with-secrets") || cli_option(cli, "--dir"),
		.write = write_end,
	};
	char host[ENDPOINT_SIZE];
	struct policy *p = NULL;
	int r;

	if (endpoint && !endpoint_read(endpoint, host, &choice.port))
		return cli_usage(cli, "--endpoint takes HOST:PORT");
	choice.endpoint = endpoint ? host : NULL;
	r = cli_policy_load(cli, cli->arguments[0], &p);
	if (r == EXIT_DONE)
		r = run_all(&o, p, &choice);
	policy_free(p);
	if (r == EXIT_DONE && !endpoint)
		fprintf(stderr, "Where initiators reach the gateway is left open: say --endpoint "
				"HOST:PORT, or write it into their files.\n");
	return r;
}

const struct subcommand cli_wireguard = {
	.name = "wireguard",
	.arguments = "POLICY",
	.least = 1,
	.most = 1,
	.summary = "WireGuard's configuration for both ends",
	.examples = "  sallyport wireguard --endpoint gw.example.net:51820 --dir tunnels "
		    "policy.yaml\n"
		    "  sallyport wireguard --endpoint 198.51.100.1 policy.yaml\n",
	.text = "\n"
		"For portals with transport: {interface: wg0}, and the initiators that may use "
		"them;\n"
		"each has the addresses of its `from` in the tunnel, and no others. Private keys "
		"are\n"
		"made once and kept in the secret store, as wireguard.INTERFACE and\n"
		"wireguard.INTERFACE.USER: `sallyport secret remove` has one made anew. Files are\n"
		"written with mode 0600: DIR/gateway/wg0.conf, DIR/initiators/USER/wg0.conf.",
	.options = options,
	.run = run_wireguard,
};
