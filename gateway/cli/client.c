/* `sallyport client INITIATOR --for WHAT [POLICY]`: the commands for that machine. Facts are the
 * policy's; secrets are read from the store, and only when they are asked for. */
#include "gateway/cli/client.h"

#include <stdio.h>
#include "gateway/cli/running.h"
#include "policy/iscsi_name.h"

static const struct cli_option options[] = {
	{"--for", "WHAT", CLIENT_FORMS},
	{"--with-secrets", NULL, "its secrets, too: for root, who has the store's key"},
	{"--passphrase-fd", "N", "where the passphrase of the secrets' key is read, if it has one"},
	{NULL, NULL, NULL},
};

/* How many octets at *at a quoted text of that kind would end with; 0: none. PowerShell takes
 * U+2018 to U+201B for a single quote as well. */
static size_t quote_length(const uint8_t *at, size_t len, char quote_as)
{
	if (at[0] == '\'')
		return 1;
	return quote_as == '\'' && len >= 3 && at[0] == 0xe2 && at[1] == 0x80 && at[2] >= 0x98 &&
			       at[2] <= 0x9b
		       ? 3
		       : 0;
}

size_t client_quote(const uint8_t *octets, size_t count, char quote_as, char *ret)
{
	static const char escaped[3] = {'\'', '\\', '\''};
	size_t len = 0, quote;

	ret[len++] = '\'';
	for (size_t k = 0; k < count; k += MAX(quote, (size_t)1)) {
		quote = quote_length(octets + k, count - k, quote_as);
		if (quote > 0 && quote_as == '\\') {
			memcpy(ret + len, escaped, sizeof escaped);
			len += sizeof escaped;
		} else if (quote > 0) {
			memcpy(ret + len, octets + k, quote);
			len += quote;
		}
		memcpy(ret + len, octets + k, MAX(quote, (size_t)1));
		len += MAX(quote, (size_t)1);
	}
	ret[len++] = '\'';
	return len;
}

void client_secret_write(const struct client_page *page, enum client_secret which, char quote_as)
{
	const struct secret *s = page->secrets[which];
	char text[CLIENT_QUOTED(sizeof s->octets)];
	size_t len = client_quote(s->octets, s->len, quote_as, text);

	if (fflush(stdout) == EOF || write(STDOUT_FILENO, text, len) != (ssize_t)len)
		fprintf(stderr, "sallyport client: a secret could not be written\n");
	sodium_memzero(text, sizeof text);
}

/* --- where it may go ---------------------------------------------------------------------- */

static bool family_fits(const struct policy_initiator *i, const struct endpoint *e)
{
	for (size_t k = 0; k < i->from_count; k++)
		if (i->from[k].ip.version == e->ip.version)
			return true;
	return i->from_count == 0;
}

/* What discovery would name: the first of a family that the initiator comes from; the near end of
 * its tunnel is of its own machine. */
static bool address_find(struct client_section *s)
{
	const struct policy_portal *p = s->portal;
	const struct endpoint *list = p->advertise_count > 0 ? p->advertise : p->listen;
	size_t count = p->advertise_count > 0 ? p->advertise_count : p->listen_count;

	for (size_t k = 0; k < count; k++) {
		if (!p->advertise_near && !family_fits(s->entry, &list[k]))
			continue;
		s->at = list[k];
		(void)ip_show(&list[k].ip, s->address);
		(void)endpoint_show(&list[k], s->place);
		return true;
	}
	return false;
}

/* The initiator speaks to the near end of a tunnel on its own machine, and that to us. */
static void tunnel_tell(const struct client_section *s)
{
	const struct policy_portal *p = s->portal;
	char far[ADDRESS_TEXT] = "";

	for (size_t k = 0; k < p->listen_count && !far[0]; k++) {
		if (ip_is_any(&p->listen[k].ip))
			(void)snprintf(far, sizeof far, "GATEWAY:%u", p->listen[k].port);
		else if (family_fits(s->entry, &p->listen[k]))
			(void)endpoint_show(&p->listen[k], far);
	}
	printf("# first, in a terminal of its own or as a service: sallyport connect %s --listen "
	       "%s\n",
	       far[0] ? far : "HOST:PORT", s->place);
}

static void section_tell(const struct client_form *form, const struct client_page *page,
			 struct client_section *s)
{
	const char *between = "";
	char transport[TRANSPORT_TEXT];

	printf("\n# %s through the portal %s (%s; policy line %u): ", s->target->name,
	       s->portal->name, policy_transport_text(s->portal, transport), s->entry->line);
	for (size_t k = 0; k < s->entry->access_count; k++) {
		printf("%sLUN %u %s", between, s->entry->access[k].lun,
		       s->entry->access[k].writable ? "read-write" : "read-only");
		between = ", ";
	}
	printf("\n");
	if (!address_find(s)) {
		printf("# no address of this portal is of a kind that its from: has\n");
		return;
	}
	if (ip_is_any(&s->at.ip))
		printf("# %s stands for every address of the gateway: put in the one that this "
		       "machine reaches, or name it in the portal's advertise:\n",
		       s->place);
	if (s->portal->transport == PORTAL_IPSEC || s->portal->transport == PORTAL_INTERFACE)
		printf("# first: sallyport %s POLICY writes what this machine needs for the "
		       "portal\n",
		       s->portal->transport == PORTAL_IPSEC ? "ipsec" : "wireguard");
	if (s->portal->transport == PORTAL_TLS && !form->is_tunnel)
		tunnel_tell(s);
	form->section(page, s);
}

