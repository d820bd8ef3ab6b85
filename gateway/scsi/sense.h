/* Sense data, SPC-4 section 4.5: what went wrong, where in the CDB or on the medium. In the
 * format that the control mode page of the task's unit says (D_SENSE): fixed by default,
 * descriptors otherwise. REQUEST SENSE has a bit of its own for it. */
#pragma once

#include "gateway/scsi/scsi.h"

enum sense_key {
	KEY_NO_SENSE = 0x0,
	KEY_NOT_READY = 0x2,
	KEY_MEDIUM_ERROR = 0x3,
	KEY_HARDWARE_ERROR = 0x4,
	KEY_ILLEGAL_REQUEST = 0x5,
	KEY_UNIT_ATTENTION = 0x6,
	KEY_DATA_PROTECT = 0x7,
	KEY_COPY_ABORTED = 0xa,
	KEY_ABORTED_COMMAND = 0xb,
	KEY_MISCOMPARE = 0xe,
};

/* ASC in the high octet, ASCQ in the low one. */
enum sense_code {
	SENSE_NONE = 0x0000,
	SENSE_OPERATION_IN_PROGRESS = 0x0016,
	SENSE_INITIALIZING_COMMAND_REQUIRED = 0x0402,
	SENSE_MANUAL_INTERVENTION_REQUIRED = 0x0403,
	SENSE_FORMAT_IN_PROGRESS = 0x0404,
	SENSE_PORT_IN_STANDBY = 0x040b,
	SENSE_PORT_UNAVAILABLE = 0x040c,
	SENSE_SANITIZE_IN_PROGRESS = 0x041b,
	SENSE_UNREACHABLE_COPY_TARGET = 0x0804,
	SENSE_WRITE_ERROR = 0x0c00,
	SENSE_THIRD_PARTY_DEVICE_FAILURE = 0x0d01,
	SENSE_COPY_TARGET_NOT_REACHABLE = 0x0d02,
	SENSE_INCORRECT_COPY_TARGET_TYPE = 0x0d03,
	SENSE_INVALID_FIELD_IN_COMMAND_IU = 0x0e03,
	SENSE_UNRECOVERED_READ_ERROR = 0x1100,
	SENSE_MISCOMPARE_DURING_VERIFY = 0x1d00,
	SENSE_PARAMETER_LIST_LENGTH_ERROR = 0x1a00,
	SENSE_INVALID_OPCODE = 0x2000,
	SENSE_LBA_OUT_OF_RANGE = 0x2100,
	SENSE_INVALID_TOKEN_OPERATION = 0x2300,
	SENSE_TOKEN_UNKNOWN = 0x2304,
	SENSE_TOKEN_REVOKED = 0x2306,
	SENSE_INVALID_FIELD_IN_CDB = 0x2400,
	SENSE_LOGICAL_UNIT_NOT_SUPPORTED = 0x2500,
	SENSE_INVALID_FIELD_IN_PARAMETER_LIST = 0x2600,
	SENSE_TOO_MANY_TARGET_DESCRIPTORS = 0x2606,
	SENSE_UNSUPPORTED_TARGET_DESCRIPTOR = 0x2607,
	SENSE_TOO_MANY_SEGMENT_DESCRIPTORS = 0x2608,
	SENSE_UNSUPPORTED_SEGMENT_DESCRIPTOR = 0x2609,
	SENSE_UNEXPECTED_INEXACT_SEGMENT = 0x260a,
	SENSE_INLINE_DATA_LENGTH_EXCEEDED = 0x260b,
	SENSE_WRITE_PROTECTED = 0x2700,
	SENSE_SOFTWARE_WRITE_PROTECTED = 0x2702,
	SENSE_SPACE_ALLOCATION_FAILED = 0x2707,
	SENSE_POWER_ON_OR_RESET = 0x2900,
	SENSE_POWER_ON = 0x2901,
	SENSE_BUS_DEVICE_RESET = 0x2903,
	SENSE_NEXUS_LOSS = 0x2907,
	SENSE_MODE_PARAMETERS_CHANGED = 0x2a01,
	SENSE_MEDIUM_FORMAT_CORRUPTED = 0x3100,
	SENSE_SANITIZE_FAILED = 0x3103,
	SENSE_MEDIUM_NOT_PRESENT = 0x3a00,
	SENSE_FAILED_SELF_TEST = 0x3e03,
	SENSE_REPORTED_LUNS_CHANGED = 0x3f0e,
	SENSE_INTERNAL_TARGET_FAILURE = 0x4400,
	SENSE_INVALID_MESSAGE_ERROR = 0x4900,
};

#define SENSE_FIXED_SIZE      18
#define SENSE_DESCRIPTOR_SIZE 8 /* without descriptors */

/* What sense data says, in either format. */
struct sense {
	enum sense_key key;
	enum sense_code code;
	bool has_information, has_specific;
	uint64_t information;
	bool has_command;
	uint32_t command;    /* -specific information: of a copy, which segment */
	uint8_t specific[3]; /* sense-key specific: a field pointer, or a progress indication */
};

/* Each sets the status CHECK CONDITION and the sense data on the task. */
void sense_set(struct scsi_task *task, enum sense_key key, enum sense_code code);
/* ILLEGAL REQUEST 24h/00h; points at the field whose first (most significant) bit this is. */
void sense_cdb_field(struct scsi_task *task, unsigned octet, unsigned bit);
/* ILLEGAL REQUEST 26h/00h; the same for the parameter list. */
void sense_list_field(struct scsi_task *task, unsigned octet, unsigned bit);
/* After sense_set(): the octet of the parameter list that is wrong. */
void sense_parameter_field(struct scsi_task *task, unsigned octet);
/* With INFORMATION; the fixed format leaves out what does not fit its 32 bits. */
void sense_set_information(struct scsi_task *task, enum sense_key key, enum sense_code code,
			   uint64_t information);
/* With the progress of an operation, in 65536ths. */
void sense_set_progress(struct scsi_task *task, enum sense_key key, enum sense_code code,
			uint16_t progress);

/* COPY ABORTED, with the number of the segment descriptor as COMMAND-SPECIFIC INFORMATION. */
void sense_copy_aborted(struct scsi_task *task, enum sense_code code, unsigned segment);

/* Sense data as parameter data of REQUEST SENSE; returns its length. */
size_t sense_write(uint8_t ret[SCSI_SENSE_SIZE], bool descriptor, const struct sense *s);
/* Takes apart what a task has, whatever its format: false if it has none. */
bool sense_read(const struct scsi_task *task, struct sense *ret);
