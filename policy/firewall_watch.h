/* Watching over our tables in the kernel: what was loaded is the reference; what differs later is
 * drift, which is told and, when the policy wants it, put back. Used by the firewall process alone.
 */
#pragma once

#include "policy/firewall.h"
#include "policy/firewall_live.h"

/* When what was found may be acted upon: at once the first time, then after 1 s, 2 s, 4 s … and at
 * last once a minute, while somebody goes on changing it; at once again when it held for 5 min. */
struct firewall_pace {
	unsigned times; /* in a row */
	uint64_t last_ms;
};
uint64_t firewall_pace_next(const struct firewall_pace *p, uint64_t now_ms); /* <= now: at once */
void firewall_pace_count(struct firewall_pace *p, uint64_t now_ms);

struct firewall_watch {
	const char *nft;
	int script_fd; /* what is loaded; -1: nothing */
	int forget_fd; /* a script that removes the bans' table, for one that can't be mended */
	bool restore;
	uint32_t look_ms;
	struct firewall_events events;
	struct firewall_reading *reference; /* NULL: none */
	bool drifted, blind;
	unsigned failures;		 /* looks in a row that read nothing */
	struct firewall_changes changes; /* as they were told last */
	struct firewall_pace pace;
	uint64_t looked_ms, next_ms; /* the last look, the next one */
	void (*tell)(struct firewall_watch *w, const struct firewall_drift *drift);
};

/* Before the sandbox. Without news from the kernel (a warning says why) there is the look. */
int firewall_watch_open(struct firewall_watch *w) MUST_CHECK;
void firewall_watch_close(struct firewall_watch *w);

/* Loads the script and makes what it means the reference. Takes *fd over when it succeeds. */
int firewall_watch_load(struct firewall_watch *w, int *fd, const struct firewall_load *how,
			char *ret_why, size_t size) MUST_CHECK;
void firewall_watch_end(struct firewall_watch *w); /* the tables are going to be removed */

/* The kernel has news. */
void firewall_watch_news(struct firewall_watch *w);
/* Looks, tells and mends. */
void firewall_watch_look(struct firewall_watch *w, uint64_t now_ms);
uint64_t firewall_watch_next(const struct firewall_watch *w); /* when to look; 0: never */
