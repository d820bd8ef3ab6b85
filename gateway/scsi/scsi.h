/* A SCSI device server for one nexus, SPC-4 and SBC-3, as a machine without I/O:
 * CDBs and completions go in, steps come out. Commands come from one table; each
 * passes the gate, which alone can hand it to a backend. Runs in the session. */
#pragma once

#include <sys/uio.h>
#include "backends/backend.h"
#include "gateway/arbiter/order.h"
#include "gateway/arbiter/page.h"
#include "gateway/audit/ring.h"
#include "gateway/base/base.h"
#include "gateway/base/durability.h"
#include "gateway/base/iscsi_name.h"
#include "gateway/scsi/command_rules.h"
#include "gateway/scsi/limits.h"
#include "gateway/scsi/task_set.h"

#define SCSI_SENSE_SIZE	  32
#define SCSI_TRANSFER_MAX (4u << 20) /* octets a command; VPD B0h says so */

#define SCSI_DROPS_MAX 512 /* more than tasks and their successors in one turn */

/* VPD page B0h says these as well. */
#define WRITE_SAME_MAX_BLOCKS	     32768u
#define UNMAP_MAX_RANGES	     256u
#define UNMAP_MAX_BLOCKS	     (1u << 20)
#define COMPARE_AND_WRITE_MAX_BLOCKS 255u
#define WRITE_ATOMIC_MAX_OCTETS	     (1u << 20)

enum scsi_status {
	SCSI_GOOD = 0x00,
	SCSI_CHECK_CONDITION = 0x02,
	SCSI_CONDITION_MET = 0x04,
	SCSI_BUSY = 0x08,
	SCSI_RESERVATION_CONFLICT = 0x18,
	SCSI_TASK_SET_FULL = 0x28,
	SCSI_TASK_ABORTED = 0x40,
};

/* What LOG SENSE keeps of a self-test: its code and result in an octet; 0: there was none. */
#define SELF_TESTS_MAX 20
struct scsi_self_test {
	uint8_t what;
	uint16_t hours; /* after the host's start */
};

/* Task attributes, as RFC 7143 section 11.3.1 numbers them. */
enum scsi_attribute {
	SCSI_UNTAGGED, /* as SIMPLE */
	SCSI_SIMPLE,
	SCSI_ORDERED,
	SCSI_HEAD_OF_QUEUE,
	SCSI_ACA, /* refused: there are no ACA conditions */
};

struct scsi_lun {
	bool present;
	uint16_t number;
	bool writable, rotational, memory;
	bool waits; /* not writable while another initiator writes: it may reserve */
	bool thin;  /* may be written, and its disk can give room back */
	bool removable;
	bool write_through; /* the policy says so: WCE=0, every write is durable when it is answered
			     */
	uint32_t block_size, physical_block_size;
	uint32_t rule_line; /* of the policy, that makes it read-only; 0: the disk is */
	uint64_t blocks;
	uint8_t naa[16];
	uint8_t naa_len;	     /* 8 or 16 */
	char serial[37];	     /* the disk's UUID, or what the policy says */
	char vendor[9], product[17]; /* "": the gateway's own */
	struct backend *backend;
	int failed;   /* errno that ended it for good (deleted, shrank, sync failed), as we or the
		       * arbiter know; 0: well */
	bool telling; /* the arbiter is to be told so */
	uint16_t attentions[8]; /* enum sense_code of the unit attentions that wait, oldest first */
	unsigned attention_count;
	unsigned begun;	     /* tasks, and not over */
	bool ending;	     /* somebody reset it: nothing is admitted until its tasks are ended */
	uint64_t checked_ms; /* when backend_check() ran last: at most once a second */
	struct scsi_self_test self_tests[SELF_TESTS_MAX]; /* newest first */
	struct task_set tasks;
	struct limits limits;  /* of this initiator, here */
	uint32_t limited_turn; /* limited.c's: in which nobody more may draw */
};

