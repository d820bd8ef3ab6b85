/* What sessions share about a disk, as memory. The arbiter's page: for each disk a generation, the
 * state that binds everybody, events (unit attentions) and exclusive ranges, which the
 * arbiter alone writes. Each session's own page: how many of its requests are at the
 * backend, which that session alone writes. What a session says there binds an honest
 * one; what it may do is its grant.
 *
 * Memory ordering: a session publishes "in flight", then loads the generation; the arbiter
 * publishes a generation, then loads what is in flight; all four sequentially consistent, so at
 * least one of the two sees the other. In flight is counted apart for odd and even generations, and
 * a generation is published only when nothing is in flight under the one before the last, so what
 * is counted under the last is what was submitted before it changed. */
#pragma once

#include <stdatomic.h>
#include "gateway/base/base.h"

#define ARBITER_DISKS_MAX   4096 /* of one policy */
#define ARBITER_LUNS	    256	 /* of one session */
#define ARBITER_REGISTRANTS 128	 /* I_T nexuses that are registered with one disk */
#define ARBITER_GROUPS	    8	 /* target port groups of a target, or set on a disk */
#define ARBITER_EVENTS	    256	 /* of one disk that a session may be behind */
#define ARBITER_RANGES	    16	 /* exclusive ones of one disk at once */
#define ARBITER_RANGES_EACH 4	 /* … that one session has; and as many it may wait for */
#define ARBITER_TOKENS	    16	 /* ROD tokens of one disk at once */
#define ARBITER_MODES	    16	 /* octets of mode parameters; what they mean is scsi's */
#define ARBITER_MODES_TAS   0x01 /* … but for this bit of the first: TAS, see EVENT_TAS */
#define ARBITER_MODES_EACH  8	 /* the current ones; the rest are the saved ones */

/* A generation: which life of the arbiter, and how often it excluded somebody. 0: no arbiter. */
#define ARBITER_GENERATION_FIRST(life) ((uint64_t)(life) << 40)
#define ARBITER_LIFE(generation)       ((uint32_t)((generation) >> 40))

/* SPC-4, the type of a persistent reservation, and SPC-2's reservation beside it. */
enum reservation {
	RESERVATION_NONE = 0,
	RESERVATION_WRITE_EXCLUSIVE = 1,
	RESERVATION_EXCLUSIVE_ACCESS = 3,
	RESERVATION_WRITE_EXCLUSIVE_REGISTRANTS = 5,
	RESERVATION_EXCLUSIVE_ACCESS_REGISTRANTS = 6,
	RESERVATION_WRITE_EXCLUSIVE_ALL = 7,
	RESERVATION_EXCLUSIVE_ACCESS_ALL = 8,
	RESERVATION_RESERVE_6 = 0xff, /* RESERVE(6) or (10) */
};

/* One of the six types that persistent reservations have. */
bool reservation_is_persistent(uint8_t type);
/* … that its holder shares with registrants, or that every registrant holds. */
bool reservation_is_of_registrants(uint8_t type);
bool reservation_is_of_all(uint8_t type);

enum disk_operation {
	OPERATION_NONE,
	OPERATION_FORMAT,
	OPERATION_FORMAT_FAILED,
	OPERATION_SANITIZE,
	OPERATION_SANITIZE_FAILED,
};

/* SPC-4's asymmetric access states of a target port group, as far as it can be put into them. */
enum access_state {
	ACCESS_OPTIMIZED = 0, /* active */
	ACCESS_NON_OPTIMIZED = 1,
	ACCESS_STANDBY = 2,
	ACCESS_UNAVAILABLE = 3,
};

/* A group that was put into one: a target port is a portal group of a target. */
struct arbiter_access {
	uint64_t port; /* arbiter_port_id(); 0: a free place */
	uint64_t state;
};

/* Of one disk, as each of its sessions may know it. */
struct arbiter_state {
	uint64_t size;	      /* octets; 0: as granted */
	uint64_t resets;      /* how often it was reset */
	uint64_t holder;      /* nexus; 0: none, or all registrants */
	uint32_t failed;      /* errno that ended it for good; 0: well */
	uint16_t progress;    /* of the operation, in 65536ths */
	uint8_t reservation;  /* enum reservation */
	uint8_t operation;    /* enum disk_operation */
	uint8_t ejected;      /* the medium of a removable disk */
	uint8_t prevented;    /* somebody prevents its removal */
	uint8_t stopped;      /* START STOP UNIT with START=0 */
	uint8_t free_exit;    /* SANITIZE's AUSE: EXIT FAILURE MODE ends its failure */
	uint8_t left_over[4]; /* of a word */
	uint8_t modes[ARBITER_MODES];
	uint64_t registrants[ARBITER_REGISTRANTS];    /* nexuses; 0: a free place */
	struct arbiter_access access[ARBITER_GROUPS]; /* all others are active and optimized */
};

/* Of the target port; NULL: it never left the state active/optimized. */
const struct arbiter_access *arbiter_access_of(const struct arbiter_state *state, uint64_t port);

#define ARBITER_STATE_WORDS (sizeof(struct arbiter_state) / 8)
_Static_assert(sizeof(struct arbiter_state) % 8 == 0, "it is kept in words");

#define EVENT_ABORTS (1u << 0) /* the nexus's tasks on the disk end */
#define EVENT_TAS    (1u << 1) /* … with status TASK ABORTED, SPC-4's TAS bit */

