/* Bans, of the monitor: decided by auth/penalties.h, put into the firewall, kept at accept and over
 * a restart, told to operators. */
#pragma once

#include "gateway/monitor/monitor.h"

/* bans.c; reasons that cost nothing (auth/penalties.c) do nothing. True: a ban begins. */
bool bans_failure(struct monitor *m, const struct connection *c, const char *reason);
void bans_decoy(struct connection *c, const char *name); /* it asked for a name that nobody has */
bool bans_refuse(const struct monitor *m, const struct ip *ip); /* is it banned? */
/* May its login begin? NULL, or the reason why not. Takes the turn of a source that is slowed. */
const char *bans_enter(struct connection *c);
bool bans_lift(struct monitor *m, const struct network *source, const char *reason);
unsigned bans_sessions(const struct monitor *m, const struct network *source); /* live ones */
void bans_rules(struct monitor *m); /* takes the policy's */
void bans_reload(struct monitor *m);
void bans_to_firewall(struct monitor *m);
void bans_go_on(struct monitor *m);
/* bans_file.c */
void bans_load(struct monitor *m);
void bans_save(struct monitor *m);
void bans_tick(struct monitor *m);
/* bans_control.c */
json_t *bans_json(const struct monitor *m, bool all);
json_t *bans_alerts_json(const struct monitor *m);
json_t *bans_add_json(struct monitor *m, const char *argument);	 /* "ADDRESS [SECONDS]" */
json_t *bans_lift_json(struct monitor *m, const char *argument); /* "ADDRESS" */
