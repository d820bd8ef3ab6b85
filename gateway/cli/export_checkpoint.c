/* Checkpoints of exports: STATE/exports/NAME, a few lines of text, replaced in one step. Names a
 * position in the trail and how long the output was there, so that an export which was cut off
 * is cut back to it. Belongs to the operator, and is trusted as far as it can be read. */
#include <ctype.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <sys/file.h>
#include <sys/stat.h>
#include "gateway/base/bytes.h"
#include "gateway/base/fd.h"
#include "gateway/base/state.h"
#include "gateway/cli/export.h"

#define HEAD	 "sallyport-export-checkpoint 2\n"
#define HEAD_OLD "sallyport-export-checkpoint 1\n" /* without the trail */

struct checkpoint {
	struct export_position at;
	uint64_t octets;
	char output[PATH_MAX];
};

bool export_name_ok(const char *name)
{
	size_t len = strlen(name);

	for (const char *c = name; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("._-", *c))
			return false;
	return len > 0 && len <= EXPORT_NAME_MAX && name[0] != '.';
}

static bool number_line(char **at, const char *name, uint64_t *ret)
{
	char *line = *at, *end = strchr(line, '\n');
	size_t len = strlen(name);

	if (!end || strncmp(line, name, len) != 0 || line[len] != ' ')
		return false;
	*end = '\0';
	*at = end + 1;
	return number_parse(line + len + 1, 0, UINT64_MAX, ret) == 0;
}

static bool trail_line(char **at, uint8_t ret[TRAIL_ID_SIZE])
{
	static const char name[] = "trail ";
	const char *hex = *at + sizeof name - 1, *end;
	size_t len;

	if (strncmp(*at, name, sizeof name - 1) != 0 ||
	    sodium_hex2bin(ret, TRAIL_ID_SIZE, hex, strcspn(hex, "\n"), NULL, &len, &end) != 0 ||
	    len != TRAIL_ID_SIZE || *end != '\n')
		return false;
	*at += end + 1 - *at;
	return true;
}

static bool parse(char *text, struct checkpoint *ret)
{
	bool old = strncmp(text, HEAD_OLD, strlen(HEAD_OLD)) == 0;
	size_t len;

	if (!old && strncmp(text, HEAD, strlen(HEAD)) != 0)
		return false;
	text += strlen(HEAD);
	if (!old && !trail_line(&text, ret->at.trail))
		return false;
	if (!number_line(&text, "next", &ret->at.next) ||
	    !number_line(&text, "time_ns", &ret->at.time_ns) ||
	    !number_line(&text, "run", &ret->at.run) ||
	    !number_line(&text, "octets", &ret->octets) || strncmp(text, "output ", 7) != 0)
		return false;
	len = strlen(text + 7);
	if (len == 0 || text[7 + len - 1] != '\n')
		return false;
	text[7 + len - 1] = '\0';
	return string_copy(ret->output, sizeof ret->output, text + 7);
}

static int lock_take(struct export_plan *plan)
{
	char name[EXPORT_NAME_MAX + 8];

	(void)snprintf(name, sizeof name, "%s.lock", plan->name);
	plan->lock_fd =
		openat(plan->exports_fd, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (plan->lock_fd < 0)
		return cli_cannot(plan->cli, "checkpoint %s: %s", plan->name, strerror(errno));
	if (flock(plan->lock_fd, LOCK_EX | LOCK_NB) < 0)
		return cli_cannot(plan->cli,
				  "another export with checkpoint %s is running: wait for it, "
				  "or take another name",
				  plan->name);
	return EXIT_DONE;
}

static int folder_take(struct export_plan *plan)
{
	OWNED_FD state = open(plan->cli->state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	plan->exports_fd = state < 0 ? -1 : state_subfolder(state, "exports");
	if (plan->exports_fd < 0)
		return cli_cannot(plan->cli,
				  "the checkpoints can't be kept in %s/exports: %s; name the right "
				  "state folder with --state DIR, or become its owner",
				  plan->cli->state,
				  strerror(state < 0 ? errno : -plan->exports_fd));
	return lock_take(plan);
}

/* A file that the last export wrote to and that this one does not: had that one been cut off, its
 * last records would be in both. */
static int check_other(const struct export_plan *plan, const struct checkpoint *c)
{
	struct stat st;

	if (c->output[0] != '/' || stat(c->output, &st) < 0 || !S_ISREG(st.st_mode) ||
	    (uint64_t)st.st_size <= c->octets)
		return EXIT_DONE;
	return cli_cannot(plan->cli,
			  "the last export with checkpoint %s was cut off: %s is longer than the "
			  "%llu octets of it that count. Export to it once more with --output, or "
			  "shorten it: truncate -s %llu %s",
			  plan->name, c->output, (unsigned long long)c->octets,
			  (unsigned long long)c->octets, c->output);
}

/* A socket or stdout begins anew each time; a file goes on. */
static int apply(struct export_plan *plan, const struct checkpoint *c)
{
	plan->from = c->at;
	if (strcmp(plan->place, c->output) != 0)
		return check_other(plan, c);
	plan->octets = plan->output ? c->octets : 0;
	plan->resumed = true;
	return EXIT_DONE;
}

int export_checkpoint_take(struct export_plan *plan)
{
	OWNED_FREE char *text = NULL;
	struct checkpoint c = {0};
	OWNED_FD fd = -1;
	size_t len;
	int status = folder_take(plan), e;

	if (status != EXIT_DONE)
		return status;
	fd = openat(plan->exports_fd, plan->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return EXIT_DONE;
	e = fd < 0 ? -errno : fd_read_all(fd, 2 * PATH_MAX, &text, &len);
	if (e < 0 || strlen(text) != len || !parse(text, &c))
		return cli_cannot(plan->cli,
				  "%s/exports/%s is no checkpoint%s%s: restore it, or "
				  "take another name",
				  plan->cli->state, plan->name, e < 0 ? ": " : "",
				  e < 0 ? strerror(-e) : "");
	return apply(plan, &c);
}

int export_checkpoint_put(const struct export_plan *plan, const struct export_position *after,
			  uint64_t octets)
{
	char text[PATH_MAX + 256], trail[2 * TRAIL_ID_SIZE + 1];
	int len;

	if (plan->exports_fd < 0)
		return 0;
	len = snprintf(text, sizeof text,
		       HEAD "trail %s\nnext %llu\ntime_ns %llu\nrun %llu\noctets %llu\noutput %s\n",
		       sodium_bin2hex(trail, sizeof trail, after->trail, sizeof after->trail),
		       (unsigned long long)after->next, (unsigned long long)after->time_ns,
		       (unsigned long long)after->run, (unsigned long long)octets, plan->place);
	assert(len > 0 && (size_t)len < sizeof text);
	return file_replace(plan->exports_fd, plan->name, text, (size_t)len, 0600);
}
