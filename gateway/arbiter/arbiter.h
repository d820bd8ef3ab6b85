/* The arbiter process and its channels: with the monitor, which it trusts, and with each
 * session, which is hostile. It keeps what sessions share about a disk, in a folder of its
 * own. No disks, no network. */
#pragma once

#include "gateway/arbiter/order.h"
#include "gateway/arbiter/page.h"
#include "gateway/base/channel.h"
#include "gateway/base/iscsi_name.h"

/* Descriptors that the monitor gives to the process: 3 the channel, 4 the journal's folder. */
int arbiter_main(void);

enum arbiter_message {
	ARBITER_INVALID,
	/* monitor to arbiter */
	ARBITER_BEGIN, /* struct arbiter_begin; fds: the page, writable; sealed: an arbiter_identity
			* for each disk. The first message */
	ARBITER_ATTACH, /* struct arbiter_attach; fds: the session's channel, its page (read-only)
			 */
	ARBITER_GO,    /* once: every session that an earlier arbiter had was attached or is over */
	ARBITER_OVER,  /* struct arbiter_over: no I/O of that session can reach a disk any more */
	ARBITER_CLEAR, /* struct arbiter_clear: an operator says that a failed disk is well */
	ARBITER_NEWS, /* struct arbiter_news: the disk has grown, or what is below it is nearly full
		       */
	ARBITER_BEAT, /* is it there? Every second */
	ARBITER_ROW,  /* struct arbiter_row: a disk came, or went: no session has it */
	ARBITER_SEAT, /* struct arbiter_attach: of a session that is attached; more than before.
		       * Answered as ARBITER_ATTACH */
	/* arbiter to monitor */
	ARBITER_READY,	  /* struct arbiter_ready: the page is set up */
	ARBITER_ATTACHED, /* struct arbiter_attached */
	ARBITER_KILL,	  /* struct arbiter_kill: end that session, then say ARBITER_OVER */
	ARBITER_SUMMARY,  /* struct arbiter_summary: what changed about a disk, for people */
	ARBITER_CLEARED,  /* struct arbiter_cleared; after its ARBITER_SUMMARY */
	ARBITER_TROUBLE,  /* struct arbiter_trouble: can the journal be written? */
	ARBITER_ALIVE,	  /* it is there */
	ARBITER_KEEPS,	  /* it is about to write its journal: nothing is heard of it meanwhile */
	/* session to arbiter */
	ARBITER_HELLO,	 /* struct arbiter_hello, once: it admits under this life's generations */
	ARBITER_EXCLUDE, /* struct arbiter_exclude; one at a time */
	ARBITER_ORDER,	 /* struct arbiter_order; one at a time, and beside it as many for ranges as
			  * ARBITER_RANGES_EACH: a range may be waited for long */
	ARBITER_DROP,	 /* struct arbiter_drop: an exclusive range is not needed any more */
	ARBITER_SETTLED, /* nothing is in flight from before a change: look at its page */
	ARBITER_LEAVE,	 /* struct arbiter_leave: what its nexus alone has is over (SAM-5). At the
			  * logout, which waits for the answer, or at the session's end */
	/* arbiter to session */
	ARBITER_CHANGED, /* look at the page */
	ARBITER_DONE,	 /* struct arbiter_done: nobody else has anything in flight from before */
	ARBITER_ANSWER,	 /* struct arbiter_answer: to the order; if it changed anything, as of DONE
			  */
};

struct arbiter_begin {
	uint32_t life; /* 1, and one more for each arbiter of this run */
	uint32_t disks;
	uint8_t run[16]; /* random */
};

struct arbiter_identity {
	char serial[37]; /* a UUID's text, which never changes */
	char name[67];	 /* the policy's, for the log */
};

struct arbiter_row {
	uint32_t row;
	uint32_t taken;			  /* 0: it is free */
	struct arbiter_identity identity; /* when it is taken */
};

