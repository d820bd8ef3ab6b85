/* Who may do what while a disk is reserved: SPC-4 section 5.13, SBC-3 section 4.17. */
#pragma once

#include "gateway/scsi/commands.h"

/* The reservation that is in force, as adopted last, excludes this nexus from the command. */
bool reservation_conflicts(const struct scsi_task *task);
/* … from reading or writing the medium of a unit: for a command that reaches several. */
bool reservation_conflicts_on(const struct scsi_nexus *n, const struct scsi_lun *unit, bool write);
/* A command that takes from others what they may do: not for who may only read the unit. */
bool reservation_shuts_out(const struct scsi_command *c);
