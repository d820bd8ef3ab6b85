/* Cursors over bytes, numbers and CHAP's binary values. Used by every process; trusts
 * nothing: every length is checked against the cursor, every digit against its table. */
#include "gateway/base/bytes.h"

struct rd rd_over(const void *bytes, size_t len)
{
	const uint8_t *p = bytes;

	return (struct rd){.p = p, .end = len ? p + len : p};
}

size_t rd_left(const struct rd *r)
{
	return r->failed ? 0 : (size_t)(r->end - r->p);
}

const uint8_t *rd_bytes(struct rd *r, size_t len)
{
	const uint8_t *at = r->p;

	if (r->failed || (size_t)(r->end - r->p) < len) {
		r->failed = true;
		return NULL;
	}
	if (len > 0)
		r->p += len;
	return at;
}

void rd_skip(struct rd *r, size_t len)
{
	(void)rd_bytes(r, len);
}

uint64_t rd_be(struct rd *r, size_t width)
{
	const uint8_t *p = rd_bytes(r, width);

	return p ? get_be(p, width) : 0;
}

struct wr wr_over(void *bytes, size_t size)
{
	uint8_t *p = bytes;

	return (struct wr){.start = p, .p = p, .end = size ? p + size : p};
}

size_t wr_len(const struct wr *w)
{
	return (size_t)(w->p - w->start);
}

/* Room for len octets, or NULL and a failed cursor. */
static uint8_t *wr_room(struct wr *w, size_t len)
{
	uint8_t *at = w->p;

	if (w->failed || (size_t)(w->end - w->p) < len) {
		w->failed = true;
		return NULL;
	}
	if (len > 0)
		w->p += len;
	return at;
}

void wr_be(struct wr *w, size_t width, uint64_t value)
{
	uint8_t *p = wr_room(w, width);

	if (p)
		put_be(p, width, value);
}

void wr_bytes(struct wr *w, const void *bytes, size_t len)
{
	uint8_t *p = wr_room(w, len);

	if (p && len > 0)
		memcpy(p, bytes, len);
}

