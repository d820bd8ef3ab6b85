/* Writes sense data, SPC-4 section 4.5. Fixed format: an initiator of today understands
 * it everywhere. Runs in the session; reads nothing from the peer. */
#include "gateway/scsi/sense.h"
#include "gateway/base/bytes.h"

enum {
	RESPONSE_FIXED = 0x70,
	RESPONSE_DESCRIPTOR = 0x72,
	INFORMATION_VALID = 0x80,
	/* sense-key specific data: octet 15 */
	FIELD_POINTER_VALID = 0x80,
	FIELD_IN_CDB = 0x40,
	BIT_POINTER_VALID = 0x08,
};

size_t sense_write(uint8_t ret[SENSE_FIXED_SIZE], bool descriptor, enum sense_key key,
		   enum sense_code code)
{
	memset(ret, 0, SENSE_FIXED_SIZE);
	if (descriptor) {
		ret[0] = RESPONSE_DESCRIPTOR;
		ret[1] = (uint8_t)key;
		put_be(ret + 2, 2, code);
		return SENSE_DESCRIPTOR_SIZE;
	}
	ret[0] = RESPONSE_FIXED;
	ret[2] = (uint8_t)key;
	ret[7] = SENSE_FIXED_SIZE - 8;
	put_be(ret + 12, 2, code);
	return SENSE_FIXED_SIZE;
}

void sense_set(struct scsi_task *task, enum sense_key key, enum sense_code code)
{
	task->status = SCSI_CHECK_CONDITION;
	task->sense_len = sense_write(task->sense, false, key, code);
}

void sense_cdb_field(struct scsi_task *task, unsigned octet, unsigned bit)
{
	sense_set(task, KEY_ILLEGAL_REQUEST, SENSE_INVALID_FIELD_IN_CDB);
	task->sense[15] =
		(uint8_t)(FIELD_POINTER_VALID | FIELD_IN_CDB | BIT_POINTER_VALID | (bit & 7));
	put_be(task->sense + 16, 2, octet);
}

void sense_parameter_field(struct scsi_task *task, unsigned octet)
{
	task->sense[15] = FIELD_POINTER_VALID;
	put_be(task->sense + 16, 2, octet);
}

void sense_set_information(struct scsi_task *task, enum sense_key key, enum sense_code code,
			   uint64_t information)
{
	sense_set(task, key, code);
	if (information > UINT32_MAX)
		return;
	task->sense[0] |= INFORMATION_VALID;
	put_be(task->sense + 3, 4, information);
}
