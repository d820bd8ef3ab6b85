/* Who may do what while a disk is reserved: SPC-4 section 5.13, SBC-3 section 4.17. */
#pragma once

#include "gateway/scsi/commands.h"

/* The reservation that is in force, as adopted last, excludes this nexus from the command. */
bool reservation_conflicts(const struct scsi_task *task);
