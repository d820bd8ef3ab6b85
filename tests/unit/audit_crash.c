/* What every crash may leave: the auditor's writes are recorded, and folders are made as a power
 * cut at any moment would leave them, with what was not synced cut off anywhere, written in part in
 * any order, or lost. In each, every record that was acknowledged is there, the next auditor goes
 * on, and the trail is proven but for the gap that it declares. SALLYPORT_SOAK=1: 10 000 states. */
#include "tests/unit/audit_rig.h"
#include "tests/unit/audit_recorder.h"

#include "gateway/audit/verify.h"

#define QUICK	 60u
#define SOAK	 10000u
#define RINGS	 3
#define INDEXES	 8192
#define ACKS_MAX 2048
#define PAGE	 4096

/* Acknowledged when so many calls were recorded: below these, all was told to be durable. */
struct ack {
	uint32_t ops;
	uint64_t heads[RINGS], events;
};

static struct ack acks[ACKS_MAX];
static size_t ack_count;
static uint64_t seed = 0x9e3779b97f4a7c15;

static uint64_t below(uint64_t limit)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return limit ? seed % limit : 0;
}

/* --- a run of the auditor, recorded --------------------------------------------------------- */

static void acknowledged(struct rig *r, uint64_t events)
{
	struct ack *a = &acks[ack_count++];

	assert_true(ack_count < ACKS_MAX);
	rig_flush(r, ack_count);
	a->ops = recorder->count;
	a->events = events;
	for (size_t i = 0; i < RINGS; i++)
		a->heads[i] = r->rings[i].ring.head;
}

static void restart(struct rig *r, uint64_t events)
{
	struct message m;

	rig_kill(r);
	rig_start(r);
	for (uint64_t id = r->written + 1; id <= events; id++)
		rig_event(r, id, EVENT_HELPER);
	rig_expect(r, AUDITOR_READY, &m);
}

static void record_a_run(struct rig *r)
{
	uint64_t events = 0;

	commit_segment_limit = 4000;
	rig_start(r);
	for (uint32_t i = 1; i <= RINGS; i++)
		rig_ring_add(r, i);
	for (unsigned round = 0; round < 400; round++) {
		for (uint64_t burst = below(60); burst > 0; burst--) {
			struct rig_ring *ring = &r->rings[below(RINGS)];

			if (ring->ring.head < INDEXES)
				rig_put(ring, below(1 << 20) * 8);
		}
		if (below(4) == 0)
			rig_event(r, ++events, EVENT_HELPER);
		if (below(3) == 0)
			acknowledged(r, events);
		else
			audit_ring_wake(&r->rings[0].ring);
		if (below(100) == 0)
			restart(r, events);
	}
	acknowledged(r, events);
	assert_int_equal(rig_stop(r), 0);
	assert_int_equal(unlinkat(r->folder_fd, "lock", 0), 0);
}

/* --- what a crash leaves of it --------------------------------------------------------------- */

enum cut { CUT_TORN, CUT_PAGES, CUT_NOTHING, CUT_ALL, CUTS };

struct disk {
	uint32_t ops; /* that came before the crash */
	enum cut cut;
	uint32_t synced[RECORDER_FILES]; /* ops below it are on the disk, by file */
	uint32_t folder_synced;
	char names[RECORDER_FILES][48];
	uint8_t *bytes;
	size_t len;
};

static void find_synced(struct disk *d)
{
	memset(d->synced, 0, sizeof d->synced);
	d->folder_synced = 0;
	for (uint32_t i = 0; i < d->ops; i++) {
		const struct recorder_op *op = &recorder->ops[i];

		if (op->kind == OP_SYNC)
			d->synced[op->file] = MAX(d->synced[op->file], op->begun);
		if (op->kind == OP_SYNC_FOLDER)
			d->folder_synced = MAX(d->folder_synced, op->begun);
	}
}

/* Names come onto the disk in their order; of those that no sync covers, as many as chance says. */
static void find_names(struct disk *d)
{
	uint32_t most = d->folder_synced + (uint32_t)below(d->ops - d->folder_synced + 1);

	memset(d->names, 0, sizeof d->names);
	for (uint32_t i = 0; i < (d->cut == CUT_NOTHING ? d->ops : most); i++) {
		const struct recorder_op *op = &recorder->ops[i];

		if (op->kind == OP_CREATE)
			string_copy(d->names[op->file], 48, op->name);
		if (op->kind == OP_RENAME)
			string_copy(d->names[op->file], 48, op->other);
		if (op->kind == OP_UNLINK)
			d->names[op->file][0] = '\0';
	}
}

static void apply(struct disk *d, const struct recorder_op *op, size_t len)
{
	if (op->kind == OP_CUT) {
		d->len = MIN(d->len, op->len);
		return;
	}
	memcpy(d->bytes + d->len, recorder->octets + op->at, len);
	d->len += len;
}

static bool changes(const struct recorder_op *op, uint32_t file)
{
	return op->file == file && (op->kind == OP_WRITE || op->kind == OP_CUT);
}

/* Some pages that were not synced are not there, between others that are. */
static void lose_pages(struct disk *d, size_t synced)
{
	for (size_t page = synced / PAGE; page * PAGE < d->len; page++) {
		size_t from = MAX(page * PAGE, synced), to = MIN((page + 1) * PAGE, d->len);

		if (below(2))
			memset(d->bytes + from, 0, to - from);
	}
}

