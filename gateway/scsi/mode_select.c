/* MODE SELECT(6) and (10), SPC-5: the parameter list is the peer's, and is checked whole before
 * the arbiter is asked for the change, which it makes in one go, for all sessions. Runs
 * in the session. */
#include "gateway/scsi/gate.h"
#include "gateway/scsi/medium.h"
#include "gateway/scsi/mode_pages.h"
#include "gateway/scsi/sense.h"
#include "gateway/scsi/shared.h"

#define LIST_MAX 1024u /* octets; all pages in both formats take a fifth of it */

enum {
	PF = 0x10,
	PF_BIT = 4,
	SP = 0x01,
	LONG_LBA = 0x01,
	SPF = 0x40,
	PAGE_CODE = 0x3f,
};

/* A parameter list, as far as it was looked at. */
struct list {
	uint8_t octets[LIST_MAX];
	size_t len, at;
};

static bool is_10(const struct scsi_task *task)
{
	return task->command->cdb_len == 10;
}

static size_t list_length(const struct scsi_task *task)
{
	return is_10(task) ? get_be(task->cdb + 7, 2) : task->cdb[4];
}

static bool fail_length(struct scsi_task *task)
{
	sense_set(task, KEY_ILLEGAL_REQUEST, SENSE_PARAMETER_LIST_LENGTH_ERROR);
	return false;
}

static bool fail_field(struct scsi_task *task, size_t octet, unsigned bit)
{
	sense_list_field(task, (unsigned)octet, bit);
	return false;
}

static void gather(const struct scsi_task *task, struct list *ret)
{
	ret->len = ret->at = 0;
	for (unsigned i = 0; i < task->iov_count && ret->len < task->bytes; i++) {
		size_t part = MIN(task->iov[i].iov_len, task->bytes - ret->len);

		memcpy(ret->octets + ret->len, task->iov[i].iov_base, part);
		ret->len += part;
	}
	assert(ret->len == task->bytes);
}

/* Nobody changes the capacity this way: 0, or what there is, or "more than the field can say". */
static bool check_descriptor(struct scsi_task *task, const struct list *list, size_t len)
{
	const uint8_t *d = list->octets + list->at;
	size_t width = len == 16 ? 8 : 4, size_at = len == 16 ? 12 : 5;
	uint64_t blocks = get_be(d, width), most = UINT64_MAX >> (64 - 8 * width);
	uint64_t size = get_be(d + size_at, len - size_at);

	if (blocks != 0 && blocks != task->unit->blocks && blocks != most)
		return fail_field(task, list->at, 7);
	if (size != 0 && size != task->unit->block_size)
		return fail_field(task, list->at + size_at, 7);
	return true;
}

/* MODE DATA LENGTH and the device-specific parameter are reserved, and often left as MODE SENSE
 * returned them. */
static bool take_header(struct scsi_task *task, struct list *list)
{
	size_t header = is_10(task) ? 8 : 4, medium_type = is_10(task) ? 2 : 1;
	size_t length_at = is_10(task) ? 6 : 3, want = 8, len;

	if (list->len < header)
		return fail_length(task);
	if (is_10(task) && (list->octets[4] & LONG_LBA) != 0)
		want = 16;
	if (list->octets[medium_type] != 0)
		return fail_field(task, medium_type, 7);
	len = get_be(list->octets + length_at, header - length_at);
	if (len != 0 && len != want)
		return fail_field(task, length_at, 7);
	list->at = header;
	if (list->len - header < len)
		return fail_length(task);
	if (len != 0 && !check_descriptor(task, list, len))
		return false;
	list->at += len;
	return true;
}

static const struct mode_page *page_find(uint8_t code, uint8_t subpage)
{
	size_t count;
	const struct mode_page *pages = mode_pages(&count);

	for (size_t i = 0; i < count; i++) {
		if (pages[i].code == code && pages[i].subpage == subpage)
			return &pages[i];
	}
	return NULL;
}

