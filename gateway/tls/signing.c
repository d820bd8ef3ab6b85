/* What a handshake has to have signed, taken apart: libssl hands over the very octets,
 * and whoever has the key builds them again from what is asked here. So the key signs
 * handshakes and nothing else. In the session and in the client's end. */
#include "gateway/base/bytes.h"
#include "gateway/tls/parts.h"

#define CURVE_NAMED 3 /* RFC 8422 section 5.4: ECCurveType named_curve */
#define RANDOM_SIZE 32

/* RFC 8446 section 4.4.3: 64 spaces, this, a zero, the hash of the transcript. */
static const struct {
	enum auth_sign_form form;
	char context[34]; /* with its zero */
} contexts[] = {
	{AUTH_SIGN_SERVER, "TLS 1.3, server CertificateVerify"},
	{AUTH_SIGN_CLIENT, "TLS 1.3, client CertificateVerify"},
};

static int parse_verify(struct rd r, uint32_t forms, struct auth_sign *ask)
{
	static const char spaces[65] = "                                "
				       "                                ";
	const uint8_t *padding = rd_bytes(&r, 64);
	const uint8_t *context = rd_bytes(&r, sizeof contexts[0].context);
	size_t len = rd_left(&r);
	const uint8_t *hash = rd_bytes(&r, len);

	if (!context || (len != 32 && len != 48) || memcmp(padding, spaces, 64) != 0)
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_LEN(contexts); i++) {
		if (!(forms & 1u << contexts[i].form) ||
		    memcmp(context, contexts[i].context, sizeof contexts[i].context) != 0)
			continue;
		ask->form = contexts[i].form;
		ask->hash_len = (uint32_t)len;
		memcpy(ask->hash, hash, len);
		return 0;
	}
	return -EINVAL;
}

static int parse_key_exchange(struct rd r, struct auth_sign *ask)
{
	const uint8_t *client = rd_bytes(&r, RANDOM_SIZE);
	const uint8_t *server = rd_bytes(&r, RANDOM_SIZE);
	uint64_t type = rd_be(&r, 1), curve = rd_be(&r, 2), len = rd_be(&r, 1);
	const uint8_t *point;

	if (r.failed || type != CURVE_NAMED || len == 0 || len > sizeof ask->point ||
	    len != rd_left(&r) || (curve != 23 && curve != 24 && curve != 29))
		return -EINVAL;
	point = rd_bytes(&r, len);
	ask->form = AUTH_SIGN_KEY_EXCHANGE;
	ask->curve = (uint32_t)curve;
	ask->point_len = (uint32_t)len;
	memcpy(ask->client_random, client, RANDOM_SIZE);
	memcpy(ask->server_random, server, RANDOM_SIZE);
	memcpy(ask->point, point, len);
	return 0;
}

int tls_signing_parse(const uint8_t *octets, size_t len, uint32_t forms, struct auth_sign *ret_ask)
{
	struct auth_sign ask = {0};
	struct rd r = rd_over(octets, len);
	int result = parse_verify(r, forms, &ask);

	if (result < 0 && (forms & 1u << AUTH_SIGN_KEY_EXCHANGE))
		result = parse_key_exchange(r, &ask);
	if (result == 0)
		*ret_ask = ask;
	return result;
}

uint32_t tls_signing_scheme(const char *type, const char *curve, const char *digest)
{
	static const struct {
		const char *type, *curve, *digest;
		enum auth_sign_scheme scheme;
	} schemes[] = {
		{"EC", "prime256v1", "SHA256", AUTH_SIGN_ECDSA_P256_SHA256},
		{"EC", "secp384r1", "SHA384", AUTH_SIGN_ECDSA_P384_SHA384},
		{"ED25519", "", "", AUTH_SIGN_ED25519},
		{"RSA", "", "SHA256", AUTH_SIGN_RSA_PSS_RSAE_SHA256},
		{"RSA", "", "SHA384", AUTH_SIGN_RSA_PSS_RSAE_SHA384},
		{"RSA-PSS", "", "SHA256", AUTH_SIGN_RSA_PSS_PSS_SHA256},
		{"RSA-PSS", "", "SHA384", AUTH_SIGN_RSA_PSS_PSS_SHA384},
	};

	for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
		if (strcmp(schemes[i].type, type) == 0 && strcmp(schemes[i].curve, curve) == 0 &&
		    strcmp(schemes[i].digest, digest) == 0)
			return schemes[i].scheme;
	return 0;
}
