/* Mode parameters of a disk: the current ones and the saved ones, changed bit by bit, so that two
 * sessions that change different ones don't undo each other. Runs in the arbiter; what the
 * bits mean is the sessions' to know, who take any. */
#include "gateway/arbiter/court.h"

#define KEY_ILLEGAL_REQUEST		      0x5
#define KEY_DATA_PROTECT		      0x7
#define WRITE_PROTECTED			      0x2700
#define SENSE_INVALID_FIELD_IN_PARAMETER_LIST 0x2600
#define ATTENTION_MODE_PARAMETERS_CHANGED     0x2a01

static void apply(uint8_t modes[ARBITER_MODES_EACH], const struct arbiter_order *order)
{
	const uint8_t *values = order->octets, *mask = values + ARBITER_MODES_EACH;

	for (size_t i = 0; i < ARBITER_MODES_EACH; i++)
		modes[i] = (uint8_t)((modes[i] & ~mask[i]) | (values[i] & mask[i]));
}

/* SPC-5: all that can be saved is saved, as it is then. */
static void save(struct arbiter_record *draft)
{
	uint8_t *current = draft->state.modes, *saved = current + ARBITER_MODES_EACH;

	memcpy(saved, current, ARBITER_MODES_EACH);
	memcpy(draft->saved_modes, draft->state.modes, sizeof draft->saved_modes);
}

/* Octets: values, then which of their bits count. Flags: ORDER_SAVE. */
enum decision order_modes(struct court *c, struct member *m, unsigned k,
			  struct arbiter_record *draft, struct arbiter_answer *ret)
{
	struct arbiter_record *old = court_record(c, m->luns[k].disk);
	const size_t current = ARBITER_MODES_EACH;

	if (!m->luns[k].writable) /* P3: SWP, for one, would keep others from writing */
		return answer_sense(ret, KEY_DATA_PROTECT, WRITE_PROTECTED);
	if (m->order.len != ARBITER_MODES)
		return answer_sense(ret, KEY_ILLEGAL_REQUEST,
				    SENSE_INVALID_FIELD_IN_PARAMETER_LIST);
	apply(draft->state.modes, &m->order);
	if (m->order.flags & ORDER_SAVE)
		save(draft);
	if (memcmp(draft->state.modes, old->state.modes, ARBITER_MODES) == 0)
		return DECISION_ANSWER;
	if (memcmp(draft->state.modes, old->state.modes, current) != 0)
		record_event(draft, &(struct arbiter_event){
					    .except = m->nexus,
					    .by = m->connection,
					    .code = ATTENTION_MODE_PARAMETERS_CHANGED,
				    });
	return m->order.flags & ORDER_SAVE ? DECISION_KEEP : DECISION_CHANGE;
}
