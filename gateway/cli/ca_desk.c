/* What the verbs of `sallyport ca` share. Private keys are in locked memory here, too. Trusts the
 * state folder as state_open() checked it, and the running gateway's answers. */
#include "gateway/cli/ca_desk.h"

#include <stdio.h>
#include "gateway/base/fd.h"
#include "gateway/base/sandbox.h"
#include "gateway/cli/ask.h"
#include "gateway/cli/running.h"

#define RELOAD_S 60

const struct cli_option ca_key_options[] = {
	{"--passphrase-fd", "N", "where the passphrase of the secrets' key is read, if it has one"},
	{0},
};

int desk_open(struct desk *d, const struct cli *cli)
{
	struct bench *b = &d->bench;

	d->ca = CA_NONE;
	bench_open(b, cli, "ca", NULL);
	d->why = (struct why){b->why, sizeof b->why};
	if (process_harden() < 0 || sodium_init() < 0 || !certificate_begin())
		return cli_cannot(cli, "this process can't be protected from others, so no key is "
				       "read");
	if (bench_store(b) < 0)
		return bench_cannot(b);
	d->ca.key = b->key;
	d->ca.memory = b->octets;
	d->ca.now_s = (int64_t)b->now_s;
	return EXIT_DONE;
}

int desk_open_ca(struct desk *d, const struct cli *cli)
{
	int r = desk_open(d, cli);

	if (r != EXIT_DONE)
		return r;
	return ca_open(&d->ca, d->bench.state_fd, &d->why) < 0 ? desk_cannot(d) : EXIT_DONE;
}

void desk_close(struct desk *d)
{
	ca_close(&d->ca);
	bench_close(&d->bench);
}

int desk_cannot(struct desk *d)
{
	return bench_cannot(&d->bench);
}

/* --- the gateway ----------------------------------------------------------------------------- */

static int tell_outcome(const struct desk *d, const json_t *root)
{
	const char *error = json_string_value(json_object_get(root, "error"));

	if (error != NULL)
		return cli_cannot(d->bench.cli,
				  "this is stored, but the running gateway goes on with what it "
				  "had: %s",
				  error);
	fprintf(stderr, "The running gateway has taken it up.\n");
	return EXIT_DONE;
}

/* The policy that is in force, with the certificates that are there now; not another one. */
static int tell_reload(const struct desk *d, const char *hash)
{
	char request[POLICY_HASH_TEXT + 32];
	json_t *root;
	int error, r;

	(void)snprintf(request, sizeof request, "reload expect=%s", hash);
	root = gateway_ask_for(d->bench.cli->state, request, RELOAD_S, &error);
	if (root == NULL)
		return cli_cannot(d->bench.cli, "this is stored, but the gateway does not say what "
						"came of its reload: sallyport status");
	r = tell_outcome(d, root);
	json_decref(root);
	return r;
}

static int tell_answer(const struct desk *d, const json_t *root)
{
	const char *hash = json_string_value(json_object_get(root, "reload"));

	return hash != NULL ? tell_reload(d, hash) : tell_outcome(d, root);
}

int desk_tell(struct desk *d, const char *verb, const char *name)
{
	const struct cli *cli = d->bench.cli;
	char request[256 + 32];
	int error, status;
	json_t *root;

	fd_close(&d->bench.lock_fd);
	(void)snprintf(request, sizeof request, "ca %s%s%s", verb, name ? " " : "",
		       name ? name : "");
	root = gateway_ask_until(cli->state, request, &error);
	if (root != NULL) {
		status = tell_answer(d, root);
		json_decref(root);
		return status;
	}
	if (error == -ENOENT || error == -ECONNREFUSED) {
		fprintf(stderr, "No gateway runs in %s; the next one begins with this.\n",
			cli->state);
		return EXIT_DONE;
	}
	return cli_cannot(cli,
			  "this is stored, but the gateway in %s does not answer (%s), and goes "
			  "on with what it had: `sallyport status`, then restart it",
			  cli->state, strerror(-error));
}

/* --- the policy ------------------------------------------------------------------------------ */

/* Before there is a CA: its portals have no certificate yet. */
static int policy_bare(const char *path, struct policy **ret_policy)
{
	const struct policy_options how = {.messages = stderr, .colour = cli_colour(stderr)};

	return cli_policy_exit(policy_load(path, &how, ret_policy));
}

int desk_policy(const struct cli *cli, size_t argument, struct policy **ret_policy)
{
	struct running running = {0};
	int r;

	*ret_policy = NULL;
	if (cli->argument_count > argument && !strcmp(cli->command->name, "ca init"))
		return policy_bare(cli->arguments[argument], ret_policy);
	if (cli->argument_count > argument)
		return cli_policy_load(cli, cli->arguments[argument], ret_policy);
	r = running_ask(cli, &running);
	*ret_policy = TAKE(running.policy);
	running_free(&running);
	return r;
}

static int host_take(const struct cli *cli, struct certificate_hosts *hosts, const char *name)
{
	int r = certificate_host_add(hosts, name);

	if (r == -ENOSPC)
		return cli_cannot(cli, "a certificate has %d names and addresses at most",
				  CERTIFICATE_HOSTS_MAX);
	if (r < 0)
		return cli_usage(cli,
				 "--name takes a DNS name or an address, without a port, such as "
				 "gw.example.net");
	return EXIT_DONE;
}

static int endpoints_take(const struct cli *cli, struct certificate_hosts *hosts,
			  const struct endpoint *list, size_t count)
{
	char text[ADDRESS_TEXT];
	int r = EXIT_DONE;

	for (size_t k = 0; k < count && r == EXIT_DONE; k++) {
		struct ip ip = list[k].ip;

		ip.scope = 0;
		if (!ip_is_any(&ip))
			r = host_take(cli, hosts, ip_format(&ip, text));
	}
	return r;
}

int desk_hosts(const struct cli *cli, const struct policy *p, struct certificate_hosts *hosts)
{
	const char *name;
	int r = EXIT_DONE;

	for (size_t n = 0; r == EXIT_DONE && (name = cli_option_nth(cli, "--name", n)); n++)
		r = host_take(cli, hosts, name);
	for (size_t k = 0; p && r == EXIT_DONE && k < p->portal_count; k++)
		if (p->portals[k].transport == PORTAL_TLS)
			r = endpoints_take(cli, hosts, p->portals[k].listen,
					   p->portals[k].listen_count);
	return r;
}
