/* Which algorithm each user has proved itself with at best, kept in the state folder: a
 * line is durable there before the login that it is about has any effect, whatever is
 * killed. Who comes with less is refused until an operator accepts it. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include "gateway/base/fd.h"
#include "gateway/base/log.h"
#include "gateway/monitor/monitor.h"

#define ALGORITHMS_FILE "algorithms"

static int algorithms_write(struct monitor *m)
{
	OWNED_FREE char *text = NULL;
	size_t len;
	int r = strengths_format(&m->strengths, &text, &len);

	if (r == 0)
		r = file_replace(m->state_fd, ALGORITHMS_FILE, text, len, 0600);
	if (r < 0)
		return r;
	m->strengths.lines = m->strengths.count;
	m->algorithms_size = len;
	fd_close(&m->algorithms_fd);
	m->algorithms_fd =
		openat(m->state_fd, ALGORITHMS_FILE, O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC);
	return m->algorithms_fd < 0 ? -errno : 0;
}

static int algorithms_read(struct monitor *m)
{
	OWNED_FD fd = openat(m->state_fd, ALGORITHMS_FILE, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	OWNED_FREE char *text = NULL;
	size_t len, whole;
	int r;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if ((r = fd_read_all(fd, STRENGTHS_BYTES, &text, &len)) < 0)
		return r;
	return strengths_parse(text, len, &m->strengths, &whole);
}

/* Written afresh each time: without what was replaced, and without a line that a crash cut. */
int algorithms_load(struct monitor *m)
{
	int r = algorithms_read(m);

	if (r == -EBADMSG || r == -EFBIG) {
		log_error("%s/%s, the algorithms that users have logged in with, is damaged: put a "
			  "copy back, or remove it if you are sure that nobody was made to use a "
			  "weaker one meanwhile",
			  m->state_path, ALGORITHMS_FILE);
		return r;
	}
	if (r == 0)
		r = algorithms_write(m);
	if (r < 0)
		log_error("%s/%s can't be read or written: %s", m->state_path, ALGORITHMS_FILE,
			  strerror(-r));
	return r;
}

void algorithms_close(struct monitor *m)
{
	fd_close(&m->algorithms_fd);
	strengths_free(&m->strengths);
}

/* What is left of a line that could not be written whole goes before the next. */
static int line_append(struct monitor *m, const char *user, enum chap_algorithm a)
{
	char line[STRENGTH_LINE_MAX];
	size_t len = strength_line(user, a, line);
	struct stat st;
	int r;

	if (fstat(m->algorithms_fd, &st) < 0)
		return -errno;
	if ((uint64_t)st.st_size != m->algorithms_size &&
	    ftruncate(m->algorithms_fd, (off_t)m->algorithms_size) < 0)
		return -errno;
	if ((r = fd_write_all(m->algorithms_fd, line, len)) < 0)
		return r;
	if (fdatasync(m->algorithms_fd) < 0)
		return -errno;
	m->algorithms_size += len;
	m->strengths.lines++;
	return 0;
}

/* Durable, or as it was. */
static int algorithm_put(struct monitor *m, const char *user, enum chap_algorithm a)
{
	enum chap_algorithm before = strengths_find(&m->strengths, user);
	int r = strengths_put(&m->strengths, user, a);

	if (r < 0)
		return r;
	r = m->strengths.lines >= STRENGTHS_MAX * 2 ? algorithms_write(m) : line_append(m, user, a);
	if (r < 0) {
		IGNORE_RESULT(strengths_put(&m->strengths, user, before)); /* it has room there */
		log_error("%s/%s can't be written: %s", m->state_path, ALGORITHMS_FILE,
			  strerror(-r));
	}
	return r;
}

bool algorithm_is_weaker(const struct connection *c, char *ret_detail, size_t size)
{
	enum chap_algorithm best = strengths_find(&c->m->strengths, c->user);

	if (c->algorithm >= (uint8_t)best)
		return false;
	(void)snprintf(ret_detail, size,
		       "%s, after %s before; if that is meant: sallyport secret accept-weaker %s",
		       chap_algorithm_name(c->algorithm), chap_algorithm_name(best), c->user);
	return true;
}

int algorithm_remember(struct connection *c)
{
	if (c->algorithm <= (uint8_t)strengths_find(&c->m->strengths, c->user))
		return 0;
	return algorithm_put(c->m, c->user, (enum chap_algorithm)c->algorithm);
}

const char *algorithm_accept_weaker(struct monitor *m, const char *user,
				    enum chap_algorithm *ret_before)
{
	*ret_before = strengths_find(&m->strengths, user);
	if (*ret_before == CHAP_NONE)
		return "nothing is remembered of this user: the next login may use whatever the "
		       "policy allows";
	return algorithm_put(m, user, CHAP_NONE) < 0
		       ? "it can't be written down, so nothing was changed: see the log"
		       : NULL;
}
