/* The process that looks for files: one question about one disk, one answer, then its
 * end. It holds the disk to read and a pipe; it is sandboxed before it reads the first
 * octet of the disk, which an initiator wrote. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include "gateway/base/clock.h"
#include "gateway/base/fd.h"
#include "gateway/base/log.h"
#include "gateway/base/process.h"
#include "gateway/base/sandbox.h"
#include "gateway/files/kind.h"
#include "gateway/files/partitions.h"

#define MEMORY_LEAST (1ull << 30)
#define MEMORY_MOST  (8ull << 30)

struct search {
	struct files_asked asked;
	struct source source;
	struct partitions partitions;
	struct volume volumes[PARTITIONS_MAX];
	size_t volume_count;
	struct toolbox box;
	struct finding finding;
};

static const struct kind *const kinds[] = {
	[VOLUME_EXT] = &kind_ext,
	[VOLUME_XFS] = &kind_xfs,
	[VOLUME_NTFS] = &kind_ntfs,
};

PRINTF_LIKE(3, 4)
static int fail(struct search *s, int error, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(s->finding.why, sizeof s->finding.why, fmt, args);
	va_end(args);
	return error;
}

/* --- what is on the disk ------------------------------------------------------------------ */

static bool wanted(const struct search *s, unsigned partition)
{
	return s->asked.partition == FILES_ANY || s->asked.partition == partition;
}

/* A file system on the whole disk comes first: what looks like a table of partitions may be of an
 * earlier use, or its boot code. */
static void volumes_find(struct search *s)
{
	partitions_read(&s->source, s->asked.block_size, &s->partitions);
	if (wanted(s, 0) && volume_probe(&s->source, 0, s->source.size_bytes, &s->volumes[0])) {
		s->volume_count = 1;
		return;
	}
	for (size_t i = 0; i < s->partitions.count; i++) {
		const struct partition *p = &s->partitions.list[i];
		struct volume *v = &s->volumes[s->volume_count];

		if (!wanted(s, p->number) || !volume_probe(&s->source, p->offset, p->size_bytes, v))
			continue;
		v->partition = p->number;
		s->volume_count++;
	}
}

static int nothing_here(struct search *s)
{
	if (s->asked.partition != FILES_ANY && s->asked.partition > 0)
		return fail(s, -ENODEV,
			    "partition %u has no file system that can be read here, or is not "
			    "there; known are ext2, ext3, ext4, xfs and ntfs",
			    s->asked.partition);
	return fail(
		s, -ENODEV,
		"no file system that can be read here, neither on the whole disk nor on one of "
		"its %zu partitions%s; known are ext2, ext3, ext4, xfs and ntfs (not LVM, RAID, or "
		"anything encrypted)",
		s->partitions.count,
		s->partitions.broken ? " (the table of partitions is damaged)" : "");
}

/* --- the two questions -------------------------------------------------------------------- */

static int look_begin(struct search *s, const struct volume *v, struct finding *f, struct look *l)
{
	*l = (struct look){.box = &s->box, .v = v, .f = f};
	s->box.why[0] = '\0';
	f->answer.partition = v->partition;
	(void)string_copy(f->answer.system, sizeof f->answer.system, v->name);
	return window_move(&s->box.window, v->offset, v->size_bytes);
}

static int path_in(struct search *s, const struct volume *v, struct finding *f)
{
	const struct kind *kind = kinds[v->kind];
	struct look l;
	uint64_t inode;
	int r = look_begin(s, v, f, &l);

	if (r == 0)
		r = kind->find(&l, s->asked.path, &inode);
	if (r == 0 && (r = kind->map(&l, inode)) == 0)
		f->answer.inode = inode;
	return r;
}

static int path_error(struct search *s, const struct volume *v, int r)
{
	const char *where = s->box.why[0] ? s->box.why : strerror(-r);

	if (r == -EINVAL)
		where = "it is neither a file nor a folder; of a symbolic link, name the file "
			"that it points to";
	if (v->partition > 0)
		return fail(s, r, "%s, partition %u: %s", v->name, v->partition, where);
	return fail(s, r, "%s: %s", v->name, where);
}

static int no_such_path(struct search *s)
{
	char systems[128] = "";
	size_t len = 0;

	for (size_t i = 0; i < s->volume_count && len < sizeof systems; i++) {
		const struct volume *v = &s->volumes[i];
		const char *comma = i > 0 ? ", " : "";

		len += (size_t)(v->partition > 0 ? snprintf(systems + len, sizeof systems - len,
							    "%s%s on partition %u", comma, v->name,
							    v->partition)
						 : snprintf(systems + len, sizeof systems - len,
							    "%s", v->name));
	}
	return fail(
		s, -ENOENT,
		"no such file now (looked in: %s); it may have been moved or deleted, or is not "
		"written to the disk yet; upper and lower case count",
		systems);
}

/* In every volume; two hits are one too many. */
static int search_path(struct search *s)
{
	int error = -ENOENT;
	unsigned hits = 0;

	for (size_t i = 0; i < s->volume_count; i++) {
		struct finding f = {.error = 0};
		int r = path_in(s, &s->volumes[i], &f);

		if (r == 0 && hits++ == 0) {
			s->finding.answer = f.answer;
			continue;
		}
		finding_free(&f);
		if (r == 0)
			return fail(s, -EEXIST,
				    "partitions %u and %u both have it: choose with --partition",
				    s->finding.answer.partition, s->volumes[i].partition);
		if (r != -ENOENT || s->box.why[0])
			error = path_error(s, &s->volumes[i], r);
		if (r == -ETIMEDOUT || r == -E2BIG) /* a tool may still be there: it ends with us */
			return error;
	}
	if (hits > 0)
		return 0;
	return s->finding.why[0] ? error : no_such_path(s);
}

