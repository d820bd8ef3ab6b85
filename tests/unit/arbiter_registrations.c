/* Who becomes registered besides the asker: SPEC_I_PT, ALL_TG_PT, REGISTER AND MOVE; TransportIDs,
 * good and hostile; and what PERSISTENT RESERVE IN tells of it, SPC-4 sections 6.15 and 7.6.4. */
#include "tests/unit/reservations_rig.h"

/* --- TransportIDs --- */

#define NAME "iqn.2026-11.net.example:a"
#define PAD  "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"

static const struct {
	const char *why;
	const char *octets;
	size_t len;
	int wrong_at;	  /* -1: nothing is wrong */
	const char *name; /* "": format 00b */
	const char *isid; /* NULL: all */
} ids[] = {
	/* clang-format off */
	{"a port", "\x45\0\0\x2c" NAME ",i,0x800000000001\0", 48, -1, NAME, "\x80\0\0\0\0\x01"},
	{"a port, in capitals", "\x45\0\0\x2c" "IQN.2026-11.net.EXAMPLE:a,i,0xABCDEF000001\0", 48, -1,
	 NAME, "\xab\xcd\xef\0\0\x01"},
	{"an ISID of one digit", "\x45\0\0\x20" NAME ",i,0x1\0", 36, -1, NAME, "\0\0\0\0\0\x01"},
	{"a device", "\x05\0\0\x1c" NAME PAD, 32, -1, NAME, NULL},
	{"nothing", "", 0, 0, NULL, NULL},
	{"a header that is cut", "\x45\0\0", 3, 0, NULL, NULL},
	{"another protocol", "\x40\0\0\x2c" NAME ",i,0x800000000001\0", 48, 0, NULL, NULL},
	{"a format that there is not", "\x85\0\0\x2c" NAME ",i,0x800000000001\0", 48, 4, NULL, NULL},
	{"a length beyond the list", "\x45\0\0\x30" NAME ",i,0x800000000001\0", 48, 2, NULL, NULL},
	{"the longest length", "\x45\0\xff\xfc" NAME ",i,0x800000000001\0", 48, 2, NULL, NULL},
	{"a length that is no multiple of 4", "\x45\0\0\x2b" NAME ",i,0x800000000001\0", 48, 2, NULL, NULL},
	{"a length below 20", "\x45\0\0\x10iqn.a,i,0x1\0" PAD, 20, 2, NULL, NULL},
	{"no NUL", "\x45\0\0\x2c" NAME ",i,0x8000000000011", 46 + 2, 4, NULL, NULL},
	{"13 digits", "\x45\0\0\x2c" NAME ",i,0x8000000000010\0", 48, 4, NULL, NULL},
	{"no digit", "\x45\0\0\x20" NAME ",i,0x\0\0", 36, 4, NULL, NULL},
	{"a digit that is none", "\x45\0\0\x20" NAME ",i,0xg\0", 36, 4, NULL, NULL},
	{"no ISID", "\x45\0\0\x1c" NAME PAD, 32, 4, NULL, NULL},
	{"a device with an ISID", "\x05\0\0\x20" NAME ",i,0x1\0", 36, 4, NULL, NULL},
	{"no iSCSI name", "\x05\0\0\x14" "eve.2026-11" PAD, 24, 4, NULL, NULL},
	{"an empty name", "\x05\0\0\x14" PAD, 24, 4, NULL, NULL},
	{"a name of its prefix alone", "\x05\0\0\x14iqn." PAD, 24, 4, NULL, NULL},
	{"a blank in a name", "\x05\0\0\x14iqn.a b" PAD, 24, 4, NULL, NULL},
	{"a line feed in a name", "\x05\0\0\x14iqn.a\nb" PAD, 24, 4, NULL, NULL},
	/* clang-format on */
};

static void id_is_read(void **state)
{
	const __typeof__(ids[0]) *row = *state;
	uint8_t *exact = malloc(MAX(row->len, 1));
	struct initiator_port port;
	struct rd r;

	assert_non_null(exact);
	memcpy(exact, row->octets, row->len);
	r = rd_over(exact, row->len);
	if (row->wrong_at < 0) {
		assert_int_equal(transport_id_read(&r, &port), 0);
		assert_int_equal(rd_left(&r), 0);
		assert_string_equal(port.name, row->name);
		assert_int_equal(port.every_isid, row->isid == NULL);
		if (row->isid != NULL)
			assert_memory_equal(port.isid, row->isid, 6);
	} else {
		assert_int_equal(transport_id_read(&r, &port), -EPROTO);
		assert_int_equal(r.p - exact, row->wrong_at);
	}
	free(exact);
}

