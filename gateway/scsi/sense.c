/* Writes sense data, SPC-4 section 4.5, in fixed format or as descriptors, and takes it apart
 * again for the audit. Runs in the session; reads nothing from the peer. */
#include "gateway/scsi/sense.h"
#include "gateway/base/bytes.h"
#include "gateway/scsi/mode_pages.h"

enum {
	RESPONSE_FIXED = 0x70,
	RESPONSE_DESCRIPTOR = 0x72,
	INFORMATION_VALID = 0x80,
	/* descriptors: type, additional length */
	DESCRIPTOR_INFORMATION = 0x00,
	INFORMATION_LENGTH = 0x0a,
	DESCRIPTOR_COMMAND = 0x01,
	COMMAND_LENGTH = 0x0a,
	DESCRIPTOR_SPECIFIC = 0x02,
	SPECIFIC_LENGTH = 0x06,
	/* sense-key specific data, its first octet */
	SPECIFIC_VALID = 0x80,
	FIELD_IN_CDB = 0x40,
	BIT_POINTER_VALID = 0x08,
};

static size_t write_fixed(uint8_t ret[SENSE_FIXED_SIZE], const struct sense *s)
{
	memset(ret, 0, SENSE_FIXED_SIZE);
	ret[0] = RESPONSE_FIXED;
	ret[2] = (uint8_t)s->key;
	ret[7] = SENSE_FIXED_SIZE - 8;
	put_be(ret + 12, 2, s->code);
	if (s->has_information && s->information <= UINT32_MAX) {
		ret[0] |= INFORMATION_VALID;
		put_be(ret + 3, 4, s->information);
	}
	if (s->has_command)
		put_be(ret + 8, 4, s->command);
	if (s->has_specific)
		memcpy(ret + 15, s->specific, sizeof s->specific);
	return SENSE_FIXED_SIZE;
}

/* Two of the descriptors fit: who has command-specific information has no other. */
static size_t write_descriptors(uint8_t ret[SCSI_SENSE_SIZE], const struct sense *s)
{
	struct wr w = wr_over(ret, SCSI_SENSE_SIZE);

	wr_be(&w, 1, RESPONSE_DESCRIPTOR);
	wr_be(&w, 1, s->key);
	wr_be(&w, 2, s->code);
	wr_zero(&w, 4);
	if (s->has_information) {
		wr_be(&w, 1, DESCRIPTOR_INFORMATION);
		wr_be(&w, 1, INFORMATION_LENGTH);
		wr_be(&w, 2, INFORMATION_VALID << 8);
		wr_be(&w, 8, s->information);
	}
	if (s->has_command) {
		wr_be(&w, 1, DESCRIPTOR_COMMAND);
		wr_be(&w, 1, COMMAND_LENGTH);
		wr_zero(&w, 2);
		wr_be(&w, 8, s->command);
	}
	if (s->has_specific) {
		wr_be(&w, 1, DESCRIPTOR_SPECIFIC);
		wr_be(&w, 1, SPECIFIC_LENGTH);
		wr_zero(&w, 2);
		wr_bytes(&w, s->specific, sizeof s->specific);
		wr_zero(&w, 1);
	}
	assert(!w.failed);
	ret[7] = (uint8_t)(wr_len(&w) - SENSE_DESCRIPTOR_SIZE);
	return wr_len(&w);
}

size_t sense_write(uint8_t ret[SCSI_SENSE_SIZE], bool descriptor, const struct sense *s)
{
	return descriptor ? write_descriptors(ret, s) : write_fixed(ret, s);
}

static void set(struct scsi_task *task, const struct sense *s)
{
	bool descriptor = task->unit != NULL && mode_d_sense(task->nexus, task->unit);

	task->status = SCSI_CHECK_CONDITION;
	task->sense_len = descriptor ? write_descriptors(task->sense, s)
				     : write_fixed(task->sense, s);
}

void sense_set(struct scsi_task *task, enum sense_key key, enum sense_code code)
{
	set(task, &(struct sense){.key = key, .code = code});
}

static void set_field(struct scsi_task *task, enum sense_code code, unsigned pointer,
		      unsigned octet)
{
	struct sense s = {.key = KEY_ILLEGAL_REQUEST, .code = code, .has_specific = true};

	put_be(s.specific, 3, (SPECIFIC_VALID | pointer) << 16 | (octet & 0xffff));
	set(task, &s);
}

void sense_cdb_field(struct scsi_task *task, unsigned octet, unsigned bit)
{
	set_field(task, SENSE_INVALID_FIELD_IN_CDB, FIELD_IN_CDB | BIT_POINTER_VALID | (bit & 7),
		  octet);
}

void sense_list_field(struct scsi_task *task, unsigned octet, unsigned bit)
{
	set_field(task, SENSE_INVALID_FIELD_IN_PARAMETER_LIST, BIT_POINTER_VALID | (bit & 7),
		  octet);
}

void sense_parameter_field(struct scsi_task *task, unsigned octet)
{
	struct sense s;

	if (!sense_read(task, &s))
		return;
	s.has_specific = true;
	put_be(s.specific, 3, SPECIFIC_VALID << 16 | (octet & 0xffff));
	set(task, &s);
}

void sense_set_information(struct scsi_task *task, enum sense_key key, enum sense_code code,
			   uint64_t information)
{
	set(task,
	    &(struct sense){
		    .key = key, .code = code, .has_information = true, .information = information});
}

void sense_set_progress(struct scsi_task *task, enum sense_key key, enum sense_code code,
			uint16_t progress)
{
	struct sense s = {.key = key, .code = code, .has_specific = true};

	put_be(s.specific, 3, SPECIFIC_VALID << 16 | progress);
	set(task, &s);
}

static void read_descriptors(const uint8_t *sense, size_t len, struct sense *ret)
{
	ret->key = (enum sense_key)sense[1];
	ret->code = (enum sense_code)get_be(sense + 2, 2);
	for (size_t at = SENSE_DESCRIPTOR_SIZE; at < len; at += 2u + sense[at + 1]) {
		if (sense[at] == DESCRIPTOR_INFORMATION) {
			ret->has_information = true;
			ret->information = get_be(sense + at + 4, 8);
		} else if (sense[at] == DESCRIPTOR_COMMAND) {
			ret->has_command = true;
			ret->command = (uint32_t)get_be(sense + at + 4, 8);
		} else {
			ret->has_specific = true;
			memcpy(ret->specific, sense + at + 4, sizeof ret->specific);
		}
	}
}

/* What is read was written here. */
bool sense_read(const struct scsi_task *task, struct sense *ret)
{
	const uint8_t *sense = task->sense;

	*ret = (struct sense){0};
	if (task->sense_len == 0)
		return false;
	if (sense[0] == RESPONSE_DESCRIPTOR) {
		read_descriptors(sense, task->sense_len, ret);
		return true;
	}
	ret->key = (enum sense_key)sense[2];
	ret->code = (enum sense_code)get_be(sense + 12, 2);
	ret->has_information = (sense[0] & INFORMATION_VALID) != 0;
	ret->information = get_be(sense + 3, 4);
	ret->has_command = ret->key == KEY_COPY_ABORTED;
	ret->command = (uint32_t)get_be(sense + 8, 4);
	ret->has_specific = (sense[15] & SPECIFIC_VALID) != 0;
	memcpy(ret->specific, sense + 15, sizeof ret->specific);
	return true;
}

void sense_copy_aborted(struct scsi_task *task, enum sense_code code, unsigned segment)
{
	set(task, &(struct sense){.key = KEY_COPY_ABORTED,
				  .code = code,
				  .has_command = true,
				  .command = segment});
}
