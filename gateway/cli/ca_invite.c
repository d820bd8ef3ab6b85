/* `sallyport ca invite INITIATOR`: a code that a client joins with, once. The code is shown and
 * never stored; what is stored proves it, and is sealed. Trusts policy and store. */
#include <stdio.h>
#include "gateway/cli/ca_desk.h"
#include "gateway/cli/secret_list.h"
#include "policy/iscsi_name.h"
#include "policy/types.h"

#define FOR_USUAL   "1h"
#define FOR_MOST_MS (30 * 86400000ull)

/* Who is invited, where to. */
struct guest {
	const struct cli *cli;
	char initiator[ISCSI_NAME_SIZE];
	const struct policy_initiator *entry;
	const struct policy_portal *portal; /* a TLS portal that it may use, or NULL */
	int64_t for_s;
	struct invitation_code code;
};

/* --- what the policy says -------------------------------------------------------------------- */

static const struct policy_portal *portal_find(const struct policy *p,
					       const struct policy_target *t)
{
	for (size_t k = 0; k < t->portal_count; k++)
		if (p->portals[t->portals[k]].transport == PORTAL_TLS)
			return &p->portals[t->portals[k]];
	return NULL;
}

static void entry_find(struct guest *g, const struct policy *p)
{
	for (size_t t = 0; t < p->target_count; t++) {
		for (size_t k = 0; k < p->targets[t].initiator_count; k++) {
			const struct policy_initiator *i = &p->targets[t].initiators[k];

			if (strcmp(i->name, g->initiator) != 0 || (g->entry && g->portal))
				continue;
			g->entry = i;
			g->portal = portal_find(p, &p->targets[t]);
		}
	}
}

static int refuse(const struct guest *g, const char *what)
{
	fprintf(stderr, "sallyport ca invite: %s %s\n", g->initiator, what);
	return EXIT_NO;
}

static int guest_find(struct guest *g, const struct policy *p)
{
	if (!p)
		return cli_cannot(g->cli, "no gateway answers in %s: name the policy",
				  g->cli->state);
	entry_find(g, p);
	if (!g->entry)
		return refuse(g, "is not in the policy: name it under a target's initiators first");
	if (!certificate_initiator_ok(g->initiator))
		return refuse(g, "has letters that no certificate's name has: give it one of "
				 "another CA, and name that in the policy by its fingerprint");
	if (!g->portal)
		return refuse(g, "has no target on a TLS portal: name one in its target's portals");
	return EXIT_DONE;
}

static int secrets_check(const struct guest *g, const struct store_list *names)
{
	const char *const needed[] = {g->entry->user, g->entry->mutual};

	for (size_t k = 0; k < ARRAY_LEN(needed); k++) {
		if (!needed[k][0] || store_list_find(names, needed[k]) >= 0)
			continue;
		fprintf(stderr,
			"sallyport ca invite: %s would join without the secret of %s, which is "
			"not there yet: sallyport secret generate %s\n",
			g->initiator, needed[k], needed[k]);
		return EXIT_NO;
	}
	return EXIT_DONE;
}

/* --- where to -------------------------------------------------------------------------------- */

/* As the portals' certificate names itself first. */
static void place_default(const struct guest *g, X509 *portal, char *ret, size_t size)
{
	struct certificate_hosts hosts;
	const char *host;

	certificate_hosts(portal, &hosts);
	host = hosts.count > 0 ? hosts.names[0] : "";
	(void)snprintf(ret, size, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host,
		       g->portal->listen_count > 0 ? g->portal->listen[0].port : 0);
}

static int place_find(struct guest *g, X509 *portal)
{
	const char *to = cli_option(g->cli, "--to"), *why;
	char usual[INVITATION_PLACE_SIZE];

	if (!to) {
		place_default(g, portal, usual, sizeof usual);
		to = usual;
	}
	if (invitation_place_parse(to, &g->code, &why) < 0)
		return cli_usage(g->cli, "--to %s: %s", to, why);
	if (certificate_has_host(portal, g->code.host))
		return EXIT_DONE;
	return cli_cannot(g->cli,
			  "the portals' certificate is not for %s: sallyport ca renew --name %s",
			  g->code.host, g->code.host);
}

/* --- the invitation -------------------------------------------------------------------------- */

/* One at a time for each; what is long over is forgotten. */
static int room_make(const struct desk *d, const struct guest *g, size_t *ret_replaced)
{
	OWNED_BY(invitations_free) struct invitations all = {0};
	const int64_t now_s = d->ca.now_s;
	size_t open = 0;
	int r = invitations_load(d->ca.fd, &all);

	for (size_t k = 0; k < all.count && r == 0; k++) {
		const struct invitation *i = &all.list[k];
		const bool is_open = invitation_is_open(i, now_s);
		const bool same = is_open && strcmp(i->initiator, g->initiator) == 0;

		open += is_open && !same;
		*ret_replaced += same;
		if (same || invitation_is_forgotten(i, k, now_s))
			r = invitation_remove(d->ca.fd, i);
	}
	return r == 0 && open >= INVITATIONS_OPEN_MAX ? -ENOSPC : r;
}