static void id_comes_back(void **state)
{
	static const uint8_t isid[6] = {0x80, 1, 2, 3, 0xfe, 0xff};
	uint8_t octets[TRANSPORT_ID_MAX];
	char name[ISCSI_NAME_SIZE] = "iqn.";
	struct initiator_port port;

	(void)state;
	for (size_t len = 5; len <= ISCSI_NAME_MAX; len++) {
		struct wr w = wr_over(octets, sizeof octets);
		struct rd r;

		memset(name + 4, 'x', len - 4);
		transport_id_write(&w, name, isid);
		assert_false(w.failed);
		assert_int_equal(wr_len(&w) % 4, 0);
		r = rd_over(octets, wr_len(&w));
		assert_int_equal(transport_id_read(&r, &port), 0);
		assert_string_equal(port.name, name);
		assert_memory_equal(port.isid, isid, 6);
	}
}

/* --- SPEC_I_PT --- */

static const uint8_t isid_x[6] = {0x80, 0, 0, 0, 0, 0x77};
#define NAME_X "iqn.2026-11.net.example:x"

static uint64_t nexus_x(void)
{
	return arbiter_nexus_id(NAME_X, isid_x, members[C].port);
}

static const struct registration *find(uint64_t nexus)
{
	return registration_find(&after, nexus);
}

static struct arbiter_order spec_order(void)
{
	return (struct arbiter_order){
		.action = PR_REGISTER, .action_key = KEY_N, .flags = ORDER_SPEC_I_PT};
}

static void listed_are_registered(void **state)
{
	struct arbiter_order order = spec_order();

	(void)state;
	record_open(5);
	(void)put_id(&order, NAME_X, isid_x);
	(void)put_id(&order, members[B].initiator, members[B].isid);
	(void)put_id(&order, NAME_X, isid_x);
	assert_int_equal(decide(order_pr_out, C, &order), DECISION_CHANGE);
	assert_int_equal(find(members[C].nexus)->key, KEY_N);
	assert_int_equal(find(nexus_x())->key, KEY_N);
	assert_string_equal(find(nexus_x())->initiator, NAME_X);
	assert_int_equal(find(nexus_x())->relative_port, 1);
	assert_int_equal(find(members[B].nexus)->key, KEY_B); /* it was registered already */
	assert_int_equal(after.pr_generation, 101);
}

static void none_is_registered(void **state)
{
	struct arbiter_order order = spec_order();
	size_t first;

	(void)state;
	record_open(5);
	first = put_id(&order, NAME_X, isid_x);
	(void)put_id(&order, NAME_X, isid_x);
	order.octets[first] = 0x46;
	assert_int_equal(decide(order_pr_out, C, &order), DECISION_ANSWER);
	assert_int_equal(outcome(), BAD_LIST);
	assert_int_equal(answer.pointed, 1);
	assert_int_equal(answer.field, 28 + first);
	assert_null(find(members[C].nexus));
	assert_null(find(nexus_x()));
}

/* Those ports of an initiator that somebody knows of. */
static void device_is_registered(void **state)
{
	static const char name[] = "iqn.2026-11.net.example:a";
	struct arbiter_order order = spec_order();
	struct member second = members[A];

	(void)state;
	record_open(0);
	before.registrations[0] = (struct registration){0}; /* A is logged in, not registered */
	before.state.registrants[0] = 0;
	memset(order.octets, 0, 40);
	memcpy(order.octets, "\x05\0\0\x1c", 4);
	memcpy(order.octets + 4, name, sizeof name);
	order.len = 32;
	second = (struct member){.nexus = 1, .port = members[A].port, .next_member = court.members};
	second.isid[5] = 0x99;
	(void)string_copy(second.initiator, sizeof second.initiator, name);
	second.lun_count = 1;
	court.members = &second;
	assert_int_equal(decide(order_pr_out, C, &order), DECISION_CHANGE);
	assert_int_equal(find(members[A].nexus)->key, KEY_N);
	assert_non_null(find(arbiter_nexus_id(name, second.isid, members[C].port)));
	second.luns[0].disk = 5; /* of which another disk is none of ours */
	assert_int_equal(decide(order_pr_out, C, &order), DECISION_CHANGE);
	assert_null(find(arbiter_nexus_id(name, second.isid, members[C].port)));
}

