/* Reading and writing key=value text, RFC 7143 section 6.1. Runs in the session
 * process on bytes from the network: every pair is looked at through a cursor, and
 * what is no pair ends the negotiation. */
#include "gateway/iscsi/text.h"

#include <stdio.h>

bool text_append(struct text *t, const uint8_t *bytes, size_t len)
{
	if (len > t->size - t->len)
		return false;
	if (len > 0)
		memcpy(t->bytes + t->len, bytes, len);
	t->len += len;
	return true;
}

/* The standard's labels are narrower; what matters is that a name can be sent back and printed. */
static bool text_key_ok(const uint8_t *key, size_t len)
{
	if (len == 0 || len > TEXT_KEY_MAX)
		return false;
	for (size_t n = 0; n < len; n++)
		if (key[n] <= ' ' || key[n] >= 0x7f)
			return false;
	return true;
}

int text_next(struct rd *r, struct text_pair *ret_pair)
{
	const uint8_t *at, *nul, *equals;
	size_t len;

	while (rd_left(r) > 0 && *r->p == '\0')
		rd_skip(r, 1);
	if (rd_left(r) == 0)
		return 0;
	at = r->p;
	nul = memchr(at, '\0', rd_left(r));
	if (!nul)
		return -EPROTO;
	len = (size_t)(nul - at);
	equals = memchr(at, '=', len);
	if (!equals || !text_key_ok(at, (size_t)(equals - at)))
		return -EPROTO;
	*ret_pair = (struct text_pair){
		.key = (const char *)at,
		.key_len = (size_t)(equals - at),
		.value = (const char *)equals + 1,
		.value_len = (size_t)(nul - equals) - 1,
	};
	rd_skip(r, len + 1);
	return 1;
}

bool text_is(const struct text_pair *p, const char *key)
{
	return strlen(key) == p->key_len && memcmp(p->key, key, p->key_len) == 0;
}

bool text_list_next(const char **at, const char **ret_item, size_t *ret_len)
{
	if (!*at)
		return false;
	*ret_item = *at;
	*ret_len = strcspn(*at, ",");
	*at = (*at)[*ret_len] == ',' ? *at + *ret_len + 1 : NULL;
	return true;
}

bool text_list_has(const char *list, const char *item)
{
	const char *at = list, *one;
	size_t len;

	while (text_list_next(&at, &one, &len))
		if (len == strlen(item) && memcmp(one, item, len) == 0)
			return true;
	return false;
}

void text_put(struct wr *w, const char *key, const char *value)
{
	wr_bytes(w, key, strlen(key));
	wr_bytes(w, "=", 1);
	wr_bytes(w, value, strlen(value) + 1);
}

void text_put_number(struct wr *w, const char *key, uint64_t value)
{
	char digits[24];

	(void)snprintf(digits, sizeof digits, "%llu", (unsigned long long)value);
	text_put(w, key, digits);
}
