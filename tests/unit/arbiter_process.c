/* The arbiter as a process, between a monitor and sessions that this test plays over real
 * channels and memory: what hostile sessions can do to it, and what dies with whom. */
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

static void start(void)
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

static int status_of(void)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	pid = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* The next message, which must be of this type. */
static void expect(struct channel *c, uint32_t type, void *ret_body, size_t size)
{
	struct pollfd p = {c->fd, POLLIN, 0};
	struct message m;

	assert_int_equal(poll(&p, 1, WAIT_MS), 1);
	assert_int_equal(channel_receive(c, &m), 1);
	assert_int_equal(m.type, type);
	if (size > 0)
		memcpy(ret_body, m.body, size);
}

static void expect_end(struct channel *c)
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

static void begin(uint32_t life, uint8_t run)
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
static void attach(uint32_t n, bool old)
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

static void over(uint32_t n)
{
	struct arbiter_over body = {.connection = n};

	assert_int_equal(CHANNEL_SEND(&monitor, ARBITER_OVER, &body), 0);
}

static void folder_open(void)
{
	memcpy(folder, "/tmp/arbiter-XXXXXX", sizeof folder);
	assert_non_null(mkdtemp(folder));
	folder_fd = open(folder, O_RDONLY | O_DIRECTORY);
	assert_true(folder_fd >= 0);
}

static void folder_close(void)
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

static void open_all(void **state)
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

static void session_close(uint32_t n)
{
	channel_close(&sessions[n].channel);
	(void)munmap((void *)(uintptr_t)sessions[n].view.page, sizeof(struct arbiter_page));
	(void)munmap(sessions[n].view.own, sizeof(struct arbiter_own));
	fd_close(&sessions[n].own_fd);
}

static void close_all(int status)
{
	channel_close(&monitor);
	assert_int_equal(status_of(), status);
	for (uint32_t n = 1; n <= SESSIONS; n++)
		session_close(n);
	fd_close(&page_fd);
	folder_close();
}

static void reset(uint32_t n, uint32_t id)
{
	struct arbiter_exclude body = {.id = id, .luns = {1}};

	arbiter_view_ask(&sessions[n].view, body.luns);
	assert_int_equal(CHANNEL_SEND(&sessions[n].channel, ARBITER_EXCLUDE, &body), 0);
}

static void expect_done(uint32_t n, uint32_t id)
{
	struct arbiter_done done;

	expect(&sessions[n].channel, ARBITER_DONE, &done, sizeof done);
	assert_int_equal(done.id, id);
}

static void expect_kill(uint32_t n, enum arbiter_blame blame)
{
	struct arbiter_kill kill;

	expect(&monitor, ARBITER_KILL, &kill, sizeof kill);
	assert_int_equal(kill.connection, n);
	assert_int_equal(kill.blame, blame);
}

static int enter(uint32_t n)
{
	int parity;

	assert_true(arbiter_adopt(&sessions[n].view, 0));
	parity = arbiter_enter(&sessions[n].view, 0);
	assert_true(parity >= 0);
	return parity;
}

/* --- the tests --- */

static void drains(void **state)
{
	struct arbiter_view *v = &sessions[2].view;
	struct arbiter_event e;
	int parity;

	open_all(state);
	parity = enter(2);
	reset(1, 41);
	expect(&sessions[2].channel, ARBITER_CHANGED, NULL, 0);
	assert_true(arbiter_moved(v));
	assert_true(arbiter_event_next(v, 0, &e));
	arbiter_leave(v, 0, parity);
	assert_int_equal(v->settled, 1);
	assert_int_equal(channel_send(&sessions[2].channel, ARBITER_SETTLED, NULL, 0, NULL, 0), 0);
	expect(&sessions[1].channel, ARBITER_CHANGED, NULL, 0);
	expect_done(1, 41);
	assert_true(arbiter_event_next(&sessions[1].view, 0, &e));
	close_all(0);
}

static void dies_in_flight(void **state)
{
	open_all(state);
	(void)enter(2);
	channel_close(&sessions[2].channel); /* its process is gone, its I/O is not */
	reset(1, 42);
	expect(&sessions[1].channel, ARBITER_CHANGED, NULL, 0);
	over(2);
	expect_done(1, 42);
	close_all(0);
}

static void send_raw(uint32_t n, uint32_t type, size_t size, int fd)
{
	static const uint8_t body[CHANNEL_BODY_MAX];

	IGNORE_RESULT(channel_send(&sessions[n].channel, type, body, size, &fd, fd >= 0));
}

static void flood_of_requests(void)
{
	struct arbiter_exclude body = {.id = 1, .luns = {1}};

	for (unsigned k = 0; k < 10000; k++) {
		if (CHANNEL_SEND(&sessions[3].channel, ARBITER_EXCLUDE, &body) == -EPIPE)
			return;
	}
}

static void greets_twice(void)
{
	struct arbiter_hello hello = {.life = 1};

	IGNORE_RESULT(CHANNEL_SEND(&sessions[3].channel, ARBITER_HELLO, &hello));
}

static void too_short(void)
{
	send_raw(3, ARBITER_EXCLUDE, sizeof(struct arbiter_exclude) - 1, -1);
}

