/* `sallyport connect`: the client's end of a TLS portal, on the initiator's machine. Reads the
 * operator's words and file; what serves is gateway/connect. */
#include "gateway/connect/connect.h"

#include <fcntl.h>
#include <jansson.h>
#include <time.h>
#include "gateway/base/clock.h"
#include "gateway/base/fd.h"
#include "gateway/base/log.h"
#include "gateway/base/sandbox.h"
#include "gateway/cli/cli.h"

#define DAY_S (24 * 60 * 60)

static const struct cli_option options[] = {
	{"--listen", "ADDRESS:PORT", "where the initiator connects (127.0.0.1:3260, [::1]:3260)"},
	{"--identity", "DIR", "client.pem, client.key, ca.pem (" CONNECT_FOLDER ")"},
	{"--name", "NAME", "which the gateway's certificate must have, if not HOST"},
	{"--server", "sha256:HEX", "the gateway's certificate, instead of a CA and a name"},
	{"--config", "FILE", "several tunnels, instead of HOST:PORT"},
	{"--check", NULL, "connect once, tell what is there, and end"},
	{"--accept-risk", NULL, "--listen may be an address of a network"},
	{NULL, NULL, NULL},
};

/* --- what it shall do --------------------------------------------------------------------- */

static int from_words(const struct cli *cli, struct connect_config *config)
{
	struct connect_tunnel *t = &config->tunnels[0];
	const char *identity = cli_option(cli, "--identity"), *name = cli_option(cli, "--name");
	const char *pin = cli_option(cli, "--server"), *listen, *why;

	t->accept_risk = cli_option(cli, "--accept-risk") != NULL;
	if (connect_gateway_parse(cli->arguments[0], t, &why) < 0)
		return cli_usage(cli, "HOST:PORT: %s", why);
	for (size_t n = 0; (listen = cli_option_nth(cli, "--listen", n)) != NULL; n++)
		if (connect_listen_add(t, listen, &why) < 0)
			return cli_usage(cli, "--listen: %s", why);
	connect_listen_default(t);
	if (pin && connect_pin_parse(pin, t->pin) < 0)
		return cli_usage(cli, "--server takes sha256: and 64 hex digits");
	t->pinned = pin != NULL;
	if (name && (!connect_name_is_one(name) ||
		     !string_copy(t->server_name, sizeof t->server_name, name)))
		return cli_usage(cli, "--name takes a host's name or an address");
	if ((identity && !identity[0]) ||
	    !string_copy(t->identity, sizeof t->identity, identity ? identity : CONNECT_FOLDER))
		return cli_usage(cli, "--identity takes a folder");
	(void)snprintf(t->name, sizeof t->name, "%.60s", t->host);
	config->count = 1;
	return EXIT_DONE;
}

static int from_file(const struct cli *cli, const char *path, struct connect_config *config)
{
	static const char *const others[] = {"--listen", "--identity", "--name", "--server",
					     "--accept-risk"};
	OWNED_FREE char *text = NULL;
	OWNED_FD fd = -1;
	size_t len;
	int r;

	for (size_t k = 0; k < ARRAY_LEN(others); k++)
		if (cli_option(cli, others[k]))
			return cli_usage(cli, "%s belongs into the file of --config", others[k]);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	r = fd < 0 ? -errno : fd_read_all(fd, CONNECT_FILE_MAX, &text, &len);
	if (r < 0)
		return cli_cannot(cli, "%s can't be read: %s", path,
				  r == -EFBIG ? "it is larger than 64 KiB" : strerror(-r));
	r = connect_config_parse(path, text, len, stderr, config);
	if (r == -EINVAL)
		return EXIT_NO;
	return r < 0 ? cli_cannot(cli, "%s: %s", path, strerror(-r)) : EXIT_DONE;
}

/* --- `--check` ---------------------------------------------------------------------------- */

struct checking {
	const struct cli *cli;
	const struct connect_config *config;
	json_t *list;
};

static void fingerprint_text(const struct connect_checked *c, char ret[80])
{
	size_t len = (size_t)snprintf(ret, 80, CONNECT_FINGERPRINT);

	for (size_t k = 0; k < sizeof c->fingerprint; k++)
		len += (size_t)snprintf(ret + len, 80 - len, "%02x", c->fingerprint[k]);
}

static void day_text(int64_t at_s, char ret[32])
{
	time_t at = (time_t)at_s;
	struct tm tm;

	if (!gmtime_r(&at, &tm) || strftime(ret, 32, "%Y-%m-%d %H:%M UTC", &tm) == 0)
		(void)string_copy(ret, 32, "a time beyond all calendars");
}

