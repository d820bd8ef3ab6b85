/* RESERVE, RELEASE and PERSISTENT RESERVE IN and OUT, SPC-2 and SPC-4 section 6.15, 6.16: checks
 * the CDB and the list, asks the arbiter, and says what it said. Runs in the session. The list
 * is the peer's: its lengths and flags are checked here, its TransportIDs by the arbiter. What
 * takes something from others runs only after its record is durable (P2). */
#include "gateway/scsi/gate.h"
#include "gateway/scsi/reservation_rules.h"
#include "gateway/scsi/shared.h"

/* REGISTER AND MOVE has its TransportID 4 octets before the others have theirs: all of it travels
 * in an order's octets. */
#define LIST_MAX	 (PR_LIST_BASIC + ARBITER_OCTETS)
#define PR_LIST_SAYS_WHO 16	/* behind both keys: flags, a relative port, initiator ports */
#define IN_MAX		 65535u /* octets: the longest allocation length */

#define RESTARTS_MAX 8 /* of a list that changes while it is read */

/* Bits of the list's octet 20, and of octet 17 with REGISTER AND MOVE. */
enum {
	SPEC_I_PT = 0x08,
	ALL_TG_PT = 0x04,
	APTPL = 0x01,
	MOVE_UNREG = 0x02,
	MOVE_APTPL = 0x01,
};

/* --- RESERVE and RELEASE --- */

static void order_whole_unit(const struct scsi_task *task, struct arbiter_order *ret)
{
	ret->kind = reservation_shuts_out(task->command) ? ORDER_RESERVE : ORDER_RELEASE;
}

enum scsi_step reserve_begin(struct scsi_task *task)
{
	return gate_admit(task) ? task_order(task, order_whole_unit, task_answered)
				: task_fail(task);
}

/* --- PERSISTENT RESERVE IN --- */

static void order_in(const struct scsi_task *task, struct arbiter_order *ret)
{
	ret->kind = ORDER_PR_IN;
	ret->action = (uint8_t)task->command->service_action;
	ret->at = (uint32_t)task->progress;
}

static enum scsi_step in_answered(struct scsi_task *task, const struct arbiter_answer *answer);

/* A piece of another whole than those before it. */
static bool is_stale(struct scsi_task *task, const struct arbiter_answer *answer)
{
	bool stale = task->progress != 0 && task->whole != answer->whole;

	task->whole = answer->whole;
	return stale;
}

/* From the start again; others that register all the time make it no endless task. */
static enum scsi_step begin_again(struct scsi_task *task)
{
	task->progress = 0;
	if (task->stage++ == RESTARTS_MAX)
		return task_busy(task);
	return task_order(task, order_in, in_answered);
}

static enum scsi_step in_answered(struct scsi_task *task, const struct arbiter_answer *answer)
{
	size_t room = MIN(task->bytes, task->buffer_len), len;

	if (answer->status != SCSI_GOOD)
		return task_answered(task, answer);
	if (is_stale(task, answer))
		return begin_again(task);
	len = MIN(MIN(answer->len, ARBITER_OCTETS), room - MIN(task->progress, room));
	task_scatter(task, task->progress, answer->octets, len);
	task->progress += len;
	if (len > 0 && task->progress < MIN(answer->total, room))
		return task_order(task, order_in, in_answered);
	task->data_len = task->progress;
	task->wanted = MIN(answer->total, command_allocation(task));
	return task_good(task);
}

enum scsi_step pr_in_begin(struct scsi_task *task)
{
	if (!gate_admit(task))
		return task_fail(task);
	task->bytes = MIN(command_allocation(task), IN_MAX);
	task->bytes = task->read ? MIN(task->bytes, task->edtl) : 0;
	return task->bytes == 0 ? task_order(task, order_in, in_answered) : SCSI_WANT_BUFFER;
}

enum scsi_step pr_in_start(struct scsi_task *task)
{
	return task_order(task, order_in, in_answered);
}

/* --- PERSISTENT RESERVE OUT --- */

