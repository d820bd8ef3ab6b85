/* The monitor's watch over the arbiter: one that hangs is ended, so that it is started again; one
 * that answers is not, however often it is asked. */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include "gateway/base/fd.h"
#include "gateway/monitor/monitor.h"
#include "tests/unit/test.h"

static struct monitor *m;
static struct helper *arbiter;
static struct channel theirs;

static int begin(void **state)
{
	int fds[2];

	(void)state;
	m = calloc(1, sizeof *m);
	if (m == NULL || channel_pair(fds) < 0)
		return -1;
	arbiter = &m->helpers[HELPER_ARBITER];
	arbiter->m = m;
	arbiter->kind = HELPER_ARBITER;
	arbiter->ready = true;
	m->helpers[HELPER_AUDITOR].m = m;
	channel_open(&arbiter->channel, fds[0], arbiter_outbox, arbiter_outbox_len);
	channel_open(&theirs, fds[1], arbiter_inbox, arbiter_inbox_len);
	arbiter->messages.fd = fds[0];
	arbiter->pid = fork();
	if (arbiter->pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (true)
			(void)pause();
	}
	return arbiter->pid < 0;
}

static void end(void)
{
	(void)kill(arbiter->pid, SIGKILL);
	(void)waitpid(arbiter->pid, NULL, 0);
	channel_close(&arbiter->channel);
	channel_close(&theirs);
	free(m);
}

static bool is_alive(void)
{
	siginfo_t info = {0};

	return waitid(P_PID, (id_t)arbiter->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	       info.si_pid == 0;
}

static void stopped(bool ready, unsigned beats)
{
	siginfo_t info = {0};

	assert_int_equal(begin(NULL), 0);
	arbiter->ready = ready;
	assert_int_equal(kill(arbiter->pid, SIGSTOP), 0);
	assert_int_equal(waitid(P_PID, (id_t)arbiter->pid, &info, WSTOPPED), 0);
	for (unsigned k = 0; k < beats; k++)
		arbiter_beat(m);
	assert_true(is_alive());
	arbiter_beat(m);
	assert_int_equal(waitid(P_PID, (id_t)arbiter->pid, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(info.si_status, SIGKILL);
	end();
}

static void hangs(void **state)
{
	(void)state;
	stopped(true, 10);
}

static void hangs_at_first(void **state)
{
	(void)state;
	stopped(false, 60);
}

static void answers(void **state)
{
	struct message msg;

	assert_int_equal(begin(state), 0);
	for (unsigned k = 0; k < 100; k++) {
		arbiter_beat(m);
		assert_int_equal(channel_receive(&theirs, &msg), 1);
		assert_int_equal(msg.type, ARBITER_BEAT);
		if (k % 10 == 9) /* seldom enough */
			assert_int_equal(channel_send(&theirs, ARBITER_ALIVE, NULL, 0, NULL, 0), 0);
	}
	assert_true(is_alive());
	end();
}

/* What it writes may take a slow disk long; that it did, it says with the next word. */
static void writes(void **state)
{
	siginfo_t info = {0};

	assert_int_equal(begin(state), 0);
	assert_int_equal(channel_send(&theirs, ARBITER_KEEPS, NULL, 0, NULL, 0), 0);
	for (unsigned k = 0; k < 120; k++)
		arbiter_beat(m);
	assert_true(is_alive());
	end();
	assert_int_equal(begin(state), 0);
	assert_int_equal(channel_send(&theirs, ARBITER_KEEPS, NULL, 0, NULL, 0), 0);
	assert_int_equal(channel_send(&theirs, ARBITER_ALIVE, NULL, 0, NULL, 0), 0);
	for (unsigned k = 0; k < 11; k++)
		arbiter_beat(m);
	assert_int_equal(waitid(P_PID, (id_t)arbiter->pid, &info, WEXITED | WNOWAIT), 0);
	end();
}

static void while_stopping(void **state)
{
	assert_int_equal(begin(state), 0);
	m->stopping = true;
	for (unsigned k = 0; k < 100; k++)
		arbiter_beat(m);
	assert_true(is_alive());
	end();
}

int main(void)
{
	static struct tests t;

	tests_add(&t, "P4: an arbiter that is stopped is ended after ten seconds", hangs, NULL);
	tests_add(&t, "P4: … also before it is ready, if later", hangs_at_first, NULL);
	tests_add(&t, "an arbiter that answers goes on", answers, NULL);
	tests_add(&t, "P4: an arbiter whose disk is slow is given time to write", writes, NULL);
	tests_add(&t, "who stops waits for its helpers elsewhere", while_stopping, NULL);
	return tests_run(&t, "monitor");
}
