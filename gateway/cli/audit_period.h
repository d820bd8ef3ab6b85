/* Periods as people write them: today, yesterday, week, all, 2026-11-22, FROM..TO. */
#pragma once

#include "gateway/cli/audit_review.h"

#define PERIOD_FORMS "today, yesterday, week, all, a day as 2026-11-22, or FROM..TO"

/* Without an end it ends now, without a beginning it begins at 0. EXIT_DONE or EXIT_USAGE. */
int review_period(const struct review *r, const char *text, uint64_t now_ns, uint64_t *ret_since_ns,
		  uint64_t *ret_until_ns);