static void outside(struct search *s, uint64_t offset)
{
	struct files_answer *a = &s->finding.answer;

	a->what = FILES_OUTSIDE;
	(void)string_copy(a->note, sizeof a->note,
			  "in no partition: its table, a gap, or the end of the disk");
	for (size_t i = 0; i < s->partitions.count; i++) {
		const struct partition *p = &s->partitions.list[i];

		if (offset < p->offset || offset - p->offset >= p->size_bytes)
			continue;
		a->partition = p->number;
		(void)string_copy(a->note, sizeof a->note,
				  "in a partition without a file system that can be read here");
	}
}

static int search_block(struct search *s)
{
	uint64_t offset;
	struct look l;
	int r;

	if (!MUL_OK(s->asked.lba, s->asked.block_size, &offset) || offset >= s->source.size_bytes)
		return fail(s, -ERANGE, "the disk ends before: its last block is %" PRIu64,
			    s->source.size_bytes / s->asked.block_size - 1);
	for (size_t i = 0; i < s->volume_count; i++) {
		const struct volume *v = &s->volumes[i];

		if (offset < v->offset || offset - v->offset >= v->size_bytes)
			continue;
		r = look_begin(s, v, &s->finding, &l);
		if (r == 0)
			r = kinds[v->kind]->at(&l, offset - v->offset);
		return r < 0 ? path_error(s, v, r) : 0;
	}
	outside(s, offset);
	return 0;
}

static int search_run(struct search *s)
{
	int r;

	s->finding.answer.mapped_ns = clock_wall_ns();
	volumes_find(s);
	if (s->volume_count == 0 && (s->asked.has_path || s->partitions.count == 0))
		return nothing_here(s);
	r = s->asked.has_path ? search_path(s) : search_block(s);
	if (r == 0)
		s->finding.answer.mapped_ns = clock_wall_ns();
	return r;
}

/* --- the process -------------------------------------------------------------------------- */

static int question_read(struct search *s)
{
	struct files_asked *a = &s->asked;

	if (pread(FILES_FD_QUESTION, a, sizeof *a, 0) != (ssize_t)sizeof *a)
		return -EPROTO;
	a->path[sizeof a->path - 1] = '\0';
	if (a->block_size != 512 && a->block_size != 4096)
		return -EPROTO;
	return !a->has_path || a->path[0] == '/' ? 0 : -EPROTO;
}

/* Half of the machine's memory, within bounds; and who runs short of it ends us first. */
static uint64_t memory_limit(void)
{
	long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
	uint64_t half = pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size / 2 : 0;
	OWNED_FD fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd >= 0)
		IGNORE_RESULT(fd_write_all(fd, "1000", 4)); /* a help, no need */
	return MAX(MEMORY_LEAST, MIN(half, MEMORY_MOST));
}

static int lock_down(struct search *s)
{
	const struct rlimit cpu = {FILES_SECONDS, FILES_SECONDS + 5};
	const struct sandbox sandbox = {.profile = SANDBOX_FILES,
					.folder_fd = -1,
					.programs = tool_paths,
					.file_size_limit = UINT64_MAX, /* the window */
					.memory_limit = memory_limit(),
					.files_limit = 64};
	int r;

	s->box.null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (s->box.null_fd < 0 || setrlimit(RLIMIT_CPU, &cpu) < 0)
		return -errno;
	if ((r = window_open(&s->box.window, &s->source)) < 0)
		return r;
	if ((r = sandbox_enter(&sandbox)) < 0)
		return r;
	/* The tools open paths: without rules for files, all that this user may read. */
	if ((r & SANDBOX_HAS_SECCOMP) && !(r & SANDBOX_HAS_LANDLOCK_FILES)) {
		log_error("this kernel has no Landlock, without which no file system of an "
			  "initiator's is read");
		return -ENOTSUP;
	}
	return 0;
}

static int answer_send(struct search *s)
{
	OWNED_FREE uint8_t *bytes = NULL;
	size_t len;
	int r;

	finding_finish(&s->finding, s->asked.block_size);
	r = answer_encode(&s->finding, &bytes, &len);
	return r < 0 ? r : fd_write_all(FILES_FD_ANSWER, bytes, len);
}

int files_main(void)
{
	static struct search s;
	int r;

	if (!process_fds_are(FILES_FD_COUNT))
		return EXIT_FAILURE;
	for (int fd = FILES_FD_DISK; fd < FILES_FD_DISK + FILES_FD_COUNT; fd++)
		if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
			return EXIT_FAILURE;
	s.box.deadline_ms = clock_ms() + FILES_SECONDS * 1000;
	r = question_read(&s);
	if (r == 0)
		r = source_over_fd(&s.source, FILES_FD_DISK);
	if (r == 0)
		r = lock_down(&s);
	if (r < 0) {
		log_error("can't confine itself before it reads the disk: %s", strerror(-r));
		return EXIT_FAILURE;
	}
	r = search_run(&s);
	if (r < 0) {
		finding_free(&s.finding);
		s.finding.answer = (struct files_answer){.what = FILES_INVALID};
		s.finding.error = r;
	}
	r = answer_send(&s);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
