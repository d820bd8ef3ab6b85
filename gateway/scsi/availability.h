/* Whether the medium can be reached now, for whom: what others did to the disk (stopped, ejected,
 * formatting, sanitizing, or one of these that failed) and what that leaves of the commands. */
#pragma once

#include "gateway/scsi/commands.h"

/* By what the arbiter published, as adopted last. False: the task has its sense. */
bool medium_is_available(struct scsi_task *task);
/* For REQUEST SENSE. True: something is in the way, and the task has the sense of it. */
bool medium_hindrance(struct scsi_task *task);
