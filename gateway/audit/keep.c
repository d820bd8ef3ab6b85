/* Deletes what is too old or too much. The folder's files are damaged perhaps: what is recorded of
 * a segment is what can be read of it, and its place in the chain, which the next one says. */
#include "gateway/audit/keep.h"

#include <stdio.h>
#include <fcntl.h>
#include <sys/stat.h>
#include "gateway/base/clock.h"
#include "gateway/base/log.h"

#define SCAN_BLOCKS 256 /* between two looks at the rings */
#define SOON_MS	    5
#define AGAIN_MS    600000 /* after a segment could not be deleted */
#define MARGIN	    16	   /* a part of at_most: so much is free again when segments went */

static struct keep_log *log_of(struct keep *k, enum audit_log log)
{
	return &k->logs[log - 1];
}

/* --- the folder ------------------------------------------------------------------------------ */

static uint64_t octets_of(const struct keep *k, const char *name)
{
	struct stat st;

	return fstatat(k->folder_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ? 0 : (uint64_t)st.st_size;
}

static uint64_t segment_octets(const struct keep *k, enum audit_log log, uint64_t number)
{
	char name[SEGMENT_NAME_SIZE];
	uint64_t octets = octets_of(k, segment_name(log, number, name));

	return octets + octets_of(k, segment_note_name(log, number, name));
}

/* Again after each segment that came or went. */
static void folder_look(struct keep *k, enum audit_log log)
{
	struct keep_log *l = log_of(k, log);
	struct segment_list list = {0};

	if (segment_list_read(k->folder_fd, log, &list) < 0)
		return; /* with the next one */
	segment_list_free(&l->list);
	l->list = list;
	l->current = k->commit->writer.logs[log - 1].header.number;
	l->next.number = 0;
	l->closed_octets = 0;
	for (size_t i = 0; i < list.count && list.numbers[i] < l->current; i++)
		l->closed_octets += segment_octets(k, log, list.numbers[i]);
}

static void folders_look(struct keep *k)
{
	for (enum audit_log log = LOG_COMMANDS; log <= LOG_EVENTS; log++)
		if (log_of(k, log)->current != k->commit->writer.logs[log - 1].header.number)
			folder_look(k, log);
}

uint64_t keep_octets(const struct keep *k)
{
	uint64_t octets = 0;

	for (size_t i = 0; i < AUDIT_LOGS; i++)
		octets += k->logs[i].closed_octets + k->commit->writer.logs[i].file_size;
	return octets;
}

uint64_t keep_yields(const struct keep *k)
{
	return k->keep_ms > 0 ? 0 : k->logs[LOG_COMMANDS - 1].closed_octets;
}

/* --- choosing -------------------------------------------------------------------------------- */

/* There is a segment behind the first: then the first one is over. Its header is read once. */
static const struct segment_header *next_header(struct keep *k, enum audit_log log)
{
	struct keep_log *l = log_of(k, log);
	OWNED_FD fd = -1;

	if (l->list.count < 2 || l->list.numbers[1] > l->current)
		return NULL;
	if (l->next.number != 0)
		return &l->next;
	fd = segment_open(k->folder_fd, log, l->list.numbers[1]);
	if (fd >= 0 && reader_open(&k->reader, fd) == 0)
		l->next = k->reader.header;
	k->reader.fd = -1;
	return l->next.number != 0 ? &l->next : NULL; /* damaged: where does the first one end? */
}

/* Written since the machine was started: so long ago at most, whatever its clock says. */
static bool is_young(const struct keep *k, const struct segment_header *next, uint64_t keep_ns)
{
	static const uint8_t unknown[BOOT_ID_SIZE];
	const uint8_t *boot = k->commit->writer.boot;
	uint64_t now_ns = clock_ns();

	return memcmp(boot, unknown, sizeof unknown) != 0 &&
	       memcmp(boot, next->boot, sizeof next->boot) == 0 &&
	       now_ns - MIN(now_ns, next->mono_ns) <= keep_ns;
}

/* The youngest record of a segment is not younger than the one behind it. A clock that is set ahead
 * makes nothing older than the machine knows it to be. */
static bool is_old(const struct keep *k, const struct segment_header *next, uint64_t now_ns)
{
	uint64_t keep_ns, until;

	return k->keep_ms > 0 && MUL_OK(k->keep_ms, UINT64_C(1000000), &keep_ns) &&
	       ADD_OK(next->start_ns, keep_ns, &until) && until < now_ns &&
	       !is_young(k, next, keep_ns);
}

static bool is_too_much(const struct keep *k, enum audit_log log)
{
	return log == LOG_COMMANDS && k->keep_ms == 0 && k->at_most > 0 &&
	       keep_octets(k) > k->at_most - k->at_most / MARGIN;
}

/* --- scanning -------------------------------------------------------------------------------- */

static void scan_begin(struct keep *k, enum audit_log log, const struct segment_header *next)
{
	uint64_t number = log_of(k, log)->list.numbers[0];
	int fd = segment_open(k->folder_fd, log, number);

	k->what = (struct retention){.log = log, .segment = number};
	k->what.first_ns = k->what.last_ns = next->start_ns;
	k->what.first_block = next->first_block;
	memcpy(k->what.last_hash, next->before, sizeof k->what.last_hash);
	k->step = KEEP_SCANNING;
	if (fd < 0 || reader_open(&k->reader, fd) < 0) {
		fd_close(&fd);
		k->reader.fd = -1;
		return; /* nothing of it can be read: it goes as it is */
	}
	k->what.first_block = MIN(k->reader.header.first_block, next->first_block);
	k->what.blocks = next->first_block - k->what.first_block;
	k->what.first_ns = k->what.last_ns = k->reader.header.start_ns;
}

static void scan_block(struct keep *k, const struct block_header *h)
{
	struct retention *w = &k->what;

	w->last_ns = h->wall_ns + h->span_ns;
	if (h->records == 0)
		return;
	if (w->sequences == 0)
		w->first_sequence = h->first_sequence;
	w->sequences = h->first_sequence + h->records - w->first_sequence;
}

/* True: it is over. */
static bool scan_some(struct keep *k)
{
	struct block_header h;
	int r;

	for (int i = 0; i < SCAN_BLOCKS; i++) {
		if (k->reader.fd < 0)
			return true;
		r = reader_peek(&k->reader, &h);
		if (r == READER_DAMAGED)
			continue;
		if (r != READER_BLOCK || h.number >= k->what.first_block + k->what.blocks)
			return true;
		scan_block(k, &h);
		reader_skip(&k->reader, &h);
	}
	return false;
}

/* --- recording, then deleting ----------------------------------------------------------------- */

static void record(struct keep *k)
{
	struct audit_event event = {.wall_ns = clock_wall_ns(), .kind = EVENT_RETENTION};
	uint64_t before = k->commit->writer.next_sequence;

	fd_close(&k->reader.fd);
	string_copy(event.reason, sizeof event.reason, RETENTION_REASON);
	retention_write(&k->what, event.detail);
	commit_event(k->commit, &event);
	k->sequence = before;
	k->step = k->commit->writer.next_sequence > before ? KEEP_RECORDING : KEEP_IDLE;
}

static void delete_it(struct keep *k)
{
	char name[SEGMENT_NAME_SIZE];
	int r = 0;

	k->step = KEEP_IDLE;
	if (unlinkat(k->folder_fd, segment_name(k->what.log, k->what.segment, name), 0) < 0 &&
	    errno != ENOENT)
		r = -errno;
	k->again_ms = r < 0 ? clock_ms() + AGAIN_MS : 0; /* not recorded again and again */
	if (r < 0)
		log_error("%s, which is older than what is to be kept, can't be deleted: %s", name,
			  strerror(-r));
	(void)unlinkat(k->folder_fd, segment_note_name(k->what.log, k->what.segment, name), 0);
	if (fsync(k->folder_fd) < 0)
		log_error("the audit folder can't be synced: %m");
	k->deleted += r == 0;
	folder_look(k, k->what.log);
}

/* False: there is nothing to be deleted now. */
static bool choose(struct keep *k)
{
	uint64_t now_ns = clock_wall_ns();
	const struct segment_header *oldest = NULL;

	folders_look(k);
	if (clock_ms() < k->again_ms)
		return false;
	for (enum audit_log log = LOG_COMMANDS; log <= LOG_EVENTS; log++) {
		const struct segment_header *next = next_header(k, log);

		if (next == NULL || !(is_old(k, next, now_ns) || is_too_much(k, log)))
			continue;
		if (oldest == NULL || next->start_ns < oldest->start_ns)
			oldest = next;
	}
	if (oldest != NULL)
		scan_begin(k, oldest->log, oldest);
	return oldest != NULL;
}

static void go_on(struct keep *k)
{
	bool more = true;

	if (k->commit->state != AUDIT_WRITING)
		return; /* nothing can be recorded */
	if (k->step == KEEP_IDLE)
		more = choose(k);
	else if (k->step == KEEP_SCANNING && scan_some(k))
		record(k);
	else if (k->step == KEEP_RECORDING &&
		 writer_first_unsynced(&k->commit->writer) > k->sequence)
		delete_it(k);
	if (more)
		loop_timer_set(k->loop, &k->soon, clock_ms() + SOON_MS);
}

static void on_soon(struct timer *t)
{
	go_on(CONTAINER_OF(t, struct keep, soon));
}

void keep_turn(struct keep *k)
{
	folders_look(k);
	if (k->soon.at_ms == 0)
		go_on(k);
}

int keep_open(struct keep *k, struct commit *commit, struct loop *loop, int folder_fd)
{
	*k = (struct keep){
		.commit = commit, .loop = loop, .folder_fd = folder_fd, .reader = {.fd = -1}};
	k->soon.run = on_soon;
	return reader_start(&k->reader);
}

void keep_close(struct keep *k)
{
	if (k->loop == NULL)
		return;
	loop_timer_clear(k->loop, &k->soon);
	fd_close(&k->reader.fd);
	reader_free(&k->reader);
	for (size_t i = 0; i < AUDIT_LOGS; i++)
		segment_list_free(&k->logs[i].list);
}
