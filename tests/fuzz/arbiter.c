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
static void on_kill(struct member *m, enum arbiter_blame blame) { assert(blame && !killed[m - all]++); }
int LLVMFuzzerTestOneInput(const uint8_t *b, size_t size);
/* clang-format on */
int LLVMFuzzerTestOneInput(const uint8_t *b, size_t size)
{
	struct arbiter_attach info = {0, size & 1, {1, 2, [200] = 3}};
	struct court c;
	memset(killed, 0, sizeof killed);
	court_open(&c, &page, 1, &(struct court_ops){on_changed, on_done, on_kill});
	for (unsigned n = 0; n < 3; n++, info.connection++) {
		all[n] = (struct member){.own = &own[n]};
		assert(court_attach(&c, &all[n], &info) == 0);
	}
	for (uint64_t now = 1; size >= 4; b += 4, size -= 4, now += b[-1]) {
		struct arbiter_exclude e = {1, b[2] & 1, {b[2] >> 1, 0, 0, (b[3] & 4u) << 6}};
		struct message m = {.type = b[1] % 32};
		unsigned n = b[0] % 3, lun = b[2] & 1;

		memcpy(m.body, &e, sizeof e);
		own[n].luns[lun].in_flight = b[3] & 3;
		own[n].luns[lun].under = page.disks[lun].generation - (b[3] >> 7);
		if (b[1] > 240 || court_find(&c, n) == NULL)
			b[1] > 250 ? court_go(&c, now) : court_tick(&c, now * 100);
		else if (b[1] > 236)
			court_over(&c, &all[n], now);
		else if (court_hear(&c, &all[n], &m, now) < 0)
			court_condemn(&c, &all[n], ARBITER_BROKE_CHANNEL);
	}
	return 0;
}
