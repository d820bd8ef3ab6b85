/* iSCSI names (RFC 7143 section 4.2.7): what is one, and the one form in which they are compared
 * (RFC 3722). */
#include "tests/unit/test.h"

#include "policy/iscsi_name.h"

static const struct name_case {
	const char *why, *text;
	const char *want; /* NULL: refused */
	const char *says; /* a part of the reason */
} cases[] = {
	{"iqn. with a suffix", "iqn.2026-11.net.example.gw:vault",
	 "iqn.2026-11.net.example.gw:vault", NULL},
	{"iqn. without a suffix", "iqn.1993-08.org.debian", "iqn.1993-08.org.debian", NULL},
	{"iqn. with colons in the suffix", "iqn.2007-10.com.github:sahlberg:libiscsi:iscsi-test",
	 "iqn.2007-10.com.github:sahlberg:libiscsi:iscsi-test", NULL},
	{"iqn. in upper case", "IQN.1994-05.COM.RedHat:E3EF", "iqn.1994-05.com.redhat:e3ef", NULL},
	{"eui. with 16 digits", "eui.02004567A425678D", "eui.02004567a425678d", NULL},
	{"naa. with 16 digits", "naa.52004567BA64678D", "naa.52004567ba64678d", NULL},
	{"naa. with 32 digits", "naa.62004567BA64678D0123456789ABCDEF",
	 "naa.62004567ba64678d0123456789abcdef", NULL},
	{"empty", "", NULL, "iqn., eui. or naa."},
	{"another type", "wwn.1234", NULL, "iqn., eui. or naa."},
	{"iqn without its dot", "iqn2026-11.net.example", NULL, "iqn., eui. or naa."},
	{"iqn. alone", "iqn.", NULL, "yyyy-mm"},
	{"a year of three digits", "iqn.202-11.net.example", NULL, "yyyy-mm"},
	{"a year of five digits", "iqn.20261-11.net.example", NULL, "yyyy-mm"},
	{"a month of one digit", "iqn.2026-1.net.example", NULL, "yyyy-mm"},
	{"month 00", "iqn.2026-00.net.example", NULL, "month"},
	{"month 13", "iqn.2026-13.net.example", NULL, "month"},
	{"month 12", "iqn.2026-12.net.example", "iqn.2026-12.net.example", NULL},
	{"no naming authority", "iqn.2026-11.", NULL, "domain"},
	{"no naming authority before the suffix", "iqn.2026-11.:vault", NULL, "domain"},
	{"no dot after the date", "iqn.2026-11:vault", NULL, "yyyy-mm"},
	{"a naming authority that starts with a dot", "iqn.2026-11..net", NULL, "domain"},
	{"a naming authority that ends with a dot", "iqn.2026-11.net.:x", NULL, "domain"},
	{"eui. with 15 digits", "eui.02004567A425678", NULL, "16 hexadecimal"},
	{"eui. with 17 digits", "eui.02004567A425678D0", NULL, "16 hexadecimal"},
	{"eui. with a letter beyond f", "eui.02004567A425678G", NULL, "16 hexadecimal"},
	{"naa. with 17 digits", "naa.52004567BA64678D0", NULL, "16 or 32"},
	{"naa. with 31 digits", "naa.62004567BA64678D0123456789ABCDE", NULL, "16 or 32"},
	{"an underscore", "iqn.2026-11.net.example:a_b", NULL, "letters"},
	{"a blank", "iqn.2026-11.net.example:a b", NULL, "letters"},
	{"a blank at the end", "iqn.2026-11.net.example ", NULL, "letters"},
	{"a control character", "iqn.2026-11.net.example:\x1b[2J", NULL, "letters"},
	{"a naming authority with an empty label", "iqn.2026-11.net..example:x", NULL, "domain"},
	{"a naming authority of another script", "iqn.2026-11.jp.\u4f8b\u3048:a",
	 "iqn.2026-11.jp.\u4f8b\u3048:a", NULL},
	{"month 01", "iqn.2026-01.net.example", "iqn.2026-01.net.example", NULL},
	{"a comma, as a portal group's", "iqn.2026-11.net.example,1", NULL, "letters"},
	{"a slash", "iqn.2026-11.net.example:../x", NULL, "letters"},
};

