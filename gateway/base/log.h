/* What the operator reads: one line a fact on stderr, "sallyport[role]: …" (with
 * systemd's "<N>" priority when stderr is the journal). Whatever a peer sent is
 * escaped and cut by text_escape() before it is printed; secrets have no
 * printing function at all. */
#pragma once

#include "gateway/base/base.h"

enum log_level {
	LOG_INVALID,
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_NOTICE,
	LOG_LEVEL_INFO
};

void log_start(const char *role); /* role: "monitor", "session 17", …; copied */
void log_line(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);

#define log_error(...)	 log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...)	 log_line(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...)	 log_line(LOG_LEVEL_INFO, __VA_ARGS__)

/* Printable form of hostile text: control characters, DEL, backslash, quotes, invalid UTF-8 and
 * what turns the direction of writing as \xNN, cut with "…" to fit size octets with the NUL.
 * Returns ret. */
const char *text_escape(const char *text, size_t len, char *ret, size_t size);
