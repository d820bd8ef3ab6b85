/* Looks at the room each second, and says what follows. What the policy says came from the monitor;
 * the numbers are the file system's. */
#include "gateway/audit/space.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include "gateway/base/clock.h"
#include "gateway/base/log.h"

#define TOLD	      (UINT64_C(1) << 20) /* how exactly what is left is told */
#define AGAIN	      10		  /* a part of a limit: so much more ends what it began */
#define SEGMENTS      16		  /* at least, in what is kept at most, or so long */
#define DAY_NS	      (UINT64_C(86400) * 1000000000)
#define AGE_LEAST_NS  (UINT64_C(50) * 1000000)
#define SEGMENT_LEAST (UINT64_C(64) << 10)

/* --- how much there is ----------------------------------------------------------------------- */

struct place {
	uint64_t total, left;
};

static bool disk_look(const struct space *s, struct place *ret)
{
	struct statfs st;
	uint64_t unit;

	if (fstatfs(s->folder_fd, &st) < 0)
		return false;
	unit = (uint64_t)(st.f_frsize > 0 ? st.f_frsize : st.f_bsize);
	ret->total = (uint64_t)st.f_blocks * unit;
	ret->left = (uint64_t)st.f_bavail * unit;
	if (s->reserve_is_out)
		ret->left -= MIN(ret->left, s->settings.reserve);
	return true;
}

/* Of what the policy allows; false: it says nothing. */
static bool bound_look(const struct space *s, struct place *ret)
{
	uint64_t used = keep_octets(&s->keep) - keep_yields(&s->keep);

	ret->total = s->settings.at_most;
	ret->left = ret->total - MIN(ret->total, used);
	return ret->total > 0;
}

static uint64_t limit_of(const struct auditor_room *room, uint64_t total)
{
	uint64_t part = total / 100 * room->percent;

	if (room->percent == 0)
		return room->octets;
	return room->octets == 0 ? part : MIN(part, room->octets);
}

/* What began ends a little later than it began, so that it does not come and go. */
static enum audit_room room_of(const struct space *s, const struct place *p)
{
	const struct auditor_room *limits[] = {
		[ROOM_WARN] = &s->settings.warn,
		[ROOM_REFUSE] = &s->settings.refuse,
		[ROOM_STOP] = &s->settings.stop,
	};

	for (enum audit_room room = ROOM_STOP; room > ROOM_ENOUGH; room--) {
		uint64_t limit = limit_of(limits[room], p->total);

		if (p->left < limit + (room <= s->room ? limit / AGAIN : 0))
			return room;
	}
	return ROOM_ENOUGH;
}

/* --- the reserve ----------------------------------------------------------------------------- */

static void reserve_look(struct space *s)
{
	struct stat st;

	s->reserve_size = 0;
	if (fstatat(s->folder_fd, RESERVE_NAME, &st, AT_SYMLINK_NOFOLLOW) == 0)
		s->reserve_size = (uint64_t)st.st_blocks * 512;
}

static void reserve_remove(struct space *s)
{
	if (s->reserve_size > 0 && unlinkat(s->folder_fd, RESERVE_NAME, 0) == 0)
		s->reserve_size = 0;
}

/* All of it or none. */
static void reserve_make(struct space *s)
{
	OWNED_FD fd = openat(s->folder_fd, RESERVE_NAME,
			     O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0 || fallocate(fd, 0, 0, (off_t)s->settings.reserve) < 0 || fsync(fd) < 0) {
		(void)unlinkat(s->folder_fd, RESERVE_NAME, 0);
		s->reserve_size = 0;
		return;
	}
	s->reserve_size = s->settings.reserve;
	s->reserve_is_out = false;
}

