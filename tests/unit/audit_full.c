/* A log that can't be written: the page says so, nothing is lost, and when there is room
 * again a new segment goes on, with a record that says for how long there was none. */
#include "tests/unit/audit_rig.h"

#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include "gateway/audit/verify.h"

static _Atomic int *syncs_fail; /* of folders, in the auditor */

/* libc's, by name. */
int fsync(int fd)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode) && syncs_fail &&
	    atomic_load(syncs_fail) > 0) {
		atomic_fetch_sub(syncs_fail, 1);
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fsync, fd);
}

static void limit_files(const struct rig *r, rlim_t size)
{
	struct rlimit now;

	assert_int_equal(prlimit(r->pid, RLIMIT_FSIZE, NULL, &now), 0);
	now.rlim_cur = size;
	assert_int_equal(prlimit(r->pid, RLIMIT_FSIZE, &now, NULL), 0);
}

static void wait_state(struct rig_ring *ring, enum audit_state state)
{
	uint64_t until = clock_ms() + 30000;

	while (atomic_load(&ring->page->state) != state)
		assert_true(clock_ms() < until && usleep(500) == 0);
}

static void check_recovered(struct rig *r, uint64_t put)
{
	struct rig_trail got;

	rig_put(&r->rings[0], put++);
	rig_flush(r, 9);
	assert_int_equal(rig_stop(r), 0);
	got = rig_read(r);
	assert_int_equal(got.records, put);
	assert_int_equal(got.damage, 0);
	assert_int_equal(got.gaps, 1);
	assert_string_equal(got.gap.reason, "could-not-write");
	assert_non_null(strstr(got.gap.detail, "no record was lost"));
}

static void size_limit(void **state)
{
	struct audit_record record = {.kind = AUDIT_COMMAND};
	uint64_t put = 0;
	struct rig r;

	(void)state;
	rig_open(&r);
	rig_ring_add(&r, 1);
	rig_start(&r);
	for (; put < 100; put++)
		rig_put(&r.rings[0], put);
	rig_flush(&r, 1);
	limit_files(&r, 50);
	rig_put(&r.rings[0], put++);
	audit_ring_wake(&r.rings[0].ring);
	wait_state(&r.rings[0], AUDIT_CANNOT_WRITE);
	assert_int_equal(audit_ring_put(&r.rings[0].ring, &record, clock_ms()), -EBUSY);
	rig_expect_state(&r, AUDIT_CANNOT_WRITE);
	assert_non_null(strstr(r.status.why, strerror(EFBIG)));
	limit_files(&r, 1 << 20);
	wait_state(&r.rings[0], AUDIT_WRITING);
	rig_expect_state(&r, AUDIT_WRITING);
	assert_string_equal(r.status.why, "");
	check_recovered(&r, put);
	rig_close(&r);
}