#define IQN "iqn.2026-11.net.example:"

static const struct name_case unicode_cases[] = {
	{"P1: letters beyond ASCII lose their case", IQN "M\u00dcLL", IQN "m\u00fcll", NULL},
	{"P1: Greek letters lose their case", IQN "\u0391\u0392", IQN "\u03b1\u03b2", NULL},
	{"P1: a final sigma is a sigma", IQN "\u03bf\u03c2", IQN "\u03bf\u03c3", NULL},
	{"P1: a sharp s is two of them", IQN "stra\u00dfe", IQN "strasse", NULL},
	{"P1: full-width letters are letters", IQN "\uff21\uff42\uff11", IQN "ab1", NULL},
	{"P1: the type in full-width letters", "\uff29\uff51\uff4e.2026-11.net.example:a", IQN "a",
	 NULL},
	{"P1: full-width punctuation is punctuation", "iqn\uff0e2026\uff0d11.net.example\uff1aa",
	 IQN "a", NULL},
	{"P1: eui. in full-width digits", "eui.02004567a425678\uff14", "eui.02004567a4256784",
	 NULL},
	{"P1: composed and decomposed are one: composed", IQN "caf\u00e9", IQN "caf\u00e9", NULL},
	{"P1: composed and decomposed are one: decomposed", IQN "cafe\u0301", IQN "caf\u00e9",
	 NULL},
	{"P1: marks have one order", IQN "a\u0323\u0307", IQN "\u1ea1\u0307", NULL},
	{"P1: … whichever came first", IQN "a\u0307\u0323", IQN "\u1ea1\u0307", NULL},
	{"P1: Hangul is composed", IQN "\u1112\u1161\u11ab", IQN "\ud55c", NULL},
	{"P1: a ligature is its letters", IQN "\ufb01x", IQN "fix", NULL},
	{"P1: a superscript digit is a digit", IQN "x\u00b2", IQN "x2", NULL},
	{"P1: the Kelvin sign is a k", IQN "\u212a", IQN "k", NULL},
	{"P1: a telephone sign becomes small letters at once", IQN "\u2121", IQN "tel", NULL},
	{"P1: a soft hyphen is nothing", IQN "a\u00adb", IQN "ab", NULL},
	{"P1: a joiner of no width is nothing", IQN "a\u200db", IQN "ab", NULL},
	{"P1: a selector of variants is nothing", IQN "a\ufe0fb", IQN "ab", NULL},
	{"another script's letter that looks the same is another name", IQN "v\u0430ult",
	 IQN "v\u0430ult", NULL},
	{"a space of no break", IQN "a\u00a0b", NULL, "letters"},
	{"an ideographic space", IQN "a\u3000b", NULL, "letters"},
	{"an ideographic full stop", IQN "a\u3002b", NULL, "letters"},
	{"… of half width", IQN "a\uff61b", NULL, "letters"},
	{"a full-width slash", IQN "a\uff0fb", NULL, "letters"},
	{"a full-width underscore", IQN "a\uff3fb", NULL, "letters"},
	{"what normalises to parentheses", IQN "\u2474", NULL, "letters"},
	{"a control character of Latin-1", IQN "a\xc2\x85", NULL, "letters"},
	{"a line separator", IQN "a\u2028b", NULL, "letters"},
	{"a character of private use", IQN "\ue000", NULL, "letters"},
	{"a non-character", IQN "\xef\xbf\xbe", NULL, "letters"},
	{"the replacement character", IQN "\ufffd", NULL, "letters"},
	{"a mark that turns the direction", IQN "a\u202eb", NULL, "letters"},
	{"a language tag", IQN "a\U000e0041", NULL, "letters"},
	{"what Unicode 3.2 has not assigned", IQN "\u1e9e", NULL, "Unicode 3.2"},
	{"a face, as of Unicode 6", IQN "\U0001f600", NULL, "Unicode 3.2"},
	{"Hebrew after iqn.: two directions", IQN "\u05d0\u05d1", NULL, "direction"},
	{"Arabic after iqn.: two directions", IQN "\u0627", NULL, "direction"},
	{"an octet that begins nothing", IQN "\x80", NULL, "UTF-8"},
	{"an octet that UTF-8 never has", IQN "\xff", NULL, "UTF-8"},
	{"a character cut at the end", IQN "a\xc3", NULL, "UTF-8"},
	{"a character cut in the middle", IQN "\xe3\x81x", NULL, "UTF-8"},
	{"a letter written too long", IQN "\xc1\xa1", NULL, "UTF-8"},
	{"half a surrogate pair", IQN "\xed\xa0\x80", NULL, "UTF-8"},
	{"beyond Unicode", IQN "\xf4\x90\x80\x80", NULL, "UTF-8"},
};

