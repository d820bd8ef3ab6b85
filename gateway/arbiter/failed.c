/* Disks that failed for good: a session says so once, everybody knows it at once, and it
 * stays so over restarts until an operator clears it. Runs in the arbiter. A session is
 * believed about a disk that it may write; the operator's word comes from the monitor. */
#include "gateway/arbiter/court.h"

#define KEY_ILLEGAL_REQUEST   0x05
#define INVALID_FIELD_IN_CDB  0x2400
#define ATTENTION_MAY_CHANGED 0x2800 /* NOT READY TO READY CHANGE, MEDIUM MAY HAVE CHANGED */
#define ATTENTION_POWER_ON    0x2900

/* What else a session may say means no more than that something was lost. */
static uint32_t meaning_of(uint32_t error)
{
	static const uint32_t known[] = {EIO, ENODATA, ESTALE};

	for (size_t k = 0; k < ARRAY_LEN(known); k++) {
		if (known[k] == error)
			return error;
	}
	return EIO;
}

enum decision order_failed(struct court *c, struct member *m, unsigned k,
			   struct arbiter_record *draft, struct arbiter_answer *ret)
{
	if (!m->luns[k].writable)
		return answer_sense(ret, KEY_ILLEGAL_REQUEST, INVALID_FIELD_IN_CDB);
	if (draft->state.failed != 0)
		return DECISION_ANSWER;
	draft->state.failed = meaning_of(m->order.at);
	draft->failed_since_s = c->wall_s;
	return DECISION_PUBLISH;
}

/* --- the operator's word --- */

/* Registrations that were lost are lost as with the power; otherwise what was written last may be
 * gone, and whoever has a cache asks the disk again. 1: it is published; 0: it was well. */
int failed_clear(struct court *c, unsigned d, bool forget)
{
	struct arbiter_event event = {.code = ATTENTION_MAY_CHANGED};
	struct arbiter_record *draft;
	uint64_t event_count;
	int r;

	if (c->records[d] == NULL || c->records[d]->state.failed == 0)
		return 0;
	draft = change_draft(c, d);
	if (draft->state.failed == EBADMSG) {
		if (!forget)
			return -EBADMSG;
		event_count = draft->event_count;
		*draft = (struct arbiter_record){.event_count = event_count};
		event.code = ATTENTION_POWER_ON;
	}
	draft->state.failed = 0;
	draft->failed_since_s = 0;
	record_event(draft, &event);
	if ((r = change_keep(c, d, true)) < 0)
		return r;
	publish(c, d);
	return 1;
}

/* --- what could not be kept --- */

void unkept_again(struct court *c, uint64_t now_ms)
{
	bool any = false;

	for (unsigned d = 0; d < c->disks; d++) {
		if (!disk_has(&c->unkept, d))
			continue;
		disk_set(&c->unkept, d,
			 c->records[d]->state.failed != EBADMSG &&
				 c->ops->keep(d, c->records[d], true) < 0);
		any = any || disk_has(&c->unkept, d);
	}
	c->unkept_ms = any ? now_ms + ARBITER_KEEP_AGAIN_MS : 0;
}
