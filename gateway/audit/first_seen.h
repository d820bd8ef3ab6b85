/* Which initiators came from which addresses, and when each pair appeared for the first time. Those
 * that were let in and those that were refused are kept apart: what strangers claim can fill only
 * their own table. Bounded; the records are hostile. */
#pragma once

#include "gateway/audit/statistics_table.h"
#include "gateway/audit/trail.h"

#define FIRST_SEEN_ACCEPTED 65536
#define FIRST_SEEN_REFUSED  16384

enum seen_new { SEEN_INITIATOR = 1, SEEN_ADDRESS = 2 };

struct seen_pair {
	struct seen_key {
		char initiator[ISCSI_NAME_SIZE]; /* of who was refused: a claim, or empty */
		struct ip ip;
	} key;
	bool accepted;
	uint32_t fresh; /* enum seen_new: what nobody of its table had before */
	uint64_t first_ns, last_ns, first_sequence;
	uint64_t times;		    /* logins and discoveries, or refusals */
	enum audit_event_kind kind; /* of the first: login, discovery, refusal, connection */
	char reason[64], user[64], target[ISCSI_NAME_SIZE];
};

struct first_seen {
	struct {
		struct table pairs, initiators, addresses;
	} of[2]; /* refused, accepted */
};

void first_seen_open(struct first_seen *s);
void first_seen_close(struct first_seen *s);
void first_seen_add(struct first_seen *s, const struct trail_record *r);
/* In the order in which they appeared, both kinds merged, from *at = {0, 0} on; NULL: no more. */
const struct seen_pair *first_seen_next(const struct first_seen *s, size_t at[2]);
uint64_t first_seen_left_out(const struct first_seen *s); /* pairs: an upper bound */
