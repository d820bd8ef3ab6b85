/* Copies within one nexus, SPC-4 section 5.16: which there are, what became of the last ones, and
 * the one that moves octets now: it reads a piece into the copier's buffer and writes it
 * elsewhere. Others wait for the buffer. It is no other command's: a copy may wait for a range
 * that a command has which waits for the verifier's. */
#pragma once

#include "gateway/scsi/commands.h"

/* RECEIVE COPY OPERATING PARAMETERS and VPD page 8Fh say these as well. */
#define COPY_TARGETS_MAX  16u
#define COPY_SEGMENTS_MAX 64u
#define COPY_TARGET_SIZE  32u
#define COPY_SEGMENT_SIZE 28u
#define COPY_DESCRIPTORS_MAX \
	(COPY_TARGETS_MAX * COPY_TARGET_SIZE + COPY_SEGMENTS_MAX * COPY_SEGMENT_SIZE)
#define COPY_SEGMENT_OCTETS_MAX (64u << 20)
#define COPIES_MAX		16u /* of one nexus: that are under way, or remembered */

#define COPY_PIECE (256u << 10)

#define TOKEN_OCTETS_MAX       (256u << 20)
#define TOKEN_OCTETS_BEST      (64u << 20)
#define TOKEN_UNUSED_DEFAULT_S 60u

/* Octets that go from one place to another, both within the medium; they may overlap. */
struct copy_move {
	struct scsi_lun *from, *to;
	uint64_t from_octet, to_octet, octets;
};

enum copy_state { COPY_NONE, COPY_RUNS, COPY_DONE, COPY_FAILED, COPY_ENDED };

struct copy {
	enum copy_state state;
	struct scsi_task *task; /* while it runs */
	uint16_t lun;		/* that was asked to copy */
	uint8_t action;		/* the command's service action */
	bool has_list;		/* it is remembered when it is over */
	bool stopped;		/* COPY OPERATION ABORT */
	uint32_t list;		/* LIST IDENTIFIER */
	uint64_t age;
	unsigned moves; /* that are over */
	uint64_t octets;
	uint8_t sense[SCSI_SENSE_SIZE];
	size_t sense_len;
	/* tokens.c's */
	bool has_token, partly; /* partly: the token stands for less than was asked for */
	uint32_t block;		/* octets that TRANSFER COUNT counts; 0: octets themselves */
	uint8_t token[TOKEN_SIZE];
	struct scsi_lun *from;
	uint64_t offset, total;	    /* octets: where in what the token stands for, and how many */
	struct order_ranges ranges; /* that it stands for */
	/* while it runs */
	struct copy_move move;
	bool (*next)(struct scsi_task *task, struct copy_move *ret);
	void (*over)(struct scsi_task *task, int result);
};

int copier_open(struct copier **ret_copier) MUST_CHECK;
void copier_close(struct copier *c);

/* The task becomes a copy; task->copy. False: there are too many, or one with this list identifier
 * is under way; the task has its status. */
bool copier_begin(struct scsi_task *task, bool has_list, uint32_t list) MUST_CHECK;
/* Carries out move by move, as `next` gives them (false: there is none any more, or the task has
 * its status). When the
 * last is over, or when a request failed (result < 0: task->io is the one), `over` ends the task
 * and sees to it that done() is called. Without any, the task is GOOD. What this returns is as of
 * data_arrived(). */
enum scsi_step copier_run(struct scsi_task *task,
			  bool (*next)(struct scsi_task *task, struct copy_move *ret),
			  void (*over)(struct scsi_task *task, int result));
/* The task ends, or goes away: what became of it is remembered. */
void copier_leave(struct scsi_task *task);
/* The buffer goes to the next. True: somebody got it. */
bool copier_turn(struct scsi_nexus *n);
/* By list identifier; NULL: none. */
struct copy *copier_find(const struct scsi_nexus *n, const struct scsi_lun *unit, uint32_t list);
void copier_forget(struct copy *copy); /* one that is over */

/* copy.c: the commands. */
enum scsi_step copy_begin(struct scsi_task *task);
enum scsi_step copy_start(struct scsi_task *task);
enum scsi_step copy_abort_begin(struct scsi_task *task);
/* copy_results.c */
enum scsi_step copy_status_begin(struct scsi_task *task);
enum scsi_step copy_status_fill(struct scsi_task *task);
bool copy_status_1_reply(struct scsi_task *task, struct wr *w);
bool copy_failure_reply(struct scsi_task *task, struct wr *w);
bool copy_parameters_reply(struct scsi_task *task, struct wr *w);
bool copy_status_4_reply(struct scsi_task *task, struct wr *w);
bool token_information_reply(struct scsi_task *task, struct wr *w);
/* tokens.c */
enum scsi_step populate_token_begin(struct scsi_task *task);
enum scsi_step populate_token_start(struct scsi_task *task);
enum scsi_step write_token_begin(struct scsi_task *task);
enum scsi_step write_token_start(struct scsi_task *task);
