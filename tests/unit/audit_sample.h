/* A small real trail, made by the auditor's own writer: two runs, some segments, blocks that were
 * written again, epochs whose keys were shown, checkpoints. And a folder's files in memory, to be
 * changed there. */
#pragma once

#include "tests/unit/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/stat.h>

#include "gateway/audit/folder.h"
#include "gateway/audit/resume.h"
#include "gateway/audit/verify.h"
#include "gateway/base/fd.h"

#define SAMPLE_NOTES 64

struct sample_file {
	char name[SEGMENT_NAME_SIZE];
	uint8_t *bytes;
	size_t len;
};

struct image {
	struct sample_file files[32];
	size_t count;
};

struct sample {
	char folder[64];
	int folder_fd, seed_fd;
	uint8_t seed[KEYS_SEED_SIZE];
	struct keys *keys;
	struct trail_writer w;
	struct auditor_ring_info session;
	struct audit_key shown[2];	 /* of run 1, of run 2 */
	struct note notes[SAMPLE_NOTES]; /* all that were ever signed */
	size_t note_count;
	struct image first, whole; /* after run 1, after run 2 */
	uint32_t put;		   /* commands */
	uint32_t salt;		   /* two trails with another one have other records */
};

/* --- files -------------------------------------------------------------------------------- */

static inline void image_free(struct image *m)
{
	for (size_t i = 0; i < m->count; i++)
		free(m->files[i].bytes);
	m->count = 0;
}

static inline struct sample_file *image_add(struct image *m, const char *name, const void *bytes,
					    size_t len)
{
	struct sample_file *f = &m->files[m->count++];

	assert_true(m->count <= ARRAY_LEN(m->files));
	(void)string_copy(f->name, sizeof f->name, name);
	f->bytes = malloc(len + 1);
	assert_non_null(f->bytes);
	if (len > 0)
		memcpy(f->bytes, bytes, len);
	f->len = len;
	return f;
}

static inline int by_name(const void *a, const void *b)
{
	return strcmp(((const struct sample_file *)a)->name, ((const struct sample_file *)b)->name);
}

static inline void image_read(struct image *m, int folder_fd)
{
	int fd = openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fdopendir(fd);
	struct dirent *entry;

	assert_non_null(dir);
	m->count = 0;
	while ((entry = readdir(dir))) {
		OWNED_FREE char *bytes = NULL;
		OWNED_FD file = -1;
		size_t len;

		if (entry->d_name[0] == '.')
			continue;
		file = openat(folder_fd, entry->d_name, O_RDONLY | O_CLOEXEC);
		assert_int_equal(fd_read_all(file, 64u << 20, &bytes, &len), 0);
		(void)image_add(m, entry->d_name, bytes, len);
	}
	(void)closedir(dir);
	qsort(m->files, m->count, sizeof m->files[0], by_name);
}

static inline void image_copy(struct image *to, const struct image *from)
{
	to->count = 0;
	for (size_t i = 0; i < from->count; i++)
		(void)image_add(to, from->files[i].name, from->files[i].bytes, from->files[i].len);
}

/* The checkpoint that begins at least `from` octets in; the last one: SIZE_MAX. */
static inline void note_cut(struct sample_file *f, size_t from)
{
	size_t at = 0, span;

	while ((span = note_span((char *)f->bytes + at, f->len - at)) < f->len - at && at < from)
		at += span;
	assert_true(span > 0);
	memmove(f->bytes + at, f->bytes + at + span, f->len - at - span);
	f->len -= span;
}

static inline struct sample_file *image_find(struct image *m, const char *name)
{
	for (size_t i = 0; i < m->count; i++)
		if (strcmp(m->files[i].name, name) == 0)
			return &m->files[i];
	return NULL;
}

static inline void image_drop(struct image *m, struct sample_file *f)
{
	free(f->bytes);
	*f = m->files[--m->count];
}

static inline void folder_clear(int folder_fd)
{
	struct image m;

	image_read(&m, folder_fd);
	for (size_t i = 0; i < m.count; i++)
		(void)unlinkat(folder_fd, m.files[i].name, 0);
	image_free(&m);
}

