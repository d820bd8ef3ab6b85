/* Operations on a whole medium, FORMAT UNIT and SANITIZE: they take long, go on when their
 * command was answered, and keep everybody else off the medium meanwhile. */
#pragma once

#include "gateway/scsi/medium.h"

#define PATTERN_OCTETS (16u << 10) /* whole blocks, repeated */

/* What is to be done to the medium. */
struct operation_plan {
	bool sanitizes;
	bool immediate;	  /* IMMED: answered as soon as it has begun */
	bool free_exit;	  /* SANITIZE's AUSE */
	bool continues;	  /* its command's abort does not end it */
	enum io_op op;	  /* IO_DISCARD, IO_ZERO; IO_WRITE: the pattern */
	unsigned passes;  /* of IO_WRITE */
	bool invert;	  /* each pass writes the inversion of the one before */
	uint8_t *pattern; /* PATTERN_OCTETS, of malloc(); the operation's from then on */
};

/* For a task that was admitted and that nothing of will be read any more: goes on when its record
 * is durable. As of data_arrived(). */
enum scsi_step operation_start(struct scsi_task *task, const struct operation_plan *plan);

/* The task ends or goes away. */
void operation_leave(struct scsi_task *task);
void operations_turn(struct scsi_nexus *n);
void operations_close(struct scsi_nexus *n);
