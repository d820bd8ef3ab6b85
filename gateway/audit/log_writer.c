/* One log of the trail: blocks are finished here, and put into files. Segments are begun under
 * another name, and renamed when they are on the disk with their header and the tail: a segment
 * that can be seen is never half begun. Runs in the auditor. */
#include "gateway/audit/log_writer.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include "gateway/base/clock.h"
#include "gateway/base/fd.h"

int log_writer_open(struct log_writer *l, enum audit_log log)
{
	memset(l, 0, sizeof *l);
	l->log = log;
	l->fd = l->note_fd = -1;
	l->tail = malloc(LOG_TAIL_SIZE);
	return l->tail ? 0 : -ENOMEM;
}

void log_writer_close(struct log_writer *l)
{
	if (!l->tail) /* never opened */
		return;
	fd_close(&l->fd);
	fd_close(&l->note_fd);
	names_clear(&l->names);
	free(l->tail);
	l->tail = NULL;
}

size_t log_writer_room(const struct log_writer *l)
{
	return LOG_TAIL_SIZE - l->tail_len;
}

/* The payload behind where the header will stand. Returns its size as stored. */
static uint32_t put_payload(const struct rows_writer *rows, struct packer *packer, uint8_t *ret,
			    uint8_t *ret_flags)
{
	size_t raw = rows ? wr_len(&rows->out) : 0, stored;

	if (raw == 0)
		return 0;
	stored = packer_pack(packer, rows->out.start, raw, ret);
	if (stored > 0) {
		*ret_flags |= BLOCK_ZSTD;
		return (uint32_t)stored;
	}
	memcpy(ret, rows->out.start, raw);
	return (uint32_t)raw;
}

static struct block_header header_of(const struct log_writer *l, const struct block_parts *parts)
{
	struct block_header h = {
		.log = l->log,
		.flags = parts->flags,
		.number = l->made.blocks,
		.notes = l->notes,
		.first_sequence = parts->sequence,
		.wall_ns = parts->wall_ns,
		.mono_ns = parts->mono_ns,
		.span_ns = parts->last_ns - parts->mono_ns,
		.other_synced = parts->other->blocks,
		.index = {.lba_least = UINT64_MAX},
	};

	memcpy(h.before, l->made.before, sizeof h.before);
	tree_root(&l->made.tree, h.root);
	memcpy(h.other, parts->other->before, sizeof h.other);
	if (parts->context)
		memcpy(h.context, parts->context, sizeof h.context);
	if (parts->rows) {
		h.raw = (uint32_t)wr_len(&parts->rows->out);
		h.records = parts->rows->records;
		h.index = parts->rows->index;
		h.flags |= parts->rows->defines ? BLOCK_DEFINES : 0;
	}
	return h;
}

void log_writer_seal(struct log_writer *l, const struct block_parts *parts, struct packer *packer,
		     struct keys *keys, uint64_t salt)
{
	uint8_t *block = l->tail + l->tail_len, leaf[HASH_SIZE];
	struct block_header h = header_of(l, parts);
	size_t sealed, size;

	assert(log_writer_room(l) >= BLOCK_SIZE_MIN + h.raw);
	h.stored = put_payload(parts->rows, packer, block + BLOCK_HEADER_SIZE, &h.flags);
	h.epoch = keys_epoch(keys);
	size = block_size(&h);
	sealed = size - BLOCK_TRAILER_SIZE;
	block_header_write(&h, salt, block);
	keys_seal(keys, l->log, h.number, block, sealed);
	block_crc_set(block, size, salt);
	block_hash(block, size, l->made.before);
	tree_leaf_hash(block, size, leaf);
	tree_add(&l->made.tree, leaf);
	l->made.blocks++;
	l->made.octets += size;
	l->made.event = parts->event;
	l->tail_len += size;
}

