/* PERSISTENT RESERVE IN, SPC-4 section 6.15: the parameter data, made from a disk's record
 * whenever a piece of it is asked for. Runs in the arbiter; tells what is registered to
 * whoever has the disk, as the standard wants it. */
#include "gateway/arbiter/court.h"
#include "gateway/arbiter/reservations.h"
#include "gateway/arbiter/transport_id.h"

#define HEADER	   8
#define DESCRIPTOR 24 /* of READ FULL STATUS, without the TransportID */
#define DATA_MAX   (HEADER + ARBITER_REGISTRANTS * (DESCRIPTOR + TRANSPORT_ID_MAX))

#define R_HOLDER 0x01
#define SIP_C	 0x08 /* SPEC_I_PT, ALL_TG_PT, APTPL are understood */
#define ATP_C	 0x04
#define PTPL_C	 0x01
#define TMV	 0x80
#define PTPL_A	 0x01
/* TEST UNIT READY passes; of what tells nothing about the medium, write exclusive lets all pass. */
#define ALLOW_COMMANDS (3u << 4)
#define EVERY_TYPE     0xea01

static void put_keys(const struct arbiter_record *r, struct wr *w)
{
	for (size_t i = 0; i < ARBITER_REGISTRANTS; i++) {
		if (r->registrations[i].nexus != 0)
			wr_be(w, 8, r->registrations[i].key);
	}
}

/* All registrants hold it: then there is no one key. */
static uint64_t holder_key(const struct arbiter_record *r)
{
	for (size_t i = 0; i < ARBITER_REGISTRANTS; i++) {
		if (r->state.holder != 0 && r->registrations[i].nexus == r->state.holder)
			return r->registrations[i].key;
	}
	return 0;
}

static void put_reservation(const struct arbiter_record *r, struct wr *w)
{
	if (!reservation_is_persistent(r->state.reservation))
		return;
	wr_be(w, 8, holder_key(r));
	wr_zero(w, 5);
	wr_be(w, 1, r->state.reservation); /* scope 0 */
	wr_zero(w, 2);
}

static void put_registration(const struct arbiter_record *r, const struct registration *one,
			     struct wr *w)
{
	bool holds = reservation_is_held_by(r, one->nexus);
	uint8_t id[TRANSPORT_ID_MAX];
	struct wr id_w = wr_over(id, sizeof id);

	transport_id_write(&id_w, one->initiator, one->isid);
	wr_be(w, 8, one->key);
	wr_zero(w, 4);
	wr_be(w, 1, holds ? R_HOLDER : 0);
	wr_be(w, 1, holds ? r->state.reservation : 0);
	wr_zero(w, 4);
	wr_be(w, 2, one->relative_port);
	wr_be(w, 4, wr_len(&id_w));
	wr_bytes(w, id, wr_len(&id_w));
}

static void put_full_status(const struct arbiter_record *r, struct wr *w)
{
	for (size_t i = 0; i < ARBITER_REGISTRANTS; i++) {
		if (r->registrations[i].nexus != 0)
			put_registration(r, &r->registrations[i], w);
	}
}

static void put_list(const struct arbiter_record *r, struct wr *w,
		     void (*put)(const struct arbiter_record *r, struct wr *w))
{
	uint8_t *start = w->p;

	wr_be(w, 4, r->pr_generation);
	wr_be(w, 4, 0);
	put(r, w);
	put_be(start + 4, 4, wr_len(w) - HEADER);
}

static void put_capabilities(const struct arbiter_record *r, struct wr *w)
{
	wr_be(w, 2, 8);
	wr_be(w, 1, SIP_C | ATP_C | PTPL_C);
	wr_be(w, 1, TMV | ALLOW_COMMANDS | (r->aptpl ? PTPL_A : 0));
	wr_be(w, 2, EVERY_TYPE);
	wr_zero(w, 2);
}

static bool put_data(const struct arbiter_record *r, uint8_t action, struct wr *w)
{
	static void (*const lists[])(const struct arbiter_record *r, struct wr *w) = {
		[PR_READ_KEYS] = put_keys,
		[PR_READ_RESERVATION] = put_reservation,
		[PR_READ_FULL_STATUS] = put_full_status,
	};

	if (action == PR_REPORT_CAPABILITIES)
		put_capabilities(r, w);
	else if (action < ARRAY_LEN(lists))
		put_list(r, w, lists[action]);
	else
		return false;
	assert(!w->failed);
	return true;
}

/* FNV-1a: what else changes on the disk is no reason to begin again. */
static uint32_t sum_of(const uint8_t *data, size_t len)
{
	uint32_t sum = 2166136261u;

	for (size_t i = 0; i < len; i++)
		sum = (sum ^ data[i]) * 16777619u;
	return sum;
}

enum decision order_pr_in(struct court *c, struct member *m, unsigned k,
			  struct arbiter_record *draft, struct arbiter_answer *ret)
{
	static uint8_t data[DATA_MAX]; /* too long for a stack */
	struct wr w = wr_over(data, sizeof data);
	size_t at;

	(void)c, (void)k;
	if (draft->state.reservation == RESERVATION_RESERVE_6) /* SPC-2: whoever asks */
		return answer_conflict(ret);
	if (!put_data(draft, m->order.action, &w))
		return answer_sense(ret, 0x5, 0x2400);
	at = MIN(m->order.at, wr_len(&w));
	ret->whole = sum_of(data, wr_len(&w));
	ret->total = (uint32_t)wr_len(&w);
	ret->len = (uint32_t)MIN(wr_len(&w) - at, sizeof ret->octets);
	memcpy(ret->octets, data + at, ret->len);
	return DECISION_ANSWER;
}