/* One I_T nexus: what the grant said. */
struct scsi_nexus {
	struct scsi_lun luns[BACKENDS_MAX];
	char target[ISCSI_NAME_SIZE], initiator[ISCSI_NAME_SIZE];
	uint16_t portal_group, relative_port;
	struct scsi_port_group {
		uint64_t port;	  /* arbiter_port_id() */
		uint16_t tag;	  /* and relative target port */
	} groups[ARBITER_GROUPS]; /* of the target, by which the initiator may come; its own first
				   */
	unsigned group_count;
	uint8_t protocol_level; /* iSCSIProtocolLevel, which INQUIRY tells */
	struct scsi_records {
		bool writes_only;  /* reads are not recorded */
		bool outcomes_all; /* a second record of what ended well, too */
		uint8_t durability,
			luns[BACKENDS_MAX]; /* enum durability: without a LUN, of each */
	} records;
	struct scsi_rules rules; /* rules.h decides by it */
	struct audit_ring *ring;
	struct arbiter_view *arbiter; /* holds every LUN that is present */
	/* shared.c's: tasks whose orders wait or are out, that wait for others' ranges, that hold
	 * ranges; ranges that are to be dropped */
	struct scsi_task *ordering, *parked, *holders;
	uint32_t order_id;
	bool order_is_out;   /* one that is not for a range */
	unsigned ranges_out; /* orders for those */
	unsigned telling;    /* LUNs that failed, and the arbiter does not know yet */
	uint16_t told;	     /* the one of these that it is being told of, under told_id; 0: none */
	uint32_t told_id;
	uint32_t turn; /* of those that are parked */
	struct arbiter_drop drops[SCSI_DROPS_MAX];
	unsigned drop_count;
	struct gate *gate;
	struct scsi_task *held; /* gate_wait.c's: for the audit to become durable, oldest first */
	struct verifier *verifier;
	struct copier *copier;
	struct operation *operations; /* operation.c's: of its disks, under way */
	struct task_turns turns;
	struct limits
		limits; /* of all its LUNs; `outstanding` is the host's to keep, by the window */
	struct {	/* limited.c's */
		struct scsi_task *first, *ready; /* who waits, oldest first; who may begin now */
		unsigned beginning;		 /* of both, those that have no admission yet */
		uint32_t turn;
		bool on;	  /* there are limits */
		uint64_t wake_ms; /* when the first may go; 0: nobody waits for time */
	} limited;
	uint64_t now_ms;  /* set by the host at each turn of its loop */
	uint64_t wall_ns; /* the same, since 1970: for the audit's records */
	uint64_t now_us;  /* monotonic, and finer: for how long commands take */
	/* Another session's reset or preempt: all tasks of the unit are to be ended, with status
	 * TASK ABORTED or without an answer; then scsi_tasks_ended(). Not from within the call. */
	void (*end_tasks)(void *host, const struct scsi_lun *lun, bool with_status);
	/* told once for each LUN that failed */
	void (*lun_failed)(void *host, const struct scsi_lun *lun, int error, uint64_t lba);
	void *host;
};

enum scsi_step {
	SCSI_STEP_INVALID,
	SCSI_WANT_DATA,	  /* `bytes` of data-out, then scsi_data_arrived() */
	SCSI_WANT_BUFFER, /* room for `bytes` of data-in, then scsi_buffer_ready() */
	SCSI_RUNNING,	  /* a backend or the audit has it: task->done() will be called; or it
			     waits for others: scsi_next() gives it back */
	SCSI_DONE,	  /* status, sense and data_len are set */
};

struct scsi_task {
	/* set by the host */
	struct scsi_nexus *nexus;
	uint8_t lun[8];
	const uint8_t *cdb; /* cdb_len octets, at least 16; stays until done */
	size_t cdb_len;
	uint32_t tag, edtl;
	uint8_t attribute; /* enum scsi_attribute */
	bool read, write;  /* the R and W bits of the transport: which data may move */
	struct iovec *iov; /* set before scsi_data_arrived() and scsi_buffer_ready() */
	unsigned iov_count;
	size_t buffer_len; /* octets in iov: data-out that came, or room for data-in */
	/* The task is SCSI_DONE now. May begin and cancel tasks; does not close the nexus. */
	void (*done)(struct scsi_task *task);

