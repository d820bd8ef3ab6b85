/* What `sallyport join` says to who may be the gateway, by way of a process that speaks TLS in a
 * sandbox: this one connects, starts it, proves the code, and takes what comes back for as hostile
 * as the network. Who answers may be anybody: the proof is checked by who called. */
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include "gateway/base/clock.h"
#include "gateway/base/fd.h"
#include "gateway/base/log.h"
#include "gateway/base/process.h"
#include "gateway/cli/join.h"
#include "gateway/cli/join_line.h"

#define CONNECT_MS  10000 /* for each address */
#define PATIENCE_MS 25000 /* for the process, which has a bound of its own */

static const struct message_spec inbox[] = {
	{JOIN_EXPORTER, "exporter", sizeof(struct join_exporter), 0, true},
	{JOIN_ANSWER, "answer", sizeof(struct join_answer), 0, true},
	{JOIN_FAILED, "failed", sizeof(struct join_failed), 0, true},
};

/* --- TCP ------------------------------------------------------------------------------------- */

static int address_connect(const struct addrinfo *a)
{
	OWNED_FD fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int error = 0, r = 0;
	socklen_t len = sizeof error;

	if (fd < 0)
		return -errno;
	if (connect(fd, a->ai_addr, a->ai_addrlen) == 0)
		return fd_take(&fd);
	if (errno != EINPROGRESS)
		return -errno;
	r = join_wait(fd, POLLOUT, clock_ms() + CONNECT_MS);
	if (r == 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error != 0)
		r = -error;
	return r < 0 ? r : fd_take(&fd);
}

static int place_connect(struct join *j)
{
	const struct invitation_code *code = &j->secrets->code;
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *list = NULL;
	char port[8];
	int fd = -EADDRNOTAVAIL, r;

	(void)snprintf(port, sizeof port, "%u", code->port);
	r = getaddrinfo(code->host, port, &hints, &list);
	if (r != 0)
		return why_say(&j->why, -EADDRNOTAVAIL, "%s: there is no address of that name: %s",
			       code->host, gai_strerror(r));
	for (const struct addrinfo *a = list; a && fd < 0; a = a->ai_next)
		fd = address_connect(a);
	freeaddrinfo(list);
	if (fd < 0)
		return why_say(&j->why, fd, "%s can't be reached: %s", code->place, strerror(-fd));
	return fd;
}

/* --- the process --------------------------------------------------------------------------- */

struct helper {
	struct channel channel;
	pid_t pid;
	int end_fd;
	uint64_t until_ms;
};

static int user_choose(struct join *j, struct child *child)
{
	if (geteuid() != 0 || user_find("sallyport-net", &child->uid, &child->gid) == 0)
		return 0;
	return why_say(&j->why, -ENOENT,
		       "started as root it speaks to the network as the user sallyport-net, which "
		       "does not exist: deploy/install-deps.sh makes it");
}

static int helper_start(struct join *j, int socket_fd, struct helper *h)
{
	OWNED_FD program = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	struct child child = {
		.role = JOIN_ROLE, .program = program, .fd_count = 2, .dies_with_parent = true};
	int ends[2], r;

	if (program < 0)
		return why_say(&j->why, -errno, "can't open our own program: is /proc mounted?");
	r = user_choose(j, &child);
	if (r < 0)
		return r;
	r = channel_pair(ends);
	if (r < 0)
		return why_say(&j->why, r, "no channel can be made: %s", strerror(-r));
	child.fds[0] = ends[1];
	child.fds[1] = socket_fd;
	h->pid = child_start(&child, &h->end_fd);
	fd_close(&ends[1]);
	channel_open(&h->channel, ends[0], inbox, ARRAY_LEN(inbox));
	if (h->pid < 0)
		return why_say(&j->why, h->pid, "the process that speaks TLS can't be started: %s",
			       strerror(-h->pid));
	h->until_ms = clock_ms() + PATIENCE_MS;
	return 0;
}

static void helper_end(struct helper *h)
{
	channel_close(&h->channel);
	if (h->pid <= 0)
		return;
	(void)kill(h->pid, SIGKILL); /* our own child, which nobody else has reaped */
	while (waitpid(h->pid, NULL, 0) < 0 && errno == EINTR)
		;
	fd_close(&h->end_fd);
}

/* --- what it says ---------------------------------------------------------------------------- */

static int tell(struct join *j, const struct join_failed *f)
{
	const char *place = j->secrets->code.place;
	const int error = f->error < 0 ? f->error : -EPROTO;
	char why[JOIN_WHY_SIZE];

	if (error == -ETIMEDOUT)
		return why_say(&j->why, error, "%s does not answer", place);
	if (f->shaken)
		return why_say(
			&j->why, error,
			"%s refuses the code. It may have been used, or its time be over; or "
			"it is for another initiator name or another address than this "
			"machine's. The gateway's audit log says which: ask for another code",
			place);
	return why_say(&j->why, error,
		       "%s does not let anybody join: %s. No invitation is open there, or it is no "
		       "TLS portal of Sallyport",
		       place,
		       error == -ENOPROTOOPT ? "it speaks another protocol"
					     : text_escape(f->why, strnlen(f->why, sizeof f->why),
							   why, sizeof why));
}

static int broken(struct join *j, int error)
{
	return why_say(&j->why, error,
		       "the process that spoke to %s ended before its time: %s. Nothing was "
		       "written",
		       j->secrets->code.place, strerror(-error));
}

/* The next of its messages, which must be of this type. */
static int expect(struct join *j, struct helper *h, uint32_t type, struct message *m)
{
	int r;

	while ((r = channel_receive(&h->channel, m)) == 0) {
		r = join_wait(h->channel.fd, POLLIN, h->until_ms);
		if (r < 0)
			break;
	}
	if (r < 0)
		return broken(j, r);
	if (m->type == JOIN_FAILED)
		return tell(j, (const void *)m->body);
	return m->type == type ? 0 : broken(j, -EPROTO);
}

static int dialogue(struct join *j, struct helper *h)
{
	const struct enrol_proof by = {j->secrets->proof, j->exporter};
	const struct join_answer *answer;
	struct join_request request;
	struct message m;
	int r = expect(j, h, JOIN_EXPORTER, &m);

	if (r < 0)
		return r;
	memcpy(j->exporter, m.body, sizeof j->exporter);
	enrol_request_write(&j->request, &by, request.octets);
	r = CHANNEL_SEND(&h->channel, JOIN_REQUEST, &request);
	if (r < 0)
		return broken(j, r);
	r = expect(j, h, JOIN_ANSWER, &m);
	if (r < 0)
		return r;
	answer = (const void *)m.body;
	if (answer->len > sizeof j->answer)
		return broken(j, -EPROTO);
	j->answer_len = answer->len;
	memcpy(j->answer, answer->octets, j->answer_len);
	return 0;
}

int join_call(struct join *j)
{
	struct helper h = {.channel.fd = -1, .end_fd = -1};
	OWNED_FD fd = place_connect(j);
	int r;

	if (fd < 0)
		return fd;
	r = helper_start(j, fd, &h);
	if (r == 0)
		r = dialogue(j, &h);
	helper_end(&h);
	return r;
}
