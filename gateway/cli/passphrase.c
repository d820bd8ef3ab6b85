/* Where a passphrase comes from, on the command line and when the gateway starts. It goes
 * into locked memory of the caller's and nowhere else. */
#include "gateway/cli/passphrase.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>
#include "auth/key_wrap.h"
#include "gateway/base/bytes.h"
#include "gateway/cli/prompt.h"

#define MOST   (PASSPHRASE_MAX + 2) /* a newline, and one octet too many */
#define AGENT  "/usr/bin/systemd-ask-password"
#define BOOTED "/run/systemd/system"

static ssize_t from_descriptor(const char *text, uint8_t *ret)
{
	uint64_t number;
	int fd;
	ssize_t n;

	if (number_parse(text, 0, INT32_MAX, &number) < 0)
		return -EBADF;
	fd = (int)number;
	n = prompt_read(fd, ret, MOST);
	(void)close(fd);
	return n;
}

/* stdin may be something else, such as the secret that is set. */
static ssize_t from_terminal(const struct passphrase_ask *ask, uint8_t *ret)
{
	struct prompt p = {STDIN_FILENO, ask->text, ask->repeat, MOST};
	OWNED_FD terminal = -1;

	if (isatty(STDIN_FILENO) != 1) {
		terminal = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
		if (terminal < 0)
			return -ENXIO;
		p.fd = terminal;
	}
	return prompt_ask(&p, ret);
}

static NORETURN void agent_run(int out, const char *text)
{
	static char *const no_environment[] = {NULL};
	char *const argv[] = {AGENT, "--timeout=90", (char *)(uintptr_t)text, NULL};

	if (dup2(out, STDOUT_FILENO) >= 0)
		(void)execve(AGENT, argv, no_environment);
	_exit(127);
}

/* Whoever answers (at the console, by systemd-tty-ask-password-agent) is root's choice. */
static ssize_t from_agent(const struct passphrase_ask *ask, uint8_t *ret)
{
	int ends[2], status = 0;
	ssize_t n;
	pid_t pid;

	if (!ask->agent || geteuid() != 0 || access(BOOTED, F_OK) < 0 || access(AGENT, X_OK) < 0)
		return -ENXIO;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid == 0)
		agent_run(ends[1], ask->text);
	(void)close(ends[1]);
	n = pid < 0 ? -EAGAIN : prompt_read(ends[0], ret, MOST);
	(void)close(ends[0]);
	if (pid > 0 && (waitpid(pid, &status, 0) != pid || status != 0))
		n = -ECANCELED;
	return n;
}

static ssize_t from_anywhere(const struct passphrase_ask *ask, uint8_t *ret)
{
	ssize_t n;

	if (ask->fd)
		return from_descriptor(ask->fd, ret);
	n = from_terminal(ask, ret);
	return n == -ENXIO ? from_agent(ask, ret) : n;
}

ssize_t passphrase_get(const struct passphrase_ask *ask, uint8_t *ret, char *ret_why,
		       size_t why_size)
{
	ssize_t n = from_anywhere(ask, ret);

	if (n > 0 && ret[n - 1] == '\n')
		n--;
	if (n >= PASSPHRASE_MIN && n <= PASSPHRASE_MAX)
		return n;
	if (n == -EBADMSG)
		(void)snprintf(ret_why, why_size, "the two passphrases differ");
	else if (n == -ENXIO)
		(void)snprintf(ret_why, why_size,
			       "the key of the secrets is under a passphrase, and there is nobody "
			       "to ask: give it with --passphrase-fd, or run this at a terminal");
	else if (n < 0)
		(void)snprintf(ret_why, why_size, "the passphrase can't be read: %s",
			       strerror((int)-n));
	else
		(void)snprintf(ret_why, why_size, "a passphrase has %d to %d octets",
			       PASSPHRASE_MIN, PASSPHRASE_MAX);
	return n < 0 ? n : -EINVAL;
}
