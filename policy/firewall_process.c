/* The firewall process: loads the script that the monitor hands over through `nft -f -`,
 * sets and lifts bans by netlink, removes both tables at a clean stop. It holds
 * CAP_NET_ADMIN and nothing else. It trusts the monitor, its only peer, for what the
 * script says, and checks every ban. When the monitor is gone it ends, and the tables
 * stay as they are: closed. */
#include "policy/firewall.h"

#include <linux/capability.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include "gateway/base/clock.h"
#include "gateway/base/fd.h"
#include "gateway/base/log.h"
#include "gateway/base/loop.h"
#include "gateway/base/process.h"
#include "gateway/base/sandbox.h"
#include "policy/firewall_netlink.h"
#include "policy/xfrm.h"

#define SCRIPT_MAX	 (4U << 20)
#define NFT_DEADLINE_MS	 10000
#define NFT_WORDS_MAX	 1024
#define NFT_MEMORY_LIMIT (512U << 20) /* nft inherits it */
#define FILES_LIMIT	 32

/* Never through PATH. */
static const char *const nft_paths[] = {"/usr/sbin/nft", "/sbin/nft"};

static const char unload_script[] = "add table inet sallyport\n"
				    "delete table inet sallyport\n"
				    "add table inet sallyport-bans\n"
				    "delete table inet sallyport-bans\n";

struct firewall {
	struct loop *loop;
	struct channel channel;
	struct watch watch;
	struct firewall_netlink netlink;
	struct xfrm_netlink xfrm; /* open when a portal needs IPsec, and the kernel has it */
	const char *nft;	  /* NULL: there is none */
	int unload_fd;		  /* unload_script */
	struct firewall_status ready;
	union {
		struct firewall_status status;
		struct firewall_coverage coverage;
	} owed;
	size_t owed_size;
	uint32_t owed_type; /* FIREWALL_INVALID: none */
	bool over;	    /* ends when nothing is owed */
	int result;	    /* of firewall_main() */
};

/* --- nft ---------------------------------------------------------------------------------- */

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

/* Loads the script, which nft does whole or not at all. */
static int nft_run(const char *nft, int script_fd, char *ret_why, size_t size)
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

/* --- requests ----------------------------------------------------------------------------- */

/* One answer may be owed: while the monitor does not read, neither do we, so that it finds its own
 * side of the channel full and nothing queues without bound. */
static void answer_send(struct firewall *f)
{
	int r = channel_send(&f->channel, f->owed_type, &f->owed, f->owed_size, NULL, 0);

	if (r == 0)
		f->owed_type = FIREWALL_INVALID;
	if (r == 0 || r == -EAGAIN)
		r = loop_change(f->loop, &f->watch, r == 0 ? EPOLLIN : EPOLLOUT);
	if (r < 0) {
		log_error("the monitor takes no answer: %s; this process ends, the tables stay",
			  strerror(-r));
		f->result = 1;
	}
	if (r < 0 || (f->over && !f->owed_type))
		loop_stop(f->loop);
}

static void answer(struct firewall *f, uint32_t type, const struct firewall_status *status)
{
	assert(!f->owed_type);
	f->owed_type = type;
	f->owed.status = *status;
	f->owed_size = sizeof *status;
	answer_send(f);
}

static int script_check(int fd, char *ret_why, size_t size)
{
	OWNED_FREE char *text = NULL;
	size_t len;

	if (!fd_is_sealed(fd)) {
		(void)snprintf(ret_why, size, "the script is not sealed");
		return -EPERM;
	}
	if (fd_read_all(fd, SCRIPT_MAX, &text, &len) < 0) {
		(void)snprintf(ret_why, size, "the script is longer than %u octets", SCRIPT_MAX);
		return -EFBIG;
	}
	if (memchr(text, '\0', len) || !strstr(text, firewall_bans_script)) {
		(void)snprintf(ret_why, size, "the script lacks the ban table's part");
		return -EINVAL;
	}
	return 0;
}

static void request_load(struct firewall *f, struct message *m)
{
	struct firewall_status status = {.sandbox_layers = f->ready.sandbox_layers};

	status.ok = script_check(m->fds[0], status.why, sizeof status.why) == 0 &&
		    nft_run(f->nft, m->fds[0], status.why, sizeof status.why) == 0;
	if (!status.ok)
		log_error("the firewall script was not loaded, what was loaded before stays: %s",
			  status.why);
	answer(f, FIREWALL_LOADED, &status);
}

