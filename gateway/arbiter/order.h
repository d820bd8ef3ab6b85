/* What a session asks of the arbiter for one of its commands, and what it is answered: the
 * bodies of ARBITER_ORDER, ARBITER_ANSWER and ARBITER_DROP. */
#pragma once

#include "gateway/base/base.h"

enum order_kind {
	ORDER_INVALID,
	ORDER_TAKE_RANGE, /* lba, blocks: exclusively; its id is the order's. Answered in its turn
			   */
	ORDER_RESERVE,	  /* RESERVE(6), (10) */
	ORDER_RELEASE,
	/* action; `at`: of the parameter data, which may take several orders: pieces whose answers
	 * have the same `whole` are of one */
	ORDER_PR_IN,
	ORDER_PR_OUT,  /* action, scope_type, key, action_key, flags, relative_port, octets:
			  TransportIDs */
	ORDER_MODES,   /* octets: ARBITER_MODES_EACH values, as many of mask; flags: ORDER_SAVE */
	ORDER_PREVENT, /* action: 1 prevent, 0 allow */
	ORDER_LOAD,    /* action: ORDER_LOAD_… */
	/* action: enum disk_operation, progress in `at`. The answer to its beginning has in `field`
	 * which one there was before, it or a failed one */
	ORDER_OPERATION,
	ORDER_FAILED,	  /* `at`: errno that ended the disk for good */
	ORDER_ACCESS,	  /* octets: SET TARGET PORT GROUPS' descriptors */
	ORDER_TOKEN_MAKE, /* octets: struct order_ranges; `at`: seconds that it may be unused; key:
			   * octets that it stands for. Answered with the token */
	ORDER_TOKEN_USE,  /* action: ORDER_TOKEN_…; octets: the token. Answered with struct
			   * order_ranges, of a LUN of the asker's */
	ORDER_TOKEN_VOID, /* lba, blocks: are written next. Answered with the generation under which
			   * no token stands for them: 8 octets */
	ORDER_KINDS
};

#define ORDER_SAVE	 (1u << 0)
#define ORDER_APTPL	 (1u << 0)
#define ORDER_ALL_TG_PT	 (1u << 1)
#define ORDER_SPEC_I_PT	 (1u << 2)
#define ORDER_UNREGISTER (1u << 3)
/* Of ORDER_OPERATION. Without one of the first two: how far it is, or how it ended. */
#define ORDER_BEGIN	(1u << 0)
#define ORDER_EXIT	(1u << 1) /* SANITIZE's EXIT FAILURE MODE */
#define ORDER_FREE_EXIT (1u << 2) /* SANITIZE's AUSE */

enum order_load { ORDER_LOAD_STOP, ORDER_LOAD_START, ORDER_LOAD_EJECT, ORDER_LOAD_INSERT };

/* Of ORDER_PR_IN, then of ORDER_PR_OUT: SPC's service actions. */
enum pr_in_action {
	PR_READ_KEYS = 0x00,
	PR_READ_RESERVATION = 0x01,
	PR_REPORT_CAPABILITIES = 0x02,
	PR_READ_FULL_STATUS = 0x03,
};

enum pr_out_action {
	PR_REGISTER = 0x00,
	PR_RESERVE = 0x01,
	PR_RELEASE = 0x02,
	PR_CLEAR = 0x03,
	PR_PREEMPT = 0x04,
	PR_PREEMPT_AND_ABORT = 0x05,
	PR_REGISTER_AND_IGNORE = 0x06,
	PR_REGISTER_AND_MOVE = 0x07,
};

/* Where things are in the parameter list of PERSISTENT RESERVE OUT. */
enum {
	PR_LIST_ACTION_KEY = 8,
	PR_LIST_FLAGS = 20,
	PR_LIST_BASIC = 24,	    /* octets of the basic list */
	PR_LIST_TRANSPORT_IDS = 28, /* with SPEC_I_PT: after their length */
	PR_MOVE_FLAGS = 17,
	PR_MOVE_RELATIVE_PORT = 18,
	PR_MOVE_TRANSPORT_ID = 24,
};

enum order_token {
	ORDER_TOKEN_BEGIN,   /* to copy what it stands for */
	ORDER_TOKEN_IS_GOOD, /* still, after all was read */
	ORDER_TOKEN_DELETE,  /* … and then it is not needed any more */
};

#define ARBITER_OCTETS 2048 /* of an order or an answer */

#define ORDER_RANGE_BLOCKS_MAX 8192 /* of an exclusive range: scsi's longest transfer */

#define TOKEN_SIZE	   512
#define TOKEN_RANGES_MAX   64
#define TOKEN_UNUSED_MAX_S 600u /* VPD page 8Fh says so */

struct order_ranges {
	uint32_t lun, count;
	struct {
		uint64_t lba, blocks;
	} at[TOKEN_RANGES_MAX];
};
_Static_assert(sizeof(struct order_ranges) <= ARBITER_OCTETS, "they travel in octets");

/* What a session asks about a disk, for one of its commands. Which fields count, the kind says. */
struct arbiter_order {
	uint32_t id; /* the session's own; comes back with the answer. Asked again of a new arbiter
		      * under the same id */
	uint16_t lun;
	uint8_t kind; /* enum order_kind */
	uint8_t action;
	uint8_t scope_type, flags;
	uint16_t relative_port;
	uint32_t at;
	uint32_t blocks;
	uint64_t lba;
	uint64_t key, action_key;
	uint32_t len; /* of octets */
	uint32_t reserved;
	uint8_t octets[ARBITER_OCTETS];
};

struct arbiter_answer {
	uint32_t id;
	uint8_t status;	 /* SCSI's */
	uint8_t key;	 /* sense key, with CHECK CONDITION */
	uint16_t code;	 /* ASC and ASCQ */
	uint8_t pointed; /* 1: `field` says which octet of the parameter list is wrong */
	uint8_t reserved;
	uint16_t field;
	uint32_t total; /* octets of all that there is to say */
	uint32_t len;	/* … of which these are here */
	uint32_t whole; /* of ORDER_PR_IN */
	uint8_t octets[ARBITER_OCTETS];
};

struct arbiter_drop {
	uint32_t id; /* of the order that took it */
	uint32_t lun;
};
