/* What one policy changes in another, and what that does to a session. Functions of the two alone,
 * without I/O and clock: `plan` asks them for people and the monitor's reload asks the same ones,
 * so that what was shown is what happens. Comments, order and lines are no difference. */
#pragma once

#include "policy/policy.h"

/* --- the differences ---------------------------------------------------------------------- */

enum difference_kind {
	DIFFERENCE_INVALID,
	DIFFERENCE_ADDED,
	DIFFERENCE_REMOVED,
	DIFFERENCE_CHANGED,
};

enum difference_of {
	OF_INVALID,
	OF_SETTING,
	OF_PORTAL,
	OF_DISK,
	OF_TARGET,
	OF_LUN,	      /* of a target: its disk */
	OF_INITIATOR, /* of a target */
	OF_ACCESS,    /* of an initiator to a LUN */
	OF_RULE,      /* of an initiator: deny, allow, protect */
	OF_KINDS
};
const char *difference_of_name(enum difference_of of); /* "portal" */

struct difference {
	enum difference_kind kind;
	enum difference_of of;
	const char *target, *initiator; /* where it is; or NULL */
	const char *name; /* of the portal, disk, target or initiator; a setting has none: NULL */
	int lun;	  /* of a LUN and an access; else -1 */
	const char *key;  /* what of it, "listen"; NULL: as a whole */
	char *before, *after;		  /* as text; NULL: there is none */
	uint32_t before_line, after_line; /* 0: there is none */
};

/* In order: settings, portals, disks, targets, each by name. The names are the policies': valid as
 * long as these are. */
struct differences {
	struct difference *list;
	size_t count, space;
};

/* `before` may be NULL: all is new, and settings are not listed. -ENOMEM. */
int policy_differences(const struct policy *before, const struct policy *after,
		       struct differences *ret_differences) MUST_CHECK;
void differences_free(struct differences *d);

/* The setting that a running gateway can't change, so that it refuses a reload; or NULL. */
const char *policy_needs_restart(const struct policy *before, const struct policy *after);

/* --- what it does to one session ---------------------------------------------------------- */

enum effect {
	EFFECT_INVALID,
	EFFECT_NONE,	/* it does not notice (lines may be others: rules can be sent again) */
	EFFECT_RULES,	/* deny, allow, protect, audit.commands: in its gate, at once */
	EFFECT_WIDENED, /* LUNs that it gets, or may write from now on; perhaps rules, too */
	EFFECT_AGAIN,	/* asked to log out, ended after `grace`: it may log in again */
	EFFECT_ENDS,	/* the same, and the new policy does not let it in */
};
const char *effect_name(
	enum effect e); /* "unchanged", "rules", "widened", "log-in-again", "ends" */

struct effect_lun {
	uint16_t lun;
	bool writable;
};

/* A session as the monitor knows it. */
struct effect_session {
	const char *portal;    /* by name */
	struct endpoint local; /* that it reached; port 0: not known, the portal's name will do */
	struct ip from, proxy; /* proxy: that said so; version 0: none */
	const char *user;      /* NULL: not known */
	uint32_t algorithm;    /* CHAP's number of it; 0: not known */
	const struct claim_certificate *certificate; /* NULL: it came by no TLS portal */
	const char *initiator;			     /* normalised */
	const char *target;			     /* normalised; NULL: a discovery session */
	const struct effect_lun *luns;		     /* what it was granted */
	size_t lun_count;
	int64_t now_s; /* since 1970; 0: time is not asked about */
};

struct effect_result {
	enum effect effect;
	bool rules;				    /* other rules; with EFFECT_WIDENED, too */
	struct effect_lun widened[POLICY_LUNS_MAX]; /* new to it, or writable from now on */
	size_t widened_count;
	uint32_t line;	      /* of the new policy; 0: nothing there says it */
	uint32_t before_line; /* of the old one, where the new has none; or 0 */
	char reason[64];      /* short and stable, for the audit: "lun-removed" */
	char text[256];	      /* a sentence for people */
};

/* `before` is the policy that it runs under. The result never depends on line numbers. */
void policy_effect(const struct policy *before, const struct policy *after,
		   const struct effect_session *session, struct effect_result *ret_result);
