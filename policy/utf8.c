/* UTF-8, strictly: which octets are a character, and which characters a person may be shown.
 * Runs where the policy is read; trusts nothing. The ranges are those of Unicode's table of
 * well-formed sequences: no overlong forms, no surrogates, nothing above U+10FFFF. */
#include "policy/utf8.h"

static const struct form {
	uint8_t first, last; /* the first octet */
	uint8_t length;
	uint8_t least, most; /* the second octet */
} forms[] = {
	{0x00, 0x7f, 1, 0x00, 0x00}, {0xc2, 0xdf, 2, 0x80, 0xbf}, {0xe0, 0xe0, 3, 0xa0, 0xbf},
	{0xe1, 0xec, 3, 0x80, 0xbf}, {0xed, 0xed, 3, 0x80, 0x9f}, {0xee, 0xef, 3, 0x80, 0xbf},
	{0xf0, 0xf0, 4, 0x90, 0xbf}, {0xf1, 0xf3, 4, 0x80, 0xbf}, {0xf4, 0xf4, 4, 0x80, 0x8f},
};

static const struct {
	uint32_t first, last;
} hidden[] = {
	{0x00, 0x1f},	  {0x7f, 0x9f},	    {0xad, 0xad},     {0x61c, 0x61c},
	{0x180e, 0x180e}, {0x200b, 0x200f}, {0x2028, 0x202e}, {0x2060, 0x206f},
	{0xfe00, 0xfe0f}, {0xfeff, 0xfeff}, {0xfff0, 0xfffb}, {0xe0000, 0xe0fff},
};

static bool form_fits(const struct form *form, const uint8_t *p, size_t len)
{
	if (p[0] < form->first || p[0] > form->last || len < form->length)
		return false;
	if (form->length > 1 && (p[1] < form->least || p[1] > form->most))
		return false;
	for (size_t i = 2; i < form->length; i++)
		if ((p[i] & 0xc0) != 0x80)
			return false;
	return true;
}

size_t utf8_length(const char *text, size_t len)
{
	if ((uint8_t)*text < 0x80)
		return 1;
	for (size_t i = 1; i < ARRAY_LEN(forms); i++)
		if (form_fits(&forms[i], (const uint8_t *)text, len))
			return forms[i].length;
	return 0;
}

size_t utf8_step(const char *text, size_t len)
{
	size_t n = utf8_length(text, len);

	return n ? n : 1;
}

static uint32_t code_point(const uint8_t *p, size_t len)
{
	static const uint8_t first_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
	uint32_t c = p[0] & first_bits[len];

	for (size_t i = 1; i < len; i++)
		c = c << 6 | (p[i] & 0x3f);
	return c;
}

bool utf8_shown(const char *text, size_t len)
{
	uint32_t c;

	if (len == 0 || utf8_length(text, len) != len)
		return false;
	c = code_point((const uint8_t *)text, len);
	for (size_t i = 0; i < ARRAY_LEN(hidden); i++)
		if (c >= hidden[i].first && c <= hidden[i].last)
			return false;
	return true;
}
