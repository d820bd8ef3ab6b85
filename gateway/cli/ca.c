/* `sallyport ca init|renew|invite|revoke|list`: the gateway's own CA, for sites that have none. The
 * table of the verbs, and those that make and take back certificates. */
#include <stdio.h>
#include "gateway/cli/ca_desk.h"
#include "gateway/cli/secret_list.h"
#include "policy/iscsi_name.h"

/* --- init, renew ----------------------------------------------------------------------------- */

static void hosts_say(const struct certificate_hosts *hosts)
{
	fprintf(stderr, "Clients reach the portals as");
	for (size_t k = 0; k < hosts->count; k++)
		fprintf(stderr, "%s %s", k ? "," : "", hosts->names[k]);
	fprintf(stderr, ".\n");
}

static int no_hosts(const struct cli *cli)
{
	return cli_usage(cli, "nothing says how clients reach this gateway: --name gw.example.net, "
			      "or POLICY with a TLS portal that listens on an address of its own");
}

static void name_make(char *ret, size_t size)
{
	char host[65] = "";

	(void)gethostname(host, sizeof host - 1);
	(void)snprintf(ret, size, "Sallyport CA of %s", host[0] ? host : "a gateway");
}

static int make_told(struct desk *d, const struct certificate_hosts *hosts)
{
	char name[96], until[32];
	struct certificate_facts facts;
	int r = desk_open(d, d->bench.cli);

	if (r != EXIT_DONE)
		return r;
	name_make(name, sizeof name);
	if (ca_make(&d->ca, d->bench.state_fd, name, hosts, &d->why) < 0 ||
	    certificate_facts(d->ca.portal, &facts) < 0)
		return desk_cannot(d);
	fprintf(stderr, "The CA is made: %s. Its key is sealed as the secrets are.\n", name);
	hosts_say(hosts);
	fprintf(stderr,
		"The portals' certificate is good until %s: `sallyport ca renew` before that.\n",
		secret_time((uint64_t)facts.until_s, until));
	return desk_tell(d, "init", NULL);
}

static int run_init(const struct cli *cli)
{
	OWNED_BY(desk_close)
	struct desk d = {.ca = CA_NONE, .bench = {.cli = cli, .state_fd = -1, .lock_fd = -1}};
	struct certificate_hosts hosts = {0};
	struct policy *p;
	int r = desk_policy(cli, 0, &p);

	if (r == EXIT_DONE)
		r = desk_hosts(cli, p, &hosts);
	policy_free(p);
	if (r == EXIT_DONE && hosts.count == 0)
		r = no_hosts(cli);
	return r == EXIT_DONE ? make_told(&d, &hosts) : r;
}

static int run_renew(const struct cli *cli)
{
	OWNED_BY(desk_close) struct desk d;
	struct certificate_hosts hosts;
	struct certificate_facts facts;
	char until[32];
	int r = desk_open_ca(&d, cli);

	if (r != EXIT_DONE)
		return r;
	if (!cli_has(cli, "--only"))
		certificate_hosts(d.ca.portal, &hosts);
	else
		hosts = (struct certificate_hosts){0};
	if ((r = desk_hosts(cli, NULL, &hosts)) != EXIT_DONE)
		return r;
	if (hosts.count == 0)
		return no_hosts(cli);
	if (ca_renew(&d.ca, &hosts, &d.why) < 0 || certificate_facts(d.ca.portal, &facts) < 0)
		return desk_cannot(&d);
	hosts_say(&hosts);
	fprintf(stderr, "The portals' certificate is good until %s.\n",
		secret_time((uint64_t)facts.until_s, until));
	return desk_tell(&d, "renew", NULL);
}

/* --- revoke ---------------------------------------------------------------------------------- */

struct picked {
	X509 **certificates;
	size_t count, before; /* before: those that fit, and were revoked already or are over */
};

static bool is_meant(const struct ca_row *row, const char *what, const char *initiator)
{
	return strcasecmp(row->facts.serial, what) == 0 ||
	       (initiator[0] && strcmp(row->facts.initiator, initiator) == 0);
}

static void pick(const struct desk *d, const struct ca_issued *issued, const char *initiator,
		 struct picked *ret)
{
	const char *what = d->bench.cli->arguments[0];
	int64_t since_s;

	for (size_t k = 0; k < issued->count; k++) {
		if (!is_meant(&issued->rows[k], what, initiator))
			continue;
		if (certificate_is_revoked(d->ca.crl, issued->rows[k].certificate, &since_s) ||
		    issued->rows[k].facts.until_s <= d->ca.now_s)
			ret->before++;
		else
			ret->certificates[ret->count++] = issued->rows[k].certificate;
	}
}