static void file_make(struct disk *d, uint32_t file)
{
	size_t synced = 0, torn = (size_t)below(6000);

	d->len = 0;
	for (uint32_t i = 0; i < d->ops; i++) {
		const struct recorder_op *op = &recorder->ops[i];
		size_t len = op->len;

		if (!changes(op, file))
			continue;
		if (i >= d->synced[file]) {
			if (d->cut == CUT_ALL)
				break;
			if (d->cut == CUT_TORN && op->kind == OP_WRITE) {
				len = MIN(len, torn);
				torn -= len;
			}
		}
		apply(d, op, len);
		if (i < d->synced[file])
			synced = d->len;
	}
	if (d->cut == CUT_PAGES && synced < d->len)
		lose_pages(d, synced);
}

static void folder_make(struct disk *d, int folder_fd)
{
	find_synced(d);
	find_names(d);
	for (uint32_t file = 0; file < recorder->files; file++) {
		int fd;

		if (d->names[file][0] == '\0')
			continue;
		file_make(d, file);
		fd = openat(folder_fd, d->names[file], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC);
		assert_true(fd >= 0);
		assert_int_equal(write(fd, d->bytes, d->len), (ssize_t)d->len);
		close(fd);
	}
}

/* --- and what must hold then ----------------------------------------------------------------- */

static bool seen[RINGS][INDEXES], seen_events[1024];

static void quiet(void *arg, bool damage, const char *text)
{
	(void)arg;
	(void)damage;
	(void)text;
}

static void see(const struct frame *f)
{
	if (f->type == FRAME_COMMAND) {
		assert_in_range(f->connection, 1, RINGS);
		assert_true(f->command.index < INDEXES);
		assert_false(seen[f->connection - 1][f->command.index]);
		seen[f->connection - 1][f->command.index] = true;
	} else if (f->type == FRAME_EVENT && f->event.id) {
		assert_false(seen_events[f->event.id]);
		seen_events[f->event.id] = true;
	}
}

static void has_all(const struct rig *r, uint32_t ops)
{
	static struct trail_record record;
	const struct ack *last = NULL;
	struct trail *trail;

	memset(seen, 0, sizeof seen);
	memset(seen_events, 0, sizeof seen_events);
	assert_int_equal(trail_open(&trail, r->folder_fd, NULL, quiet, NULL), 0);
	while (trail_next(trail, &record) > 0)
		see(&record.frame);
	trail_close(trail);
	for (size_t i = 0; i < ack_count && acks[i].ops <= ops; i++)
		last = &acks[i];
	for (uint64_t id = 1; last && id <= last->events; id++)
		assert_true(seen_events[id]);
	for (size_t ring = 0; last && ring < RINGS; ring++)
		for (uint64_t i = 0; i < last->heads[ring]; i++)
			assert_true(seen[ring][i]);
}

static void found(void *arg, const struct verify_finding *f)
{
	const struct verify_words *w = verify_words(f->kind);

	if (w->class > *(const enum verify_class *)arg)
		print_message("%s in %s at %llu, block %llu: %s\n", w->name, f->file,
			      (unsigned long long)f->offset, (unsigned long long)f->block, f->text);
}

/* `most`: the gravest that is found. */
static void is_proven(const struct rig *r, enum verify_class most, enum verify_end end)
{
	struct verify_asked asked = {.found = found, .arg = &most};
	struct verify_result result;

	assert_int_equal(verify_trail(r->folder_fd, &asked, &result), 0);
	assert_true(result.worst <= most);
	if (end != VERIFY_END_INVALID)
		assert_int_equal(result.end, end);
}

static void check_state(struct disk *d)
{
	struct message m;
	struct rig r;

	rig_open(&r);
	folder_make(d, r.folder_fd);
	has_all(&r, d->ops);
	assert_int_equal(unlinkat(r.folder_fd, "lock", 0), 0);
	/* Every process was killed: nothing is torn. Before the first answer, half may be missing.
	 */
	if (d->cut == CUT_NOTHING && d->ops >= acks[0].ops)
		is_proven(&r, VERIFY_OPEN, VERIFY_END_INVALID);
	rig_start(&r);
	rig_expect(&r, AUDITOR_READY, &m);
	assert_int_equal(rig_stop(&r), 0);
	has_all(&r, d->ops);
	is_proven(&r, VERIFY_GAP, VERIFY_END_STOP);
	rig_close(&r);
}

static void every_crash(void **state)
{
	const char *soak = getenv("SALLYPORT_SOAK");
	unsigned states = soak && soak[0] ? SOAK : QUICK;
	static struct disk d;
	struct rig r;

	(void)state;
	skip_if_thread_sanitized();
	rig_open(&r);
	record_a_run(&r);
	is_proven(&r, VERIFY_GAP, VERIFY_END_STOP);
	recorder->test = 0; /* from here on the auditors' calls are not kept either */
	d.bytes = malloc(RECORDER_OCTETS);
	assert_non_null(d.bytes);
	for (unsigned i = 0; i < states; i++) {
		d.ops = (uint32_t)below(recorder->count + 1);
		d.cut = (enum cut)(i % CUTS);
		check_state(&d);
	}
	free(d.bytes);
	rig_close(&r);
}

int main(void)
{
	static struct tests t;

	if (access("/dev/shm", W_OK) == 0) /* its syncs are quick, and what they mean is recorded */
		(void)setenv("TMPDIR", "/dev/shm", 0);
	recorder_open();
	tests_add(&t,
		  "P2: after a crash at any moment, all that was acknowledged is there and proven",
		  every_crash, NULL);
	return tests_run(&t, "audit_crash");
}
