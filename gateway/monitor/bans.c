/* Bans: decided by auth/penalties, put into the firewall (new connections only), kept
 * in the state folder over a clean stop, and checked at accept in any case. */
#include <fcntl.h>
#include <stdio.h>
#include "gateway/base/clock.h"
#include "gateway/base/fd.h"
#include "gateway/base/log.h"
#include "gateway/monitor/monitor.h"
#include "policy/firewall.h"

#define BANS_FILE "bans.json"
#define BANS_MAX  (1u << 20)

static int to_firewall(struct monitor *m, const struct penalty *p)
{
	uint64_t now = clock_ms();
	struct firewall_ban ban = {.source = p->source};

	if (p->banned_until_ms <= now || !m->firewall_loaded)
		return 0;
	ban.seconds = (uint32_t)((p->banned_until_ms - now + 999) / 1000);
	return helper_send(&m->helpers[HELPER_FIREWALL], FIREWALL_BAN, &ban, sizeof ban, -1);
}

/* From the first that the firewall process had no room for. One that died is told all of them when
 * it was started again. */
void bans_go_on(struct monitor *m)
{
	while (m->bans_sent < PENALTIES_MAX &&
	       to_firewall(m, &m->penalties.list[m->bans_sent]) == 0)
		m->bans_sent++;
}

void bans_to_firewall(struct monitor *m)
{
	m->bans_sent = 0;
	bans_go_on(m);
}

void bans_failure(struct monitor *m, const struct connection *c, const char *reason)
{
	struct audit_event e;
	const struct penalty *p;
	char text[ADDRESS_TEXT];

	if (!penalty_failure(&m->penalties, &c->peer.ip, reason, clock_ms(), &p))
		return;
	event_from_connection(&e, EVENT_BAN, c);
	(void)string_copy(e.reason, sizeof e.reason, reason);
	(void)snprintf(e.detail, sizeof e.detail, "%s for %u s", network_format(&p->source, text),
		       m->penalties.for_s);
	(void)trail_put(m, &e);
	log_notice("banned %s for %u s: %u failures, the last: %s", text, m->penalties.for_s,
		   m->penalties.after, reason);
	if (to_firewall(m, p) < 0) /* a ban that it has already does not hurt */
		m->bans_sent = MIN(m->bans_sent, (size_t)(p - m->penalties.list));
}

static void ban_restore(struct monitor *m, json_t *row)
{
	const char *text = json_string_value(json_object_get(row, "source"));
	json_int_t until_s = json_integer_value(json_object_get(row, "until"));
	json_int_t now_s = (json_int_t)(clock_wall_ns() / 1000000000u);
	struct network source;

	if (text == NULL || network_parse(text, &source) < 0 || until_s <= now_s)
		return;
	/* Never longer than a new one: the clock may have been set back, or the policy changed. */
	until_s = MIN(until_s, now_s + (json_int_t)m->penalties.for_s);
	penalty_ban(&m->penalties, &source, "kept from before",
		    clock_ms() + (uint64_t)(until_s - now_s) * 1000);
}

void bans_load(struct monitor *m)
{
	OWNED_FD fd = openat(m->state_fd, BANS_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	OWNED_FREE char *text = NULL;
	json_t *root = NULL, *row;
	size_t len, k;

	m->penalties.after = m->policy->ban_after;
	m->penalties.within_s = m->policy->ban_within_s;
	m->penalties.for_s = m->policy->ban_for_s;
	m->bans_sent = PENALTIES_MAX;
	if (fd < 0)
		return;
	if (fd_read_all(fd, BANS_MAX, &text, &len) == 0)
		root = json_loadb(text, len, 0, NULL);
	if (root == NULL)
		log_warning("%s/%s can't be read: earlier bans are forgotten", m->state_path,
			    BANS_FILE);
	json_array_foreach(root, k, row) ban_restore(m, row);
	json_decref(root);
}

void bans_save(struct monitor *m)
{
	uint64_t now = clock_ms(), now_s = clock_wall_ns() / 1000000000u;
	OWNED_FREE char *text = NULL;
	json_t *root = json_array();
	char source[ADDRESS_TEXT];

	for (size_t k = 0; k < PENALTIES_MAX; k++) {
		const struct penalty *p = &m->penalties.list[k];

		if (p->banned_until_ms <= now)
			continue;
		json_array_append_new(
			root,
			json_pack("{s:s,s:I,s:s}", "source", network_format(&p->source, source),
				  "until", (json_int_t)(now_s + (p->banned_until_ms - now) / 1000),
				  "reason", p->reason));
	}
	text = json_dumps(root, 0);
	if (text == NULL || file_replace(m->state_fd, BANS_FILE, text, strlen(text), 0600) < 0)
		log_error("%s/%s can't be written: bans end with this run", m->state_path,
			  BANS_FILE);
	json_decref(root);
}