static void spec_is_for_strangers(void **state)
{
	struct arbiter_order order = spec_order();

	(void)state;
	record_open(5);
	(void)put_id(&order, NAME_X, isid_x);
	order.key = KEY_B;
	(void)decide(order_pr_out, B, &order);
	assert_int_equal(outcome(), BAD_LIST);
	assert_int_equal(answer.field, 20);
	order.action = PR_REGISTER_AND_IGNORE;
	(void)decide(order_pr_out, C, &order);
	assert_int_equal(outcome(), BAD_LIST);
}

/* --- places --- */

static void fill(unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct registration one = {.nexus = 1000 + i, .port = 1, .key = 1};

		assert_true(registration_put(&before, &one));
	}
}

static void places_end(void **state)
{
	struct arbiter_order order = {.action = PR_REGISTER, .action_key = KEY_N};

	(void)state;
	record_open(0);
	fill(ARBITER_REGISTRANTS - 3);
	(void)decide(order_pr_out, C, &order);
	assert_int_equal(outcome(), NO_PLACE);
	record_open(0);
	fill(ARBITER_REGISTRANTS - 4); /* one is left: for the asker, not for X */
	order = spec_order();
	(void)put_id(&order, NAME_X, isid_x);
	(void)decide(order_pr_out, C, &order);
	assert_int_equal(outcome(), NO_PLACE);
	assert_null(find(members[C].nexus));
	order = (struct arbiter_order){.action = PR_REGISTER, .action_key = KEY_N};
	assert_int_equal(decide(order_pr_out, C, &order), DECISION_CHANGE);
}

/* Each of 128 is told, and there is room to tell it. */
static void all_are_told(void **state)
{
	static const struct arbiter_order clear = {.action = PR_CLEAR, .key = KEY_A};

	(void)state;
	record_open(1);
	fill(ARBITER_REGISTRANTS - 3);
	assert_int_equal(decide(order_pr_out, A, &clear), DECISION_CHANGE);
	assert_int_equal(after.event_new, ARBITER_REGISTRANTS - 1);
}

/* --- ALL_TG_PT --- */

static uint64_t through(unsigned who, unsigned port_of)
{
	return arbiter_nexus_id(members[who].initiator, members[who].isid, members[port_of].port);
}

static void all_ports(void **state)
{
	struct arbiter_order order = {
		.action = PR_REGISTER, .action_key = KEY_N, .flags = ORDER_ALL_TG_PT};

	(void)state;
	record_open(5);
	assert_int_equal(decide(order_pr_out, C, &order), DECISION_CHANGE);
	assert_int_equal(find(through(C, C))->key, KEY_N);
	assert_int_equal(find(through(C, D))->key, KEY_N);
	assert_int_equal(find(through(C, D))->relative_port, 2);
	before = after;
	order.key = KEY_N;
	order.action_key = KEY_A;
	assert_int_equal(decide(order_pr_out, C, &order), DECISION_CHANGE);
	assert_int_equal(find(through(C, D))->key, KEY_A);
	before = after;
	order.key = KEY_A;
	order.action_key = 0;
	assert_int_equal(decide(order_pr_out, C, &order), DECISION_CHANGE);
	assert_null(find(through(C, C)));
	assert_null(find(through(C, D)));
}

/* --- REGISTER AND MOVE --- */

static struct arbiter_order move_order(unsigned to)
{
	struct arbiter_order order = {.action = PR_REGISTER_AND_MOVE,
				      .key = KEY_A,
				      .action_key = KEY_N,
				      .relative_port = members[to].relative_port};

	(void)put_id(&order, members[to].initiator, members[to].isid);
	return order;
}

