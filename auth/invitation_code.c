/* The code of an invitation: "HOST:PORT/" and 28 letters of Crockford's base32, which has no I, L,
 * O and U. On the gateway's command line and on the client's; who types it may slip. */
#include <stdio.h>
#include "auth/invitation.h"
#include "gateway/base/address.h"
#include "gateway/base/bytes.h"

#define SECRET_LETTERS 26
#define CHECK_LETTERS  2

static const char letters[] = "0123456789abcdefghjkmnpqrstvwxyz";
_Static_assert(sizeof letters - 1 == 32, "5 bits a letter");
_Static_assert(SECRET_LETTERS + CHECK_LETTERS == INVITATION_LETTERS, "nothing else");

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* -1: it is none. */
static int letter_value(char c)
{
	const char *at;

	c = lower(c);
	if (c == 'o')
		c = '0';
	if (c == 'i' || c == 'l')
		c = '1';
	at = c ? strchr(letters, c) : NULL;
	return at ? (int)(at - letters) : -1;
}

/* --- the place ------------------------------------------------------------------------------- */

static int port_parse(const char *text, uint16_t *ret)
{
	uint64_t port;
	int r = number_parse(text, 1, 65535, &port);

	if (r == 0)
		*ret = (uint16_t)port;
	return r;
}

int invitation_place_parse(const char *text, struct invitation_code *ret, const char **ret_why)
{
	struct invitation_code c = {0};
	const char *colon = strrchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : 0;
	const bool brackets = len > 2 && text[0] == '[' && text[len - 1] == ']';
	struct ip ip;

	*ret_why = "it begins with HOST:PORT, such as gw.example.net:3261";
	if (len == 0 || strlen(text) >= sizeof c.place || port_parse(colon + 1, &c.port) < 0)
		return -EINVAL;
	for (size_t k = 0; text[k]; k++)
		c.place[k] = lower(text[k]);
	memcpy(c.host, c.place + brackets, len - 2 * brackets);
	if (c.host[strspn(c.host, "abcdefghijklmnopqrstuvwxyz0123456789.:-_%")] != '\0')
		return -EINVAL;
	*ret_why = "an IPv6 address stands in brackets, such as [2001:db8::1]:3261";
	if (strchr(c.host, ':') && (!brackets || ip_parse(c.host, &ip) < 0))
		return -EINVAL;
	*ret = c;
	return 0;
}

/* --- letters --------------------------------------------------------------------------------- */

static void letters_write(const uint8_t *bytes, size_t count, char *ret)
{
	for (size_t k = 0; k < count; k++) {
		unsigned value = 0;

		for (size_t bit = 5 * k; bit < 5 * k + 5; bit++)
			value = value << 1 | ((unsigned)bytes[bit / 8] >> (7 - bit % 8) & 1);
		ret[k] = letters[value];
	}
}

static void letters_read(const uint8_t *values, size_t count, uint8_t *ret_bytes)
{
	for (size_t bit = 0; bit < 5 * count; bit++)
		if (values[bit / 5] >> (4 - bit % 5) & 1)
			ret_bytes[bit / 8] = (uint8_t)(ret_bytes[bit / 8] | 0x80 >> bit % 8);
}

/* Of the place, too: a code that was copied to another gateway's name is noticed before anybody is
 * asked. */
static void check_write(const struct invitation_code *c, char ret[CHECK_LETTERS])
{
	static const char purpose[] = "sallyport join check";
	crypto_generichash_state state;
	uint8_t hash[crypto_generichash_BYTES];

	(void)crypto_generichash_init(&state, NULL, 0, sizeof hash);
	(void)crypto_generichash_update(&state, (const uint8_t *)purpose, sizeof purpose);
	(void)crypto_generichash_update(&state, (const uint8_t *)c->place, strlen(c->place) + 1);
	(void)crypto_generichash_update(&state, c->secret, sizeof c->secret);
	(void)crypto_generichash_final(&state, hash, sizeof hash);
	letters_write(hash, CHECK_LETTERS, ret);
	sodium_memzero(&state, sizeof state);
	sodium_memzero(hash, sizeof hash);
}

