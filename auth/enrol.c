/* The octets of joining. In the authenticator, which reads what strangers sent, and in the client's
 * `sallyport join`, which reads what somebody sent who may not be the gateway. */
#include "auth/enrol.h"

#include "gateway/base/bytes.h"

#define ASKS	"SPJOIN01"
#define ANSWERS "SPJOINED"
#define MAGIC	8
#define PROVEN	(ENROL_REQUEST_SIZE - ENROL_PROOF_SIZE) /* octets before the proof */
#define PARTS	4

_Static_assert(crypto_box_PUBLICKEYBYTES == 32, "an X25519 key");

/* Keyed BLAKE2b: who speaks, over which connection, what. */
static void prove(const struct enrol_proof *by, const char *who, const uint8_t *bytes, size_t len,
		  uint8_t ret[ENROL_PROOF_SIZE])
{
	crypto_generichash_state state;

	(void)crypto_generichash_init(&state, by->key, INVITATION_KEY_SIZE, ENROL_PROOF_SIZE);
	(void)crypto_generichash_update(&state, (const uint8_t *)who, strlen(who) + 1);
	(void)crypto_generichash_update(&state, by->exporter, ENROL_EXPORTER_SIZE);
	(void)crypto_generichash_update(&state, bytes, len);
	(void)crypto_generichash_final(&state, ret, ENROL_PROOF_SIZE);
	sodium_memzero(&state, sizeof state);
}

static bool is_proven(const struct enrol_proof *by, const char *who, const uint8_t *bytes,
		      size_t len)
{
	uint8_t proof[ENROL_PROOF_SIZE];

	prove(by, who, bytes, len, proof);
	return sodium_memcmp(proof, bytes + len, sizeof proof) == 0;
}

/* --- the request ----------------------------------------------------------------------------- */

void enrol_request_write(const struct enrol_request *q, const struct enrol_proof *by,
			 uint8_t ret[ENROL_REQUEST_SIZE])
{
	struct wr w = wr_over(ret, ENROL_REQUEST_SIZE);
	uint8_t proof[ENROL_PROOF_SIZE];
	char name[ISCSI_NAME_SIZE] = {0};

	(void)string_copy(name, sizeof name, q->initiator);
	wr_bytes(&w, ASKS, MAGIC);
	wr_bytes(&w, q->id, sizeof q->id);
	wr_bytes(&w, q->point, sizeof q->point);
	wr_bytes(&w, q->box, sizeof q->box);
	wr_bytes(&w, name, sizeof name);
	prove(by, "client", ret, PROVEN, proof);
	wr_bytes(&w, proof, sizeof proof);
	assert(!w.failed && wr_len(&w) == ENROL_REQUEST_SIZE);
}

int enrol_request_parse(const uint8_t bytes[ENROL_REQUEST_SIZE], struct enrol_request *ret)
{
	struct rd r = rd_over(bytes, ENROL_REQUEST_SIZE);
	const uint8_t *magic = rd_bytes(&r, MAGIC), *id = rd_bytes(&r, INVITATION_ID_SIZE);
	const uint8_t *point = rd_bytes(&r, ENROL_POINT_SIZE), *box = rd_bytes(&r, ENROL_BOX_SIZE);
	const char *name = (const char *)rd_bytes(&r, ISCSI_NAME_SIZE);
	struct enrol_request q;

	assert(!r.failed);
	if (memcmp(magic, ASKS, MAGIC) != 0 || memchr(name, '\0', ISCSI_NAME_SIZE) == NULL)
		return -EBADMSG;
	memcpy(q.id, id, sizeof q.id);
	memcpy(q.point, point, sizeof q.point);
	memcpy(q.box, box, sizeof q.box);
	memcpy(q.initiator, name, sizeof q.initiator);
	*ret = q;
	return 0;
}

bool enrol_request_proven(const uint8_t bytes[ENROL_REQUEST_SIZE], const struct enrol_proof *by)
{
	return is_proven(by, "client", bytes, PROVEN);
}

/* --- the answer ------------------------------------------------------------------------------ */

ssize_t enrol_answer_write(const struct enrol_answer *a, const struct enrol_proof *by,
			   uint8_t ret[ENROL_ANSWER_MAX])
{
	const struct enrol_part *const parts[PARTS] = {&a->certificate, &a->ca, &a->accounts,
						       &a->text};
	struct wr w = wr_over(ret, ENROL_ANSWER_MAX);
	uint8_t proof[ENROL_PROOF_SIZE];

	wr_bytes(&w, ANSWERS, MAGIC);
	for (size_t k = 0; k < PARTS; k++) {
		wr_be(&w, 4, parts[k]->len);
		wr_bytes(&w, parts[k]->octets, parts[k]->len);
	}
	if (w.failed)
		return -EMSGSIZE;
	prove(by, "server", ret, wr_len(&w), proof);
	wr_bytes(&w, proof, sizeof proof);
	return w.failed ? -EMSGSIZE : (ssize_t)wr_len(&w);
}

