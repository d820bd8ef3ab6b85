/* PERSISTENT RESERVE OUT, RESERVE and RELEASE as the arbiter decides them: what each action comes
 * to for each standing and type, what it leaves, who is told. Expected values are SPC-4's,
 * written down here. */
#include "tests/unit/reservations_rig.h"

static const uint8_t types[] = {0, 1, 3, 5, 6, 7, 8};

static bool is_all(uint8_t type)
{
	return type == 7 || type == 8;
}

/* --- every action, standing and type --- */

/* To C, through its port. */
static void fill_move(struct arbiter_order *order)
{
	order->relative_port = 1;
	(void)put_id(order, members[C].initiator, members[C].isid);
}

static const struct {
	const char *why;
	uint8_t action;
	bool other_type, wrong_key;
	uint64_t action_key;
	/* of a stranger, of one that is registered, of a holder: good, Conflict, bad field of the
	 * CDB or of the list, bad release. While nothing is reserved, it is of one, of all */
	char none[4], one[4], all[4];
} matrix[] = {
	/* clang-format off */
	{"REGISTER with a new key is for everybody",
	 PR_REGISTER, false, false, KEY_N, "ggg", "ggg", "ggg"},
	{"REGISTER with another key than one's own conflicts",
	 PR_REGISTER, false, true, KEY_N, "CCC", "CCC", "CCC"},
	{"REGISTER with key 0 unregisters, and is no error for a stranger",
	 PR_REGISTER, false, false, 0, "ggg", "ggg", "ggg"},
	{"REGISTER AND IGNORE EXISTING KEY ignores it",
	 PR_REGISTER_AND_IGNORE, false, true, KEY_N, "ggg", "ggg", "ggg"},
	{"RESERVE is for the registered, and again for who holds",
	 PR_RESERVE, false, false, 0, "Cgg", "CCg", "Cgg"},
	{"RESERVE with another type conflicts, for the holder, too",
	 PR_RESERVE, true, false, 0, "Cgg", "CCC", "CCC"},
	{"RESERVE with a wrong key conflicts",
	 PR_RESERVE, false, true, 0, "CCC", "CCC", "CCC"},
	{"RELEASE is no error for who holds nothing",
	 PR_RELEASE, false, false, 0, "Cgg", "Cgg", "Cgg"},
	{"RELEASE of another type is refused to a holder",
	 PR_RELEASE, true, false, 0, "Cgg", "Cgr", "Crr"},
	{"RELEASE with a wrong key conflicts",
	 PR_RELEASE, false, true, 0, "CCC", "CCC", "CCC"},
	{"CLEAR is for the registered",
	 PR_CLEAR, false, false, 0, "Cgg", "Cgg", "Cgg"},
	{"CLEAR with a wrong key conflicts",
	 PR_CLEAR, false, true, 0, "CCC", "CCC", "CCC"},
	{"PREEMPT of A's key is for the registered",
	 PR_PREEMPT, false, false, KEY_A, "Cgg", "Cgg", "Cgg"},
	{"PREEMPT of B's key is for the registered",
	 PR_PREEMPT, true, false, KEY_B, "Cgg", "Cgg", "Cgg"},
	{"PREEMPT of key 0 means all registrants, where they hold it",
	 PR_PREEMPT, true, false, 0, "Cll", "Cll", "Cgg"},
	{"PREEMPT of a key that nobody has conflicts",
	 PR_PREEMPT, false, false, KEY_N, "CCC", "CCC", "CCC"},
	{"PREEMPT with a wrong key conflicts",
	 PR_PREEMPT, false, true, KEY_A, "CCC", "CCC", "CCC"},
	{"PREEMPT AND ABORT is as PREEMPT",
	 PR_PREEMPT_AND_ABORT, false, false, KEY_A, "Cgg", "Cgg", "Cgg"},
	{"REGISTER AND MOVE is for the one holder",
	 PR_REGISTER_AND_MOVE, false, false, KEY_N, "Cff", "CCg", "CCC"},
	{"an action that there is not is refused",
	 8, false, false, KEY_N, "fff", "fff", "fff"},
	/* clang-format on */
};

