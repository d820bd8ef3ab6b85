/* iSCSI names (RFC 7143 section 4.2.7): what is one, and the one way to write it. */
#include "tests/unit/test.h"

#include "gateway/base/iscsi_name.h"

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
	{"a letter beyond ASCII", "iqn.2026-11.net.example:m\u00fcll", NULL, "letters"},
	{"a comma, as a portal group's", "iqn.2026-11.net.example,1", NULL, "letters"},
	{"a slash", "iqn.2026-11.net.example:../x", NULL, "letters"},
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

static void test_length(void **state)
{
	char text[ISCSI_NAME_SIZE + 1], name[ISCSI_NAME_SIZE];
	const char *why = NULL;

	(void)state;
	memset(text, 'a', sizeof text);
	memcpy(text, "iqn.2026-11.net:", 16);
	text[ISCSI_NAME_MAX] = '\0';
	assert_int_equal(iscsi_name_normalise(text, name, &why), 0);
	assert_int_equal(strlen(name), 223);
	text[ISCSI_NAME_MAX] = 'a';
	text[ISCSI_NAME_MAX + 1] = '\0';
	assert_int_equal(iscsi_name_normalise(text, name, &why), -EINVAL);
	assert_non_null(strstr(why, "223"));
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, cases, test_name);
	tests_add(&t, "a name has at most 223 octets", test_length, NULL);
	return tests_run(&t, "base: iSCSI names");
}