static void request_unload(struct firewall *f, struct message *m)
{
	struct firewall_status status = {.sandbox_layers = f->ready.sandbox_layers};

	(void)m;
	status.ok = nft_run(f->nft, f->unload_fd, status.why, sizeof status.why) == 0;
	if (!status.ok) {
		log_error("the tables `inet sallyport` and `inet sallyport-bans` could not be "
			  "removed, and stay: %s; nft delete table removes them",
			  status.why);
		f->result = 1;
	}
	answer(f, FIREWALL_LOADED, &status);
}

static void ban_explain(int error, bool set, char *ret_why, size_t size)
{
	if (error == -ENFILE)
		(void)snprintf(ret_why, size, "%d bans are set, which is all that there may be",
			       FIREWALL_BANS_MAX);
	else if (error == -ENOENT)
		(void)snprintf(ret_why, size,
			       "the table `inet sallyport-bans` is missing: no "
			       "script was loaded, or somebody removed it");
	else
		(void)snprintf(ret_why, size, "the kernel did not %s the ban: %s",
			       set ? "set" : "lift", strerror(-error));
}

static void ban_change(struct firewall *f, const struct message *m, bool set)
{
	struct firewall_status status = {.sandbox_layers = f->ready.sandbox_layers};
	char source[ADDRESS_TEXT];
	struct firewall_ban ban;
	const char *refused;
	int r;

	memcpy(&ban, m->body, sizeof ban);
	refused = firewall_ban_refused(&ban.source);
	if (!refused && set && (ban.seconds == 0 || ban.seconds > FIREWALL_BAN_SECONDS_MAX))
		refused = "a ban is for 1 s to 366 days";
	if (refused) {
		(void)string_copy(status.why, sizeof status.why, refused);
	} else {
		r = set ? firewall_ban_set(&f->netlink, &ban.source, ban.seconds)
			: firewall_ban_lift(&f->netlink, &ban.source);
		status.ok = r == 0;
		if (r < 0)
			ban_explain(r, set, status.why, sizeof status.why);
	}
	if (!status.ok)
		log_error("%s was not %s: %s", network_format(&ban.source, source),
			  set ? "banned" : "unbanned", status.why);
	answer(f, FIREWALL_BANNED, &status);
}

static void request_ban(struct firewall *f, struct message *m)
{
	ban_change(f, m, true);
}

static void request_unban(struct firewall *f, struct message *m)
{
	ban_change(f, m, false);
}

static void request_covered(struct firewall *f, struct message *m)
{
	struct firewall_coverage *word = &f->owed.coverage;
	struct firewall_connection c;
	const char *lacks = NULL;
	int r;

	assert(!f->owed_type);
	memcpy(&c, m->body, sizeof c);
	*word = (struct firewall_coverage){.connection = c.connection};
	r = xfrm_netlink_ask(&f->xfrm, &c.local, &c.peer, &lacks);
	if (r < 0)
		(void)snprintf(word->why, sizeof word->why,
			       "the kernel does not say what IPsec it has: %s", strerror(-r));
	else
		word->cover = lacks ? COVER_NONE : COVER_WHOLE;
	if (lacks)
		(void)string_copy(word->why, sizeof word->why, lacks);
	f->owed_type = FIREWALL_COVERAGE;
	f->owed_size = sizeof *word;
	answer_send(f);
}

static const struct request {
	uint32_t type, answer;
	void (*run)(struct firewall *f, struct message *m);
} requests[] = {
	{FIREWALL_LOAD, FIREWALL_LOADED, request_load},
	{FIREWALL_BAN, FIREWALL_BANNED, request_ban},
	{FIREWALL_UNBAN, FIREWALL_BANNED, request_unban},
	{FIREWALL_COVERED, FIREWALL_COVERAGE, request_covered},
	{FIREWALL_UNLOAD, FIREWALL_LOADED, request_unload},
};

static void request_run(struct firewall *f, struct message *m)
{
	for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
		if (requests[i].type != m->type)
			continue;
		f->over = m->type == FIREWALL_UNLOAD;
		if (f->ready.ok || m->type == FIREWALL_COVERED) /* nft is not needed for it */
			requests[i].run(f, m);
		else
			answer(f, requests[i].answer, &f->ready);
		return;
	}
}

