/* Runs nft, the one program that loads our script: as a child, with the script as its
 * input, for a bounded time. Runs in the firewall process. What nft says is cut and
 * escaped. */
#include "policy/firewall_nft.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include "gateway/base/clock.h"
#include "gateway/base/log.h"

#define NFT_DEADLINE_MS 10000
#define NFT_WORDS_MAX	1024

/* Never through PATH. */
static const char *const nft_paths[] = {"/usr/sbin/nft", "/sbin/nft"};

const char *nft_find(void)
{
	for (size_t i = 0; i < ARRAY_LEN(nft_paths); i++)
		if (access(nft_paths[i], X_OK) == 0)
			return nft_paths[i];
	return NULL;
}

static NORETURN void nft_exec(const char *nft, int script_fd, int words_fd)
{
	char *const arguments[] = {(char *)(uintptr_t) "nft", (char *)(uintptr_t) "-f",
				   (char *)(uintptr_t) "-", NULL};
	char *const environment[] = {NULL};

	if (dup2(script_fd, STDIN_FILENO) >= 0 && dup2(words_fd, STDERR_FILENO) >= 0)
		(void)execve(nft, arguments, environment);
	_exit(127);
}

/* Reads what nft says until it ends; keeps the first NFT_WORDS_MAX octets. False: it took too long.
 */
static bool nft_listen(int words_fd, char words[NFT_WORDS_MAX], size_t *ret_len)
{
	uint64_t until = clock_ms() + NFT_DEADLINE_MS, now;
	char more[512];
	size_t len = 0;

	while ((now = clock_ms()) < until) {
		struct pollfd p = {.fd = words_fd, .events = POLLIN};
		ssize_t n;

		if (poll(&p, 1, (int)(until - now)) <= 0)
			continue; /* a signal, or the end of the time */
		n = read(words_fd, more, sizeof more);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			*ret_len = len;
			return true;
		}
		memcpy(words + len, more, MIN((size_t)n, NFT_WORDS_MAX - len));
		len += MIN((size_t)n, NFT_WORDS_MAX - len);
	}
	*ret_len = len;
	return false;
}

/* The first line of what nft said has the place and the reason. */
static void nft_explain(int status, const char *words, size_t len, char *ret_why, size_t size)
{
	const char *end = len > 0 ? memchr(words, '\n', len) : NULL;

	if (end)
		len = (size_t)(end - words);
	if (len > 0)
		(void)text_escape(words, len, ret_why, size);
	else if (WIFSIGNALED(status))
		(void)snprintf(ret_why, size, "nft was ended by signal %d", WTERMSIG(status));
	else if (WEXITSTATUS(status) == 127)
		(void)snprintf(ret_why, size, "nft could not be started");
	else
		(void)snprintf(ret_why, size, "nft ended with status %d", WEXITSTATUS(status));
}

int nft_run(const char *nft, int script_fd, char *ret_why, size_t size)
{
	char words[NFT_WORDS_MAX];
	OWNED_FD words_in = -1;
	int pipe_fds[2], status = 0;
	size_t len = 0;
	bool ended;
	pid_t pid;

	if (lseek(script_fd, 0, SEEK_SET) < 0 || pipe2(pipe_fds, O_CLOEXEC) < 0) {
		(void)snprintf(ret_why, size, "nft could not be started: %s", strerror(errno));
		return -EIO;
	}
	words_in = pipe_fds[0];
	pid = fork();
	if (pid == 0)
		nft_exec(nft, script_fd, pipe_fds[1]);
	fd_close(&pipe_fds[1]);
	if (pid < 0) {
		(void)snprintf(ret_why, size, "nft could not be started: %s", strerror(errno));
		return -EIO;
	}
	ended = nft_listen(words_in, words, &len);
	if (!ended)
		(void)kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (ended && WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (!ended)
		(void)snprintf(ret_why, size, "nft did not end within %d s",
			       NFT_DEADLINE_MS / 1000);
	else
		nft_explain(status, words, len, ret_why, size);
	return -EIO;
}
