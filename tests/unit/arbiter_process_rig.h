/* The arbiter as a process, between a monitor and sessions that a test plays over real channels
 * and memory. Its journal's folder is of this test alone. */
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "gateway/arbiter/arbiter.h"
#include "gateway/base/fd.h"
#include "gateway/base/process.h"
#include "tests/unit/test.h"

#define WAIT_MS	 30000
#define SESSIONS 3

static pid_t pid;
static struct channel monitor;
static int page_fd, folder_fd = -1;
static char folder[] = "/tmp/arbiter-XXXXXX";

#define FIRST_SERIAL "0f5c9e4c-3f4d-4a53-9d31-5d3d6f0c7a11"

static const struct arbiter_identity identities[] = {
	{FIRST_SERIAL, "vault"},
	{"1f5c9e4c-3f4d-4a53-9d31-5d3d6f0c7a11", "second"},
};

static struct session {
	struct channel channel;
	struct arbiter_view view;
	int own_fd;
} sessions[SESSIONS + 1];

static NORETURN void child_run(int fd)
{
	static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS};

	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		(void)signal(signals[i], SIG_DFL);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	int place = fcntl(folder_fd, F_DUPFD, 100), channel = fcntl(fd, F_DUPFD, 100);

	if (dup2(channel, PROCESS_FD_FIRST) < 0 || dup2(place, PROCESS_FD_FIRST + 1) < 0)
		_exit(99);
	(void)close_range(PROCESS_FD_FIRST + 2, ~0u, 0);
	_exit(arbiter_main());
}

static inline void start(void)
{
	int fds[2];

	assert_int_equal(channel_pair(fds), 0);
	pid = fork();
	if (pid == 0)
		child_run(fds[1]);
	assert_true(pid > 0);
	(void)close(fds[1]);
	channel_open(&monitor, fds[0], arbiter_outbox, arbiter_outbox_len);
}

static inline int status_of(void)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	pid = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static inline void take_next(struct channel *c, struct message *ret)
{
	struct pollfd p = {c->fd, POLLIN, 0};

	assert_int_equal(poll(&p, 1, WAIT_MS), 1);
	assert_int_equal(channel_receive(c, ret), 1);
}

/* The next message, which must be of this type. That something is being kept is told in between. */
static inline void expect(struct channel *c, uint32_t type, void *ret_body, size_t size)
{
	struct message m;

	do
		take_next(c, &m);
	while (m.type == ARBITER_KEEPS && type != ARBITER_KEEPS);
	assert_int_equal(m.type, type);
	if (size > 0)
		memcpy(ret_body, m.body, size);
}

static inline void expect_end(struct channel *c)
{
	struct pollfd p = {c->fd, POLLIN, 0};
	struct message m;
	int r;

	do {
		assert_int_equal(poll(&p, 1, WAIT_MS), 1);
		r = channel_receive(c, &m);
	} while (r > 0);
	assert_int_equal(r, -EPIPE);
	channel_close(c);
}

static inline void begin(uint32_t life, uint8_t run)
{
	struct arbiter_begin body = {.life = life, .disks = 2};
	int fds[2] = {page_fd, memfd_sealed("identities", identities, sizeof identities)};
	struct arbiter_ready ready;

	body.run[0] = run;
	assert_int_equal(channel_send(&monitor, ARBITER_BEGIN, &body, sizeof body, fds, 2), 0);
	(void)close(fds[1]);
	expect(&monitor, ARBITER_READY, &ready, sizeof ready);
}

