/* One event loop for every process: descriptors by epoll, timers in a small list,
 * signals through a signalfd. Handlers run one at a time; a handler may remove any
 * handler, itself included. */
#pragma once

#include <signal.h>
#include <sys/epoll.h>
#include "gateway/base/base.h"

struct loop;

/* Embedded in what waits. `run` gets the EPOLL* bits that are ready. */
struct watch {
	int fd;
	uint32_t events;
	void (*run)(struct watch *w, uint32_t ready);
};

struct timer {
	uint64_t at_ms; /* clock_ms(); 0: not set */
	void (*run)(struct timer *t);
	struct timer *prev, *next; /* the loop's */
};

int loop_open(struct loop **ret_loop) MUST_CHECK;
void loop_close(struct loop *l);

int loop_watch(struct loop *l, struct watch *w) MUST_CHECK; /* fd, events and run are set */
int loop_change(struct loop *l, struct watch *w, uint32_t events) MUST_CHECK;
void loop_unwatch(struct loop *l, struct watch *w); /* before its fd is closed */

void loop_timer_set(struct loop *l, struct timer *t, uint64_t at_ms); /* also moves a set one */
void loop_timer_clear(struct loop *l, struct timer *t);

/* Signals that `run` gets instead of their default action; call once, at most 8, 0-ended. */
int loop_signals(struct loop *l, const int *signals, void (*run)(int signal, void *arg),
		 void *arg) MUST_CHECK;

/* Called before the loop sleeps, once each turn (batched work, output). */
void loop_each_turn(struct loop *l, void (*run)(void *arg), void *arg);

uint64_t loop_now_ms(const struct loop *l); /* clock_ms() at the start of this turn */
int loop_run(struct loop *l) MUST_CHECK;    /* until loop_stop(); 0 or a negative error of epoll */
void loop_stop(struct loop *l);