static void test_name(void **state)
{
	const struct name_case *c = *state;
	char name[ISCSI_NAME_SIZE] = "untouched";
	const char *why = NULL;
	int r = iscsi_name_normalise(c->text, name, &why);

	if (c->want) {
		assert_int_equal(r, 0);
		assert_string_equal(name, c->want);
		return;
	}
	assert_int_equal(r, -EINVAL);
	assert_string_equal(name, "untouched");
	assert_non_null(why);
	assert_non_null(strstr(why, c->says));
}

/* Each row: a name of so many octets, `unit` over and over after "iqn.2026-11.net:". */
static const struct length_case {
	const char *why, *unit, *rest;
	size_t octets, becomes; /* 0: refused */
} lengths[] = {
	{"223 octets are a name", "a", "", 223, 223},
	{"224 octets are none", "a", "", 224, 0},
	{"223 octets that become fewer", "\uff21", "", 16 + 207, 16 + 69},
	{"224 octets that would become fewer", "\uff21", "a", 224, 0},
	{"223 octets that stay as many", "\u00e9", "b", 223, 223},
	{"58 octets that become 223", "\u3316", "aaaaaaaaa", 58, 223},
	{"59 octets that would become 224", "\u3316", "aaaaaaaaaa", 59, 0},
	{"223 octets that would become six times as many", "\u3316", "", 16 + 207, 0},
};

static void test_length(void **state)
{
	const struct length_case *c = *state;
	char text[2 * ISCSI_NAME_SIZE] = "iqn.2026-11.net:", name[ISCSI_NAME_SIZE];
	size_t unit = strlen(c->unit), rest = strlen(c->rest), len = 16;
	const char *why = NULL;

	for (; len + unit + rest <= c->octets; len += unit)
		memcpy(text + len, c->unit, unit);
	memcpy(text + len, c->rest, rest + 1);
	assert_int_equal(strlen(text), c->octets);
	if (c->becomes) {
		assert_int_equal(iscsi_name_normalise(text, name, &why), 0);
		assert_int_equal(strlen(name), c->becomes);
		return;
	}
	assert_int_equal(iscsi_name_normalise(text, name, &why), -EINVAL);
	assert_non_null(strstr(why, "223"));
}

/* As the monitor has it from a session that is not ours any more. */
static void test_unended(void **state)
{
	char text[ISCSI_NAME_SIZE], name[ISCSI_NAME_SIZE];
	const char *why = NULL;

	(void)state;
	memset(text, 'a', sizeof text);
	assert_int_equal(iscsi_name_normalise(text, name, &why), -EINVAL);
	assert_non_null(strstr(why, "223"));
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, cases, test_name);
	TESTS_ADD_TABLE(&t, unicode_cases, test_name);
	TESTS_ADD_TABLE(&t, lengths, test_length);
	tests_add(&t, "P1: a name without an end is none", test_unended, NULL);
	return tests_run(&t, "policy: iSCSI names");
}
