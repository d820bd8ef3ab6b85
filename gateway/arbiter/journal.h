/* The arbiter's journal: what it knows about each disk, as files in a folder of its own, so that
 * nothing of it is forgotten when a process dies, and what was asked to outlive a loss of
 * power does. Runs in the arbiter; trusts its folder to be its own, and not one octet
 * of what is in it.
 *
 * Each disk has two files, named by its serial. SERIAL.lasting has what a later run of the
 * gateway takes up, and is on the medium before it replaces the one before: a loss of power never
 * damages it. SERIAL.run has everything, for an arbiter that starts again within the same run. */
#pragma once

#include "gateway/arbiter/record.h"

#define JOURNAL_RUN_SIZE    16
#define JOURNAL_SERIAL_SIZE 37
#define JOURNAL_FILE_MAX    65536u

struct journal {
	int folder_fd;
	uint8_t run[JOURNAL_RUN_SIZE]; /* of the gateway: random, the same for all of its arbiters
					*/
	bool first; /* the run's first arbiter: no file of this run is there yet */
	uint8_t lasting[JOURNAL_FILE_MAX], of_run[JOURNAL_FILE_MAX], found[JOURNAL_FILE_MAX + 1];
};

/* 1: *ret is what is known about that disk, already without what a new run forgets. 0: nothing
 * is. -EBADMSG: a file is damaged, or another disk's; another -errno: it can't be read. */
int journal_load(struct journal *j, const char *serial, struct arbiter_record *ret) MUST_CHECK;
/* Keeps the record: when it returns 0, what is to outlive a loss of power is on the medium, the
 * rest outlives this process. Otherwise a later arbiter knows what was kept before. A lasting file
 * that is damaged is never replaced: -EBADMSG. */
int journal_keep(struct journal *j, const char *serial,
		 const struct arbiter_record *record) MUST_CHECK;
/* The same, replacing what is damaged. */
int journal_start_over(struct journal *j, const char *serial,
		       const struct arbiter_record *record) MUST_CHECK;

/* SPC-4: what a loss of power leaves of it. */
void record_after_power_loss(struct arbiter_record *r);

/* Octets of a file. `run` NULL: a lasting one. Returns their count; 0: the record is not one that
 * could be read again. */
size_t journal_encode(const uint8_t *run, const char *serial, const struct arbiter_record *record,
		      uint8_t *ret_octets, size_t size);
/* The reverse, of octets from anywhere. -EBADMSG: damaged, of another kind or of another disk;
 * -ESTALE: well, and of another run. */
int journal_decode(const uint8_t *run, const char *serial, const void *octets, size_t len,
		   struct arbiter_record *ret) MUST_CHECK;

/* codec.c: a record's own octets. Bounds and relations are checked both ways. */
bool record_is_sound(const struct arbiter_record *r);
struct wr;
struct rd;
void record_write(struct wr *w, const struct arbiter_record *r);
int record_read(struct rd *rd, struct arbiter_record *ret) MUST_CHECK;
