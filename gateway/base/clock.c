/* The clocks, for every process. The monotonic one counts through every change of
 * the wall clock; only audit records, messages for people and the policy's times use the wall
 * clock. */
#include "gateway/base/clock.h"

#include <time.h>

static uint64_t clock_read(clockid_t which)
{
	struct timespec now;
	int r = clock_gettime(which, &now);

	assert(r == 0);
	return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

uint64_t clock_ns(void)
{
	return clock_read(CLOCK_MONOTONIC);
}

uint64_t clock_us(void)
{
	return clock_ns() / 1000U;
}

uint64_t clock_ms(void)
{
	return clock_ns() / 1000000U;
}

uint64_t clock_wall_ns(void)
{
	return clock_read(CLOCK_REALTIME);
}

int64_t clock_wall_s(void)
{
	return (int64_t)(clock_wall_ns() / 1000000000U);
}
