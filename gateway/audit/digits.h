/* Octets as text in exactly one form: what is read here and written again is the same text. */
#pragma once

#include "gateway/base/base.h"

#define BASE64_LEN(n) (((n) + 2) / 3 * 4) /* digits of n octets, with padding */

/* Exactly `size` octets of base64 with padding, or of hex in small letters. */
bool base64_read(const char *text, size_t len, uint8_t *ret, size_t size) MUST_CHECK;
bool hex_read(const char *text, size_t len, uint8_t *ret, size_t size) MUST_CHECK;