static void moves(void **state)
{
	struct arbiter_order order;

	(void)state;
	record_open(6);
	order = move_order(C);
	order.flags = ORDER_APTPL;
	assert_int_equal(decide(order_pr_out, A, &order), DECISION_KEEP);
	assert_int_equal(after.state.reservation, 6);
	assert_int_equal(after.state.holder, members[C].nexus);
	assert_int_equal(find(members[C].nexus)->key, KEY_N);
	assert_non_null(find(members[A].nexus));
	assert_true(after.aptpl);
	assert_int_equal(after.pr_generation, 101);
	order = move_order(D); /* through the other port; it is registered */
	order.flags = ORDER_UNREGISTER;
	assert_int_equal(decide(order_pr_out, A, &order), DECISION_CHANGE);
	assert_int_equal(after.state.holder, members[D].nexus);
	assert_int_equal(find(members[D].nexus)->key, KEY_N);
	assert_null(find(members[A].nexus));
}

static void move_takes_a_place(void **state)
{
	struct arbiter_order order;

	(void)state;
	record_open(1);
	fill(ARBITER_REGISTRANTS - 3);
	order = move_order(C);
	(void)decide(order_pr_out, A, &order);
	assert_int_equal(outcome(), NO_PLACE);
	order.flags = ORDER_UNREGISTER; /* its own becomes free */
	assert_int_equal(decide(order_pr_out, A, &order), DECISION_CHANGE);
}

static void bad_moves(void **state)
{
	struct arbiter_order order;

	(void)state;
	record_open(1);
	order = move_order(C);
	order.action_key = 0;
	(void)decide(order_pr_out, A, &order);
	assert_int_equal(outcome(), BAD_LIST);
	assert_int_equal(answer.field, 8);
	order = move_order(C);
	order.relative_port = 3;
	(void)decide(order_pr_out, A, &order);
	assert_int_equal(outcome(), BAD_LIST);
	assert_int_equal(answer.field, 18);
	order = move_order(A); /* to itself */
	(void)decide(order_pr_out, A, &order);
	assert_int_equal(outcome(), BAD_LIST);
	assert_int_equal(answer.field, 24);
	order = move_order(C);
	(void)put_id(&order, members[D].initiator, members[D].isid); /* to two */
	(void)decide(order_pr_out, A, &order);
	assert_int_equal(outcome(), BAD_LIST);
	order = move_order(C);
	order.octets[0] = 0x05; /* to no port in particular */
	(void)decide(order_pr_out, A, &order);
	assert_int_equal(outcome(), BAD_LIST);
	order.len = 0;
	(void)decide(order_pr_out, A, &order);
	assert_int_equal(outcome(), BAD_LIST);
}

/* --- PERSISTENT RESERVE IN --- */

static const uint8_t *read_in(uint8_t action, uint32_t at)
{
	struct arbiter_order order = {.action = action, .at = at};

	assert_int_equal(decide(order_pr_in, C, &order), DECISION_ANSWER);
	assert_int_equal(outcome(), GOOD);
	return answer.octets;
}

static void tells_keys(void **state)
{
	const uint8_t *p;

	(void)state;
	record_open(3);
	p = read_in(PR_READ_KEYS, 0);
	assert_int_equal(answer.total, 8 + 3 * 8);
	assert_int_equal(answer.len, answer.total);
	assert_int_equal(get_be(p, 4), 100);
	assert_int_equal(get_be(p + 4, 4), 3 * 8);
	assert_int_equal(get_be(p + 8, 8), KEY_A);
	assert_int_equal(get_be(p + 24, 8), KEY_B);
}

static void tells_reservation(void **state)
{
	const uint8_t *p;

	(void)state;
	record_open(0);
	p = read_in(PR_READ_RESERVATION, 0);
	assert_int_equal(answer.total, 8);
	assert_int_equal(get_be(p + 4, 4), 0);
	record_open(6);
	p = read_in(PR_READ_RESERVATION, 0);
	assert_int_equal(answer.total, 24);
	assert_int_equal(get_be(p + 4, 4), 16);
	assert_int_equal(get_be(p + 8, 8), KEY_A);
	assert_int_equal(p[21], 6);
	record_open(7);
	p = read_in(PR_READ_RESERVATION, 0);
	assert_int_equal(get_be(p + 8, 8), 0); /* all registrants: no one key */
	assert_int_equal(p[21], 7);
}

static void tells_capabilities(void **state)
{
	static const uint8_t want[8] = {0, 8, 0x0d, 0xb0, 0xea, 0x01, 0, 0};

	(void)state;
	record_open(0);
	assert_memory_equal(read_in(PR_REPORT_CAPABILITIES, 0), want, sizeof want);
	assert_int_equal(answer.total, 8);
	before.aptpl = true;
	assert_int_equal(read_in(PR_REPORT_CAPABILITIES, 0)[3], 0xb1);
}

