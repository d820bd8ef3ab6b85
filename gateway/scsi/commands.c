/* The one table of commands that this device executes, and what is decided from it
 * alone. Runs in the session; a CDB is the peer's, at least 16 octets long in
 * memory, and nothing in it is believed before it was checked here. */
#include "gateway/scsi/commands.h"
#include "gateway/scsi/copier.h"
#include "gateway/scsi/sense.h"

#define NO_ACTION (-1)

#define REPLY(function) .begin = reply_begin, .buffer_ready = reply_fill, .reply = (function)
#define READS		.touches = TOUCHES_READ, .begin = read_begin, .buffer_ready = read_start
#define WRITES		.touches = TOUCHES_WRITE, .begin = write_begin, .data_arrived = write_start
#define VERIFIES	.touches = TOUCHES_READ, .begin = verify_begin, .data_arrived = verify_start
#define WRITES_VERIFIES                                                                  \
	.touches = TOUCHES_READ | TOUCHES_WRITE, .verifies = true, .begin = write_begin, \
	.data_arrived = write_start
#define WRITES_SAME                                                        \
	.touches = TOUCHES_WRITE | TOUCHES_DISCARD, .durable_first = true, \
	.begin = write_same_begin, .data_arrived = write_same_start
#define SELECTS_MODES                                                                  \
	.touches = TOUCHES_CONTROL, .durable_first = true, .begin = mode_select_begin, \
	.data_arrived = mode_select_start
#define PRE_FETCHES  .touches = TOUCHES_READ, .begin = pre_fetch_begin
#define SYNCHRONIZES .touches = TOUCHES_CONTROL, .begin = synchronize_begin
#define RESERVES     .touches = TOUCHES_RESERVATION, .durable_first = true, .begin = reserve_begin
/* SCOPE and TYPE mean something to three of the actions, the others ignore them. */
#define PR_IN                                                                \
	.cdb_len = 10, .touches = TOUCHES_RESERVATION, .allocation = {7, 2}, \
	.usage = {0x5e, 0x1f, [7] = 0xff, 0xff, 0}, .begin = pr_in_begin,    \
	.buffer_ready = pr_in_start
#define PR_OUT(type, no_type)                                                                    \
	.cdb_len = 10, .touches = TOUCHES_RESERVATION,                                           \
	.usage = {0x5f, 0x1f, type, 0, 0, 0xff, 0xff, 0xff, 0xff, 0}, .ignored = {{2, no_type}}, \
	.durable_first = true, .begin = pr_out_begin, .data_arrived = pr_out_start
#define FORMATS .touches = TOUCHES_WRITE | TOUCHES_DISCARD | TOUCHES_CONTROL, .durable_first = true
#define SANITIZES                                                                          \
	FORMATS, .cdb_len = 10, .head_of_queue = true, /* IMMED, AUSE; ZNR is for zones */ \
		.usage = {0x48, 0xbf, [7] = 0xff, 0xff, 0}

/* clang-format off */
#define ONES_2 0xff, 0xff
#define ONES_4 ONES_2, ONES_2
#define ONES_8 ONES_4, ONES_4

/* The fields of the block commands, SBC-3 section 5: opcode, flags, LBA, length. */
#define CDB_6  .cdb_len = 6, .lba = {1, 3}, .blocks = {4, 1}
#define CDB_10 .cdb_len = 10, .lba = {2, 4}, .blocks = {7, 2}
#define CDB_12 .cdb_len = 12, .lba = {2, 4}, .blocks = {6, 4}
#define CDB_16 .cdb_len = 16, .lba = {2, 8}, .blocks = {10, 4}
#define USAGE_6(op)	    .usage = {op, 0x1f, ONES_2, 0xff, 0}
#define USAGE_10(op, flags) .usage = {op, flags, ONES_4, 0, ONES_2, 0}
#define USAGE_12(op, flags) .usage = {op, flags, ONES_4, ONES_4, 0, 0}
#define USAGE_16(op, flags) .usage = {op, flags, ONES_8, ONES_4, 0, 0}
/* GROUP NUMBER, which no group function evaluates; obsolete bits of octet 1. */
#define IGNORE_10(flags) .ignored = {{1, flags}, {6, 0x3f}}
#define IGNORE_12(flags) .ignored = {{1, flags}, {10, 0x3f}}
#define IGNORE_16(flags) .ignored = {{1, flags}, {14, 0x3f}}

