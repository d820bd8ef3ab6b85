/* Every fact of a policy as a text, in one table: two policies differ where these texts do. Runs in
 * the monitor and the command line, on what the compiler has checked. */
#include <stdio.h>
#include "gateway/base/when.h"
#include "policy/facts.h"
#include "policy/types.h"

/* --- settings ----------------------------------------------------------------------------- */

static void write_yes(struct text *t, bool yes)
{
	text_add(t, "%s", yes ? "true" : "false");
}

static void write_ms(struct text *t, uint64_t ms)
{
	char text[QUANTITY_TEXT];

	text_add(t, "%s", duration_format(ms, text));
}

static void write_octets(struct text *t, uint64_t octets)
{
	char text[QUANTITY_TEXT];

	text_add(t, "%s", size_format(octets, text));
}

static void write_algorithms(struct text *t, uint32_t bits)
{
	static const char *const names[] = {
		[5] = "md5", [6] = "sha1", [7] = "sha256", [8] = "sha3-256"};
	struct text_list list = {0};

	for (size_t k = 5; k < ARRAY_LEN(names); k++)
		if (bits & 1U << k)
			text_list_add(&list, "%s", names[k]);
	text_list_join(&list, t);
}

static void auth_algorithms(struct text *t, const struct side *s)
{
	write_algorithms(t, s->policy->algorithms);
}

static void audit_commands(struct text *t, const struct side *s)
{
	text_add(t, "%s", s->policy->audit_writes_only ? "writes" : "all");
}

static void firewall_on_drift(struct text *t, const struct side *s)
{
	text_add(t, "%s", s->policy->restore_firewall ? "restore" : "report");
}

static void write_names(struct text *t, char *const *names, size_t count)
{
	struct text_list list = {0};

	for (size_t k = 0; k < count; k++)
		text_list_add(&list, "%s", names[k]);
	text_list_join(&list, t);
}

static void gateway_roots(struct text *t, const struct side *s)
{
	write_names(t, s->policy->disk_roots, s->policy->disk_root_count);
}

static void gateway_operators(struct text *t, const struct side *s)
{
	write_names(t, s->policy->operators, s->policy->operator_count);
}

static void gateway_decoys(struct text *t, const struct side *s)
{
	write_names(t, s->policy->decoys, s->policy->decoy_count);
}

static void write_networks(struct text *t, const struct network *networks, size_t count)
{
	struct text_list list = {0};
	char text[ADDRESS_TEXT];

	for (size_t k = 0; k < count; k++)
		text_list_add(&list, "%s", network_format(&networks[k], text));
	text_list_join(&list, t);
}

static void bans_exempt(struct text *t, const struct side *s)
{
	write_networks(t, s->policy->ban_exempt, s->policy->ban_exempt_count);
}

static void gateway_io(struct text *t, const struct side *s)
{
	static const char *const names[] = {"", "auto", "uring", "threads"};

	text_add(t, "%s", names[s->policy->io]);
}

/* --- portals ------------------------------------------------------------------------------ */

static void portal_listen(struct text *t, const struct side *s)
{
	struct text_list list = {0};
	char text[ADDRESS_TEXT];

	for (size_t k = 0; k < s->portal->listen_count; k++) {
		struct endpoint e = s->portal->listen[k];
		const char *interface = s->portal->interfaces[k];

		e.ip.scope = 0; /* the name says it, whatever its number is today */
		text_list_add(&list, "%s%s%s", endpoint_format(&e, text),
			      interface[0] ? " on " : "", interface);
	}
	text_list_join(&list, t);
}

static void portal_transport(struct text *t, const struct side *s)
{
	char text[TRANSPORT_TEXT];

	text_add(t, "%s", policy_transport_text(s->portal, text));
}

static void portal_advertise(struct text *t, const struct side *s)
{
	struct text_list list = {0};
	char text[ADDRESS_TEXT];

	for (size_t k = 0; k < s->portal->advertise_count; k++)
		text_list_add(&list, "%s", endpoint_format(&s->portal->advertise[k], text));
	text_list_join(&list, t);
}

static void portal_proxies(struct text *t, const struct side *s)
{
	write_networks(t, s->portal->proxies, s->portal->proxy_count);
}

/* --- disks -------------------------------------------------------------------------------- */

static void disk_backend(struct text *t, const struct side *s)
{
	static const char *const names[] = {"", "file", "device", "memory"};

	text_add(t, "%s ", names[s->disk->kind]);
	if (s->disk->kind == POLICY_MEMORY)
		write_octets(t, s->disk->size_bytes);
	else
		text_add(t, "%s", s->disk->path);
}

