/* The detail of an event of retention: what is taken is the one text that means it. */
#include "gateway/audit/retention.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *copy = malloc(len + 1); /* its own, so that a sanitizer sees what is beyond */
	char again[AUDIT_DETAIL_SIZE];
	struct retention r;

	memcpy(copy, data, len);
	if (retention_read(&r, copy, len) == 0) {
		assert(r.log == LOG_COMMANDS || r.log == LOG_EVENTS);
		assert(r.segment > 0 && r.first_block + r.blocks >= r.blocks);
		retention_write(&r, again);
		assert(strlen(again) == len && memcmp(again, copy, len) == 0);
	}
	free(copy);
	return 0;
}
