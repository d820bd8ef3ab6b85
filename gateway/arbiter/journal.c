/* The files of the journal. A file appears whole or not at all: it is written beside, and
 * renamed. The lasting one is replaced first, so that no arbiter believes that a change is
 * made which a loss of power would undo. Runs in the arbiter; what a file says is
 * believed if its hash is right, and its bounds are checked all the same. */
#include "gateway/arbiter/journal.h"

#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include "gateway/base/bytes.h"
#include "gateway/base/fd.h"

#define MAGIC	     "SALLYARB"
#define MAGIC_SIZE   8
#define VERSION	     1
#define KIND_LASTING 1
#define KIND_OF_RUN  2
#define HASH_SIZE    crypto_generichash_BYTES
#define NAME_SIZE    64

/* --- what outlives what --- */

/* Without APTPL neither registrations nor reservation outlive a loss of power (SPC-4 section
 * 5.13.5), and PRgeneration never does (section 6.15.2). Nobody's nexus is there any more, so
 * what a nexus holds alone is over: SPC-2's reservation, prevented removal, an operation under way.
 */
void record_after_power_loss(struct arbiter_record *r)
{
	struct arbiter_state *s = &r->state;

	if (!r->aptpl || s->reservation == RESERVATION_RESERVE_6) {
		s->reservation = RESERVATION_NONE;
		s->holder = 0;
	}
	if (!r->aptpl) {
		memset(r->registrations, 0, sizeof r->registrations);
		memset(s->registrants, 0, sizeof s->registrants);
	}
	if (s->operation == OPERATION_FORMAT)
		s->operation = OPERATION_FORMAT_FAILED;
	if (s->operation == OPERATION_SANITIZE)
		s->operation = OPERATION_SANITIZE_FAILED;
	memcpy(s->modes, r->saved_modes, sizeof s->modes);
	s->size = s->resets = 0; /* the page is new, and so are all who look at it */
	s->progress = 0;
	s->ejected = s->prevented = s->stopped = 0;
	memset(s->access, 0, sizeof s->access);
	r->pr_generation = 0;
	r->operator_connection = r->operator_order = 0;
	memset(r->answers, 0, sizeof r->answers);
	memset(r->preventers, 0, sizeof r->preventers);
	r->event_count = r->event_new = 0;
	memset(r->events, 0, sizeof r->events);
}

/* --- octets --- */

static void put_head(struct wr *w, const uint8_t *run, const char *serial)
{
	static const uint8_t none[JOURNAL_RUN_SIZE];

	wr_bytes(w, MAGIC, MAGIC_SIZE);
	wr_be(w, 2, VERSION);
	wr_be(w, 2, run != NULL ? KIND_OF_RUN : KIND_LASTING);
	wr_be(w, 4, 0); /* the file's length: put at the end */
	wr_bytes(w, run != NULL ? run : none, JOURNAL_RUN_SIZE);
	wr_bytes(w, serial, JOURNAL_SERIAL_SIZE - 1);
}

#define LENGTH_AT (MAGIC_SIZE + 4)
#define RUN_AT	  (MAGIC_SIZE + 8)
#define HEAD_SIZE (RUN_AT + JOURNAL_RUN_SIZE + JOURNAL_SERIAL_SIZE - 1)

size_t journal_encode(const uint8_t *run, const char *serial, const struct arbiter_record *record,
		      uint8_t *ret_octets, size_t size)
{
	struct wr w = wr_over(ret_octets, size);
	uint8_t hash[HASH_SIZE];

	if (strlen(serial) != JOURNAL_SERIAL_SIZE - 1 || !record_is_sound(record))
		return 0;
	put_head(&w, run, serial);
	record_write(&w, record);
	if (w.failed)
		return 0;
	put_be(ret_octets + LENGTH_AT, 4, wr_len(&w) + HASH_SIZE);
	(void)crypto_generichash(hash, sizeof hash, ret_octets, wr_len(&w), NULL, 0);
	wr_bytes(&w, hash, sizeof hash);
	return w.failed ? 0 : wr_len(&w);
}

