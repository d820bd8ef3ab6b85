/* The arbiter process and its channels: with the monitor, which it trusts, and with each
 * session, which is hostile. It keeps what sessions share about a disk. No disks, no
 * files, no network. */
#pragma once

#include "gateway/arbiter/order.h"
#include "gateway/arbiter/page.h"
#include "gateway/base/channel.h"
#include "gateway/base/iscsi_name.h"

/* Descriptors that the monitor gives to the process: 3 the channel. */
int arbiter_main(void);

enum arbiter_message {
	ARBITER_INVALID,
	/* monitor to arbiter */
	ARBITER_BEGIN,	/* struct arbiter_begin; fd: the page, writable. The first message */
	ARBITER_ATTACH, /* struct arbiter_attach; fds: the session's channel, its page (read-only)
			 */
	ARBITER_GO,   /* once: every session that an earlier arbiter had was attached or is over */
	ARBITER_OVER, /* struct arbiter_over: no I/O of that session can reach a disk any more */
	/* arbiter to monitor */
	ARBITER_READY,	  /* struct arbiter_ready: the page is set up */
	ARBITER_ATTACHED, /* struct arbiter_attached */
	ARBITER_KILL,	  /* struct arbiter_kill: end that session, then say ARBITER_OVER */
	/* session to arbiter */
	ARBITER_HELLO,	 /* struct arbiter_hello, once: it admits under this life's generations */
	ARBITER_EXCLUDE, /* struct arbiter_exclude; one at a time */
	ARBITER_ORDER,	 /* struct arbiter_order; one at a time */
	ARBITER_DROP,	 /* struct arbiter_drop: an exclusive range is not needed any more */
	ARBITER_SETTLED, /* nothing is in flight from before a change: look at its page */
	/* arbiter to session */
	ARBITER_CHANGED, /* look at the page */
	ARBITER_DONE,	 /* struct arbiter_done: nobody else has anything in flight from before */
	ARBITER_ANSWER,	 /* struct arbiter_answer: to the order; if it changed anything, as of DONE
			  */
};

struct arbiter_begin {
	uint32_t life; /* 1, and one more for each arbiter of this run */
	uint32_t disks;
};

struct arbiter_attach {
	uint32_t connection;
	uint32_t old;						  /* 1: an earlier arbiter had it */
	char initiator[ISCSI_NAME_SIZE], target[ISCSI_NAME_SIZE]; /* normalised */
	uint8_t isid[6];
	uint16_t relative_port;	      /* and portal group tag */
	uint16_t disks[ARBITER_LUNS]; /* by LUN: the disk's index and 1; 0: not granted */
};

struct arbiter_over {
	uint32_t connection;
	uint32_t reserved;
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

struct arbiter_done {
	uint32_t id;
	uint32_t reserved;
};

#define ARBITER_DRAIN_MS 5000

/* An inbox is what the arbiter receives, an outbox what the other end of it receives. */
extern const struct message_spec arbiter_inbox[], arbiter_outbox[]; /* the monitor's channel */
extern const size_t arbiter_inbox_len, arbiter_outbox_len;
extern const struct message_spec arbiter_session_inbox[], arbiter_session_outbox[];
extern const size_t arbiter_session_inbox_len, arbiter_session_outbox_len;
const char *arbiter_blame_name(uint32_t blame); /* "did-not-drain" */
