/* Limits of a session, which it may share with others of its initiator. What they are is in
 * struct connection: its rates, and those of its LUNs. */
#pragma once

#include <jansson.h>
#include "gateway/session/messages.h"

struct connection;

/* As a session was told last; shares 0: of none. */
struct limits_told {
	struct limit_values values;
	uint32_t shares;
};

/* Tells it what it was not told yet. */
void limits_tell(struct connection *c);
/* It came or went: tells everybody of its initiator in its target. */
void limits_share(struct connection *c);
json_t *limits_json(const struct connection *c); /* those in force */
