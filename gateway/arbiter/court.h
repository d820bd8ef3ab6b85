/* What sessions share about disks: the arbiter's decisions, as a machine without I/O. Members
 * are the sessions; what they say is hostile, what the monitor says is not. A change is
 * decided on a copy of the disk's record, kept in the journal, published under a new
 * generation, and answered when no member has anything in flight from before it. Changes of
 * one disk take their turns, oldest first. */
#pragma once

#include "gateway/arbiter/arbiter.h"
#include "gateway/arbiter/record.h"

struct disk_set {
	uint64_t bits[ARBITER_DISKS_MAX / 64];
};

static inline void disk_set(struct disk_set *s, unsigned disk, bool on)
{
	if (on)
		s->bits[disk / 64] |= 1ull << disk % 64;
	else
		s->bits[disk / 64] &= ~(1ull << disk % 64);
}

static inline bool lun_has(const uint64_t luns[], unsigned lun)
{
	return (luns[lun / 64] & 1ull << lun % 64) != 0;
}

static inline bool disk_has(const struct disk_set *s, unsigned disk)
{
	return (s->bits[disk / 64] & 1ull << disk % 64) != 0;
}

/* Clearing: nothing may be in flight under the generation before the last. Draining: the change is
 * published, and who has something in flight from before it is waited for. */
enum petition_state {
	PETITION_NONE,
	PETITION_QUEUED,
	PETITION_CLEARING,
	PETITION_DRAINING,
};

/* A member's petitions, by place: one reset of several LUNs, its leave, one order, and orders for
 * ranges. */
enum { PETITION_RESET, PETITION_LEAVE, PETITION_ORDER, PETITION_RANGES };
#define PETITIONS (PETITION_RANGES + ARBITER_RANGES_EACH)

/* What a member asked for. */
struct petition {
	enum petition_state state;
	struct member *member;
	bool is_order, is_range, leaves;
	uint32_t id;
	uint64_t luns[ARBITER_LUNS / 64];
	unsigned place; /* of an order's LUN with the member */
	uint64_t deadline_ms;
	uint64_t lba, blocks; /* of a range */
	uint8_t key;	      /* … that is refused: why; 0: granted */
	uint16_t code;
	uint64_t behind, behind_ms; /* owner of the range that it waits for; until when. 0: none */
	struct petition *next;
};

struct member {
	uint32_t connection;
	uint64_t nexus, port;
	uint16_t relative_port;
	uint8_t isid[6];
	char initiator[ISCSI_NAME_SIZE];
	bool old, hello, condemned;
	bool left; /* its nexus is lost or logs out, and its process is not over yet */
	unsigned lun_count;
	struct member_lun {
		uint16_t lun, disk;
		bool writable;
	} luns[ARBITER_LUNS];
	struct member_group {
		uint16_t tag; /* 0: none */
		uint64_t port;
	} groups[ARBITER_GROUPS];      /* whose access state it may set */
	const struct arbiter_own *own; /* hostile: loaded once wherever it is looked at */
	struct petition petitions[PETITIONS];
	struct arbiter_order order; /* of PETITION_ORDER */
	struct arbiter_answer answer;
	struct member *next_member;
};

/* What the court has to say and to keep, at once; none of these may call back into it. */
struct court_ops {
	void (*changed)(struct member *m);
	void (*done)(struct member *m, uint32_t id);
	void (*answer)(struct member *m, const struct arbiter_answer *answer);
	void (*kill)(struct member *m, enum arbiter_blame blame); /* once a member */
	/* Keeps the record; `durable`: over a loss of power. 0 or -errno: the change is not made.
	 */
	int (*keep)(unsigned disk, const struct arbiter_record *record, bool durable);
	/* Of these two, either may be NULL. */
	void (*published)(unsigned disk);
	void (*cleared)(unsigned disk, int error); /* 0 or -errno */
};

