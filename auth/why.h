/* Where a sentence for people goes, among the files of the store. */
#pragma once

#include "gateway/base/base.h"

struct why {
	char *text;
	size_t size;
};

/* Returns the error. */
int why_say(const struct why *why, int error, const char *fmt, ...) PRINTF_LIKE(3, 4);
