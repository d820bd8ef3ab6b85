/* LOG SENSE, SPC-5 and SBC-4: the pages that there are, room in use, self-tests, exceptions.
 * Runs in the session. Self-tests are those of this nexus: another session's never
 * ran here. Page code and parameter pointer are the peer's; they are compared only. */
#include "gateway/scsi/log.h"
#include "gateway/scsi/medium.h"
#include "gateway/scsi/sense.h"

enum { SUPPORTED = 0x00, PROVISIONING = 0x0c, SELF_TESTS = 0x10, EXCEPTIONS = 0x2f };
enum { ALL_SUBPAGES = 0xff };

#define PAGE_CODE	 0x3f
#define SUBPAGE_FORMAT	 0x40
#define BINARY_LIST	 0x03 /* of a parameter's control octet */
#define PARAMETER_USED	 0x0002
#define DEDICATED	 0x01 /* SCOPE: of this logical unit alone */
#define NOT_KNOWN	 0xff /* a temperature */
#define RESULT_FAILED	 0x04 /* in a segment that is not known */
#define CODE_SHIFT	 5
#define HOUR_MS		 3600000u
#define SELF_TEST_LENGTH 16

void log_self_test(struct scsi_task *task, unsigned code, bool passed)
{
	struct scsi_self_test *tests = task->unit->self_tests;

	memmove(tests + 1, tests, sizeof task->unit->self_tests - sizeof tests[0]);
	tests[0] = (struct scsi_self_test){
		.what = (uint8_t)(code << CODE_SHIFT | (passed ? 0 : RESULT_FAILED)),
		.hours = (uint16_t)MIN(task->nexus->now_ms / HOUR_MS, UINT16_MAX),
	};
}

static void parameter(struct wr *w, uint16_t code, uint8_t len)
{
	wr_be(w, 2, code);
	wr_be(w, 1, BINARY_LIST);
	wr_be(w, 1, len);
}

/* What the disk's file takes, in threshold sets: VPD page B2h says how large these are. */
static void provisioning(const struct scsi_task *task, struct wr *w, uint16_t first)
{
	uint64_t set = (uint64_t)task->unit->block_size << unit_threshold_exponent(task->unit);

	(void)first; /* one parameter */
	parameter(w, PARAMETER_USED, 8);
	wr_be(w, 4, MIN((task->unit->backend->used_bytes + set - 1) / set, UINT32_MAX));
	wr_be(w, 1, DEDICATED);
	wr_be(w, 3, 0);
}

/* Newest first; a test that never was is all zeroes. */
static void self_tests(const struct scsi_task *task, struct wr *w, uint16_t first)
{
	for (uint16_t i = MAX(first, 1); i <= SELF_TESTS_MAX; i++) {
		const struct scsi_self_test *test = &task->unit->self_tests[i - 1];
		bool failed = (test->what & RESULT_FAILED) != 0;

		parameter(w, i, SELF_TEST_LENGTH);
		if (test->what == 0) {
			wr_zero(w, SELF_TEST_LENGTH);
			continue;
		}
		wr_be(w, 1, test->what);
		wr_be(w, 1, 0);
		wr_be(w, 2, test->hours);
		wr_be(w, 8, UINT64_MAX); /* no block where it failed */
		wr_be(w, 1, failed ? KEY_HARDWARE_ERROR : KEY_NO_SENSE);
		wr_be(w, 2, failed ? SENSE_FAILED_SELF_TEST : SENSE_NONE);
		wr_be(w, 1, 0);
	}
}

/* Parameter 0: no exception, no temperature. */
static void exceptions(const struct scsi_task *task, struct wr *w, uint16_t first)
{
	(void)task;
	(void)first;
	parameter(w, 0, 4);
	wr_be(w, 2, SENSE_NONE);
	wr_be(w, 1, NOT_KNOWN);
	wr_zero(w, 1);
}

static bool knows_room(const struct scsi_task *task)
{
	return task->unit->thin && task->unit->backend->used_bytes != BACKEND_USED_UNKNOWN;
}

static void supported(const struct scsi_task *task, struct wr *w, uint16_t first);
static void supported_with_subpages(const struct scsi_task *task, struct wr *w, uint16_t first);

/* Sorted. */
static const struct log_page {
	uint8_t code, subpage;
	uint16_t last; /* parameter code that there is */
	void (*write)(const struct scsi_task *task, struct wr *w, uint16_t first);
	bool (*is_there)(const struct scsi_task *task); /* NULL: always */
} pages[] = {
	{SUPPORTED, 0, 0, supported, NULL},
	{SUPPORTED, ALL_SUBPAGES, 0, supported_with_subpages, NULL},
	{PROVISIONING, 0, PARAMETER_USED, provisioning, knows_room},
	{SELF_TESTS, 0, SELF_TESTS_MAX, self_tests, NULL},
	{EXCEPTIONS, 0, 0, exceptions, NULL},
};

static bool has_page(const struct scsi_task *task, const struct log_page *page)
{
	return page->is_there == NULL || page->is_there(task);
}

static void supported(const struct scsi_task *task, struct wr *w, uint16_t first)
{
	(void)first;
	for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
		if (pages[i].subpage == 0 && has_page(task, &pages[i]))
			wr_be(w, 1, pages[i].code);
	}
}

static void supported_with_subpages(const struct scsi_task *task, struct wr *w, uint16_t first)
{
	(void)first;
	for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
		if (!has_page(task, &pages[i]))
			continue;
		wr_be(w, 1, pages[i].code);
		wr_be(w, 1, pages[i].subpage);
	}
}

/* NULL: the task has its sense. */
static const struct log_page *find(struct scsi_task *task)
{
	uint8_t code = task->cdb[2] & PAGE_CODE, subpage = task->cdb[3];
	bool has_code = false;

	for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
		if (pages[i].code != code || !has_page(task, &pages[i]))
			continue;
		if (pages[i].subpage == subpage)
			return &pages[i];
		has_code = true;
	}
	if (has_code)
		sense_cdb_field(task, 3, 7);
	else
		sense_cdb_field(task, 2, 5);
	return NULL;
}

/* All values are lists, which have no threshold and no default: PAGE CONTROL changes nothing. */
bool log_sense_reply(struct scsi_task *task, struct wr *w)
{
	uint16_t first = (uint16_t)get_be(task->cdb + 5, 2);
	const struct log_page *page = find(task);

	if (page == NULL || (page->is_there != NULL && !medium_is_ready(task)))
		return false;
	if (first > page->last) {
		sense_cdb_field(task, 5, 7);
		return false;
	}
	wr_be(w, 1, page->code | (page->subpage != 0 ? SUBPAGE_FORMAT : 0));
	wr_be(w, 1, page->subpage);
	wr_be(w, 2, 0);
	page->write(task, w, first);
	put_be(w->start + 2, 2, wr_len(w) - 4);
	return true;
}