/* Session n has disk 0 as LUN 0. */
static inline void attach(uint32_t n, bool old)
{
	struct arbiter_attach info = {.connection = n, .old = old, .disks = {1}, .writable = {1}};
	struct arbiter_hello hello = {.life = old ? 2 : 1};
	struct session *s = &sessions[n];
	struct arbiter_attached attached;
	int pair[2], fds[2];

	info.isid[0] = (uint8_t)n;
	s->own_fd = memfd_shared("own", sizeof(struct arbiter_own));
	assert_int_equal(channel_pair(pair), 0);
	fds[0] = pair[1];
	fds[1] = fd_reopen(s->own_fd, O_RDONLY);
	assert_int_equal(channel_send(&monitor, ARBITER_ATTACH, &info, sizeof info, fds, 2), 0);
	(void)close(fds[0]);
	(void)close(fds[1]);
	expect(&monitor, ARBITER_ATTACHED, &attached, sizeof attached);
	assert_int_equal(attached.connection, n);
	assert_int_equal(attached.error, 0);
	channel_open(&s->channel, pair[0], arbiter_session_outbox, arbiter_session_outbox_len);
	assert_int_equal(arbiter_view_map(&s->view, page_fd, s->own_fd), 0);
	s->view.me = n;
	arbiter_view_attach(&s->view);
	arbiter_view_hold(&s->view, 0, 0);
	assert_int_equal(CHANNEL_SEND(&s->channel, ARBITER_HELLO, &hello), 0);
}

static inline void over(uint32_t n)
{
	struct arbiter_over body = {.connection = n};

	assert_int_equal(CHANNEL_SEND(&monitor, ARBITER_OVER, &body), 0);
}

static inline void folder_open(void)
{
	memcpy(folder, "/tmp/arbiter-XXXXXX", sizeof folder);
	assert_non_null(mkdtemp(folder));
	folder_fd = open(folder, O_RDONLY | O_DIRECTORY);
	assert_true(folder_fd >= 0);
}

static inline void folder_close(void)
{
	static const char *const suffixes[] = {"run", "lasting", "run.new", "lasting.new"};
	char name[64];

	for (size_t k = 0; k < 2 * ARRAY_LEN(suffixes); k++) {
		(void)snprintf(name, sizeof name, "%s.%s", identities[k % 2].serial,
			       suffixes[k / 2]);
		(void)unlinkat(folder_fd, name, 0);
	}
	fd_close(&folder_fd);
	assert_int_equal(rmdir(folder), 0);
}

static inline void open_all(void **state)
{
	(void)state;
	page_fd = memfd_shared("page", sizeof(struct arbiter_page));
	folder_open();
	start();
	begin(1, 1);
	for (uint32_t n = 1; n <= SESSIONS; n++)
		attach(n, false);
	assert_int_equal(channel_send(&monitor, ARBITER_GO, NULL, 0, NULL, 0), 0);
}

static inline void session_close(uint32_t n)
{
	channel_close(&sessions[n].channel);
	(void)munmap((void *)(uintptr_t)sessions[n].view.page, sizeof(struct arbiter_page));
	(void)munmap(sessions[n].view.own, sizeof(struct arbiter_own));
	fd_close(&sessions[n].own_fd);
}

static inline void close_all(int status)
{
	channel_close(&monitor);
	assert_int_equal(status_of(), status);
	for (uint32_t n = 1; n <= SESSIONS; n++)
		session_close(n);
	fd_close(&page_fd);
	folder_close();
}

static inline void reset(uint32_t n, uint32_t id)
{
	struct arbiter_exclude body = {.id = id, .luns = {1}};

	arbiter_view_ask(&sessions[n].view, body.luns);
	assert_int_equal(CHANNEL_SEND(&sessions[n].channel, ARBITER_EXCLUDE, &body), 0);
}

static inline void expect_done(uint32_t n, uint32_t id)
{
	struct arbiter_done done;

	expect(&sessions[n].channel, ARBITER_DONE, &done, sizeof done);
	assert_int_equal(done.id, id);
}

static inline void expect_kill(uint32_t n, enum arbiter_blame blame)
{
	struct arbiter_kill kill;

	expect(&monitor, ARBITER_KILL, &kill, sizeof kill);
	assert_int_equal(kill.connection, n);
	assert_int_equal(kill.blame, blame);
}

static inline int enter(uint32_t n)
{
	int parity;

	assert_true(arbiter_adopt(&sessions[n].view, 0));
	parity = arbiter_enter(&sessions[n].view, 0);
	assert_true(parity >= 0);
	return parity;
}
