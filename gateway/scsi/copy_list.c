/* Reads the parameter list of EXTENDED COPY (copy_list.h). Runs in the session. The fence: a
 * designator is looked for among the LUNs of this nexus and nowhere else, so a unit that is
 * not its own is as unknown to it as one that is not there. */
#include "gateway/scsi/copy_list.h"
#include "gateway/scsi/sense.h"

/* Of the header, octet 1. */
enum { LIST_ID_USAGE = 0x18, USAGE_RESERVED = 0x08, NO_LIST_ID = 0x18, HEADER_RESERVED = 0xc0 };

/* LID4's alone. */
enum {
	LID4 = 1,
	FORMAT_4 = 0x01,
	G_SENSE = 0x02,
	HEADER_TARGET_LENGTH = 0x20,
	HEADER_TARGET_TYPE = 0xff,
};

/* Identification descriptor. Its LU ID TYPE is to be ignored; NUL is obsolete, but who sets it
 * means no unit. */
enum {
	TYPE_IDENTIFICATION = 0xe4,
	NUL = 0x20,
	DEVICE_TYPE = 0x1f,
	CODE_SET = 0x0f,
	BINARY = 0x01,
	KIND = 0x3f, /* association and type of the designator */
	NAA_OF_UNIT = 0x03,
	DESIGNATOR_MAX = 20,
};

/* Segment descriptor, block device to block device. */
enum { TYPE_BLOCKS = 0x02, DC = 0x02, BLOCKS_LENGTH = 0x18 };

static bool wrong_length(struct scsi_task *task)
{
	sense_set(task, KEY_ILLEGAL_REQUEST, SENSE_PARAMETER_LIST_LENGTH_ERROR);
	return false;
}

static bool wrong(struct scsi_task *task, enum sense_code code)
{
	sense_set(task, KEY_ILLEGAL_REQUEST, code);
	return false;
}

static bool wrong_field(struct scsi_task *task, size_t octet)
{
	sense_set(task, KEY_ILLEGAL_REQUEST, SENSE_INVALID_FIELD_IN_PARAMETER_LIST);
	sense_parameter_field(task, (unsigned)octet);
	return false;
}

/* --- the frame --- */

static bool is_lid4(const struct scsi_task *task)
{
	return task->command->service_action == LID4;
}

size_t copy_list_header(const struct scsi_task *task)
{
	return is_lid4(task) ? COPY_HEADER_4 : COPY_HEADER_1;
}

struct lengths {
	size_t targets, segments, inline_data;
};

static void read_lengths(const struct scsi_task *task, const uint8_t *header, struct lengths *ret)
{
	bool lid4 = is_lid4(task);

	ret->targets = get_be(header + (lid4 ? 42 : 2), 2);
	ret->segments = lid4 ? get_be(header + 44, 2) : get_be(header + 8, 4);
	ret->inline_data = lid4 ? get_be(header + 46, 2) : get_be(header + 12, 4);
}

static bool check_counts(struct scsi_task *task, const struct lengths *len)
{
	if (len->targets > COPY_TARGETS_MAX * COPY_TARGET_SIZE)
		return wrong(task, SENSE_TOO_MANY_TARGET_DESCRIPTORS);
	if (len->segments > COPY_SEGMENTS_MAX * COPY_SEGMENT_SIZE)
		return wrong(task, SENSE_TOO_MANY_SEGMENT_DESCRIPTORS);
	if (len->inline_data != 0)
		return wrong(task, SENSE_INLINE_DATA_LENGTH_EXCEEDED);
	if (len->targets % COPY_TARGET_SIZE != 0)
		return wrong_field(task, is_lid4(task) ? 42 : 2);
	return true;
}

static bool check_list_id(struct scsi_task *task, const struct copy_list *l)
{
	uint8_t flags = l->octets[1];

	if ((flags & HEADER_RESERVED) != 0 || (flags & LIST_ID_USAGE) == USAGE_RESERVED)
		return wrong_field(task, 1);
	if (!l->has_list && l->list != 0)
		return wrong_field(task, is_lid4(task) ? 20 : 0);
	return true;
}

/* What LID4 has before the list identifier. IMMED is not taken up: an early answer would tell less.
 * Sense data with GOOD are not made. */
static bool check_format(struct scsi_task *task, const uint8_t *header)
{
	if (header[0] != FORMAT_4)
		return wrong_field(task, 0);
	if (get_be(header + 2, 2) != HEADER_TARGET_LENGTH)
		return wrong_field(task, 2);
	if (header[15] & G_SENSE)
		return wrong_field(task, 15);
	if (header[16] != HEADER_TARGET_TYPE)
		return wrong_field(task, 16);
	return true;
}

static bool read_header(struct scsi_task *task, struct copy_list *l)
{
	size_t header = copy_list_header(task);
	struct lengths len;

	read_lengths(task, l->octets, &len);
	l->list = (uint32_t)(is_lid4(task) ? get_be(l->octets + 20, 4) : l->octets[0]);
	l->has_list = (l->octets[1] & LIST_ID_USAGE) != NO_LIST_ID;
	if (is_lid4(task) && !check_format(task, l->octets))
		return false;
	if (!check_counts(task, &len))
		return false;
	if (header + len.targets + len.segments > l->len)
		return wrong_length(task);
	l->targets = (unsigned)(len.targets / COPY_TARGET_SIZE);
	l->targets_at = header;
	l->segments_at = header + len.targets;
	l->len = l->segments_at + len.segments;
	return check_list_id(task, l);
}

