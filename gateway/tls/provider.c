/* The signing provider: for OpenSSL, a certificate's private key; in truth its public
 * key and somebody who signs, in another process. It takes the two or three forms of
 * handshakes and refuses to sign anything else. In the session and in the client's end,
 * which hold no key. Reads no configuration, loads no file. */
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>
#include "gateway/tls/parts.h"

#define PROVIDER   "sallyport"
#define PROPERTIES "provider=" PROVIDER
#define OPENSSLS   "provider=default"
#define P_SIGNER   "sallyport-signer" /* a parameter of ours: struct signer */

/* How a key reaches its signer. */
struct signer {
	const struct tls_signer *signer;
	uint32_t forms;
};

struct key {
	const char *type;
	EVP_PKEY *public;
	struct signer signer;
};

struct signature {
	const struct key *key;
	uint32_t scheme;
	bool padded; /* RSA: PSS was asked for */
};

static OSSL_LIB_CTX *library;
static bool signing_failed;

bool tls_signing_failed(void)
{
	bool failed = signing_failed;

	signing_failed = false;
	return failed;
}

/* --- keys --- */

static void *key_new(const char *type)
{
	struct key *k = calloc(1, sizeof *k);

	if (k)
		k->type = type;
	return k;
}

static void key_free(void *data)
{
	struct key *k = data;

	if (!k)
		return;
	EVP_PKEY_free(k->public);
	free(k);
}

/* Whoever asks may think that it has all that a key can have. */
static int key_has(const void *data, int selection)
{
	const struct key *k = data;

	(void)selection;
	return k && k->public != NULL;
}

static int key_match(const void *a, const void *b, int selection)
{
	const struct key *x = a, *y = b;

	(void)selection;
	return x->public && y->public && EVP_PKEY_eq(x->public, y->public) == 1;
}

static int key_import(void *data, int selection, const OSSL_PARAM params[])
{
	struct key *k = data;
	const OSSL_PARAM *p = OSSL_PARAM_locate_const(params, P_SIGNER);
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(library, k->type, OPENSSLS);
	void *signer;
	size_t size;
	int ok = c && EVP_PKEY_fromdata_init(c) == 1 &&
		 EVP_PKEY_fromdata(c, &k->public, EVP_PKEY_PUBLIC_KEY, (OSSL_PARAM *)params) == 1;

	(void)selection;
	EVP_PKEY_CTX_free(c);
	if (ok && p && OSSL_PARAM_get_octet_ptr(p, (const void **)&signer, &size) == 1)
		k->signer = *(const struct signer *)signer;
	return ok;
}

