/* A helper thread that runs fdatasync() for the auditor, which goes on taking records
 * meanwhile: a slow disk must not look like an auditor that is away. */
#pragma once

#include <pthread.h>
#include "gateway/base/base.h"

#define SYNCER_FILES 2

struct syncer {
	pthread_t thread;
	int job_fd, done_fd;   /* eventfds; done_fd is readable when a sync is over */
	int fds[SYNCER_FILES]; /* of the job; -1: none */
	bool over;	       /* the thread is to end */
	int result;	       /* of the job */
	bool started, running; /* running: from syncer_begin() to syncer_result() */
};

int syncer_start(struct syncer *s) MUST_CHECK; /* makes the thread; before the sandbox closes */
void syncer_stop(struct syncer *s);	       /* waits for the sync that runs */
/* Syncs these files, in this order; no descriptor may be closed before syncer_result(). */
int syncer_begin(struct syncer *s, const int fds[SYNCER_FILES]) MUST_CHECK;
/* done_fd is readable: 0 or the first sync's -errno that failed. */
int syncer_result(struct syncer *s) MUST_CHECK;
