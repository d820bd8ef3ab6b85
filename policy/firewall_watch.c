/* Drift: the live rules against those that were loaded, and putting them back. Runs in the firewall
 * process. Whoever changed them has root: nothing keeps him from it; he is seen, told of, and, when
 * he goes on, answered ever more slowly, so that two who disagree do not load the machine. */
#include "policy/firewall_watch.h"

#include <stdio.h>
#include "gateway/base/clock.h"
#include "gateway/base/fd.h"
#include "gateway/base/log.h"
#include "policy/firewall_nft.h"

#define WAIT_FIRST_MS  1000
#define WAIT_MOST_MS   60000
#define HELD_MS	       300000
#define LOOKS_APART_MS 100 /* whatever news comes */
#define LOADS	       3   /* until one is not interfered with */
#define FAILURES       3

static const char forget_script[] = "add table inet sallyport-bans\n"
				    "delete table inet sallyport-bans\n";

/* --- the pace ----------------------------------------------------------------------------- */

static uint64_t pace_wait(const struct firewall_pace *p)
{
	uint64_t wait = WAIT_FIRST_MS;

	for (unsigned i = 1; i < p->times && wait < WAIT_MOST_MS; i++)
		wait *= 2;
	return MIN(wait, (uint64_t)WAIT_MOST_MS);
}

uint64_t firewall_pace_next(const struct firewall_pace *p, uint64_t now_ms)
{
	if (p->times == 0 || now_ms - p->last_ms >= HELD_MS)
		return now_ms;
	return p->last_ms + pace_wait(p);
}

void firewall_pace_count(struct firewall_pace *p, uint64_t now_ms)
{
	if (p->times > 0 && now_ms - p->last_ms >= HELD_MS)
		p->times = 0;
	p->times++;
	p->last_ms = now_ms;
}

/* --- telling ------------------------------------------------------------------------------ */

static void drift_tell(struct firewall_watch *w, enum firewall_drift_state state, uint64_t now_ms,
		       const char *why)
{
	uint64_t next = firewall_pace_next(&w->pace, now_ms);
	struct firewall_drift d = {
		.state = state,
		.changes = (uint32_t)MIN(w->changes.count, (size_t)UINT32_MAX),
		.restored = w->pace.times,
	};

	if (w->restore && (state == DRIFT_FOUND || state == DRIFT_FAILED))
		d.wait_s = (uint32_t)((next - MIN(next, now_ms) + 999) / 1000);
	(void)string_copy(d.changed, sizeof d.changed, w->changes.words);
	(void)string_copy(d.by, sizeof d.by, w->events.by);
	(void)string_copy(d.why, sizeof d.why, why);
	w->tell(w, &d);
}

static const char *reading_explain(int error)
{
	switch (error) {
	case -EAGAIN:
		return "somebody changes rules faster than they can be read";
	case -E2BIG:
		return "there is more in them than this gateway reads";
	default:
		return strerror(-error);
	}
}

/* --- loading ------------------------------------------------------------------------------ */

static void news_forget(struct firewall_watch *w)
{
	firewall_events_read(&w->events);
	w->events.changes = 0;
	w->events.lost = false;
	w->events.by[0] = '\0';
}

/* Loads, and reads what came of it. -EAGAIN: somebody else changed our tables, too, between the one
 * and the other. Where the news was too much, nobody may have changed anything at all. */
static int load_once(struct firewall_watch *w, int fd, struct firewall_reading **ret_reading,
		     char *ret_why, size_t size)
{
	uint32_t before = 0, after = 0;
	int r, s = firewall_live_generation(&before);

	news_forget(w);
	if (nft_run(w->nft, fd, ret_why, size) < 0)
		return -EIO;
	if (s == 0)
		s = firewall_live_read(ret_reading, &after);
	if (s < 0) {
		log_warning("the rules can't be read back: %s; whoever changes them is not seen",
			    reading_explain(s));
		return 0;
	}
	firewall_events_read(&w->events);
	r = after == before + 1 || (w->events.socket && !w->events.lost && w->events.changes == 1)
		    ? 0
		    : -EAGAIN;
	if (r < 0)
		firewall_reading_free(TAKE(*ret_reading));
	return r;
}

