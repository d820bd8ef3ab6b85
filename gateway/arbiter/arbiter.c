/* The arbiter process: one loop, the monitor's channel, one channel for each session, and
 * the court behind them. Maps the page that it writes and the pages that it reads; its
 * journal's folder, no disks, no network. Trusts the monitor; a session ends itself at
 * most. */
#include "gateway/arbiter/arbiter.h"

#include <sys/mman.h>
#include "gateway/arbiter/keeping.h"
#include "gateway/base/clock.h"
#include "gateway/base/fd.h"
#include "gateway/base/log.h"
#include "gateway/base/loop.h"
#include "gateway/base/process.h"
#include "gateway/base/sandbox.h"

#define FOLDER_FD (PROCESS_FD_FIRST + 1)

#define SEATS_MAX	16384 /* above any number of connections that a policy allows */
#define DESCRIPTORS_MAX (SEATS_MAX + 32)
#define MEMORY_LIMIT	(512ull << 20)

/* An answer without octets. */
struct brief {
	uint32_t id;
	uint8_t status, key;
	uint16_t code, field;
};

struct seat {
	struct member member;
	struct channel channel;
	struct watch watch;
	struct arbiter_done dones[2]; /* that wait for room: of a reset, of its leave */
	unsigned done_count;
	struct arbiter_answer answer;
	struct brief briefs[PETITIONS]; /* that wait for room */
	unsigned brief_count;
	uint32_t blame, error;			    /* for the monitor */
	bool tell_answer, tell_attached, tell_kill; /* what waits for room */
	struct seat *next;
};

/* The process has one. */
static struct arbiter {
	struct loop *loop;
	struct watch watch;
	struct channel monitor;
	struct timer tick;
	struct court court;
	struct arbiter_page *page;
	struct keeping keeping;
	struct seat *seats;
	size_t seat_count;
	uint32_t layers;
	bool tell_ready, tell_cleared, tell_trouble;
	struct arbiter_cleared cleared;
	int status;
} self;

static void stop(int status)
{
	self.status = status;
	loop_stop(self.loop);
}

static struct seat *seat_of(struct member *m)
{
	return CONTAINER_OF(m, struct seat, member);
}

/* --- to the monitor --- */

/* True when it is sent. A monitor that does not read is waited for, one that is gone ends us. */
static bool monitor_send(uint32_t type, const void *body, size_t size)
{
	int r = channel_send(&self.monitor, type, body, size, NULL, 0);

	if (r == 0)
		return true;
	if (r == -EAGAIN)
		r = loop_change(self.loop, &self.watch, EPOLLIN | EPOLLOUT);
	if (r < 0)
		stop(r == -EPIPE ? 0 : 1);
	return false;
}

static void tell_seat(struct seat *s)
{
	struct arbiter_attached attached = {s->member.connection, s->error};
	struct arbiter_kill kill = {s->member.connection, s->blame};

	if (s->tell_attached)
		s->tell_attached = !monitor_send(ARBITER_ATTACHED, &attached, sizeof attached);
	if (s->tell_kill && !s->tell_attached)
		s->tell_kill = !monitor_send(ARBITER_KILL, &kill, sizeof kill);
}

/* As many as there is room for. What changed once more meanwhile is told once. */
static void tell_disks(void)
{
	struct arbiter_trouble trouble = {.error = (uint32_t)self.keeping.error};
	struct arbiter_summary summary;

	while (!self.tell_ready && keeping_news(&self.keeping, &self.court, &summary)) {
		if (!monitor_send(ARBITER_SUMMARY, &summary, sizeof summary))
			return;
		keeping_told(&self.keeping, &summary);
	}
	if (self.tell_cleared)
		self.tell_cleared =
			!monitor_send(ARBITER_CLEARED, &self.cleared, sizeof self.cleared);
	if (self.tell_trouble)
		self.tell_trouble = !monitor_send(ARBITER_TROUBLE, &trouble, sizeof trouble);
}

/* What could not be sent before. */
static void tell_monitor(void)
{
	struct arbiter_ready ready = {.sandbox_layers = self.layers};

	if (self.tell_ready)
		self.tell_ready = !monitor_send(ARBITER_READY, &ready, sizeof ready);
	for (struct seat *s = self.seats; s != NULL && !self.tell_ready; s = s->next)
		tell_seat(s);
	tell_disks();
}

/* --- to sessions --- */

