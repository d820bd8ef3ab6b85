/* What a running gateway adds to an explanation. Its answers are believed: its socket is the state
 * folder's; but what others may have put in them is escaped. */
#include "gateway/cli/explain.h"

#include <stdarg.h>
#include "gateway/base/log.h"
#include "gateway/cli/ask.h"

PRINTF_LIKE(2, 3) static void note(struct explain_notes *n, const char *fmt, ...)
{
	char text[sizeof n->notes[0]];
	va_list args;

	if (n->note_count == ARRAY_LEN(n->notes))
		return;
	va_start(args, fmt);
	(void)vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	(void)text_escape(text, strlen(text), n->notes[n->note_count], sizeof n->notes[0]);
	n->note_count++;
}

static const char *text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static bool is_of(const json_t *ban, const struct ip *from)
{
	struct network source;

	return network_parse(text_of(ban, "source"), &source) == 0 &&
	       network_contains(&source, from);
}

static void ban_tell(const json_t *ban, struct decision *d)
{
	struct verdict *v = &d->verdicts[LAYER_FIREWALL];
	char text[sizeof v->text];

	(void)snprintf(text, sizeof text, "%s is banned until %s: %s", text_of(ban, "source"),
		       text_of(ban, "until"), text_of(ban, "reason"));
	*v = (struct verdict){.asked = true, .reason = "banned"};
	(void)text_escape(text, strlen(text), v->text, sizeof v->text);
	d->allowed = false;
	d->layer = LAYER_FIREWALL;
}

static void bans_look(const struct cli *cli, const struct ip *from, struct decision *d,
		      struct explain_notes *n)
{
	int error;
	json_t *answer = gateway_ask(cli->state, "bans", &error), *ban;
	size_t k;

	json_array_foreach(json_object_get(answer, "bans"), k, ban)
	{
		if (!is_of(ban, from))
			continue;
		if (strcmp(text_of(ban, "state"), "slowed") == 0)
			note(n, "%s is slowed to one login in 10 s until %s: %s",
			     text_of(ban, "source"), text_of(ban, "until"), text_of(ban, "reason"));
		else
			ban_tell(ban, d);
	}
	json_decref(answer);
}

/* Of whom packets carry the address the firewall, and of whom they don't the login. */
static void proxies_tell(const struct policy *p, const struct decision *d, struct explain_notes *n)
{
	const struct verdict *v = &d->verdicts[LAYER_FIREWALL];
	size_t k = 0;

	while (k < p->portal_count && p->portals[k].proxy_count == 0)
		k++;
	if (k < p->portal_count && strcmp(v->reason, "banned") == 0)
		note(n,
		     "packets to the portal %s carry its proxies' addresses: there a ban binds a "
		     "proxy when it connects, and who is behind it at its login",
		     p->portals[k].name);
}

static void status_look(const json_t *status, const struct policy *p, struct explain_notes *n)
{
	const json_t *drift = json_object_get(status, "drift"), *helper;
	char hash[POLICY_HASH_TEXT];
	size_t k;

	policy_hash_text(p, hash);
	if (strcmp(hash, text_of(status, "policy_sha256")) != 0)
		note(n, "the running gateway has another policy in force: sallyport plan shows "
			"what differs");
	if (strcmp(text_of(drift, "state"), "standing") == 0)
		note(n, "the firewall drifted since %s, and lets through something else: %s",
		     text_of(drift, "since"), text_of(drift, "changed"));
	json_array_foreach(json_object_get(status, "helpers"), k, helper)
	{
		if (strcmp(text_of(helper, "helper"), "firewall") == 0 &&
		    strcmp(text_of(helper, "state"), "down") == 0)
			note(n, "the firewall process is down: %s", text_of(helper, "note"));
	}
}

void explain_running(const struct cli *cli, const struct policy *p, const struct claim *claim,
		     struct decision *d, struct explain_notes *ret_notes)
{
	int error = 0;
	json_t *status = gateway_ask(cli->state, "status", &error);

	if (status) {
		status_look(status, p, ret_notes);
		bans_look(cli, &claim->from, d, ret_notes);
		if (claim->proxy.version)
			bans_look(cli, &claim->proxy, d, ret_notes);
		proxies_tell(p, d, ret_notes);
	} else if (error != -ENOENT && error != -ECONNREFUSED) {
		note(ret_notes, "the gateway in %s can't be asked for bans: %s", cli->state,
		     strerror(-error));
	}
	json_decref(status);
}
