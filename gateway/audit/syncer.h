/* A helper thread that runs fdatasync() for the auditor, which goes on taking records
 * meanwhile: a slow disk must not look like an auditor that is away. */
#pragma once

#include <pthread.h>
#include "gateway/base/base.h"

struct syncer {
	pthread_t thread;
	int job_fd, done_fd;   /* eventfds; done_fd is readable when a sync is over */
	int fd, folder_fd;     /* of the job; folder_fd -1: the name is on the disk already */
	int result;	       /* of the job */
	bool started, running; /* running: from syncer_begin() to syncer_result() */
};

int syncer_start(struct syncer *s) MUST_CHECK; /* makes the thread; before the sandbox closes */
void syncer_stop(struct syncer *s);	       /* waits for the sync that runs */
/* Neither descriptor may be closed before syncer_result(). */
int syncer_begin(struct syncer *s, int fd, int folder_fd) MUST_CHECK;
/* done_fd is readable: 0 or the sync's -errno. */
int syncer_result(struct syncer *s) MUST_CHECK;