static const OSSL_PARAM *key_import_types(int selection)
{
	static const OSSL_PARAM types[] = {
		OSSL_PARAM_octet_ptr(P_SIGNER, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
		OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
		OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
		OSSL_PARAM_END,
	};

	(void)selection;
	return types;
}

static int key_get_params(void *data, OSSL_PARAM params[])
{
	const struct key *k = data;

	return k->public && EVP_PKEY_get_params(k->public, params);
}

static const OSSL_PARAM *key_gettable_params(void *provider)
{
	static const OSSL_PARAM gettable[] = {
		OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
		OSSL_PARAM_END,
	};

	(void)provider;
	return gettable;
}

static const char *key_operation_rsa(int operation)
{
	(void)operation;
	return "RSA";
}

static const char *key_operation_ec(int operation)
{
	(void)operation;
	return operation == OSSL_OP_SIGNATURE ? "ECDSA" : "ECDH";
}

static const char *key_operation_ed25519(int operation)
{
	(void)operation;
	return "ED25519";
}

#define FUNCTION(id, function)                   \
	{                                        \
		(id), (void (*)(void))(function) \
	}
#define KEY_TYPE(name, text, operation)                                                      \
	static void *key_new_##name(void *provider)                                          \
	{                                                                                    \
		(void)provider;                                                              \
		return key_new(text);                                                        \
	}                                                                                    \
	static const OSSL_DISPATCH keys_##name[] = {                                         \
		FUNCTION(OSSL_FUNC_KEYMGMT_NEW, key_new_##name),                             \
		FUNCTION(OSSL_FUNC_KEYMGMT_FREE, key_free),                                  \
		FUNCTION(OSSL_FUNC_KEYMGMT_HAS, key_has),                                    \
		FUNCTION(OSSL_FUNC_KEYMGMT_MATCH, key_match),                                \
		FUNCTION(OSSL_FUNC_KEYMGMT_IMPORT, key_import),                              \
		FUNCTION(OSSL_FUNC_KEYMGMT_IMPORT_TYPES, key_import_types),                  \
		FUNCTION(OSSL_FUNC_KEYMGMT_GET_PARAMS, key_get_params),                      \
		FUNCTION(OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, key_gettable_params),            \
		FUNCTION(OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, key_operation_##operation), \
		{0, NULL},                                                                   \
	}

KEY_TYPE(ec, "EC", ec);
KEY_TYPE(ed25519, "ED25519", ed25519);
KEY_TYPE(rsa, "RSA", rsa);
KEY_TYPE(rsa_pss, "RSA-PSS", rsa);

/* --- signatures --- */

static void *signature_new(void *provider, const char *properties)
{
	(void)provider;
	(void)properties;
	return calloc(1, sizeof(struct signature));
}

static void signature_free(void *data)
{
	free(data);
}

/* What the forms of a handshake need, and nothing else. */
static int signature_set_params(void *data, const OSSL_PARAM params[])
{
	struct signature *s = data;
	const OSSL_PARAM *p;
	int number;

	p = params ? OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PAD_MODE) : NULL;
	if (p && p->data_type == OSSL_PARAM_UTF8_STRING)
		s->padded = strcmp(p->data, OSSL_PKEY_RSA_PAD_MODE_PSS) == 0;
	else if (p)
		s->padded = OSSL_PARAM_get_int(p, &number) && number == RSA_PKCS1_PSS_PADDING;
	if (p && !s->padded)
		return 0;
	p = params ? OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PSS_SALTLEN) : NULL;
	if (p && p->data_type == OSSL_PARAM_UTF8_STRING)
		return strcmp(p->data, OSSL_PKEY_RSA_PSS_SALT_LEN_DIGEST) == 0;
	return !p || (OSSL_PARAM_get_int(p, &number) && number == RSA_PSS_SALTLEN_DIGEST);
}

static const OSSL_PARAM *signature_settable_params(void *data, void *provider)
{
	static const OSSL_PARAM settable[] = {
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0),
		OSSL_PARAM_END,
	};

	(void)data;
	(void)provider;
	return settable;
}

static const char *digest_of(const char *name)
{
	static const struct {
		const char *theirs, *ours;
	} digests[] = {
		{"SHA256", "SHA256"},
		{"SHA2-256", "SHA256"},
		{"SHA384", "SHA384"},
		{"SHA2-384", "SHA384"},
		{"", ""},
	};

	for (size_t i = 0; name && i < ARRAY_LEN(digests); i++)
		if (strcmp(digests[i].theirs, name) == 0)
			return digests[i].ours;
	return name ? "other" : "";
}

static int signature_begin(void *data, const char *digest, void *key, const OSSL_PARAM params[])
{
	struct signature *s = data;
	char curve[32] = "";

	if (key)
		s->key = key;
	if (!s->key || !s->key->public)
		return 0;
	if (strcmp(s->key->type, "EC") == 0 &&
	    EVP_PKEY_get_group_name(s->key->public, curve, sizeof curve, NULL) != 1)
		return 0;
	s->scheme = tls_signing_scheme(s->key->type, curve, digest_of(digest));
	return s->scheme != 0 && signature_set_params(s, params);
}

static bool ask_signer(const struct signature *s, const uint8_t *octets, size_t len,
		       struct auth_signature *ret)
{
	const struct signer *signer = &s->key->signer;
	bool rsa = strncmp(s->key->type, "RSA", 3) == 0;
	struct auth_sign ask;

	if (!signer->signer || (rsa && !s->padded) ||
	    tls_signing_parse(octets, len, signer->forms, &ask) < 0)
		return false;
	ask.scheme = s->scheme;
	return signer->signer->sign(signer->signer->arg, &ask, ret) == 0;
}

static int signature_make(void *data, unsigned char *ret, size_t *len, size_t size,
			  const unsigned char *octets, size_t octets_len)
{
	const struct signature *s = data;
	struct auth_signature made = {0};

	if (!ret) {
		*len = (size_t)EVP_PKEY_get_size(s->key->public);
		return 1;
	}
	if (!ask_signer(s, octets, octets_len, &made) || made.len == 0 ||
	    made.len > sizeof made.signature || made.len > size) {
		signing_failed = true;
		return 0;
	}
	memcpy(ret, made.signature, made.len);
	*len = made.len;
	return 1;
}

