/* Points in time, as people write and read them. */
#pragma once

#include "gateway/base/base.h"

#define WHEN_TEXT 40
/* For a message about a time that when_parse() refused. */
#define WHEN_FORMS                                                                 \
	"-2h (s, m, h, d, w ago), now, today, yesterday, 2026-11-22, "             \
	"2026-11-22T10:00, 2026-11-22T10:00:30, the latter two also with Z or an " \
	"offset: 2026-11-22T10:00+01:00"

/* In the local zone (TZ, /etc/localtime) unless the text says otherwise, or in UTC. -EINVAL: no
 * such form; -ERANGE: no such day or hour, or before 1970. */
int when_parse(const char *text, uint64_t now_ns, bool utc, uint64_t *ret_ns) MUST_CHECK;
/* "2026-11-22T10:00:00.123+01:00", or "…T09:00:00.123Z" in UTC. */
const char *when_format(uint64_t ns, bool utc, char ret[WHEN_TEXT]);