static uint8_t action_of(const struct scsi_task *task)
{
	return (uint8_t)task->command->service_action;
}

static size_t list_length(const struct scsi_task *task)
{
	return get_be(task->cdb + 5, 4);
}

/* Only REGISTER and REGISTER AND MOVE have more than the basic list. */
static bool check_length(struct scsi_task *task)
{
	size_t len = list_length(task);
	bool longer = action_of(task) == PR_REGISTER || action_of(task) == PR_REGISTER_AND_MOVE;

	if (len < PR_LIST_BASIC || len > LIST_MAX || (len > PR_LIST_BASIC && !longer))
		sense_set(task, KEY_ILLEGAL_REQUEST, SENSE_PARAMETER_LIST_LENGTH_ERROR);
	else if (!task->write || task->edtl < len)
		sense_set(task, KEY_ILLEGAL_REQUEST, SENSE_INVALID_FIELD_IN_COMMAND_IU);
	else
		return true;
	return false;
}

/* RESERVE wants the scope LU and a type that there is. What the others want of them depends on what
 * is reserved: the arbiter knows. */
static bool check_scope_type(struct scsi_task *task)
{
	uint8_t scope_type = task->cdb[2];

	if (action_of(task) != PR_RESERVE || reservation_is_persistent(scope_type))
		return true;
	sense_cdb_field(task, 2, scope_type >> 4 != 0 ? 7 : 3);
	return false;
}

enum scsi_step pr_out_begin(struct scsi_task *task)
{
	if (!check_scope_type(task) || !check_length(task))
		return task_refuse(task);
	task->wanted = task->bytes = list_length(task);
	return gate_reserve(task) ? SCSI_WANT_DATA : task_fail(task);
}

static bool bad_list(struct scsi_task *task, unsigned octet)
{
	sense_set(task, KEY_ILLEGAL_REQUEST, SENSE_INVALID_FIELD_IN_PARAMETER_LIST);
	sense_parameter_field(task, octet);
	return false;
}

static bool bad_length(struct scsi_task *task)
{
	sense_set(task, KEY_ILLEGAL_REQUEST, SENSE_PARAMETER_LIST_LENGTH_ERROR);
	return false;
}

static bool check_move(struct scsi_task *task, const uint8_t *list)
{
	if (list[PR_MOVE_FLAGS - 1] != 0)
		return bad_list(task, PR_MOVE_FLAGS - 1);
	if (list[PR_MOVE_FLAGS] & ~(MOVE_UNREG | MOVE_APTPL))
		return bad_list(task, PR_MOVE_FLAGS);
	if (get_be(list + PR_MOVE_TRANSPORT_ID - 4, 4) != task->bytes - PR_MOVE_TRANSPORT_ID)
		return bad_length(task);
	return true;
}

/* With SPEC_I_PT the list goes on, and says by how much; without it it does not. */
static bool check_basic(struct scsi_task *task, const uint8_t *list)
{
	bool specifies = (list[PR_LIST_FLAGS] & SPEC_I_PT) != 0;

	if (list[PR_LIST_FLAGS] & ~(SPEC_I_PT | ALL_TG_PT | APTPL))
		return bad_list(task, PR_LIST_FLAGS);
	if (list[PR_LIST_FLAGS + 1] != 0)
		return bad_list(task, PR_LIST_FLAGS + 1);
	if (specifies && action_of(task) != PR_REGISTER)
		return bad_list(task, PR_LIST_FLAGS);
	if (!specifies)
		return task->bytes == PR_LIST_BASIC || bad_length(task);
	if (task->bytes < PR_LIST_TRANSPORT_IDS)
		return bad_length(task);
	return get_be(list + PR_LIST_BASIC, 4) == task->bytes - PR_LIST_TRANSPORT_IDS ||
	       bad_length(task);
}

