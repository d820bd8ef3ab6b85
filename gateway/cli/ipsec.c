/* `sallyport ipsec POLICY`: strongSwan's configuration for both ends of every tunnel that the
 * policy's IPsec portals need. Reads the policy, and trusts nothing in it; keys are made once and
 * kept in the secret store. */
#include "gateway/cli/running.h"
#include "gateway/cli/tunnel_out.h"

static const struct cli_option options[] = {
	{"--dir", "DIR", "write files there, with their keys, instead of to stdout"},
	{"--gateway", "ADDRESS", "where initiators reach the gateway; left out: at its portals"},
	{"--certificates", NULL, "certificates of yours prove who is who, not keys"},
	{"--with-secrets", NULL, "print the keys, too"},
	{"--passphrase-fd", "N", "where the passphrase of the secrets' key is read"},
	{NULL, NULL, NULL},
};

static void write_end(FILE *f, const struct tunnel_out *o, const struct tunnel_peer *peer)
{
	ipsec_write(f, o->tunnels, peer, o->choice);
}

static const struct policy_portal *portal_find(const struct policy *p)
{
	for (size_t i = 0; i < p->portal_count; i++)
		if (p->portals[i].transport == PORTAL_IPSEC)
			return &p->portals[i];
	return NULL;
}

static int keys_make(struct tunnel_out *o)
{
	const struct tunnels *t = o->tunnels;
	char name[STORE_NAME_SIZE + 256];
	int r = tunnel_keys_open(o, t->count);

	for (size_t i = 0; r == 0 && i < t->count; i++) {
		(void)snprintf(name, sizeof name, "ipsec.%s", t->peers[i].user);
		r = tunnel_key_ensure(o, name, false);
	}
	return r ? r : tunnel_keys_close(o);
}

static int run_on(struct tunnel_out *o, const struct policy *p)
{
	const struct policy_portal *portal = portal_find(p);
	const struct ipsec_choice *choice = o->choice;
	OWNED_BY(tunnels_free) struct tunnels t = {0};
	int r = 0;

	if (!portal) {
		fprintf(stderr, "%s: no portal has transport: ipsec\n", o->cli->arguments[0]);
		return EXIT_NO;
	}
	if (tunnels_find(p, portal, &t) < 0)
		return cli_cannot(o->cli, "no memory for the tunnels");
	if (t.count == 0) {
		fprintf(stderr, "%s: no initiator may use an IPsec portal\n", o->cli->arguments[0]);
		return EXIT_NO;
	}
	o->tunnels = &t;
	if (!choice->certificates && o->secrets)
		r = keys_make(o);
	return r ? r : tunnel_out_run(o);
}

static int run_ipsec(const struct cli *cli)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:-";
	const struct ipsec_choice choice = {
		.gateway = cli_option(cli, "--gateway"),
		.certificates = cli_option(cli, "--certificates") != NULL,
	};
	OWNED_BY(tunnel_out_close)
	struct tunnel_out o = {
		.cli = cli,
		.folder = cli_option(cli, "--dir"),
		.secrets = cli_option(cli, "--with-secrets") || cli_option(cli, "--dir"),
		.file = "swanctl.conf",
		.choice = &choice,
		.write = write_end,
	};
	struct policy *p = NULL;
	int r;

	if (choice.gateway &&
	    (!choice.gateway[0] || choice.gateway[strspn(choice.gateway, letters)]))
		return cli_usage(cli, "--gateway takes an address or a host's name");
	r = cli_policy_load(cli, cli->arguments[0], &p);
	if (r == EXIT_DONE)
		r = run_on(&o, p);
	policy_free(p);
	return r;
}

const struct subcommand cli_ipsec = {
	.name = "ipsec",
	.arguments = "POLICY",
	.least = 1,
	.most = 1,
	.summary = "strongSwan's configuration for both ends",
	.examples = "  sallyport ipsec --dir tunnels policy.yaml\n"
		    "  sallyport ipsec --gateway gw.example.net policy.yaml\n",
	.text = "\n"
		"For portals with transport: ipsec, and the initiators that may use them: IKEv2,\n"
		"AES-GCM and ECP-384, between the addresses and ports that the policy names and "
		"no\n"
		"others. The first packet makes the tunnel; what no tunnel takes is dropped. A key "
		"of\n"
		"256 random bits for each initiator is made once and kept in the secret store, as\n"
		"ipsec.USER: `sallyport secret remove` has it made anew. Files are written with "
		"mode\n"
		"0600: DIR/gateway/swanctl.conf, DIR/initiators/USER/swanctl.conf.",
	.options = options,
	.run = run_ipsec,
};