static void passes_a_descriptor(void)
{
	send_raw(3, ARBITER_SETTLED, 0, 2);
}

static void unknown_type(void)
{
	send_raw(3, 31, 0, -1);
}

static void speaks_as_the_monitor(void)
{
	send_raw(3, ARBITER_OVER, sizeof(struct arbiter_over), -1);
}

static const struct {
	const char *why;
	void (*run)(void);
} attacks[] = {
	{"P6: a session that floods it with requests is ended", flood_of_requests},
	{"P6: a session that greets twice is ended", greets_twice},
	{"P6: a session whose message is too short is ended", too_short},
	{"P6: a session that passes a descriptor is ended", passes_a_descriptor},
	{"P6: a session with an unknown message is ended", unknown_type},
	{"P6: a session that speaks as the monitor is ended", speaks_as_the_monitor},
};

static void attack(void **state)
{
	int parity;

	open_all(NULL);
	/* so that requests wait, and a second one is one too many */
	parity = enter(2);
	((const __typeof__(attacks[0]) *)*state)->run();
	expect_kill(3, ARBITER_BROKE_CHANNEL);
	expect_end(&sessions[3].channel);
	over(3);
	arbiter_leave(&sessions[2].view, 0, parity);
	reset(1, 43); /* the others have an arbiter as before */
	while (true) {
		struct pollfd p = {sessions[1].channel.fd, POLLIN, 0};
		struct message m;

		assert_int_equal(poll(&p, 1, WAIT_MS), 1);
		assert_int_equal(channel_receive(&sessions[1].channel, &m), 1);
		if (m.type == ARBITER_DONE)
			break;
	}
	close_all(0);
}

static void never_reads(void **state)
{
	struct arbiter_event e;
	open_all(state);
	/* session 3 reads nothing: its channel fills up, and nobody waits for it */
	for (uint32_t k = 0; k < 1000; k++) {
		reset(1, k);
		expect(&sessions[1].channel, ARBITER_CHANGED, NULL, 0);
		expect_done(1, k);
	}
	assert_true(arbiter_moved(&sessions[3].view));
	assert_true(arbiter_event_next(&sessions[3].view, 0, &e));
	close_all(0);
}

static void many(void **state)
{
	struct arbiter_attach info = {.connection = 2, .disks = {1}};
	struct arbiter_attached attached;
	int pair[2], fds[2];

	open_all(state);
	assert_int_equal(channel_pair(pair), 0);
	fds[0] = pair[1];
	fds[1] = sessions[2].own_fd;
	assert_int_equal(channel_send(&monitor, ARBITER_ATTACH, &info, sizeof info, fds, 2), 0);
	expect(&monitor, ARBITER_ATTACHED, &attached, sizeof attached);
	assert_int_equal(attached.error, EINVAL); /* a connection a second time */
	info.connection = 4;
	fds[1] = pair[0]; /* no memory at all */
	assert_int_equal(channel_send(&monitor, ARBITER_ATTACH, &info, sizeof info, fds, 2), 0);
	expect(&monitor, ARBITER_ATTACHED, &attached, sizeof attached);
	assert_int_equal(attached.error, EINVAL);
	(void)close(pair[0]);
	(void)close(pair[1]);
	over(17); /* nobody */
	reset(1, 1);
	expect(&sessions[1].channel, ARBITER_CHANGED, NULL, 0);
	expect_done(1, 1);
	close_all(0);
}

/* --- deaths --- */

static void go(void)
{
	assert_int_equal(channel_send(&monitor, ARBITER_GO, NULL, 0, NULL, 0), 0);
}

/* The arbiter is killed; another begins. */
static void next(uint32_t life, uint8_t run)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(status_of(), 128 + SIGKILL);
	channel_close(&monitor);
	if (life == 1) {
		fd_close(&page_fd);
		page_fd = memfd_shared("page", sizeof(struct arbiter_page));
	}
	start();
	begin(life, run);
}

static void order(uint32_t n, uint32_t id, enum order_kind kind, uint32_t at)
{
	struct arbiter_order body = {.id = id, .kind = (uint8_t)kind, .at = at};
	struct arbiter_answer answer = {0};
	struct message m = {0};

	assert_int_equal(CHANNEL_SEND(&sessions[n].channel, ARBITER_ORDER, &body), 0);
	while (m.type != ARBITER_ANSWER) {
		struct pollfd p = {sessions[n].channel.fd, POLLIN, 0};

		assert_int_equal(poll(&p, 1, WAIT_MS), 1);
		assert_int_equal(channel_receive(&sessions[n].channel, &m), 1);
	}
	memcpy(&answer, m.body, sizeof answer);
	assert_int_equal(answer.id, id);
	assert_int_equal(answer.status, 0);
}

static struct arbiter_state state_of(void)
{
	struct arbiter_state state;
	off_t at = offsetof(struct arbiter_page, disks[0].state);

	assert_int_equal(pread(page_fd, &state, sizeof state, at), sizeof state);
	return state;
}