struct arbiter_event {
	uint64_t to, except; /* nexuses; to 0: everybody */
	uint32_t by;	     /* connection that asked for it: it ended its own tasks */
	uint16_t code;	     /* ASC and ASCQ of the unit attention; 0: none */
	uint16_t flags;
};
_Static_assert(sizeof(struct arbiter_event) == 24, "it is kept in three words");

struct arbiter_range_slot {
	_Atomic uint64_t owner; /* connection << 32 | id; 0: free. Written last */
	_Atomic uint64_t lba, blocks;
};

/* Blocks that a ROD token stands for lie within these: who writes there voids it first. */
struct arbiter_token_slot {
	_Atomic uint64_t first, end; /* end 0: free. Written last */
};

struct arbiter_disk {
	_Atomic uint64_t sequence; /* odd: the state is being written */
	_Atomic uint64_t state[ARBITER_STATE_WORDS];
	_Atomic uint64_t event_count; /* ever; the last is at (count - 1) % EVENTS */
	_Atomic uint64_t events[ARBITER_EVENTS][3];
	_Atomic uint64_t range_count;
	struct arbiter_range_slot ranges[ARBITER_RANGES];
	_Atomic uint64_t token_count; /* of those below that are taken */
	struct arbiter_token_slot tokens[ARBITER_TOKENS];
};

struct arbiter_page {
	_Alignas(64) _Atomic uint64_t changes; /* moves after anything did */
	_Alignas(64) _Atomic uint64_t generations[ARBITER_DISKS_MAX];
	_Alignas(64) struct arbiter_disk disks[ARBITER_DISKS_MAX];
};

struct arbiter_own_lun {
	_Atomic uint32_t in_flight[2]; /* requests at the backend, by the generation's parity */
};

struct arbiter_own {
	struct arbiter_own_lun luns[ARBITER_LUNS];
	_Atomic uint32_t awaits; /* id of the order, not for a range, whose answer it may lack */
};

/* How a nexus stands to a reservation. */
enum standing { STANDING_STRANGER, STANDING_REGISTERED, STANDING_HOLDER };

/* The session's handle. */
struct arbiter_view {
	const struct arbiter_page *page;
	struct arbiter_own *own;
	uint64_t nexus;	  /* ours */
	uint32_t me;	  /* connection */
	uint32_t settled; /* times that the arbiter is to be told: what it waits for is over */
	bool attached;	  /* an arbiter has our channel */
	uint64_t changes; /* as looked at last */
	struct arbiter_view_lun {
		bool held;
		bool asked; /* we asked to reset it, and ended its tasks */
		uint16_t disk;
		uint64_t seen;		    /* the generation that we adopted */
		uint64_t events;	    /* as many were taken */
		struct arbiter_state state; /* as of `seen` */
		enum standing standing;
		bool access_is_set; /* of some target port group, in that state */
	} luns[ARBITER_LUNS];
};

/* Two stretches of blocks have some in common. */
static inline bool blocks_meet(uint64_t lba, uint64_t blocks, uint64_t other, uint64_t other_blocks)
{
	return lba < other + other_blocks && other < lba + blocks;
}

/* Maps both (page read-only; sizes and seals are checked). The descriptors stay the caller's. */
int arbiter_view_map(struct arbiter_view *v, int page_fd, int own_fd) MUST_CHECK;
/* Granted: what happened to the disk before is not ours to tell. */
void arbiter_view_hold(struct arbiter_view *v, unsigned lun, uint16_t disk);
void arbiter_view_attach(struct arbiter_view *v); /* a (new) arbiter has our channel */
void arbiter_view_detach(struct arbiter_view *v); /* it is gone: nothing is admitted */
/* Said before an order goes out, so that its answer is remembered; 0: the answer was heard. */
void arbiter_view_await(struct arbiter_view *v, uint32_t id);
/* What the reset that we ask for is of; all zero: there is none any more. A disk may be another
 * LUN of ours, too: of that one, our own reset is somebody else's. */
void arbiter_view_ask(struct arbiter_view *v, const uint64_t luns[ARBITER_LUNS / 64]);

/* One load: is there something to look at? True once for each change. */
bool arbiter_moved(struct arbiter_view *v);
/* Adopts the disk's state; false: there is none now (no arbiter, or it is within writing it). */
bool arbiter_adopt(struct arbiter_view *v, unsigned lun) MUST_CHECK;
/* The next event that concerns us; false: none. Of one that fell out of the log while we did not
 * look, stands one with code 2900h that ends tasks. */
bool arbiter_event_next(struct arbiter_view *v, unsigned lun, struct arbiter_event *ret);
/* Two loads: what was adopted last is in force. */
bool arbiter_is_current(const struct arbiter_view *v, unsigned lun);

/* Publishes one request in flight; returns its parity. -EAGAIN: taken back, since what was adopted
 * is not in force any more. */
int arbiter_enter(struct arbiter_view *v, unsigned lun) MUST_CHECK;
void arbiter_leave(struct arbiter_view *v, unsigned lun, int parity); /* it is over */
/* Somebody else has an exclusive range in these blocks. `id`: of the range that is ours, or 0. */
bool arbiter_range_is_taken(const struct arbiter_view *v, unsigned lun, uint64_t lba,
			    uint64_t blocks, uint32_t id);
/* A token may stand for some of these blocks: ORDER_TOKEN_VOID before they are written. */
bool arbiter_has_token(const struct arbiter_view *v, unsigned lun, uint64_t lba, uint64_t blocks);
