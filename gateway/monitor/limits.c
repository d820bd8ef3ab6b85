/* RLIMIT_FSIZE of sessions, which keeps them from growing a disk: raised when a disk grew. A
 * session can't raise it, its system-call filter says so. A monitor that is root has no right to do
 * it for another user's process (CAP_SYS_RESOURCE, which it gave up), so a short-lived process of
 * that user does it. It reads what the monitor wrote, and nothing else. */
#include <sys/resource.h>
#include <sys/wait.h>
#include "gateway/base/fd.h"
#include "gateway/base/log.h"
#include "gateway/base/process.h"
#include "gateway/monitor/monitor.h"

/* What the process is given: a size, then pids, as 64-bit numbers. */
struct orders {
	uint64_t *words;
	size_t count;
};

/* The hard limit is what it was when the session began. */
static int raise_one(pid_t pid, uint64_t size)
{
	struct rlimit limit;

	if (prlimit(pid, RLIMIT_FSIZE, NULL, &limit) < 0)
		return -errno;
	limit.rlim_cur = MAX(limit.rlim_cur, MIN((rlim_t)size, limit.rlim_max));
	return prlimit(pid, RLIMIT_FSIZE, &limit, NULL) < 0 ? -errno : 0;
}

/* --- the process --- */

int raiser_main(void)
{
	OWNED_FREE char *bytes = NULL;
	uint64_t size, pid;
	size_t len;
	int r = fd_read_all(PROCESS_FD_FIRST, 1u << 20, &bytes, &len);

	if (r < 0 || len < sizeof size)
		return 1;
	memcpy(&size, bytes, sizeof size);
	for (size_t at = sizeof size; len - at >= sizeof pid; at += sizeof pid) {
		memcpy(&pid, bytes + at, sizeof pid);
		r = raise_one((pid_t)pid, size);
		if (r < 0 && r != -ESRCH)
			log_warning("process %ju can't write a larger disk: %s", (uintmax_t)pid,
				    strerror(-r));
	}
	return 0;
}

/* --- in the monitor --- */

bool limits_are_raised(const struct monitor *m)
{
	return m->raiser_pid == 0;
}

static void on_over(struct watch *w, uint32_t ready)
{
	struct monitor *m = CONTAINER_OF(w, struct monitor, raiser);

	(void)ready;
	(void)waitpid(m->raiser_pid, NULL, 0);
	loop_unwatch(m->loop, w);
	fd_close(&w->fd);
	m->raiser_pid = 0;
	if (m->raise_to != 0)
		limits_raise(m, m->raise_to);
	disk_news_go_on(m);
	for (uint32_t k = 0; k < m->connection_max; k++)
		grants_go_on(&m->connections[k]);
}

static int raiser_start(struct monitor *m, const struct orders *o)
{
	OWNED_FD list = memfd_sealed("limits", o->words, o->count * sizeof o->words[0]);
	struct child child = {
		.role = "raiser",
		.program = m->programs.self,
		.fds = {list},
		.fd_count = 1,
		.uid = m->net_uid,
		.gid = m->net_gid,
		.dies_with_parent = true,
	};

	if (list < 0)
		return list;
	m->raiser.events = EPOLLIN;
	m->raiser.run = on_over;
	m->raiser_pid = child_start(&child, &m->raiser.fd);
	if (m->raiser_pid < 0) {
		int r = m->raiser_pid;

		m->raiser_pid = 0;
		return r;
	}
	return loop_watch(m->loop, &m->raiser);
}

void limits_raise(struct monitor *m, uint64_t size)
{
	struct orders o = {.words = calloc(m->connection_max + 1, sizeof *o.words)};
	int r = 0;

	if (m->raiser_pid != 0) { /* again when it is over, for all sessions */
		m->raise_to = size;
		free(o.words);
		return;
	}
	if (o.words == NULL)
		return log_error("no memory: sessions can't write the larger disk");
	m->raise_to = 0;
	o.words[o.count++] = size;
	for (uint32_t k = 0; k < m->connection_max; k++) {
		pid_t pid = m->connections[k].pid;

		if (pid > 0 && raise_one(pid, size) == -EPERM)
			o.words[o.count++] = (uint64_t)pid;
	}
	if (o.count > 1)
		r = raiser_start(m, &o);
	if (r < 0)
		log_error("sessions that are there can't write the larger disk: %s", strerror(-r));
	free(o.words);
}
