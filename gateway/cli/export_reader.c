/* The reader of an export: finds the place where the last one ended, reads on, and hands text to
 * the writer. Sandboxed as every review is; trusts no octet of the files. */
#include <poll.h>
#include <stdio.h>
#include "gateway/base/fd.h"
#include "gateway/cli/export.h"

#define BATCH_OCTETS (64u << 10)
#define FOLLOW_MS    200

struct reader {
	const struct export_plan *plan;
	struct review *review;
	int fd;
	bool each; /* a record is an item of its own */
	char host[72];
	struct export_position at, stands; /* behind the last record that was looked at */
	struct export_item item;	   /* that is being filled */
	size_t used;
	uint8_t bytes[BATCH_OCTETS + EXPORT_MESSAGE_MAX];
};

static int item_send(struct reader *r, enum export_item_kind kind, uint32_t status)
{
	int e;

	r->item.kind = kind;
	r->item.status = status;
	r->item.octets = (uint32_t)r->used;
	r->item.after = r->at;
	e = fd_write_all(r->fd, &r->item, sizeof r->item);
	if (e == 0)
		e = fd_write_all(r->fd, r->bytes, r->used);
	r->used = 0;
	r->item.records = 0;
	return e;
}

static int flush_text(struct reader *r)
{
	return r->used > 0 ? item_send(r, ITEM_RECORDS, 0) : 0;
}

static void record_put(struct reader *r, const struct trail_record *record)
{
	const struct export_plan *plan = r->plan;
	struct wr w = wr_over(r->bytes + r->used, EXPORT_MESSAGE_MAX);

	if (plan->way == WAY_DATABASE)
		export_row_put(&w, record);
	else if (plan->way == WAY_SYSLOG)
		export_syslog(&w, plan->format, record, r->host);
	else if (plan->way == WAY_JOURNAL)
		export_journal(&w, plan->format, record);
	else
		export_line(&w, plan->format, record);
	assert(!w.failed); /* texts are cut in the record */
	r->used += wr_len(&w);
	r->item.records++;
}

/* Every record is seen here, whether the filter lets it out or not. */
static int take(struct reader *r, const struct trail_record *record)
{
	const struct frame *f = &record->frame;
	int e = 0;

	if (audit_filter_match(&r->review->filter, record))
		record_put(r, record);
	r->at = (struct export_position){
		.next = f->stamp.sequence + 1, .time_ns = f->stamp.time_ns, .run = record->run};
	memcpy(r->at.trail, record->trail, sizeof r->at.trail);
	if (r->each || r->used >= BATCH_OCTETS)
		e = flush_text(r);
	return e;
}

/* --- where the last export ended ------------------------------------------------------------ */

#define NOT_THERE INT_MIN

static int lost(const struct reader *r, const char *what, uint64_t first, uint64_t last)
{
	char which[72] = "";

	if (last)
		(void)snprintf(which, sizeof which, " (records %llu to %llu)",
			       (unsigned long long)first, (unsigned long long)last);
	(void)cli_cannot(r->plan->cli,
			 "the trail does not go on behind record %llu, where checkpoint %s stands: "
			 "%s%s. What follows was not exported; to have what there is, take another "
			 "checkpoint's name",
			 (unsigned long long)r->stands.next - 1, r->plan->name, what, which);
	return -ECANCELED;
}

/* Checkpoints of before they had its name tell nothing. */
static bool is_another_trail(const struct reader *r, const struct trail_record *record)
{
	static const uint8_t unknown[TRAIL_ID_SIZE];
	const uint8_t *known = r->plan->from.trail;

	return memcmp(known, unknown, sizeof unknown) != 0 &&
	       memcmp(known, record->trail, sizeof unknown) != 0;
}

/* Up to the first record behind the position; 1: it is *ret; 0: there is none yet. NOT_THERE: the
 * record before it was not seen. */
static int pass_over(struct reader *r, struct trail_record *ret)
{
	const struct export_position *from = &r->plan->from;
	uint64_t last = 0;
	bool known = false;
	int e;

	while ((e = trail_next(r->review->trail, ret)) > 0) {
		if (is_another_trail(r, ret))
			return lost(r,
				    "this is another trail than the one that was exported, made "
				    "anew or of another gateway",
				    0, 0);
		last = ret->frame.stamp.sequence;
		if (last >= from->next)
			break;
		if (last + 1 != from->next)
			continue;
		if (ret->frame.stamp.time_ns != from->time_ns || ret->run != from->run)
			return lost(r,
				    "another record is there, so this is another trail, or it "
				    "was set back",
				    0, 0);
		known = true;
	}
	if (e < 0)
		return e;
	if (known && (e == 0 || last == from->next))
		return e;
	r->at.next = last; /* for the message */
	return NOT_THERE;
}