#define PROTECT 0xe0 /* evaluated: anything but 0 is refused, rw.c */
#define DPO	0x10
#define FUA	0x08
#define FUA_NV	0x02 /* obsolete */
#define BYTCHK	0x06
#define BYTCHK_1 0x02 /* of WRITE AND VERIFY: compare or not */
#define IMMED	0x02
#define NDOB	0x01
#define UNMAP	0x08
#define SYNC_NV 0x04 /* obsolete */

static const struct scsi_command table[] = {
	{0x00, NO_ACTION, .cdb_len = 6, .touches = TOUCHES_NOTHING, .usage = {0x00},
	 REPLY(test_unit_ready_reply)},
	{0x03, NO_ACTION, .cdb_len = 6, .touches = TOUCHES_NOTHING, .any_lun = true,
	 .allocation = {4, 1}, .usage = {0x03, 0x01, 0, 0, 0xff, 0}, REPLY(request_sense_reply)},
	{0x04, NO_ACTION, .cdb_len = 6, .usage = {0x04, 0xff, 0}, FORMATS, .begin = format_begin,
	 .data_arrived = format_start},
	{0x08, NO_ACTION, CDB_6, USAGE_6(0x08), READS},
	{0x0a, NO_ACTION, CDB_6, USAGE_6(0x0a), WRITES},
	{0x12, NO_ACTION, .cdb_len = 6, .touches = TOUCHES_NOTHING, .any_lun = true,
	 .head_of_queue = true,
	 .allocation = {3, 2}, .usage = {0x12, 0x01, 0xff, ONES_2, 0}, REPLY(inquiry_reply)},
	{0x15, NO_ACTION, .cdb_len = 6, .usage = {0x15, 0x11, 0, 0, 0xff, 0}, SELECTS_MODES},
	/* Of the whole unit, for oneself: no extents, no third party. */
	{0x16, NO_ACTION, .cdb_len = 6, .usage = {0x16}, .ignored = {{2, 0xff}}, RESERVES},
	{0x17, NO_ACTION, .cdb_len = 6, .usage = {0x17}, .ignored = {{2, 0xff}}, RESERVES},
	{0x1a, NO_ACTION, .cdb_len = 6, .touches = TOUCHES_NOTHING, .allocation = {4, 1},
	 .usage = {0x1a, 0x08, 0xff, 0xff, 0xff, 0}, REPLY(mode_sense_6_reply)},
	{0x1b, NO_ACTION, .cdb_len = 6, .touches = TOUCHES_CONTROL,
	 .durable_first = true, .usage = {0x1b, 0x01, 0, 0x0f, 0xf7, 0}, .begin = start_stop_begin},
	{0x1c, NO_ACTION, .cdb_len = 6, .touches = TOUCHES_CONTROL, .allocation = {3, 2},
	 .usage = {0x1c, 0x01, 0xff, ONES_2, 0}, REPLY(receive_diagnostic_reply)},
	{0x1d, NO_ACTION, .cdb_len = 6, .touches = TOUCHES_CONTROL,
	 .usage = {0x1d, 0xf7, 0, ONES_2, 0}, .begin = send_diagnostic_begin,
	 .data_arrived = send_diagnostic_start},
	{0x1e, NO_ACTION, .cdb_len = 6, .touches = TOUCHES_CONTROL,
	 .usage = {0x1e, 0, 0, 0, 0x01, 0}, .begin = prevent_allow_begin},
	{0x25, NO_ACTION, .cdb_len = 10, .touches = TOUCHES_NOTHING, .usage = {0x25},
	 REPLY(capacity_10_reply)},
	{0x28, NO_ACTION, CDB_10, USAGE_10(0x28, PROTECT | DPO | FUA), IGNORE_10(FUA_NV), READS},
	{0x2a, NO_ACTION, CDB_10, USAGE_10(0x2a, PROTECT | DPO | FUA), IGNORE_10(FUA_NV), WRITES},
	{0x2e, NO_ACTION, CDB_10, USAGE_10(0x2e, PROTECT | DPO | BYTCHK_1), IGNORE_10(0),
	 WRITES_VERIFIES},
	{0x2f, NO_ACTION, CDB_10, USAGE_10(0x2f, PROTECT | DPO | BYTCHK), IGNORE_10(0), VERIFIES},
	{0x34, NO_ACTION, CDB_10, USAGE_10(0x34, IMMED), IGNORE_10(0), PRE_FETCHES},
	{0x35, NO_ACTION, CDB_10, USAGE_10(0x35, IMMED), IGNORE_10(SYNC_NV), SYNCHRONIZES},
	{0x37, NO_ACTION, .cdb_len = 10, .touches = TOUCHES_CONTROL, .allocation = {7, 2},
	 .usage = {0x37, 0, 0x1f, [7] = ONES_2, 0}, REPLY(defects_10_reply)},
	{0x41, NO_ACTION, CDB_10, USAGE_10(0x41, PROTECT | UNMAP), IGNORE_10(0), WRITES_SAME},
	{0x42, NO_ACTION, .cdb_len = 10, .touches = TOUCHES_DISCARD, .thin = true,
	 .durable_first = true, .usage = {0x42, 0, [7] = ONES_2, 0}, .ignored = {{6, 0x3f}}, .begin = unmap_begin,
	 .data_arrived = unmap_start},
	{0x48, 0x01, SANITIZES, .begin = sanitize_overwrite_begin,
	 .data_arrived = sanitize_overwrite_start},
	{0x48, 0x02, SANITIZES, .thin = true, .begin = sanitize_erase_begin},
	{0x48, 0x1f, SANITIZES, .begin = sanitize_exit_begin},
	{0x4d, NO_ACTION, .cdb_len = 10, .touches = TOUCHES_NOTHING, .allocation = {7, 2},
	 .usage = {0x4d, 0, 0xff, 0xff, 0, ONES_2, ONES_2, 0}, REPLY(log_sense_reply)},
	{0x55, NO_ACTION, .cdb_len = 10, .usage = {0x55, 0x11, [7] = ONES_2, 0}, SELECTS_MODES},
	{0x56, NO_ACTION, .cdb_len = 10, .usage = {0x56}, .ignored = {{2, 0xff}}, RESERVES},
	{0x57, NO_ACTION, .cdb_len = 10, .usage = {0x57}, .ignored = {{2, 0xff}}, RESERVES},
	{0x5a, NO_ACTION, .cdb_len = 10, .touches = TOUCHES_NOTHING, .allocation = {7, 2},
	 .usage = {0x5a, 0x18, 0xff, 0xff, 0, 0, 0, ONES_2, 0}, REPLY(mode_sense_10_reply)},
	{0x5e, PR_READ_KEYS, PR_IN},
	{0x5e, PR_READ_RESERVATION, PR_IN},
	{0x5e, PR_REPORT_CAPABILITIES, PR_IN},
	{0x5e, PR_READ_FULL_STATUS, PR_IN},
	{0x5f, PR_REGISTER, PR_OUT(0, 0xff)},
	{0x5f, PR_RESERVE, PR_OUT(0xff, 0)},
	{0x5f, PR_RELEASE, PR_OUT(0xff, 0)},
	{0x5f, PR_CLEAR, PR_OUT(0, 0xff)},
	{0x5f, PR_PREEMPT, PR_OUT(0xff, 0)},
	{0x5f, PR_PREEMPT_AND_ABORT, PR_OUT(0xff, 0)},
	{0x5f, PR_REGISTER_AND_IGNORE, PR_OUT(0, 0xff)},
	{0x5f, PR_REGISTER_AND_MOVE, PR_OUT(0, 0xff)},
	{0x83, 0x00, .cdb_len = 16, .touches = TOUCHES_READ | TOUCHES_WRITE, .names_units = true,
	 .durable_first = true, .usage = {0x83, 0x1f, [10] = ONES_4, 0, 0}, .begin = copy_begin,
	 .data_arrived = copy_start},
	{0x83, 0x01, .cdb_len = 16, .touches = TOUCHES_READ | TOUCHES_WRITE, .names_units = true,
	 .durable_first = true, .usage = {0x83, 0x1f, [10] = ONES_4, 0, 0}, .begin = copy_begin,
	 .data_arrived = copy_start},
	{0x83, 0x10, .cdb_len = 16, .touches = TOUCHES_READ,
	 .usage = {0x83, 0x1f, [6] = ONES_8, 0, 0}, .ignored = {{14, 0x3f}},
	 .begin = populate_token_begin, .data_arrived = populate_token_start},
	{0x83, 0x11, .cdb_len = 16, .touches = TOUCHES_WRITE, .durable_first = true,
	 .usage = {0x83, 0x1f, [6] = ONES_8, 0, 0}, .ignored = {{14, 0x3f}},
	 .begin = write_token_begin, .data_arrived = write_token_start},
	{0x83, 0x1c, .cdb_len = 16, .touches = TOUCHES_CONTROL,
	 .usage = {0x83, 0x1f, ONES_4, 0}, .begin = copy_abort_begin},
	{0x84, 0x00, .cdb_len = 16, .touches = TOUCHES_CONTROL, .allocation = {10, 4},
	 .usage = {0x84, 0x1f, 0xff, [10] = ONES_4, 0, 0}, .begin = copy_status_begin,
	 .buffer_ready = copy_status_fill, .reply = copy_status_1_reply},
	{0x84, 0x03, .cdb_len = 16, .touches = TOUCHES_CONTROL, .allocation = {10, 4},
	 .usage = {0x84, 0x1f, [10] = ONES_4, 0, 0}, .ignored = {{2, 0xff}},
	 REPLY(copy_parameters_reply)},
	{0x84, 0x04, .cdb_len = 16, .touches = TOUCHES_CONTROL, .allocation = {10, 4},
	 .usage = {0x84, 0x1f, 0xff, [10] = ONES_4, 0, 0}, .begin = copy_status_begin,
	 .buffer_ready = copy_status_fill, .reply = copy_failure_reply},
	{0x84, 0x05, .cdb_len = 16, .touches = TOUCHES_CONTROL, .allocation = {10, 4},
	 .usage = {0x84, 0x1f, ONES_4, [10] = ONES_4, 0, 0}, .begin = copy_status_begin,
	 .buffer_ready = copy_status_fill, .reply = copy_status_4_reply},
	{0x84, 0x07, .cdb_len = 16, .touches = TOUCHES_CONTROL, .allocation = {10, 4},
	 .usage = {0x84, 0x1f, ONES_4, [10] = ONES_4, 0, 0}, .begin = copy_status_begin,
	 .buffer_ready = copy_status_fill, .reply = token_information_reply},
	{0x88, NO_ACTION, CDB_16, USAGE_16(0x88, PROTECT | DPO | FUA), IGNORE_16(FUA_NV), READS},
	{0x89, NO_ACTION, .cdb_len = 16, .lba = {2, 8}, .blocks = {13, 1},
	 .usage = {0x89, PROTECT | DPO | FUA, ONES_8, 0, 0, 0, 0xff, 0, 0}, IGNORE_16(FUA_NV),
	 .touches = TOUCHES_READ | TOUCHES_WRITE, .begin = compare_write_begin,
	 .data_arrived = compare_write_start},
	{0x8a, NO_ACTION, CDB_16, USAGE_16(0x8a, PROTECT | DPO | FUA), IGNORE_16(FUA_NV), WRITES},
	{0x8b, NO_ACTION, CDB_16, USAGE_16(0x8b, PROTECT | DPO | FUA), IGNORE_16(FUA_NV),
	 .touches = TOUCHES_READ | TOUCHES_WRITE, .begin = write_begin,
	 .data_arrived = orwrite_start},
	{0x8e, NO_ACTION, CDB_16, USAGE_16(0x8e, PROTECT | DPO | BYTCHK_1), IGNORE_16(0),
	 WRITES_VERIFIES},
	{0x8f, NO_ACTION, CDB_16, USAGE_16(0x8f, PROTECT | DPO | BYTCHK), IGNORE_16(0), VERIFIES},
	{0x90, NO_ACTION, CDB_16, USAGE_16(0x90, IMMED), IGNORE_16(0), PRE_FETCHES},
	{0x91, NO_ACTION, CDB_16, USAGE_16(0x91, IMMED), IGNORE_16(SYNC_NV), SYNCHRONIZES},
	{0x93, NO_ACTION, CDB_16, USAGE_16(0x93, PROTECT | UNMAP | NDOB), IGNORE_16(0), WRITES_SAME},
	{0x9c, NO_ACTION, .cdb_len = 16, .lba = {2, 8}, .blocks = {12, 2},
	 .usage = {0x9c, PROTECT | DPO | FUA, ONES_8, ONES_2, ONES_2, 0, 0}, IGNORE_16(FUA_NV),
	 .touches = TOUCHES_WRITE, .begin = write_atomic_begin,
	 .data_arrived = write_atomic_start},
	{0x9e, 0x10, .cdb_len = 16, .touches = TOUCHES_NOTHING, .allocation = {10, 4},
	 .usage = {0x9e, 0x1f, [10] = ONES_4, 0, 0}, REPLY(capacity_16_reply)},
	{0x9e, 0x12, .cdb_len = 16, .touches = TOUCHES_READ, .thin = true, .lba = {2, 8},
	 .allocation = {10, 4}, .usage = {0x9e, 0x1f, ONES_8, ONES_4, 0, 0},
	 .begin = lba_status_begin, .buffer_ready = lba_status_start},
	{0xa0, NO_ACTION, .cdb_len = 12, .touches = TOUCHES_NOTHING, .any_lun = true,
	 .head_of_queue = true,
	 .allocation = {6, 4}, .usage = {0xa0, 0, 0xff, [6] = ONES_4, 0, 0},
	 REPLY(report_luns_reply)},
	{0xa3, 0x05, .cdb_len = 12, .touches = TOUCHES_NOTHING, .allocation = {6, 4},
	 .usage = {0xa3, 0x1f, [6] = ONES_4, 0xfe, 0}, REPLY(report_information_reply)},
	{0xa3, 0x0a, .cdb_len = 12, .touches = TOUCHES_NOTHING, .allocation = {6, 4},
	 .usage = {0xa3, 0xff, [6] = ONES_4, 0, 0}, REPLY(report_port_groups_reply)},
	{0xa3, 0x0c, .cdb_len = 12, .touches = TOUCHES_NOTHING, .allocation = {6, 4},
	 .usage = {0xa3, 0x1f, 0x87, 0xff, ONES_2, ONES_4, 0, 0}, REPLY(report_opcodes_reply)},
	{0xa3, 0x0d, .cdb_len = 12, .touches = TOUCHES_NOTHING, .allocation = {6, 4},
	 .usage = {0xa3, 0x1f, 0x80, [6] = ONES_4, 0, 0}, REPLY(report_functions_reply)},
	{0xa4, 0x0a, .cdb_len = 12, .touches = TOUCHES_CONTROL, .durable_first = true,
	 .usage = {0xa4, 0x1f, [6] = ONES_4, 0, 0}, .begin = set_port_groups_begin,
	 .data_arrived = set_port_groups_start},
	{0xa8, NO_ACTION, CDB_12, USAGE_12(0xa8, PROTECT | DPO | FUA), IGNORE_12(FUA_NV), READS},
	{0xaa, NO_ACTION, CDB_12, USAGE_12(0xaa, PROTECT | DPO | FUA), IGNORE_12(FUA_NV), WRITES},
	{0xae, NO_ACTION, CDB_12, USAGE_12(0xae, PROTECT | DPO | BYTCHK_1), IGNORE_12(0),
	 WRITES_VERIFIES},
	{0xaf, NO_ACTION, CDB_12, USAGE_12(0xaf, PROTECT | DPO | BYTCHK), IGNORE_12(0), VERIFIES},
	{0xb7, NO_ACTION, .cdb_len = 12, .touches = TOUCHES_CONTROL, .allocation = {6, 4},
	 .usage = {0xb7, 0x1f, ONES_4, ONES_4, 0, 0}, REPLY(defects_12_reply)},
};
/* clang-format on */

