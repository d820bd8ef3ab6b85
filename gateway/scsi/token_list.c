/* Reads block device range descriptors (token_list.h). Runs in the session. */
#include "gateway/scsi/token_list.h"
#include "gateway/scsi/sense.h"

static bool wrong_field(struct scsi_task *task, size_t octet)
{
	sense_set(task, KEY_ILLEGAL_REQUEST, SENSE_INVALID_FIELD_IN_PARAMETER_LIST);
	sense_parameter_field(task, (unsigned)octet);
	return false;
}

static bool wrong(struct scsi_task *task, enum sense_code code)
{
	sense_set(task, KEY_ILLEGAL_REQUEST, code);
	return false;
}

/* The lengths that the list tells of itself. */
static bool check_lengths(struct scsi_task *task, size_t header, size_t *ret_count)
{
	uint8_t field[2];
	size_t all, descriptors;

	task_gather(task, 0, field, sizeof field);
	all = get_be(field, 2);
	task_gather(task, header - 2, field, sizeof field);
	descriptors = get_be(field, 2);
	if (descriptors == 0 || descriptors % RANGE_SIZE != 0)
		return wrong_field(task, header - 2);
	if (descriptors > TOKEN_RANGES_MAX * RANGE_SIZE)
		return wrong(task, SENSE_TOO_MANY_SEGMENT_DESCRIPTORS);
	if (header + descriptors > task->bytes)
		return wrong(task, SENSE_PARAMETER_LIST_LENGTH_ERROR);
	if (all < header - 2 + descriptors)
		return wrong_field(task, 0);
	*ret_count = descriptors / RANGE_SIZE;
	return true;
}

static bool meet(const struct gate_range *a, const struct gate_range *b)
{
	return a->lba < b->lba + b->blocks && b->lba < a->lba + a->blocks;
}

/* SBC-4: no block is in two ranges. */
static bool is_new(const struct token_list *l, const struct gate_range *r)
{
	for (unsigned i = 0; i < l->count; i++) {
		if (meet(&l->ranges[i], r))
			return false;
	}
	return true;
}

static bool read_range(struct scsi_task *task, size_t at, struct token_list *l)
{
	uint8_t descriptor[RANGE_SIZE];
	struct gate_range r = {0};

	task_gather(task, at, descriptor, sizeof descriptor);
	r.lba = get_be(descriptor, 8);
	r.blocks = (uint32_t)get_be(descriptor + 8, 4);
	if (r.lba > task->unit->blocks || r.blocks > task->unit->blocks - r.lba)
		return wrong(task, SENSE_LBA_OUT_OF_RANGE);
	if (r.blocks == 0)
		return true;
	if (!is_new(l, &r))
		return wrong_field(task, at);
	l->blocks += r.blocks;
	l->ranges[l->count++] = r;
	return true;
}

bool token_list_read(struct scsi_task *task, size_t header, struct token_list *ret)
{
	size_t count;

	*ret = (struct token_list){0};
	if (!check_lengths(task, header, &count))
		return false;
	for (size_t i = 0; i < count; i++) {
		if (!read_range(task, header + i * RANGE_SIZE, ret))
			return false;
	}
	if (ret->blocks > TOKEN_OCTETS_MAX / task->unit->block_size)
		return wrong_field(task, header - 2);
	return true;
}
