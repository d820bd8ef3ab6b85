/* Reads the last segment of a log, block by block, so that its chain and tree go on, and cuts off
 * what is torn at its end. The page of a ring says how far it is consumed, and lags behind the
 * file by what was written just before the old auditor died: never more than a tail of blocks.
 * These are unpacked, if need be from the segments before as well. Trusts no octet of the files. */
#include "gateway/audit/resume_log.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include "gateway/base/fd.h"

/* It is there already, however long ago it was opened. */
static void note_repeated(void *arg, const struct auditor_ring_info *info)
{
	struct resume_log *l = arg;

	/* Without memory the opening is told twice. */
	(void)!resume_ring_put(l->resume, info->connection, 0);
}

int resume_log_start(struct resume_log *l, struct resume *resume, enum audit_log log)
{
	int e;

	memset(l, 0, sizeof *l);
	l->resume = resume;
	l->log = log;
	l->rows.repeated = note_repeated;
	l->rows.arg = l;
	if ((e = reader_start(&l->reader)) < 0)
		return e;
	return unpacker_open(&l->unpacker);
}

void resume_log_free(struct resume_log *l)
{
	reader_free(&l->reader);
	unpacker_close(&l->unpacker);
	names_clear(&l->names);
	segment_list_free(&l->list);
	free(l->spans);
	l->spans = NULL;
}

PRINTF_LIKE(3, 4)
static void say(char *ret, size_t size, const char *fmt, ...)
{
	size_t len = strlen(ret);
	va_list args;

	if (len > 0 && len + 2 < size) {
		(void)string_copy(ret + len, size - len, "; ");
		len += 2;
	}
	va_start(args, fmt);
	(void)vsnprintf(ret + len, size - len, fmt, args);
	va_end(args);
}

static int span_add(struct resume_log *l, const struct block_header *h)
{
	if ((l->count & (l->count - 1)) == 0) { /* room for powers of two */
		size_t room = l->count ? l->count * 2 : 1;
		struct resume_span *more = realloc(l->spans, room * sizeof *more);

		if (!more)
			return -ENOMEM;
		l->spans = more;
	}
	l->spans[l->count++] =
		(struct resume_span){h->first_sequence, h->first_sequence + h->records};
	l->behind = MAX(l->behind, h->first_sequence + h->records);
	return 0;
}

static int note_record(struct resume_log *l, const struct frame *f)
{
	struct resume *r = l->resume;

	switch (f->type) {
	case FRAME_COMMAND:
		return resume_ring_put(r, f->connection, f->command.index + 1);
	case FRAME_SESSION:
		return resume_ring_put(r, f->connection, 0);
	case FRAME_EVENT:
		l->place.event = MAX(l->place.event, f->event.id);
		return 0;
	default:
		return 0;
	}
}

static void note_damage(struct resume_log *l, uint64_t offset, uint64_t len)
{
	char name[SEGMENT_NAME_SIZE], *ret = l->resume->found.damage;

	if (strlen(ret) > sizeof l->resume->found.damage / 2)
		return;
	say(ret, sizeof l->resume->found.damage, "%s is damaged from octet %llu for %llu octets",
	    segment_name(l->log, l->reader.header.number, name), (unsigned long long)offset,
	    (unsigned long long)len);
}

/* The records of a block of this run. */
static int unpack(struct resume_log *l, const struct block_header *h, const uint8_t *block)
{
	const uint8_t *payload;
	int e = unpacker_block(&l->unpacker, h, block, &payload);

	if (e == 0) {
		rows_read_begin(&l->rows, h, payload, &l->names);
		while ((e = rows_next(&l->rows, &l->frame)) > 0) {
			e = note_record(l, &l->frame);
			if (e < 0)
				return e;
		}
	}
	if (e == -EBADMSG) {
		note_damage(l, l->reader.damage_offset, l->reader.damage_len);
		return 0;
	}
	return e;
}

static void note_context(struct resume_log *l, const struct block_header *h)
{
	struct resume_context *c = &l->contexts[l->context_count];

	if (!(h->flags & BLOCK_CONTEXT) || l->context_count == RESUME_CONTEXTS)
		return;
	*c = (struct resume_context){.segment = l->reader.header.number, .notes = h->notes};
	memcpy(c->hash, h->context, HASH_SIZE);
	l->context_count++;
}

