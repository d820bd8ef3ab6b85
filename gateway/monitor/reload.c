/* A policy that is taken up while the gateway runs: all of it, or nothing. The file is read once;
 * what can fail is done and waited for first, in steps (disks, endpoints, identities; the
 * firewall's script; the authenticator's users; the audit event), each of which can be undone;
 * then it is in force. Asked for with a time to confirm, it goes back by itself. Runs in the
 * monitor. */
#include <stdarg.h>
#include <stdio.h>
#include "auth/store.h"
#include "gateway/base/bytes.h"
#include "gateway/base/clock.h"
#include "gateway/base/log.h"
#include "gateway/monitor/audit.h"
#include "gateway/monitor/bans.h"
#include "gateway/monitor/reload.h"
#include "policy/diff.h"

#define STEP_MS		 15000 /* for a helper to do its part; nft has 10 s */
#define GO_BACK_AGAIN_MS 10000
#define HASH_LEAST	 12 /* digits of --expect */

enum reload_step { STEP_NONE, STEP_ASKED, STEP_FIREWALL, STEP_SECRETS, STEP_AUDIT };

/* Under way. There is one at a time. */
static struct reload {
	struct monitor *m;
	enum reload_step step;
	struct setup setup;
	char who[64];			/* for the audit: "uid 0, pid 123" */
	bool asked;			/* a client waits for the answer */
	bool invalid;			/* the file has mistakes */
	bool was_loaded, loaded, taken; /* the firewall's script before, and now; the users */
	uint64_t event_id;
	struct timer timer;
	uint32_t confirm_within_s;
	char *said; /* what there was to say of the file, for the client */
	size_t said_len;
	char why[512];
} reload;

/* The policy that comes back if nobody confirms the one in force. */
static struct unconfirmed {
	struct monitor *m;
	char *text; /* NULL: nothing is to be confirmed */
	json_t *identities;
	uint64_t until_ms;
	struct timer timer;
} unconfirmed;

/* Of one that failed before it had to wait for anybody. */
static bool beginning;
static json_t *early;

/* --- the end of it --- */

PRINTF_LIKE(1, 2)
static void reload_why(const char *fmt, ...)
{
	va_list args;

	if (reload.why[0] != '\0')
		return; /* the first reason is the reason */
	va_start(args, fmt);
	(void)vsnprintf(reload.why, sizeof reload.why, fmt, args);
	va_end(args);
}

static void reload_free(struct monitor *m)
{
	loop_timer_clear(m->loop, &reload.timer);
	if (reload.setup.messages != NULL)
		(void)fclose(reload.setup.messages);
	free(reload.said);
	reload = (struct reload){0};
}

static void said_close(void)
{
	if (reload.setup.messages != NULL)
		(void)fclose(TAKE(reload.setup.messages));
}

static void answer(json_t *root)
{
	if (beginning)
		early = root;
	else if (reload.asked)
		control_answered("reload", root);
	else
		json_decref(root);
}

static void script_is_back(struct monitor *m, bool ok, const char *why)
{
	if (ok)
		return;
	log_error("the firewall has the rules of a policy that was not taken up, and the old ones "
		  "can't be loaded: %s; reload or restart",
		  why);
	trail_say(m, EVENT_FIREWALL, "not-loaded", "%s", why);
}

static void users_are_back(struct monitor *m, const struct auth_ready *ready)
{
	if (ready->taken != 1 && m->helpers[HELPER_AUTHENTICATOR].ready)
		log_error("the authenticator has the users of a policy that was not taken up: %s; "
			  "reload or restart",
			  ready->why);
}

/* What was prepared is undone: the old one is in force, whole. */
static void reload_fail(struct monitor *m)
{
	char hash[POLICY_HASH_TEXT] = "?";
	const char *why;

	said_close();
	if (reload.setup.policy != NULL)
		policy_hash_text(reload.setup.policy, hash);
	if (reload.loaded && (why = firewall_load(m, m->policy, script_is_back)) != NULL)
		script_is_back(m, m->helpers[HELPER_FIREWALL].pid == 0, why);
	/* What it was asked to load may be there later, or be there although it said no. */
	m->hours.firewall_due = true;
	if (reload.taken && (why = secrets_take_up(m, NULL, users_are_back)) != NULL &&
	    m->helpers[HELPER_AUTHENTICATOR].ready)
		log_error("the old users can't be given to the authenticator: %s", why);
	setup_undo(m, &reload.setup);
	policy_free(TAKE(reload.setup.policy));
	log_error("the policy was not taken up, the one before is in force, whole: %s", reload.why);
	trail_say(m, EVENT_POLICY, "not-reloaded", "%.12s, asked by %s: %.300s", hash, reload.who,
		  reload.why);
	answer(json_pack("{s:s,s:s,s:b}", "error", reload.why, "diagnostics",
			 reload.said ? reload.said : "", "invalid", (int)reload.invalid));
	reload_free(m);
}

