/* Bans over a restart: bans.json in the state folder, written when a ban is new (at most every ten
 * seconds) and at a clean stop. Times in it are of the wall clock. What it says is bounded by the
 * policy: the clock may have been set back, or the file be an older one. */
#include <fcntl.h>
#include "gateway/base/clock.h"
#include "gateway/base/fd.h"
#include "gateway/base/log.h"
#include "gateway/monitor/bans.h"
#include "policy/firewall.h"
#include "policy/firewall_netlink.h"

#define BANS_FILE     "bans.json"
#define BANS_MAX      (4u << 20)
#define SAVE_EVERY_MS 10000

static json_int_t wall_s(void)
{
	return (json_int_t)(clock_wall_ns() / 1000000000u);
}

static void ban_restore(struct monitor *m, json_t *row)
{
	const char *text = json_string_value(json_object_get(row, "source"));
	const char *reason = json_string_value(json_object_get(row, "reason"));
	json_int_t until_s = json_integer_value(json_object_get(row, "until"));
	json_int_t since_s = json_integer_value(json_object_get(row, "since"));
	json_int_t repeats = json_integer_value(json_object_get(row, "repeats"));
	json_int_t now_s = wall_s(), cap_s = m->penalties.rules.cap_s, longest_s;
	int64_t now = (int64_t)clock_ms();
	struct penalty p = {.kind = PENALTY_BANNED, .news = true, .login_ms = (uint64_t)now};

	p.by_operator = json_is_true(json_object_get(row, "by_operator"));
	longest_s = p.by_operator ? FIREWALL_BAN_SECONDS_MAX : cap_s;
	if (text == NULL || network_parse(text, &p.source) < 0 ||
	    firewall_ban_refused(&p.source) != NULL || until_s <= now_s - cap_s ||
	    (!p.by_operator && penalty_is_exempt(&m->penalties, &p.source)))
		return;
	if (json_is_true(json_object_get(row, "slowed")))
		p.kind = PENALTY_SLOWED;
	p.since_ms = now - 1000 * (now_s - MIN(MAX(since_s, 0), now_s));
	p.until_ms = now + 1000 * MIN(until_s - now_s, longest_s);
	p.repeats = (uint8_t)MIN(MAX(repeats, 0), UINT8_MAX);
	(void)string_copy(p.reason, sizeof p.reason, reason ? reason : "kept from before");
	IGNORE_RESULT(penalty_put(&m->penalties, &p, (uint64_t)now)); /* as many as there is room */
}

void bans_load(struct monitor *m)
{
	OWNED_FD fd = openat(m->state_fd, BANS_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	OWNED_FREE char *text = NULL;
	json_t *root = NULL, *row;
	size_t len, k;

	bans_rules(m);
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
	int64_t now = (int64_t)clock_ms(), cap_ms = (int64_t)m->penalties.rules.cap_s * 1000;
	json_int_t now_s = wall_s();
	OWNED_FREE char *text = NULL;
	json_t *root = json_array();
	char source[ADDRESS_TEXT];

	for (size_t k = 0; k < m->penalties.bans_end; k++) {
		const struct penalty *p = &m->penalties.bans[k];

		if ((p->kind != PENALTY_BANNED && p->kind != PENALTY_SLOWED) ||
		    p->until_ms + cap_ms <= now)
			continue;
		json_array_append_new(root, json_pack("{s:s,s:I,s:I,s:s,s:i,s:b,s:b}", "source",
						      network_format(&p->source, source), "since",
						      now_s - (now - p->since_ms) / 1000, "until",
						      now_s + (p->until_ms - now) / 1000, "reason",
						      p->reason, "repeats", (int)p->repeats,
						      "slowed", p->kind == PENALTY_SLOWED,
						      "by_operator", p->by_operator));
	}
	text = json_dumps(root, JSON_COMPACT);
	if (text == NULL || file_replace(m->state_fd, BANS_FILE, text, strlen(text), 0600) < 0)
		log_error("%s/%s can't be written: bans end with this run", m->state_path,
			  BANS_FILE);
	json_decref(root);
	m->bans_unsaved = false;
	m->bans_saved_ms = (uint64_t)now;
}

void bans_tick(struct monitor *m)
{
	if (m->bans_unsaved && clock_ms() >= m->bans_saved_ms + SAVE_EVERY_MS)
		bans_save(m);
}
