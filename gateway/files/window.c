/* The window onto a partition: fills the memory file under a program that reads it.
 * Runs in the process that looks for files, between the disk and the file system's
 * tool; trusts neither: lengths and places are cut to the window. */
#include "gateway/files/window.h"

#include <fcntl.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include "gateway/base/fd.h"
#include "gateway/base/log.h"

#define PIECE	   (1u << 20)
#define READ_MOST  (64u << 20)
#define ROOM_BYTES (64u << 20) /* of memory that the file may take; then it is emptied */

/* The program may start threads, nothing else; what it has no need of is answered as if it were not
 * there, on top of what the sandbox refuses. */
static int rules_add(scmp_filter_ctx filter)
{
	static const char *const refused[] = {"fork",	  "vfork",   "memfd_create", "ftruncate",
					      "pwrite64", "pwritev", "fallocate",    "seccomp"};
	int r = seccomp_rule_add(filter, SCMP_ACT_NOTIFY, SCMP_SYS(pread64), 0);

	if (r == 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
				     SCMP_A0_64(SCMP_CMP_MASKED_EQ, 0x10000 /* CLONE_THREAD */, 0));
	if (r == 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(refused); i++) {
		int number = seccomp_syscall_resolve_name(refused[i]);

		if (number >= 0)
			r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), number, 0);
	}
	return r;
}

static int filter_make(void **ret_filter)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	int r = filter ? 0 : -ENOMEM;

	/* No new privileges, which the sandbox has seen to. */
	if (r == 0 && (r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 0)) == 0)
		r = rules_add(filter);
	if (r < 0) {
		seccomp_release(filter);
		return r;
	}
	*ret_filter = filter;
	return 0;
}

int window_open(struct window *w, const struct source *s)
{
	int r;

	*w = (struct window){.source = s, .fd = -1, .reader_fd = -1};
	w->fd = memfd_create("window", MFD_CLOEXEC);
	if (w->fd < 0)
		return -errno;
	w->reader_fd = fd_reopen(w->fd, O_RDONLY);
	r = w->reader_fd < 0 ? w->reader_fd : filter_make(&w->filter);
	if (r < 0)
		window_close(w);
	return r;
}

static int window_empty(struct window *w)
{
	if (ftruncate(w->fd, 0) < 0 || ftruncate(w->fd, (off_t)w->size_bytes) < 0)
		return -errno;
	return 0;
}

int window_move(struct window *w, uint64_t offset, uint64_t size_bytes)
{
	assert(offset <= w->source->size_bytes && size_bytes <= w->source->size_bytes - offset);
	w->offset = offset;
	w->size_bytes = size_bytes;
	return window_empty(w);
}

void window_close(struct window *w)
{
	fd_close(&w->fd);
	fd_close(&w->reader_fd);
	seccomp_release(w->filter);
	w->filter = NULL;
}

int window_watch(struct window *w)
{
	int r = seccomp_load(w->filter);

	return r < 0 ? r : seccomp_notify_fd(w->filter);
}

/* -errno of the disk's. */
static int window_fill(struct window *w, uint64_t at, uint64_t len)
{
	static uint8_t piece[PIECE];
	struct stat st;
	int r = 0;

	/* The program waits for this one read: nothing that was read before is needed. */
	if (fstat(w->fd, &st) < 0 ||
	    ((uint64_t)st.st_blocks * 512 > ROOM_BYTES && (r = window_empty(w)) < 0))
		return r < 0 ? r : -errno;
	while (len > 0) {
		size_t n = (size_t)MIN(len, (uint64_t)PIECE);

		if ((r = source_read(w->source, w->offset + at, piece, n)) < 0)
			return r;
		if (pwrite(w->fd, piece, n, (off_t)at) != (ssize_t)n)
			return -EIO;
		at += n;
		len -= n;
	}
	return 0;
}

/* Of pread64(fd, buffer, length, offset). Of another file's, nothing wrong is done. */
static int window_answer(struct window *w, const struct seccomp_data *call)
{
	uint64_t len = MIN(call->args[2], (uint64_t)READ_MOST), at = call->args[3];

	if (call->args[2] > READ_MOST)
		return -EINVAL;
	if (at >= w->size_bytes)
		return 0;
	return window_fill(w, at, MIN(len, w->size_bytes - at));
}

int window_serve(struct window *w, int watch_fd)
{
	struct seccomp_notif *request = NULL;
	struct seccomp_notif_resp *reply = NULL;
	int r = seccomp_notify_alloc(&request, &reply);

	if (r < 0)
		return r;
	if (seccomp_notify_receive(watch_fd, request) < 0) {
		r = -ENOENT;
	} else {
		reply->id = request->id;
		reply->error = window_answer(w, &request->data);
		if (reply->error == 0)
			reply->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
		/* It may have ended meanwhile, which is seen elsewhere. */
		r = seccomp_notify_respond(watch_fd, reply) < 0 ? -ENOENT : 0;
	}
	seccomp_notify_free(request, reply);
	return r;
}