static bool take_page(struct scsi_task *task, struct list *list, struct mode_change *change)
{
	const uint8_t *octets = list->octets + list->at;
	size_t left = list->len - list->at, header = (octets[0] & SPF) != 0 ? 4 : 2;
	const struct mode_page *page;
	unsigned bit;
	int wrong;

	if (left < header)
		return fail_length(task);
	page = page_find(octets[0] & PAGE_CODE, header == 4 ? octets[1] : 0);
	if (page == NULL && header == 4 && page_find(octets[0] & PAGE_CODE, 0) != NULL)
		return fail_field(task, list->at + 1, 7);
	if (page == NULL || mode_page_header(page) != header)
		return fail_field(task, list->at, 5);
	if (get_be(octets + header / 2, header / 2) != page->len - header)
		return fail_field(task, list->at + header / 2, 7);
	if (left < page->len)
		return fail_length(task);
	wrong = mode_page_take(task, page, octets, change, &bit);
	if (wrong >= 0)
		return fail_field(task, list->at + (size_t)wrong, bit);
	list->at += page->len;
	return true;
}

/* False: the task has its sense, and nothing is to be changed. */
static bool parse(struct scsi_task *task, struct mode_change *ret)
{
	struct list list;

	*ret = (struct mode_change){0};
	gather(task, &list);
	if (!take_header(task, &list))
		return false;
	while (list.at < list.len) {
		if (!take_page(task, &list, ret))
			return false;
	}
	return true;
}

static void order(const struct scsi_task *task, struct arbiter_order *ret)
{
	ret->kind = ORDER_MODES;
	ret->flags = (task->cdb[1] & SP) != 0 ? ORDER_SAVE : 0;
	ret->len = ARBITER_MODES;
	memcpy(ret->octets, task->modes, ARBITER_MODES);
}

/* SBC-4: whoever switches the write cache off, or write protection on, hears of it when what is
 * cached is on the medium. All sessions already do as the new parameters say. */
static enum scsi_step answered(struct scsi_task *task, const struct arbiter_answer *answer)
{
	if (answer->status == SCSI_GOOD &&
	    (!mode_write_cache(task->nexus, task->unit) || mode_swp(task->nexus, task->unit)))
		return medium_flush(task);
	return task_answered(task, answer);
}

enum scsi_step mode_select_start(struct scsi_task *task)
{
	struct mode_change change;

	if (task->buffer_len < task->bytes) {
		sense_set(task, KEY_ABORTED_COMMAND, SENSE_INVALID_FIELD_IN_COMMAND_IU);
		return task_fail(task);
	}
	if (!parse(task, &change))
		return task_fail(task);
	if (!task->unit
		     ->writable) /* it set what there is: that changes nothing, and saves nothing */
		return task_nothing(task);
	memcpy(task->modes, change.values, ARBITER_MODES_EACH);
	memcpy(task->modes + ARBITER_MODES_EACH, change.mask, ARBITER_MODES_EACH);
	return task_order(task, order, answered);
}

/* Without PF the pages would be of our own making, and there are none. */
static bool check_cdb(struct scsi_task *task, size_t len)
{
	if ((task->cdb[1] & PF) == 0)
		sense_cdb_field(task, 1, PF_BIT);
	else if (len > LIST_MAX)
		(void)fail_length(task);
	else if (!task->write || task->edtl < len)
		sense_set(task, KEY_ILLEGAL_REQUEST, SENSE_INVALID_FIELD_IN_COMMAND_IU);
	else
		return true;
	return false;
}

enum scsi_step mode_select_begin(struct scsi_task *task)
{
	size_t len = list_length(task);

	if (len != 0 && !check_cdb(task, len))
		return task_refuse(task);
	task->wanted = task->bytes = len;
	if (!gate_admit(task))
		return task_fail(task);
	return len == 0 ? task_nothing(task) : SCSI_WANT_DATA;
}
