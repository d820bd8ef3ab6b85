/* The command table: for each command, its CDB's fields and who executes it. From it
 * come decoding, the check of reserved bits, the gate's decision and REPORT
 * SUPPORTED OPERATION CODES, so that these can't drift apart. */
#pragma once

#include "gateway/base/bytes.h"
#include "gateway/scsi/command_names.h"
#include "gateway/scsi/scsi.h"

#define CDB_MAX 16 /* octets of the longest CDB that the table has */

/* Where a number stands in the CDB; width 0: the command has no such field. */
struct cdb_field {
	uint8_t at, width;
};

struct scsi_command {
	uint8_t opcode;
	int16_t service_action; /* -1: the opcode has none */
	uint8_t cdb_len;
	uint32_t touches;
	bool any_lun;	    /* answered for a LUN that is not there, too */
	bool thin;	    /* offered where room can be given back */
	bool head_of_queue; /* whatever attribute it comes with */
	bool verifies;	    /* a write that is read back (WRITE AND VERIFY) */
	bool names_units;   /* its list does: of each it is decided whether it may be written */
	/* It destroys data that was not sent to replace it, or takes something from others: nothing
	 * of it is carried out before its record in the audit is durable. */
	bool durable_first;
	struct cdb_field lba, blocks; /* blocks: of the medium */
	struct cdb_field allocation;  /* octets of data-in that the initiator has room for */
	uint8_t usage[CDB_MAX];	      /* SPC-4's CDB usage data: bits that are evaluated */
	struct {
		uint8_t at, mask;
	} ignored[2]; /* bits that old or careless initiators set, and that mean nothing to us */

	enum scsi_step (*begin)(struct scsi_task *task);
	enum scsi_step (*data_arrived)(struct scsi_task *task);
	enum scsi_step (*buffer_ready)(struct scsi_task *task);
	/* For reply_begin(): writes all that there is to say. False: the task has its sense. */
	bool (*reply)(struct scsi_task *task, struct wr *w);
};

const struct scsi_command *commands(size_t *ret_count);
const struct scsi_command *command_find(const uint8_t *cdb);
/* The opcode is in the table, with other service actions perhaps. */
bool command_has_opcode(uint8_t opcode);
/* Offered to this nexus on this unit: REPORT SUPPORTED OPERATION CODES and the vital product data
 * tell of no other command. */
bool command_is_offered(const struct scsi_task *task, const struct scsi_command *command);
/* The same for a command by its opcode; one without service actions has any `action`. */
bool command_offers(const struct scsi_task *task, uint8_t opcode, uint16_t action);
/* Sets task->lba and task->blocks. */
void command_decode(struct scsi_task *task);
/* Bits that this device does not evaluate are zero. False: the task has its sense. */
bool command_check_reserved(struct scsi_task *task);
size_t command_allocation(const struct scsi_task *task);

/* Octets that are written without being read first: as the policy says, else the page cache's. */
uint32_t unit_physical_block(const struct scsi_lun *unit);
/* Blocks of a WRITE ATOMIC: at most, and in multiples of. */
uint32_t unit_atomic_blocks(const struct scsi_lun *unit);
uint32_t unit_atomic_granularity(const struct scsi_lun *unit);
/* Room is counted in sets of 2^n blocks. */
unsigned unit_threshold_exponent(const struct scsi_lun *unit);

/* device.c: a command whose data-in is made in memory. */
#define REPLY_MAX 4096
enum scsi_step reply_begin(struct scsi_task *task);
enum scsi_step reply_fill(struct scsi_task *task);

/* device.c: copies out of the data-out, which may be in pieces. */
void task_gather(const struct scsi_task *task, size_t at, uint8_t *ret, size_t len);
/* … and into the room for data-in, of which there is as much. */
void task_scatter(const struct scsi_task *task, size_t at, const uint8_t *bytes, size_t len);

/* The unit that the task's request is for. */
static inline struct scsi_lun *task_io_unit(const struct scsi_task *task)
{
	return task->io_unit != NULL ? task->io_unit : task->unit;
}

