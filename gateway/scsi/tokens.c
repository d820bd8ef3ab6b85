/* POPULATE TOKEN and WRITE USING TOKEN, SBC-4: Windows' offloaded copy. Runs in the session; the
 * arbiter makes and keeps the tokens. What a token stands for is read when it is used, so it is
 * asked once more after the last block was read whether it is good; IMMED is not taken
 * up, an early answer would tell less. Source and destination are in the audit each, first. */
#include "gateway/scsi/medium.h"
#include "gateway/scsi/sense.h"
#include "gateway/scsi/shared.h"
#include "gateway/scsi/token_list.h"
#include "gateway/scsi/zeroes.h"

enum { RTV = 0x02, DEL_TKN = 0x02 };

#define TYPE_POINT_IN_TIME     0x00800001u /* change vulnerable */
#define TYPE_ANY_POINT_IN_TIME 0x0080ffffu
#define TYPE_ZERO	       0xffff0001u
#define TOKEN_AT	       16

static uint32_t list_id(const struct scsi_task *task)
{
	return (uint32_t)get_be(task->cdb + 6, 4);
}

static enum scsi_step begin(struct scsi_task *task, size_t header)
{
	size_t len = get_be(task->cdb + 10, 4);

	if (!medium_is_ready(task))
		return task_refuse(task);
	if (len != 0 && (len < header || len > header + TOKEN_RANGES_MAX * RANGE_SIZE)) {
		sense_set(task, KEY_ILLEGAL_REQUEST, SENSE_PARAMETER_LIST_LENGTH_ERROR);
		return task_refuse(task);
	}
	if (len != 0 && (!task->write || task->edtl < len)) {
		sense_set(task, KEY_ILLEGAL_REQUEST, SENSE_INVALID_FIELD_IN_COMMAND_IU);
		return task_refuse(task);
	}
	task->wanted = task->bytes = len;
	if (len == 0)
		return gate_admit(task) ? task_nothing(task) : task_fail(task);
	return gate_reserve(task) ? SCSI_WANT_DATA : task_fail(task);
}

/* False: the task has its status. */
static bool start(struct scsi_task *task, size_t header, struct token_list *list)
{
	if (task->buffer_len < task->bytes) {
		sense_set(task, KEY_ABORTED_COMMAND, SENSE_INVALID_FIELD_IN_COMMAND_IU);
		return false;
	}
	if (!token_list_read(task, header, list) || !copier_begin(task, true, list_id(task)))
		return false;
	task->copy->block = task->unit->block_size;
	return true;
}

static enum scsi_step not_started(struct scsi_task *task)
{
	return task->status == SCSI_BUSY ? task_busy(task) : task_refuse(task);
}

static enum scsi_step refuse_field(struct scsi_task *task, unsigned octet)
{
	sense_set(task, KEY_ILLEGAL_REQUEST, SENSE_INVALID_FIELD_IN_PARAMETER_LIST);
	sense_parameter_field(task, octet);
	return task_refuse(task);
}

/* --- POPULATE TOKEN --- */

enum scsi_step populate_token_begin(struct scsi_task *task)
{
	return begin(task, POPULATE_HEADER);
}

static void order_make(const struct scsi_task *task, struct arbiter_order *ret)
{
	uint8_t timeout[4];
	uint32_t seconds;

	task_gather(task, 4, timeout, sizeof timeout);
	seconds = (uint32_t)get_be(timeout, 4);
	ret->kind = ORDER_TOKEN_MAKE;
	ret->at = seconds == 0 ? TOKEN_UNUSED_DEFAULT_S : seconds;
	ret->key = task->copy->total;
	ret->len = sizeof task->copy->ranges;
	memcpy(ret->octets, &task->copy->ranges, sizeof task->copy->ranges);
}

static enum scsi_step made(struct scsi_task *task, const struct arbiter_answer *answer)
{
	if (answer->status == SCSI_GOOD) {
		memcpy(task->copy->token, answer->octets, TOKEN_SIZE);
		task->copy->has_token = true;
		task->copy->octets = task->copy->total;
	}
	return task_answered(task, answer);
}

static bool is_type_offered(const uint8_t *header)
{
	uint64_t type = get_be(header + 8, 4);

	return (header[2] & RTV) == 0 || type == TYPE_POINT_IN_TIME ||
	       type == TYPE_ANY_POINT_IN_TIME;
}

static enum scsi_step make(struct scsi_task *task)
{
	const struct order_ranges *named = &task->copy->ranges;
	struct gate_range ranges[TOKEN_RANGES_MAX];

	for (unsigned i = 0; i < named->count; i++)
		ranges[i] = (struct gate_range){.lba = named->at[i].lba,
						.blocks = (uint32_t)named->at[i].blocks,
						.source = true};
	if (gate_lacks_room(task, named->count))
		return gate_when_durable(task, make);
	if (!gate_admit_ranges(task, ranges, named->count))
		return task_fail(task);
	return task_order(task, order_make, made);
}

