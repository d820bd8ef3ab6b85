/* Digits of notes and keys, which come from files of anybody's making. The decoding is
 * libsodium's; what it lets pass besides is refused here, as the text would be another one that
 * means the same. */
#include "gateway/audit/digits.h"

#include <sodium.h>

/* libsodium's base64 takes 0xaf for a slash, and its hex takes capital letters. */
static bool ours(const char *text, size_t len, char from, char to)
{
	for (size_t i = 0; i < len; i++)
		if ((uint8_t)text[i] >= 0x80 || (text[i] >= from && text[i] <= to))
			return false;
	return true;
}

bool base64_read(const char *text, size_t len, uint8_t *ret, size_t size)
{
	size_t got;

	/* Bits that mean nothing, and missing padding, are refused by libsodium. */
	return len == BASE64_LEN(size) && ours(text, len, 0, 0) &&
	       sodium_base642bin(ret, size, text, len, NULL, &got, NULL,
				 sodium_base64_VARIANT_ORIGINAL) == 0 &&
	       got == size;
}

bool hex_read(const char *text, size_t len, uint8_t *ret, size_t size)
{
	size_t got;

	return len == 2 * size && ours(text, len, 'A', 'F') &&
	       sodium_hex2bin(ret, size, text, len, NULL, &got, NULL) == 0 && got == size;
}
