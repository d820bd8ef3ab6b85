/* Vital product data, SPC-5 and SBC-4: what a unit is, page by page. One table has the
 * pages; the list of them (00h) is that table. */
#pragma once

#include "gateway/scsi/commands.h"

#define VENDOR_WIDTH 8

/* INQUIRY with EVPD=1. False: the task has its sense. */
bool vpd_reply(struct scsi_task *task, struct wr *w);
/* The first octet of every answer: peripheral qualifier and device type. */
uint8_t vpd_device_type(const struct scsi_task *task);

/* Text of a fixed width, filled with blanks: what the policy says, else (NULL, "") the gateway's
 * own.
 */
void vpd_text(struct wr *w, size_t width, const char *own, const char *says);
void vpd_vendor(const struct scsi_lun *unit, struct wr *w); /* NULL: of no unit */

/* The pages, after their header of 4 octets. */
void vpd_identification(const struct scsi_task *task, struct wr *w);
void vpd_ports(const struct scsi_task *task, struct wr *w);
void vpd_block_limits(const struct scsi_task *task, struct wr *w);
void vpd_characteristics(const struct scsi_task *task, struct wr *w);
void vpd_provisioning(const struct scsi_task *task, struct wr *w);
void vpd_copies(const struct scsi_task *task, struct wr *w);
/* Is this nexus offered any copying? Otherwise that page is not there. */
bool vpd_has_copies(const struct scsi_task *task);
