/* The pages of vital product data: their table, the list of them, serial number, extended
 * INQUIRY data, mode page policy. Runs in the session. The page code is the
 * peer's; it is compared, never used as an index. */
#include "gateway/scsi/vpd.h"
#include "gateway/scsi/port_groups.h"
#include "gateway/scsi/sense.h"

/* "No peripheral device of any type is here": qualifier 011b, type 1Fh. */
#define NO_DEVICE 0x7f
#define A_DISK	  0x00
/* Qualifier 001b: such a device is known, and not accessible by this port. */
#define NOT_CONNECTED 0x20

#define VENDOR "SALLYPRT"

#define HEADER		4
#define EXTENDED_LENGTH 60

/* Extended INQUIRY data, octets 5 and 6. */
enum { SIMPLE = 0x01, ORDERED = 0x02, HEAD_OF_QUEUE = 0x04, VOLATILE_CACHE = 0x01 };

/* Mode page policy: which pages, and for whom each has values of its own. */
enum { EVERY_PAGE = 0x3f, EVERY_SUBPAGE = 0xff, SHARED = 0x00 };

uint8_t vpd_device_type(const struct scsi_task *task)
{
	if (task->unit == NULL)
		return NO_DEVICE;
	return port_access(task->nexus, task->unit) == ACCESS_UNAVAILABLE ? NOT_CONNECTED | A_DISK
									  : A_DISK;
}

void vpd_text(struct wr *w, size_t width, const char *own, const char *says)
{
	const char *text = says == NULL || says[0] == '\0' ? own : says;
	size_t len = strnlen(text, width);

	wr_bytes(w, text, len);
	while (len++ < width)
		wr_be(w, 1, ' ');
}

void vpd_vendor(const struct scsi_lun *unit, struct wr *w)
{
	vpd_text(w, VENDOR_WIDTH, VENDOR, unit == NULL ? NULL : unit->vendor);
}

static void serial(const struct scsi_task *task, struct wr *w)
{
	wr_bytes(w, task->unit->serial, strlen(task->unit->serial));
}

/* No protection information, no microcode, no groups, no priorities; FUA means something, because
 * the cache is volatile. Self-tests end at once: 0 minutes. */
static void extended(const struct scsi_task *task, struct wr *w)
{
	(void)task;
	wr_be(w, 1, 0);
	wr_be(w, 1, HEAD_OF_QUEUE | ORDERED | SIMPLE);
	wr_be(w, 1, VOLATILE_CACHE);
	wr_zero(w, 6);
	wr_be(w, 1, SCSI_SENSE_SIZE); /* MAXIMUM SUPPORTED SENSE DATA LENGTH */
	wr_zero(w, EXTENDED_LENGTH - 10);
}

static void mode_page_policy(const struct scsi_task *task, struct wr *w)
{
	(void)task;
	wr_be(w, 1, EVERY_PAGE);
	wr_be(w, 1, EVERY_SUBPAGE);
	wr_be(w, 1, SHARED);
	wr_be(w, 1, 0);
}

static void supported(const struct scsi_task *task, struct wr *w);

/* Sorted. */
static const struct {
	uint8_t code;
	bool any_lun;
	void (*write)(const struct scsi_task *task, struct wr *w);
	bool (*is_there)(const struct scsi_task *task); /* NULL: always */
} pages[] = {
	{0x00, true, supported, NULL},
	{0x80, false, serial, NULL},
	{0x83, false, vpd_identification, NULL},
	{0x86, false, extended, NULL},
	{0x87, false, mode_page_policy, NULL},
	{0x88, false, vpd_ports, NULL},
	{0x8f, false, vpd_copies, vpd_has_copies},
	{0xb0, false, vpd_block_limits, NULL},
	{0xb1, false, vpd_characteristics, NULL},
	{0xb2, false, vpd_provisioning, NULL},
};

static bool has_page(const struct scsi_task *task, size_t i)
{
	if (task->unit == NULL)
		return pages[i].any_lun;
	return pages[i].is_there == NULL || pages[i].is_there(task);
}

static void supported(const struct scsi_task *task, struct wr *w)
{
	for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
		if (has_page(task, i))
			wr_be(w, 1, pages[i].code);
	}
}

bool vpd_reply(struct scsi_task *task, struct wr *w)
{
	for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
		if (pages[i].code != task->cdb[2] || !has_page(task, i))
			continue;
		wr_be(w, 1, vpd_device_type(task));
		wr_be(w, 1, pages[i].code);
		wr_be(w, 2, 0);
		pages[i].write(task, w);
		put_be(w->start + 2, 2, wr_len(w) - HEADER);
		return true;
	}
	sense_cdb_field(task, 2, 7);
	return false;
}