static int head_check(const uint8_t *run, const char *serial, const uint8_t *octets, size_t len)
{
	uint8_t head[HEAD_SIZE], hash[HASH_SIZE];
	struct wr w = wr_over(head, sizeof head);
	bool same_run;

	put_head(&w, run, serial);
	if (len < HEAD_SIZE + HASH_SIZE || get_be(octets + LENGTH_AT, 4) != len)
		return -EBADMSG;
	(void)crypto_generichash(hash, sizeof hash, octets, len - HASH_SIZE, NULL, 0);
	if (memcmp(hash, octets + len - HASH_SIZE, HASH_SIZE) != 0)
		return -EBADMSG;
	same_run = memcmp(octets + RUN_AT, head + RUN_AT, JOURNAL_RUN_SIZE) == 0;
	memcpy(head + LENGTH_AT, octets + LENGTH_AT, 4);
	memcpy(head + RUN_AT, octets + RUN_AT, JOURNAL_RUN_SIZE);
	if (memcmp(octets, head, sizeof head) != 0)
		return -EBADMSG;
	return same_run ? 0 : run != NULL ? -ESTALE : -EBADMSG;
}

int journal_decode(const uint8_t *run, const char *serial, const void *octets, size_t len,
		   struct arbiter_record *ret)
{
	struct rd rd;
	int r;

	if (strlen(serial) != JOURNAL_SERIAL_SIZE - 1)
		return -EBADMSG;
	if ((r = head_check(run, serial, octets, len)) < 0)
		return r;
	rd = rd_over((const uint8_t *)octets + HEAD_SIZE, len - HEAD_SIZE - HASH_SIZE);
	return record_read(&rd, ret);
}

/* --- files --- */

/* A serial is a file's name here: hexadecimal digits and hyphens alone. */
static int name_of(const char *serial, const char *suffix, char ret_name[NAME_SIZE])
{
	if (strlen(serial) != JOURNAL_SERIAL_SIZE - 1 ||
	    strspn(serial, "0123456789abcdef-") != JOURNAL_SERIAL_SIZE - 1)
		return -EINVAL;
	(void)snprintf(ret_name, NAME_SIZE, "%s.%s", serial, suffix);
	return 0;
}

