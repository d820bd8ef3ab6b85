/* The writer of an export to a syslog server or the journal. Connects, sends, connects again; a
 * message is done with when the receiver's TCP acknowledged it, or its socket took it. Reads
 * nothing from the receiver. */
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/un.h>
#include "gateway/base/clock.h"
#include "gateway/base/fd.h"
#include "gateway/cli/export_window.h"

#define BACKOFF_FIRST_MS 100
#define BACKOFF_MOST_MS	 30000
#define GIVE_UP_MS	 30000 /* without --follow, and at the end */
#define COMMIT_MS	 1000
#define LOOK_MS		 100	/* how often it is asked what was acknowledged */
#define IDLE_MS		 1000	/* a signal just before a wait is seen so much later */
#define LOOK_FULL_MS	 5	/* the same while nothing more fits */
#define SILENT_MS	 30000u /* a receiver that acknowledges nothing is gone */

struct sender {
	const struct export_plan *plan;
	struct export_pipe *pipe;
	struct window *window;
	int fd; /* -1: none */
	bool connecting, datagrams, told;
	uint64_t retry_ms, backoff_ms; /* when to connect again */
	uint64_t moved_ms;	       /* when something was acknowledged last, or asked for */
	uint64_t commit_ms;	       /* when the next checkpoint is due */
	struct export_position noted;
	bool ended;
	uint32_t status;
};

/* --- where to ------------------------------------------------------------------------------- */

#define JOURNAL_SOCKET "/run/systemd/journal/socket"
#define DESTINATIONS   "syslog:tcp:HOST:PORT, syslog:unix:/PATH, journal or journal:/PATH"

static int unix_address(struct export_plan *plan, const char *path)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};

	if (path[0] != '/' || !string_copy(sun.sun_path, sizeof sun.sun_path, path))
		return cli_usage(plan->cli,
				 "--to %s: give the whole path of a socket, at most %zu "
				 "octets",
				 plan->to, sizeof sun.sun_path - 1);
	memcpy(&plan->address, &sun, sizeof sun);
	plan->address_len = sizeof sun;
	return EXIT_DONE;
}

/* Asked once, before the door is closed: the address stays while the export runs. */
static int host_address(struct export_plan *plan, const char *text)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;
	const char *colon = strrchr(text, ':');
	char host[256];
	size_t len = colon ? (size_t)(colon - text) : 0;
	bool brackets = len > 2 && text[0] == '[' && text[len - 1] == ']';
	uint64_t port;
	int e;

	if (!colon || len == 0 || len >= sizeof host ||
	    number_parse(colon + 1, 1, 65535, &port) < 0)
		return cli_usage(plan->cli, "--to %s: give one of " DESTINATIONS, plan->to);
	(void)snprintf(host, sizeof host, "%.*s", (int)len - 2 * brackets, text + brackets);
	e = getaddrinfo(host, colon + 1, &hints, &found);
	if (e != 0)
		return cli_cannot(plan->cli, "--to %s: %s: %s", plan->to, host, gai_strerror(e));
	memcpy(&plan->address, found->ai_addr, found->ai_addrlen);
	plan->address_len = found->ai_addrlen;
	freeaddrinfo(found);
	plan->tcp = true;
	return EXIT_DONE;
}

int export_destination(struct export_plan *plan)
{
	static const struct {
		const char *start;
		enum export_way way;
		int (*parse)(struct export_plan *plan, const char *rest);
	} kinds[] = {
		{"syslog:tcp:", WAY_SYSLOG, host_address},
		{"syslog:unix:", WAY_SYSLOG, unix_address},
		{"journal:", WAY_JOURNAL, unix_address},
	};

	string_copy(plan->place, sizeof plan->place, plan->to);
	if (strcmp(plan->to, "journal") == 0) {
		plan->way = WAY_JOURNAL;
		return unix_address(plan, JOURNAL_SOCKET);
	}
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		size_t len = strlen(kinds[i].start);

		if (strncmp(plan->to, kinds[i].start, len) != 0)
			continue;
		plan->way = kinds[i].way;
		return kinds[i].parse(plan, plan->to + len);
	}
	return cli_usage(plan->cli, "--to %s: give one of " DESTINATIONS, plan->to);
}

