/* P2: a segment whose sync failed is given up, also by the auditor that is started when the one
 * that knew of it died: that never syncs the file again, and calls none of it durable by it. The
 * calls are libc's by name; those of the auditor, in a process of its own, fail when the test says
 * so. */
#include "tests/unit/audit_rig.h"

#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "gateway/audit/verify.h"

static struct faults {
	pid_t test; /* whose calls are its own */
	_Atomic bool failing;
	_Atomic uint32_t synced; /* how often one of the old files was */
	ino_t old[AUDIT_LOGS];
} * faults;

static bool is_old(int fd)
{
	struct stat st;

	if (getpid() == faults->test || fstat(fd, &st) < 0)
		return false;
	return st.st_ino == faults->old[0] || st.st_ino == faults->old[1];
}

int fdatasync(int fd)
{
	if (is_old(fd)) {
		if (faults->failing) {
			errno = EIO;
			return -1;
		}
		faults->synced++;
	}
	return (int)syscall(SYS_fdatasync, fd);
}

int renameat(int from_folder, const char *from, int to_folder, const char *to)
{
	if (getpid() != faults->test && faults->failing) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_renameat2, from_folder, from, to_folder, to, 0);
}

/* Held open, so that no other file gets its number. */
static int old_take(const struct rig *r, enum audit_log log)
{
	char name[SEGMENT_NAME_SIZE];
	int fd = openat(r->folder_fd, segment_name(log, 1, name), O_RDONLY | O_CLOEXEC);
	struct stat st = {.st_ino = 0};

	assert_true(fd >= 0 && fstat(fd, &st) == 0);
	faults->old[log - 1] = st.st_ino;
	return fd;
}

static void no_finding(void *arg, const struct verify_finding *f)
{
	(void)arg;
	if (verify_words(f->kind)->class > VERIFY_GAP)
		print_message("%s %s: %s\n", verify_words(f->kind)->name, f->file, f->text);
}

static void test_given_up(void **state)
{
	const struct verify_asked asked = {.found = no_finding};
	struct verify_result result;
	struct rig_trail trail;
	struct rig_ring *ring;
	struct message m;
	struct rig r;
	int commands, events;

	(void)state;
	rig_open(&r);
	rig_start(&r);
	rig_expect(&r, AUDITOR_READY, &m);
	ring = rig_ring_add(&r, 1);
	for (uint64_t i = 0; i < 10; i++)
		rig_put(ring, i);
	rig_flush(&r, 1);
	commands = old_take(&r, LOG_COMMANDS);
	events = old_take(&r, LOG_EVENTS);
	faults->failing = true;
	for (uint64_t i = 10; i < 15; i++)
		rig_put(ring, i);
	audit_ring_wake(&ring->ring);
	rig_expect_state(&r, AUDIT_CANNOT_WRITE);
	rig_kill(&r);
	faults->failing = false;
	rig_start(&r);
	rig_expect(&r, AUDITOR_READY, &m);
	rig_flush(&r, 2);
	assert_int_equal(faults->synced, 0);
	assert_int_equal(rig_stop(&r), 0);
	trail = rig_read(&r);
	assert_int_equal(trail.records, 15);
	assert_int_equal(trail.damage, 0);
	assert_string_equal(trail.gap.reason, "could-not-write");
	assert_int_equal(unlinkat(r.folder_fd, "lock", 0), 0); /* not the trail's */
	assert_int_equal(verify_trail(r.folder_fd, &asked, &result), 0);
	assert_int_equal(result.worst, VERIFY_GAP);
	close(commands);
	close(events);
	rig_close(&r);
}

int main(void)
{
	static struct tests t;

	faults = mmap(NULL, sizeof *faults, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (faults == MAP_FAILED || hash_start() < 0)
		return 1;
	faults->test = getpid();
	tests_add(&t, "P2: who follows an auditor whose sync failed does not sync that file again",
		  test_given_up, NULL);
	return tests_run(&t, "audit");
}
