/* Signed notes to text and back. The auditor writes them; who verifies reads them from files
 * that may come from anywhere, so every octet is hostile, and there is one way to write a note:
 * what is read and written again is the same text, but for the signatures of others. */
#include "gateway/audit/note.h"

#include <sodium.h>
#include <stdio.h>
#include "gateway/audit/digits.h"
#include "gateway/base/bytes.h"

#define BASE64	sodium_base64_VARIANT_ORIGINAL
#define ED25519 1 /* the signature's type, of c2sp.org/signed-note */

static const char origin_start[] = "sallyport-audit/";
static const char dash[] = "\xe2\x80\x94 "; /* the mark of a signature */

const char *note_origin(const uint8_t trail[TRAIL_ID_SIZE], enum audit_log log,
			char ret[NOTE_ORIGIN_SIZE])
{
	char hex[2 * TRAIL_ID_SIZE + 1];

	assert(log == LOG_COMMANDS || log == LOG_EVENTS);
	(void)snprintf(ret, NOTE_ORIGIN_SIZE, "%s%s/%s", origin_start,
		       sodium_bin2hex(hex, sizeof hex, trail, TRAIL_ID_SIZE), audit_log_name(log));
	return ret;
}

/* SHA-256 of name, newline, type and key: its first four octets. */
static void key_hash(const char *name, const uint8_t key[SIGNER_KEY_SIZE], uint8_t ret[4])
{
	const uint8_t mark[] = {'\n', ED25519};
	uint8_t hash[crypto_hash_sha256_BYTES];
	crypto_hash_sha256_state s;

	(void)crypto_hash_sha256_init(&s);
	(void)crypto_hash_sha256_update(&s, (const uint8_t *)name, strlen(name));
	(void)crypto_hash_sha256_update(&s, mark, sizeof mark);
	(void)crypto_hash_sha256_update(&s, key, SIGNER_KEY_SIZE);
	(void)crypto_hash_sha256_final(&s, hash);
	memcpy(ret, hash, 4);
}

/* The three lines that are signed. */
static int body_write(char ret[NOTE_SIZE], const struct note *n)
{
	char origin[NOTE_ORIGIN_SIZE], root[BASE64_LEN(32) + 1];

	return snprintf(ret, NOTE_SIZE, "%s\n%llu\n%s\n", note_origin(n->trail, n->log, origin),
			(unsigned long long)n->size,
			sodium_bin2base64(root, sizeof root, n->root, sizeof n->root, BASE64));
}

int note_write(char ret[NOTE_SIZE], const struct note *n,
	       const uint8_t secret_key[SIGNER_SECRET_SIZE])
{
	char origin[NOTE_ORIGIN_SIZE], line[BASE64_LEN(4 + crypto_sign_BYTES) + 1];
	uint8_t octets[4 + crypto_sign_BYTES];
	int body = body_write(ret, n), more;

	assert(body > 0 && body < NOTE_SIZE);
	/* The public half is the second one of libsodium's secret keys. */
	key_hash(note_origin(n->trail, n->log, origin), secret_key + crypto_sign_SEEDBYTES, octets);
	if (crypto_sign_detached(octets + 4, NULL, (const uint8_t *)ret, (unsigned int)body,
				 secret_key))
		return -EINVAL;
	(void)sodium_bin2base64(line, sizeof line, octets, sizeof octets, BASE64);
	more = snprintf(ret + body, NOTE_SIZE - (size_t)body, "\n%s%s %s\n", dash, origin, line);
	assert(more > 0 && body + more < NOTE_SIZE);
	return body + more;
}

/* --- reading ------------------------------------------------------------------------------ */

struct line {
	const char *p;
	size_t len; /* without its newline */
};

struct text {
	const char *p, *end;
};

static bool line_next(struct text *t, struct line *ret)
{
	const char *end = memchr(t->p, '\n', (size_t)(t->end - t->p));

	if (!end)
		return false;
	*ret = (struct line){t->p, (size_t)(end - t->p)};
	t->p = end + 1;
	return true;
}

static bool starts(const struct line *l, const char *start)
{
	size_t len = strlen(start);

	return l->len >= len && memcmp(l->p, start, len) == 0;
}

static bool origin_read(struct note *n, const char *p, size_t len)
{
	const size_t start = sizeof origin_start - 1, name = start + 2 * TRAIL_ID_SIZE + 1;

	if (len <= name || memcmp(p, origin_start, start) != 0 || p[name - 1] != '/' ||
	    !hex_read(p + start, 2 * TRAIL_ID_SIZE, n->trail, TRAIL_ID_SIZE))
		return false;
	for (enum audit_log log = LOG_COMMANDS; log <= AUDIT_LOGS; log++)
		if (len - name == strlen(audit_log_name(log)) &&
		    memcmp(p + name, audit_log_name(log), len - name) == 0)
			n->log = log;
	return n->log != AUDIT_LOG_INVALID;
}

static bool size_read(struct note *n, const struct line *l)
{
	char digits[24];

	if (l->len == 0 || l->len >= sizeof digits || (l->p[0] == '0' && l->len > 1))
		return false;
	memcpy(digits, l->p, l->len);
	digits[l->len] = '\0';
	return !memchr(digits, '\0', l->len) && number_parse(digits, 0, UINT64_MAX, &n->size) == 0;
}