static uint8_t order_flags(const struct scsi_task *task, const uint8_t *list)
{
	uint8_t bits =
		list[action_of(task) == PR_REGISTER_AND_MOVE ? PR_MOVE_FLAGS : PR_LIST_FLAGS];

	if (action_of(task) == PR_REGISTER_AND_MOVE)
		return (uint8_t)((bits & MOVE_APTPL ? ORDER_APTPL : 0) |
				 (bits & MOVE_UNREG ? ORDER_UNREGISTER : 0));
	return (uint8_t)((bits & APTPL ? ORDER_APTPL : 0) |
			 (bits & ALL_TG_PT ? ORDER_ALL_TG_PT : 0) |
			 (bits & SPEC_I_PT ? ORDER_SPEC_I_PT : 0));
}

/* The list was checked when it came; it stays in the task's buffer. */
static void order_out(const struct scsi_task *task, struct arbiter_order *ret)
{
	bool moves = action_of(task) == PR_REGISTER_AND_MOVE;
	size_t ids = moves ? PR_MOVE_TRANSPORT_ID : PR_LIST_TRANSPORT_IDS;
	uint8_t list[PR_LIST_BASIC];

	task_gather(task, 0, list, sizeof list);
	ret->kind = ORDER_PR_OUT;
	ret->action = action_of(task);
	ret->scope_type = task->cdb[2];
	ret->key = get_be(list, 8);
	ret->action_key = get_be(list + PR_LIST_ACTION_KEY, 8);
	ret->flags = order_flags(task, list);
	if (moves)
		ret->relative_port = (uint16_t)get_be(list + PR_MOVE_RELATIVE_PORT, 2);
	if (task->bytes <= ids)
		return;
	ret->len = (uint32_t)(task->bytes - ids);
	assert(ret->len <= sizeof ret->octets);
	task_gather(task, ids, ret->octets, ret->len);
}

/* What the arbiter finds wrong in the CDB: the type, or an action that nothing is there for. */
static enum scsi_step out_answered(struct scsi_task *task, const struct arbiter_answer *answer)
{
	if (answer->status != SCSI_CHECK_CONDITION || answer->code != SENSE_INVALID_FIELD_IN_CDB)
		return task_answered(task, answer);
	if (action_of(task) == PR_REGISTER_AND_MOVE)
		sense_cdb_field(task, 1, 4);
	else
		sense_cdb_field(task, 2, task->cdb[2] >> 4 != 0 ? 7 : 3);
	return task_fail(task);
}

/* Who else is registered, or to whom a reservation moves: what is longer than the keys says it. */
static unsigned list_records(const struct scsi_task *task)
{
	return task->bytes > PR_LIST_BASIC ? gate_list_records(task->bytes - PR_LIST_SAYS_WHO) : 0;
}

/* Recorded are both keys, each as a range of no blocks: first whose it says to be, then which it is
 * about; and the initiator ports that are named. */
enum scsi_step pr_out_start(struct scsi_task *task)
{
	uint8_t list[PR_LIST_TRANSPORT_IDS] = {0};
	struct gate_range recorded[2] = {0};

	if (task->buffer_len < task->bytes) {
		sense_set(task, KEY_ABORTED_COMMAND, SENSE_INVALID_FIELD_IN_COMMAND_IU);
		return task_refuse(task);
	}
	task_gather(task, 0, list, MIN(task->bytes, sizeof list));
	if (!(action_of(task) == PR_REGISTER_AND_MOVE ? check_move : check_basic)(task, list))
		return task_refuse(task);
	recorded[0].lba = get_be(list, 8);
	recorded[1].lba = get_be(list + PR_LIST_ACTION_KEY, 8);
	if (gate_lacks_room(task, ARRAY_LEN(recorded) + list_records(task)))
		return gate_when_durable(task, pr_out_start);
	if (!gate_admit_ranges(task, recorded, ARRAY_LEN(recorded)))
		return task_fail(task);
	if (list_records(task) > 0 && gate_put_list(task, PR_LIST_SAYS_WHO) < 0)
		return task_busy(task);
	return task_order(task, order_out, out_answered);
}