static unsigned meaning(char c)
{
	return c == 'g'	  ? GOOD
	       : c == 'C' ? CONFLICT
	       : c == 'f' ? BAD_CDB
	       : c == 'l' ? BAD_LIST
			  : BAD_RELEASE;
}

static void comes_to(void **state)
{
	const __typeof__(matrix[0]) *row = *state;
	static const unsigned who[3] = {C, B, A};

	for (size_t t = 0; t < ARRAY_LEN(types); t++) {
		const char *want = types[t] == 0      ? row->none
				   : is_all(types[t]) ? row->all
						      : row->one;
		uint8_t type = types[t] == 0 ? 1 : types[t];

		for (unsigned s = 0; s < 3; s++) {
			struct arbiter_order order = {.action = row->action,
						      .key = keys[who[s]] + row->wrong_key,
						      .action_key = row->action_key,
						      .scope_type = type};

			record_open(types[t]);
			if (row->other_type)
				order.scope_type = type == 1 ? 3 : 1;
			if (row->action == PR_REGISTER_AND_MOVE)
				fill_move(&order);
			(void)decide(order_pr_out, who[s], &order);
			assert_int_equal(outcome(), meaning(want[s]));
			if (want[s] != 'g')
				assert_memory_equal(&after, &before, sizeof after);
		}
	}
}

/* --- what it leaves --- */

static const struct {
	const char *why;
	uint8_t type; /* before */
	unsigned who;
	struct arbiter_order order;
	/* afterwards */
	uint8_t want_type;
	const char *holder;	/* "" for none, or for all registrants */
	const char *registered; /* members */
	const char *told;	/* member and the ASCQ of 2Ah, '!' after it: its tasks end */
	uint32_t counted;	/* of PRGENERATION */
} left[] = {
	/* clang-format off */
	{"a new registration", 5, C,
	 {.action = PR_REGISTER, .action_key = KEY_N}, 5, "A", "ABCD", "", 1},
	{"a new key", 5, B,
	 {.action = PR_REGISTER, .key = KEY_B, .action_key = KEY_N}, 5, "A", "ABD", "", 1},
	{"nothing, of a stranger's key 0", 5, C,
	 {.action = PR_REGISTER}, 5, "A", "ABD", "", 0},
	{"a holder that unregisters releases: write exclusive", 1, A,
	 {.action = PR_REGISTER, .key = KEY_A}, 0, "", "BD", "", 1},
	{"a holder that unregisters releases: exclusive access", 3, A,
	 {.action = PR_REGISTER, .key = KEY_A}, 0, "", "BD", "", 1},
	{"a holder that unregisters releases, registrants are told", 5, A,
	 {.action = PR_REGISTER, .key = KEY_A}, 0, "", "BD", "B4 D4 ", 1},
	{"the same, ignoring its key", 6, A,
	 {.action = PR_REGISTER_AND_IGNORE, .key = 1}, 0, "", "BD", "B4 D4 ", 1},
	{"all registrants hold on when one goes", 7, A,
	 {.action = PR_REGISTER, .key = KEY_A}, 7, "", "BD", "", 1},
	{"a registrant that unregisters leaves the holder", 6, B,
	 {.action = PR_REGISTER, .key = KEY_B}, 6, "A", "AD", "", 1},
	{"a reservation", 0, B,
	 {.action = PR_RESERVE, .key = KEY_B, .scope_type = 3}, 3, "B", "ABD", "", 0},
	{"a reservation of all registrants", 0, B,
	 {.action = PR_RESERVE, .key = KEY_B, .scope_type = 8}, 8, "", "ABD", "", 0},
	{"released: write exclusive tells nobody", 1, A,
	 {.action = PR_RELEASE, .key = KEY_A, .scope_type = 1}, 0, "", "ABD", "", 0},
	{"released: exclusive access tells nobody", 3, A,
	 {.action = PR_RELEASE, .key = KEY_A, .scope_type = 3}, 0, "", "ABD", "", 0},
	{"released: registrants only tells the registered", 5, A,
	 {.action = PR_RELEASE, .key = KEY_A, .scope_type = 5}, 0, "", "ABD", "B4 D4 ", 0},
	{"released: all registrants tells the registered", 8, B,
	 {.action = PR_RELEASE, .key = KEY_B, .scope_type = 8}, 0, "", "ABD", "A4 D4 ", 0},
	{"not released by who does not hold", 5, B,
	 {.action = PR_RELEASE, .key = KEY_B, .scope_type = 5}, 5, "A", "ABD", "", 0},
	{"cleared: all others are told", 3, B,
	 {.action = PR_CLEAR, .key = KEY_B}, 0, "", "", "A3 D3 ", 1},
	{"cleared, without a reservation", 0, A,
	 {.action = PR_CLEAR, .key = KEY_A}, 0, "", "", "B3 D3 ", 1},
	{"preempted: the holder", 3, B,
	 {.action = PR_PREEMPT, .key = KEY_B, .action_key = KEY_A, .scope_type = 3}, 3, "B", "BD", "A5 ", 1},
	{"preempted, with another type: the rest is told that it was released", 3, B,
	 {.action = PR_PREEMPT, .key = KEY_B, .action_key = KEY_A, .scope_type = 5}, 5, "B", "BD", "A5 D4 ", 1},
	{"preempted and aborted: the holder's tasks end", 5, B,
	 {.action = PR_PREEMPT_AND_ABORT, .key = KEY_B, .action_key = KEY_A, .scope_type = 5}, 5, "B", "BD", "A5! ", 1},
	{"preempted by its holder: another type", 1, A,
	 {.action = PR_PREEMPT, .key = KEY_A, .action_key = KEY_A, .scope_type = 6}, 6, "A", "ABD", "B4 D4 ", 1},
	{"preempted: registrations, the scope and type ignored", 3, A,
	 {.action = PR_PREEMPT, .key = KEY_A, .action_key = KEY_B, .scope_type = 0xff}, 3, "A", "A", "B5 D5 ", 1},
	{"preempted: one's own registration, with all of that key", 3, B,
	 {.action = PR_PREEMPT, .key = KEY_B, .action_key = KEY_B, .scope_type = 3}, 3, "A", "A", "D5 ", 1},
	{"preempted and aborted: registrations", 0, A,
	 {.action = PR_PREEMPT_AND_ABORT, .key = KEY_A, .action_key = KEY_B, .scope_type = 1}, 0, "", "A", "B5! D5! ", 1},
	{"preempted: all registrants, by key 0", 7, B,
	 {.action = PR_PREEMPT, .key = KEY_B, .scope_type = 1}, 1, "B", "B", "A5 D5 ", 1},
	{"preempted: of all registrants those with a key", 8, A,
	 {.action = PR_PREEMPT, .key = KEY_A, .action_key = KEY_B, .scope_type = 1}, 8, "", "A", "B5 D5 ", 1},
	/* clang-format on */
};