void wr_zero(struct wr *w, size_t len)
{
	uint8_t *p = wr_room(w, len);

	if (p && len > 0)
		memset(p, 0, len);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static bool has_prefix(const char *text, char letter)
{
	return text[0] == '0' && (text[1] | 0x20) == letter;
}

/* A number too big for 64 bits is out of every range; a bad digit anywhere is worse. */
static int number_digits(const char *text, uint64_t base, uint64_t *ret_value)
{
	uint64_t value = 0;
	bool fits = true;

	if (!*text)
		return -EINVAL;
	for (; *text; text++) {
		int digit = hex_digit(*text);

		if (digit < 0 || (uint64_t)digit >= base)
			return -EINVAL;
		fits = fits && MUL_OK(value, base, &value) &&
		       ADD_OK(value, (uint64_t)digit, &value);
	}
	if (!fits)
		return -ERANGE;
	*ret_value = value;
	return 0;
}

static int number_in_range(uint64_t value, uint64_t min, uint64_t max, uint64_t *ret_value)
{
	if (value < min || value > max)
		return -ERANGE;
	*ret_value = value;
	return 0;
}

int number_parse(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value)
{
	uint64_t value;
	int r = number_digits(text, 10, &value);

	return r < 0 ? r : number_in_range(value, min, max, ret_value);
}

int number_parse_any(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value)
{
	uint64_t value;
	int r;

	if (!has_prefix(text, 'x'))
		return number_parse(text, min, max, ret_value);
	r = number_digits(text + 2, 16, &value);
	return r < 0 ? r : number_in_range(value, min, max, ret_value);
}

static ssize_t hex_decode(const char *text, uint8_t *ret_bytes, size_t size)
{
	size_t digits = strspn(text, "0123456789abcdefABCDEF");

	if (text[digits] || digits == 0 || digits % 2)
		return -EINVAL;
	if (digits / 2 > size)
		return -EMSGSIZE;
	for (size_t i = 0; i < digits / 2; i++)
		ret_bytes[i] = (uint8_t)((unsigned)hex_digit(text[2 * i]) << 4 |
					 (unsigned)hex_digit(text[2 * i + 1]));
	return (ssize_t)(digits / 2);
}

static const char base64_alphabet[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static uint32_t base64_digit(char c)
{
	return (uint32_t)(strchr(base64_alphabet, c) - base64_alphabet);
}

/* One group of four digits, of which the last `pads` are '='; writes 3 - pads octets. */
static int base64_group(const char *text, size_t pads, uint8_t *ret_bytes)
{
	uint32_t bits = 0;

	for (size_t i = 0; i < 4; i++)
		bits = bits << 6 | (i < 4 - pads ? base64_digit(text[i]) : 0);
	/* Bits behind the last octet would give one value two spellings. */
	if (bits & ((1U << (8 * pads)) - 1))
		return -EINVAL;
	for (size_t i = 0; i < 3 - pads; i++)
		ret_bytes[i] = (uint8_t)(bits >> (16 - 8 * i));
	return 0;
}

/* RFC 4648 section 4, strictly: padded, no other character, no bits left over. */
static ssize_t base64_decode(const char *text, uint8_t *ret_bytes, size_t size)
{
	size_t digits = strspn(text, base64_alphabet), pads = strspn(text + digits, "=");
	size_t len = digits + pads;

	if (text[len] || digits == 0 || len % 4 || pads > 2)
		return -EINVAL;
	if (len / 4 * 3 - pads > size)
		return -EMSGSIZE;
	for (size_t i = 0; i < len / 4; i++) {
		size_t last = i + 1 == len / 4 ? pads : 0;

		if (base64_group(text + 4 * i, last, ret_bytes + 3 * i) < 0)
			return -EINVAL;
	}
	return (ssize_t)(len / 4 * 3 - pads);
}

ssize_t binary_decode(const char *text, uint8_t *ret_bytes, size_t size)
{
	if (has_prefix(text, 'x'))
		return hex_decode(text + 2, ret_bytes, size);
	if (has_prefix(text, 'b'))
		return base64_decode(text + 2, ret_bytes, size);
	return -EINVAL;
}

bool binary_encode_hex(const uint8_t *bytes, size_t len, char *ret_text, size_t text_size)
{
	static const char digits[] = "0123456789abcdef";
	size_t need;

	if (!MUL_OK(len, (size_t)2, &need) || !ADD_OK(need, (size_t)3, &need) || need > text_size)
		return false;
	*ret_text++ = '0';
	*ret_text++ = 'x';
	for (size_t i = 0; i < len; i++) {
		*ret_text++ = digits[bytes[i] >> 4];
		*ret_text++ = digits[bytes[i] & 15];
	}
	*ret_text = '\0';
	return true;
}

bool binary_encode_base64(const uint8_t *bytes, size_t len, char *ret_text, size_t text_size)
{
	size_t groups = len / 3 + (len % 3 > 0), need;

	if (!MUL_OK(groups, (size_t)4, &need) || !ADD_OK(need, (size_t)3, &need) ||
	    need > text_size)
		return false;
	*ret_text++ = '0';
	*ret_text++ = 'b';
	for (; groups > 0; groups--) {
		size_t n = MIN(len, (size_t)3);
		uint32_t bits = 0;

		for (size_t i = 0; i < 3; i++)
			bits = bits << 8 | (i < n ? bytes[i] : 0U);
		for (size_t i = 0; i < 4; i++)
			*ret_text++ = i > n ? '=' : base64_alphabet[bits >> (18 - 6 * i) & 63];
		bytes += n;
		len -= n;
	}
	*ret_text = '\0';
	return true;
}

bool string_copy(char *dst, size_t size, const char *src)
{
	size_t len = strnlen(src, size);

	assert(size > 0);
	if (len == size) {
		memcpy(dst, src, size - 1);
		dst[size - 1] = '\0';
		return false;
	}
	memcpy(dst, src, len + 1);
	return true;
}
