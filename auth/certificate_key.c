/* Keys of EC P-256 as octets, and certificates as DER. On the command line and in the
 * authenticator's sandbox; a client's point is checked here, everything else is ours. */
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <sodium.h>
#include "auth/certificate.h"

#define GROUP "P-256"

int certificate_key_make(EVP_PKEY **ret)
{
	EVP_PKEY *key = EVP_EC_gen(GROUP);

	if (!key)
		return -EIO;
	*ret = key;
	return 0;
}

int certificate_key_of_point(const uint8_t point[CERTIFICATE_POINT_SIZE], EVP_PKEY **ret)
{
	OSSL_PARAM parameters[] = {
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)(uintptr_t)GROUP,
				       sizeof GROUP - 1),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)(uintptr_t)point,
					CERTIFICATE_POINT_SIZE),
		OSSL_PARAM_END,
	};
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL), *check;
	OWNED_PKEY *key = NULL;
	int r = -EINVAL;

	if (context && EVP_PKEY_fromdata_init(context) == 1 &&
	    EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, parameters) == 1)
		r = 0;
	EVP_PKEY_CTX_free(context);
	if (r < 0)
		return r;
	check = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	if (!check || EVP_PKEY_public_check(check) != 1)
		r = -EINVAL;
	EVP_PKEY_CTX_free(check);
	if (r == 0)
		*ret = TAKE(key);
	return r;
}

int certificate_key_point(EVP_PKEY *key, uint8_t ret_point[CERTIFICATE_POINT_SIZE])
{
	size_t len = 0;

	return EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, ret_point,
					       CERTIFICATE_POINT_SIZE, &len) == 1 &&
			       len == CERTIFICATE_POINT_SIZE && ret_point[0] == 4
		       ? 0
		       : -EIO;
}

int certificate_key_write(EVP_PKEY *key, uint8_t ret_der[CERTIFICATE_KEY_MAX], size_t *ret_len)
{
	int len = i2d_PrivateKey(key, NULL);
	uint8_t *p = ret_der;

	if (len <= 0 || len > CERTIFICATE_KEY_MAX || i2d_PrivateKey(key, &p) != len)
		return -EIO;
	*ret_len = (size_t)len;
	return 0;
}

/* What is written: RFC 5915 section 3, with the curve's name and the point. */
#define SCALAR_SIZE 32
static const uint8_t der_head[] = {0x30, 0x77, 0x02, 0x01, 0x01, 0x04, SCALAR_SIZE};
static const uint8_t der_middle[] = {0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d,
				     0x03, 0x01, 0x07, 0xa1, 0x44, 0x03, 0x42, 0x00};
#define SCALAR_AT sizeof der_head
#define MIDDLE_AT (SCALAR_AT + SCALAR_SIZE)
#define POINT_AT  (MIDDLE_AT + sizeof der_middle)

static bool is_as_written(const uint8_t *der, size_t len)
{
	return len == POINT_AT + CERTIFICATE_POINT_SIZE &&
	       memcmp(der, der_head, sizeof der_head) == 0 &&
	       memcmp(der + MIDDLE_AT, der_middle, sizeof der_middle) == 0;
}

/* OpenSSL's readers of DER leave copies of it in memory that was freed; this way leaves none. */
static EVP_PKEY *key_of_parts(const uint8_t *der)
{
	uint8_t scalar[SCALAR_SIZE]; /* as OSSL_PARAM has numbers: in the machine's order */
	OSSL_PARAM parameters[] = {
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)(uintptr_t)GROUP,
				       sizeof GROUP - 1),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY,
					(void *)(uintptr_t)(der + POINT_AT),
					CERTIFICATE_POINT_SIZE),
		{OSSL_PKEY_PARAM_PRIV_KEY, OSSL_PARAM_UNSIGNED_INTEGER, scalar, sizeof scalar, 0},
		OSSL_PARAM_END,
	};
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	EVP_PKEY *key = NULL;

	for (size_t k = 0; k < SCALAR_SIZE; k++)
		scalar[__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? SCALAR_SIZE - 1 - k : k] =
			der[SCALAR_AT + k];
	if (context && EVP_PKEY_fromdata_init(context) == 1)
		(void)EVP_PKEY_fromdata(context, &key, EVP_PKEY_KEYPAIR, parameters);
	EVP_PKEY_CTX_free(context);
	sodium_memzero(scalar, sizeof scalar);
	return key;
}

int certificate_key_read(const uint8_t *der, size_t len, EVP_PKEY **ret)
{
	const uint8_t *p = der;
	OWNED_PKEY *key = NULL;

	if (is_as_written(der, len)) {
		key = key_of_parts(der);
		p += len;
	} else if (len <= CERTIFICATE_KEY_MAX) {
		key = d2i_PrivateKey(EVP_PKEY_EC, NULL, &p, (long)len);
	}
	if (!key || p != der + len)
		return -EBADMSG;
	*ret = TAKE(key);
	return 0;
}

int certificate_write(X509 *certificate, uint8_t ret_der[CERTIFICATE_DER_MAX], size_t *ret_len)
{
	int len = i2d_X509(certificate, NULL);
	uint8_t *p = ret_der;

	if (len <= 0 || len > CERTIFICATE_DER_MAX || i2d_X509(certificate, &p) != len)
		return -EMSGSIZE;
	*ret_len = (size_t)len;
	return 0;
}

int certificate_read(const uint8_t *der, size_t len, X509 **ret)
{
	const uint8_t *p = der;
	OWNED_X509 *x = len <= CERTIFICATE_DER_MAX ? d2i_X509(NULL, &p, (long)len) : NULL;

	if (!x || p != der + len)
		return -EBADMSG;
	*ret = TAKE(x);
	return 0;
}