static void print_text(const struct connect_tunnel *t, const struct connect_checked *c)
{
	char at[ADDRESS_TEXT] = "", pin[80], until[32];
	long long days = (c->not_after_s - clock_wall_s()) / DAY_S;

	if (c->at.ip.version != 0)
		(void)endpoint_format(&c->at, at);
	printf("%s: %s:%u%s%s%s: %s\n", t->name, t->host, t->port, at[0] ? " (" : "", at,
	       at[0] ? ")" : "", c->fine ? "fine" : c->why);
	if (c->protocol[0])
		printf("  protocol     %s, %s, %s\n", c->protocol, c->cipher, c->group);
	if (!c->has_certificate)
		return;
	fingerprint_text(c, pin);
	day_text(c->not_after_s, until);
	if (c->subject[0])
		printf("  certificate  %s\n  names        %s\n  issuer       %s\n", c->subject,
		       c->names, c->issuer);
	printf("  fingerprint  %s\n  good until   %s, %lld days\n", pin, until, days);
}

static json_t *json_of(const struct connect_tunnel *t, const struct connect_checked *c)
{
	char at[ADDRESS_TEXT] = "", pin[80];
	json_t *o = json_pack("{s:s, s:s, s:i, s:b, s:s}", "tunnel", t->name, "host", t->host,
			      "port", (int)t->port, "fine", (int)c->fine, "why", c->why);

	if (!o || !c->has_certificate)
		return o;
	fingerprint_text(c, pin);
	(void)json_object_update_new(
		o,
		json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I}", "address",
			  endpoint_format(&c->at, at), "protocol", c->protocol, "cipher", c->cipher,
			  "group", c->group, "subject", c->subject, "issuer", c->issuer, "names",
			  c->names, "fingerprint", pin, "not_after_s", (json_int_t)c->not_after_s,
			  "days_left", (json_int_t)((c->not_after_s - clock_wall_s()) / DAY_S)));
	return o;
}

static void checked(void *arg, const struct connect_checked *c)
{
	struct checking *k = arg;
	const struct connect_tunnel *t = &k->config->tunnels[c->tunnel];

	if (k->list)
		(void)json_array_append_new(k->list, json_of(t, c));
	else
		print_text(t, c);
}

/* --- the command -------------------------------------------------------------------------- */

static int serve(const struct cli *cli, const struct connect_config *config)
{
	struct checking checking = {.cli = cli, .config = config};
	const struct connect_options how = {.config = config,
					    .check = cli_option(cli, "--check") != NULL,
					    .checked = checked,
					    .arg = &checking};
	int r = process_harden();

	if (r < 0)
		return cli_cannot(cli, "this process can't be hardened: %s", strerror(-r));
	if (cli->json)
		checking.list = json_array();
	log_start("connect");
	r = connect_run(&how);
	if (checking.list) {
		(void)json_dumpf(checking.list, stdout, JSON_INDENT(1));
		printf("\n");
	}
	json_decref(checking.list);
	return fflush(stdout) == EOF ? EXIT_CANNOT : r;
}

static int run(const struct cli *cli)
{
	static struct connect_config config;
	const char *file = cli_option(cli, "--config");
	int r;

	if ((file != NULL) == (cli->argument_count > 0))
		return cli_usage(cli, "it needs either HOST:PORT or --config FILE");
	if (cli->json && !cli_option(cli, "--check"))
		return cli_usage(cli, "--json goes with --check");
	r = file ? from_file(cli, file, &config) : from_words(cli, &config);
	return r == EXIT_DONE ? serve(cli, &config) : r;
}

const struct subcommand cli_connect = {
	.name = "connect",
	.arguments = "HOST:PORT | --config FILE",
	.least = 0,
	.most = 1,
	.summary = "the client's end of a TLS portal: a tunnel for its initiator",
	.examples = "  sallyport connect gw.example.net:3261 --check\n"
		    "  sallyport connect gw.example.net:3261\n",
	.text = "On the initiator's machine: it listens on loopback, for any initiator, and "
		"carries\n"
		"each connection to the gateway through TLS 1.3, with the identity's certificate.\n"
		"A gateway that is away is tried again, 0.2 to 5 s apart; a connection waits for "
		"it\n"
		"for a minute. SIGHUP reads certificates and the gateway's addresses again, and\n"
		"disturbs no connection; SIGTERM and Ctrl-C end it.\n"
		"Exit status: 0 stopped as asked, or --check found all well, 1 the file has a "
		"mistake,\n"
		"or --check did not, 2 wrong usage, 3 it could not serve.",
	.options = options,
	.json = true,
	.run = run,
};