/* device.c: ends of a task. Return SCSI_DONE. */
enum scsi_step task_good(struct scsi_task *task);
enum scsi_step task_nothing(struct scsi_task *task); /* was admitted, and there is nothing to do */
enum scsi_step task_refuse(struct scsi_task *task);  /* has its sense; was not admitted */
enum scsi_step task_fail(struct scsi_task *task);    /* was admitted; has status, sense */
enum scsi_step task_busy(struct scsi_task *task);
enum scsi_step task_not_submitted(struct scsi_task *task); /* as gate_submit() set it */
/* After a SCSI_RUNNING: ends the task and calls its done(). */
void task_finish(struct scsi_task *task, enum scsi_step (*end)(struct scsi_task *task));

/* The replies. */
bool inquiry_reply(struct scsi_task *task, struct wr *w);
bool request_sense_reply(struct scsi_task *task, struct wr *w);
bool capacity_10_reply(struct scsi_task *task, struct wr *w);
bool capacity_16_reply(struct scsi_task *task, struct wr *w);
bool mode_sense_6_reply(struct scsi_task *task, struct wr *w);
bool mode_sense_10_reply(struct scsi_task *task, struct wr *w);
bool report_luns_reply(struct scsi_task *task, struct wr *w);
bool report_opcodes_reply(struct scsi_task *task, struct wr *w);
bool test_unit_ready_reply(struct scsi_task *task, struct wr *w);
bool defects_10_reply(struct scsi_task *task, struct wr *w);
bool defects_12_reply(struct scsi_task *task, struct wr *w);
bool report_functions_reply(struct scsi_task *task, struct wr *w);
bool report_port_groups_reply(struct scsi_task *task, struct wr *w);
bool report_information_reply(struct scsi_task *task, struct wr *w);
bool receive_diagnostic_reply(struct scsi_task *task, struct wr *w);
bool log_sense_reply(struct scsi_task *task, struct wr *w);

/* Those that move data or flush. */
enum scsi_step read_begin(struct scsi_task *task);
enum scsi_step read_start(struct scsi_task *task);
enum scsi_step write_begin(struct scsi_task *task);
enum scsi_step write_start(struct scsi_task *task);
enum scsi_step write_same_begin(struct scsi_task *task);
enum scsi_step write_same_start(struct scsi_task *task);
enum scsi_step compare_write_begin(struct scsi_task *task);
enum scsi_step compare_write_start(struct scsi_task *task);
enum scsi_step orwrite_start(struct scsi_task *task);
enum scsi_step write_atomic_begin(struct scsi_task *task);
enum scsi_step write_atomic_start(struct scsi_task *task);
enum scsi_step unmap_begin(struct scsi_task *task);
enum scsi_step unmap_start(struct scsi_task *task);
enum scsi_step lba_status_begin(struct scsi_task *task);
enum scsi_step lba_status_start(struct scsi_task *task);
enum scsi_step pre_fetch_begin(struct scsi_task *task);
enum scsi_step verify_begin(struct scsi_task *task);
enum scsi_step verify_start(struct scsi_task *task);
enum scsi_step synchronize_begin(struct scsi_task *task);
enum scsi_step send_diagnostic_begin(struct scsi_task *task);
enum scsi_step send_diagnostic_start(struct scsi_task *task);
enum scsi_step start_stop_begin(struct scsi_task *task);

/* Those that the arbiter decides. */
enum scsi_step reserve_begin(struct scsi_task *task);
enum scsi_step pr_in_begin(struct scsi_task *task);
enum scsi_step pr_in_start(struct scsi_task *task);
enum scsi_step pr_out_begin(struct scsi_task *task);
enum scsi_step pr_out_start(struct scsi_task *task);
enum scsi_step set_port_groups_begin(struct scsi_task *task);
enum scsi_step set_port_groups_start(struct scsi_task *task);
enum scsi_step mode_select_begin(struct scsi_task *task);
enum scsi_step mode_select_start(struct scsi_task *task);
enum scsi_step prevent_allow_begin(struct scsi_task *task);
enum scsi_step format_begin(struct scsi_task *task);
enum scsi_step format_start(struct scsi_task *task);
enum scsi_step sanitize_overwrite_begin(struct scsi_task *task);
enum scsi_step sanitize_overwrite_start(struct scsi_task *task);
enum scsi_step sanitize_erase_begin(struct scsi_task *task);
enum scsi_step sanitize_exit_begin(struct scsi_task *task);
