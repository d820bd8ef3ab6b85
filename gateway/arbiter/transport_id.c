/* Reads and writes iSCSI TransportIDs. Runs in the arbiter; what it reads is an initiator's,
 * and is copied out only after each length in it was checked. A name that nobody has is as
 * good as another: it registers a nexus that never comes. */
#include "gateway/arbiter/transport_id.h"

#define ISCSI	       0x05 /* protocol identifier, octet 0 bits 3 to 0 */
#define FORMAT_DEVICE  0x00 /* bits 7 and 6: the name alone */
#define FORMAT_PORT    0x40 /* the name and the ISID */
#define LENGTH_MIN     20   /* of what follows octet 3 */
#define ISID_SEPARATOR ",i,0x"
#define ISID_DIGITS    12

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* All of `text`: 1 to 12 digits. */
static bool isid_parse(const char *text, uint8_t ret_isid[6])
{
	uint64_t value = 0;
	size_t len = strlen(text);

	if (len == 0 || len > ISID_DIGITS)
		return false;
	for (; *text != '\0'; text++) {
		int digit = hex_digit(*text);

		if (digit < 0)
			return false;
		value = value << 4 | (unsigned)digit;
	}
	put_be(ret_isid, 6, value);
	return true;
}

/* RFC 3722 for ASCII: small letters, and nothing that shows as nothing. */
static bool name_copy(const char *text, size_t len, char ret_name[ISCSI_NAME_SIZE])
{
	static const char *const types[] = {"iqn.", "eui.", "naa."};
	bool known = false;

	if (len > ISCSI_NAME_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		if ((uint8_t)text[i] <= ' ' || text[i] == 0x7f || text[i] == ',')
			return false;
		ret_name[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] | 0x20 : text[i]);
	}
	ret_name[len] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		known = known || strncmp(ret_name, types[i], 4) == 0;
	return known && len > 4;
}

/* `text` ends with a NUL within its field. */
static bool port_parse(const char *text, struct initiator_port *ret_port)
{
	const char *isid = strstr(text, ISID_SEPARATOR);

	if (isid == NULL || !isid_parse(isid + strlen(ISID_SEPARATOR), ret_port->isid))
		return false;
	return name_copy(text, (size_t)(isid - text), ret_port->name);
}

static bool text_parse(uint8_t format, const char *text, struct initiator_port *ret_port)
{
	if (format == FORMAT_PORT)
		return port_parse(text, ret_port);
	ret_port->every_isid = true;
	return format == FORMAT_DEVICE && name_copy(text, strlen(text), ret_port->name);
}

int transport_id_read(struct rd *r, struct initiator_port *ret_port)
{
	struct rd at = *r;
	struct initiator_port port = {0};
	uint8_t kind = (uint8_t)rd_be(&at, 1);
	size_t len;
	const uint8_t *text;

	rd_skip(&at, 1);
	len = (size_t)rd_be(&at, 2);
	if (at.failed || (kind & 0x3f) != ISCSI)
		return -EPROTO;
	r->p += 2; /* what is wrong from here on: its length */
	text = rd_bytes(&at, len);
	if (text == NULL || len < LENGTH_MIN || len % 4 != 0)
		return -EPROTO;
	r->p += 2;
	if (memchr(text, '\0', len) == NULL || !text_parse(kind & 0xc0, (const char *)text, &port))
		return -EPROTO;
	*r = at;
	*ret_port = port;
	return 0;
}

void transport_id_write(struct wr *w, const char *name, const uint8_t isid[6])
{
	static const char digits[] = "0123456789abcdef";
	char text[ISID_DIGITS];
	size_t len = strlen(name) + strlen(ISID_SEPARATOR) + ISID_DIGITS + 1;
	size_t padded = MAX((len + 3) & ~(size_t)3, LENGTH_MIN);

	for (unsigned i = 0; i < ISID_DIGITS; i++)
		text[i] = digits[isid[i / 2] >> (i % 2 ? 0 : 4) & 0xf];
	wr_be(w, 1, FORMAT_PORT | ISCSI);
	wr_be(w, 1, 0);
	wr_be(w, 2, padded);
	wr_bytes(w, name, strlen(name));
	wr_bytes(w, ISID_SEPARATOR, strlen(ISID_SEPARATOR));
	wr_bytes(w, text, sizeof text);
	wr_zero(w, padded - (len - 1));
}