/* --- to be confirmed --- */

static void unconfirmed_forget(struct monitor *m)
{
	loop_timer_clear(m->loop, &unconfirmed.timer);
	free(TAKE(unconfirmed.text));
	json_decref(TAKE(unconfirmed.identities));
	unconfirmed.until_ms = 0;
}

static void on_unconfirmed(struct timer *t);

static void unconfirmed_keep(struct monitor *m, const struct policy *before)
{
	uint64_t wait_ms = reload.confirm_within_s * 1000ull;

	unconfirmed_forget(m);
	if (wait_ms == 0)
		return;
	unconfirmed.m = m;
	unconfirmed.text = strdup(before->text);
	unconfirmed.identities = json_deep_copy(reload.setup.identities_before);
	unconfirmed.until_ms = clock_ms() + wait_ms;
	unconfirmed.timer.run = on_unconfirmed;
	loop_timer_set(m->loop, &unconfirmed.timer, unconfirmed.until_ms);
}

bool reload_is_under_way(void)
{
	return reload.step != STEP_NONE;
}

uint64_t reload_unconfirmed_ms(void)
{
	uint64_t now = clock_ms();

	if (unconfirmed.text == NULL)
		return 0;
	return unconfirmed.until_ms > now ? unconfirmed.until_ms - now : 1;
}

const char *reload_confirm(struct monitor *m)
{
	char hash[POLICY_HASH_TEXT];

	if (unconfirmed.text == NULL || reload.step != STEP_NONE)
		return "no policy waits to be confirmed";
	policy_hash_text(m->policy, hash);
	trail_say(m, EVENT_POLICY, "confirmed", "sha256 %s", hash);
	log_notice("the policy is confirmed");
	unconfirmed_forget(m);
	return NULL;
}

/* --- in force --- */

/* Who keeps something of the policy in force takes the new one's. */
static void (*const rooms[])(struct monitor *m) = {bans_reload,	       drift_forget,
						   coverage_reload,    hours_reload,
						   checkpoints_reload, settings_send};

static void reload_commit(struct monitor *m)
{
	struct policy *before = m->policy;
	char old[POLICY_HASH_TEXT], new[POLICY_HASH_TEXT];
	struct swapped swapped;

	said_close();
	policy_hash_text(before, old);
	policy_hash_text(reload.setup.policy, new);
	unconfirmed_keep(m, before);
	setup_commit(m, &reload.setup);
	reload.setup.policy = NULL; /* the monitor's */
	for (size_t k = 0; k < ARRAY_LEN(rooms); k++)
		rooms[k](m);
	connections_swap(m, before, &swapped);
	writers_reload(m);
	policy_free(before);
	seats_go_on(m);
	listen_admit(m);
	log_notice(
		"the policy %.12s is in force, and %.12s no more; sessions: %u kept, %u changed, "
		"%u asked to log out",
		new, old, swapped.kept, swapped.changed, swapped.ended);
	answer(json_pack("{s:b,s:s,s:s,s:i,s:i,s:i,s:i,s:s}", "reloaded", 1, "sha256", new,
			 "before", old, "kept", (int)swapped.kept, "changed", (int)swapped.changed,
			 "asked_to_log_out", (int)swapped.ended, "confirm_within_s",
			 (int)reload.confirm_within_s, "diagnostics",
			 reload.said ? reload.said : ""));
	reload_free(m);
}

/* --- the steps --- */

static void on_step_too_long(struct timer *t)
{
	static const char *const names[] = {
		[STEP_ASKED] = "the audit log",
		[STEP_FIREWALL] = "the firewall process",
		[STEP_SECRETS] = "the authenticator",
		[STEP_AUDIT] = "the audit log",
	};
	struct monitor *m = CONTAINER_OF(t, struct reload, timer)->m;

	reload_why("%s did not answer within %d s", names[reload.step], STEP_MS / 1000);
	reload_fail(m);
}

static void step_wait(struct monitor *m, enum reload_step step)
{
	reload.step = step;
	reload.timer.run = on_step_too_long;
	loop_timer_set(m->loop, &reload.timer, clock_ms() + STEP_MS);
}

static void event_wait(struct monitor *m, enum reload_step step, const struct audit_event *e)
{
	step_wait(m, step);
	reload.event_id = trail_well(m) ? trail_put(m, e) : 0;
	if (reload.event_id != 0)
		return;
	reload_why("the audit log can't be written now, and nothing changes unrecorded");
	reload_fail(m);
}