static const struct policy_initiator *entry_find(const struct policy_target *t, const char *name)
{
	for (size_t k = 0; k < t->initiator_count; k++)
		if (strcmp(t->initiators[k].name, name) == 0)
			return &t->initiators[k];
	return NULL;
}

static void sections_tell(const struct client_form *form, const struct client_page *page)
{
	for (size_t t = 0; t < page->policy->target_count; t++) {
		struct client_section s = {.target = &page->policy->targets[t]};

		s.entry = entry_find(s.target, page->initiator);
		for (size_t k = 0; s.entry && k < s.target->portal_count; k++) {
			s.portal = &page->policy->portals[s.target->portals[k]];
			section_tell(form, page, &s);
		}
	}
}

/* --- the page ----------------------------------------------------------------------------- */

/* True: it can log in. */
static bool md5_tell(const struct client_form *form, const struct client_page *page)
{
	const struct policy_initiator *i = page->entry;

	if (!form->md5_only || page->algorithms & 1U << CHAP_MD5)
		return true;
	printf("# It knows CHAP with MD5 alone, which the policy does not take from it. Line %u "
	       "needs:\n#     chap: {user: %s, mutual: %s, algorithms: [md5]}\n",
	       i->chap_line, i->user, i->mutual[0] ? i->mutual : "none");
	return false;
}

static int page_tell(const struct cli *cli, const struct client_form *form,
		     const struct client_page *page)
{
	bool can;

	printf("# %s, by the policy ", page->initiator);
	for (size_t k = 0; k < 8; k++)
		printf("%02x", page->policy->hash[k]);
	printf("\n");
	can = md5_tell(form, page);
	form->begin(page);
	sections_tell(form, page);
	form->end(page);
	if (fflush(stdout) == EOF)
		return cli_cannot(cli, "the commands can't be written: %s", strerror(errno));
	return can ? EXIT_DONE : EXIT_NO;
}

static const struct secret *secret_find(struct bench *b, const char *name)
{
	ssize_t at = name[0] ? store_list_find(&b->store.list, name) : -1;

	return at < 0 ? NULL : &b->store.secrets[at];
}

static int with_secrets(const struct cli *cli, const struct client_form *form,
			struct client_page *page)
{
	struct bench b;
	int r;

	bench_open(&b, cli, "client", page->entry->user);
	if (bench_store(&b) < 0) {
		r = bench_cannot(&b);
	} else {
		fd_close(&b.lock_fd);
		page->secrets[CLIENT_SECRET] = secret_find(&b, page->entry->user);
		page->secrets[CLIENT_MUTUAL] = secret_find(&b, page->entry->mutual);
		if (!page->secrets[CLIENT_SECRET] ||
		    (page->entry->mutual[0] && !page->secrets[CLIENT_MUTUAL]))
			r = cli_cannot(cli,
				       "the store has no secret of %s: sallyport secret generate",
				       page->secrets[CLIENT_SECRET] ? page->entry->mutual
								    : page->entry->user);
		else
			r = page_tell(cli, form, page);
	}
	bench_close(&b);
	return r;
}

static int client_policy(const struct cli *cli, const struct client_form *form,
			 const struct policy *p)
{
	char initiator[ISCSI_NAME_SIZE];
	struct client_page page = {.policy = p, .initiator = initiator};
	const char *why;

	if (iscsi_name_normalise(cli->arguments[0], initiator, &why) < 0)
		return cli_usage(cli, "INITIATOR: %s", why);
	for (size_t t = 0; t < p->target_count && !page.entry; t++)
		page.entry = entry_find(&p->targets[t], initiator);
	if (!page.entry) {
		fprintf(stderr, "sallyport client: no target of the policy names %s\n", initiator);
		return EXIT_NO;
	}
	page.algorithms = policy_floor(page.entry->algorithms, policy_algorithms(p));
	return cli_option(cli, "--with-secrets") ? with_secrets(cli, form, &page)
						 : page_tell(cli, form, &page);
}

static int client_run(const struct cli *cli)
{
	const char *what = cli_option(cli, "--for");
	const struct client_form *form = what ? client_form_find(what) : NULL;
	struct running running = {0};
	const struct policy *by;
	struct policy *p = NULL;
	int r;

	if (!form)
		return cli_usage(cli, "--for takes one of " CLIENT_FORMS);
	if (cli->argument_count > 1) {
		r = cli_policy_load(cli, cli->arguments[1], &p);
	} else if ((r = running_ask(cli, &running)) == EXIT_DONE && !running.policy) {
		r = cli_cannot(cli, "no gateway answers in %s: name the policy", cli->state);
	}
	by = p ? p : running.policy;
	if (r == EXIT_DONE && by)
		r = client_policy(cli, form, by);
	running_free(&running);
	policy_free(p);
	return r;
}

const struct subcommand cli_client = {
	.name = "client",
	.arguments = "INITIATOR [POLICY]",
	.least = 1,
	.most = 2,
	.summary = "what to type on that client",
	.examples = "  sallyport client iqn.1994-05.com.redhat:client --for linux policy.yaml\n"
		    "  sallyport client iqn.1994-05.com.redhat:client --for linux --with-secrets\n",
	.text = "One section for each target and portal that it may use. Without POLICY: by the\n"
		"running gateway's. Without --with-secrets the commands ask for them.\n"
		"Exit status: 0 it can log in with these, 1 the policy does not name it, or takes\n"
		"nothing that it knows, 2 wrong usage, 3 it could not be told.",
	.options = options,
	.run = client_run,
};