static const char *told(char *text)
{
	char *at = text;

	for (uint32_t i = 0; i < after.event_new; i++) {
		const struct arbiter_event *e = &after.events[i];
		unsigned who = 0;

		while (who < MEMBERS && members[who].nexus != e->to)
			who++;
		assert_true(who < MEMBERS);
		assert_int_equal(e->code >> 8, 0x2a);
		*at++ = (char)('A' + who);
		*at++ = (char)('0' + (e->code & 0xf));
		if (e->flags & EVENT_ABORTS)
			*at++ = '!';
		*at++ = ' ';
	}
	*at = '\0';
	return text;
}

static const char *registered(char *text)
{
	char *at = text;

	for (unsigned who = 0; who < MEMBERS; who++) {
		if (registration_exists(&after, members[who].nexus))
			*at++ = (char)('A' + who);
	}
	*at = '\0';
	return text;
}

/* Padding, too: both began as copies of one record. */
static bool same_octets(const void *a, const void *b, size_t len)
{
	return memcmp(a, b, len) == 0;
}

static void leaves(void **state)
{
	const __typeof__(left[0]) *row = *state;
	char text[256];
	enum decision d;

	record_open(row->type);
	d = decide(order_pr_out, row->who, &row->order);
	assert_int_equal(outcome(), GOOD);
	assert_int_equal(after.state.reservation, row->want_type);
	assert_int_equal(after.state.holder,
			 row->holder[0] ? members[row->holder[0] - 'A'].nexus : 0);
	assert_string_equal(registered(text), row->registered);
	assert_string_equal(told(text), row->told);
	assert_int_equal(after.pr_generation, 100 + row->counted);
	assert_int_equal(d == DECISION_ANSWER, same_octets(&after, &before, sizeof after));
}

