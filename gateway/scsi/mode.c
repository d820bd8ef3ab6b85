/* MODE SENSE(6) and (10), SPC-4 and SBC-3: caching, control and informational exceptions,
 * as they are. Nothing can be changed yet: changeable values are 0, and default
 * values are the current ones. Runs in the session. */
#include "gateway/scsi/commands.h"
#include "gateway/scsi/sense.h"

enum {
	DBD = 0x08,
	LLBAA = 0x10,
	LONG_LBA = 0x01,
	WRITE_PROTECT = 0x80,
	DPO_FUA = 0x10,
	ALL_PAGES = 0x3f,
	ALL_SUBPAGES = 0xff,
};

enum page_control { PAGE_CURRENT = 0, PAGE_CHANGEABLE = 1, PAGE_DEFAULT = 2, PAGE_SAVED = 3 };

static const struct mode_page {
	uint8_t code, len; /* len: without code and length */
	uint8_t values[4]; /* octets 2 to 5; the rest are 0 */
} pages[] = {
	/* Caching: WCE=1. A write is answered when the page cache has it. */
	{0x08, 0x12, {0x04}},
	/* Control: TST=001b, one task set per nexus; D_SENSE=0; unrestricted reordering. */
	{0x0a, 0x0a, {0x20, 0x10}},
	/* Informational exceptions control: DEXCPT=1, none are reported. */
	{0x1c, 0x0a, {0x08}},
};

static void write_page(struct wr *w, const struct mode_page *page, enum page_control control)
{
	wr_be(w, 1, page->code);
	wr_be(w, 1, page->len);
	if (control == PAGE_CHANGEABLE)
		wr_zero(w, sizeof page->values);
	else
		wr_bytes(w, page->values, sizeof page->values);
	wr_zero(w, page->len - sizeof page->values);
}

/* False: the task has its sense. */
static bool write_pages(struct scsi_task *task, struct wr *w)
{
	uint8_t code = task->cdb[2] & 0x3f, subpage = task->cdb[3];
	enum page_control control = (enum page_control)(task->cdb[2] >> 6);
	bool found = false;

	if (control == PAGE_SAVED) {
		sense_set(task, KEY_ILLEGAL_REQUEST, SENSE_SAVING_NOT_SUPPORTED);
		return false;
	}
	for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
		if (code != ALL_PAGES && code != pages[i].code)
			continue;
		found = true;
		write_page(w, &pages[i], control);
	}
	if (!found) {
		sense_cdb_field(task, 2, 5);
		return false;
	}
	if (subpage != 0 && subpage != ALL_SUBPAGES) {
		sense_cdb_field(task, 3, 7);
		return false;
	}
	return true;
}

static uint8_t device_specific(const struct scsi_task *task)
{
	return DPO_FUA | (task->unit->writable ? 0 : WRITE_PROTECT);
}

static void short_descriptor(const struct scsi_task *task, struct wr *w)
{
	wr_be(w, 4, MIN(task->unit->blocks, UINT32_MAX));
	wr_be(w, 4, task->unit->block_size);
}

static void long_descriptor(const struct scsi_task *task, struct wr *w)
{
	wr_be(w, 8, task->unit->blocks);
	wr_be(w, 4, 0);
	wr_be(w, 4, task->unit->block_size);
}

bool mode_sense_6_reply(struct scsi_task *task, struct wr *w)
{
	bool descriptor = !(task->cdb[1] & DBD);

	wr_be(w, 1, 0);
	wr_be(w, 1, 0);
	wr_be(w, 1, device_specific(task));
	wr_be(w, 1, descriptor ? 8 : 0);
	if (descriptor)
		short_descriptor(task, w);
	if (!write_pages(task, w))
		return false;
	w->start[0] = (uint8_t)(wr_len(w) - 1);
	return true;
}

bool mode_sense_10_reply(struct scsi_task *task, struct wr *w)
{
	bool descriptor = !(task->cdb[1] & DBD), is_long = descriptor && (task->cdb[1] & LLBAA);

	wr_be(w, 2, 0);
	wr_be(w, 1, 0);
	wr_be(w, 1, device_specific(task));
	wr_be(w, 1, is_long ? LONG_LBA : 0);
	wr_be(w, 1, 0);
	wr_be(w, 2, !descriptor ? 0 : is_long ? 16 : 8);
	if (is_long)
		long_descriptor(task, w);
	else if (descriptor)
		short_descriptor(task, w);
	if (!write_pages(task, w))
		return false;
	put_be(w->start, 2, wr_len(w) - 2);
	return true;
}
