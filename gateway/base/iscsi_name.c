/* iSCSI names, RFC 7143 section 4.2.7: checked and brought to lower case before they
 * are compared or stored. Used by the policy, sessions and the monitor on text from
 * anywhere. Only ASCII is taken: outside it, two names may look the same. */
#include "gateway/base/iscsi_name.h"

static const char why_start[] = "a name starts with iqn., eui. or naa.";
static const char why_characters[] = "a name has letters, digits, '-', '.' and ':' only";

#define DIGITS	   "0123456789"
#define HEX_DIGITS DIGITS "abcdef"
#define LETTERS	   "abcdefghijklmnopqrstuvwxyz"

/* yyyy-mm. and a naming authority: a domain name, reversed, before the first ':'. */
static const char *iqn_check(const char *rest)
{
	static const char why_date[] =
		"after iqn. comes the date yyyy-mm, then '.' and a domain name in reverse";
	size_t authority;

	if (strspn(rest, DIGITS) != 4 || rest[4] != '-' || strspn(rest + 5, DIGITS) != 2 ||
	    rest[7] != '.')
		return why_date;
	if (memcmp(rest + 5, "01", 2) < 0 || memcmp(rest + 5, "12", 2) > 0)
		return "the month of an iqn. name is 01 to 12";
	rest += 8;
	authority = strcspn(rest, ":");
	if (authority == 0 || !strchr(LETTERS DIGITS, rest[0]) || rest[authority - 1] == '.')
		return why_date;
	return NULL;
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
	return why_start;
}

int iscsi_name_normalise(const char *text, char ret_name[ISCSI_NAME_SIZE], const char **ret_why)
{
	char name[ISCSI_NAME_SIZE];
	size_t len = strnlen(text, ISCSI_NAME_SIZE);
	const char *why = NULL;

	if (len > ISCSI_NAME_MAX) {
		*ret_why = "a name has at most 223 characters";
		return -EINVAL;
	}
	for (size_t i = 0; i < len; i++) {
		name[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] + 0x20) : text[i];
		if (!strchr(LETTERS DIGITS "-.:", name[i]))
			why = why_characters;
	}
	name[len] = '\0';
	if (!why)
		why = name_check(name);
	if (why) {
		*ret_why = why;
		return -EINVAL;
	}
	memcpy(ret_name, name, len + 1);
	return 0;
}