int enrol_answer_parse(const uint8_t *bytes, size_t len, struct enrol_answer *ret)
{
	struct rd r = rd_over(bytes, len);
	const uint8_t *magic = rd_bytes(&r, MAGIC);
	struct enrol_answer a = {0};
	struct enrol_part *const parts[PARTS] = {&a.certificate, &a.ca, &a.accounts, &a.text};

	for (size_t k = 0; k < PARTS; k++) {
		parts[k]->len = (size_t)rd_be(&r, 4);
		parts[k]->octets = rd_bytes(&r, parts[k]->len);
	}
	rd_skip(&r, ENROL_PROOF_SIZE);
	if (r.failed || rd_left(&r) > 0 || memcmp(magic, ANSWERS, MAGIC) != 0 ||
	    a.text.len > ENROL_TEXT_MAX || a.accounts.len > ENROL_SEALED_MAX)
		return -EBADMSG;
	*ret = a;
	return 0;
}

bool enrol_answer_proven(const uint8_t *bytes, size_t len, const struct enrol_proof *by)
{
	return len >= ENROL_PROOF_SIZE && is_proven(by, "server", bytes, len - ENROL_PROOF_SIZE);
}

/* --- accounts -------------------------------------------------------------------------------- */

static void text_put(struct wr *w, const void *octets, size_t len)
{
	wr_be(w, 1, len);
	wr_bytes(w, octets, len);
}

size_t enrol_accounts_seal(const struct enrol_accounts *a, const uint8_t box[ENROL_BOX_SIZE],
			   uint8_t *memory, uint8_t ret[ENROL_SEALED_MAX])
{
	struct wr w = wr_over(memory, ENROL_ACCOUNTS_BYTES_MAX);
	size_t len;

	wr_be(&w, 1, a->count);
	for (size_t k = 0; k < a->count; k++) {
		const struct enrol_account *i = &a->list[k];

		text_put(&w, i->user, strlen(i->user));
		text_put(&w, i->secret.octets, i->secret.len);
		text_put(&w, i->mutual, strlen(i->mutual));
		text_put(&w, i->mutual_secret.octets, i->mutual_secret.len);
	}
	assert(!w.failed);
	len = wr_len(&w);
	(void)crypto_box_seal(ret, memory, len, box);
	sodium_memzero(memory, len);
	return len + crypto_box_SEALBYTES;
}

/* Printable ASCII, as the policy's names are. */
static bool name_take(struct rd *r, char ret[CHAP_NAME_SIZE])
{
	const size_t len = (size_t)rd_be(r, 1);
	const uint8_t *octets = rd_bytes(r, len);

	if (!octets)
		return false;
	for (size_t k = 0; k < len; k++)
		if (octets[k] < ' ' || octets[k] > '~')
			return false;
	memcpy(ret, octets, len);
	ret[len] = '\0';
	return true;
}

static bool secret_take(struct rd *r, struct secret *ret)
{
	const size_t len = (size_t)rd_be(r, 1);
	const uint8_t *octets = rd_bytes(r, len);

	if (!octets)
		return false;
	*ret = (struct secret){.len = (uint8_t)len};
	memcpy(ret->octets, octets, len);
	return true;
}

static int accounts_parse(const uint8_t *bytes, size_t len, struct enrol_accounts *ret)
{
	struct rd r = rd_over(bytes, len);

	ret->count = (size_t)rd_be(&r, 1);
	if (r.failed || ret->count > ENROL_ACCOUNTS_MAX)
		return -EBADMSG;
	for (size_t k = 0; k < ret->count; k++) {
		struct enrol_account *i = &ret->list[k];

		if (!name_take(&r, i->user) || !secret_take(&r, &i->secret) ||
		    !name_take(&r, i->mutual) || !secret_take(&r, &i->mutual_secret))
			return -EBADMSG;
	}
	return rd_left(&r) > 0 ? -EBADMSG : 0;
}

int enrol_accounts_open(const struct enrol_part *sealed, const uint8_t public_key[ENROL_BOX_SIZE],
			const uint8_t secret_key[crypto_box_SECRETKEYBYTES], uint8_t *memory,
			struct enrol_accounts *ret)
{
	int r = -EBADMSG;

	if (sealed->len < crypto_box_SEALBYTES || sealed->len > ENROL_SEALED_MAX)
		return r;
	if (crypto_box_seal_open(memory, sealed->octets, sealed->len, public_key, secret_key) == 0)
		r = accounts_parse(memory, sealed->len - crypto_box_SEALBYTES, ret);
	sodium_memzero(memory, ENROL_ACCOUNTS_BYTES_MAX);
	if (r < 0)
		sodium_memzero(ret, sizeof *ret);
	return r;
}
