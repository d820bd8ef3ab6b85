/* Asymmetric access states, as the arbiter published them for the target port by which this session
 * came. The units are there. */
#pragma once

#include "gateway/scsi/commands.h"
#include "gateway/scsi/sense.h"

enum access_state port_access(const struct scsi_nexus *n, const struct scsi_lun *unit);
/* True: the task's unit does not carry this command out by this port now; the task has its sense.
 */
bool access_refuses(struct scsi_task *task);
/* What REQUEST SENSE says of the state; SENSE_NONE: it carries out everything. */
enum sense_code access_sense(const struct scsi_task *task);
