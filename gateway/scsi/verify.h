/* VERIFY reads the medium into one small buffer of the nexus, piece by piece; one
 * command at a time has the buffer, others wait in the order in which they came. */
#pragma once

#include "gateway/scsi/scsi.h"

#define VERIFY_PIECE (64u << 10)

struct verifier;

int verifier_open(struct verifier **ret_verifier) MUST_CHECK;
void verifier_close(struct verifier *v);
/* The task waits for the buffer: it does not any more. */
void verifier_leave(struct scsi_task *task);
