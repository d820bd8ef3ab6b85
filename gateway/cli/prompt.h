/* What is typed at a terminal without being shown, and what a pipe brings instead. */
#pragma once

#include "gateway/base/base.h"

struct prompt {
	int fd;		    /* the terminal */
	const char *text;   /* "secret for alice: ", said on stderr */
	const char *repeat; /* "once more, for alice: "; NULL: asked once */
	size_t most;	    /* octets, the end of the line with them */
};

/* Asks without echo; whatever ends it, the terminal is put back. `bytes` has room for 2 * most.
 * Returns how many octets came; -EBADMSG: the two differ; -EINTR; another -errno. */
ssize_t prompt_ask(const struct prompt *p, uint8_t *bytes) MUST_CHECK;
/* All of a pipe or a file, at most `most` octets. */
ssize_t prompt_read(int fd, uint8_t *bytes, size_t most) MUST_CHECK;
