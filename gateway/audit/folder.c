/* Lists and opens the segments of an audit folder, for the review and for an auditor
 * that starts. Trusts neither the names nor the kinds of what is in the folder. */
#include "gateway/audit/folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#define SEGMENTS_MAX (4u << 20)

static int list_add(struct segment_list *list, uint64_t number)
{
	if (list->count == SEGMENTS_MAX)
		return -EFBIG;
	if ((list->count & (list->count - 1)) == 0) { /* room for powers of two */
		size_t room = list->count ? list->count * 2 : 1;
		uint64_t *more = realloc(list->numbers, room * sizeof *more);

		if (!more)
			return -ENOMEM;
		list->numbers = more;
	}
	list->numbers[list->count++] = number;
	return 0;
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

int segment_list_read(int folder_fd, enum audit_log log, struct segment_list *ret_list)
{
	struct segment_list list = {0};
	struct dirent *entry;
	int fd = openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), e = 0;
	DIR *dir;

	if (fd < 0)
		return -errno;
	dir = fdopendir(fd);
	if (!dir) {
		fd_close(&fd);
		return -ENOMEM;
	}
	while (e == 0 && (entry = readdir(dir))) {
		uint64_t number = segment_number(log, entry->d_name);

		if (number)
			e = list_add(&list, number);
	}
	(void)closedir(dir);
	if (e < 0) {
		segment_list_free(&list);
		return e;
	}
	if (list.count > 1)
		qsort(list.numbers, list.count, sizeof *list.numbers, by_number);
	*ret_list = list;
	return 0;
}

void segment_list_free(struct segment_list *list)
{
	free(list->numbers);
	*list = (struct segment_list){0};
}

static int file_open(int folder_fd, enum audit_log log, uint64_t number, int flags)
{
	char name[SEGMENT_NAME_SIZE];
	OWNED_FD fd = openat(folder_fd, segment_name(log, number, name),
			     flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	return fd_take(&fd);
}

int segment_open(int folder_fd, enum audit_log log, uint64_t number)
{
	return file_open(folder_fd, log, number, O_RDONLY);
}

int segment_open_writable(int folder_fd, enum audit_log log, uint64_t number)
{
	return file_open(folder_fd, log, number, O_RDWR);
}