struct arbiter_attach {
	uint32_t connection;
	uint32_t old;						  /* 1: an earlier arbiter had it */
	char initiator[ISCSI_NAME_SIZE], target[ISCSI_NAME_SIZE]; /* normalised */
	uint8_t isid[6];
	uint16_t relative_port;		      /* and portal group tag */
	uint16_t disks[ARBITER_LUNS];	      /* by LUN: the disk's index and 1; 0: not granted */
	uint64_t writable[ARBITER_LUNS / 64]; /* bit of each */
	uint16_t groups[ARBITER_GROUPS];      /* whose access state it may set: tags; 0: none */
};

struct arbiter_over {
	uint32_t connection;
	uint32_t reserved;
};

struct arbiter_clear {
	uint32_t disk;
	uint32_t forget; /* 1: what a damaged journal may have said is given up */
};

struct arbiter_cleared {
	uint32_t disk;
	uint32_t error; /* errno; EBADMSG: its journal is damaged, and was not to be forgotten */
};

struct arbiter_summary {
	uint32_t disk;
	uint32_t failed; /* errno; EBADMSG: the journal is damaged. 0: well */
	uint64_t failed_since_s;
	uint32_t registrants;
	uint8_t reservation; /* enum reservation */
	uint8_t aptpl;
	uint8_t reserved[2];
	char holder[ISCSI_NAME_SIZE]; /* initiator; "": none, or all registrants */
	/* Nexuses that may write under the persistent reservation; 0: no more. */
	uint64_t writers[ARBITER_REGISTRANTS];
};

struct arbiter_trouble {
	uint32_t error; /* errno of the last change that could not be kept; 0: well */
	uint32_t reserved;
};

struct arbiter_news {
	uint32_t disk;
	uint32_t low;  /* 1: little room is left below it */
	uint64_t size; /* octets, as it is now; never less than before */
};

struct arbiter_ready {
	uint32_t sandbox_layers;
	uint32_t reserved;
};

struct arbiter_attached {
	uint32_t connection;
	uint32_t error; /* errno, 0: attached */
};

enum arbiter_blame {
	ARBITER_BLAME_INVALID,
	ARBITER_NOT_DRAINED,  /* in ARBITER_DRAIN_MS */
	ARBITER_NOT_ATTACHED, /* to a new arbiter, in the same time */
	ARBITER_BROKE_CHANNEL,
	ARBITER_KEPT_RANGE, /* while another waited for it, for ARBITER_RANGE_MS */
	ARBITER_BLAMES
};

struct arbiter_kill {
	uint32_t connection;
	uint32_t blame; /* enum arbiter_blame */
};

struct arbiter_hello {
	uint32_t life;
	uint32_t reserved;
};

/* Ends everybody's tasks on those LUNs. */
struct arbiter_exclude {
	uint32_t id; /* the session's own; comes back with ARBITER_DONE */
	uint32_t reserved;
	uint64_t luns[ARBITER_LUNS / 64]; /* bit of each */
};

/* Said again before it is answered, the last one is answered. */
struct arbiter_leave {
	uint32_t id; /* as of arbiter_exclude */
	uint32_t reserved;
};

struct arbiter_done {
	uint32_t id;
	uint32_t reserved;
};

#define ARBITER_DRAIN_MS      5000
#define ARBITER_RANGE_MS      30000
#define ARBITER_KEEP_AGAIN_MS 1000

/* An inbox is what the arbiter receives, an outbox what the other end of it receives. */
extern const struct message_spec arbiter_inbox[], arbiter_outbox[]; /* the monitor's channel */
extern const size_t arbiter_inbox_len, arbiter_outbox_len;
extern const struct message_spec arbiter_session_inbox[], arbiter_session_outbox[];
extern const size_t arbiter_session_inbox_len, arbiter_session_outbox_len;
const char *arbiter_blame_name(uint32_t blame); /* "did-not-drain" */