	/* the result */
	size_t bytes; /* with SCSI_WANT_…: how many */
	uint8_t status;
	size_t data_len; /* octets of data-in in the buffer */
	size_t wanted;	 /* octets that the command would move, whatever EDTL says */
	uint8_t sense[SCSI_SENSE_SIZE];
	size_t sense_len;

	/* the device's own */
	const struct scsi_command *command;
	struct scsi_lun *unit;
	struct admission *admission;
	struct io io;
	uint64_t lba;
	uint32_t blocks;
	bool waits_for_audit, running, cancelled;
	uint64_t durable_mark; /* of the audit as a whole: what its answer waits for */
	/* gate_wait.c's: its own records, and what its execution waits for; whether it did */
	enum durability durability;
	uint64_t record_mark, admitted_us;
	bool on_record, recorded, waits_for_record;
	bool had_to_wait;	/* for room in the audit */
	struct scsi_task *next; /* in the list of those that wait: for the audit, for a turn, … */
	size_t progress;	/* octets of the medium that are done */
	uint8_t stage;		/* of a command that takes several requests */
	bool promises;		/* durable data: the answer waits for the audit */
	bool waits_for_buffer;	/* verifier.c's: of the nexus's; what then; who looks; what then */
	enum scsi_step (*with_buffer)(struct scsi_task *task);
	bool (*look)(struct scsi_task *task, const uint8_t *octets, size_t len);
	void (*read_over)(struct scsi_task *task);
	int error;		      /* of a WRITE ATOMIC that is being undone */
	bool undoes;		      /* if its request fails, another one follows that undoes it */
	unsigned next_range;	      /* of UNMAP's list */
	uint8_t modes[ARBITER_MODES]; /* of MODE SELECT: values, and which of their bits count */
	uint32_t whole;		      /* of PERSISTENT RESERVE IN: of which its pieces are */
	void (*range_over)(struct scsi_task *task);
	uint8_t met_status;    /* of a success: GOOD, or CONDITION MET */
	enum task_place place; /* in the unit's task set */
	bool barrier;	       /* ORDERED or HEAD OF QUEUE: others wait for its end */
	bool counted;	       /* in unit->begun */
	/* shared.c's */
	bool orders, parked;	       /* it is in that list */
	bool order_out, order_was_out; /* order_was_out: when the arbiter changed */
	uint32_t parked_turn;
	uint32_t order_id, range; /* range: the id of the one that it holds; 0: none */
	void (*order)(const struct scsi_task *task, struct arbiter_order *ret);
	enum scsi_step (*answered)(struct scsi_task *task, const struct arbiter_answer *answer);
	enum scsi_step (*then)(struct scsi_task *task);
	struct scsi_task *next_holder;
	uint64_t voided; /* the generation under which no token stands for task->io's blocks */
	/* copier.c's */
	struct copy *copy;	  /* NULL: it copies nothing */
	struct scsi_lun *io_unit; /* that task->io is for; NULL: its own */
	bool limited;		  /* limited.c's: it waits, or may begin */
	bool drawn;		  /* … it has begun, and counts as outstanding */
	bool request_drawn;	  /* … and has its octets for task->io */
	/* operation.c's */
	bool operates;		     /* the medium is its own for now, whoever else asks */
	struct operation *operation; /* that it waits for */
	/* the gate's */
	void (*io_done)(struct io *io, int result);
	enum scsi_step (*when_durable)(struct scsi_task *task); /* NULL: it is answered then */
};

/* `admissions`: how many commands at once. Allocates the gate. */
int scsi_nexus_open(struct scsi_nexus *n, unsigned admissions) MUST_CHECK;
void scsi_nexus_close(struct scsi_nexus *n);

enum scsi_step scsi_begin(struct scsi_task *task);
/* The next task whose turn has come since scsi_begin() said SCSI_RUNNING: scsi_start() goes on with
 * it, at once. NULL: none. To be asked when the host has done what it was at: not from within the
 * end of a task, behind which others may be about to be cancelled. */
