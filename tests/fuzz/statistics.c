/* Statistics over records of anybody's making: bounded, whatever they say. The input is records,
 * one after another: a kind, then what is told of it. */
#include <stdio.h>
#include "gateway/audit/statistics.h"

#define DAY UINT64_C(86400000000000)

static void record(struct statistics *s, struct trail_record *r, const uint8_t *data, size_t size)
{
	memset(&r->frame, 0, sizeof r->frame);
	r->frame.stamp.sequence = 1;
	memcpy(&r->frame.stamp.time_ns, data + 1, MIN(size - 1, (size_t)6));
	r->frame.connection = data[0] >> 2;
	r->frame.type = (enum frame_type)(FRAME_COMMAND + (data[0] & 1) * 2);
	if (r->frame.type == FRAME_COMMAND) {
		memcpy(&r->frame.command, data + 1, MIN(size - 1, sizeof r->frame.command));
	} else {
		memcpy(&r->frame.event.kind, data, 1);
		r->frame.event.kind = r->frame.event.kind >> 1 & 31;
		memcpy(r->frame.event.detail, data + 1, MIN(size - 1, (size_t)300));
		(void)string_copy(r->frame.event.target, ISCSI_NAME_SIZE, "t");
	}
	statistics_add(s, r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct auditor_ring_info session = {.initiator = "i", .target = "t"};
	static struct trail_record r;
	struct statistics *s = statistics_open(DAY, 4 * DAY, true);

	for (r.session = &session; size > 1; data += MIN(size, 64), size -= MIN(size, 64))
		record(s, &r, data, MIN(size, 64));
	statistics_end(s);
	statistics_close(s);
	return 0;
}
