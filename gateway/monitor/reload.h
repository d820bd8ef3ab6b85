/* Another policy, of the monitor: prepared with all that can fail, then in force; and what becomes
 * of each connection then. What is prepared is struct setup. */
#pragma once

#include "gateway/monitor/monitor.h"

/* swap.c: another policy is in force: what becomes of each connection. `before` is there still. */
struct swapped {
	unsigned kept, changed, ended; /* sessions: ended: asked to log out */
};
void connections_swap(struct monitor *m, const struct policy *before, struct swapped *ret);

/* reload.c: another policy while the gateway runs, all of it or nothing */
struct reload_request {
	const char *expect, *who;  /* expect: the first digits of its hash, "": any */
	uint32_t confirm_within_s; /* 0: need not be confirmed */
	bool asked;		   /* by a client, who is answered with control_answered() */
};
/* The answer, or json_null(): it comes later. */
json_t *reload_ask(struct monitor *m, const struct reload_request *q);
const char *reload_confirm(struct monitor *m); /* NULL: it stays; or why not */
bool reload_is_under_way(void);
uint64_t reload_unconfirmed_ms(void); /* until the policy before comes back; 0: it does not */
void reload_go_on(struct monitor *m); /* an event became durable */
void reload_helper_gone(struct monitor *m, enum helper_kind kind);
void reload_close(struct monitor *m);

/* setup.c: a policy that is taken up: prepared, then in force, or undone */
int setup_prepare(struct monitor *m, struct setup *s) MUST_CHECK;
void setup_commit(struct monitor *m, struct setup *s); /* m->policy is s->policy now */
void setup_undo(struct monitor *m, struct setup *s);
void setup_say(struct setup *s, const char *fmt, ...) PRINTF_LIKE(2, 3); /* what is wrong */
