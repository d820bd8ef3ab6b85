/* When a grant is open: until a moment, within hours of the week in a time zone. What the clock on
 * the wall there shows is what counts, so a change to or from summer time moves the hours with it:
 * one that the clock skips is none, one that it shows twice is open twice. The zone's changes are
 * looked up when the policy is compiled; all the rest are functions of the moment alone. */
#pragma once

#include "policy/policy.h"

#define HOURS_SPANS_MAX 16 /* as they are written: each of them may have seven days */

/* The system's knowledge of the zone ("Europe/Berlin"), from 2020 to 2100. -ENOENT: it has none of
 * this name. */
int zone_load(const char *name, struct policy_zone **ret_zone) MUST_CHECK;
void zone_free(struct policy_zone *z);

enum hours_mistake {
	HOURS_RIGHT,
	HOURS_NO_ZONE,
	HOURS_NO_DAY,
	HOURS_NO_TIME,
	HOURS_NOTHING, /* from a time to the same */
	HOURS_TOO_MANY,
};

/* "Mon-Fri 07:00-19:00, Sat 09:00-13:00 Europe/Berlin": fills the spans (of a week that begins on
 * Monday; at most 7 * HOURS_SPANS_MAX) and the zone's name. *ret_at: the part that is wrong. */
enum hours_mistake hours_parse(const char *text, struct policy_hours *ret,
			       char ret_zone[POLICY_NAME_SIZE], const char **ret_at) MUST_CHECK;

/* NULL: the entry is open now. Otherwise the reason, short and stable ("grant-ended",
 * "outside-hours"), and the policy's line. `now_s` 0: time is not asked about. */
const char *grant_closed(const struct policy_initiator *i, int64_t now_s, uint32_t *ret_line);