/* Of a file: it has this size, or none of it would run. */
static void disk_size(struct text *t, const struct side *s)
{
	if (s->disk->kind == POLICY_FILE && s->disk->size_bytes > 0)
		write_octets(t, s->disk->size_bytes);
}

static void write_wish(struct text *t, enum policy_wish wish)
{
	if (wish != POLICY_AS_FOUND)
		write_yes(t, wish == POLICY_YES);
}

static void disk_thin(struct text *t, const struct side *s)
{
	write_wish(t, s->disk->thin);
}

static void disk_rotational(struct text *t, const struct side *s)
{
	write_wish(t, s->disk->rotational);
}

static void disk_cache(struct text *t, const struct side *s)
{
	text_add(t, "%s", s->disk->direct ? "none" : "page");
}

static void disk_writers(struct text *t, const struct side *s)
{
	text_add(t, "%s", s->disk->cluster ? "cluster" : "one");
}

static void identity_naa(struct text *t, const struct side *s)
{
	for (size_t k = 0; k < s->disk->identity.naa_len; k++)
		text_add(t, "%02x", s->disk->identity.naa[k]);
}

/* In order: the last name first. */
static void disk_formerly(struct text *t, const struct side *s)
{
	for (size_t k = 0; k < s->disk->formerly_count; k++)
		text_add(t, "%s%s", k > 0 ? ", " : "", s->disk->formerly[k]);
}

/* --- targets ------------------------------------------------------------------------------ */

static void target_alias(struct text *t, const struct side *s)
{
	text_add(t, "%s", s->target->alias ? s->target->alias : "");
}

static void target_portals(struct text *t, const struct side *s)
{
	struct text_list list = {0};

	for (size_t k = 0; k < s->target->portal_count; k++)
		text_list_add(&list, "%s", s->policy->portals[s->target->portals[k]].name);
	text_list_join(&list, t);
}

static void target_digests(struct text *t, const struct side *s)
{
	text_add(t, "%s", s->target->limits.digests_required ? "required" : "offered");
}

static void lun_disk(struct text *t, const struct side *s)
{
	text_add(t, "%s", s->policy->disks[s->lun->disk].name);
}

/* --- initiators --------------------------------------------------------------------------- */

static void initiator_from(struct text *t, const struct side *s)
{
	write_networks(t, s->initiator->from, s->initiator->from_count);
}

static void chap_algorithms(struct text *t, const struct side *s)
{
	write_algorithms(t, s->initiator->algorithms);
}

/* Who goes by auth.algorithms changes with it, which is told there. */
static bool same_algorithms(const struct side *a, const struct side *b)
{
	return a->initiator->algorithms == b->initiator->algorithms ||
	       (a->initiator->algorithms == a->policy->algorithms &&
		b->initiator->algorithms == b->policy->algorithms);
}

static void access_may(struct text *t, const struct side *s)
{
	text_add(t, "%s", s->access->writable ? "read-write" : "read-only");
}

static void write_commands(struct text *t, const struct command_set *set)
{
	size_t count;
	const struct command_name *rows = command_names(&count);
	struct text_list list = {0};

	for (size_t k = 0; k < count; k++)
		if (command_set_has(set, &rows[k]))
			text_list_add(&list, "%s", rows[k].policy_name);
	text_list_join(&list, t);
}

static void rule_deny(struct text *t, const struct side *s)
{
	write_commands(t, &s->initiator->denied);
}

static void rule_allow(struct text *t, const struct side *s)
{
	write_commands(t, &s->initiator->allowed);
}

static void rule_protect(struct text *t, const struct side *s)
{
	struct text_list list = {0};

	for (size_t k = 0; k < s->initiator->range_count; k++) {
		const struct policy_range *r = &s->initiator->ranges[k];
		char lun[16] = "";

		if (r->lun >= 0)
			(void)snprintf(lun, sizeof lun, "LUN %d ", r->lun);
		text_list_add(&list, "%sblocks %llu-%llu from %s", lun,
			      (unsigned long long)r->first, (unsigned long long)r->last,
			      r->reads ? "reads and writes" : "writes");
	}
	text_list_join(&list, t);
}

static void initiator_until(struct text *t, const struct side *s)
{
	char text[WHEN_TEXT];

	if (s->initiator->until_s != 0)
		text_add(t, "%s",
			 when_format((uint64_t)s->initiator->until_s * UINT64_C(1000000000), true,
				     text));
}