int firewall_watch_load(struct firewall_watch *w, int *fd, const struct firewall_load *how,
			char *ret_why, size_t size)
{
	struct firewall_reading *reading = NULL;
	int r = -EAGAIN;

	for (int i = 0; i < LOADS && r == -EAGAIN; i++)
		r = load_once(w, *fd, &reading, ret_why, size);
	if (r == -EAGAIN)
		(void)snprintf(ret_why, size,
			       "somebody else (%s) changed our tables each of %d "
			       "times that they were loaded",
			       w->events.by[0] ? w->events.by : "unknown", LOADS);
	if (r < 0) {
		w->next_ms = clock_ms(); /* the news of what else came was taken */
		return r;
	}
	fd_close(&w->script_fd);
	w->script_fd = fd_take(fd);
	firewall_reading_free(w->reference);
	w->reference = reading;
	w->restore = how->restore == 1;
	w->look_ms = how->look_ms ? how->look_ms : FIREWALL_LOOK_MS;
	w->drifted = w->blind = false;
	w->failures = 0;
	w->changes = (struct firewall_changes){0};
	w->pace = (struct firewall_pace){0};
	w->looked_ms = clock_ms();
	/* What else came after the reading is looked at; as is a reading that failed. */
	w->next_ms = w->looked_ms;
	if (reading && !w->events.lost && w->events.changes <= 1)
		w->next_ms += w->look_ms;
	w->events.changes = 0;
	w->events.lost = false;
	return 0;
}

/* --- mending ------------------------------------------------------------------------------ */

static int rules_compare(struct firewall_watch *w, struct firewall_changes *ret_changes)
{
	struct firewall_reading *live = NULL;
	uint32_t generation;
	int r = firewall_live_read(&live, &generation);

	if (r == 0)
		r = firewall_reading_same(w->reference, live, ret_changes);
	firewall_reading_free(live);
	return r;
}

/* Are the rules as they were loaded? 1, 0, or -errno. What is found is looked for twice: a reading
 * while somebody loaded them anew has been seen with all chains and none of their rules, although
 * no generation had passed. */
static int rules_check(struct firewall_watch *w, struct firewall_changes *ret_changes)
{
	int r = rules_compare(w, ret_changes);

	return r == 0 ? rules_compare(w, ret_changes) : r;
}

/* The script replaces the main table; of the bans' table it mends what it can, and bans stay. What
 * it can't (a set of another kind, a chain too many) goes with the table. */
static int rules_load(struct firewall_watch *w, bool whole, char *ret_why, size_t size)
{
	struct firewall_changes left;
	int r;

	if (whole && nft_run(w->nft, w->forget_fd, ret_why, size) < 0)
		return -EIO;
	if (nft_run(w->nft, w->script_fd, ret_why, size) < 0)
		return -EIO;
	r = rules_check(w, &left);
	if (r == 0)
		(void)snprintf(ret_why, size, "they were changed again at once: %.140s",
			       left.words);
	else if (r < 0)
		(void)snprintf(ret_why, size, "they can't be read: %s", reading_explain(r));
	return r > 0 ? 0 : -EIO;
}

static void rules_restore(struct firewall_watch *w, uint64_t now_ms)
{
	char why[sizeof((struct firewall_drift *)NULL)->why] = "";
	char by[FIREWALL_BY_MAX];
	int r;

	(void)string_copy(by, sizeof by, w->events.by);
	firewall_pace_count(&w->pace, now_ms);
	r = rules_load(w, false, why, sizeof why);
	if (r < 0 && w->changes.bans)
		r = rules_load(w, true, why, sizeof why);
	(void)string_copy(w->events.by, sizeof w->events.by, by); /* not our own nft */
	w->drifted = r < 0;
	drift_tell(w, r < 0 ? DRIFT_FAILED : DRIFT_RESTORED, now_ms, why);
}

/* --- looking ------------------------------------------------------------------------------ */