/* Octets in j->found, at most one more than a file may have; 0: there is no file. */
static ssize_t file_read(struct journal *j, const char *name)
{
	OWNED_FD fd = openat(j->folder_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	size_t len = 0;
	ssize_t n = 1;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	while (n != 0 && len < sizeof j->found) {
		n = pread(fd, j->found + len, sizeof j->found - len, (off_t)len);
		if (n < 0 && errno != EINTR)
			return -errno;
		len += (size_t)MAX(n, 0);
	}
	return len == 0 ? -EBADMSG : (ssize_t)len;
}

/* What a crash left is nobody's. */
static int beside_write(struct journal *j, const char *name, const uint8_t *octets, size_t len,
			bool durable)
{
	char beside[NAME_SIZE + 4];
	OWNED_FD fd = -1;
	int r;

	(void)snprintf(beside, sizeof beside, "%s.new", name);
	if (unlinkat(j->folder_fd, beside, 0) < 0 && errno != ENOENT)
		return -errno;
	fd = openat(j->folder_fd, beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		    0600);
	if (fd < 0)
		return -errno;
	if ((r = fd_write_all(fd, octets, len)) < 0)
		return r;
	return durable && fsync(fd) < 0 ? -errno : 0;
}

static int beside_take(struct journal *j, const char *name, bool durable)
{
	char beside[NAME_SIZE + 4];

	(void)snprintf(beside, sizeof beside, "%s.new", name);
	if (renameat(j->folder_fd, beside, j->folder_fd, name) < 0)
		return -errno;
	return durable && fsync(j->folder_fd) < 0 ? -errno : 0;
}

/* True: the lasting file says this already, or there is none and nothing is to be said. */
static bool says_so(struct journal *j, const char *serial, ssize_t found, size_t len)
{
	static const struct arbiter_record none;
	size_t blank;

	if (found > 0)
		return (size_t)found == len && memcmp(j->found, j->lasting, len) == 0;
	blank = journal_encode(NULL, serial, &none, j->found, JOURNAL_FILE_MAX);
	return blank == len && memcmp(j->found, j->lasting, len) == 0;
}

static size_t lasting_encode(struct journal *j, const char *serial,
			     const struct arbiter_record *record)
{
	struct arbiter_record *lasting = malloc(sizeof *lasting);
	size_t len = 0;

	if (lasting != NULL) {
		*lasting = *record;
		record_after_power_loss(lasting);
		len = journal_encode(NULL, serial, lasting, j->lasting, sizeof j->lasting);
	}
	free(lasting);
	return len;
}

/* 1: the lasting file is to be replaced by *ret_len octets. */
static int lasting_prepare(struct journal *j, const char *serial,
			   const struct arbiter_record *record, bool over, size_t *ret_len)
{
	struct arbiter_record *was = NULL;
	char name[NAME_SIZE];
	ssize_t found;
	int r;

	if ((r = name_of(serial, "lasting", name)) < 0)
		return r;
	if ((*ret_len = lasting_encode(j, serial, record)) == 0)
		return -EINVAL;
	found = file_read(j, name);
	if (over)
		return 1;
	if (found < 0)
		return (int)found;
	if (says_so(j, serial, found, *ret_len))
		return 0;
	if (found == 0)
		return 1;
	if ((was = malloc(sizeof *was)) == NULL)
		return -ENOMEM;
	r = journal_decode(NULL, serial, j->found, (size_t)found, was);
	free(was);
	return r < 0 ? r : 1;
}

/* Both are written beside first, so that a lack of room is known before anything changes. */
static int keep(struct journal *j, const char *serial, const struct arbiter_record *record,
		bool over)
{
	char lasting[NAME_SIZE], of_run[NAME_SIZE];
	size_t lasting_len,
		len = journal_encode(j->run, serial, record, j->of_run, sizeof j->of_run);
	int r, replace;

	if (len == 0 || name_of(serial, "lasting", lasting) < 0 ||
	    name_of(serial, "run", of_run) < 0)
		return -EINVAL;
	if ((replace = lasting_prepare(j, serial, record, over, &lasting_len)) < 0)
		return replace;
	if ((r = beside_write(j, of_run, j->of_run, len, false)) < 0 ||
	    (replace && (r = beside_write(j, lasting, j->lasting, lasting_len, true)) < 0) ||
	    (replace && (r = beside_take(j, lasting, true)) < 0))
		return r;
	return beside_take(j, of_run, false);
}

int journal_keep(struct journal *j, const char *serial, const struct arbiter_record *record)
{
	return keep(j, serial, record, false);
}

int journal_start_over(struct journal *j, const char *serial, const struct arbiter_record *record)
{
	return keep(j, serial, record, true);
}

/* --- the beginning --- */

/* -ENOENT: there is none of this run. */
static int load_of_run(struct journal *j, const char *serial, struct arbiter_record *ret)
{
	char name[NAME_SIZE];
	ssize_t found;
	int r;

	if ((r = name_of(serial, "run", name)) < 0)
		return r;
	if (j->first)
		return unlinkat(j->folder_fd, name, 0) < 0 && errno != ENOENT ? -errno : -ENOENT;
	found = file_read(j, name);
	if (found <= 0)
		return found < 0 ? (int)found : -ENOENT;
	r = journal_decode(j->run, serial, j->found, (size_t)found, ret);
	return r == -ESTALE ? -ENOENT : r;
}

int journal_load(struct journal *j, const char *serial, struct arbiter_record *ret)
{
	int r = load_of_run(j, serial, ret);
	char name[NAME_SIZE];
	ssize_t found;

	if (r != -ENOENT)
		return r < 0 ? r : 1;
	if ((r = name_of(serial, "lasting", name)) < 0)
		return r;
	found = file_read(j, name);
	if (found <= 0)
		return (int)found;
	r = journal_decode(NULL, serial, j->found, (size_t)found, ret);
	return r < 0 ? r : 1;
}
