/* Four initiators and one disk's record, without a court around them: A holds (or, where nothing is
 * reserved, is registered) with key A, B and D are registered with key B, C is a stranger; A,
 * B and C come through port 1, D through port 2. */
#pragma once

#include "tests/unit/test.h"
#include "gateway/arbiter/court.h"
#include "gateway/arbiter/reservations.h"
#include "gateway/arbiter/transport_id.h"

#define KEY_A  0xa000000000000001u
#define KEY_B  0xb000000000000002u
#define KEY_N  0x7700000000000003u /* nobody's yet */
#define TARGET "iqn.2026-11.net.example.gw:vault"

enum { A, B, C, D, MEMBERS };
enum { GOOD = 0, CONFLICT = 0x18, BAD_CDB = 0x2400, BAD_LIST = 0x2600, BAD_RELEASE = 0x2604 };
enum { NO_PLACE = 0x5504 };

static struct member members[MEMBERS];
static struct court court;
static struct arbiter_page page;
static struct arbiter_record before, after;
static struct arbiter_answer answer;

static const uint64_t keys[MEMBERS] = {KEY_A, KEY_B, 0, KEY_B};

static inline void member_open(unsigned who)
{
	static const char *const names[] = {
		"iqn.2026-11.net.example:a", "iqn.2026-11.net.example:b",
		"iqn.2026-11.net.example:c", "iqn.2026-11.net.example:d"};
	struct arbiter_attach info = {.connection = who + 1,
				      .relative_port = who == D ? 2 : 1,
				      .isid = {0x80, 0, 0, 0, 0, (uint8_t)who},
				      .target = TARGET,
				      .disks = {1},
				      .writable = {1}};

	(void)string_copy(info.initiator, sizeof info.initiator, names[who]);
	members[who] = (struct member){0};
	assert_int_equal(court_attach(&court, &members[who], &info), 0);
}

static inline void register_member(struct arbiter_record *r, unsigned who)
{
	struct registration one = {.nexus = members[who].nexus,
				   .port = members[who].port,
				   .key = keys[who],
				   .relative_port = members[who].relative_port};

	memcpy(one.isid, members[who].isid, sizeof one.isid);
	memcpy(one.initiator, members[who].initiator, sizeof one.initiator);
	assert_true(registration_put(r, &one));
}

static inline void record_open(uint8_t type)
{
	court = (struct court){.page = &page, .disks = 1};
	before = (struct arbiter_record){.pr_generation = 100};
	for (unsigned who = 0; who < MEMBERS; who++)
		member_open(who);
	for (unsigned who = 0; who < MEMBERS && type != RESERVATION_RESERVE_6; who++) {
		if (keys[who] != 0)
			register_member(&before, who);
	}
	if (type != RESERVATION_NONE)
		reservation_put(&before, type, members[A].nexus);
	assert_true(reservations_are_sound(&before));
}

static inline enum decision decide(order_decide *one, unsigned who,
				   const struct arbiter_order *order)
{
	enum decision d;

	after = before;
	after.event_new = 0;
	answer = (struct arbiter_answer){0};
	members[who].order = *order;
	d = one(&court, &members[who], 0, &after, &answer);
	if (d == DECISION_CHANGE || d == DECISION_KEEP)
		assert_true(reservations_are_sound(&after));
	else
		after = before;
	return d;
}

static inline unsigned outcome(void)
{
	return answer.status == 0x02 ? answer.code : answer.status;
}

static inline size_t put_id(struct arbiter_order *order, const char *name, const uint8_t isid[6])
{
	struct wr w = wr_over(order->octets + order->len, sizeof order->octets - order->len);

	transport_id_write(&w, name, isid);
	assert_false(w.failed);
	order->len += (uint32_t)wr_len(&w);
	return wr_len(&w);
}
