/* Lists the audit folder, for who verifies it: every name in it is a segment's, a segment's
 * checkpoints', the reserve's, or one that is told. Trusts no name. */
#include "gateway/audit/verify_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include "gateway/audit/segment.h"
#include "gateway/audit/space.h"

#define NUMBERS_MAX (4u << 20)

static int numbers_add(struct verify_numbers *n, uint64_t number)
{
	if (n->count == NUMBERS_MAX)
		return -EFBIG;
	if ((n->count & (n->count - 1)) == 0) { /* room for powers of two */
		size_t room = n->count ? n->count * 2 : 1;
		uint64_t *more = realloc(n->list, room * sizeof *more);

		if (!more)
			return -ENOMEM;
		n->list = more;
	}
	n->list[n->count++] = number;
	return 0;
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void numbers_sort(struct verify_numbers *n)
{
	if (n->count > 1)
		qsort(n->list, n->count, sizeof *n->list, by_number);
}

/* The number of checkpoints' name of this log, or 0. */
static uint64_t note_number(enum audit_log log, const char *name)
{
	char as_segment[SEGMENT_NAME_SIZE], again[SEGMENT_NAME_SIZE];
	size_t len = strlen(name);
	uint64_t number;

	if (len < 6 || len >= sizeof as_segment || strcmp(name + len - 5, ".note") != 0)
		return 0;
	(void)snprintf(as_segment, sizeof as_segment, "%.*s.log", (int)(len - 5), name);
	number = segment_number(log, as_segment);
	return number && strcmp(segment_note_name(log, number, again), name) == 0 ? number : 0;
}

static int take_log(struct verify_folder *f, int folder_fd, const char *name, enum audit_log log)
{
	uint64_t number = segment_number(log, name);
	char new_name[SEGMENT_NAME_SIZE];
	struct stat st;

	if (number) {
		if (fstatat(folder_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_size > 0)
			f->octets += (uint64_t)st.st_size;
		return numbers_add(&f->segments[log - 1], number);
	}
	if ((number = note_number(log, name)) != 0)
		return numbers_add(&f->notes[log - 1], number);
	if (strcmp(name, segment_new_name(log, new_name)) != 0)
		return -ENOENT;
	f->unfinished(f->arg, name);
	return 0;
}

/* The folder of a file system that is mounted there; a file of that name is nobody's. */
static bool is_lost_found(int folder_fd, const char *name)
{
	struct stat st;

	return strcmp(name, "lost+found") == 0 &&
	       fstatat(folder_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

static int take(struct verify_folder *f, int folder_fd, const char *name)
{
	int e = -ENOENT;

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return 0;
	for (enum audit_log log = LOG_COMMANDS; e == -ENOENT && log <= AUDIT_LOGS; log++)
		e = take_log(f, folder_fd, name, log);
	if (e != -ENOENT)
		return e;
	if (strcmp(name, RESERVE_NAME) == 0)
		f->reserve(f->arg, name);
	else if (!is_lost_found(folder_fd, name))
		f->unknown(f->arg, name);
	return 0;
}

int verify_folder_read(struct verify_folder *f, int folder_fd)
{
	int fd = openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), e = 0;
	struct dirent *entry;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir) {
		e = fd < 0 ? -errno : -ENOMEM;
		fd_close(&fd);
		return e;
	}
	while (e == 0 && (entry = readdir(dir)))
		e = take(f, folder_fd, entry->d_name);
	(void)closedir(dir);
	for (size_t i = 0; i < AUDIT_LOGS; i++) {
		numbers_sort(&f->segments[i]);
		numbers_sort(&f->notes[i]);
	}
	return e;
}

void verify_folder_free(struct verify_folder *f)
{
	for (size_t i = 0; i < AUDIT_LOGS; i++) {
		free(f->segments[i].list);
		free(f->notes[i].list);
		f->segments[i] = f->notes[i] = (struct verify_numbers){0};
	}
}
