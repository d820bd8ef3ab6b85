/* What the operator reads, for every process: one write a line, so that lines of
 * several processes don't mix. Trusts its callers for the format, and nobody for
 * what a line holds: no control character reaches the terminal. */
#include "gateway/base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#define LINE_MAX_OCTETS 2048

static char log_role[48] = "-";
static bool log_to_journal;

/* A child has an empty environment, so no $JOURNAL_STREAM: the peer of stderr tells. */
static bool stderr_is_journal(void)
{
	static const char journal[] = "/run/systemd/journal/stdout";
	struct sockaddr_un peer = {0};
	socklen_t len = sizeof peer - 1;

	if (getpeername(STDERR_FILENO, (struct sockaddr *)&peer, &len) < 0)
		return false;
	return peer.sun_family == AF_UNIX && strcmp(peer.sun_path, journal) == 0;
}

void log_start(const char *role)
{
	(void)string_copy(log_role, sizeof log_role, role);
	log_to_journal = stderr_is_journal();
}

static void log_write(const char *line, size_t len)
{
	while (len > 0) {
		ssize_t n = write(STDERR_FILENO, line, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return; /* nobody is left to be told */
		line += n;
		len -= (size_t)n;
	}
}

void log_line(enum log_level level, const char *fmt, ...)
{
	static const char priority[] = {[LOG_LEVEL_ERROR] = '3',
					[LOG_LEVEL_WARNING] = '4',
					[LOG_LEVEL_NOTICE] = '5',
					[LOG_LEVEL_INFO] = '6'};
	char line[LINE_MAX_OCTETS];
	int saved = errno, head, text;
	size_t len;
	va_list args;

	assert(level > LOG_INVALID && level <= LOG_LEVEL_INFO);
	head = log_to_journal ? snprintf(line, sizeof line, "<%c>sallyport[%s]: ", priority[level],
					 log_role)
			      : snprintf(line, sizeof line, "sallyport[%s]: ", log_role);
	assert(head > 0 && (size_t)head < sizeof line / 2);
	va_start(args, fmt);
	text = vsnprintf(line + head, sizeof line - (size_t)head, fmt, args);
	va_end(args);
	len = (size_t)head + (text > 0 ? (size_t)text : 0);
	if (len > sizeof line - 1)
		len = sizeof line - 1;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			line[i] = ' ';
	line[len++] = '\n'; /* over the NUL */
	log_write(line, len);
	errno = saved;
}

/* The well-formed byte sequences of the Unicode standard (table 3-7): by lead byte, how many
 * follow, and the range of the first that follows; the others are 80 to BF. */
static const struct {
	uint8_t first, last, more, low, high;
} utf8_forms[] = {
	{0xc2, 0xdf, 1, 0x80, 0xbf}, {0xe0, 0xe0, 2, 0xa0, 0xbf}, {0xe1, 0xec, 2, 0x80, 0xbf},
	{0xed, 0xed, 2, 0x80, 0x9f}, {0xee, 0xef, 2, 0x80, 0xbf}, {0xf0, 0xf0, 3, 0x90, 0xbf},
	{0xf1, 0xf3, 3, 0x80, 0xbf}, {0xf4, 0xf4, 3, 0x80, 0x8f},
};

static size_t utf8_sequence(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < ARRAY_LEN(utf8_forms); i++) {
		size_t more = utf8_forms[i].more;

		if (p[0] < utf8_forms[i].first || p[0] > utf8_forms[i].last)
			continue;
		if (len <= more || p[1] < utf8_forms[i].low || p[1] > utf8_forms[i].high)
			return 0;
		for (size_t k = 2; k <= more; k++)
			if (p[k] < 0x80 || p[k] > 0xbf)
				return 0;
		return more + 1;
	}
	return 0;
}

/* Valid, and still able to deceive a reader: C1 controls, what has no width, line and paragraph
 * separators, marks that turn the direction of writing, tags, what is no character. */
static const struct {
	uint32_t first, last;
} hidden[] = {
	{0x80, 0x9f},	  {0xad, 0xad},	    {0x61c, 0x61c},   {0x115f, 0x1160},	  {0x180b, 0x180f},
	{0x200b, 0x200f}, {0x2028, 0x202e}, {0x2060, 0x206f}, {0x3164, 0x3164},	  {0xfdd0, 0xfdef},
	{0xfe00, 0xfe0f}, {0xfeff, 0xfeff}, {0xfff0, 0xffff}, {0xe0000, 0xe0fff},
};

static bool utf8_is_hidden(const uint8_t *p, size_t len)
{
	uint32_t code = p[0] & (0xffu >> (len + 1)); /* of 2 to 4 octets */

	for (size_t k = 1; k < len; k++)
		code = code << 6 | (p[k] & 0x3f);
	for (size_t i = 0; i < ARRAY_LEN(hidden); i++) {
		if (code >= hidden[i].first && code <= hidden[i].last)
			return true;
	}
	return (code & 0xfffe) == 0xfffe;
}

/* How many octets at p stand for themselves; 0: the first is to be escaped. */
static size_t printable(const uint8_t *p, size_t len)
{
	size_t n;

	if (p[0] < 0x80)
		return p[0] >= ' ' && p[0] != 0x7f && !strchr("\\\"'`", p[0]);
	n = utf8_sequence(p, len);
	return n > 0 && !utf8_is_hidden(p, n) ? n : 0;
}

const char *text_escape(const char *text, size_t len, char *ret, size_t size)
{
	static const char digits[] = "0123456789abcdef", cut[] = "…";
	const uint8_t *p = (const uint8_t *)text;
	size_t used = 0, fits = 0; /* what is left when "…" has to follow */

	assert(size > 0);
	while (len > 0) {
		size_t n = printable(p, len), take = n ? n : 1, room = n ? n : 4;

		if (used + sizeof cut <= size)
			fits = used;
		if (room >= size - used) {
			used = fits;
			if (size >= sizeof cut) {
				memcpy(ret + used, cut, sizeof cut - 1);
				used += sizeof cut - 1;
			}
			break;
		}
		if (n)
			memcpy(ret + used, p, n);
		else
			memcpy(ret + used, (char[]){'\\', 'x', digits[*p >> 4], digits[*p & 15]},
			       4);
		used += room;
		p += take;
		len -= take;
	}
	ret[used] = '\0';
	return ret;
}
