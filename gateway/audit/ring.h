/* The ring between one session and the auditor. Two memfds, made and sealed by the
 * monitor, outlive both: the slots (session writes, auditor reads) and the page
 * (auditor writes, session has it read-only). A socket pair wakes the auditor, wakes
 * the session when something became durable, and tells each that the other is gone.
 * No CDB reaches a backend before audit_ring_put() has returned 0 for it (P2). */
#pragma once

#include <stdatomic.h>
#include "gateway/audit/record.h"
#include "gateway/base/base.h"

/* False in a build that `make bench-audit` compares with: nothing is put and nobody waits. No
 * policy can ask for it; such a build says so loudly. */
#ifdef SALLYPORT_UNAUDITED
#define AUDIT_IS_BUILT false
#else
#define AUDIT_IS_BUILT true
#endif

#define AUDIT_RING_SLOTS 4096u /* a power of 2 */
/* A record that waits longer than this for the auditor means that the auditor is away: BUSY. The
 * auditor takes records while a sync runs (a helper thread's), so only what blocks write() itself,
 * such as a file system's write-back throttling, uses this up. */
#define AUDIT_PATIENCE_MS 1000u

enum audit_state { AUDIT_STATE_INVALID, AUDIT_WRITING, AUDIT_CANNOT_WRITE, AUDIT_AWAY };

/* The session's memfd: a header, then the slots. Cache lines apart. */
struct audit_ring_memory {
	_Alignas(64) _Atomic uint64_t head;	      /* records put, ever */
	_Alignas(64) _Atomic uint64_t durable_wanted; /* how often it was asked: tickets */
	/* Somebody waits until the records below this are in the file: while it is beyond
	 * `consumed`, none is held back to be written together with later ones, and the session is
	 * woken as soon as `consumed` has moved. */
	_Atomic uint64_t written_wanted;
	_Alignas(64) struct audit_record slots[AUDIT_RING_SLOTS];
};

/* The auditor's memfd. */
struct audit_ring_page {
	_Alignas(
		64) _Atomic uint64_t consumed; /* records that the auditor has copied and written */
	/* Tickets answered: all that any session's ring held when they were asked is synced. */
	_Atomic uint64_t durable;
	_Atomic uint32_t state;	 /* enum audit_state */
	_Atomic uint32_t naps;	 /* odd: the auditor sleeps; send it one octet to wake it */
	_Atomic uint32_t opened; /* 1: that this session was opened is in the trail */
};

/* The session's handle. */
struct audit_ring {
	struct audit_ring_memory *memory;
	const struct audit_ring_page *page;
	int wake_fd; /* its end of the socket pair; -1 while the auditor is being restarted */
	uint64_t head;
	uint32_t last_nap;  /* the nap that was already broken */
	uint64_t oldest_ms; /* since when oldest_index is known to wait; 0: nothing waits */
	uint64_t oldest_index;
	bool asked; /* audit_ring_wake() is to wake the auditor even if it does not sleep */
};

/* Maps both (ring_fd writable, page_fd read-only; sizes and seals are checked), takes wake_fd over
 * (-1: there is none yet, and nothing is healthy until audit_ring_rewake()). The other two stay the
 * caller's. */
int audit_ring_attach(struct audit_ring *r, int ring_fd, int page_fd, int wake_fd) MUST_CHECK;
void audit_ring_rewake(struct audit_ring *r, int wake_fd); /* a new auditor: takes wake_fd over */
void audit_ring_detach(struct audit_ring *r);

uint32_t audit_ring_free(const struct audit_ring *r); /* slots */
/* May commands run? False while the log can't be written or the auditor is away. */
bool audit_ring_healthy(struct audit_ring *r, uint64_t now_ms);
/* 0; -EBUSY when it is not healthy or full: nothing was put. record->index is set. */
int audit_ring_put(struct audit_ring *r, struct audit_record *record, uint64_t now_ms) MUST_CHECK;
/* A record for which the caller kept a slot free (asserted): what became of a command that ran. It
 * is put even while the log can't be written: whoever comes next drains the ring. */
void audit_ring_put_kept(struct audit_ring *r, struct audit_record *record, uint64_t now_ms);
/* Wakes the auditor if it sleeps, or if something is to become durable. Once a turn of the loop,
 * after the records of that turn, never per record. */
void audit_ring_wake(struct audit_ring *r);
/* Asks that all put so far, by every session, becomes durable; returns the mark to hand to
 * audit_ring_is_durable(). Sent by the next audit_ring_wake(). */
uint64_t audit_ring_ask_durable(struct audit_ring *r);
bool audit_ring_is_durable(const struct audit_ring *r, uint64_t mark);
/* Asks that all put so far by this session gets into the file at once, and to be woken then;
 * returns the mark to hand to audit_ring_is_written(). Sent by the next audit_ring_wake(). */
uint64_t audit_ring_ask_written(struct audit_ring *r);
bool audit_ring_is_written(const struct audit_ring *r, uint64_t mark);
/* wake_fd is readable: drains it. -EPIPE: the auditor is gone (state counts as away from now on).
 */
int audit_ring_woken(struct audit_ring *r) MUST_CHECK;
