/* The line of `audit key`, to text and back. Written by the gateway, read by who verifies, from
 * a file that somebody copied by hand perhaps: the checksum tells a slip of the hand from a key
 * that is another one. */
#include "gateway/audit/key_text.h"

#include <sodium.h>
#include <stdio.h>
#include "gateway/audit/digits.h"
#include "gateway/base/bytes.h"

#define BASE64	   sodium_base64_VARIANT_ORIGINAL
#define CHECKSUM   8 /* hex digits */
#define KEY_FIELDS 7
#define KEY_LEAST  (sizeof mark + 32 + 3 * 2 + 2 * (BASE64_LEN(32) + 1) + 1 + CHECKSUM)

static const char mark[] = "sallyport-audit-key-1";

static void checksum(const char *text, size_t len, char ret[CHECKSUM + 1])
{
	uint8_t hash[crypto_hash_sha256_BYTES];

	(void)crypto_hash_sha256(hash, (const uint8_t *)text, len);
	(void)sodium_bin2hex(ret, CHECKSUM + 1, hash, CHECKSUM / 2);
}

void audit_key_write(char ret[AUDIT_KEY_SIZE], const struct audit_key *key)
{
	char trail[2 * TRAIL_ID_SIZE + 1], signer[BASE64_LEN(32) + 1], epoch[BASE64_LEN(32) + 1];
	int len = snprintf(
		ret, AUDIT_KEY_SIZE, "%s %s %llu %llu %llu %s %s ", mark,
		sodium_bin2hex(trail, sizeof trail, key->trail, sizeof key->trail),
		(unsigned long long)key->epoch,
		(unsigned long long)key->first_block[LOG_COMMANDS - 1],
		(unsigned long long)key->first_block[LOG_EVENTS - 1],
		sodium_bin2base64(signer, sizeof signer, key->signer, sizeof key->signer, BASE64),
		sodium_bin2base64(epoch, sizeof epoch, key->epoch_key, sizeof key->epoch_key,
				  BASE64));

	sodium_memzero(epoch, sizeof epoch);
	assert(len > 0 && len + CHECKSUM < AUDIT_KEY_SIZE);
	checksum(ret, (size_t)len - 1, ret + len);
}

static bool number_read(const char *text, uint64_t *ret)
{
	return (text[0] != '0' || text[1] == '\0') && number_parse(text, 0, UINT64_MAX, ret) == 0;
}

/* Ends each field of the line with NUL. False: there are more, or fewer. */
static bool split(char *line, char *ret_fields[KEY_FIELDS])
{
	for (size_t i = 0; i < KEY_FIELDS; i++) {
		char *space = strchr(line, ' ');

		if ((space == NULL) != (i == KEY_FIELDS - 1))
			return false;
		ret_fields[i] = line;
		if (space) {
			*space = '\0';
			line = space + 1;
		}
	}
	return true;
}

static bool fields_read(struct audit_key *k, char *line)
{
	char *f[KEY_FIELDS];

	return split(line, f) && strcmp(f[0], mark) == 0 &&
	       hex_read(f[1], strlen(f[1]), k->trail, sizeof k->trail) &&
	       number_read(f[2], &k->epoch) &&
	       number_read(f[3], &k->first_block[LOG_COMMANDS - 1]) &&
	       number_read(f[4], &k->first_block[LOG_EVENTS - 1]) &&
	       base64_read(f[5], strlen(f[5]), k->signer, sizeof k->signer) &&
	       base64_read(f[6], strlen(f[6]), k->epoch_key, sizeof k->epoch_key);
}

int audit_key_read(struct audit_key *ret, const char *line, size_t len)
{
	char copy[AUDIT_KEY_SIZE], sum[CHECKSUM + 1];
	struct audit_key k = {.epoch = 0};
	int e = -EBADMSG;

	if (len < KEY_LEAST || len >= sizeof copy || memchr(line, '\0', len))
		return -EBADMSG;
	memcpy(copy, line, len);
	copy[len] = '\0';
	len -= CHECKSUM + 1;
	checksum(copy, len, sum);
	if (copy[len] == ' ' && strcmp(copy + len + 1, sum) == 0) {
		copy[len] = '\0';
		e = fields_read(&k, copy) ? 0 : -EBADMSG;
	}
	if (e == 0)
		*ret = k;
	sodium_memzero(copy, sizeof copy);
	sodium_memzero(&k, sizeof k);
	return e;
}
