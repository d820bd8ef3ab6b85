/* The gateway's own CA, within the monitor: invitations, and who joins by them. */
#pragma once

#include "gateway/monitor/monitor.h"

void ca_begin(struct monitor *m); /* the authenticator is new */
void ca_tick(struct monitor *m);  /* each second: invitations end */
void ca_away(void);		  /* the authenticator died */
void ca_go_on(struct monitor *m); /* an event became durable */
bool ca_joins(void);		  /* may somebody join? */
bool ca_has_joined(const struct connection *c);
/* What `sallyport ca` did, as the argument says. The answer to who asked, or json_null(). */
json_t *ca_told(struct monitor *m, const char *argument);
/* Of the authenticator; false: it is about something else. */
bool ca_message(struct monitor *m, const struct message *msg);