/* They can't be read. Once or twice is somebody's bad moment. */
static void look_failed(struct firewall_watch *w, int error, uint64_t now_ms)
{
	w->failures++;
	w->next_ms = MIN(w->next_ms, now_ms + WAIT_FIRST_MS);
	if (w->blind || (error == -EAGAIN && w->failures < FAILURES))
		return;
	w->blind = true;
	drift_tell(w, DRIFT_BLIND, now_ms, reading_explain(error));
}

static void look_worked(struct firewall_watch *w, uint64_t now_ms)
{
	w->failures = 0;
	if (!w->blind)
		return;
	w->blind = false;
	if (!w->drifted)
		drift_tell(w, DRIFT_OVER, now_ms, "they can be read again");
}

static void drift_found(struct firewall_watch *w, const struct firewall_changes *changes,
			uint64_t now_ms)
{
	bool wait = firewall_pace_next(&w->pace, now_ms) > now_ms;
	bool news = strcmp(w->changes.words, changes->words) != 0;

	if (!wait || !w->drifted)
		w->changes = *changes;
	if (!w->drifted || (!wait && news)) {
		w->drifted = true;
		drift_tell(w, DRIFT_FOUND, now_ms, "");
		if (!w->restore)
			firewall_pace_count(&w->pace, now_ms);
	}
	if (w->restore && !wait)
		rules_restore(w, now_ms);
}

/* They are as they were. Who changes them and changes them back is not believed at once, either. */
static void drift_over(struct firewall_watch *w, uint64_t now_ms)
{
	if (firewall_pace_next(&w->pace, now_ms) > now_ms)
		return;
	w->drifted = false;
	drift_tell(w, DRIFT_OVER, now_ms, "");
}

void firewall_watch_look(struct firewall_watch *w, uint64_t now_ms)
{
	struct firewall_changes changes = {.count = 1, .bans = true};
	int r = -EIO;

	firewall_events_read(&w->events);
	w->events.changes = 0;
	w->events.lost = false;
	w->looked_ms = now_ms;
	w->next_ms = now_ms + w->look_ms;
	if (w->reference)
		r = rules_check(w, &changes);
	if (r < 0 && r != -E2BIG) {
		look_failed(w, r, now_ms);
		return;
	}
	look_worked(w, now_ms);
	if (r == -E2BIG)
		(void)string_copy(changes.words, sizeof changes.words, reading_explain(r));
	if (r <= 0)
		drift_found(w, &changes, now_ms);
	else if (w->drifted)
		drift_over(w, now_ms);
	if (w->drifted && (r > 0 || w->restore))
		w->next_ms = MIN(w->next_ms, firewall_pace_next(&w->pace, now_ms));
	if (!w->drifted)
		w->events.by[0] = '\0';
}

void firewall_watch_news(struct firewall_watch *w)
{
	firewall_events_read(&w->events);
	if (w->events.changes > 0 || w->events.lost)
		w->next_ms = MIN(w->next_ms, w->looked_ms + LOOKS_APART_MS);
}

uint64_t firewall_watch_next(const struct firewall_watch *w)
{
	return w->script_fd >= 0 ? w->next_ms : 0;
}

/* --- life --------------------------------------------------------------------------------- */

int firewall_watch_open(struct firewall_watch *w)
{
	int r = firewall_events_open(&w->events);

	if (r < 0)
		log_warning("no news of changes to the firewall comes (%s): they are found by a "
			    "look every %d s",
			    strerror(-r), FIREWALL_LOOK_MS / 1000);
	w->script_fd = -1;
	w->forget_fd = memfd_sealed("forget", forget_script, sizeof forget_script - 1);
	return MIN(w->forget_fd, 0);
}

void firewall_watch_end(struct firewall_watch *w)
{
	firewall_reading_free(TAKE(w->reference));
	fd_close(&w->script_fd);
}

void firewall_watch_close(struct firewall_watch *w)
{
	firewall_watch_end(w);
	fd_close(&w->forget_fd);
	firewall_events_close(&w->events);
}
