/* The court and the sessions' side of its pages, without processes: three sessions on two
 * disks. Session 1 has disk 0 as LUN 0 and disk 1 as LUN 1, session 2 the same, session 3
 * disk 1 alone, as LUN 7. What the court says is counted. */
#pragma once

#include "tests/unit/test.h"
#include "gateway/arbiter/court.h"
#include "gateway/arbiter/journal.h"

#define SESSIONS 3
#define DISKS	 2
#define NOW	 1000

static struct arbiter_page page;
static struct court court;
static uint64_t now;

static struct session {
	struct member member;
	struct arbiter_own own;
	struct arbiter_view view;
	unsigned changed, done, killed, answers;
	uint32_t id;
	struct arbiter_answer answer;
	enum arbiter_blame blame;
} sessions[SESSIONS + 1]; /* by connection */

static struct session *of(struct member *m)
{
	return CONTAINER_OF(m, struct session, member);
}

static inline void on_changed(struct member *m)
{
	of(m)->changed++;
}

static inline void on_done(struct member *m, uint32_t id)
{
	of(m)->done++;
	of(m)->id = id;
}

static inline void on_kill(struct member *m, enum arbiter_blame blame)
{
	of(m)->killed++;
	of(m)->blame = blame;
}

static inline void on_answer(struct member *m, const struct arbiter_answer *answer)
{
	of(m)->answers++;
	of(m)->answer = *answer;
}

static inline int on_keep(unsigned disk, const struct arbiter_record *record, bool durable)
{
	(void)disk, (void)durable;
	assert_true(record_is_sound(record)); /* or the journal would not take it */
	return 0;
}

static const struct court_ops ops = {.changed = on_changed,
				     .done = on_done,
				     .answer = on_answer,
				     .kill = on_kill,
				     .keep = on_keep};

/* Within a turn; it is acted on by court_turn(). */
static inline int hear(uint32_t connection, uint32_t type, const void *body, size_t size)
{
	struct message m = {.type = type};

	if (size > 0)
		memcpy(m.body, body, size);
	return court_hear(&court, &sessions[connection].member, &m);
}

static inline int say(uint32_t connection, uint32_t type, const void *body, size_t size)
{
	int r = hear(connection, type, body, size);

	court_turn(&court, now);
	return r;
}

static inline int hello(uint32_t connection, uint32_t life)
{
	struct arbiter_hello body = {.life = life};

	return say(connection, ARBITER_HELLO, &body, sizeof body);
}

static inline int reset(uint32_t connection, uint64_t luns, uint32_t id)
{
	struct arbiter_exclude body = {.id = id, .luns = {luns}};

	if (sessions[connection].view.page != NULL)
		arbiter_view_ask(&sessions[connection].view, body.luns);
	return say(connection, ARBITER_EXCLUDE, &body, sizeof body);
}

static inline int settled(uint32_t connection)
{
	return say(connection, ARBITER_SETTLED, NULL, 0);
}

static inline void attach(uint32_t connection, bool old)
{
	struct session *s = &sessions[connection];
	struct arbiter_attach info = {.connection = connection, .old = old, .writable = {~0ull}};

	info.isid[0] = (uint8_t)connection;
	if (connection == 3) {
		info.disks[7] = 2;
	} else {
		info.disks[0] = 1;
		info.disks[1] = 2;
	}
	s->member = (struct member){.own = &s->own};
	assert_int_equal(court_attach(&court, &s->member, &info), 0);
}

static inline void view_open(uint32_t connection)
{
	struct session *s = &sessions[connection];

	s->view = (struct arbiter_view){
		.page = &page, .own = &s->own, .me = connection, .nexus = s->member.nexus};
	arbiter_view_attach(&s->view);
	if (connection == 3) {
		arbiter_view_hold(&s->view, 7, 1);
	} else {
		arbiter_view_hold(&s->view, 0, 0);
		arbiter_view_hold(&s->view, 1, 1);
	}
}

/* All three, attached, greeted, and let go on. */
static inline void court_begin(void)
{
	now = NOW;
	court_close(&court);
	memset(&court, 0, sizeof court);
	memset(&page, 0, sizeof page);
	memset(sessions, 0, sizeof sessions);
	assert_int_equal(court_open(&court, &page, 1, DISKS, &ops), 0);
	for (uint32_t n = 1; n <= SESSIONS; n++) {
		attach(n, false);
		view_open(n);
		assert_int_equal(hello(n, 1), 0);
	}
	court_go(&court, now);
}

static struct arbiter_view *view(uint32_t connection)
{
	return &sessions[connection].view;
}

/* Requests at the backend, under what the session adopted; -EAGAIN: it has to look first. */
static inline int enter(uint32_t connection, unsigned lun)
{
	return arbiter_enter(view(connection), lun);
}

static inline int adopt_and_enter(uint32_t connection, unsigned lun)
{
	assert_true(arbiter_adopt(view(connection), lun));
	return enter(connection, lun);
}

/* Ends one; what the arbiter is to be told of it is said. */
static inline void leave(uint32_t connection, unsigned lun, int parity)
{
	arbiter_leave(view(connection), lun, parity);
	for (; view(connection)->settled > 0; view(connection)->settled--)
		assert_int_equal(settled(connection), 0);
}

static inline uint32_t in_flight(uint32_t connection, unsigned lun)
{
	const struct arbiter_own_lun *own = &sessions[connection].own.luns[lun];

	return own->in_flight[0] + own->in_flight[1];
}

static inline unsigned events(uint32_t connection, unsigned lun)
{
	struct arbiter_event e;
	unsigned count = 0;

	while (arbiter_event_next(view(connection), lun, &e))
		count++;
	return count;
}

static inline void new_life(void)
{
	court_close(&court);
	memset(&court, 0, sizeof court);
	memset(page.generations, 0, sizeof page.generations);
	assert_int_equal(court_open(&court, &page, 2, DISKS, &ops), 0);
}