/* The chain goes on behind this block. What is missing before it has left no leaf that could be
 * told any more: zeros stand for it, and the damage was told. */
static void place_behind(struct resume_log *l, const struct block_header *h, const uint8_t *block)
{
	static const uint8_t missing[HASH_SIZE];
	uint8_t leaf[HASH_SIZE];

	while (l->place.blocks < h->number) {
		tree_add(&l->place.tree, missing);
		l->place.blocks++;
	}
	block_hash(block, block_size(h), l->place.before);
	tree_leaf_hash(block, block_size(h), leaf);
	tree_add(&l->place.tree, leaf);
	l->place.blocks++;
	l->ended = (h->flags & BLOCK_END) != 0;
	note_context(l, h);
	l->resume->end.epoch = MAX(l->resume->end.epoch, h->epoch);
}

/* `lost`: octets that were damaged since the last block that was right. */
static bool in_turn(const struct resume_log *l, const struct block_header *h, uint64_t lost)
{
	return h->number >= l->place.blocks && h->number - l->place.blocks <= lost / BLOCK_SIZE_MIN;
}

/* Damage that begins where nothing was told to be on the disk is what a power cut leaves: pages
 * that were not written between others that were. It is an end, like one that is torn. */
static bool is_an_end(const struct resume_log *l)
{
	return l->place.blocks >= l->synced && !l->ended;
}

/* *ret_end: where the last block that is right ends. */
static int walk(struct resume_log *l, uint64_t unpack_from, uint64_t *ret_end)
{
	uint64_t lost = 0;
	struct block_header h;
	const uint8_t *block;
	int got, e = 0;

	*ret_end = l->synced_end = l->reader.offset;
	while (e == 0 && (got = reader_peek(&l->reader, &h)) > READER_END && got != READER_TORN) {
		if (got == READER_BLOCK)
			got = reader_take(&l->reader, &h, &block);
		if (got < 0)
			return got;
		if (got == READER_BLOCK && in_turn(l, &h, lost)) {
			if (lost)
				note_damage(l, *ret_end, lost);
			place_behind(l, &h, block);
			if (l->place.blocks <= l->synced)
				l->synced_end = l->reader.offset;
			e = span_add(l, &h);
			if (e == 0 && l->same_run && l->reader.offset >= unpack_from)
				e = unpack(l, &h, block);
			*ret_end = l->reader.offset;
			lost = 0;
			continue;
		}
		if (is_an_end(l))
			return 0;
		lost += l->reader.damage_len;
	}
	return e < 0 ? e : MIN(got, 0);
}

/* A sync that fails makes the pages clean that it did not write, and the next one writes nothing of
 * them: if that is how the old auditor ended, the file is as it should be in memory alone. So what
 * is not known to be on the disk is written again, where it stands. */
static int write_again(int fd, uint64_t from, uint64_t end)
{
	static const size_t at_once = 256u << 10;
	OWNED_FREE uint8_t *bytes = malloc(at_once);

	if (!bytes)
		return -ENOMEM;
	while (from < end) {
		ssize_t n = pread(fd, bytes, (size_t)MIN(end - from, at_once), (off_t)from);

		if (n <= 0 || pwrite(fd, bytes, (size_t)n, (off_t)from) != n)
			return n < 0 ? -errno : -EIO;
		from += (uint64_t)n;
	}
	return 0;
}

static int copy(int from, int to, uint64_t len)
{
	static const size_t at_once = 256u << 10;
	OWNED_FREE uint8_t *bytes = malloc(at_once);

	if (!bytes)
		return -ENOMEM;
	for (uint64_t at = 0; at < len;) {
		ssize_t n = pread(from, bytes, (size_t)MIN(len - at, at_once), (off_t)at);
		int e = n > 0 ? fd_write_all(to, bytes, (size_t)n) : n < 0 ? -errno : -EIO;

		if (e < 0)
			return e;
		at += (uint64_t)n;
	}
	return 0;
}

/* The auditor before gave the segment up and died. No sync of that file is believed any more: what
 * is right in it is written to another one, which takes its place when it is on the disk. */
