/* Rows of a block over any octets, plain and packed; what is read is written again as rows, and is
 * then the same. */
#include "gateway/audit/payload.h"
#include "gateway/audit/rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct names names, written;
	static struct rows_reader r, again;
	static struct rows_writer w;
	static struct unpacker unpacker;
	static struct frame f, g;
	static uint8_t bytes[ROW_MAX];
	struct block_header h = {.first_sequence = 1, .records = 1};

	if (!unpacker.bytes && unpacker_open(&unpacker) < 0)
		abort();
	(void)!unpacker_unpack(&unpacker, data, size, unpacker.bytes, size);
	h.records = size > 0 ? data[0] : 0;
	h.raw = (uint32_t)MIN(size, BLOCK_PAYLOAD_MAX);
	rows_read_begin(&r, &h, data, &names);
	while (rows_next(&r, &f) > 0) {
		if (f.type != FRAME_COMMAND)
			continue;
		rows_write_begin(&w, bytes, sizeof bytes, &written);
		rows_put_command(&w, 0, 0, f.connection, &f.command);
		rows_read_begin(
			&again,
			&(struct block_header){.raw = (uint32_t)(w.out.p - bytes), .records = 1},
			bytes, &names);
		if (rows_next(&again, &g) != 1)
			abort();
		if (rows_next(&again, &g) != 0 ||
		    memcmp(&f.command, &g.command, sizeof f.command) != 0)
			abort();
	}
	return 0;
}