enum scsi_step populate_token_start(struct scsi_task *task)
{
	struct token_list list;
	uint8_t header[POPULATE_HEADER];

	if (!start(task, POPULATE_HEADER, &list))
		return not_started(task);
	task_gather(task, 0, header, sizeof header);
	if (get_be(header + 4, 4) > TOKEN_UNUSED_MAX_S)
		return refuse_field(task, 4);
	if (!is_type_offered(header))
		return refuse_field(task, 8);
	task->copy->total = list.blocks * task->unit->block_size;
	task->copy->ranges.count = list.count;
	for (unsigned i = 0; i < list.count; i++) {
		task->copy->ranges.at[i].lba = list.ranges[i].lba;
		task->copy->ranges.at[i].blocks = list.ranges[i].blocks;
	}
	return list.count == 0 ? refuse_field(task, POPULATE_HEADER - 2) : make(task);
}

/* --- WRITE USING TOKEN --- */

enum scsi_step write_token_begin(struct scsi_task *task)
{
	return begin(task, WRITE_HEADER);
}

/* Zeroes, range by range. */
static bool take_range(struct scsi_task *task)
{
	struct token_list list;

	if (!token_list_read(task, WRITE_HEADER, &list) || task->next_range >= list.count)
		return false;
	task->lba = list.ranges[task->next_range].lba;
	task->blocks = list.ranges[task->next_range].blocks;
	task->next_range++;
	task->progress = 0;
	return true;
}

static void range_over(struct scsi_task *task)
{
	task->copy->octets += medium_octets(task);
	if (!take_range(task))
		medium_finish(task);
	else if (zeroes_begin(task, IO_ZERO, range_over) == SCSI_DONE)
		task->done(task);
}

static enum scsi_step write_zeroes(struct scsi_task *task)
{
	struct token_list list;

	if (!token_list_read(task, WRITE_HEADER, &list))
		return task_refuse(task);
	if (gate_lacks_room(task, list.count))
		return gate_when_durable(task, write_zeroes);
	if (!gate_admit_ranges(task, list.ranges, list.count))
		return task_fail(task);
	return take_range(task) ? zeroes_begin(task, IO_ZERO, range_over) : task_nothing(task);
}

static void order_use(const struct scsi_task *task, struct arbiter_order *ret)
{
	uint8_t flags[3];

	ret->kind = ORDER_TOKEN_USE;
	ret->action = ORDER_TOKEN_BEGIN;
	ret->len = TOKEN_SIZE;
	memcpy(ret->octets, task->copy->token, TOKEN_SIZE);
	if (task->copy->from == NULL)
		return;
	task_gather(task, 0, flags, sizeof flags);
	ret->action = flags[2] & DEL_TKN ? ORDER_TOKEN_DELETE : ORDER_TOKEN_IS_GOOD;
}

/* Where in ranges the octet stands: in *ret_lba's range, and how many octets that still has. */
static uint64_t place_in(uint64_t lba, uint64_t blocks, uint32_t block, uint64_t *octet,
			 uint64_t *ret_at)
{
	if (*octet >= blocks * block) {
		*octet -= blocks * block;
		return 0;
	}
	*ret_at = lba * block + *octet;
	return blocks * block - *octet;
}

/* The octets from `done` on, as far as both sides are in one piece. */
static void move_at(const struct scsi_task *task, const struct token_list *list, uint64_t done,
		    struct copy_move *ret)
{
	const struct copy *copy = task->copy;
	uint64_t from = copy->offset + done, to = done, here = 0, there = 0;

	for (unsigned i = 0; i < copy->ranges.count && here == 0; i++)
		here = place_in(copy->ranges.at[i].lba, copy->ranges.at[i].blocks,
				copy->from->block_size, &from, &ret->from_octet);
	for (unsigned i = 0; i < list->count && there == 0; i++)
		there = place_in(list->ranges[i].lba, list->ranges[i].blocks,
				 task->unit->block_size, &to, &ret->to_octet);
	ret->from = copy->from;
	ret->to = task->unit;
	ret->octets = MIN(MIN(here, there), copy->total - done);
}

static bool next_move(struct scsi_task *task, struct copy_move *ret)
{
	struct token_list list;

	if (task->copy->octets >= task->copy->total || !token_list_read(task, WRITE_HEADER, &list))
		return false;
	move_at(task, &list, task->copy->octets, ret);
	return true;
}

/* No write has reached what was read before all of it was. */
static enum scsi_step was_good(struct scsi_task *task, const struct arbiter_answer *answer)
{
	if (answer->status != SCSI_GOOD)
		return task_answered(task, answer);
	medium_finish(task);
	return SCSI_RUNNING; /* done() was called, or will be */
}

