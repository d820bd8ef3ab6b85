/* The event loop of every process: epoll, a sorted list of timers, a signalfd.
 * Handlers may remove any handler: what is left of the batch of ready events forgets
 * whoever is removed. Holds no input of its own; trusts its callers. */
#include "gateway/base/loop.h"

#include <limits.h>
#include <sys/signalfd.h>
#include "gateway/base/clock.h"

#define BATCH	    64
#define SIGNALS_MAX 8

struct loop {
	int epoll_fd;
	bool stopped;
	bool firing; /* timers are being run */
	uint64_t now_ms;
	/* Soonest first. New timers are placed from the end, so that many timers of one length
	 * (a login timer for each of 10 000 connections) cost one step each. */
	struct timer *first, *last;
	struct epoll_event ready[BATCH];
	int ready_count;
	struct watch signals;
	void (*signal_run)(int signal, void *arg);
	void *signal_arg;
	void (*turn_run)(void *arg);
	void *turn_arg;
};

int loop_open(struct loop **ret_loop)
{
	struct loop *l = calloc(1, sizeof *l);
	int r;

	if (!l)
		return -ENOMEM;
	l->signals.fd = -1;
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll_fd < 0) {
		r = -errno;
		free(l);
		return r;
	}
	l->now_ms = clock_ms();
	*ret_loop = l;
	return 0;
}

void loop_close(struct loop *l)
{
	if (!l)
		return;
	fd_close(&l->signals.fd);
	fd_close(&l->epoll_fd);
	free(l);
}

static int epoll_change(struct loop *l, int op, struct watch *w, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.ptr = w};

	return epoll_ctl(l->epoll_fd, op, w->fd, &e) < 0 ? -errno : 0;
}

int loop_watch(struct loop *l, struct watch *w)
{
	return epoll_change(l, EPOLL_CTL_ADD, w, w->events);
}

int loop_change(struct loop *l, struct watch *w, uint32_t events)
{
	int r;

	if (w->events == events)
		return 0;
	r = epoll_change(l, EPOLL_CTL_MOD, w, events);
	if (r == 0)
		w->events = events;
	return r;
}

void loop_unwatch(struct loop *l, struct watch *w)
{
	(void)epoll_change(l, EPOLL_CTL_DEL, w, 0);
	for (int i = 0; i < l->ready_count; i++)
		if (l->ready[i].data.ptr == w)
			l->ready[i].data.ptr = NULL;
}

void loop_timer_clear(struct loop *l, struct timer *t)
{
	if (t->at_ms == 0)
		return;
	if (t->prev)
		t->prev->next = t->next;
	else
		l->first = t->next;
	if (t->next)
		t->next->prev = t->prev;
	else
		l->last = t->prev;
	t->prev = t->next = NULL;
	t->at_ms = 0;
}

void loop_timer_set(struct loop *l, struct timer *t, uint64_t at_ms)
{
	struct timer *after;

	loop_timer_clear(l, t);
	/* A timer that sets itself to a time that is over waits for the next turn: descriptors get
	 * their turn in between. */
	t->at_ms = MAX(at_ms, l->firing ? l->now_ms + 1 : 1);
	for (after = l->last; after && after->at_ms > t->at_ms;)
		after = after->prev;
	t->prev = after;
	t->next = after ? after->next : l->first;
	if (t->next)
		t->next->prev = t;
	else
		l->last = t;
	if (after)
		after->next = t;
	else
		l->first = t;
}

static void signals_ready(struct watch *w, uint32_t ready)
{
	struct loop *l = CONTAINER_OF(w, struct loop, signals);
	struct signalfd_siginfo info;

	(void)ready;
	while (read(w->fd, &info, sizeof info) == (ssize_t)sizeof info)
		l->signal_run((int)info.ssi_signo, l->signal_arg);
}

int loop_signals(struct loop *l, const int *signals, void (*run)(int signal, void *arg), void *arg)
{
	sigset_t set;

	assert(l->signals.fd < 0);
	sigemptyset(&set);
	for (int i = 0; signals[i] != 0; i++) {
		assert(i < SIGNALS_MAX);
		sigaddset(&set, signals[i]);
	}
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	l->signal_run = run;
	l->signal_arg = arg;
	l->signals = (struct watch){.fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC),
				    .events = EPOLLIN,
				    .run = signals_ready};
	return l->signals.fd < 0 ? -errno : loop_watch(l, &l->signals);
}

void loop_each_turn(struct loop *l, void (*run)(void *arg), void *arg)
{
	l->turn_run = run;
	l->turn_arg = arg;
}

uint64_t loop_now_ms(const struct loop *l)
{
	return l->now_ms;
}

void loop_stop(struct loop *l)
{
	l->stopped = true;
}

static int sleep_ms(const struct loop *l)
{
	uint64_t now;

	if (!l->first)
		return -1;
	now = clock_ms();
	return l->first->at_ms <= now ? 0 : (int)MIN(l->first->at_ms - now, (uint64_t)INT_MAX);
}

static void timers_run(struct loop *l)
{
	l->firing = true;
	while (!l->stopped && l->first && l->first->at_ms <= l->now_ms) {
		struct timer *t = l->first;

		loop_timer_clear(l, t);
		t->run(t);
	}
	l->firing = false;
}

static void watches_run(struct loop *l)
{
	for (int i = 0; i < l->ready_count && !l->stopped; i++) {
		struct watch *w = l->ready[i].data.ptr;
		uint32_t ready;

		if (!w) /* removed by a handler before it in this batch */
			continue;
		/* What a handler before it has switched off is not told any more. */
		ready = l->ready[i].events & (w->events | EPOLLERR | EPOLLHUP);
		if (ready)
			w->run(w, ready);
	}
	l->ready_count = 0;
}

int loop_run(struct loop *l)
{
	int r = 0;

	while (!l->stopped) {
		int n;

		if (l->turn_run)
			l->turn_run(l->turn_arg);
		if (l->stopped)
			break;
		n = epoll_wait(l->epoll_fd, l->ready, BATCH, sleep_ms(l));
		if (n < 0 && errno != EINTR) {
			r = -errno;
			break;
		}
		l->ready_count = MAX(n, 0);
		l->now_ms = clock_ms();
		timers_run(l);
		watches_run(l);
	}
	l->stopped = false;
	return r;
}
