/* MODE SENSE(6) and (10), SPC-5 and SBC-4: the pages of mode_pages.c, with block descriptors.
 * Runs in the session. */
#include "gateway/scsi/commands.h"
#include "gateway/scsi/mode_pages.h"
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

/* False: the task has its sense. */
static bool write_pages(struct scsi_task *task, struct wr *w)
{
	uint8_t code = task->cdb[2] & 0x3f, subpage = task->cdb[3];
	enum page_control control = (enum page_control)(task->cdb[2] >> 6);
	bool has_code = false, has_any = false;
	size_t count;
	const struct mode_page *pages = mode_pages(&count);

	for (size_t i = 0; i < count; i++) {
		uint8_t octets[MODE_PAGE_MAX];

		if (code != ALL_PAGES && code != pages[i].code)
			continue;
		has_code = true;
		if (subpage != ALL_SUBPAGES &&
		    (code == ALL_PAGES ? 0 : subpage) != pages[i].subpage)
			continue;
		has_any = true;
		wr_bytes(w, octets, mode_page_write(task, &pages[i], control, octets));
	}
	/* SPC-5: of all pages, there are the page_0 format alone, or all */
	if (code == ALL_PAGES && subpage != 0 && subpage != ALL_SUBPAGES)
		has_any = false;
	if (has_any)
		return true;
	sense_cdb_field(task, has_code ? 3 : 2, has_code ? 7 : 5);
	return false;
}

static uint8_t device_specific(const struct scsi_task *task)
{
	bool protected = !task->unit->writable || mode_swp(task->nexus, task->unit);

	return DPO_FUA | (protected ? WRITE_PROTECT : 0);
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