static void channel_end(struct seat *s)
{
	if (s->channel.fd >= 0)
		loop_unwatch(self.loop, &s->watch);
	channel_close(&s->channel);
	s->tell_answer = false;
	s->done_count = s->brief_count = 0;
}

static bool seat_waits(const struct seat *s)
{
	return s->done_count > 0 || s->tell_answer || s->brief_count > 0;
}

static int brief_send(struct seat *s, const struct brief *b)
{
	struct arbiter_answer answer = {.id = b->id,
					.status = b->status,
					.key = b->key,
					.code = b->code,
					.field = b->field};

	return CHANNEL_SEND(&s->channel, ARBITER_ANSWER, &answer);
}

/* What it waits for. */
static void seat_tell(struct seat *s)
{
	unsigned sent = 0;

	while (s->done_count > 0 &&
	       CHANNEL_SEND(&s->channel, ARBITER_DONE, &s->dones[0]) != -EAGAIN)
		s->dones[0] = s->dones[--s->done_count];
	if (s->tell_answer)
		s->tell_answer = CHANNEL_SEND(&s->channel, ARBITER_ANSWER, &s->answer) == -EAGAIN;
	while (sent < s->brief_count && brief_send(s, &s->briefs[sent]) != -EAGAIN)
		sent++;
	s->brief_count -= sent;
	memmove(s->briefs, s->briefs + sent, s->brief_count * sizeof s->briefs[0]);
	if (s->channel.fd >= 0 &&
	    loop_change(self.loop, &s->watch, seat_waits(s) ? EPOLLOUT : EPOLLIN) < 0)
		channel_end(s);
}

/* A channel without room holds enough to wake the session. */
static void on_changed(struct member *m)
{
	IGNORE_RESULT(channel_send(&seat_of(m)->channel, ARBITER_CHANGED, NULL, 0, NULL, 0));
}

static void on_done(struct member *m, uint32_t id)
{
	struct seat *s = seat_of(m);

	assert(s->done_count < ARRAY_LEN(s->dones)); /* one a petition */
	s->dones[s->done_count++] = (struct arbiter_done){.id = id};
	seat_tell(s);
}

static void on_answer(struct member *m, const struct arbiter_answer *answer)
{
	struct seat *s = seat_of(m);

	if (answer->len == 0 && answer->total == 0 && !answer->pointed) {
		assert(s->brief_count < ARRAY_LEN(s->briefs)); /* one a petition */
		s->briefs[s->brief_count++] = (struct brief){
			answer->id, answer->status, answer->key, answer->code, answer->field};
	} else {
		s->answer = *answer;
		s->tell_answer = true;
	}
	seat_tell(s);
}

/* What is to be durable, the record itself says. A slow disk may take long: the monitor is not to
 * take that for a hang. If there is no room to tell it, the channel is full of what tells as much.
 */
static int on_keep(unsigned disk, const struct arbiter_record *record, bool durable)
{
	int before = self.keeping.error, r;

	(void)durable;
	(void)monitor_send(ARBITER_KEEPS, NULL, 0);
	r = keeping_keep(&self.keeping, disk, record);
	self.tell_trouble = self.tell_trouble || self.keeping.error != before;
	return r;
}

static void on_published(unsigned disk)
{
	keeping_note(&self.keeping, disk);
}

/* The monitor asks for one at a time. */
static void on_cleared(unsigned disk, int error)
{
	self.cleared = (struct arbiter_cleared){disk, (uint32_t)-error};
	self.tell_cleared = true;
}

static void on_kill(struct member *m, enum arbiter_blame blame)
{
	struct seat *s = seat_of(m);

	log_warning("session %u is to be ended: %s", m->connection, arbiter_blame_name(blame));
	s->blame = blame;
	s->tell_kill = true;
	tell_seat(s);
}

static const struct court_ops ops = {on_changed, on_done,      on_answer, on_kill,
				     on_keep,	 on_published, on_cleared};

static void tick_set(void)
{
	uint64_t at = court_next_tick(&self.court);

	if (at == 0)
		loop_timer_clear(self.loop, &self.tick);
	else if (at != self.tick.at_ms)
		loop_timer_set(self.loop, &self.tick, at);
}

static void on_tick(struct timer *t)
{
	(void)t;
	court_tick(&self.court, loop_now_ms(self.loop));
}

static uint64_t wall_s(void)
{
	return clock_wall_ns() / 1000000000;
}

/* One message a turn: who sends many waits for the others. Who does not take its answers is not
 * heard meanwhile. */