static bool check_targets(struct scsi_task *task, const struct copy_list *l)
{
	for (unsigned i = 0; i < l->targets; i++) {
		size_t at = l->targets_at + i * COPY_TARGET_SIZE;

		if (l->octets[at] != TYPE_IDENTIFICATION)
			return wrong(task, SENSE_UNSUPPORTED_TARGET_DESCRIPTOR);
		if (l->octets[at + 7] > DESIGNATOR_MAX)
			return wrong_field(task, at + 7);
	}
	return true;
}

static bool check_segments(struct scsi_task *task, struct copy_list *l)
{
	for (size_t at = l->segments_at; at < l->len; at += COPY_SEGMENT_SIZE) {
		if (l->octets[at] != TYPE_BLOCKS)
			return wrong(task, SENSE_UNSUPPORTED_SEGMENT_DESCRIPTOR);
		if (l->len - at < COPY_SEGMENT_SIZE)
			return wrong_length(task);
		if (get_be(l->octets + at + 2, 2) != BLOCKS_LENGTH)
			return wrong_field(task, at + 2);
		l->segments++;
	}
	return true;
}

bool copy_list_read(struct scsi_task *task, struct copy_list *ret)
{
	assert(task->bytes >= copy_list_header(task) && task->bytes <= sizeof ret->octets);
	ret->len = task->bytes;
	ret->segments = 0;
	task_gather(task, 0, ret->octets, ret->len);
	return read_header(task, ret) && check_targets(task, ret) && check_segments(task, ret);
}

/* --- a segment --- */

static bool aborted(struct scsi_task *task, enum sense_code code, unsigned segment)
{
	sense_copy_aborted(task, code, segment);
	return false;
}

static bool may(const struct scsi_lun *unit, bool write)
{
	return unit->failed == 0 && (unit->writable || !write);
}

/* A disk may be several LUNs: one that may do what is asked, else any of them. */
static struct scsi_lun *find_unit(struct scsi_nexus *n, const uint8_t *target, bool write)
{
	const uint8_t *name = target + 8;
	size_t len = target[7];
	struct scsi_lun *found = NULL;

	if ((target[4] & CODE_SET) != BINARY || (target[5] & KIND) != NAA_OF_UNIT)
		return NULL;
	for (size_t k = 0; k < ARRAY_LEN(n->luns); k++) {
		struct scsi_lun *unit = &n->luns[k];

		if (!unit->present || len != unit->naa_len || memcmp(name, unit->naa, len) != 0)
			continue;
		if (found == NULL || (may(unit, write) && !may(found, write)))
			found = unit;
	}
	return found;
}

/* The unit of a segment's descriptor index; NULL: the task has its sense. */
static struct scsi_lun *unit_of(struct scsi_task *task, const struct copy_list *l, unsigned segment,
				size_t index, bool write)
{
	size_t at = l->targets_at + index * COPY_TARGET_SIZE;
	struct scsi_lun *unit;
	uint64_t block;

	if (index >= l->targets || (l->octets[at + 1] & NUL)) {
		sense_copy_aborted(task, SENSE_UNREACHABLE_COPY_TARGET, segment);
		return NULL;
	}
	if (l->octets[at + 1] & DEVICE_TYPE) { /* not 00h, a direct access block device */
		sense_copy_aborted(task, SENSE_INCORRECT_COPY_TARGET_TYPE, segment);
		return NULL;
	}
	unit = find_unit(task->nexus, l->octets + at, write);
	if (unit == NULL) {
		sense_copy_aborted(task, SENSE_COPY_TARGET_NOT_REACHABLE, segment);
		return NULL;
	}
	block = get_be(l->octets + at + 29, 3); /* DISK BLOCK LENGTH; 0: not told */
	if (block != 0 && block != unit->block_size) {
		(void)wrong_field(task, at + 29);
		return NULL;
	}
	return unit;
}

static bool is_within(const struct scsi_lun *unit, uint64_t lba, uint64_t octets)
{
	return lba <= unit->blocks && octets / unit->block_size <= unit->blocks - lba;
}

bool copy_list_move(struct scsi_task *task, const struct copy_list *l, unsigned i,
		    struct copy_move *ret)
{
	size_t at = l->segments_at + i * COPY_SEGMENT_SIZE;
	const uint8_t *s = l->octets + at;
	uint64_t from_lba = get_be(s + 12, 8), to_lba = get_be(s + 20, 8);

	ret->from = unit_of(task, l, i, get_be(s + 4, 2), false);
	ret->to = ret->from == NULL ? NULL : unit_of(task, l, i, get_be(s + 6, 2), true);
	if (ret->to == NULL)
		return false;
	if (ret->from->failed != 0 || ret->to->failed != 0)
		return aborted(task, SENSE_THIRD_PARTY_DEVICE_FAILURE, i);
	ret->octets = get_be(s + 10, 2) * (s[1] & DC ? ret->to : ret->from)->block_size;
	if (ret->octets > COPY_SEGMENT_OCTETS_MAX)
		return wrong_field(task, at + 10);
	if (ret->octets % ret->from->block_size != 0 || ret->octets % ret->to->block_size != 0)
		return aborted(task, SENSE_UNEXPECTED_INEXACT_SEGMENT, i);
	if (!is_within(ret->from, from_lba, ret->octets) ||
	    !is_within(ret->to, to_lba, ret->octets))
		return aborted(task, SENSE_NONE, i);
	ret->from_octet = from_lba * ret->from->block_size;
	ret->to_octet = to_lba * ret->to->block_size;
	return true;
}