static void written(struct scsi_task *task, int result)
{
	if (result == 0) {
		(void)task_order(task, order_use, was_good);
		return;
	}
	medium_fail(task, result);
	task_finish(task, task_fail);
}

#define RANGES_MAX (4 * TOKEN_RANGES_MAX)

/* Source and destination of each move; how many. */
static unsigned ranges_of(const struct scsi_task *task, const struct token_list *list,
			  struct gate_range ranges[RANGES_MAX])
{
	unsigned count = 0;
	uint64_t done = 0;

	while (done < task->copy->total) {
		struct copy_move m;
		uint32_t block = task->unit->block_size;

		move_at(task, list, done, &m);
		assert(m.octets != 0 && count + 2 <= RANGES_MAX);
		ranges[count++] = (struct gate_range){.unit = m.from,
						      .lba = m.from_octet / block,
						      .blocks = (uint32_t)(m.octets / block),
						      .source = true};
		ranges[count++] = (struct gate_range){.lba = m.to_octet / block,
						      .blocks = (uint32_t)(m.octets / block)};
		done += m.octets;
	}
	return count;
}

/* How much of it is to be written, and from where. False: the task has its sense. */
static bool plan(struct scsi_task *task, const struct token_list *list)
{
	struct copy *copy = task->copy;
	uint32_t block = task->unit->block_size;
	uint64_t offset, has = 0;
	uint8_t field[8];

	task_gather(task, 8, field, sizeof field);
	offset = get_be(field, 8);
	for (unsigned i = 0; i < copy->ranges.count; i++)
		has += copy->ranges.at[i].blocks;
	if (copy->from->block_size != block) {
		sense_set(task, KEY_ILLEGAL_REQUEST, SENSE_INVALID_TOKEN_OPERATION);
		return false;
	}
	if (offset >= has) {
		sense_set(task, KEY_ILLEGAL_REQUEST, SENSE_INVALID_FIELD_IN_PARAMETER_LIST);
		sense_parameter_field(task, 8);
		return false;
	}
	copy->offset = offset * block;
	copy->total = MIN(list->blocks, has - offset) * block;
	copy->partly = list->blocks > has - offset;
	return true;
}

/* What a token of the arbiter's says is trusted, but the unit may be smaller by now, or lost. */
static bool is_there(struct scsi_task *task)
{
	struct copy *copy = task->copy;
	struct scsi_lun *unit = &task->nexus->luns[copy->ranges.lun % ARBITER_LUNS];

	if (!unit->present || copy->ranges.count > TOKEN_RANGES_MAX) {
		sense_set(task, KEY_ILLEGAL_REQUEST, SENSE_TOKEN_UNKNOWN);
		return false;
	}
	if (unit->failed != 0) {
		sense_set(task, KEY_COPY_ABORTED, SENSE_THIRD_PARTY_DEVICE_FAILURE);
		return false;
	}
	for (unsigned i = 0; i < copy->ranges.count; i++) {
		uint64_t lba = copy->ranges.at[i].lba, blocks = copy->ranges.at[i].blocks;

		if (lba <= unit->blocks && blocks <= unit->blocks - lba)
			continue;
		sense_set(task, KEY_ILLEGAL_REQUEST, SENSE_TOKEN_REVOKED);
		return false;
	}
	copy->from = unit;
	return true;
}

/* What the token stands for is known. */
static enum scsi_step use(struct scsi_task *task)
{
	struct gate_range ranges[RANGES_MAX];
	struct token_list list;
	unsigned count;

	if (!token_list_read(task, WRITE_HEADER, &list) || !is_there(task) || !plan(task, &list))
		return task_refuse(task);
	count = ranges_of(task, &list, ranges);
	if (gate_lacks_room(task, count))
		return gate_when_durable(task, use);
	if (!gate_admit_ranges(task, ranges, count))
		return task_fail(task);
	return copier_run(task, next_move, written);
}

static enum scsi_step may_use(struct scsi_task *task, const struct arbiter_answer *answer)
{
	if (answer->status == SCSI_CHECK_CONDITION) { /* nothing was admitted yet */
		sense_set(task, (enum sense_key)answer->key, (enum sense_code)answer->code);
		return task_refuse(task);
	}
	if (answer->status != SCSI_GOOD)
		return task_answered(task, answer);
	memcpy(&task->copy->ranges, answer->octets, sizeof task->copy->ranges);
	return use(task);
}

enum scsi_step write_token_start(struct scsi_task *task)
{
	struct token_list list;

	if (!start(task, WRITE_HEADER, &list))
		return not_started(task);
	task_gather(task, TOKEN_AT, task->copy->token, TOKEN_SIZE);
	if (get_be(task->copy->token, 4) == TYPE_ZERO)
		return write_zeroes(task);
	return task_order(task, order_use, may_use);
}
