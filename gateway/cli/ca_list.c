/* `sallyport ca list`: what the CA issued, revoked and offers. Reads what is in clear: no key is
 * needed, and nothing is changed. */
#include <stdio.h>
#include <time.h>
#include "gateway/base/clock.h"
#include "gateway/base/state.h"
#include "gateway/cli/ca_desk.h"
#include "gateway/cli/secret_list.h"

/* All that is told. */
struct sight {
	struct ca ca;
	struct ca_issued issued;
	struct invitations invitations;
	int64_t now_s;
};

static void sight_close(struct sight *s)
{
	ca_issued_free(&s->issued);
	invitations_free(&s->invitations);
	ca_close(&s->ca);
}

static const char *row_state(const struct sight *s, const struct ca_row *row, int64_t *ret_since_s)
{
	if (certificate_is_revoked(s->ca.crl, row->certificate, ret_since_s))
		return "revoked";
	return row->facts.until_s <= s->now_s ? "expired" : "good";
}

static const char *invitation_state(const struct sight *s, const struct invitation *i)
{
	return i->used ? "used" : i->until_s <= s->now_s ? "expired" : "open";
}

/* --- for people ------------------------------------------------------------------------------ */

static void portal_print(const struct sight *s, const struct certificate_facts *ca,
			 const struct certificate_facts *portal)
{
	struct certificate_hosts hosts;
	char until[32];

	printf("CA      until %s\n", secret_time((uint64_t)ca->until_s, until));
	printf("portals until %s, as", secret_time((uint64_t)portal->until_s, until));
	certificate_hosts(s->ca.portal, &hosts);
	for (size_t k = 0; k < hosts.count; k++)
		printf("%s %s", k ? "," : "", hosts.names[k]);
	printf("\n");
}

static void rows_print(const struct sight *s)
{
	char time[32];
	int64_t since_s;

	if (s->issued.count > 0)
		printf("\n%-8s %-16s  %-32s  %s\n", "STATE", "UNTIL", "SERIAL", "INITIATOR");
	for (size_t k = 0; k < s->issued.count; k++) {
		const struct ca_row *row = &s->issued.rows[k];

		printf("%-8s %-16s  %-32s  %s\n", row_state(s, row, &since_s),
		       secret_time((uint64_t)row->facts.until_s, time), row->facts.serial,
		       row->facts.initiator);
	}
	if (s->invitations.count > 0)
		printf("\n%-8s %-16s  %s\n", "INVITED", "UNTIL", "INITIATOR");
	for (size_t k = 0; k < s->invitations.count; k++) {
		const struct invitation *i = &s->invitations.list[k];

		printf("%-8s %-16s  %s\n", invitation_state(s, i),
		       secret_time((uint64_t)i->until_s, time), i->initiator);
	}
}

/* --- as JSON --------------------------------------------------------------------------------- */

static const char *time_json(int64_t s, char ret[32])
{
	const time_t at = (time_t)s;
	struct tm tm = {0};

	(void)gmtime_r(&at, &tm);
	return strftime(ret, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) > 0 ? ret : "";
}

static json_t *certificate_json(const struct certificate_facts *f)
{
	char print[2 * CERTIFICATE_PRINT_SIZE + 1], from[32], until[32];

	(void)sodium_bin2hex(print, sizeof print, f->print, sizeof f->print);
	return json_pack("{s:s, s:s, s:s, s:s}", "serial", f->serial, "sha256", print, "from",
			 time_json(f->from_s, from), "until", time_json(f->until_s, until));
}

static json_t *issued_json(const struct sight *s)
{
	json_t *list = json_array();

	for (size_t k = 0; k < s->issued.count; k++) {
		const struct ca_row *row = &s->issued.rows[k];
		json_t *o = certificate_json(&row->facts);
		char since[32];
		int64_t since_s = 0;

		IGNORE_RESULT(
			json_object_set_new(o, "initiator", json_string(row->facts.initiator)));
		IGNORE_RESULT(
			json_object_set_new(o, "state", json_string(row_state(s, row, &since_s))));
		if (since_s != 0)
			IGNORE_RESULT(json_object_set_new(o, "revoked",
							  json_string(time_json(since_s, since))));
		IGNORE_RESULT(json_array_append_new(list, o));
	}
	return list;
}

static json_t *invitations_json(const struct sight *s)
{
	json_t *list = json_array();

	for (size_t k = 0; k < s->invitations.count; k++) {
		const struct invitation *i = &s->invitations.list[k];
		char until[32], made[32];

		IGNORE_RESULT(json_array_append_new(
			list, json_pack("{s:s, s:s, s:s, s:s}", "initiator", i->initiator, "state",
					invitation_state(s, i), "made", time_json(i->made_s, made),
					"until", time_json(i->until_s, until))));
	}
	return list;
}

static int print_json(const struct sight *s, const struct certificate_facts *ca,
		      const struct certificate_facts *portal)
{
	json_t *root = json_pack("{s:o, s:o, s:o, s:o}", "ca", certificate_json(ca), "portal",
				 certificate_json(portal), "issued", issued_json(s), "invitations",
				 invitations_json(s)),
	       *names = json_array();
	struct certificate_hosts hosts;
	int r;

	certificate_hosts(s->ca.portal, &hosts);
	for (size_t k = 0; k < hosts.count; k++)
		IGNORE_RESULT(json_array_append_new(names, json_string(hosts.names[k])));
	IGNORE_RESULT(json_object_set_new(json_object_get(root, "portal"), "names", names));
	r = root ? json_dumpf(root, stdout, JSON_INDENT(2)) : -1;
	json_decref(root);
	printf("\n");
	return r;
}

/* --- the command ----------------------------------------------------------------------------- */

static int list_print(const struct cli *cli, const struct sight *s)
{
	struct certificate_facts ca, portal;

	if (certificate_facts(s->ca.by.certificate, &ca) < 0 ||
	    certificate_facts(s->ca.portal, &portal) < 0)
		return cli_cannot(cli, "the CA's certificates can't be read: put a copy back");
	if (cli->json)
		return print_json(s, &ca, &portal) < 0
			       ? cli_cannot(cli, "the list can't be printed: no memory")
			       : EXIT_DONE;
	portal_print(s, &ca, &portal);
	rows_print(s);
	return EXIT_DONE;
}

static int run_list(const struct cli *cli)
{
	OWNED_BY(sight_close) struct sight s = {.ca = CA_NONE, .now_s = clock_wall_s()};
	char said[1024];
	const struct why why = {said, sizeof said};
	OWNED_FD state = state_open(cli->state, false, said, sizeof said);

	if (sodium_init() < 0)
		return cli_cannot(cli, "libsodium can't be used");
	if (state < 0 || ca_look(&s.ca, state, &why) < 0 ||
	    ca_issued_load(&s.ca, &s.issued, &why) < 0)
		return cli_cannot(cli, "%s", said);
	if (invitations_load(s.ca.fd, &s.invitations) < 0)
		return cli_cannot(cli, "the invitations in the state folder can't be read");
	return list_print(cli, &s);
}

const struct subcommand ca_verb_list = {
	.name = "ca list",
	.arguments = "",
	.summary = "certificates that were issued, revoked, and invitations",
	.examples = "  sallyport ca list\n"
		    "  sallyport ca list --json",
	.json = true,
	.run = run_list,
};
