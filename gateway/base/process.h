/* Starting our own processes. A child is this very program (or one for sessions),
 * executed afresh from a descriptor opened at start, with an empty environment and
 * nothing inherited but the descriptors that it is given: 0 to 2 (stdin and stdout
 * are /dev/null, stderr is ours), then PROCESS_FD_FIRST, +1, … in order. */
#pragma once

#include "gateway/base/base.h"

#define PROCESS_FD_FIRST 3
#define PROCESS_FDS_MAX	 8

/* The program files, opened once. Those of sessions, sallyport-session and sallyport-session-tls,
 * are beside our own file, or in ../libexec/sallyport/ of it; never found through PATH. */
struct programs {
	int self, session, session_tls;
};
int programs_open(struct programs *ret_programs) MUST_CHECK;
void programs_close(struct programs *p);

struct child {
	const char *role;     /* argv: the program's name, "internal", role, then argument */
	const char *argument; /* or NULL */
	int program;	      /* a descriptor of struct programs */
	int fds[PROCESS_FDS_MAX];
	size_t fd_count;
	uid_t uid; /* the user to become when the parent is root; else ignored */
	gid_t gid;
	uint64_t keep_caps;    /* mask of 1 << CAP_…: kept (ambient) across the change of user */
	bool dies_with_parent; /* PR_SET_PDEATHSIG SIGKILL */
};

/* Returns the pid or -errno; an exec that fails is told here, not by a dead child. *ret_pidfd is
 * readable when the child is over. Takes as long whatever memory the caller has; after a child that
 * became another user the caller can't be dumped or debugged by others. */
pid_t child_start(const struct child *child, int *ret_pidfd) MUST_CHECK;

/* In the child: were descriptors 3 … 3 + n - 1 given, and nothing beyond? */
bool process_fds_are(size_t n);

/* Looks a user up in /etc/passwd: uid and primary gid. -ENOENT when there is none. */
int user_find(const char *name, uid_t *ret_uid, gid_t *ret_gid) MUST_CHECK;