struct scsi_task *scsi_next(struct scsi_nexus *n);
enum scsi_step scsi_start(struct scsi_task *task);
enum scsi_step scsi_data_arrived(struct scsi_task *task);
enum scsi_step scsi_buffer_ready(struct scsi_task *task);
/* True: forgotten ("not executed" is in the audit if it was admitted). False: it runs; done() will
 * be called, and its result is to be thrown away. */
bool scsi_cancel(struct scsi_task *task);
/* A record of task management. -EBUSY: there can't be one now. */
struct scsi_management {
	uint8_t function, response; /* as RFC 7143 numbers them */
	uint8_t lun[8];
	uint32_t tag; /* of the task that is meant */
};
int scsi_manage(struct scsi_nexus *n, const struct scsi_management *m,
		enum audit_verdict verdict) MUST_CHECK;
/* The auditor has made something durable, or is gone: answers what waited for it. */
void scsi_audit_moved(struct scsi_nexus *n);

/* With the arbiter. The next order or dropped range that is to be sent, if there is one; then that
 * it was sent. */
bool scsi_order_next(struct scsi_nexus *n, struct arbiter_order *ret);
void scsi_order_sent(struct scsi_nexus *n);
void scsi_answered(struct scsi_nexus *n, const struct arbiter_answer *answer);
bool scsi_drop_next(struct scsi_nexus *n, struct arbiter_drop *ret);
void scsi_drop_sent(struct scsi_nexus *n);
void scsi_arbiter_changed(struct scsi_nexus *n); /* another one: what was out is asked again */
void scsi_tasks_ended(struct scsi_nexus *n, unsigned lun);
/* Formats and sanitizes go on after their command was answered, and after the connection was lost.
 * True: there is one. */
bool scsi_operates(const struct scsi_nexus *n);
/* They end, as failed, as soon as what runs is over. */
void scsi_operations_stop(struct scsi_nexus *n);
/* What ends with the nexus: a reservation by RESERVE, or somebody's lock on the medium. */
bool scsi_holds(struct scsi_nexus *n, unsigned lun);
/* The page may have moved: looks, and tries what waited for others. */
void scsi_shared_turn(struct scsi_nexus *n);
/* The buffers of the nexus go to who waits for them, if a cancelled command left them. True: one
 * did. scsi_shared_turn() does that, too. */
bool scsi_buffers_turn(struct scsi_nexus *n);
/* What this initiator may do in a second and at once with a LUN, or (-1) with all of them together;
 * the LUN need not be there yet. At any time: who waits is judged by it. `shares`: sessions that
 * have these limits together. */
void scsi_limits(struct scsi_nexus *n, int lun, const struct limit_values *values, uint32_t shares);
/* When scsi_next() is to be asked again although nothing happened; 0: need not be. */
uint64_t scsi_wake_ms(const struct scsi_nexus *n);
/* The unit attention that waits first: ASC and ASCQ; 0: none. */
uint16_t scsi_attention(const struct scsi_nexus *n, unsigned lun);
/* A new session, after its LUNs are there: each of them has this unit attention (ASC and ASCQ; 0:
 * none), SAM-5's for what ended before it. */
void scsi_nexus_began(struct scsi_nexus *n, uint16_t attention);
/* widened.c, within a session: a LUN is there that was not, and everybody of the nexus is told. */
void scsi_lun_added(struct scsi_nexus *n);
/* One that was read-only may be written, by this backend. Returns the one that it had, which may
 * still have requests. */
struct backend *scsi_lun_writable(struct scsi_nexus *n, unsigned lun, struct backend *backend,
				  bool thin);
/* … or not any more, from the next request on. */
void scsi_lun_narrowed(struct scsi_nexus *n, unsigned lun, uint32_t rule_line);
/* Free places in the window: bounded by ring slots (two a command) and admissions, of which tasks
 * that wait for their turn will want theirs. */
uint32_t scsi_room(const struct scsi_nexus *n);
/* SAM-5 section 4.7: the LUN's number, or -1 if it is no single-level LUN below 256. */
int scsi_lun_decode(const uint8_t lun[8]);