static const OSSL_DISPATCH signatures[] = {
	FUNCTION(OSSL_FUNC_SIGNATURE_NEWCTX, signature_new),
	FUNCTION(OSSL_FUNC_SIGNATURE_FREECTX, signature_free),
	FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, signature_begin),
	FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_SIGN, signature_make),
	FUNCTION(OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, signature_set_params),
	FUNCTION(OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, signature_settable_params),
	{0, NULL},
};

/* --- the provider --- */

static const OSSL_ALGORITHM *provider_query(void *provider, int operation, int *no_cache)
{
	static const OSSL_ALGORITHM key_types[] = {
		{"EC:id-ecPublicKey:1.2.840.10045.2.1", PROPERTIES, keys_ec, NULL},
		{"ED25519:1.3.101.112", PROPERTIES, keys_ed25519, NULL},
		{"RSA:rsaEncryption:1.2.840.113549.1.1.1", PROPERTIES, keys_rsa, NULL},
		{"RSA-PSS:RSASSA-PSS:1.2.840.113549.1.1.10", PROPERTIES, keys_rsa_pss, NULL},
		{NULL, NULL, NULL, NULL},
	};
	static const OSSL_ALGORITHM signature_types[] = {
		{"ECDSA", PROPERTIES, signatures, NULL},
		{"ED25519:1.3.101.112", PROPERTIES, signatures, NULL},
		{"RSA:rsaEncryption:1.2.840.113549.1.1.1", PROPERTIES, signatures, NULL},
		{NULL, NULL, NULL, NULL},
	};

	(void)provider;
	*no_cache = 0;
	if (operation == OSSL_OP_KEYMGMT)
		return key_types;
	return operation == OSSL_OP_SIGNATURE ? signature_types : NULL;
}

static int provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
			 const OSSL_DISPATCH **ret_out, void **ret_provider)
{
	static const OSSL_DISPATCH functions[] = {
		FUNCTION(OSSL_FUNC_PROVIDER_QUERY_OPERATION, provider_query),
		{0, NULL},
	};

	(void)in;
	*ret_out = functions;
	*ret_provider = (void *)(uintptr_t)handle;
	return 1;
}

OSSL_LIB_CTX *tls_library_context(void)
{
	OSSL_LIB_CTX *l;

	if (library)
		return library;
	if (OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, NULL) != 1)
		return NULL;
	if (!(l = OSSL_LIB_CTX_new()))
		return NULL;
	if (!OSSL_PROVIDER_load(l, "default") ||
	    OSSL_PROVIDER_add_builtin(l, PROVIDER, provider_init) != 1 ||
	    !OSSL_PROVIDER_load(l, PROVIDER) ||
	    EVP_set_default_properties(l, "?" OPENSSLS) != 1) { /* ours only for who asks for it */
		OSSL_LIB_CTX_free(l);
		return NULL;
	}
	library = l;
	return library;
}

EVP_PKEY *tls_signing_key(EVP_PKEY *public, const struct tls_signer *signer, uint32_t forms)
{
	struct signer s = {signer, forms};
	void *pointer = &s;
	OSSL_PARAM ours[] = {OSSL_PARAM_octet_ptr(P_SIGNER, &pointer, sizeof s), OSSL_PARAM_END};
	OSSL_PARAM *of_key = NULL, *all = NULL;
	EVP_PKEY_CTX *c = NULL;
	EVP_PKEY *key = NULL;

	if (EVP_PKEY_todata(public, EVP_PKEY_PUBLIC_KEY, &of_key) == 1 &&
	    (all = OSSL_PARAM_merge(of_key, ours)) &&
	    (c = EVP_PKEY_CTX_new_from_name(tls_library_context(), EVP_PKEY_get0_type_name(public),
					    PROPERTIES)) &&
	    EVP_PKEY_fromdata_init(c) == 1 &&
	    EVP_PKEY_fromdata(c, &key, EVP_PKEY_KEYPAIR, all) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(c);
	OSSL_PARAM_free(all);
	OSSL_PARAM_free(of_key);
	return key;
}