static inline bool file_same(const struct sample_file *a, const struct sample_file *b)
{
	return a && b && a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

/* Only what is not there as it is: hundreds are written one after the other. */
static inline void image_write(struct image *m, int folder_fd)
{
	struct image old;

	image_read(&old, folder_fd);
	for (size_t i = 0; i < old.count; i++)
		if (!image_find(m, old.files[i].name))
			(void)unlinkat(folder_fd, old.files[i].name, 0);
	for (size_t i = 0; i < m->count; i++) {
		const struct sample_file *f = &m->files[i];
		OWNED_FD fd = -1;

		if (file_same(f, image_find(&old, f->name)))
			continue;
		fd = openat(folder_fd, f->name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		assert_int_equal(fd_write_all(fd, f->bytes, f->len), 0);
	}
	image_free(&old);
}

/* --- the trail ---------------------------------------------------------------------------- */

static inline const struct auditor_ring_info *sample_session(void *arg, size_t i)
{
	const struct sample *s = arg;

	return i == 0 && s->session.connection ? &s->session : NULL;
}

static inline void sample_event(struct sample *s, enum audit_event_kind kind, const char *reason)
{
	struct audit_event e = {.kind = kind, .id = s->w.last_event + 1};

	(void)string_copy(e.reason, sizeof e.reason, reason);
	(void)string_copy(e.initiator, sizeof e.initiator, "iqn.2026-11.net.example:client");
	(void)snprintf(e.detail, sizeof e.detail, "%u of %u", s->put, s->salt);
	(void)writer_put_event(&s->w, &e);
}

static inline void sample_commands(struct sample *s, uint32_t count)
{
	for (; count > 0; count--, s->put++) {
		struct audit_record r = {.index = s->put,
					 .kind = AUDIT_COMMAND,
					 .verdict = VERDICT_ADMITTED,
					 .lun = (uint16_t)(s->put % 3),
					 .lba = (uint64_t)s->put * 7919 % 100000 + s->salt,
					 .blocks = 8,
					 .task_tag = s->put,
					 .cdb_len = 16,
					 .cdb = {s->put % 2 ? 0x88 : 0x8a}};

		put_be(r.cdb + 2, 8, r.lba);
		put_be(r.cdb + 10, 4, r.blocks);
		r.wall_ns = s->w.wall_ns / 1000 * 1000;
		writer_clock(&s->w);
		(void)writer_put_command(&s->w, s->session.connection, &r);
	}
}

static inline void sample_note(struct sample *s, enum audit_log log)
{
	char text[NOTE_SIZE];
	int len = log_writer_note(writer_log(&s->w, log), s->folder_fd, s->keys, text);

	assert_true(len >= 0 && s->note_count < SAMPLE_NOTES);
	if (len > 0)
		assert_int_equal(note_read(&s->notes[s->note_count++], text, strlen(text)), 0);
}

static inline void sample_sync(struct sample *s, bool notes)
{
	struct writer_mark mark;

	writer_cut(&s->w);
	assert_int_equal(writer_flush(&s->w), 0);
	mark = writer_mark(&s->w);
	writer_synced(&s->w, &mark);
	if (!notes)
		return;
	sample_note(s, LOG_COMMANDS);
	sample_note(s, LOG_EVENTS);
}

static inline void sample_begin(struct sample *s, enum audit_log log)
{
	assert_int_equal(writer_begin(&s->w, log), 0);
}

/* As after a sync that failed, on a disk that forgot that the old segment's end was cut off. */
static inline void sample_begin_again(struct sample *s, enum audit_log log)
{
	static uint8_t old[1 << 20];
	int fd = segment_open_writable(s->folder_fd, log, s->w.logs[log - 1].header.number);
	ssize_t len = pread(fd, old, sizeof old, 0);

	s->w.writable = false;
	sample_begin(s, log);
	s->w.writable = true;
	assert_int_equal(pwrite(fd, old, (size_t)len, 0), len);
	close(fd);
}

/* Three blocks of each log, in turns. */
static inline void sample_work(struct sample *s)
{
	for (int i = 0; i < 3; i++) {
		sample_commands(s, 20);
		writer_cut(&s->w);
		sample_commands(s, 5);
		sample_event(s, EVENT_LOGIN, "granted");
		sample_commands(s, 15);
		sample_event(s, EVENT_REFUSAL, "wrong-secret");
		sample_sync(s, i != 1);
	}
}

/* The same seed signs both runs, as on a gateway. */
static inline void sample_run(struct sample *s, const struct trail_end *end,
			      struct audit_key *ret_key)
{
	assert_int_equal(keys_open(s->seed_fd, -1, &s->keys), 0);
	assert_int_equal(writer_open(&s->w, s->folder_fd, s->keys, sample_session, s), 0);
	memset(s->w.boot, 0xb0, sizeof s->w.boot);
	assert_int_equal(writer_start(&s->w, end), 0);
	sample_begin(s, AUDIT_LOG_INVALID);
	sample_event(s, EVENT_START, "");
	s->session.connection = 17;
	(void)writer_put_session(&s->w, &s->session);
	sample_work(s);
	assert_int_equal(keys_new_epoch(s->keys, ret_key), 0);
	memcpy(ret_key->trail, end->trail, sizeof ret_key->trail);
	sample_event(s, EVENT_OPERATOR, "audit-key");
	sample_work(s);
	sample_commands(s, 10); /* not synced: stand in the next segment again */
	writer_cut(&s->w);
	assert_int_equal(writer_flush(&s->w), 0);
	sample_commands(s, 10);
	sample_begin_again(s, LOG_COMMANDS);
	sample_work(s);
	sample_event(s, EVENT_LOGOUT, "");
	writer_cut(&s->w);
	assert_int_equal(writer_flush(&s->w), 0);
	sample_begin_again(s, LOG_EVENTS);
	sample_work(s);
}

static inline void sample_stop(struct sample *s, bool cleanly)
{
	if (cleanly) {
		s->session.connection = 0;
		writer_put_end(&s->w, SEGMENT_END_STOP);
		sample_sync(s, true);
	}
	writer_close(&s->w);
	keys_close(s->keys);
}

static inline void sample_again(struct sample *s, bool clean, struct audit_key *ret_key)
{
	struct resume resume;

	assert_int_equal(resume_read(&resume, s->folder_fd, 8, NULL), 0);
	assert_true(resume.found.clean == clean);
	sample_run(s, &resume.end, ret_key);
	resume_free(&resume);
}

static inline void sample_folder(struct sample *s)
{
	const char *tmp = getenv("TMPDIR");

	/* In memory, if that is there: hundreds of trails are written. */
	(void)snprintf(s->folder, sizeof s->folder, "/dev/shm/sallyport-trail-XXXXXX");
	if (!mkdtemp(s->folder)) {
		(void)snprintf(s->folder, sizeof s->folder, "%s/trail-XXXXXX", tmp ? tmp : "/tmp");
		assert_non_null(mkdtemp(s->folder));
	}
	s->folder_fd = open(s->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(s->folder_fd >= 0);
}

static inline void sample_make(struct sample *s, uint32_t salt)
{
	struct trail_end end = {.run = 7, .next_sequence = 1};

	memset(s, 0, sizeof *s);
	s->salt = salt;
	sample_folder(s);
	randombytes_buf(s->seed, sizeof s->seed);
	randombytes_buf(end.trail, sizeof end.trail);
	s->seed_fd = memfd_sealed("seed", s->seed, sizeof s->seed);
	assert_true(s->seed_fd >= 0);
	(void)string_copy(s->session.initiator, sizeof s->session.initiator,
			  "iqn.2026-11.net.example:client");
	sample_run(s, &end, &s->shown[0]);
	sample_stop(s, true);
	image_read(&s->first, s->folder_fd);
	sample_again(s, true, &s->shown[1]);
	sample_stop(s, true);
	image_read(&s->whole, s->folder_fd);
}

static inline void sample_free(struct sample *s)
{
	image_free(&s->first);
	image_free(&s->whole);
	folder_clear(s->folder_fd);
	(void)rmdir(s->folder);
	fd_close(&s->folder_fd);
	fd_close(&s->seed_fd);
}

/* --- the verification --------------------------------------------------------------------- */

struct judged {
	struct verify_result result;
	struct verify_finding findings[64];
	size_t count;
};

static inline void judged_take(void *arg, const struct verify_finding *f)
{
	struct judged *j = arg;

	if (j->count < ARRAY_LEN(j->findings))
		j->findings[j->count++] = *f;
}

static inline const struct verify_finding *judged_find(const struct judged *j,
						       enum verify_kind kind)
{
	for (size_t i = 0; i < j->count; i++)
		if (j->findings[i].kind == kind)
			return &j->findings[i];
	return NULL;
}

static inline void judged_print(const struct judged *j)
{
	for (size_t i = 0; i < j->count; i++) {
		const struct verify_finding *f = &j->findings[i];

		print_message("found %s %s log %d octets %llu+%llu blocks %llu..%llu records "
			      "%llu..%llu: %s\n",
			      verify_words(f->kind)->name, f->file, f->log,
			      (unsigned long long)f->offset, (unsigned long long)f->octets,
			      (unsigned long long)f->block, (unsigned long long)f->last_block,
			      (unsigned long long)f->sequence, (unsigned long long)f->last_sequence,
			      f->text);
	}
}

static inline void judge(struct judged *j, int folder_fd, const struct verify_asked *with)
{
	struct verify_asked asked = with ? *with : (struct verify_asked){.keys = NULL};

	asked.found = judged_take;
	asked.arg = j;
	j->count = 0;
	assert_int_equal(verify_trail(folder_fd, &asked, &j->result), 0);
}
