/* What the reader of an export hands to the writer, which takes the reader for hostile. */
#include "gateway/cli/export.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct export_pipe p;
	static struct export_row row;
	struct export_item item;
	const uint8_t *text;
	size_t sum = 0;

	p.at = 0;
	p.len = MIN(size, sizeof p.bytes);
	memcpy(p.bytes, data, p.len);
	while (export_pipe_next(&p, &item, &text) > 0) {
		if (!export_row_get(text, item.octets, &row))
			continue;
		for (int i = 0; i < FIELDS; i++)
			if (row.set >> i & 1 && fields[i].type == FIELD_TEXT && row.len[i] > 0)
				sum += (uint8_t)row.text[i][row.len[i] - 1];
	}
	return sum == SIZE_MAX; /* it was read */
}