/* Who is not to come in any more does not join again either. */
static size_t invitations_withdraw(struct desk *d, const char *initiator)
{
	OWNED_BY(invitations_free) struct invitations all = {0};
	size_t count = 0;

	if (!initiator[0] || invitations_load(d->ca.fd, &all) < 0)
		return 0;
	for (size_t k = 0; k < all.count; k++)
		if (invitation_is_open(&all.list[k], d->ca.now_s) &&
		    strcmp(all.list[k].initiator, initiator) == 0 &&
		    invitation_remove(d->ca.fd, &all.list[k]) == 0)
			count++;
	return count;
}

static int revoke_picked(struct desk *d, const struct picked *p, const char *initiator,
			 size_t withdrawn)
{
	const struct cli *cli = d->bench.cli;

	if (p->count == 0 && withdrawn == 0) {
		fprintf(stderr, p->before
					? "Revoked, or over, already.\n"
					: "sallyport ca: nothing that was issued has this name or "
					  "serial number: sallyport ca list\n");
		return p->before ? EXIT_DONE : EXIT_NO;
	}
	if (p->count > 0 && ca_revoke(&d->ca, p->certificates, p->count, &d->why) < 0)
		return desk_cannot(d);
	fprintf(stderr, "Revoked: %zu certificate%s; withdrawn: %zu invitation%s.\n", p->count,
		p->count == 1 ? "" : "s", withdrawn, withdrawn == 1 ? "" : "s");
	return desk_tell(d, "revoke", initiator[0] ? initiator : cli->arguments[0]);
}

static int run_revoke(const struct cli *cli)
{
	OWNED_BY(desk_close) struct desk d;
	OWNED_BY(ca_issued_free) struct ca_issued issued = {0};
	OWNED_FREE X509 **list = NULL;
	char initiator[ISCSI_NAME_SIZE];
	struct picked picked = {0};
	const char *why;
	size_t withdrawn;
	int r = desk_open_ca(&d, cli);

	if (r != EXIT_DONE)
		return r;
	if (iscsi_name_normalise(cli->arguments[0], initiator, &why) < 0)
		initiator[0] = '\0';
	/* First: who joins at this very moment has his certificate kept before his invitation is
	 * used up, so it is among those that are looked for next, or he gets none. */
	withdrawn = invitations_withdraw(&d, initiator);
	if (ca_issued_load(&d.ca, &issued, &d.why) < 0)
		return desk_cannot(&d);
	list = calloc(issued.count + 1, sizeof(X509 *));
	if (list == NULL)
		return cli_cannot(cli, "no memory");
	picked.certificates = list;
	pick(&d, &issued, initiator, &picked);
	return revoke_picked(&d, &picked, initiator, withdrawn);
}

/* --- the commands ---------------------------------------------------------------------------- */

static const struct cli_option init_options[] = {
	{"--name", "HOST", "how clients reach this gateway: a DNS name or an address; repeatable"},
	{0},
};

static const struct cli_option renew_options[] = {
	{"--name", "HOST", "one name or address more; repeatable"},
	{"--only", NULL, "without those that it has"},
	{0},
};

const struct subcommand ca_verb_init = {
	.name = "ca init",
	.arguments = "[POLICY]",
	.most = 1,
	.summary = "makes the CA, and the portals' key and certificate",
	.examples = "  sallyport ca init --name gw.example.net\n"
		    "  sallyport ca init /etc/sallyport/policy.yaml --name gw.example.net",
	.text = "\n"
		"A TLS portal that names no certificate of its own has this one. It is for the\n"
		"names and addresses that are given, and for those that TLS portals of POLICY, or\n"
		"of the running gateway, listen on.",
	.options = init_options,
	.shared = ca_key_options,
	.run = run_init,
};

const struct subcommand ca_verb_renew = {
	.name = "ca renew",
	.arguments = "",
	.summary = "another certificate for the portals, for one more year",
	.examples = "  sallyport ca renew\n"
		    "  sallyport ca renew --name storage.example.net",
	.text = "\nFor the same key, and the names that it has. Nobody's session ends.",
	.options = renew_options,
	.shared = ca_key_options,
	.run = run_renew,
};

const struct subcommand ca_verb_revoke = {
	.name = "ca revoke",
	.arguments = "INITIATOR|SERIAL",
	.least = 1,
	.most = 1,
	.summary = "a client's certificates are not taken any more",
	.examples = "  sallyport ca revoke iqn.1994-05.com.redhat:client\n"
		    "  sallyport ca revoke 5b1f0c6d2a9e4f7780213a4b5c6d7e8f",
	.text = "\n"
		"All that an initiator has, with its open invitations; or the one of that number.\n"
		"Its CHAP secret is another thing: sallyport secret remove.",
	.shared = ca_key_options,
	.run = run_revoke,
};

static const struct subcommand *const verbs[] = {&ca_verb_init,	  &ca_verb_renew, &ca_verb_invite,
						 &ca_verb_revoke, &ca_verb_list,  NULL};

const struct subcommand cli_ca = {
	.name = "ca",
	.arguments = "VERB",
	.summary = "the gateway's own CA, for TLS portals where there is none",
	.examples = "  sallyport ca init --name gw.example.net\n"
		    "  sallyport ca list\n",
	.verbs = verbs,
};
