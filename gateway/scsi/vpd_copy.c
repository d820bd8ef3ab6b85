/* Vital product data of third-party copies (8Fh), SPC-4 section 7.8: which commands this nexus
 * is offered, and their limits. Runs in the session. Limits and what is refused come from
 * the same constants, commands from the command table. */
#include "gateway/scsi/copier.h"
#include "gateway/scsi/vpd.h"

enum {
	BLOCK_ROD_LIMITS = 0x0000,
	ROD_FEATURES = 0x0106,
	ROD_TYPES = 0x0108,
	SUPPORTED_COMMANDS = 0x0001,
	PARAMETER_DATA = 0x0004,
	SUPPORTED_DESCRIPTORS = 0x0008,
	GENERAL_COPIES = 0x8001,
};

enum { OP_COPY = 0x83, OP_RESULTS = 0x84, POPULATE = 0x10, WRITE_USING = 0x11 };
enum { TOKEN_OUT = 0x01, TOKEN_IN = 0x02 };

#define ROD_FEATURE_SIZE 48
#define ROD_TYPE_SIZE	 64

/* Each begins with its type and the length of the rest, which is a multiple of 4. */
static size_t descriptor_begin(struct wr *w, unsigned type)
{
	size_t at = wr_len(w);

	wr_be(w, 2, type);
	wr_be(w, 2, 0);
	return at;
}

static void descriptor_end(struct wr *w, size_t at)
{
	while ((wr_len(w) - at) % 4 != 0)
		wr_be(w, 1, 0);
	put_be(w->start + at + 2, 2, wr_len(w) - at - 4);
}

/* An octet that counts those which follow it. */
static void count_end(struct wr *w, size_t at)
{
	w->start[at] = (uint8_t)(wr_len(w) - at - 1);
}

static bool offers_any(const struct scsi_task *task, uint8_t opcode)
{
	size_t count;
	const struct scsi_command *table = commands(&count);

	for (size_t i = 0; i < count; i++) {
		if (table[i].opcode == opcode && command_is_offered(task, &table[i]))
			return true;
	}
	return false;
}

bool vpd_has_copies(const struct scsi_task *task)
{
	return offers_any(task, OP_COPY);
}

static void actions_of(const struct scsi_task *task, struct wr *w, uint8_t opcode)
{
	size_t count, at;
	const struct scsi_command *table = commands(&count);

	if (!offers_any(task, opcode))
		return;
	wr_be(w, 1, opcode);
	at = wr_len(w);
	wr_be(w, 1, 0);
	for (size_t i = 0; i < count; i++) {
		if (table[i].opcode == opcode && command_is_offered(task, &table[i]))
			wr_be(w, 1, (uint64_t)table[i].service_action);
	}
	count_end(w, at);
}

static void supported_commands(const struct scsi_task *task, struct wr *w)
{
	size_t at = descriptor_begin(w, SUPPORTED_COMMANDS), list = wr_len(w);

	wr_be(w, 1, 0);
	actions_of(task, w, OP_COPY);
	actions_of(task, w, OP_RESULTS);
	count_end(w, list);
	descriptor_end(w, at);
}

static void rod_limits(const struct scsi_task *task, struct wr *w)
{
	size_t at = descriptor_begin(w, BLOCK_ROD_LIMITS);
	uint32_t block = task->unit->block_size;

	wr_zero(w, 6);
	wr_be(w, 2, TOKEN_RANGES_MAX);
	wr_be(w, 4, TOKEN_UNUSED_MAX_S);
	wr_be(w, 4, TOKEN_UNUSED_DEFAULT_S);
	wr_be(w, 8, TOKEN_OCTETS_MAX / block);
	wr_be(w, 8, TOKEN_OCTETS_BEST / block);
	descriptor_end(w, at);
}

/* Tokens of this gateway alone; block devices' features. */
static void rod_features(struct wr *w)
{
	size_t at = descriptor_begin(w, ROD_FEATURES);

	wr_be(w, 1, 0);
	wr_zero(w, 11);
	wr_be(w, 4, 1); /* lifetimes, in seconds */
	wr_be(w, 4, UINT32_MAX);
	wr_be(w, 4, TOKEN_UNUSED_MAX_S);
	wr_zero(w, 18);
	wr_be(w, 2, ROD_FEATURE_SIZE);
	wr_be(w, 2, 0); /* block devices, and the length of the rest */
	wr_be(w, 2, ROD_FEATURE_SIZE - 4);
	wr_zero(w, 4); /* no granularity */
	wr_be(w, 8, TOKEN_OCTETS_MAX);
	wr_be(w, 8, TOKEN_OCTETS_BEST);
	wr_be(w, 8, TOKEN_OCTETS_BEST); /* into a token, and out of one */
	wr_be(w, 8, TOKEN_OCTETS_BEST);
	wr_zero(w, 8);
	descriptor_end(w, at);
}

static void rod_type(struct wr *w, uint32_t type, unsigned ways)
{
	wr_be(w, 4, type);
	wr_be(w, 1, ways);
	wr_zero(w, ROD_TYPE_SIZE - 5);
}

static void rod_types(struct wr *w)
{
	size_t at = descriptor_begin(w, ROD_TYPES);

	wr_zero(w, 2);
	wr_be(w, 2, 2 * ROD_TYPE_SIZE);
	rod_type(w, 0x00800001, TOKEN_OUT | TOKEN_IN); /* point in time, change vulnerable */
	rod_type(w, 0xffff0001, TOKEN_IN);	       /* zeroes */
	descriptor_end(w, at);
}

static void parameter_data(struct wr *w)
{
	size_t at = descriptor_begin(w, PARAMETER_DATA);

	wr_zero(w, 4);
	wr_be(w, 2, COPY_TARGETS_MAX);
	wr_be(w, 2, COPY_SEGMENTS_MAX);
	wr_be(w, 4, COPY_DESCRIPTORS_MAX);
	wr_be(w, 4, 0); /* inline data */
	wr_zero(w, 12);
	descriptor_end(w, at);
}

static void supported_descriptors(struct wr *w)
{
	size_t at = descriptor_begin(w, SUPPORTED_DESCRIPTORS);

	wr_be(w, 1, 2);
	wr_be(w, 1, 0x02); /* block device to block device */
	wr_be(w, 1, 0xe4); /* identification */
	descriptor_end(w, at);
}

static void general_copies(struct wr *w)
{
	size_t at = descriptor_begin(w, GENERAL_COPIES);

	wr_be(w, 4, COPIES_MAX);
	wr_be(w, 4, COPIES_MAX);
	wr_be(w, 4, COPY_SEGMENT_OCTETS_MAX);
	wr_be(w, 1, 0); /* granularities: 1 octet */
	wr_be(w, 1, 0);
	wr_zero(w, 18);
	descriptor_end(w, at);
}

void vpd_copies(const struct scsi_task *task, struct wr *w)
{
	bool tokens = command_offers(task, OP_COPY, POPULATE) &&
		      command_offers(task, OP_COPY, WRITE_USING);

	if (tokens)
		rod_limits(task, w);
	supported_commands(task, w);
	parameter_data(w);
	supported_descriptors(w);
	if (tokens) {
		rod_features(w);
		rod_types(w);
	}
	general_copies(w);
}
