/* Arbitrary words of three sessions, and arbitrary pages, in the arbiter's court: nobody is killed
 * twice or woken afterwards. */
#include "gateway/arbiter/court.h"
static struct arbiter_page page;
static struct member all[3];
static struct arbiter_own own[3];
static unsigned killed[3];
/* clang-format off */
static void on_changed(struct member *m) { assert(!killed[m - all]); }
static void on_done(struct member *m, uint32_t id) { assert(m->hello && id == 1); }
static void on_answer(struct member *m, const struct arbiter_answer *a) { assert(m->hello && a->id); }
static void on_kill(struct member *m, enum arbiter_blame blame) { assert(blame && !killed[m - all]++); }
static int on_keep(unsigned d, const struct arbiter_record *r, bool s) { return d > 2 || !r || s ? -EIO : 0; }
int LLVMFuzzerTestOneInput(const uint8_t *b, size_t size);
/* clang-format on */
int LLVMFuzzerTestOneInput(const uint8_t *b, size_t size)
{
	static const struct court_ops ops = {.changed = on_changed,
					     .done = on_done,
					     .answer = on_answer,
					     .kill = on_kill,
					     .keep = on_keep};
	struct arbiter_attach info = {
		.old = size & 1, .disks = {1, 2, [200] = 3}, .groups = {1, 2}};
	struct court c = {0};
	memset(killed, 0, sizeof killed);
	assert(court_open(&c, &page, 1, 3, &ops) == 0);
	for (unsigned n = 0; n < 3; n++, info.connection++) {
		all[n] = (struct member){.own = &own[n]};
		assert(court_attach(&c, &all[n], &info) == 0);
	}
	for (uint64_t now = 1; size >= 4; b += 4, size -= 4, now += b[-1]) {
		struct arbiter_exclude e = {1, 0, {b[2] >> 1, 0, 0, (b[3] & 4u) << 6}};
		struct arbiter_order o = {.id = b[3], .lun = b[2] & 1, .kind = b[3] >> 4};
		struct message m = {.type = b[1] % 32};
		unsigned n = b[0] % 3;

		o.lba = o.action = o.scope_type = o.flags = b[2];
		o.len = (uint32_t)MIN(size, sizeof o.octets);
		memcpy(o.octets, b, o.len);
		memcpy(m.body, m.type == ARBITER_ORDER ? (void *)&o : (void *)&e,
		       m.type == ARBITER_ORDER ? sizeof o : sizeof e);
		own[n].luns[b[2] & 1].in_flight[b[3] & 1] = b[3] >> 1 & 3;
		if (b[1] > 240 || court_find(&c, n) == NULL)
			b[1] > 250 ? court_go(&c, now) : court_tick(&c, now * 100);
		else if (b[1] > 236)
			court_over(&c, &all[n], now);
		else if (court_hear(&c, &all[n], &m) < 0)
			court_condemn(&c, &all[n], ARBITER_BROKE_CHANNEL);
		if (b[0] < 200)
			court_turn(&c, now);
	}
	court_close(&c);
	return 0;
}