static int make_anew(struct resume_log *l, int fd, uint64_t end)
{
	char name[SEGMENT_NAME_SIZE], new_name[SEGMENT_NAME_SIZE];
	int folder = l->resume->folder_fd, e;
	OWNED_FD to = openat(folder, segment_new_name(l->log, new_name),
			     O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW | O_CLOEXEC,
			     0600);

	if (to < 0)
		return -errno;
	if ((e = copy(fd, to, end)) < 0)
		return e;
	(void)segment_name(l->log, l->reader.header.number, name);
	if (fdatasync(to) < 0 || renameat(folder, new_name, folder, name) < 0 || fsync(folder) < 0)
		return -errno;
	say(l->resume->found.anew, sizeof l->resume->found.anew,
	    "%s could not be written or synced, and the auditor died before a "
	    "new segment worked: it was made again",
	    name);
	return 0;
}

/* What stands behind the last block was never told to be durable: it is cut off, so that the file
 * has nothing but blocks. Behind a clean end nothing was ever written. */
static int cut(struct resume_log *l, int fd, uint64_t end)
{
	struct resume_found *found = &l->resume->found;
	bool given_up = l->same_run && l->resume->keys &&
			keys_was_given_up(l->resume->keys, l->log);
	char name[SEGMENT_NAME_SIZE];
	struct stat st;
	int e;

	if (fstat(fd, &st) < 0)
		return -errno;
	if ((uint64_t)st.st_size > end && l->ended) {
		note_damage(l, end, (uint64_t)st.st_size - end);
		return 0;
	}
	if ((uint64_t)st.st_size > end) {
		say(found->cut, sizeof found->cut,
		    "%s ended within a block: %llu octets from octet %llu on were cut off",
		    segment_name(l->log, l->reader.header.number, name),
		    (unsigned long long)((uint64_t)st.st_size - end), (unsigned long long)end);
		if (!given_up && ftruncate(fd, (off_t)end) < 0)
			return -errno;
	}
	if (given_up)
		return make_anew(l, fd, end);
	if (!l->ended && (e = write_again(fd, l->synced_end, end)) < 0)
		return e;
	/* What the old auditor wrote and did not sync yet is told to be durable from here on. */
	return fdatasync(fd) < 0 ? -errno : 0;
}

/* What these checkpoints are of was on the disk; those that are damaged are passed over. Returns
 * where the last one that is whole ends. */
static size_t notes_take(struct resume_log *l, const char *text, size_t len)
{
	static const char next[] = "\nsallyport-audit/";
	size_t right = 0, at = 0;

	while (at < len) {
		size_t span = note_span(text + at, MIN(len - at, NOTE_READ_MAX));
		const char *more;
		struct note note;

		if (span > 0 && note_read(&note, text + at, span) == 0) {
			l->synced = MAX(l->synced, note.size);
			l->notes++;
			right = at += span;
			continue;
		}
		more = memmem(text + at, len - at, next, sizeof next - 1);
		if (!more)
			break;
		at = (size_t)(more - text) + 1;
	}
	return right;
}

/* Checkpoints beside a segment, of which there may be a day's. *ret_end: where the last one that is
 * whole ends; *ret_rest: octets behind it. */
static int notes_walk(struct resume_log *l, int fd, off_t *ret_end, size_t *ret_rest)
{
	static const size_t most = 1u << 20;
	OWNED_FREE char *text = malloc(most);
	size_t len, right;

	if (!text)
		return -ENOMEM;
	*ret_end = 0;
	do {
		ssize_t n = pread(fd, text, most, *ret_end);

		if (n < 0)
			return -errno;
		len = (size_t)n;
		right = notes_take(l, text, len);
		*ret_end += (off_t)right;
	} while (len == most && right > 0);
	*ret_rest = len - right;
	return 0;
}