static void last_of_all_leaves(void **state)
{
	static const struct arbiter_order preempt = {
		.action = PR_PREEMPT, .key = KEY_B, .action_key = KEY_B};
	static const struct arbiter_order leave = {.action = PR_REGISTER, .key = KEY_A};

	(void)state;
	record_open(7);
	assert_int_equal(decide(order_pr_out, A, &leave), DECISION_CHANGE);
	before = after;
	assert_int_equal(decide(order_pr_out, B, &preempt), DECISION_CHANGE);
	assert_int_equal(after.state.reservation, RESERVATION_NONE);
}

static void aborted_is_told(void **state)
{
	static const struct arbiter_order order = {
		.action = PR_PREEMPT_AND_ABORT, .key = KEY_B, .action_key = KEY_A, .scope_type = 1};

	(void)state;
	record_open(1);
	before.state.modes[0] = ARBITER_MODES_TAS;
	assert_int_equal(decide(order_pr_out, B, &order), DECISION_CHANGE);
	assert_int_equal(after.event_new, 1);
	assert_int_equal(after.events[0].flags, EVENT_ABORTS | EVENT_TAS);
	assert_int_equal(after.events[0].by, B + 1);
}

/* --- scope and type --- */

static void bad_types(void **state)
{
	(void)state;
	for (unsigned type = 0; type < 256; type++) {
		struct arbiter_order order = {
			.action = PR_RESERVE, .key = KEY_B, .scope_type = (uint8_t)type};
		bool good = type == 1 || type == 3 || (type >= 5 && type <= 8);

		record_open(0);
		(void)decide(order_pr_out, B, &order);
		assert_int_equal(outcome(), good ? GOOD : BAD_CDB);
		record_open(3);
		order.action = PR_PREEMPT;
		order.action_key = KEY_A;
		(void)decide(order_pr_out, B, &order);
		assert_int_equal(outcome(), good ? GOOD : BAD_CDB);
	}
}

/* --- APTPL --- */

static void kept(void **state)
{
	struct arbiter_order order = {
		.action = PR_REGISTER, .key = KEY_B, .action_key = KEY_B, .flags = ORDER_APTPL};

	(void)state;
	record_open(1);
	assert_int_equal(decide(order_pr_out, B, &order), DECISION_KEEP);
	assert_true(after.aptpl);
	before = after;
	assert_int_equal(decide(order_pr_out, A,
				&(struct arbiter_order){
					.action = PR_RELEASE, .key = KEY_A, .scope_type = 1}),
			 DECISION_KEEP);
	before = after;
	order.flags = 0;
	assert_int_equal(decide(order_pr_out, B, &order), DECISION_KEEP); /* that it is off */
	assert_false(after.aptpl);
	before = after;
	assert_int_equal(decide(order_pr_out, B, &order), DECISION_CHANGE);
}

static void unsound(void **state)
{
	(void)state;
	record_open(1);
	before.state.holder = members[C].nexus;
	assert_false(reservations_are_sound(&before));
	record_open(7);
	before.state.holder = members[A].nexus;
	assert_false(reservations_are_sound(&before));
	record_open(0);
	before.state.holder = members[A].nexus;
	assert_false(reservations_are_sound(&before));
	record_open(1);
	before.state.reservation = 2;
	assert_false(reservations_are_sound(&before));
	record_open(1);
	before.state.registrants[1] = 5;
	assert_false(reservations_are_sound(&before));
	record_open(1);
	before.registrations[9] = before.registrations[0];
	before.state.registrants[9] = before.state.registrants[0];
	assert_false(reservations_are_sound(&before));
	record_open(1);
	before.registrations[2].key = 0;
	assert_false(reservations_are_sound(&before));
	record_open(1);
	memset(before.registrations[2].initiator, 'x', ISCSI_NAME_SIZE);
	assert_false(reservations_are_sound(&before));
}

/* --- who may only read --- */