static void initiator_hours(struct text *t, const struct side *s)
{
	text_add(t, "%s", s->initiator->hours.text ? s->initiator->hours.text : "");
}

static void initiator_sessions(struct text *t, const struct side *s)
{
	if (s->initiator->sessions > 0)
		text_add(t, "%u", s->initiator->sessions);
}

static uint32_t line_proxies(const struct side *s)
{
	return s->portal->proxies_line ? s->portal->proxies_line : s->portal->line;
}

static uint32_t line_until(const struct side *s)
{
	return s->initiator->until_line;
}

static uint32_t line_hours(const struct side *s)
{
	return s->initiator->hours.line;
}

static uint32_t line_sessions(const struct side *s)
{
	return s->initiator->sessions_line;
}

static uint32_t line_pin(const struct side *s)
{
	return s->initiator->pin_line;
}

static uint32_t line_from(const struct side *s)
{
	return s->initiator->from_line ? s->initiator->from_line : s->initiator->line;
}

static uint32_t line_chap(const struct side *s)
{
	return s->initiator->chap_line;
}

static uint32_t line_denied(const struct side *s)
{
	return s->initiator->denied_line;
}

static uint32_t line_allowed(const struct side *s)
{
	return s->initiator->allowed_line;
}

static void rule_limits(struct text *t, const struct side *s)
{
	const struct policy_initiator *i = s->initiator;
	char text[LIMITS_TEXT];

	text_add(t, "%s", policy_limits_text(&i->rates, text));
	for (size_t k = 0; k < i->access_count; k++)
		if (policy_limits_text(&i->access[k].rates, text)[0])
			text_add(t, "%sLUN %u: %s", t->len > 0 ? "; " : "", i->access[k].lun, text);
}

static uint32_t line_limits(const struct side *s)
{
	return s->initiator->rates_line;
}

static uint32_t line_protect(const struct side *s)
{
	return s->initiator->range_count > 0 ? s->initiator->ranges[0].line : 0;
}

/* --- the table ---------------------------------------------------------------------------- */

#define IN_POLICY(field)    .offset = offsetof(struct policy, field)
#define IN_PORTAL(field)    .offset = offsetof(struct policy_portal, field)
#define IN_DISK(field)	    .offset = offsetof(struct policy_disk, field)
#define IN_TARGET(field)    .offset = offsetof(struct policy_target, field)
#define IN_INITIATOR(field) .offset = offsetof(struct policy_initiator, field)