static void reserve_turn(struct space *s)
{
	bool full = s->commit->state == AUDIT_CANNOT_WRITE &&
		    (s->commit->error == -ENOSPC || s->commit->error == -EDQUOT);
	struct place disk;
	uint64_t own;

	if (full && s->reserve_size > 0) {
		reserve_remove(s);
		s->reserve_is_out = true;
		log_warning("audit: the disk is full; the reserve is given up for what has to be "
			    "recorded now");
	}
	if (full || s->reserve_size == s->settings.reserve)
		return;
	reserve_remove(s); /* the policy wants another one */
	/* Not at the price of the room that commands need. */
	own = s->reserve_is_out ? 0 : s->settings.reserve;
	if (disk_look(s, &disk) && disk.left >= own &&
	    disk.left - own >= limit_of(&s->settings.refuse, disk.total))
		reserve_make(s);
}

/* --- what follows ---------------------------------------------------------------------------- */

static const struct {
	const char *reason, *what;
} words[] = {
	[ROOM_ENOUGH] = {"enough", "there is enough room again"},
	[ROOM_WARN] = {"warn", "there is little room"},
	[ROOM_REFUSE] = {"refuse", "there is little room: no new session enters"},
	[ROOM_STOP] = {"stop", "there is too little room: commands get BUSY"},
};

static void record(struct space *s)
{
	struct audit_event event = {.wall_ns = clock_wall_ns(), .kind = EVENT_SPACE};

	string_copy(event.reason, sizeof event.reason, words[s->room].reason);
	(void)snprintf(event.detail, sizeof event.detail,
		       "%s (%llu octets are left for the trail, which has %llu)",
		       words[s->room].what, (unsigned long long)s->free_octets,
		       (unsigned long long)keep_octets(&s->keep));
	commit_event(s->commit, &event);
	if (s->room == ROOM_ENOUGH)
		log_notice("audit: %s", event.detail);
	else
		log_warning("audit: %s; make room on the disk of the audit folder, or keep less "
			    "(audit.keep)",
			    event.detail);
}

static void room_set(struct space *s, enum audit_room room)
{
	if (room == s->room)
		return;
	s->room = room;
	s->changed = true;
	/* Before it is held: the event is what the room that is left is for. */
	record(s);
	commit_hold(s->commit, room == ROOM_STOP);
}

void space_turn(struct space *s)
{
	struct place disk = {0}, bound;
	enum audit_room room = ROOM_ENOUGH;
	uint64_t left;

	keep_turn(&s->keep);
	if (!s->known)
		return;
	reserve_turn(s);
	if (!disk_look(s, &disk))
		return;
	left = disk.left;
	room = room_of(s, &disk);
	if (bound_look(s, &bound)) {
		left = MIN(left, bound.left);
		room = MAX(room, room_of(s, &bound));
	}
	s->changed = s->changed || left / TOLD != s->free_octets / TOLD;
	s->free_octets = left;
	if (s->commit->state == AUDIT_WRITING)
		room_set(s, room);
}

/* --- the policy ------------------------------------------------------------------------------ */

void space_set(struct space *s, const struct auditor_settings *settings)
{
	uint64_t age = settings->keep_ms * (UINT64_C(1000000) / SEGMENTS);

	s->settings = *settings;
	s->known = true;
	s->keep.keep_ms = settings->keep_ms;
	s->keep.at_most = settings->at_most;
	s->keep.again_ms = 0;
	s->commit->segment_most =
		settings->at_most ? MAX(settings->at_most / SEGMENTS, SEGMENT_LEAST) : 0;
	s->commit->segment_age_ns = settings->keep_ms ? MAX(MIN(age, DAY_NS), AGE_LEAST_NS)
						      : DAY_NS;
	space_turn(s);
}

int space_open(struct space *s, struct commit *commit, struct loop *loop, int folder_fd)
{
	*s = (struct space){.commit = commit, .folder_fd = folder_fd};
	reserve_look(s);
	return keep_open(&s->keep, commit, loop, folder_fd);
}

void space_close(struct space *s)
{
	keep_close(&s->keep);
}