static uint32_t summarised(void)
{
	struct arbiter_summary summary;

	expect(&monitor, ARBITER_SUMMARY, &summary, sizeof summary);
	assert_int_equal(summary.disk, 0);
	return summary.failed;
}

static void dies_in_a_run(void **state)
{
	open_all(state);
	order(1, 7, ORDER_RESERVE, 0);
	assert_int_equal(state_of().reservation, RESERVATION_RESERVE_6);
	assert_int_equal(summarised(), 0);
	next(2, 1);
	assert_int_equal(state_of().reservation, RESERVATION_RESERVE_6);
	assert_int_equal(summarised(), 0);
	for (uint32_t n = 1; n <= SESSIONS; n++) {
		session_close(n);
		attach(n, true);
	}
	go();
	order(1, 7, ORDER_RESERVE, 0); /* whose answer was lost */
	order(1, 8, ORDER_RELEASE, 0);
	assert_int_equal(summarised(), 0);
	next(1, 2);
	assert_int_equal(state_of().reservation, RESERVATION_NONE);
	close_all(0);
}

static void run_ends(void **state)
{
	open_all(state);
	order(1, 7, ORDER_RESERVE, 0);
	assert_int_equal(summarised(), 0);
	order(1, 8, ORDER_FAILED, EIO);
	assert_int_equal(summarised(), EIO);
	next(1, 2);
	assert_int_equal(state_of().reservation, RESERVATION_NONE);
	assert_int_equal(state_of().failed, EIO);
	assert_int_equal(summarised(), EIO);
	close_all(0);
}

static void clear(bool forget, uint32_t want)
{
	struct arbiter_clear body = {.disk = 0, .forget = forget};
	struct arbiter_cleared cleared;

	assert_int_equal(CHANNEL_SEND(&monitor, ARBITER_CLEAR, &body), 0);
	if (want == 0)
		assert_int_equal(summarised(), 0);
	expect(&monitor, ARBITER_CLEARED, &cleared, sizeof cleared);
	assert_int_equal(cleared.error, want);
}

static void journal_damaged(void **state)
{
	int fd;

	open_all(state);
	order(1, 8, ORDER_FAILED, EIO);
	assert_int_equal(summarised(), EIO);
	fd = openat(folder_fd, FIRST_SERIAL ".lasting", O_WRONLY);
	assert_int_equal(pwrite(fd, "damage", 6, 100), 6);
	(void)close(fd);
	for (uint8_t run = 2; run < 4; run++) { /* it does not heal */
		next(1, run);
		assert_int_equal(summarised(), EBADMSG);
		assert_int_equal(state_of().failed, EBADMSG);
		go();
		clear(false, EBADMSG);
	}
	clear(true, 0);
	next(1, 4);
	assert_int_equal(state_of().failed, 0);
	close_all(0);
}

/* What it said is known, and what is asked for goes on. */
static void damaged_meanwhile(void **state)
{
	int fd;

	open_all(state);
	order(1, 8, ORDER_FAILED, EIO);
	assert_int_equal(summarised(), EIO);
	fd = openat(folder_fd, FIRST_SERIAL ".lasting", O_WRONLY);
	assert_int_equal(pwrite(fd, "damage", 6, 100), 6);
	(void)close(fd);
	clear(false, 0);
	order(1, 9, ORDER_FAILED, ESTALE);
	assert_int_equal(summarised(), ESTALE);
	next(1, 2);
	assert_int_equal(state_of().failed, ESTALE);
	close_all(0);
}

static void no_room(void **state)
{
	struct arbiter_trouble trouble;

	open_all(state);
	assert_int_equal(mkdirat(folder_fd, FIRST_SERIAL ".run.new", 0700), 0);
	reset(1, 4);
	expect(&monitor, ARBITER_TROUBLE, &trouble, sizeof trouble);
	assert_true(trouble.error != 0);
	assert_int_equal(unlinkat(folder_fd, FIRST_SERIAL ".run.new", AT_REMOVEDIR), 0);
	expect(&monitor, ARBITER_TROUBLE, &trouble, sizeof trouble); /* it tries again by itself */
	assert_int_equal(trouble.error, 0);
	close_all(0);
}

int main(void)
{
	static struct tests t;

	tests_add(&t, "a reset is answered when the others have drained", drains, NULL);
	tests_add(&t, "P4: a session that dies in flight is awaited until it is over",
		  dies_in_flight, NULL);
	TESTS_ADD_TABLE(&t, attacks, attack);
	tests_add(&t, "P6: a session that never reads keeps nobody waiting", never_reads, NULL);
	tests_add(&t, "what can't be attached is refused, and nothing else", many, NULL);
	tests_add(&t, "P4: kill -9 of the arbiter ends no reservation", dies_in_a_run, NULL);
	tests_add(&t, "P4: a failed disk is failed in the next run", run_ends, NULL);
	tests_add(&t, "P4: a damaged journal refuses its disk until it is told to forget",
		  journal_damaged, NULL);
	tests_add(&t, "P4: a journal that is damaged in a run is written anew", damaged_meanwhile,
		  NULL);
	tests_add(&t, "a journal that can't be written is told of, and tried again", no_room, NULL);
	return tests_run(&t, "arbiter");
}