static void channel_ready(struct watch *w, uint32_t ready)
{
	struct firewall *f = CONTAINER_OF(w, struct firewall, watch);
	static struct message m; /* 4 KiB: not on the stack */
	int r;

	(void)ready;
	if (f->owed_type) {
		answer_send(f);
		return;
	}
	r = channel_receive(&f->channel, &m);
	if (r > 0) {
		request_run(f, &m);
		message_close_fds(&m);
	} else if (r < 0) {
		/* The monitor is gone, or no longer to be trusted: the tables stay, closed. */
		f->result = r == -EPIPE ? 0 : 1;
		loop_stop(f->loop);
	}
}

/* --- start -------------------------------------------------------------------------------- */

static const char *nft_find(void)
{
	for (size_t i = 0; i < ARRAY_LEN(nft_paths); i++)
		if (access(nft_paths[i], X_OK) == 0)
			return nft_paths[i];
	return NULL;
}

/* Ctrl-C reaches all processes of a terminal, and a service manager may signal all of a service:
 * the monitor says when the tables go, not they. */
static void signals_ignore(void)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		(void)signal(signals[i], SIG_IGN);
}

static int firewall_open(struct firewall *f, bool with_ipsec)
{
	int r;

	/* Without it, nothing is said to be covered. */
	if (with_ipsec && (r = xfrm_netlink_open(&f->xfrm)) < 0)
		log_warning("the kernel has no IPsec that could be asked (%s): nobody can log in "
			    "on portals that need it",
			    strerror(-r));
	f->nft = nft_find();
	f->unload_fd = memfd_sealed("unload", unload_script, sizeof unload_script - 1);
	if (f->unload_fd < 0)
		return f->unload_fd;
	if ((r = firewall_netlink_open(&f->netlink)) < 0)
		return r;
	channel_open(&f->channel, PROCESS_FD_FIRST, firewall_inbox, firewall_inbox_len);
	f->watch = (struct watch){.fd = PROCESS_FD_FIRST, .events = EPOLLIN, .run = channel_ready};
	if ((r = loop_open(&f->loop)) < 0)
		return r;
	return loop_watch(f->loop, &f->watch);
}

static int firewall_lock(struct firewall *f)
{
	const char *const programs[] = {f->nft, NULL};
	const struct sandbox sandbox = {
		.profile = SANDBOX_FIREWALL,
		.folder_fd = -1,
		.programs = programs,
		.memory_limit = NFT_MEMORY_LIMIT,
		.files_limit = FILES_LIMIT,
	};
	int layers = sandbox_enter(&sandbox);

	if (layers < 0)
		return layers;
	f->ready.sandbox_layers = (uint32_t)layers;
	return 0;
}

/* What is missing is told, and told again at every request. */
static void firewall_examine(struct firewall *f)
{
	const char *why = NULL;

	if (!f->nft)
		why = "nft is neither in /usr/sbin nor in /sbin: install the package nftables";
	else if (!capability_have(CAP_NET_ADMIN))
		why = "no right to change the firewall (CAP_NET_ADMIN): start the gateway as root "
		      "or by its systemd unit";
	f->ready.ok = !why;
	if (why)
		(void)string_copy(f->ready.why, sizeof f->ready.why, why);
}

static int firewall_run(bool with_ipsec)
{
	static struct firewall f = {.unload_fd = -1, .channel.fd = -1};
	int r;

	signals_ignore();
	if (!process_fds_are(1)) {
		log_error("started without its channel: it is started by the monitor alone");
		return 1;
	}
	r = firewall_open(&f, with_ipsec);
	firewall_examine(&f); /* the sandbox lets nobody ask for capabilities */
	if (r == 0)
		r = firewall_lock(&f);
	if (r < 0) {
		log_error("the firewall process could not be set up: %s", strerror(-r));
		return 1;
	}
	answer(&f, FIREWALL_READY, &f.ready);
	if (f.result == 0 && (r = loop_run(f.loop)) < 0) {
		log_error("the event loop failed: %s", strerror(-r));
		f.result = 1;
	}
	channel_close(&f.channel);
	firewall_netlink_close(&f.netlink);
	xfrm_netlink_close(&f.xfrm);
	loop_close(f.loop);
	fd_close(&f.unload_fd);
	return f.result;
}

int firewall_main(void)
{
	return firewall_run(false);
}

int firewall_ipsec_main(void)
{
	return firewall_run(true);
}