static void readers_shut_nobody_out(void **state)
{
	static const char outcomes[] = "gpgpppgp"; /* by action; 'p': protected */

	(void)state;
	for (uint8_t action = 0; outcomes[action] != '\0'; action++) {
		struct arbiter_order order = {.action = action,
					      .key = KEY_B,
					      .action_key = KEY_A,
					      .scope_type = 1,
					      .flags = 0};

		record_open(1);
		members[B].luns[0].writable = false;
		(void)decide(order_pr_out, B, &order);
		assert_int_equal(outcome(), outcomes[action] == 'p' ? 0x2700 : GOOD);
	}
	record_open(RESERVATION_NONE);
	members[C].luns[0].writable = false;
	(void)decide(order_pr_out, C,
		     &(struct arbiter_order){.action_key = KEY_N, .flags = ORDER_SPEC_I_PT});
	assert_int_equal(outcome(), 0x2700); /* others would take all places */
	record_open(RESERVATION_RESERVE_6);
	members[B].luns[0].writable = false;
	(void)decide(order_reserve, B, &(struct arbiter_order){0});
	assert_int_equal(outcome(), 0x2700);
	(void)decide(order_release, B, &(struct arbiter_order){0});
	assert_int_equal(outcome(), GOOD);
}

/* --- RESERVE and RELEASE --- */

static void reserve_excludes(void **state)
{
	static const struct arbiter_order none;

	(void)state;
	record_open(RESERVATION_RESERVE_6);
	assert_int_equal(decide(order_reserve, A, &none), DECISION_ANSWER);
	assert_int_equal(outcome(), GOOD); /* again */
	(void)decide(order_reserve, B, &none);
	assert_int_equal(outcome(), CONFLICT);
	assert_int_equal(decide(order_release, B, &none), DECISION_ANSWER);
	assert_int_equal(outcome(), GOOD); /* SPC-2: no error, and no effect */
	for (unsigned action = 0; action < 8; action++) {
		struct arbiter_order order = {.action = (uint8_t)action, .action_key = KEY_N};

		(void)decide(order_pr_out, A, &order); /* of the holder, too */
		assert_int_equal(outcome(), CONFLICT);
		(void)decide(order_pr_in, B, &order);
		assert_int_equal(outcome(), CONFLICT);
	}
	assert_int_equal(decide(order_release, A, &none), DECISION_CHANGE);
	assert_int_equal(after.state.reservation, RESERVATION_NONE);
	before = after;
	assert_int_equal(decide(order_reserve, C, &none), DECISION_CHANGE);
	assert_int_equal(after.state.reservation, RESERVATION_RESERVE_6);
	assert_int_equal(after.state.holder, members[C].nexus);
	assert_int_equal(after.event_new, 0);
}

static void reserve_is_excluded(void **state)
{
	static const struct arbiter_order none;

	(void)state;
	for (size_t t = 0; t < ARRAY_LEN(types); t++) {
		record_open(types[t]);
		for (unsigned who = 0; who < MEMBERS; who++) {
			(void)decide(order_reserve, who, &none);
			assert_int_equal(outcome(), CONFLICT);
			(void)decide(order_release, who, &none);
			assert_int_equal(outcome(), CONFLICT);
		}
	}
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, matrix, comes_to);
	TESTS_ADD_TABLE(&t, left, leaves);
	tests_add(&t, "the last of all registrants releases", last_of_all_leaves, NULL);
	tests_add(&t, "with TAS, what is aborted is told", aborted_is_told, NULL);
	tests_add(&t, "a scope or type that there is not is refused", bad_types, NULL);
	tests_add(&t, "APTPL: changes outlive a loss of power, and that it is off", kept, NULL);
	tests_add(&t, "a record that contradicts itself is found", unsound, NULL);
	tests_add(&t, "P3: who may only read shuts nobody out, taken over or not",
		  readers_shut_nobody_out, NULL);
	tests_add(&t, "RESERVE excludes others, and persistent reservations", reserve_excludes,
		  NULL);
	tests_add(&t, "whoever is registered excludes RESERVE and RELEASE", reserve_is_excluded,
		  NULL);
	return tests_run(&t, "reservations of the arbiter");
}