const struct scsi_command *commands(size_t *ret_count)
{
	*ret_count = ARRAY_LEN(table);
	return table;
}

const struct scsi_command *command_find(const uint8_t *cdb)
{
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		if (table[i].opcode == cdb[0] && (table[i].service_action == NO_ACTION ||
						  table[i].service_action == (cdb[1] & 0x1f)))
			return &table[i];
	}
	return NULL;
}

bool command_has_opcode(uint8_t opcode)
{
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		if (table[i].opcode == opcode)
			return true;
	}
	return false;
}

void command_decode(struct scsi_task *task)
{
	const struct scsi_command *c = task->command;

	if (c->lba.width == 0)
		return;
	task->lba = get_be(task->cdb + c->lba.at, c->lba.width);
	if (c->blocks.width != 0)
		task->blocks = (uint32_t)get_be(task->cdb + c->blocks.at, c->blocks.width);
	if (c->cdb_len != 6)
		return;
	task->lba &= 0x1fffff; /* above it, SCSI-2 had the LUN */
	if (task->blocks == 0)
		task->blocks = 256;
}

size_t command_allocation(const struct scsi_task *task)
{
	const struct cdb_field *f = &task->command->allocation;

	return f->width == 0 ? SIZE_MAX : get_be(task->cdb + f->at, f->width);
}

static uint8_t tolerated(const struct scsi_command *c, size_t octet)
{
	uint8_t mask = c->usage[octet];

	/* SCSI-2's LUN field, in each CDB of 6 octets. */
	if (c->cdb_len == 6 && octet == 1)
		mask |= 0xe0;
	for (size_t i = 0; i < ARRAY_LEN(c->ignored); i++) {
		if (c->ignored[i].at == octet)
			mask |= c->ignored[i].mask;
	}
	return mask;
}

bool command_check_reserved(struct scsi_task *task)
{
	const struct scsi_command *c = task->command;

	for (size_t i = 1; i < c->cdb_len; i++) {
		unsigned extra = task->cdb[i] & ~(unsigned)c->usage[i];

		if (extra != 0 && (extra &= ~(unsigned)tolerated(c, i)) != 0) {
			sense_cdb_field(task, (unsigned)i, 31 - (unsigned)__builtin_clz(extra));
			return false;
		}
	}
	return true;
}
