/* The state folder: secrets, identities, audit log, control socket. One that others
 * can write is refused; one that others can read is closed to 0700. */
#pragma once

#include "gateway/base/base.h"

#define STATE_DEFAULT "/var/lib/sallyport"

/* Opens (makes, when `make`) the folder at path and checks owner and mode. On failure a sentence
 * for people is in ret_why. Returns a descriptor or -errno. */
int state_open(const char *path, bool make, char *ret_why, size_t why_size) MUST_CHECK;
/* A folder below it, made 0700 when missing. */
int state_subfolder(int state_fd, const char *name) MUST_CHECK;
/* Takes the lock of the folder ("lock", flock): -EWOULDBLOCK when another gateway has it. Returns
 * the descriptor that holds it until it is closed. */
int state_lock(int state_fd) MUST_CHECK;
/* The lock that says that some session's I/O is not over ("sessions.lock"): each session's lifeline
 * holds it shared, so that it outlives even the monitor; a gateway that starts must once have it
 * alone. Returns a descriptor, or -EWOULDBLOCK. */
int state_io_lock(int state_fd, bool alone) MUST_CHECK;
/* Where the key that unseals the secrets is: $CREDENTIALS_DIRECTORY/sallyport.key when that is set,
 * /etc/sallyport/key for STATE_DEFAULT, "DIR.key" beside another folder. */
int state_key_path(const char *state_path, char *ret_path, size_t size) MUST_CHECK;
