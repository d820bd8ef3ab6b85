/* Any octets, in every form of output: no control character, no quote that ends a string early,
 * nothing that a form gives a meaning; and valid UTF-8. */
#include <stdio.h>
#include "gateway/audit/escape.h"
#include "gateway/base/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const never[ESCAPE_FORMS] = {
	[ESCAPE_JSON] = "\"'<>&", [ESCAPE_HTML] = "\"'<>", [ESCAPE_CEF_HEADER] = "\"'",
	[ESCAPE_CEF] = "\"'",	  [ESCAPE_SYSLOG] = "\"'", [ESCAPE_TABLE] = "\"'",
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char text[2048], out[6 * 4 * 2048], again[sizeof out];

	if (size == 0 || size >= sizeof text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	for (int form = ESCAPE_INVALID + 1; form < ESCAPE_FORMS; form++) {
		ssize_t len = escape_copy((enum escape_form)form, text, out, sizeof out);

		assert(len >= 0 && strlen(out) == (size_t)len);
		for (const char *c = out; *c; c++)
			assert((uint8_t)*c >= 0x20 && *c != 0x7f);
		assert(!never[form] || !strpbrk(out, never[form]));
		if (form == ESCAPE_CSV && len > 0)
			assert(strchr("=+-@", out[0]) == NULL &&
			       (out[0] != '"' || strchr(out + 1, '"') == out + len - 1));
		if (form == ESCAPE_TABLE) /* all of it is printable UTF-8 but the backslash */
			assert(strchr(out, '\\') ||
			       !strcmp(text_escape(out, (size_t)len, again, sizeof again), out));
		if (len > 0)
			assert(escape_copy((enum escape_form)form, text, again, (size_t)len) ==
			       -ENOSPC);
	}
	return 0;
}
