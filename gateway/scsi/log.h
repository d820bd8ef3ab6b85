/* What a unit keeps of its past for LOG SENSE. */
#pragma once

#include "gateway/scsi/commands.h"

/* As SEND DIAGNOSTIC's SELF-TEST CODE asked for it. */
void log_self_test(struct scsi_task *task, unsigned code, bool passed);