/* The folder of the rig, on a file system of its own that is as small as they come. */
static void small_disk(void **state)
{
	uint64_t put = 0, until;
	char filler[1024];
	struct rig r;
	int fill;

	(void)state;
	rig_open(&r);
	if (mount("none", r.folder, "tmpfs", MS_NOSUID | MS_NODEV, "size=2m") < 0) {
		print_message("needs root and a mount namespace that may mount: %s\n",
			      strerror(errno));
		rig_close(&r);
		skip();
	}
	close(r.folder_fd);
	r.folder_fd = open(r.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	rig_ring_add(&r, 1);
	rig_start(&r);
	rig_put(&r.rings[0], put++);
	rig_flush(&r, 1);
	memset(filler, 1, sizeof filler);
	fill = openat(r.folder_fd, "filler", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	while (write(fill, filler, sizeof filler) > 0)
		continue;
	until = clock_ms() + 30000;
	while (atomic_load(&r.rings[0].page->state) == AUDIT_WRITING && clock_ms() < until) {
		struct audit_record record = {.kind = AUDIT_COMMAND, .cdb_len = 32};

		put += audit_ring_put(&r.rings[0].ring, &record, clock_ms()) == 0;
		audit_ring_wake(&r.rings[0].ring);
	}
	rig_expect_state(&r, AUDIT_CANNOT_WRITE);
	assert_non_null(strstr(r.status.why, strerror(ENOSPC)));
	close(fill);
	assert_int_equal(unlinkat(r.folder_fd, "filler", 0), 0);
	wait_state(&r.rings[0], AUDIT_WRITING);
	check_recovered(&r, put);
	close(r.folder_fd);
	assert_int_equal(umount2(r.folder, MNT_DETACH), 0);
	r.folder_fd = open(r.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	rig_close(&r);
}

/* Something stands where segments are made. */
static void never_began(void **state)
{
	struct message m;
	struct rig r;

	(void)state;
	rig_open(&r);
	rig_ring_add(&r, 1);
	assert_int_equal(mkdirat(r.folder_fd, "commands.new", 0700), 0);
	rig_start(&r);
	rig_event(&r, 1, EVENT_START);
	rig_expect_state(&r, AUDIT_CANNOT_WRITE);
	assert_non_null(strstr(r.status.why, "can't begin commands-000001.log"));
	assert_int_equal(r.written, 0);
	assert_int_equal(unlinkat(r.folder_fd, "commands.new", AT_REMOVEDIR), 0);
	rig_expect(&r, AUDITOR_READY, &m);
	rig_expect(&r, AUDITOR_WRITTEN, &m);
	assert_int_equal(r.written, 1);
	check_recovered(&r, 0);
	rig_close(&r);
}

static void finding(void *arg, const struct verify_finding *f)
{
	const struct verify_words *w = verify_words(f->kind);

	(void)arg;
	if (w->class > VERIFY_GAP)
		print_message("%s in %s: %s\n", w->name, f->file, f->text);
}

/* Segments are there, and the folder that they are in can't be synced. */
static void folder_fails(void **state)
{
	struct verify_asked asked = {.found = finding};
	struct verify_result result;
	struct rig r;

	(void)state;
	rig_open(&r);
	rig_ring_add(&r, 1);
	atomic_store(syncs_fail, 3);
	rig_start(&r);
	rig_expect_state(&r, AUDIT_CANNOT_WRITE);
	rig_expect_state(&r, AUDIT_WRITING);
	assert_int_equal(atomic_load(syncs_fail), 0);
	check_recovered(&r, 0);
	assert_int_equal(unlinkat(r.folder_fd, "lock", 0), 0);
	assert_int_equal(verify_trail(r.folder_fd, &asked, &result), 0);
	assert_int_equal(result.worst, VERIFY_GAP); /* that it could not be written */
	rig_close(&r);
}

/* No room for what the monitor sent last, and no file that takes it: still it ends. */
static void monitor_dies(void **state)
{
	uint64_t until = clock_ms() + 30000;
	struct rig r;
	int status;

	(void)state;
	rig_open(&r);
	assert_int_equal(mkdirat(r.folder_fd, "commands.new", 0700), 0);
	rig_start(&r);
	rig_expect_state(&r, AUDIT_CANNOT_WRITE);
	for (uint64_t id = 1; id <= COMMIT_FLUSHES; id++) {
		struct auditor_flush flush = {.id = id};

		assert_int_equal(CHANNEL_SEND(&r.channel, AUDITOR_FLUSH, &flush), 0);
	}
	rig_event(&r, 1, EVENT_STOP);
	channel_close(&r.channel);
	while (waitpid(r.pid, &status, WNOHANG) == 0 && clock_ms() < until)
		(void)usleep(1000);
	assert_true(clock_ms() < until);
	r.pid = 0;
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 3);
	assert_int_equal(unlinkat(r.folder_fd, "commands.new", AT_REMOVEDIR), 0);
	rig_close(&r);
}

int main(void)
{
	static struct tests t;

	commit_retry_ms = 150;
	syncs_fail = mmap(NULL, sizeof *syncs_fail, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert(syncs_fail != MAP_FAILED);
	tests_add(&t, "P4: a log that may not grow means busy, and recovers without loss",
		  size_limit, NULL);
	tests_add(&t, "P4: a full disk means busy, and recovers without loss", small_disk, NULL);
	tests_add(&t, "P4: a log that can't even begin means busy until it can", never_began, NULL);
	tests_add(&t, "P4: segments that could not be made to stay are part of a trail that proves",
		  folder_fails, NULL);
	tests_add(&t, "an auditor that can't write and has no room ends with its monitor",
		  monitor_dies, NULL);
	return tests_run(&t, "audit_full");
}