const struct fact facts[] = {
	{OF_SETTING, "auth.algorithms", 0, .write = auth_algorithms},
	{OF_SETTING, "auth.bans.after", 0, FORM_NUMBER, IN_POLICY(ban_after)},
	{OF_SETTING, "auth.bans.within", 0, FORM_SECONDS, IN_POLICY(ban_within_s)},
	{OF_SETTING, "auth.bans.for", 0, FORM_SECONDS, IN_POLICY(ban_for_s)},
	{OF_SETTING, "auth.bans.cap", 0, FORM_SECONDS, IN_POLICY(ban_cap_s)},
	{OF_SETTING, "auth.bans.exempt", 0, .write = bans_exempt},
	{OF_SETTING, "firewall.manage", 0, FORM_YES, IN_POLICY(manage_firewall)},
	{OF_SETTING, "firewall.on_drift", 0, .write = firewall_on_drift},
	{OF_SETTING, "audit.commands", 0, .write = audit_commands},
	{OF_SETTING, "audit.durability", 0, .write = audit_durability},
	{OF_SETTING, "audit.outcomes", 0, .write = audit_outcomes},
	{OF_SETTING, "audit.keep.for", 0, .write = keep_for},
	{OF_SETTING, "audit.keep.at_most", 0, .write = keep_at_most},
	{OF_SETTING, "audit.space.warn", 0, .write = space_warn},
	{OF_SETTING, "audit.space.refuse", 0, .write = space_refuse},
	{OF_SETTING, "audit.space.stop", 0, .write = space_stop},
	{OF_SETTING, "audit.space.reserve", 0, .write = space_reserve},
	{OF_SETTING, "audit.checkpoints.file", 0, .write = checkpoints_file},
	{OF_SETTING, "audit.checkpoints.command", 0, .write = checkpoints_command},
	{OF_SETTING, "audit.checkpoints.syslog", 0, .write = checkpoints_syslog},
	{OF_SETTING, "gateway.disk_roots", 0, .write = gateway_roots},
	{OF_SETTING, "gateway.operators", 0, .write = gateway_operators},
	{OF_SETTING, "gateway.decoys", 0, .write = gateway_decoys},
	{OF_SETTING, "gateway.login_timeout", 0, FORM_MS, IN_POLICY(login_timeout_ms)},
	{OF_SETTING, "gateway.logins_at_once", 0, FORM_NUMBER, IN_POLICY(logins_at_once)},
	{OF_SETTING, "gateway.connections", 0, FORM_NUMBER, IN_POLICY(connections)},
	{OF_SETTING, "gateway.ping.every", 0, FORM_MS, IN_POLICY(ping_every_ms)},
	{OF_SETTING, "gateway.ping.misses", 0, FORM_NUMBER, IN_POLICY(ping_misses)},
	{OF_SETTING, "gateway.grace", 0, FORM_MS, IN_POLICY(grace_ms)},
	{OF_SETTING, "gateway.io", 0, .write = gateway_io},

	{OF_PORTAL, "listen", FACT_MAIN, .write = portal_listen},
	{OF_PORTAL, "transport", FACT_MAIN, .write = portal_transport},
	{OF_PORTAL, "accept_risk", 0, FORM_YES, IN_PORTAL(accept_risk)},
	{OF_PORTAL, "group", 0, FORM_TEXT, IN_PORTAL(group)},
	{OF_PORTAL, "advertise", 0, .write = portal_advertise},
	{OF_PORTAL, "certificate", 0, .write = portal_certificate},
	{OF_PORTAL, "key", 0, .write = portal_key},
	{OF_PORTAL, "client_ca", 0, .write = portal_client_ca},
	{OF_PORTAL, "crl", 0, .write = portal_crl},
	{OF_PORTAL, "allow_tls12", 0, .write = portal_tls12},
	{OF_PORTAL, "proxy_from", 0, .write = portal_proxies, .line = line_proxies},

	{OF_DISK, "name", FACT_SESSION, FORM_TEXT, IN_DISK(name)},
	{OF_DISK, "backend", FACT_MAIN | FACT_SESSION, .write = disk_backend},
	{OF_DISK, "size", FACT_MAIN, .write = disk_size},
	{OF_DISK, "read_only", 0, FORM_YES, IN_DISK(read_only)},
	{OF_DISK, "block_size", FACT_SESSION, FORM_NUMBER, IN_DISK(block_size)},
	{OF_DISK, "physical_block_size", FACT_SESSION, FORM_NUMBER, IN_DISK(physical_block_size)},
	{OF_DISK, "identity.naa", FACT_SESSION, .write = identity_naa},
	{OF_DISK, "identity.serial", FACT_SESSION, FORM_TEXT, IN_DISK(identity.serial)},
	{OF_DISK, "identity.vendor", FACT_SESSION, FORM_TEXT, IN_DISK(identity.vendor)},
	{OF_DISK, "identity.product", FACT_SESSION, FORM_TEXT, IN_DISK(identity.product)},
	{OF_DISK, "formerly", 0, .write = disk_formerly},
	{OF_DISK, "thin", FACT_SESSION, .write = disk_thin},
	{OF_DISK, "write_cache", FACT_SESSION, FORM_YES, IN_DISK(write_cache)},
	{OF_DISK, "cache", FACT_SESSION, .write = disk_cache},
	{OF_DISK, "rotational", FACT_SESSION, .write = disk_rotational},
	{OF_DISK, "removable", FACT_SESSION, FORM_YES, IN_DISK(removable)},
	{OF_DISK, "writers", 0, .write = disk_writers},
	{OF_DISK, "writer_lease", 0, FORM_MS, IN_DISK(writer_lease_ms)},
	{OF_DISK, "durability", 0, .write = disk_durability},

	{OF_TARGET, "alias", 0, .write = target_alias},
	{OF_TARGET, "portals", FACT_MAIN, .write = target_portals},
	{OF_TARGET, "digests", 0, .write = target_digests},
	{OF_TARGET, "first_burst", 0, FORM_OCTETS, IN_TARGET(limits.first_burst)},
	{OF_TARGET, "max_burst", 0, FORM_OCTETS, IN_TARGET(limits.max_burst)},
	{OF_TARGET, "max_r2t", 0, FORM_NUMBER, IN_TARGET(limits.max_r2t)},
	{OF_TARGET, "immediate_data", 0, FORM_YES, IN_TARGET(limits.immediate_data)},
	{OF_TARGET, "initial_r2t", 0, FORM_YES, IN_TARGET(limits.initial_r2t)},
	{OF_TARGET, "queue_depth", 0, FORM_NUMBER, IN_TARGET(limits.queue_depth)},
	{OF_TARGET, "max_connections", 0, FORM_NUMBER, IN_TARGET(limits.max_connections)},
	{OF_TARGET, "error_recovery", 0, FORM_NUMBER, IN_TARGET(limits.error_recovery)},
	{OF_TARGET, "redirect", 0, FORM_TEXT, IN_TARGET(redirect)},

	{OF_LUN, "disk", FACT_MAIN, .write = lun_disk},

	{OF_INITIATOR, "from", FACT_MAIN, .write = initiator_from, .line = line_from},
	{OF_INITIATOR, "chap.user", FACT_MAIN, FORM_TEXT, IN_INITIATOR(user), .line = line_chap},
	{OF_INITIATOR, "chap.mutual", 0, FORM_TEXT, IN_INITIATOR(mutual), .line = line_chap},
	{OF_INITIATOR, "chap.algorithms", 0, .write = chap_algorithms, .line = line_chap,
	 .same = same_algorithms},
	{OF_INITIATOR, "until", 0, .write = initiator_until, .line = line_until},
	{OF_INITIATOR, "hours", 0, .write = initiator_hours, .line = line_hours},
	{OF_INITIATOR, "certificate", 0, .write = initiator_certificate, .line = line_pin},
	{OF_INITIATOR, "sessions", 0, .write = initiator_sessions, .line = line_sessions},

	{OF_ACCESS, "access", FACT_MAIN, .write = access_may},

	{OF_RULE, "deny", 0, .write = rule_deny, .line = line_denied},
	{OF_RULE, "allow", 0, .write = rule_allow, .line = line_allowed},
	{OF_RULE, "protect", 0, .write = rule_protect, .line = line_protect},
	{OF_RULE, "limits", 0, .write = rule_limits, .line = line_limits},
};
const size_t fact_count = ARRAY_LEN(facts);

