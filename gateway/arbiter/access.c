/* SET TARGET PORT GROUPS, SPC-4 section 6.45: asymmetric access states of a disk by each of its
 * target ports. Runs in the arbiter. The descriptors are a session's, hostile: what it may set
 * is what the monitor said of it. The states last as long as the gateway runs. */
#include "gateway/arbiter/court.h"
#include "gateway/base/bytes.h"

#define KEY_HARDWARE_ERROR  0x4
#define KEY_ILLEGAL_REQUEST 0x5

#define SENSE_INVALID_FIELD_IN_PARAMETER_LIST 0x2600
#define SENSE_ASYMMETRIC_ACCESS_STATE_CHANGED 0x2a06
#define SENSE_SET_TARGET_PORT_GROUPS_FAILED   0x670a

enum { LIST_HEADER = 4, DESCRIPTOR = 4 };

static enum decision answer_field(struct arbiter_answer *ret, size_t at)
{
	ret->pointed = 1;
	ret->field = (uint16_t)(LIST_HEADER + at);
	return answer_sense(ret, KEY_ILLEGAL_REQUEST, SENSE_INVALID_FIELD_IN_PARAMETER_LIST);
}

/* 0: none that the member may set. */
static uint64_t port_of(const struct member *m, uint16_t tag)
{
	for (size_t k = 0; k < ARRAY_LEN(m->groups) && tag != 0; k++) {
		if (m->groups[k].tag == tag)
			return m->groups[k].port;
	}
	return 0;
}

/* One that was put back into the state that all others are in gives its place away. */
static struct arbiter_access *place_for(struct arbiter_state *state, uint64_t port)
{
	struct arbiter_access *place = NULL;

	for (size_t k = 0; k < ARRAY_LEN(state->access); k++) {
		if (state->access[k].port == port)
			return &state->access[k];
		if (state->access[k].port == 0 || state->access[k].state == ACCESS_OPTIMIZED)
			place = &state->access[k];
	}
	return place;
}

/* Two descriptors of one group don't say which is meant. */
static bool is_named_before(const struct arbiter_order *o, size_t at)
{
	for (size_t k = 0; k < at; k += DESCRIPTOR) {
		if (memcmp(o->octets + k + 2, o->octets + at + 2, 2) == 0)
			return true;
	}
	return false;
}

static enum decision set_one(const struct member *m, size_t at, struct arbiter_state *state,
			     struct arbiter_answer *ret)
{
	const uint8_t *d = m->order.octets + at;
	uint64_t port = port_of(m, (uint16_t)get_be(d + 2, 2));
	struct arbiter_access *place;

	if (d[0] > ACCESS_UNAVAILABLE)
		return answer_field(ret, at);
	if (d[1] != 0)
		return answer_field(ret, at + 1);
	if (port == 0 || is_named_before(&m->order, at))
		return answer_field(ret, at + 2);
	if (d[0] == ACCESS_OPTIMIZED && arbiter_access_of(state, port) == NULL)
		return DECISION_CHANGE;
	place = place_for(state, port);
	if (place == NULL)
		return answer_sense(ret, KEY_HARDWARE_ERROR, SENSE_SET_TARGET_PORT_GROUPS_FAILED);
	*place = (struct arbiter_access){.port = port, .state = d[0]};
	return DECISION_CHANGE;
}

/* All of them or, when one can't be, none. Whoever asked is told by the answer, everybody else by a
 * unit attention. */
enum decision order_access(struct court *c, struct member *m, unsigned k,
			   struct arbiter_record *draft, struct arbiter_answer *ret)
{
	struct arbiter_state before = draft->state;
	struct arbiter_event event = {.except = m->nexus,
				      .code = SENSE_ASYMMETRIC_ACCESS_STATE_CHANGED};

	(void)c, (void)k;
	if (m->order.len % DESCRIPTOR != 0)
		return answer_field(ret, m->order.len);
	for (size_t at = 0; at < m->order.len; at += DESCRIPTOR) {
		if (set_one(m, at, &draft->state, ret) != DECISION_CHANGE)
			return DECISION_ANSWER;
	}
	if (memcmp(before.access, draft->state.access, sizeof before.access) == 0)
		return DECISION_ANSWER;
	record_event(draft, &event);
	return DECISION_CHANGE;
}
