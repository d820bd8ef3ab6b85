/* The client's side of the control socket. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "gateway/cli/ask.h"

#define ANSWER_MAX (64u << 20)
#define WAIT_S	   5
#define AGAIN_US   50000
#define AGAIN_MOST 100

static int control_connect(const char *state_path, int seconds)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	struct timeval wait = {.tv_sec = WAIT_S}, patience = {.tv_sec = seconds};
	OWNED_FD folder = open(state_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	OWNED_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (folder < 0 || fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait); /* connect, too */
	(void)snprintf(sa.sun_path, sizeof sa.sun_path, "/proc/self/fd/%d/control", folder);
	if (connect(fd, (struct sockaddr *)&sa, sizeof sa) < 0)
		return -errno;
	return fd_take(&fd);
}

static int read_all(int fd, char **ret_text, size_t *ret_len)
{
	size_t size = 0, len = 0;
	OWNED_FREE char *text = NULL;

	for (;;) {
		ssize_t n;

		if (size - len < 65536) {
			char *bigger = size < ANSWER_MAX ? realloc(text, size + (1u << 20)) : NULL;

			if (bigger == NULL)
				return -ENOMEM;
			text = bigger;
			size += 1u << 20;
		}
		n = recv(fd, text + len, size - len, 0);
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	*ret_len = len;
	*ret_text = TAKE(text);
	return 0;
}

ssize_t gateway_ask_secret(const char *state_path, const char *request, int seconds,
			   uint8_t *ret_answer, size_t size)
{
	OWNED_FD fd = control_connect(state_path, seconds);
	size_t len = 0;
	ssize_t n = 1;

	if (fd < 0)
		return fd;
	if (send(fd, request, strlen(request), MSG_NOSIGNAL) != (ssize_t)strlen(request))
		return -EIO;
	while (n > 0 && len < size) {
		n = recv(fd, ret_answer + len, size - len, 0);
		len += (size_t)MAX(n, 0);
	}
	return n < 0 ? -errno : (ssize_t)len;
}

json_t *gateway_ask_for(const char *state_path, const char *request, int seconds, int *ret_error)
{
	OWNED_FD fd = control_connect(state_path, seconds);
	OWNED_FREE char *text = NULL;
	size_t len = 0;
	json_t *root;
	int r = fd;

	if (fd >= 0 && send(fd, request, strlen(request), MSG_NOSIGNAL) != (ssize_t)strlen(request))
		r = -EIO;
	if (r >= 0)
		r = read_all(fd, &text, &len);
	if (r < 0) {
		*ret_error = r;
		return NULL;
	}
	root = json_loadb(text, len, 0, NULL);
	*ret_error = root ? 0 : -EPROTO;
	return root;
}

json_t *gateway_ask(const char *state_path, const char *request, int *ret_error)
{
	return gateway_ask_for(state_path, request, WAIT_S, ret_error);
}

/* One after the other: what it takes up now may have been read before our change. */
json_t *gateway_ask_until(const char *state_path, const char *request, int *ret_error)
{
	json_t *root = gateway_ask(state_path, request, ret_error);

	for (int i = 0; i < AGAIN_MOST && json_is_true(json_object_get(root, "again")); i++) {
		json_decref(root);
		(void)usleep(AGAIN_US);
		root = gateway_ask(state_path, request, ret_error);
	}
	return root;
}