struct court {
	struct arbiter_page *page;
	const struct court_ops *ops;
	uint32_t life, disks;
	bool gone_on; /* ARBITER_GO has come */
	uint64_t attach_deadline_ms;
	struct member *members;
	struct petition *queue;				   /* oldest first */
	struct arbiter_record *records[ARBITER_DISKS_MAX]; /* made when first needed */
	struct arbiter_record *draft;			   /* the copy that is decided on */
	uint64_t swept[ARBITER_DISKS_MAX / 64]; /* of these a member is over: see to what it left */
	uint64_t wall_s;			/* since 1970, as of the message that is heard */
	struct disk_set clears, forgets;	/* an operator asked for */
	struct disk_set news, lows;		/* disks that there is news of; of their room */
	struct disk_set dropped; /* ranges there are free: their sessions are to be told */
	bool heard;		 /* something that may let petitions go on */
	uint64_t sizes[ARBITER_DISKS_MAX]; /* … as the monitor said last; 0: nothing */
	struct disk_set unkept;		   /* published, and to be kept as soon as that goes */
	uint64_t now_ms;		   /* as of what is looked at */
	struct token *tokens;		   /* tokens.c's, oldest first */
	uint64_t unkept_ms;		   /* when it is tried again; 0: nothing is unkept */
};

enum decision {
	DECISION_ANSWER,  /* nothing changes: the answer is ready */
	DECISION_CHANGE,  /* the draft is to be kept and published */
	DECISION_KEEP,	  /* the same, and it has to outlive a loss of power */
	DECISION_PUBLISH, /* the same, and everybody is told even if it can't be kept now */
	DECISION_DRAIN,	  /* only the page's ranges changed: what is in flight has to end */
	DECISION_WAIT,	  /* for somebody else: ask again when anything moved */
};

/* One for each kind of order, in one table (orders.c). Looks at `order`, which is hostile, changes
 * `draft` and fills `ret` (zeroed: GOOD). `m`: the asker; `k`: its place for the LUN. */
typedef enum decision order_decide(struct court *c, struct member *m, unsigned k,
				   struct arbiter_record *draft, struct arbiter_answer *ret);
order_decide order_reserve, order_release, order_pr_in, order_pr_out, order_modes, order_prevent,
	order_load, order_operation, order_failed, order_access, order_token_make, order_token_use,
	order_token_void;

/* Sets the page up for `life`: every disk open, under its first generation, with its record's state
 * (records are loaded before); exclusive ranges that the page has stay. -ENOMEM. */
int court_open(struct court *c, struct arbiter_page *page, uint32_t life, uint32_t disks,
	       const struct court_ops *ops) MUST_CHECK;
void court_close(struct court *c);
/* The record of a disk, made if there is none; NULL: no memory. */
struct arbiter_record *court_record(struct court *c, unsigned disk);
/* Fills a zeroed member from `info` and takes it in. -EINVAL: a disk that is none. -ENOMEM. */
int court_attach(struct court *c, struct member *m, const struct arbiter_attach *info) MUST_CHECK;
void court_over(struct court *c, struct member *m, uint64_t now_ms); /* forgets it */
/* A member has these LUNs now, too, or may write them, and may set the state of these groups. */
int member_luns(struct court *c, struct member *m, const struct arbiter_attach *info) MUST_CHECK;
void member_groups(struct member *m, const struct arbiter_attach *info);
/* rows.c: the disk's record is loaded; it is open from now on. */
void court_row_take(struct court *c, unsigned disk, uint64_t now_ms);
int court_row_free(struct court *c, unsigned disk) MUST_CHECK; /* -EBUSY: a member has it */
struct member *court_find(const struct court *c, uint32_t connection);
void court_go(struct court *c, uint64_t now_ms);
/* An operator says that the disk is well: its failure is over. Of one whose journal is damaged,
 * only with `forget`: it starts over without reservations. court_ops.cleared() tells. */
void court_clear(struct court *c, unsigned disk, bool forget, uint64_t now_ms);
/* The monitor looked at the disk: everybody is told. */
void court_news(struct court *c, const struct arbiter_news *news, uint64_t now_ms);
/* A message of a session, of the right size. -EPROTO: out of turn, or more than it may. */
int court_hear(struct court *c, struct member *m, const struct message *msg) MUST_CHECK;
/* What was heard is acted on: one look at all, whoever said how much. */
void court_turn(struct court *c, uint64_t now_ms);
void court_condemn(struct court *c, struct member *m, enum arbiter_blame blame);
/* Whose time is up? */
void court_tick(struct court *c, uint64_t now_ms);
uint64_t court_next_tick(const struct court *c); /* 0: none */