static int seek(struct reader *r, struct trail_record *ret)
{
	const struct export_position *from = &r->plan->from;
	int e;

	trail_seek(r->review->trail, from->next - 1);
	e = pass_over(r, ret);
	if (e == NOT_THERE && r->at.next < from->next)
		return lost(r, "it ends before", 0, 0);
	if (e == NOT_THERE && r->at.next > from->next)
		return lost(r, "what came then is no longer there", from->next, r->at.next - 1);
	if (e == NOT_THERE) /* the one before it is gone, which was exported */
		e = 1;
	r->at = *from;
	return e;
}

/* --- reading on ----------------------------------------------------------------------------- */

/* Sleeps; the writer's end of the pipe closes when it is done. */
static bool wait_for_more(const struct reader *r)
{
	struct pollfd p = {.fd = r->fd};

	return poll(&p, 1, FOLLOW_MS) == 0 && !review_interrupted();
}

/* As trail_next(). What was deleted since the last export is no damage, and would be missing
 * without a word; of an export that begins, nothing was promised before. */
static int next(struct reader *r, struct trail_record *record)
{
	uint64_t damages = r->review->damages, sequence;
	int e = trail_next(r->review->trail, record);

	sequence = record->frame.stamp.sequence;
	if (e <= 0 || !r->plan->from.next || sequence <= r->at.next || r->review->damages > damages)
		return e;
	r->stands = r->at;
	return lost(r, "what came then is no longer there", r->at.next, sequence - 1);
}

static int read_on(struct reader *r)
{
	static struct trail_record record;
	struct export_position told = r->at;
	int e = 0;

	if (r->plan->from.next && (e = seek(r, &record)) > 0)
		e = take(r, &record);
	while (e == 0) {
		bool gone = review_is_gone(r->review); /* what came before is still read */

		while (!review_interrupted() && (e = next(r, &record)) > 0)
			if ((e = take(r, &record)) < 0)
				return e;
		if (e < 0 || (e = flush_text(r)) < 0)
			return e;
		if (r->at.next != told.next && (e = item_send(r, ITEM_NOW, 0)) < 0)
			return e;
		told = r->at;
		if (gone && r->plan->follow) {
			(void)review_tell_gone(r->review);
			return -ECANCELED;
		}
		if (!r->plan->follow || !wait_for_more(r))
			break;
	}
	return e;
}

static void host_name(struct reader *r)
{
	if (gethostname(r->host, sizeof r->host - 1) < 0 || !r->host[0])
		string_copy(r->host, sizeof r->host, "-");
	for (char *c = r->host; *c; c++) /* RFC 5424 6: PRINTUSASCII */
		if (*c <= ' ' || *c > '~')
			*c = '_';
}

int export_read(const struct export_plan *plan, struct review *r, int pipe_fd)
{
	static struct reader reader;
	struct wr w = wr_over(reader.bytes, BATCH_OCTETS);
	int e, status;

	reader = (struct reader){.plan = plan, .review = r, .fd = pipe_fd, .stands = plan->from};
	reader.each = plan->way != WAY_STREAM;
	host_name(&reader);
	r->live = plan->follow;
	r->all = plan->name != NULL; /* a filter is about records, a position about the trail */
	status = review_open(r);
	if (status == EXIT_DONE) {
		if (plan->way == WAY_STREAM && plan->octets == 0)
			export_head(&w, plan->format);
		reader.used = wr_len(&w);
		e = read_on(&reader);
		if (e == -EPIPE)
			return EXIT_CANNOT; /* the writer is gone, and has said why */
		status = e == -ECANCELED ? EXIT_CANNOT : review_verdict(r, e);
	}
	if (status == EXIT_CANNOT) /* no position is behind it */
		reader.used = 0;
	return item_send(&reader, ITEM_END, (uint32_t)status) < 0 ? EXIT_CANNOT : status;
}
