/* Who came when for the first time: initiators, addresses, pairs; who was let in and who only tried
 * are kept apart, so that strangers push nobody out. */
#include "tests/unit/test.h"

#include <stdio.h>

#include "gateway/audit/first_seen.h"

struct came {
	enum audit_event_kind kind;
	const char *initiator, *address;
};

static const struct story {
	const char *why;
	struct came came[6]; /* sequence: 1 + index */
	const char *want;    /* "sequence new*times, …" */
} stories[] = {
	{"nobody", {{0, NULL, NULL}}, ""},
	{"a login is new in all", {{EVENT_LOGIN, "a", "192.0.2.1"}}, "1 3*1"},
	{"the same again is not",
	 {{EVENT_LOGIN, "a", "192.0.2.1"}, {EVENT_LOGIN, "a", "192.0.2.1"}},
	 "1 3*2"},
	{"an initiator from another address",
	 {{EVENT_LOGIN, "a", "192.0.2.1"}, {EVENT_LOGIN, "a", "192.0.2.2"}},
	 "1 3*1, 2 2*1"},
	{"another initiator from the address",
	 {{EVENT_LOGIN, "a", "192.0.2.1"}, {EVENT_LOGIN, "b", "192.0.2.1"}},
	 "1 3*1, 2 1*1"},
	{"a pair of which both are known",
	 {{EVENT_LOGIN, "a", "192.0.2.1"},
	  {EVENT_LOGIN, "b", "192.0.2.2"},
	  {EVENT_LOGIN, "a", "192.0.2.2"}},
	 "1 3*1, 2 3*1, 3 0*1"},
	{"a refusal does not make a name known",
	 {{EVENT_REFUSAL, "a", "192.0.2.1"}, {EVENT_LOGIN, "a", "192.0.2.1"}},
	 "1 3*1, 2 3*1"},
	{"but a login makes one known to refusals",
	 {{EVENT_LOGIN, "a", "192.0.2.1"}, {EVENT_REFUSAL, "b", "192.0.2.1"}},
	 "1 3*1, 2 1*1"},
	{"a connection without a name", {{EVENT_CONNECTION, "", "192.0.2.1"}}, "1 2*1"},
	{"refusals that were counted", {{EVENT_REFUSALS_COUNTED, "", "192.0.2.1"}}, "1 2*40"},
	{"a discovery is a way in", {{EVENT_DISCOVERY, "a", "2001:db8::1"}}, "1 3*1"},
	{"a logout is not", {{EVENT_LOGOUT, "a", "192.0.2.1"}}, ""},
};

static struct trail_record record_of(const struct came *c, uint64_t sequence)
{
	struct trail_record r = {.frame = {.type = FRAME_EVENT}};
	struct network n;

	r.frame.stamp.sequence = sequence;
	r.frame.stamp.time_ns = sequence * 1000;
	r.frame.event.kind = c->kind;
	r.frame.event.count = c->kind == EVENT_REFUSALS_COUNTED ? 40 : 0;
	string_copy(r.frame.event.initiator, sizeof r.frame.event.initiator, c->initiator);
	assert_int_equal(network_parse(c->address, &n), 0);
	r.frame.event.peer = (struct endpoint){.ip = n.ip, .port = (uint16_t)(1000 + sequence)};
	return r;
}

static void test_story(void **state)
{
	const struct story *story = *state;
	const struct seen_pair *pair;
	size_t at[2] = {0, 0}, len = 0;
	char text[256] = "";
	struct first_seen s;

	first_seen_open(&s);
	for (size_t k = 0; k < ARRAY_LEN(story->came) && story->came[k].kind; k++) {
		struct trail_record r = record_of(&story->came[k], k + 1);

		first_seen_add(&s, &r);
	}
	while ((pair = first_seen_next(&s, at)) != NULL)
		len += (size_t)snprintf(text + len, sizeof text - len, "%s%llu %u*%llu",
					len ? ", " : "", (unsigned long long)pair->first_sequence,
					pair->fresh, (unsigned long long)pair->times);
	first_seen_close(&s);
	assert_string_equal(text, story->want);
}

static void strangers_are_bounded(void **state)
{
	struct trail_record friend = record_of(&(struct came){EVENT_LOGIN, "a", "192.0.2.1"}, 1);
	struct first_seen s;

	(void)state;
	first_seen_open(&s);
	for (unsigned k = 0; k < FIRST_SEEN_REFUSED + 10; k++) {
		struct came c = {EVENT_REFUSAL, "", "192.0.2.9"};
		struct trail_record r = record_of(&c, k + 1);

		(void)snprintf(r.frame.event.initiator, sizeof r.frame.event.initiator, "x%u", k);
		first_seen_add(&s, &r);
	}
	assert_int_equal(s.of[0].pairs.count, FIRST_SEEN_REFUSED);
	assert_int_equal(first_seen_left_out(&s), 10);
	first_seen_add(&s, &friend);
	assert_int_equal(s.of[1].pairs.count, 1);
	first_seen_close(&s);
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, stories, test_story);
	tests_add(&t, "P6: strangers fill their own table, and no other", strangers_are_bounded,
		  NULL);
	return tests_run(&t, "audit_first_seen");
}