int log_writer_flush(struct log_writer *l, struct keys *keys)
{
	int e;

	if (l->written == l->tail_len)
		return 0;
	if (l->fd < 0)
		return -EBADF;
	e = fd_write_all(l->fd, l->tail + l->written, l->tail_len - l->written);
	if (e < 0)
		return e;
	l->file_size += l->tail_len - l->written;
	l->written = l->tail_len;
	keys_written(keys, l->log);
	return 0;
}

static int new_file(int folder_fd, const char *name)
{
	int fd = openat(folder_fd, name,
			O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);

	return fd < 0 ? -errno : fd;
}

int log_writer_begin(struct log_writer *l, int folder_fd, struct segment_header *h,
		     const uint8_t *header)
{
	char new_name[SEGMENT_NAME_SIZE], name[SEGMENT_NAME_SIZE];
	OWNED_FD fd = -1;
	int e;

	fd = new_file(folder_fd, segment_new_name(l->log, new_name));
	if (fd < 0)
		return fd;
	if ((e = fd_write_all(fd, header, h->size)) < 0 ||
	    (e = fd_write_all(fd, l->tail, l->tail_len)) < 0)
		return e;
	if (fdatasync(fd) < 0 ||
	    renameat(folder_fd, new_name, folder_fd, segment_name(l->log, h->number, name)) < 0)
		return -errno;
	/* What stands in the new one is nothing any more in the old one, where it may be torn. */
	if (l->fd >= 0 && l->tail_len > 0)
		(void)!ftruncate(l->fd, (off_t)(l->file_size - l->written));
	fd_close(&l->fd);
	l->fd = fd_take(&fd);
	l->header = *h;
	l->file_size = h->size + l->tail_len;
	l->written = l->tail_len;
	return 0;
}

void log_writer_synced(struct log_writer *l, const struct log_place *place)
{
	size_t len = (size_t)(place->octets - l->synced.octets);

	assert(place->octets >= l->synced.octets && len <= l->written);
	memmove(l->tail, l->tail + len, l->tail_len - len);
	l->tail_len -= len;
	l->written -= len;
	l->synced = *place;
}

int log_writer_settle(struct log_writer *l)
{
	if (l->fd < 0 || l->written < l->tail_len)
		return 0;
	if (fdatasync(l->fd) < 0 || (l->note_fd >= 0 && fdatasync(l->note_fd) < 0))
		return -errno;
	log_writer_synced(l, &l->made);
	return 0;
}

uint64_t log_writer_first(const struct log_writer *l)
{
	return l->tail_len ? get_be(l->tail + 24, 8) : 0;
}

/* The one beside the segment that is written now; it is made anew, as the segment was. */
static int note_open(struct log_writer *l, int folder_fd)
{
	char name[SEGMENT_NAME_SIZE];

	if (l->note_fd >= 0 && l->note_number == l->header.number)
		return 0;
	if (l->note_fd >= 0) /* blocks count them: a power cut must not find them gone */
		(void)!fdatasync(l->note_fd);
	fd_close(&l->note_fd);
	l->note_fd = openat(folder_fd, segment_note_name(l->log, l->header.number, name),
			    O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	l->note_number = l->header.number;
	l->note_size = 0;
	return l->note_fd < 0 ? -errno : 0;
}

int log_writer_note(struct log_writer *l, int folder_fd, const struct keys *keys,
		    char ret_text[NOTE_SIZE])
{
	struct note note = {.log = l->log, .size = l->synced.blocks};
	int len, e;

	if (l->note_blocks == l->synced.blocks || l->fd < 0)
		return 0;
	memcpy(note.trail, l->header.trail, sizeof note.trail);
	tree_root(&l->synced.tree, note.root);
	len = keys_note(keys, &note, ret_text);
	if (len < 0)
		return len;
	e = note_open(l, folder_fd);
	if (e < 0)
		return e;
	e = fd_write_all(l->note_fd, ret_text, (size_t)len);
	if (e < 0) { /* what is torn is cut off, or it is when the auditor starts */
		(void)!ftruncate(l->note_fd, (off_t)l->note_size);
		return e;
	}
	l->note_size += (uint64_t)len;
	l->note_blocks = l->synced.blocks;
	l->notes++;
	return 1;
}