/* Past stdio, whose buffers nobody wipes. */
static bool code_show(const struct invitation_code *code)
{
	char text[INVITATION_CODE_SIZE + 1];
	size_t len;
	bool shown;

	invitation_code_write(code, text);
	len = strlen(text);
	text[len++] = '\n';
	shown = write(STDOUT_FILENO, text, len) == (ssize_t)len;
	sodium_memzero(text, sizeof text);
	return shown;
}

static int invitation_make(struct desk *d, struct guest *g, struct invitation *i)
{
	const struct sealed_keys keys = {{d->ca.key}, 1};
	uint8_t *key = d->ca.memory; /* locked */
	int r;

	i->made_s = d->ca.now_s;
	i->until_s = d->ca.now_s + g->for_s;
	(void)string_copy(i->initiator, sizeof i->initiator, g->initiator);
	randombytes_buf(g->code.secret, sizeof g->code.secret);
	invitation_derive(g->code.secret, i->id, key);
	if (!code_show(&g->code))
		return -errno;
	r = invitation_put(d->ca.fd, i, key, &keys);
	sodium_memzero(key, INVITATION_KEY_SIZE);
	sodium_memzero(g->code.secret, sizeof g->code.secret);
	return r;
}

static int invite(struct desk *d, struct guest *g)
{
	struct invitation i = {0};
	size_t replaced = 0;
	char until[32];
	int r;

	if ((r = secrets_check(g, &d->bench.store.list)) != EXIT_DONE ||
	    (r = place_find(g, d->ca.portal)) != EXIT_DONE)
		return r;
	if ((r = room_make(d, g, &replaced)) < 0)
		return cli_cannot(g->cli,
				  r == -ENOSPC ? "%d invitations are open: wait until "
						 "some are used or over, or `ca revoke`"
					       : "old invitations can't be removed",
				  INVITATIONS_OPEN_MAX);
	if ((r = invitation_make(d, g, &i)) < 0)
		return cli_cannot(g->cli, "the invitation can't be kept (%s): the code is none",
				  strerror(-r));
	fprintf(stderr,
		"The code is shown this once. It is for %s, for one use, until %s. On that "
		"machine:\n  sallyport join CODE\n%s",
		g->initiator, secret_time((uint64_t)i.until_s, until),
		replaced ? "An earlier code for it is none any more.\n" : "");
	return desk_tell(d, "invite", g->initiator);
}

static int guest_parse(struct guest *g)
{
	const char *given = cli_option(g->cli, "--for"), *why;
	uint64_t ms;

	if (iscsi_name_normalise(g->cli->arguments[0], g->initiator, &why) < 0)
		return cli_usage(g->cli, "INITIATOR: %s", why);
	if (duration_parse(given ? given : FOR_USUAL, &ms) < 0 || ms > FOR_MOST_MS || ms < 1000)
		return cli_usage(g->cli, "--for takes a time such as 30m or 2d, 30d at most");
	g->for_s = (int64_t)(ms / 1000);
	return EXIT_DONE;
}

static int run_invite(const struct cli *cli)
{
	struct guest g = {.cli = cli};
	struct policy *p = NULL;
	struct desk d;
	int r = guest_parse(&g);

	if (r == EXIT_DONE)
		r = desk_policy(cli, 1, &p);
	if (r == EXIT_DONE)
		r = guest_find(&g, p);
	if (r == EXIT_DONE) {
		r = desk_open_ca(&d, cli);
		if (r == EXIT_DONE)
			r = invite(&d, &g);
		desk_close(&d);
	}
	policy_free(p);
	return r;
}

static const struct cli_option invite_options[] = {
	{"--for", "TIME", "for so long the code is good (" FOR_USUAL "; 30d at most)"},
	{"--to", "HOST:PORT", "how that client reaches a TLS portal"},
	{0},
};

const struct subcommand ca_verb_invite = {
	.name = "ca invite",
	.arguments = "INITIATOR [POLICY]",
	.least = 1,
	.most = 2,
	.summary = "a code, shown once, that this client joins with",
	.examples = "  sallyport ca invite iqn.1994-05.com.redhat:client\n"
		    "  sallyport ca invite iqn.1994-05.com.redhat:client --for 2d --to "
		    "gw.example.net:3261",
	.text = "\n"
		"On the client, `sallyport join CODE` makes a key, and gets a certificate for it\n"
		"and its CHAP secrets. The code proves both ends to each other, so it is passed\n"
		"on in private: by phone, or as you would a password.\n"
		"The initiator is one of the policy, by default the running gateway's.",
	.options = invite_options,
	.shared = ca_key_options,
	.run = run_invite,
};
