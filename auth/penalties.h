/* Who failed, what it costs, and whom that bans: points by address block, within a time;
 * bans that grow from one to the next. Pure: it is told the time, and what is in force is
 * its caller's work. Loopback addresses are never counted (whoever stands in front of us
 * there would ban everybody). Bounded, and a flood of sources pushes no ban out. */
#pragma once

#include "gateway/base/address.h"
#include "gateway/base/base.h"

#define PENALTY_BANS_MAX     8192
#define PENALTY_SUSPECTS_MAX 4096
#define PENALTY_CROWD_MAX    256 /* rows of one IPv4 /24 or IPv6 /48 in each of these tables */
#define PENALTY_FAILURES_MAX 32	 /* the largest `after`: a failure that counts costs a point */
#define PENALTY_EXEMPT_MAX   256
#define PENALTY_SLOW_MS	     10000
#define PENALTY_AT_ONCE	     255 /* more points than any `after` */

struct penalty_rules {
	uint32_t after, within_s; /* so many points, within_s, ban; 0: nobody is banned */
	uint32_t for_s, cap_s;	  /* the first ban; the longest: each is twice the one before */
	struct network exempt[PENALTY_EXEMPT_MAX];
	size_t exempt_count;
};

enum penalty_kind {
	PENALTY_NONE,
	PENALTY_BANNED,
	PENALTY_SLOWED, /* one login in PENALTY_SLOW_MS: it had a live session when it failed */
	PENALTY_LIFTED, /* over; kept until its news are told */
};

/* After its end an entry is kept for `cap`: who is banned again by then is banned for longer. */
struct penalty {
	struct network source; /* ip_source_block(); version 0: free */
	enum penalty_kind kind;
	bool by_operator, news; /* news: not told yet where connections are dropped */
	uint8_t repeats;	/* bans before this one */
	char reason[40];
	int64_t since_ms, until_ms; /* may lie before the clock's 0 */
	uint64_t login_ms;	    /* of the last one that was let in while it is slowed */
};

/* Points that have not banned yet. */
struct penalty_suspect {
	struct network source;
	uint64_t at_ms[PENALTY_FAILURES_MAX]; /* oldest first */
	uint8_t points[PENALTY_FAILURES_MAX];
	unsigned failures;
};

struct penalties {
	struct penalty_rules rules;
	struct penalty bans[PENALTY_BANS_MAX];
	struct penalty_suspect suspects[PENALTY_SUSPECTS_MAX];
	size_t bans_end, suspects_end; /* none was ever at or behind these */
	bool full; /* a ban found no room: its source is kept out by its points alone */
};

/* What a failure costs, by the reason that the audit has for it; 0: nothing. One table. */
struct penalty_cost {
	const char *reason;
	uint8_t points;
	const char *what; /* for people */
};
extern const struct penalty_cost penalty_costs[];
extern const size_t penalty_cost_count;
unsigned penalty_points(const char *reason);

/* Counts a failure. Returns the entry of the ban that begins with it, or NULL. */
struct penalty *penalty_failure(struct penalties *p, const struct ip *ip, const char *reason,
				bool has_session, uint64_t now_ms);
/* Is it banned, or slowed? PENALTY_NONE: neither. */
enum penalty_kind penalty_look(const struct penalties *p, const struct ip *ip, uint64_t now_ms);
/* May a login from there begin now? Takes the turn of a source that is slowed. */
bool penalty_enter(struct penalties *p, const struct ip *ip, uint64_t now_ms);

/* An operator's ban, or one that was kept from before. NULL: there is no room. */
struct penalty *penalty_put(struct penalties *p, const struct penalty *row, uint64_t now_ms);
/* Ends a ban, and forgets points and repeats. False: nothing was in force. */
bool penalty_lift(struct penalties *p, const struct network *source, uint64_t now_ms);
/* The caller has told the news of this entry. */
void penalty_told(struct penalty *e);

bool penalty_is_active(const struct penalty *e, uint64_t now_ms);
/* Also true of a /64 of which a part is exempt. */
bool penalty_is_exempt(const struct penalties *p, const struct network *source);
unsigned penalty_points_of(const struct penalties *p, const struct penalty_suspect *s,
			   uint64_t now_ms);
