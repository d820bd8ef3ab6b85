/* Who failed too often: failures by address block, and the bans that follow. Pure: it
 * is told the time. Loopback addresses are never counted (whoever stands in front of us
 * there would ban everybody). Bounded: the oldest entry makes room. */
#pragma once

#include "gateway/base/address.h"
#include "gateway/base/base.h"

#define PENALTIES_MAX	     4096
#define PENALTY_FAILURES_MAX 32

struct penalty {
	struct network source;			    /* ip_source_block(); version 0: free */
	uint64_t failures_ms[PENALTY_FAILURES_MAX]; /* the latest, oldest first */
	unsigned failures;
	uint64_t banned_until_ms; /* 0: not banned */
	char reason[32];
};

struct penalties {
	uint32_t after, within_s, for_s; /* `after` failures within_s ban for_s; 0: never */
	struct penalty list[PENALTIES_MAX];
};

/* True when this failure bans the source: *ret_penalty is its entry. */
bool penalty_failure(struct penalties *p, const struct ip *ip, const char *reason, uint64_t now_ms,
		     const struct penalty **ret_penalty);
bool penalty_is_banned(const struct penalties *p, const struct ip *ip, uint64_t now_ms);
/* Bans at once (a ban kept from before, or an operator's). */
void penalty_ban(struct penalties *p, const struct network *source, const char *reason,
		 uint64_t until_ms);