static void seat_readable(struct watch *w, uint32_t ready)
{
	struct seat *s = CONTAINER_OF(w, struct seat, watch);
	struct message m;
	int r;

	if (ready & EPOLLOUT)
		seat_tell(s);
	if (seat_waits(s) || !(ready & ~(uint32_t)EPOLLOUT) || s->channel.fd < 0)
		return;
	r = channel_receive(&s->channel, &m);
	if (r > 0) {
		r = court_hear(&self.court, &s->member, &m);
		message_close_fds(&m);
	}
	if (r < 0)
		channel_end(s);
	if (r == -EPROTO)
		court_condemn(&self.court, &s->member, ARBITER_BROKE_CHANNEL);
}

/* --- from the monitor --- */

static void seat_free(struct seat *s)
{
	struct seat **at = &self.seats;

	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	self.seat_count--;
	channel_end(s);
	if (s->member.own != NULL)
		(void)munmap((void *)(uintptr_t)s->member.own, sizeof *s->member.own);
	free(s);
}

static int seat_fill(struct seat *s, const struct arbiter_attach *info, struct message *m)
{
	void *own;
	int r;

	if ((r = memfd_map(m->fds[1], sizeof(struct arbiter_own), PROT_READ, &own)) < 0)
		return r;
	s->member.own = own;
	s->watch = (struct watch){m->fds[0], EPOLLIN, seat_readable};
	if ((r = loop_watch(self.loop, &s->watch)) < 0)
		return r;
	channel_open(&s->channel, fd_take(&m->fds[0]), arbiter_session_inbox,
		     arbiter_session_inbox_len);
	return court_attach(&self.court, &s->member, info);
}

static void refuse(uint32_t connection, int error)
{
	struct arbiter_attached attached = {connection, (uint32_t)-error};

	log_error("session %u can't be attached: %s", connection, strerror(-error));
	/* not sent: its login waits for it in vain, and is answered 0301h */
	(void)monitor_send(ARBITER_ATTACHED, &attached, sizeof attached);
}

static void take_attach(struct message *m)
{
	const struct arbiter_attach *info = (const void *)m->body;
	struct seat *s = NULL;
	int r;

	if (self.page == NULL || court_find(&self.court, info->connection) != NULL)
		return refuse(info->connection, -EINVAL);
	if (self.seat_count < SEATS_MAX)
		s = calloc(1, sizeof *s);
	if (s == NULL)
		return refuse(info->connection, -ENOMEM);
	s->channel.fd = -1;
	s->next = self.seats;
	self.seats = s;
	self.seat_count++;
	if ((r = seat_fill(s, info, m)) < 0) {
		seat_free(s);
		return refuse(info->connection, r);
	}
	s->tell_attached = true;
	tell_seat(s);
}

static void take_begin(struct message *m)
{
	const struct arbiter_begin *begin = (const void *)m->body;
	void *page;
	int r = memfd_map(m->fds[0], sizeof *self.page, PROT_READ | PROT_WRITE, &page);

	if (r < 0 || begin->life == 0) {
		log_error("the page can't be mapped: %s", strerror(r < 0 ? -r : EINVAL));
		return stop(1);
	}
	self.page = page;
	r = keeping_open(&self.keeping, FOLDER_FD, begin, m->fds[1]);
	if (r == 0)
		r = keeping_load(&self.keeping, &self.court, wall_s());
	if (r < 0) {
		log_error("the journal can't be read: %s", strerror(-r));
		return stop(1);
	}
	if (court_open(&self.court, self.page, begin->life, begin->disks, &ops) < 0)
		return stop(1);
	self.tell_ready = true;
	tell_monitor();
}

/* It has the seat already: what it asks for under way goes on. */
static void take_seat(struct message *m)
{
	const struct arbiter_attach *info = (const void *)m->body;
	struct member *member = court_find(&self.court, info->connection);
	int r;

	if (member == NULL)
		return refuse(info->connection, -ENOENT);
	r = member_luns(&self.court, member, info);
	if (r < 0)
		return refuse(info->connection, r);
	member_groups(member, info);
	seat_of(member)->tell_attached = true;
	tell_seat(seat_of(member));
}