/* "— NAME BASE64". */
static bool signature_split(const struct line *l, struct line *ret_name, struct line *ret_base64)
{
	const size_t mark = sizeof dash - 1;
	const char *space;

	if (!starts(l, dash))
		return false;
	space = memchr(l->p + mark, ' ', l->len - mark);
	if (!space || space == l->p + mark)
		return false;
	*ret_name = (struct line){l->p + mark, (size_t)(space - l->p) - mark};
	*ret_base64 = (struct line){space + 1, l->len - (size_t)(space + 1 - l->p)};
	return ret_base64->len > 0;
}

static bool printable(const struct line *l)
{
	for (size_t i = 0; i < l->len; i++)
		if ((uint8_t)l->p[i] < ' ' || l->p[i] == 0x7f)
			return false;
	return true;
}

/* One line of ours; those of others are only counted. */
static bool signatures_read(struct note *n, struct text *t, const struct line *origin)
{
	uint8_t octets[4 + sizeof n->signature];
	struct line l, name, base64;
	bool ours = false;

	while (line_next(t, &l)) {
		if (!signature_split(&l, &name, &base64) || !printable(&l))
			return false;
		if (name.len != origin->len || memcmp(name.p, origin->p, name.len) != 0) {
			if (++n->others > NOTE_LINES_MAX)
				return false;
			continue;
		}
		if (ours || !base64_read(base64.p, base64.len, octets, sizeof octets))
			return false;
		memcpy(n->key_hash, octets, 4);
		memcpy(n->signature, octets + 4, sizeof n->signature);
		ours = true;
	}
	return ours && t->p == t->end;
}

int note_read(struct note *ret, const char *text, size_t len)
{
	struct text t = {text, text + len};
	struct line origin, size, root, empty;
	struct note n = {.log = AUDIT_LOG_INVALID};

	if (len > NOTE_READ_MAX || !line_next(&t, &origin) || !line_next(&t, &size) ||
	    !line_next(&t, &root) || !line_next(&t, &empty))
		return -EBADMSG;
	if (!origin_read(&n, origin.p, origin.len) || !size_read(&n, &size) ||
	    !base64_read(root.p, root.len, n.root, sizeof n.root) || empty.len != 0)
		return -EBADMSG;
	if (!signatures_read(&n, &t, &origin))
		return -EBADMSG;
	*ret = n;
	return 0;
}

bool note_signature_right(const struct note *n, const uint8_t public_key[SIGNER_KEY_SIZE])
{
	char body[NOTE_SIZE], origin[NOTE_ORIGIN_SIZE];
	uint8_t hash[4];
	int len = body_write(body, n);

	assert(len > 0 && len < NOTE_SIZE);
	key_hash(note_origin(n->trail, n->log, origin), public_key, hash);
	return memcmp(hash, n->key_hash, sizeof hash) == 0 &&
	       crypto_sign_verify_detached(n->signature, (const uint8_t *)body, (unsigned int)len,
					   public_key) == 0;
}

size_t note_span(const char *text, size_t len)
{
	struct text t = {text, text + len};
	const char *end = text;
	struct line l;

	while (line_next(&t, &l)) {
		bool signature = starts(&l, dash);

		if (!signature && end != text)
			break;
		if (signature)
			end = t.p;
	}
	return (size_t)(end - text);
}

/* --- the key that others' tools take ------------------------------------------------------ */

const char *note_verifier_write(char ret[NOTE_VERIFIER_SIZE], const uint8_t trail[TRAIL_ID_SIZE],
				enum audit_log log, const uint8_t public_key[SIGNER_KEY_SIZE])
{
	char origin[NOTE_ORIGIN_SIZE], hex[9], base64[BASE64_LEN(1 + SIGNER_KEY_SIZE) + 1];
	uint8_t hash[4], key[1 + SIGNER_KEY_SIZE] = {ED25519};
	int len;

	key_hash(note_origin(trail, log, origin), public_key, hash);
	memcpy(key + 1, public_key, SIGNER_KEY_SIZE);
	len = snprintf(ret, NOTE_VERIFIER_SIZE, "%s+%s+%s", origin,
		       sodium_bin2hex(hex, sizeof hex, hash, sizeof hash),
		       sodium_bin2base64(base64, sizeof base64, key, sizeof key, BASE64));
	assert(len > 0 && len < NOTE_VERIFIER_SIZE);
	return ret;
}

int note_verifier_read(const char *text, size_t len, struct note *ret_of,
		       uint8_t ret_key[SIGNER_KEY_SIZE])
{
	const size_t tail = 1 + 8 + 1 + BASE64_LEN(1 + SIGNER_KEY_SIZE);
	uint8_t key[1 + SIGNER_KEY_SIZE];
	char again[NOTE_VERIFIER_SIZE];
	struct note n = {.log = AUDIT_LOG_INVALID};

	if (len <= tail || len >= sizeof again || !origin_read(&n, text, len - tail) ||
	    !base64_read(text + len - BASE64_LEN(sizeof key), BASE64_LEN(sizeof key), key,
			 sizeof key) ||
	    key[0] != ED25519)
		return -EBADMSG;
	/* The plus signs and the hash are right when there is nothing else it could be. */
	(void)note_verifier_write(again, n.trail, n.log, key + 1);
	if (strlen(again) != len || memcmp(again, text, len) != 0)
		return -EBADMSG;
	*ret_of = n;
	memcpy(ret_key, key + 1, SIGNER_KEY_SIZE);
	return 0;
}