/* queue.c: petitions in their turn. */
void queue_put(struct court *c, struct petition *p);
void queue_drop(struct court *c, struct petition *p); /* it need not be in it */
void queue_run(struct court *c, uint64_t now_ms);     /* whatever may go on */
void queue_tick(struct court *c, uint64_t now_ms);
uint64_t queue_next_tick(const struct court *c);

/* changes.c: how a disk's record changes. */
/* Resets the disks, whatever the journal says. */
void change_reset(struct court *c, const struct petition *p, const struct disk_set *disks,
		  uint64_t now_ms);
bool change_decides(uint8_t kind); /* there are orders of that kind */
/* Decides the order of a petition: its member's answer is set, what is kept is kept. */
enum decision change_order(struct court *c, struct petition *p, unsigned disk, uint64_t now_ms);
/* What members left on the disk who are over. True: it is to be published. */
bool change_sweep(struct court *c, unsigned disk, uint64_t now_ms);
struct arbiter_record *change_draft(struct court *c,
				    unsigned disk); /* of its record, which is there */
int change_keep(struct court *c, unsigned disk, bool durable) MUST_CHECK; /* the draft */
/* An event of the change that is being decided. */
void record_event(struct arbiter_record *draft, const struct arbiter_event *event);
enum decision answer_sense(struct arbiter_answer *ret, uint8_t key, uint16_t code);
enum decision answer_conflict(struct arbiter_answer *ret); /* RESERVATION CONFLICT */

/* medium_state.c: it has this size now, or is nearly full. 1: it is to be published; 0: nothing is
 * new; or -errno. */
int news_take(struct court *c, unsigned disk, uint64_t size, bool low);
/* Whose nexus is lost keeps no medium in. True: there was one. */
bool preventers_sweep(const struct court *c, struct arbiter_record *draft);

/* failed.c: disks that failed for good. An operator's word: 1: it is to be told, 0: it was well, or
 * -errno. */
int failed_clear(struct court *c, unsigned disk, bool forget) MUST_CHECK;
/* What could not be kept: now, or again later. */
void unkept_again(struct court *c, uint64_t now_ms);

/* publish.c: the page. */
void publish_open(struct court *c, unsigned disk); /* as its record is; ranges stay */
void publish(struct court *c, unsigned disk);	   /* the record, and a new generation */
void publish_generation(struct court *c, unsigned disk);
void tell_changed(struct court *c, const struct disk_set *disks); /* their sessions look */

/* ranges.c: a member's range, by the id of the order that took it; id 0: all of its ranges. */
void court_drop_ranges(struct court *c, const struct member *m, unsigned disk, uint32_t id);
void court_recount_ranges(struct court *c, unsigned disk); /* drops those whose owner is over */
bool ranges_meet(const struct court *c, unsigned disk, uint64_t lba, uint64_t blocks);
/* An order for a range: granted, refused or to be waited for. */
enum decision range_decide(struct court *c, struct petition *p, unsigned disk);
/* DECISION_WAIT, for others' ranges in these blocks, or, if all places are taken, for any. */
enum decision range_wait(struct court *c, struct petition *p, unsigned disk, uint64_t lba,
			 uint64_t blocks);
bool range_is_held(const struct court *c, unsigned disk, uint64_t owner);

/* tokens.c: what stands for the disk's blocks is void: they have changed, or it was reset. */
void tokens_revoke(struct court *c, unsigned disk);
void tokens_forget(struct court *c, unsigned disk); /* a new arbiter knows none */
void tokens_close(struct court *c);
void tokens_tick(struct court *c); /* those whose end is long past are forgotten */
uint64_t tokens_next_tick(const struct court *c);
/* Somebody has these blocks for himself, and may write them: whoever holds a range asks for nothing
 * more, so that nobody waits for him and he for them. */
void tokens_give_way(struct court *c, unsigned disk, uint64_t lba, uint64_t blocks);