static const void *side_thing(const struct side *s, enum difference_of of)
{
	const void *const things[OF_KINDS] = {
		[OF_SETTING] = s->policy, [OF_PORTAL] = s->portal,  [OF_DISK] = s->disk,
		[OF_TARGET] = s->target,  [OF_LUN] = s->lun,	    [OF_INITIATOR] = s->initiator,
		[OF_ACCESS] = s->access,  [OF_RULE] = s->initiator,
	};

	return things[of];
}

void fact_write(const struct fact *f, struct text *t, const struct side *s)
{
	const char *at = (const char *)side_thing(s, f->of) + f->offset;
	uint32_t number = 0;
	bool yes = false;

	if (f->form == FORM_YES)
		memcpy(&yes, at, sizeof yes);
	else if (f->form != FORM_WRITTEN && f->form != FORM_TEXT)
		memcpy(&number, at, sizeof number);
	switch (f->form) {
	case FORM_WRITTEN:
		return f->write(t, s);
	case FORM_YES:
		return write_yes(t, yes);
	case FORM_NUMBER:
		return text_add(t, "%u", number);
	case FORM_OCTETS:
		return write_octets(t, number);
	case FORM_MS:
		return write_ms(t, number);
	case FORM_SECONDS:
		return write_ms(t, number * UINT64_C(1000));
	case FORM_TEXT:
		return text_add(t, "%s", at);
	}
}

uint32_t side_line(const struct side *s, enum difference_of of)
{
	switch (of) {
	case OF_PORTAL:
		return s->portal->line;
	case OF_DISK:
		return s->disk->line;
	case OF_TARGET:
		return s->target->line;
	case OF_LUN:
		return s->lun->line;
	case OF_INITIATOR:
		return s->initiator->line;
	case OF_ACCESS:
		return s->access->line;
	default:
		return 0;
	}
}

bool disk_is_same(const struct policy_disk *before, const struct policy_disk *after,
		  const char **ret_key)
{
	struct side a = {.disk = before}, b = {.disk = after};
	struct text x = {0}, y = {0};
	bool same = true;

	for (size_t k = 0; k < fact_count && same; k++) {
		if (facts[k].of != OF_DISK || !(facts[k].flags & FACT_SESSION))
			continue;
		text_clear(&x);
		text_clear(&y);
		fact_write(&facts[k], &x, &a);
		fact_write(&facts[k], &y, &b);
		/* Out of memory: better once too often than a session on another's disk. */
		same = !x.failed && !y.failed && x.len == y.len &&
		       (x.len == 0 || memcmp(x.text, y.text, x.len) == 0);
		if (!same)
			*ret_key = facts[k].key;
	}
	text_free(&x);
	text_free(&y);
	return same;
}
