/* A wall clock that a test sets while the gateway runs: ahead of the machine's by the seconds that
 * the file $SALLYPORT_TEST_CLOCK holds, as a number of 8 octets that is read each time. The
 * monotonic clock is the machine's. Loaded into the gateway with LD_PRELOAD. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *ahead;

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("SALLYPORT_TEST_CLOCK");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *at = fd >= 0 ? mmap(NULL, sizeof *ahead, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;

	if (at != MAP_FAILED)
		ahead = at;
	if (fd >= 0)
		(void)close(fd);
}

int clock_gettime(clockid_t which, struct timespec *ret)
{
	static int (*machine)(clockid_t, struct timespec *);
	int r;

	if (!machine)
		*(void **)&machine = dlsym(RTLD_NEXT, "clock_gettime");
	r = machine(which, ret);
	if (r == 0 && which == CLOCK_REALTIME && ahead)
		ret->tv_sec += *ahead;
	return r;
}