/* --- the connection ------------------------------------------------------------------------- */

static void lost(struct sender *s, int e)
{
	if (!s->told)
		(void)fprintf(stderr, "sallyport %s: %s: %s; trying again\n",
			      s->plan->cli->command->name, s->plan->to, strerror(e));
	s->told = true;
	fd_close(&s->fd);
	s->connecting = false;
	window_again(s->window);
	s->backoff_ms = s->backoff_ms ? MIN(s->backoff_ms * 2, BACKOFF_MOST_MS) : BACKOFF_FIRST_MS;
	s->retry_ms = clock_ms() + s->backoff_ms;
}

static void connected(struct sender *s)
{
	s->connecting = false;
	if (s->told)
		(void)fprintf(stderr, "sallyport %s: %s: connected\n", s->plan->cli->command->name,
			      s->plan->to);
	s->told = false;
}

static int socket_open(struct sender *s, int type)
{
	static const unsigned silent = SILENT_MS;
	int e;

	s->fd = socket(s->plan->address.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		return -errno;
	if (s->plan->tcp &&
	    setsockopt(s->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &silent, sizeof silent) < 0)
		return -errno;
	e = connect(s->fd, (const struct sockaddr *)&s->plan->address, s->plan->address_len);
	return e < 0 ? -errno : 0;
}

/* A Unix socket may be of either kind. */
static void open_connection(struct sender *s)
{
	int e;

	s->datagrams = s->plan->way == WAY_JOURNAL;
	e = socket_open(s, s->datagrams ? SOCK_DGRAM : SOCK_STREAM);
	if (e == -EPROTOTYPE && !s->datagrams && !s->plan->tcp) {
		fd_close(&s->fd);
		s->datagrams = true;
		e = socket_open(s, SOCK_DGRAM);
	}
	if (e == -EINPROGRESS)
		s->connecting = true;
	else if (e < 0)
		lost(s, -e);
	else
		connected(s);
}

static void connection_made(struct sender *s)
{
	int error = 0;
	socklen_t len = sizeof error;

	if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (error)
		lost(s, error);
	else
		connected(s);
}

static void send_some(struct sender *s)
{
	const uint8_t *bytes;
	size_t len;

	while (s->fd >= 0 && (len = window_next(s->window, s->datagrams, &bytes)) > 0) {
		ssize_t n = send(s->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0)
			lost(s, errno);
		else
			window_sent(s->window, (size_t)n);
	}
}

/* TCP counts octets that were not acknowledged; a Unix stream tells whether all were read. A
 * datagram that was taken is in the receiver's hands. */
static void look(struct sender *s)
{
	size_t before = s->window->count;
	int outstanding = 0;

	if (s->fd < 0 || s->connecting || before == 0)
		return;
	if (!s->datagrams && ioctl(s->fd, TIOCOUTQ, &outstanding) < 0)
		return;
	if (!s->plan->tcp && outstanding > 0)
		return;
	window_acknowledged(s->window, (size_t)outstanding);
	if (s->window->count < before) {
		s->moved_ms = clock_ms();
		s->backoff_ms = 0;
	}
}

/* The receiver has nothing to say; the end of its stream, or an error, is the end of it. */
static void hear(struct sender *s, short ready)
{
	char octets[256];
	ssize_t n;

	if (s->fd < 0 || !(ready & (POLLIN | POLLERR | POLLHUP)))
		return;
	n = recv(s->fd, octets, sizeof octets, MSG_DONTWAIT);
	if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
		return;
	if (n == 0 && s->datagrams)
		return;
	look(s);
	lost(s, n == 0 ? ECONNRESET : errno);
}

/* --- the loop ------------------------------------------------------------------------------- */

static int take_items(struct sender *s)
{
	bool framed = s->plan->way == WAY_SYSLOG && !s->datagrams;
	struct export_item item;
	const uint8_t *text;
	int got = 0;

	while (!s->ended && window_has_room(s->window) &&
	       (got = export_pipe_next(s->pipe, &item, &text)) > 0) {
		if (item.octets > EXPORT_MESSAGE_MAX)
			return -EPROTO;
		if (item.kind != ITEM_END || item.status != EXIT_CANNOT)
			window_add(s->window, &item, text, framed);
		s->ended = item.kind == ITEM_END;
		s->status = item.status;
	}
	return got;
}

static int commit(struct sender *s, bool now)
{
	int e;

	if (memcmp(&s->window->at, &s->noted, sizeof s->noted) == 0 ||
	    (!now && clock_ms() < s->commit_ms))
		return 0;
	e = export_checkpoint_put(s->plan, &s->window->at, 0);
	s->noted = s->window->at;
	s->commit_ms = clock_ms() + COMMIT_MS;
	return e;
}

static int wait_ms(const struct sender *s)
{
	if (s->fd < 0)
		return (int)(s->retry_ms - MIN(s->retry_ms, clock_ms())) + 1;
	if (!window_has_room(s->window))
		return LOOK_FULL_MS;
	return s->window->count > 0 || memcmp(&s->window->at, &s->noted, sizeof s->noted) != 0
		       ? LOOK_MS
		       : IDLE_MS;
}

/* From the pipe through the window to the socket, as far as it goes. */
static int move(struct sender *s)
{
	bool full;
	int e;

	do {
		if ((e = take_items(s)) < 0)
			return e;
		full = !window_has_room(s->window);
		send_some(s);
		look(s);
	} while (full && window_has_room(s->window) && s->fd >= 0);
	return 0;
}

static bool is_connected(const struct sender *s)
{
	return s->fd >= 0 && !s->connecting;
}

static int turn(struct sender *s)
{
	struct pollfd p[2] = {{.fd = -1}, {.fd = s->fd, .events = POLLIN}};
	const uint8_t *bytes;
	int e = 0;

	if (is_connected(s) && !s->ended && !s->pipe->over && window_has_room(s->window))
		p[0] = (struct pollfd){.fd = s->pipe->fd, .events = POLLIN};
	if (s->connecting || window_next(s->window, false, &bytes) > 0)
		p[1].events |= POLLOUT;
	if (poll(p, 2, wait_ms(s)) < 0 && errno != EINTR)
		return -errno;
	if (s->fd < 0 && clock_ms() >= s->retry_ms)
		open_connection(s);
	else if (s->connecting && p[1].revents)
		connection_made(s);
	else
		hear(s, p[1].revents);
	if (p[0].revents)
		e = export_pipe_fill(s->pipe);
	if (e == 0 && is_connected(s))
		e = move(s);
	return e < 0 ? e : commit(s, false);
}

static bool is_done(const struct sender *s)
{
	return (s->ended || s->pipe->over) && s->window->count == 0;
}

/* One that was not asked to follow, or was asked to end, does not wait for ever. */
static bool gave_up(const struct sender *s)
{
	bool patient = s->plan->follow && !export_stopped();

	return !patient && s->window->count > 0 && clock_ms() - s->moved_ms > GIVE_UP_MS;
}

static int end(struct sender *s, int e)
{
	look(s);
	if (e == 0)
		e = commit(s, true);
	fd_close(&s->fd);
	if (e < 0)
		return cli_cannot(s->plan->cli, "%s: %s", s->plan->to, strerror(-e));
	if (s->window->count > 0 && !export_stopped())
		return cli_cannot(s->plan->cli,
				  "%s took nothing for %d seconds; what it did not take is not "
				  "behind the checkpoint",
				  s->plan->to, GIVE_UP_MS / 1000);
	if (export_stopped())
		return EXIT_DONE;
	return s->ended ? (int)s->status : EXIT_CANNOT;
}

int export_to_socket(struct export_plan *plan, struct export_pipe *p)
{
	struct sender s = {.plan = plan, .pipe = p, .fd = -1, .noted = plan->from};
	int e = 0, status;

	s.window = calloc(1, sizeof *s.window);
	if (!s.window)
		return cli_cannot(plan->cli, "no memory");
	s.window->at = plan->from;
	s.moved_ms = clock_ms();
	status = export_confine(plan, plan->exports_fd);
	if (status == EXIT_DONE) {
		while (e == 0 && !is_done(&s) && !gave_up(&s) && !export_stopped())
			e = turn(&s);
		status = end(&s, e);
	}
	free(s.window);
	return status;
}
