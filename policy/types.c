/* The values of policy.yaml as texts: sizes ("20GiB"), durations ("10m"), whole numbers. Runs
 * where the policy is read; trusts nothing. YAML's own types are not used: its "0123", "1e3" and
 * "no" are texts here, and refused as such. */
#include "policy/types.h"

#include <inttypes.h>
#include <stdio.h>
#include "gateway/base/bytes.h"

struct unit {
	const char *name;
	uint64_t factor;
};

#define KIB UINT64_C(1024)
#define MS  UINT64_C(1000)

static const struct unit sizes[] = {
	{"TiB", KIB *KIB *KIB *KIB},
	{"GiB", KIB *KIB *KIB},
	{"MiB", KIB *KIB},
	{"KiB", KIB},
	{"B", 1},
};

static const struct unit durations[] = {
	{"d", 24 * 3600 * MS}, {"h", 3600 * MS}, {"m", 60 * MS}, {"s", MS}, {"ms", 1},
};

/* The digits at the start of text, as a number; *ret_rest is what follows. */
static int digits_parse(const char *text, uint64_t *ret_value, const char **ret_rest)
{
	size_t n = strspn(text, "0123456789");
	char digits[24];

	if (n == 0 || (n > 1 && text[0] == '0'))
		return -EINVAL;
	if (n >= sizeof digits)
		return -ERANGE;
	memcpy(digits, text, n);
	digits[n] = '\0';
	*ret_rest = text + n;
	return number_parse(digits, 0, UINT64_MAX, ret_value);
}

static int quantity_parse(const char *text, const struct unit *units, size_t count,
			  uint64_t *ret_value)
{
	const char *rest;
	uint64_t number;
	int r = digits_parse(text, &number, &rest);

	if (r < 0)
		return r;
	for (size_t i = 0; i < count; i++)
		if (strcmp(rest, units[i].name) == 0)
			return MUL_OK(number, units[i].factor, ret_value) ? 0 : -ERANGE;
	return -EDOM;
}

int size_parse(const char *text, uint64_t *ret_octets)
{
	return quantity_parse(text, sizes, ARRAY_LEN(sizes), ret_octets);
}

int duration_parse(const char *text, uint64_t *ret_ms)
{
	return quantity_parse(text, durations, ARRAY_LEN(durations), ret_ms);
}

int whole_number_parse(const char *text, uint64_t *ret_value)
{
	const char *rest;
	uint64_t number;
	int r = digits_parse(text, &number, &rest);

	if (r < 0)
		return r;
	if (*rest)
		return -EINVAL;
	*ret_value = number;
	return 0;
}

static const char *quantity_format(uint64_t value, const struct unit *units, size_t count,
				   char ret[QUANTITY_TEXT])
{
	size_t i = 0;

	while (i < count - 1 && (value == 0 || value % units[i].factor != 0))
		i++;
	(void)snprintf(ret, QUANTITY_TEXT, "%" PRIu64 "%s", value / units[i].factor, units[i].name);
	return ret;
}

const char *size_format(uint64_t octets, char ret[QUANTITY_TEXT])
{
	return quantity_format(octets, sizes, ARRAY_LEN(sizes), ret);
}

const char *duration_format(uint64_t ms, char ret[QUANTITY_TEXT])
{
	return quantity_format(ms, durations, ARRAY_LEN(durations), ret);
}