static void take_row(struct message *m)
{
	const struct arbiter_row *row = (const void *)m->body;
	int r = 0;

	if (self.page == NULL || row->row >= ARBITER_DISKS_MAX)
		return;
	if (row->taken != 0 && (r = keeping_take(&self.keeping, &self.court, row, wall_s())) == 0)
		court_row_take(&self.court, row->row, loop_now_ms(self.loop));
	if (row->taken == 0 && (r = court_row_free(&self.court, row->row)) == 0)
		keeping_free(&self.keeping, row->row);
	if (r < 0) {
		log_error("row %u of the disks can't be %s: %s", row->row,
			  row->taken != 0 ? "taken" : "given back", strerror(-r));
		stop(1); /* the next one begins with what the monitor has */
	}
}

static void take_go(struct message *m)
{
	(void)m;
	if (self.page != NULL)
		court_go(&self.court, loop_now_ms(self.loop));
}

static void take_over(struct message *m)
{
	const struct arbiter_over *over = (const void *)m->body;
	struct member *gone = court_find(&self.court, over->connection);

	if (gone == NULL)
		return;
	court_over(&self.court, gone, loop_now_ms(self.loop));
	seat_free(seat_of(gone));
}

static void take_clear(struct message *m)
{
	const struct arbiter_clear *clear = (const void *)m->body;

	if (self.page != NULL)
		court_clear(&self.court, clear->disk, clear->forget != 0, loop_now_ms(self.loop));
}

static void take_news(struct message *m)
{
	const struct arbiter_news *news = (const void *)m->body;

	if (self.page != NULL)
		court_news(&self.court, news, loop_now_ms(self.loop));
}

/* The next one is answered if there is no room for this answer. */
static void take_beat(struct message *m)
{
	(void)m;
	(void)monitor_send(ARBITER_ALIVE, NULL, 0);
}

static void (*const handlers[])(struct message *m) = {
	[ARBITER_BEGIN] = take_begin, [ARBITER_ATTACH] = take_attach, [ARBITER_GO] = take_go,
	[ARBITER_OVER] = take_over,   [ARBITER_CLEAR] = take_clear,   [ARBITER_NEWS] = take_news,
	[ARBITER_BEAT] = take_beat,   [ARBITER_ROW] = take_row,	      [ARBITER_SEAT] = take_seat,
};

static void monitor_ready(struct watch *w, uint32_t ready)
{
	struct message m;
	int r;

	if (ready & EPOLLOUT) {
		if (loop_change(self.loop, w, EPOLLIN) < 0)
			return stop(1);
		tell_monitor();
	}
	if (!(ready & ~(uint32_t)EPOLLOUT))
		return;
	r = channel_receive(&self.monitor, &m);
	if (r > 0) {
		handlers[m.type](&m);
		message_close_fds(&m);
	}
	if (r < 0)
		stop(r == -EPIPE ? 0 : 1);
}

/* --- the process --- */

static void on_turn(void *arg)
{
	(void)arg;
	self.court.wall_s = wall_s();
	court_turn(&self.court, loop_now_ms(self.loop));
	tell_disks();
	tick_set();
}

static int prepare(void)
{
	static const struct sandbox sandbox = {
		.profile = SANDBOX_ARBITER,
		.folder_fd = FOLDER_FD,
		.file_size_limit = JOURNAL_FILE_MAX,
		.memory_limit = MEMORY_LIMIT,
		.files_limit = DESCRIPTORS_MAX,
	};
	int r;

	if (!process_fds_are(2)) {
		log_error("started with other descriptors than a channel and a folder: the "
			  "monitor starts this, nobody else");
		return -EBADF;
	}
	if ((r = loop_open(&self.loop)) < 0 || (r = sandbox_enter(&sandbox)) < 0)
		return r;
	self.layers = (uint32_t)r;
	self.tick.run = on_tick;
	channel_open(&self.monitor, PROCESS_FD_FIRST, arbiter_inbox, arbiter_inbox_len);
	self.watch = (struct watch){PROCESS_FD_FIRST, EPOLLIN, monitor_ready};
	loop_each_turn(self.loop, on_turn, NULL);
	return loop_watch(self.loop, &self.watch);
}

static void clear_up(void)
{
	while (self.seats != NULL)
		seat_free(self.seats);
	court_close(&self.court);
	keeping_close(&self.keeping);
	if (self.page != NULL)
		(void)munmap(self.page, sizeof *self.page);
	channel_close(&self.monitor);
	loop_close(self.loop);
}

int arbiter_main(void)
{
	int r;

	self.monitor.fd = -1;
	r = prepare();
	if (r == 0)
		r = loop_run(self.loop);
	if (r < 0)
		log_error("the arbiter ends: %s", strerror(-r));
	clear_up();
	return r < 0 ? 1 : self.status;
}
