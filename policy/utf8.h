/* UTF-8, strictly: which octets are a character, and which characters a person may be shown.
 * What hides or reorders text (controls, bidirectional marks, zero-width characters) is none:
 * a policy must run as it was read. */
#pragma once

#include "gateway/base/base.h"

/* Octets of the character at text (len >= 1), 0 when it is not UTF-8. */
size_t utf8_length(const char *text, size_t len);
/* The same, but 1 where there is none: for going on. */
size_t utf8_step(const char *text, size_t len);
/* Is this one whole character, and one that shows? (line ends and tabs do not) */
bool utf8_shown(const char *text, size_t len);
