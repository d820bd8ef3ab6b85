/* iSCSI names: checked, and normalised before they are compared or stored. Runs in the monitor and
 * the command line, on text from anywhere; never in a session, which loads no library for it. The
 * profile of stringprep is GNU libidn's: it gets UTF-8 that was checked here, within 223 octets. */
#include "policy/iscsi_name.h"

#include <stringprep.h>
#include "policy/utf8.h"

static const char why_long[] = "a name has at most 223 octets";

#define DIGITS	   "0123456789"
#define HEX_DIGITS DIGITS "abcdef"
#define LETTERS	   "abcdefghijklmnopqrstuvwxyz"

/* --- the three kinds ---------------------------------------------------------------------- */

/* The letters of other scripts are those that the profile let through. */
static bool is_letter_or_digit(char c)
{
	return (uint8_t)c >= 0x80 || (c && strchr(LETTERS DIGITS, c));
}

/* Labels with dots between. Hyphens may stand anywhere: initiators in the field are no better. */
static bool authority_ok(const char *text, size_t len)
{
	bool label = false; /* one has begun */

	for (size_t i = 0; i < len; i++) {
		if (text[i] == '.' && !label)
			return false;
		if (i == 0 && !is_letter_or_digit(text[i]))
			return false;
		label = text[i] != '.';
	}
	return label;
}

/* yyyy-mm. and a naming authority: a domain name, reversed, before the first ':'. */
static const char *iqn_check(const char *rest)
{
	static const char why_date[] =
		"after iqn. comes the date yyyy-mm, then '.' and a domain name in reverse";

	if (strspn(rest, DIGITS) != 4 || rest[4] != '-' || strspn(rest + 5, DIGITS) != 2 ||
	    rest[7] != '.')
		return why_date;
	if (memcmp(rest + 5, "01", 2) < 0 || memcmp(rest + 5, "12", 2) > 0)
		return "the month of an iqn. name is 01 to 12";
	return authority_ok(rest + 8, strcspn(rest + 8, ":")) ? NULL : why_date;
}

static const char *eui_check(const char *rest)
{
	return strspn(rest, HEX_DIGITS) == 16 && rest[16] == '\0'
		       ? NULL
		       : "after eui. come 16 hexadecimal digits";
}

static const char *naa_check(const char *rest)
{
	size_t digits = strspn(rest, HEX_DIGITS);

	return (digits == 16 || digits == 32) && rest[digits] == '\0'
		       ? NULL
		       : "after naa. come 16 or 32 hexadecimal digits";
}

static const struct {
	char prefix[5];
	const char *(*check)(const char *rest);
} name_types[] = {{"iqn.", iqn_check}, {"eui.", eui_check}, {"naa.", naa_check}};

static const char *name_check(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(name_types); i++)
		if (strncmp(name, name_types[i].prefix, 4) == 0)
			return name_types[i].check(name + 4);
	return "a name starts with iqn., eui. or naa.";
}

/* --- the profile -------------------------------------------------------------------------- */

static bool is_utf8(const char *text, size_t len)
{
	size_t step;

	for (; len > 0; text += step, len -= step)
		if ((step = utf8_length(text, len)) == 0)
			return false;
	return true;
}

/* Why the profile refuses, of what the library can say of checked input. */
static const struct {
	int result;
	const char *why;
} refusals[] = {
	{STRINGPREP_CONTAINS_UNASSIGNED, "a name has characters of Unicode 3.2 only (RFC 3722)"},
	{STRINGPREP_CONTAINS_PROHIBITED,
	 "a name has letters, digits, '-', '.' and ':' only (RFC 3722)"},
	{STRINGPREP_BIDI_BOTH_L_AND_RAL, "a name has one direction of writing (RFC 3722)"},
	{STRINGPREP_BIDI_LEADTRAIL_NOT_RAL, "a name has one direction of writing (RFC 3722)"},
	{STRINGPREP_BIDI_CONTAINS_PROHIBITED, "a name has no marks of direction (RFC 3722)"},
	{STRINGPREP_TOO_SMALL_BUFFER, why_long},
};

/* RFC 3722 over RFC 3454: mapped (case, and what shows nothing), NFKC, prohibited, bidirectional.
 * Code points that Unicode 3.2 has not assigned are refused on both sides (RFC 3454 section 7 would
 * let queries have them): nobody could say whether two such names are one. */
static const char *profile_apply(char name[ISCSI_NAME_SIZE])
{
	int r = stringprep(name, ISCSI_NAME_SIZE, STRINGPREP_NO_UNASSIGNED, stringprep_iscsi);

	for (size_t i = 0; i < ARRAY_LEN(refusals); i++)
		if (refusals[i].result == r)
			return refusals[i].why;
	return r == STRINGPREP_OK ? NULL : "it can't be normalised (RFC 3722)";
}

int iscsi_name_normalise(const char *text, char ret_name[ISCSI_NAME_SIZE], const char **ret_why)
{
	char name[ISCSI_NAME_SIZE] = "";
	size_t len = strnlen(text, ISCSI_NAME_SIZE);
	const char *why = NULL;

	if (len > ISCSI_NAME_MAX)
		why = why_long;
	else if (!is_utf8(text, len))
		why = "a name is UTF-8";
	if (!why) {
		memcpy(name, text, len);
		why = profile_apply(name);
	}
	if (!why)
		why = name_check(name);
	if (why) {
		*ret_why = why;
		return -EINVAL;
	}
	memcpy(ret_name, name, strlen(name) + 1);
	return 0;
}
