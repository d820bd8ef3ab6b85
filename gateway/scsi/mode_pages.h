/* The mode pages of a disk, SPC-5 and SBC-4, and what the octets mean that the arbiter keeps for
 * it: whoever wants to know how a unit is set asks here. Any octets have a meaning, since a
 * session that was taken over may have set them. */
#pragma once

#include "gateway/scsi/scsi.h"

#define MODE_PAGE_MAX 32 /* octets of the longest page */

/* MODE SENSE's PC field. */
enum page_control { PAGE_CURRENT = 0, PAGE_CHANGEABLE = 1, PAGE_DEFAULT = 2, PAGE_SAVED = 3 };

/* Bits of the first octet; the others are 0. All zero: as this disk is by itself. */
enum mode_bit {
	MODE_TAS = ARBITER_MODES_TAS,
	MODE_NO_WRITE_CACHE = 0x02,
	MODE_D_SENSE = 0x04,
	MODE_SWP = 0x08,
};

struct mode_page {
	uint8_t code, subpage;
	uint8_t len;			 /* octets of the whole page */
	bool is_saved;			 /* PS: what can be changed in it can be saved */
	uint8_t defaults[MODE_PAGE_MAX]; /* at their places, behind the header */
};

/* What a MODE SELECT changes: of each bit in `mask`, to what. */
struct mode_change {
	uint8_t values[ARBITER_MODES_EACH], mask[ARBITER_MODES_EACH];
};

/* How the unit is set, as adopted last. */
bool mode_write_cache(const struct scsi_nexus *n, const struct scsi_lun *unit); /* WCE */
bool mode_d_sense(const struct scsi_nexus *n, const struct scsi_lun *unit);
bool mode_swp(const struct scsi_nexus *n, const struct scsi_lun *unit);
bool mode_tas(const struct scsi_nexus *n, const struct scsi_lun *unit);

/* Sorted by code and subpage. */
const struct mode_page *mode_pages(size_t *ret_count);
/* The whole page, with its header; returns its length. */
size_t mode_page_write(const struct scsi_task *task, const struct mode_page *page,
		       enum page_control control, uint8_t ret[MODE_PAGE_MAX]);
size_t mode_page_header(const struct mode_page *page); /* octets: 2 or 4 */
/* Octets of a MODE SELECT's page, as many as it has, with its header: adds what they change. -1:
 * nothing is wrong; else the octet that can't be set so, with its most significant bit. */
int mode_page_take(const struct scsi_task *task, const struct mode_page *page,
		   const uint8_t *octets, struct mode_change *change, unsigned *ret_bit);
