/* Tables of sentences as cmocka tests: each row of a table is a test of its own,
 * named by its sentence. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "gateway/base/base.h"

#if defined(__has_feature)
#define THREAD_SANITIZED (__has_feature(thread_sanitizer))
#elif defined(__SANITIZE_THREAD__)
#define THREAD_SANITIZED 1
#else
#define THREAD_SANITIZED 0
#endif

/* Tests that stand between the program and the system, and hide from that sanitizer what orders
 * threads: it would tell of races where there is none. */
static inline void skip_if_thread_sanitized(void)
{
	if (THREAD_SANITIZED) {
		print_message("the thread sanitizer does not see calls that are recorded\n");
		skip();
	}
}

/* A program's tests, gathered table by table, then run. */
struct tests {
	struct CMUnitTest list[1024];
	size_t count;
};

static inline void tests_add(struct tests *t, const char *sentence, CMUnitTestFunction run,
			     const void *row)
{
	assert_true(t->count < ARRAY_LEN(t->list));
	t->list[t->count++] = (struct CMUnitTest){
		.name = sentence, .test_func = run, .initial_state = (void *)(uintptr_t)row};
}

/* Adds every row of `table`, whose rows have a member `why`. run() gets the row as *state. */
#define TESTS_ADD_TABLE(t, table, run)                                        \
	do {                                                                  \
		for (size_t row_ = 0; row_ < ARRAY_LEN(table); row_++)        \
			tests_add(t, (table)[row_].why, run, &(table)[row_]); \
	} while (0)

static inline int tests_run(struct tests *t, const char *group)
{
	return _cmocka_run_group_tests(group, t->list, t->count, NULL, NULL);
}