static void tells_full_status(void **state)
{
	const uint8_t *p;
	struct initiator_port port;
	struct rd r;

	(void)state;
	record_open(6);
	p = read_in(PR_READ_FULL_STATUS, 0);
	assert_int_equal(get_be(p + 4, 4), answer.total - 8);
	p += 8;
	assert_int_equal(get_be(p, 8), KEY_A);
	assert_int_equal(p[12], 1); /* R_HOLDER */
	assert_int_equal(p[13], 6);
	assert_int_equal(get_be(p + 18, 2), 1);
	r = rd_over(p + 24, get_be(p + 20, 4));
	assert_int_equal(transport_id_read(&r, &port), 0);
	assert_int_equal(rd_left(&r), 0);
	assert_string_equal(port.name, members[A].initiator);
	assert_memory_equal(port.isid, members[A].isid, 6);
	p += 24 + get_be(p + 20, 4);
	assert_int_equal(get_be(p, 8), KEY_B);
	assert_int_equal(p[12] | p[13], 0);
}

/* 128 long names: in pieces, which fit each other. */
static void tells_in_pieces(void **state)
{
	static uint8_t whole[65536];
	uint32_t at = 0;

	(void)state;
	record_open(7);
	fill(ARBITER_REGISTRANTS - 3);
	for (size_t i = 0; i < ARBITER_REGISTRANTS; i++) {
		memset(before.registrations[i].initiator, 'x', ISCSI_NAME_MAX);
		before.registrations[i].initiator[ISCSI_NAME_MAX] = '\0';
	}
	do {
		const uint8_t *p = read_in(PR_READ_FULL_STATUS, at);

		memcpy(whole + at, p, answer.len);
		at += answer.len;
	} while (answer.len > 0);
	assert_int_equal(at, answer.total);
	assert_int_equal(get_be(whole + 4, 4), at - 8);
	assert_int_equal((at - 8) % ARBITER_REGISTRANTS, 0);
	for (uint32_t i = 0; i < ARBITER_REGISTRANTS; i++)
		assert_int_equal(whole[8 + i * ((at - 8) / ARBITER_REGISTRANTS) + 13], 7);
	(void)read_in(PR_READ_FULL_STATUS, UINT32_MAX);
	assert_int_equal(answer.len, 0);
}

static void bad_action(void **state)
{
	static const struct arbiter_order order = {.action = 4};

	(void)state;
	record_open(0);
	(void)decide(order_pr_in, A, &order);
	assert_int_equal(outcome(), BAD_CDB);
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, ids, id_is_read);
	tests_add(&t, "a TransportID is read as it was written", id_comes_back, NULL);
	tests_add(&t, "SPEC_I_PT registers those that it lists", listed_are_registered, NULL);
	tests_add(&t, "SPEC_I_PT registers nobody when one is wrong", none_is_registered, NULL);
	tests_add(&t, "SPEC_I_PT of a name means its ports with this disk", device_is_registered,
		  NULL);
	tests_add(&t, "SPEC_I_PT is for a first REGISTER alone", spec_is_for_strangers, NULL);
	tests_add(&t, "P6: registrations are bounded, and refused whole", places_end, NULL);
	tests_add(&t, "each of 128 that CLEAR concerns is told", all_are_told, NULL);
	tests_add(&t, "ALL_TG_PT registers through each port", all_ports, NULL);
	tests_add(&t, "REGISTER AND MOVE moves", moves, NULL);
	tests_add(&t, "REGISTER AND MOVE takes a place", move_takes_a_place, NULL);
	tests_add(&t, "REGISTER AND MOVE to nobody in particular is refused", bad_moves, NULL);
	tests_add(&t, "READ KEYS", tells_keys, NULL);
	tests_add(&t, "READ RESERVATION", tells_reservation, NULL);
	tests_add(&t, "REPORT CAPABILITIES", tells_capabilities, NULL);
	tests_add(&t, "READ FULL STATUS", tells_full_status, NULL);
	tests_add(&t, "READ FULL STATUS comes in pieces that fit", tells_in_pieces, NULL);
	tests_add(&t, "an action that there is not is refused", bad_action, NULL);
	return tests_run(&t, "registrations of the arbiter");
}