/* The event comes first: what is in force is in the audit. */
static void step_audit(struct monitor *m)
{
	struct audit_event e = {.kind = EVENT_POLICY, .reason = "reloaded"};
	char old[POLICY_HASH_TEXT], new[POLICY_HASH_TEXT];

	policy_hash_text(m->policy, old);
	policy_hash_text(reload.setup.policy, new);
	(void)snprintf(e.detail, sizeof e.detail, "sha256 %s, before %s, asked by %s", new, old,
		       reload.who);
	event_wait(m, STEP_AUDIT, &e);
}

static void on_users(struct monitor *m, const struct auth_ready *ready)
{
	const char *why = NULL;

	if (reload.step != STEP_SECRETS) { /* too late: that policy was given up */
		if (ready->taken == 1 && !m->stopping)
			why = secrets_take_up(m, NULL, users_are_back);
		if (why != NULL)
			log_error("the old users can't be given to the authenticator: %s", why);
		return;
	}
	reload.taken = ready->taken == 1;
	if (reload.taken)
		return step_audit(m);
	reload_why("the authenticator does not take the policy's users and keys: %s", ready->why);
	reload_fail(m);
}

static void step_secrets(struct monitor *m)
{
	const char *why;

	step_wait(m, STEP_SECRETS);
	why = secrets_take_up(m, &reload.setup, on_users);
	if (why == NULL)
		return;
	reload_why("%s", why);
	reload_fail(m);
}

/* A firewall that could not be loaded before is no reason not to go on without it. */
static void on_script(struct monitor *m, bool ok, const char *why)
{
	if (reload.step != STEP_FIREWALL)
		return;
	reload.loaded = ok;
	if (ok || !reload.was_loaded)
		return step_secrets(m);
	reload_why("the firewall refuses the policy's rules: %s", why);
	reload_fail(m);
}

static void step_firewall(struct monitor *m)
{
	const char *why;

	if (!m->policy->manage_firewall)
		return step_secrets(m);
	reload.was_loaded = m->firewall_loaded;
	step_wait(m, STEP_FIREWALL);
	why = firewall_load(m, reload.setup.policy, on_script);
	if (why == NULL)
		return;
	reload_why("%s", why);
	reload_fail(m);
}

/* What an operator asked for is on record before it is begun; a signal, and a policy that goes back
 * because nobody confirmed the one after it, are put there now. */
static void step_asked(struct monitor *m)
{
	struct audit_event e = {.kind = EVENT_POLICY, .reason = "reloading"};
	char new[POLICY_HASH_TEXT];

	if (reload.asked)
		return step_firewall(m);
	policy_hash_text(reload.setup.policy, new);
	(void)snprintf(e.detail, sizeof e.detail, "sha256 %s, asked by %s", new, reload.who);
	event_wait(m, STEP_ASKED, &e);
}

/* An event became durable. */
void reload_go_on(struct monitor *m)
{
	if (m->trail.written < reload.event_id)
		return;
	if (reload.step == STEP_ASKED)
		step_firewall(m);
	else if (reload.step == STEP_AUDIT)
		reload_commit(m);
}

void reload_helper_gone(struct monitor *m, enum helper_kind kind)
{
	bool had = (kind == HELPER_FIREWALL && reload.loaded) ||
		   (kind == HELPER_AUTHENTICATOR && reload.taken);

	if (reload.step == STEP_NONE || !had)
		return; /* one that is being asked answers that it is gone */
	reload_why("the %s ended meanwhile", helper_name(kind));
	reload_fail(m);
}

/* --- the beginning --- */

/* For who asked by a signal. */
static void mistakes_log(void)
{
	if (reload.asked || fflush(reload.setup.messages) != 0)
		return;
	for (const char *line = reload.said; *line != '\0';) {
		size_t len = strcspn(line, "\n");

		log_error("%.*s", (int)MIN(len, 1000), line);
		line += len + (line[len] == '\n');
	}
}

/* Going back (`kept`) asks for no secret: one may have been removed since, and its user alone stays
 * out. */