/* Behind the last one that is whole is nothing. */
static int notes_read(struct resume_log *l, uint64_t number)
{
	char name[SEGMENT_NAME_SIZE];
	OWNED_FD fd = openat(l->resume->folder_fd, segment_note_name(l->log, number, name),
			     O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	size_t rest = 0;
	off_t end = 0;
	int e;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if ((e = notes_walk(l, fd, &end, &rest)) < 0)
		return e;
	/* A longer rest is no torn end, which is for who verifies. */
	if (rest > 0 && rest <= NOTE_READ_MAX && ftruncate(fd, end) < 0)
		return -errno;
	return fdatasync(fd) < 0 ? -errno : 0;
}

/* Beside a segment that is not the last one: counted alone. */
static int notes_count(struct resume_log *l, uint64_t number)
{
	char name[SEGMENT_NAME_SIZE];
	OWNED_FD fd = openat(l->resume->folder_fd, segment_note_name(l->log, number, name),
			     O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	size_t rest = 0;
	off_t end = 0;

	return fd < 0 ? 0 : notes_walk(l, fd, &end, &rest);
}

/* An earlier segment of this run, as far as it is in the tail. Takes what it counts off *left. */
static int unpack_before(struct resume_log *l, uint64_t number, uint64_t *left)
{
	OWNED_FD fd = segment_open(l->resume->folder_fd, l->log, number);
	struct block_header h;
	const uint8_t *block;
	uint64_t tail = *left, octets;
	struct stat st;
	int got;

	if (fd < 0 || fstat(fd, &st) < 0 || reader_open(&l->reader, fd) < 0 ||
	    l->reader.header.run != l->resume->run) {
		*left = 0;
		return 0;
	}
	octets = (uint64_t)st.st_size - MIN(l->reader.offset, (uint64_t)st.st_size);
	*left -= MIN(octets, tail);
	while ((got = reader_peek(&l->reader, &h)) > READER_END && got != READER_TORN) {
		if (got == READER_BLOCK)
			got = reader_take(&l->reader, &h, &block);
		if (got == READER_BLOCK && l->reader.offset + tail >= (uint64_t)st.st_size)
			got = unpack(l, &h, block);
		if (got < 0)
			return got;
	}
	return MIN(got, 0);
}

/* Auditors that die in a row, before they have all rings, leave a segment each with next to nothing
 * in it: the tail is behind all of them. */
static int unpack_tail(struct resume_log *l, uint64_t size)
{
	uint64_t left = LOG_TAIL_SIZE - MIN(size, LOG_TAIL_SIZE);
	int e = 0;

	for (size_t i = l->at; i > 0 && left > 0 && e == 0; i--)
		e = unpack_before(l, l->list.numbers[i - 1], &left);
	return e;
}

/* An earlier segment, by its headers. */
static int spans_before(struct resume_log *l, uint64_t number, uint64_t *first)
{
	OWNED_FD fd = segment_open(l->resume->folder_fd, l->log, number);
	struct block_header h;
	int got, e = 0;

	if (fd < 0 || reader_open(&l->reader, fd) < 0)
		return 0; /* which is for who verifies */
	while (e == 0 &&
	       ((got = reader_peek(&l->reader, &h)) == READER_BLOCK || got == READER_DAMAGED)) {
		if (got == READER_DAMAGED)
			continue;
		if (h.number < l->place.blocks) {
			*first = MIN(*first, h.first_sequence);
			e = span_add(l, &h);
		}
		reader_skip(&l->reader, &h);
	}
	return e;
}

int resume_log_before(struct resume_log *l, uint64_t sequence)
{
	uint64_t first = UINT64_MAX;
	int e = 0;

	for (size_t i = 0; i < l->count; i++)
		first = MIN(first, l->spans[i].first);
	while (e == 0 && l->at > 0 && first > sequence)
		e = spans_before(l, l->list.numbers[--l->at], &first);
	return e;
}

/* What a segment's own block counts are the checkpoints before the segment; those of the segment
 * are behind it, if the block is. */
static bool is_bound(struct resume_log *l, uint64_t number, const uint8_t hash[HASH_SIZE])
{
	for (size_t i = 0; i < l->context_count; i++) {
		const struct resume_context *c = &l->contexts[i];

		if (memcmp(c->hash, hash, HASH_SIZE) != 0)
			continue;
		l->notes = c->notes + (c->segment == number ? l->notes : l->notes_behind);
		return true;
	}
	return false;
}

/* True: no block that was seen has the hash of this segment's header. */
static bool is_unbound(struct resume_log *l, uint64_t number)
{
	struct trail_end *end = &l->resume->end;
	size_t *count = &end->logs[l->log - 1].unbound_count;
	OWNED_FD fd = segment_open(l->resume->folder_fd, l->log, number);
	uint8_t hash[HASH_SIZE];
	struct block_header h;
	int got;

	if (fd < 0 || reader_open(&l->reader, fd) < 0 || reader_header_hash(&l->reader, hash) < 0)
		return false;
	while ((got = reader_peek(&l->reader, &h)) == READER_BLOCK || got == READER_DAMAGED) {
		if (got == READER_DAMAGED)
			continue;
		note_context(l, &h);
		reader_skip(&l->reader, &h);
	}
	if (is_bound(l, number, hash))
		return false;
	if (*count == LOG_UNBOUND)
		return false;
	memcpy(end->logs[l->log - 1].unbound[(*count)++], hash, sizeof hash);
	return true;
}

/* From the last segment back to one whose header is bound. */
static int contexts_find(struct resume_log *l)
{
	const struct segment_list *list = &l->list;
	int e = 0;

	for (size_t i = list->count; i-- > 0 && e == 0;) {
		l->notes_behind = i == l->at ? 0 : l->notes;
		if (i != l->at)
			e = notes_count(l, list->numbers[i]);
		if (e == 0 && !is_unbound(l, list->numbers[i]))
			break;
	}
	return e;
}

static void place_begin(struct resume_log *l)
{
	const struct segment_header *h = &l->reader.header;

	l->any = true;
	l->same_run = h->run == l->resume->run;
	l->first_sequence = l->behind = h->first_sequence;
	l->place.blocks = l->synced = h->first_block;
	l->place.tree = h->tree;
	l->place.event = l->same_run ? h->last_event : 0;
	memcpy(l->place.before, h->before, sizeof h->before);
	memcpy(l->resume->end.trail, h->trail, sizeof h->trail);
	l->resume->end.epoch = MAX(l->resume->end.epoch, h->epoch);
}

/* 1: read; 0: it has no header that can be read; -errno. */
static int segment_read(struct resume_log *l, uint64_t number)
{
	OWNED_FD fd = segment_open_writable(l->resume->folder_fd, l->log, number);
	uint64_t end, unpack_from = 0, size;
	struct stat st;
	int e;

	if (fd < 0)
		return fd;
	e = reader_open(&l->reader, fd);
	if (e == -ENODATA || e == -EBADMSG || e == -EPROTONOSUPPORT ||
	    l->reader.header.log != l->log)
		return 0;
	if (e < 0 || fstat(fd, &st) < 0)
		return MIN(e, -EIO);
	place_begin(l);
	size = (uint64_t)st.st_size;
	if (l->log == LOG_COMMANDS && size > LOG_TAIL_SIZE)
		unpack_from = size - LOG_TAIL_SIZE;
	if ((e = notes_read(l, number)) < 0 || (e = walk(l, unpack_from, &end)) < 0 ||
	    (e = cut(l, fd, end)) < 0)
		return e;
	if (l->log == LOG_COMMANDS && l->same_run)
		e = unpack_tail(l, size);
	return e < 0 ? e : 1;
}

static uint64_t size_of(const struct resume_log *l, uint64_t number)
{
	OWNED_FD fd = segment_open(l->resume->folder_fd, l->log, number);
	struct stat st;

	return fd < 0 || fstat(fd, &st) < 0 ? 0 : (uint64_t)st.st_size;
}

int resume_log_read(struct resume_log *l)
{
	struct resume_found *found = &l->resume->found;
	const struct segment_list *list = &l->list;
	char name[SEGMENT_NAME_SIZE];
	uint64_t unknown = 0;
	int e = segment_list_read(l->resume->folder_fd, l->log, &l->list);

	if (e < 0)
		return e;
	l->resume->end.logs[l->log - 1].number = list->count ? list->numbers[list->count - 1] : 0;
	for (l->at = list->count; l->at > 0 && e == 0;) {
		uint64_t number = list->numbers[--l->at];

		e = segment_read(l, number);
		if (e != 0)
			break;
		/* None of the sequences that it may have can be used again. */
		unknown += size_of(l, number);
		say(found->damage, sizeof found->damage, "%s has no header that can be read",
		    segment_name(l->log, number, name));
	}
	if (e >= 0)
		e = contexts_find(l);
	l->resume->end.logs[l->log - 1].notes = l->notes;
	l->behind += unknown;
	(void)unlinkat(l->resume->folder_fd, segment_new_name(l->log, name), 0);
	/* Retention deletes a segment, then its checkpoints: a death in between leaves these. */
	if (list->count > 0 && list->numbers[0] > 1)
		(void)unlinkat(l->resume->folder_fd,
			       segment_note_name(l->log, list->numbers[0] - 1, name), 0);
	return MIN(e, 0);
}