void invitation_code_write(const struct invitation_code *code, char ret[INVITATION_CODE_SIZE])
{
	uint8_t padded[INVITATION_SECRET_SIZE + 1] = {0};
	int len = snprintf(ret, INVITATION_CODE_SIZE, "%s/", code->place);

	assert(len > 0 && (size_t)len + INVITATION_LETTERS < INVITATION_CODE_SIZE);
	memcpy(padded, code->secret, INVITATION_SECRET_SIZE);
	letters_write(padded, SECRET_LETTERS, ret + len);
	check_write(code, ret + len + SECRET_LETTERS);
	ret[len + INVITATION_LETTERS] = '\0';
	sodium_memzero(padded, sizeof padded);
}

/* Returns how many letters there are; -1: something else is among them. */
static int letters_take(const char *text, uint8_t ret_values[INVITATION_LETTERS])
{
	int count = 0;

	for (; *text; text++) {
		const int value = letter_value(*text);

		if (*text == '-')
			continue;
		if (value < 0)
			return -1;
		if (count < INVITATION_LETTERS)
			ret_values[count] = (uint8_t)value;
		if (count++ > INVITATION_LETTERS)
			break;
	}
	return count;
}

static int secret_parse(const char *text, struct invitation_code *c, const char **ret_why)
{
	uint8_t values[INVITATION_LETTERS] = {0}, padded[INVITATION_SECRET_SIZE + 1] = {0};
	char check[CHECK_LETTERS];
	const int count = letters_take(text, values);
	int r = -EINVAL;

	*ret_why = "a code ends with 28 letters and digits; there is something else in it";
	if (count < 0)
		return r;
	*ret_why = count < INVITATION_LETTERS
			   ? "a code ends with 28 letters and digits; some are missing"
			   : "a code ends with 28 letters and digits; these are more";
	if (count != INVITATION_LETTERS)
		return r;
	letters_read(values, SECRET_LETTERS, padded);
	memcpy(c->secret, padded, sizeof c->secret);
	check_write(c, check);
	*ret_why = "there is a slip in it: its last two letters don't fit the rest";
	if (letters[values[26]] == check[0] && letters[values[27]] == check[1] &&
	    padded[INVITATION_SECRET_SIZE] == 0)
		r = 0;
	sodium_memzero(values, sizeof values);
	sodium_memzero(padded, sizeof padded);
	return r;
}

int invitation_code_parse(const char *text, struct invitation_code *ret, const char **ret_why)
{
	const char *slash = strrchr(text, '/');
	char place[INVITATION_PLACE_SIZE];
	struct invitation_code c;
	int r;

	*ret_why = "a code is HOST:PORT/ and 28 letters and digits";
	if (!slash || (size_t)(slash - text) >= sizeof place)
		return -EINVAL;
	memcpy(place, text, (size_t)(slash - text));
	place[slash - text] = '\0';
	if ((r = invitation_place_parse(place, &c, ret_why)) < 0 ||
	    (r = secret_parse(slash + 1, &c, ret_why)) < 0) {
		sodium_memzero(&c, sizeof c);
		return r;
	}
	*ret = c;
	sodium_memzero(&c, sizeof c);
	return 0;
}

/* --- what is derived ------------------------------------------------------------------------- */

void invitation_derive(const uint8_t secret[INVITATION_SECRET_SIZE],
		       uint8_t ret_id[INVITATION_ID_SIZE], uint8_t ret_key[INVITATION_KEY_SIZE])
{
	static const char id[] = "sallyport join id", key[] = "sallyport join key";

	(void)crypto_generichash(ret_id, INVITATION_ID_SIZE, (const uint8_t *)id, sizeof id - 1,
				 secret, INVITATION_SECRET_SIZE);
	(void)crypto_generichash(ret_key, INVITATION_KEY_SIZE, (const uint8_t *)key, sizeof key - 1,
				 secret, INVITATION_SECRET_SIZE);
}