static int policy_take(struct monitor *m, const char *kept)
{
	OWNED_BY(store_list_free) struct store_list secrets = {0}; /* read once, for all names */
	struct policy_options options = {
		.messages = reload.setup.messages,
		.in_force = kept != NULL,
		.state = m->state_path,
		.secret_known = kept == NULL ? store_list_knows : NULL,
		.arg = &secrets,
	};
	struct policy **p = &reload.setup.policy;
	char why[512];
	int r = 0;

	if (kept == NULL && (r = store_list_load(m->state_fd, &secrets, why, sizeof why)) < 0) {
		reload_why("%s", why);
		return r;
	}
	r = kept != NULL ? policy_parse(m->policy_path, kept, strlen(kept), &options, p)
			 : policy_load(m->policy_path, &options, p);

	if (r == -EINVAL) {
		reload_why("%s has mistakes", m->policy_path);
		reload.invalid = true;
		mistakes_log();
	} else if (r < 0)
		reload_why("%s can't be read: %s", m->policy_path, strerror(-r));
	return r;
}

static int policy_check(struct monitor *m, const char *expect)
{
	char hash[POLICY_HASH_TEXT];
	const char *fixed = policy_needs_restart(m->policy, reload.setup.policy);

	policy_hash_text(reload.setup.policy, hash);
	if (strncmp(hash, expect, strlen(expect)) != 0) {
		reload_why(
			"%s has the hash %s, and not the one that was planned: see what it would "
			"change (sallyport plan)",
			m->policy_path, hash);
		return -ESTALE;
	}
	if (fixed != NULL) {
		reload_why("%s can't change while the gateway runs: it needs a restart", fixed);
		return -EBUSY;
	}
	return 0;
}

static int reload_prepare(struct monitor *m, const char *expect, const char *kept)
{
	int r = policy_take(m, kept);

	if (r < 0 || (r = policy_check(m, expect)) < 0)
		return r;
	r = setup_prepare(m, &reload.setup);
	if (r == 0)
		r = listeners_prepare(m, &reload.setup);
	if (r < 0)
		reload_why("what the policy needs can't be had");
	return r;
}

static const char *may_begin(const struct monitor *m)
{
	if (!m->serving || m->stopping)
		return m->stopping ? "the gateway is stopping" : "the gateway is not ready yet";
	if (reload.step != STEP_NONE)
		return "a reload is under way: again in a moment";
	return NULL;
}

static void reload_begin(struct monitor *m, const struct reload_request *q, const char *kept)
{
	reload.m = m;
	reload.setup = (struct setup){.goes_back = kept != NULL};
	reload.setup.identities_restored = kept != NULL ? unconfirmed.identities : NULL;
	reload.setup.messages = open_memstream(&reload.said, &reload.said_len);
	reload.asked = q->asked;
	reload.confirm_within_s = q->confirm_within_s;
	(void)string_copy(reload.who, sizeof reload.who, q->who);
	if (reload.setup.messages == NULL || reload_prepare(m, q->expect, kept) < 0) {
		reload_why("no memory");
		return reload_fail(m);
	}
	step_asked(m);
}

static const char *refused_at_once(const struct monitor *m, const struct reload_request *q)
{
	static char why[200];

	if (strlen(q->expect) > 0 && strlen(q->expect) < HASH_LEAST)
		return "the hash that is expected has 12 digits at least, as plan prints it";
	if (may_begin(m) != NULL || unconfirmed.text == NULL)
		return may_begin(m);
	(void)snprintf(why, sizeof why,
		       "the policy in force is not confirmed yet: sallyport reload --confirm, or "
		       "wait %ju s until it goes back",
		       (uintmax_t)(reload_unconfirmed_ms() + 999) / 1000);
	return why;
}

json_t *reload_ask(struct monitor *m, const struct reload_request *q)
{
	const char *why = refused_at_once(m, q);

	if (why != NULL) {
		log_error("the policy is not taken up: %s", why);
		return json_pack("{s:s}", "error", why);
	}
	beginning = true;
	reload_begin(m, q, NULL);
	beginning = false;
	return early != NULL ? TAKE(early) : json_null();
}

/* Tried until it works: nobody confirmed what is in force. */
static void on_unconfirmed(struct timer *t)
{
	static const struct reload_request back = {.expect = "",
						   .who = "nobody: it was not confirmed"};
	struct monitor *m = CONTAINER_OF(t, struct unconfirmed, timer)->m;
	OWNED_FREE char *kept = NULL;

	loop_timer_set(m->loop, t, clock_ms() + GO_BACK_AGAIN_MS);
	if (may_begin(m) != NULL)
		return;
	kept = strdup(unconfirmed.text);
	if (kept == NULL)
		return;
	log_warning("nobody confirmed the policy: the one before comes back. What is in %s now was "
		    "not confirmed",
		    m->policy_path);
	reload_begin(m, &back, kept);
}

void reload_close(struct monitor *m)
{
	if (reload.step != STEP_NONE) {
		setup_undo(m, &reload.setup);
		policy_free(TAKE(reload.setup.policy));
	}
	reload_free(m);
	unconfirmed_forget(m);
}
