/* Arbitrary orders of three members about one disk's reservations, TransportIDs too: what is
 * decided is sound, what is refused changes nothing. */
#include "gateway/arbiter/court.h"
#include "gateway/arbiter/reservations.h"
static order_decide *const deciders[] = {order_pr_in, order_reserve, order_release, order_pr_out};
int LLVMFuzzerTestOneInput(const uint8_t *b, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *b, size_t size)
{
	static struct arbiter_record record, draft;
	static struct arbiter_page page;
	struct arbiter_attach info = {.initiator = "iqn.a", .disks = {1}, .writable = {1}};
	struct member all[3] = {0};
	struct court c = {.page = &page, .disks = 1};

	record = (struct arbiter_record){0};
	for (unsigned n = 0; n < 3; n++, info.connection++, info.isid[5]++, info.relative_port ^= n)
		assert(court_attach(&c, &all[n], &info) == 0);
	for (size_t len; size >= 8; b += 8 + len, size -= 8 + len) {
		struct member *m = &all[b[0] % 3];
		struct arbiter_answer answer = {0};
		enum decision d;

		len = MIN(b[7], size - 8);
		m->order = (struct arbiter_order){.action = b[2] % 9, .scope_type = b[3] % 9};
		m->order.flags = b[4] % 16;
		m->order.relative_port = b[4] >> 4;
		m->order.key = b[5] % 4;
		m->order.action_key = b[6] % 4;
		m->order.at = b[3] * 16u;
		m->order.len = (uint32_t)len;
		memcpy(m->order.octets, b + 8, len);
		draft = record;
		draft.event_new = 0;
		d = deciders[MIN(b[1] % 8, 3)](&c, m, 0, &draft, &answer);
		assert(answer.len <= ARBITER_OCTETS && (d == DECISION_ANSWER || !answer.status));
		record = d == DECISION_ANSWER ? record : draft;
		assert(reservations_are_sound(&record) && draft.event_new < ARBITER_EVENTS);
	}
	return 0;
}
