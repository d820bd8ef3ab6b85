/* P2: the trail after kill -9 of the auditor at any moment, and after a power cut with every
 * prefix, tear and reordering of what was not synced: an auditor that is started on it goes on, it
 * verifies, and every record that somebody was told of is in it, once and in its order.
 * SALLYPORT_SOAK=1 looks at 10 000 states, SALLYPORT_SEED repeats a recording. */
#include "tests/unit/crash_gang.h"

#include <sodium.h>
#include <stdio.h>

#include "gateway/audit/trail.h"
#include "gateway/audit/verify.h"

#define QUICK	 200u
#define SOAK	 10000u
#define A_RECORD 20u /* states of one recording */
#define PREFIXES 60u /* of what one write left open; SALLYPORT_SOAK=1: at every octet */
#define CRASHES	 3u  /* in a row, at most */

static struct tape tapes[CRASHES + 1];
static char folder[64];
static int folder_fd = -1;
static struct tests t;
static uint64_t scenario;
static unsigned states;

/* --- the folder ------------------------------------------------------------------------------- */

static void folder_empty(void)
{
	DIR *dir = fdopendir(openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	struct dirent *entry;

	assert_non_null(dir);
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			(void)unlinkat(folder_fd, entry->d_name, 0);
	(void)closedir(dir);
}

static void file_write(const struct tape *from, const struct tape_name *n)
{
	const struct tape_image *base = &from->base[n->file];
	struct tape_image image = {0};
	int fd = openat(folder_fd, n->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	image_put(&image, 0, base->bytes, base->len);
	for (size_t i = 0; i < from->count; i++)
		if (is_data(&from->ops[i], n->file))
			image_do(&image, &from->ops[i]);
	assert_int_equal(fd_write_all(fd, image.bytes, image.len), 0);
	free(image.bytes);
	close(fd);
}

static void folder_write(const struct tape *from)
{
	struct tape_folder names = folder_at(from, from->count);

	tape = NULL;
	folder_empty();
	for (size_t i = 0; i < names.count; i++)
		file_write(from, &names.names[i]);
}

/* --- what must hold --------------------------------------------------------------------------- */

struct back {
	uint64_t commands[GANG_RUNS][GANG_RINGS], events[GANG_RUNS], last;
	unsigned unclean; /* ends that were declared */
	char wrong[256];
};

static void wrong(struct back *b, const char *what, uint64_t have, uint64_t want)
{
	if (b->wrong[0] == '\0')
		(void)snprintf(b->wrong, sizeof b->wrong, "%s: %llu, not %llu", what,
			       (unsigned long long)have, (unsigned long long)want);
}

static void told(void *arg, bool damage, const char *text)
{
	struct back *b = arg;

	if (damage && !strstr(text, "are missing before it") && b->wrong[0] == '\0')
		(void)string_copy(b->wrong, sizeof b->wrong, text);
}

static void take(struct back *b, const struct trail_record *r)
{
	const struct frame *f = &r->frame;
	uint64_t run = r->run - GANG_RUN, *next;
	size_t ring = f->connection - 1;

	if (f->stamp.sequence <= b->last)
		wrong(b, "a sequence does not follow", f->stamp.sequence, b->last + 1);
	b->last = f->stamp.sequence;
	if (f->type == FRAME_COMMAND && run < GANG_RUNS && ring < GANG_RINGS) {
		next = &b->commands[run][ring];
		if (f->command.index != *next)
			wrong(b, "a command does not follow", f->command.index, *next);
		if (f->command.lba != run * 1000000 + (ring + 1) * 100000 + f->command.index)
			wrong(b, "a command is another one", f->command.lba, f->command.index);
		++*next;
	} else if (f->type == FRAME_EVENT && f->event.id != 0 && run < GANG_RUNS) {
		if (f->event.id != ++b->events[run])
			wrong(b, "an event does not follow", f->event.id, b->events[run]);
	} else if (f->type == FRAME_EVENT && f->event.kind == EVENT_GAP) {
		b->unclean += strcmp(f->event.reason, "unclean-end") == 0;
	}
}

static void promises_check(struct back *b)
{
	const struct promise *p = &gang.durable;

	for (size_t run = 0; run < GANG_RUNS; run++) {
		if (b->events[run] < p->events[run])
			wrong(b, "events of a run are lost", b->events[run], p->events[run]);
		for (size_t i = 0; i < GANG_RINGS; i++)
			if (b->commands[run][i] < p->commands[run][i])
				wrong(b, "commands of a session are lost", b->commands[run][i],
				      p->commands[run][i]);
	}
}

static void found(void *arg, const struct verify_finding *f)
{
	struct back *b = arg;
	char text[160];

	if (verify_words(f->kind)->class <= VERIFY_GAP)
		return;
	(void)snprintf(text, sizeof text, "verify: %s %s block %llu octet %llu: %.60s",
		       verify_words(f->kind)->name, f->file, (unsigned long long)f->block,
		       (unsigned long long)f->offset, f->text);
	wrong(b, text, 1, 0);
}

/* `whole`: nothing but the auditor died, so nothing is missing. */
static void check(struct back *b, bool whole)
{
	static struct trail_record record;
	struct verify_asked asked = {.keys = gang.keys,
				     .key_count = gang.key_count,
				     .notes = gang.notes,
				     .note_count = gang.note_count,
				     .found = found,
				     .arg = b};
	struct verify_result result;
	struct trail *trail;

	assert_int_equal(trail_open(&trail, folder_fd, NULL, told, b), 0);
	while (trail_next(trail, &record) > 0)
		take(b, &record);
	trail_close(trail);
	promises_check(b);
	assert_int_equal(verify_trail(folder_fd, &asked, &result), 0);
	if (result.worst > (whole && !gang.faulty ? VERIFY_SAID : VERIFY_GAP))
		wrong(b, "the verdict", result.worst, VERIFY_GAP);
	if (result.end != VERIFY_END_STOP && result.end != VERIFY_END_OUTSIDE)
		wrong(b, "the end", result.end, VERIFY_END_STOP);
}

/* --- states ----------------------------------------------------------------------------------- */

struct crash {
	bool power;
	size_t at;	/* operations that were done */
	size_t last;	/* octets of the last one, if it wrote */
	struct cut cut; /* the way of a power cut */
};

/* Who dies in the midst of a write has told nobody of it. */
static const struct moment *moment_at(const struct tape *from, const struct crash *c,
				      const struct moment *end)
{
	const struct tape_op *last = c->at > 0 ? &from->ops[c->at - 1] : NULL;
	size_t at = c->at;

	if (last && last->kind == TAPE_WRITE && c->last < last->len)
		at--;
	return at < from->count ? from->ops[at].moment : end;
}

/* What the gang is like after it; the tape of what is left. */
static void crash(struct tape *to, const struct tape *from, const struct crash *c,
		  const struct moment *m)
{
	gang.durable = m->durable;
	gang.key_count = m->keys;
	gang.note_count = m->notes;
	if (c->power) {
		cut_power(to, &(struct cut){from, c->at, c->cut.way, c->cut.octets});
		gang.run++;
		return;
	}
	tape_copy(to, from, c->at, c->last);
	gang.run += m->stopping;
}

/* The auditor works on the tape's folder. *ret_end: what is promised then. */
static void work(struct tape *on, const struct moment *m, unsigned steps, bool stop,
		 struct moment **ret_end)
{
	folder_write(on);
	tape = on;
	gang_start(folder_fd, m);
	gang_work(steps, stop || one_in(2) ? 0 : 2);
	if (stop)
		gang_end(true);
	*ret_end = moment_now();
	(*ret_end)->stopping = stop;
	tape = NULL;
	if (!stop)
		gang_end(false);
}

static struct crash any_crash(const struct tape *from)
{
	return (struct crash){.power = one_in(2),
			      .at = from->before + below(from->count - from->before + 1),
			      .last = one_in(3) ? below(4000) : SIZE_MAX,
			      .cut = {.way = one_in(3) ? (enum cut_way)below(CUT_ANY) : CUT_ANY,
				      .octets = SIZE_MAX}};
}

static void report(const struct back *b, const struct crash *c, unsigned depth)
{
	if (b->wrong[0] == '\0')
		return;
	print_error("%s\n  after %s behind %zu operations, way %d, crash %u; recording %llu, "
		    "state %u\n",
		    b->wrong, c->power ? "a power cut" : "kill -9", c->at, c->cut.way, depth,
		    (unsigned long long)scenario, states);
	fail();
}

/* Crashes what is on tapes[depth], goes on, perhaps crashes that again; then all must hold. */
static void go_on(unsigned depth, const struct crash *c, const struct moment *end, bool whole)
{
	const struct moment *m = moment_at(&tapes[depth], c, end);
	bool again = depth + 2 < ARRAY_LEN(tapes) && one_in(3);
	struct moment *over;

	crash(&tapes[depth + 1], &tapes[depth], c, m);
	whole = whole && !c->power && !m->stopping;
	work(&tapes[depth + 1], c->power || m->stopping ? NULL : m,
	     (unsigned)below(again ? 40 : 12), !again, &over);
	if (again) {
		struct crash next = any_crash(&tapes[depth + 1]);

		go_on(depth + 1, &next, over, whole);
	} else {
		struct back b = {.last = 0};

		check(&b, whole);
		report(&b, c, depth);
		states++;
	}
	free(over);
	tape_free(&tapes[depth + 1]);
}

/* One auditor's work from the first file on. */
static void recording(uint64_t seed, unsigned steps, bool stop, struct moment **ret_end)
{
	scenario = seed;
	cut_seed = seed * 1000003;
	commit_segment_limit = one_in(3) ? UINT64_C(64) << 20 : 1500 + below(6000);
	gang.run = 0;
	gang.faulty = false;
	gang.durable = (struct promise){0};
	gang.key_count = gang.note_count = 0;
	gang.clock_ns = UINT64_C(1000000000);
	tapes[0].count = tapes[0].files = 0;
	tapes[0].folder.count = 0;
	work(&tapes[0], NULL, steps, stop, ret_end);
}

/* Of the recording, whose states must not see what was shown in others. */
static struct {
	uint64_t clock_ns;
	bool faulty;
	struct audit_key keys[GANG_KEYS];
	struct note notes[GANG_NOTES];
} kept;

static void keep(void)
{
	kept.clock_ns = gang.clock_ns;
	kept.faulty = gang.faulty;
	memcpy(kept.keys, gang.keys, sizeof kept.keys);
	memcpy(kept.notes, gang.notes, sizeof kept.notes);
}

static void restore(void)
{
	gang.run = 0;
	gang.clock_ns = kept.clock_ns;
	gang.faulty = kept.faulty;
	memcpy(gang.keys, kept.keys, sizeof kept.keys);
	memcpy(gang.notes, kept.notes, sizeof kept.notes);
}

static uint64_t seed_given(uint64_t other)
{
	const char *given = getenv("SALLYPORT_SEED");
	uint64_t seed = other;

	if (given)
		assert_int_equal(number_parse(given, 0, UINT64_MAX, &seed), 0);
	return seed;
}

static void test_random(void **state)
{
	const char *soak = getenv("SALLYPORT_SOAK");
	unsigned wanted = soak && soak[0] ? SOAK : QUICK;
	uint64_t seed = 1;

	(void)state;
	skip_if_thread_sanitized();
	if (wanted == SOAK)
		seed = randombytes_random();
	seed = seed_given(seed);
	print_message("# %u states, seed %llu\n", wanted, (unsigned long long)seed);
	for (states = 0; states < wanted; seed++) {
		struct moment *end;

		recording(seed, 20 + (unsigned)below(80), one_in(4), &end);
		keep();
		for (unsigned i = 0; i < A_RECORD; i++) {
			struct crash c = any_crash(&tapes[0]);

			restore();
			go_on(0, &c, end, true);
		}
		free(end);
		tape_free(&tapes[0]);
	}
}

/* Power fails with every prefix of what the last write of a recording, and those before it that no
 * sync covers, have brought onto the disk. */
static void test_prefixes(void **state)
{
	const char *soak = getenv("SALLYPORT_SOAK");
	struct crash c = {.power = true, .last = SIZE_MAX, .cut = {.way = CUT_PREFIX}};
	struct moment *end;
	size_t open;

	(void)state;
	skip_if_thread_sanitized();
	recording(1, 60, false, &end);
	keep();
	for (c.at = tapes[0].count; tapes[0].ops[c.at - 1].kind != TAPE_WRITE; c.at--)
		assert_true(c.at > 1);
	open = octets_open_last(&tapes[0], c.at);
	assert_true(open > tapes[0].ops[c.at - 1].len);
	print_message("# %zu octets\n", open);
	for (size_t step = soak && soak[0] ? 1 : open / PREFIXES + 1; c.cut.octets <= open;
	     c.cut.octets += step) {
		restore();
		go_on(0, &c, end, true);
	}
	free(end);
	tape_free(&tapes[0]);
}

/* Power fails; the auditor that starts then is killed behind so many of its operations, and the one
 * that follows it, of the same run, starts. False: it did not do that many. */
static bool dies_at_start(const struct crash *power, size_t ops)
{
	struct crash c = {.last = SIZE_MAX};
	struct moment *over, *end;
	struct back b = {.last = 0};
	bool so_many;

	crash(&tapes[1], &tapes[0], power, moment_at(&tapes[0], power, NULL));
	work(&tapes[1], NULL, 6, false, &over);
	c.at = tapes[1].before + ops;
	so_many = c.at <= tapes[1].count;
	if (so_many) {
		const struct moment *m = moment_at(&tapes[1], &c, over);

		crash(&tapes[2], &tapes[1], &c, m);
		work(&tapes[2], m, 4, true, &end);
		check(&b, false);
		if (b.unclean == 0)
			wrong(&b, "ends that were declared", 0, 1);
		report(&b, &c, 1);
		free(end);
		tape_free(&tapes[2]);
	}
	free(over);
	tape_free(&tapes[1]);
	return so_many;
}

static void test_starts(void **state)
{
	struct crash power = {.power = true, .last = SIZE_MAX};
	struct moment *end;
	size_t most = 0;

	(void)state;
	skip_if_thread_sanitized();
	recording(seed_given(1), 60, false, &end);
	keep();
	power.at = tapes[0].count - 1;
	power.cut = (struct cut){.octets = SIZE_MAX};
	for (power.cut.way = CUT_NONE; power.cut.way <= CUT_ANY; power.cut.way++) {
		for (size_t ops = 0;; ops++) {
			restore();
			cut_seed = 1000003 + power.cut.way; /* the same disk each time */
			if (!dies_at_start(&power, ops))
				break;
			most = MAX(most, ops);
		}
	}
	print_message("# %zu operations at most\n", most);
	assert_in_range(most, 10, TAPE_OPS);
	free(end);
	tape_free(&tapes[0]);
}

int main(void)
{
	const char *tmp = getenv("TMPDIR");
	int r;

	if (sodium_init() < 0 || hash_start() < 0)
		return 1;
	(void)snprintf(folder, sizeof folder, "%s/crash-XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(folder))
		return 1;
	folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	tape_folder_fd = folder_fd;
	tape_main = pthread_self();
	gang.signer_fd = memfd_sealed("signer", (const uint8_t[KEYS_SEED_SIZE]){7}, KEYS_SEED_SIZE);
	tests_add(&t, "P2: whatever of the trail survives has every record that was acknowledged",
		  test_random, NULL);
	tests_add(&t, "P2: so it is behind every prefix of what no sync covers", test_prefixes,
		  NULL);
	tests_add(&t, "P2: a power cut is declared, whenever the auditor behind it is killed",
		  test_starts, NULL);
	r = tests_run(&t, "audit_outage");
	if (r != 0)
		print_error("recording %llu, after %u states\n", (unsigned long long)scenario,
			    states);
	tape = NULL;
	folder_empty();
	(void)rmdir(folder);
	return r;
}
