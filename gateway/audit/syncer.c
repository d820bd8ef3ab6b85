/* The auditor's helper thread: waits for a job on one eventfd, syncs, tells on the
 * other. The eventfds order the accesses to the job. Reads nothing from anybody. */
#include "gateway/audit/syncer.h"

#include <signal.h>
#include <sys/eventfd.h>

#define STACK_SIZE (128u << 10)

static int event_wait(int fd)
{
	uint64_t count;

	while (read(fd, &count, sizeof count) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

static int event_send(int fd)
{
	uint64_t one = 1;

	return write(fd, &one, sizeof one) < 0 ? -errno : 0;
}

static int job_run(const struct syncer *s)
{
	for (size_t i = 0; i < SYNCER_FILES; i++)
		if (s->fds[i] >= 0 && fdatasync(s->fds[i]) < 0)
			return -errno;
	return 0;
}

static void *thread_run(void *arg)
{
	struct syncer *s = arg;

	while (event_wait(s->job_fd) == 0 && !s->over) {
		s->result = job_run(s);
		if (event_send(s->done_fd) < 0)
			break;
	}
	return NULL;
}

static int thread_make(struct syncer *s)
{
	pthread_attr_t attr;
	sigset_t all, before;
	int e;

	if ((e = pthread_attr_init(&attr)) != 0)
		return -e;
	(void)pthread_attr_setstacksize(&attr, STACK_SIZE);
	sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	e = pthread_create(&s->thread, &attr, thread_run, s);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	(void)pthread_attr_destroy(&attr);
	return -e;
}

int syncer_start(struct syncer *s)
{
	int e;

	*s = (struct syncer){0};
	s->job_fd = eventfd(0, EFD_CLOEXEC);
	s->done_fd = eventfd(0, EFD_CLOEXEC);
	e = s->job_fd < 0 || s->done_fd < 0 ? -errno : thread_make(s);
	if (e < 0) {
		fd_close(&s->job_fd);
		fd_close(&s->done_fd);
		return e;
	}
	s->started = true;
	return 0;
}

void syncer_stop(struct syncer *s)
{
	if (!s->started)
		return;
	if (s->running)
		(void)!syncer_result(s);
	s->over = true;
	if (event_send(s->job_fd) == 0)
		(void)pthread_join(s->thread, NULL);
	fd_close(&s->job_fd);
	fd_close(&s->done_fd);
	s->started = false;
}

int syncer_begin(struct syncer *s, const int fds[SYNCER_FILES])
{
	int e;

	assert(!s->running);
	memcpy(s->fds, fds, sizeof s->fds);
	e = event_send(s->job_fd);
	s->running = e == 0;
	return e;
}

int syncer_result(struct syncer *s)
{
	int e = event_wait(s->done_fd);

	s->running = false;
	return e < 0 ? e : s->result;
}
