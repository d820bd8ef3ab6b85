/* Reads secrets from a terminal, without echo, or from a pipe. Into memory of the
 * caller's alone: nothing passes through stdio, whose buffers nobody wipes. */
#include "gateway/cli/prompt.h"

#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <termios.h>

static volatile sig_atomic_t interrupted;

static void on_signal(int signal_number)
{
	(void)signal_number;
	interrupted = 1;
}

/* Signals are blocked but while it waits here, so that none is lost between prompt and read(). */
static bool line_wait(int fd, const sigset_t *unblocked)
{
	struct pollfd p = {fd, POLLIN, 0};
	int r;

	do
		r = ppoll(&p, 1, NULL, unblocked);
	while (r < 0 && errno == EINTR && !interrupted);
	return r > 0 && !interrupted;
}

/* Reads to the end, or to a terminal's end of line (`unblocked` is set), or until `size` octets are
 * there. */
static ssize_t input_read(int fd, uint8_t *bytes, size_t size, const sigset_t *unblocked)
{
	size_t len = 0;

	while (len < size && !(unblocked && len > 0 && bytes[len - 1] == '\n')) {
		ssize_t n;

		if (unblocked && !line_wait(fd, unblocked))
			return -EINTR;
		n = read(fd, bytes + len, size - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

ssize_t prompt_read(int fd, uint8_t *bytes, size_t most)
{
	return input_read(fd, bytes, most, NULL);
}

struct terminal {
	int fd;
	struct termios shown;
	sigset_t unblocked;
	struct sigaction before[5];
};

static const int terminal_signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};

static int terminal_begin(struct terminal *t)
{
	const struct sigaction act = {.sa_handler = on_signal};
	struct termios hidden;
	sigset_t blocked;

	_Static_assert(ARRAY_LEN(terminal_signals) == ARRAY_LEN(t->before), "one each");
	sigemptyset(&blocked);
	for (size_t i = 0; i < ARRAY_LEN(terminal_signals); i++)
		sigaddset(&blocked, terminal_signals[i]);
	(void)sigprocmask(SIG_BLOCK, &blocked, &t->unblocked);
	for (size_t i = 0; i < ARRAY_LEN(terminal_signals); i++)
		(void)sigaction(terminal_signals[i], &act, &t->before[i]);
	hidden = t->shown;
	hidden.c_lflag &= ~(tcflag_t)ECHO;
	return tcsetattr(t->fd, TCSAFLUSH, &hidden) < 0 ? -errno : 0;
}

static void terminal_end(const struct terminal *t)
{
	(void)tcsetattr(t->fd, TCSAFLUSH, &t->shown);
	(void)sigprocmask(SIG_SETMASK, &t->unblocked, NULL);
	for (size_t i = 0; i < ARRAY_LEN(terminal_signals); i++)
		(void)sigaction(terminal_signals[i], &t->before[i], NULL);
}

static ssize_t line_ask(const struct terminal *t, const char *text, uint8_t *bytes, size_t most)
{
	ssize_t n;

	fprintf(stderr, "%s", text);
	fflush(stderr);
	n = input_read(t->fd, bytes, most, &t->unblocked);
	fprintf(stderr, "\n");
	return n;
}

ssize_t prompt_ask(const struct prompt *p, uint8_t *bytes)
{
	struct terminal t = {.fd = p->fd};
	ssize_t n = 0, again = 0;
	int r;

	if (tcgetattr(p->fd, &t.shown) < 0)
		return -errno;
	interrupted = 0;
	r = terminal_begin(&t);
	if (r == 0)
		n = line_ask(&t, p->text, bytes, p->most);
	if (r == 0 && n > 0 && p->repeat)
		again = line_ask(&t, p->repeat, bytes + p->most, p->most);
	terminal_end(&t);
	if (r < 0 || n < 0 || again < 0 || interrupted)
		return r < 0 ? r : -EINTR;
	if (p->repeat && n > 0 &&
	    (n != again || sodium_memcmp(bytes, bytes + p->most, (size_t)n) != 0))
		return -EBADMSG;
	return n;
}
