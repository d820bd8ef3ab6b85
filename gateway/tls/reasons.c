/* Why a handshake failed: one word for the audit, from what OpenSSL says about
 * certificates and records, and from the first octets of what is no TLS. In the session
 * and in the client's end. The peer's octets are looked at, never printed. */
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include "gateway/tls/parts.h"

const char *tls_reason_name(enum tls_reason reason)
{
	static const char *const names[TLS_REASONS] = {
		[TLS_REASON_NONE] = "",
		[TLS_PLAIN] = "tls-plain-on-a-tls-port",
		[TLS_GARBAGE] = "tls-garbage",
		[TLS_VERSION] = "tls-version",
		[TLS_NO_CIPHER] = "tls-no-common-cipher",
		[TLS_NO_GROUP] = "tls-no-common-group",
		[TLS_NO_CERTIFICATE] = "tls-no-certificate",
		[TLS_UNKNOWN_CA] = "tls-unknown-ca",
		[TLS_EXPIRED] = "tls-expired",
		[TLS_NOT_YET_VALID] = "tls-not-yet-valid",
		[TLS_REVOKED] = "tls-revoked",
		[TLS_CRL] = "tls-crl",
		[TLS_WRONG_PURPOSE] = "tls-wrong-purpose",
		[TLS_WRONG_NAME] = "tls-wrong-name",
		[TLS_BAD_SIGNATURE] = "tls-bad-signature",
		[TLS_TRUNCATED] = "tls-truncated",
		[TLS_TIMEOUT] = "tls-timeout",
		[TLS_ALERT] = "tls-alert",
		[TLS_ALPN] = "tls-alpn",
		[TLS_KEY_AWAY] = "tls-key-away",
		[TLS_FAILED] = "tls-failed",
		[TLS_ON_PLAIN] = "tls-on-a-plain-port",
	};

	return (unsigned)reason < TLS_REASONS ? names[reason] : "tls-failed";
}

struct row {
	int error;
	enum tls_reason reason;
};

static enum tls_reason look_up(const struct row *rows, size_t count, int error)
{
	for (size_t i = 0; i < count; i++)
		if (rows[i].error == error)
			return rows[i].reason;
	return TLS_FAILED;
}

enum tls_reason tls_reason_of_certificate(int error)
{
	static const struct row rows[] = {
		{X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, TLS_UNKNOWN_CA},
		{X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, TLS_UNKNOWN_CA},
		{X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, TLS_UNKNOWN_CA},
		{X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, TLS_UNKNOWN_CA},
		{X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, TLS_UNKNOWN_CA},
		{X509_V_ERR_CERT_UNTRUSTED, TLS_UNKNOWN_CA},
		{X509_V_ERR_CERT_SIGNATURE_FAILURE, TLS_UNKNOWN_CA},
		{X509_V_ERR_INVALID_CA, TLS_UNKNOWN_CA},
		{X509_V_ERR_PATH_LENGTH_EXCEEDED, TLS_UNKNOWN_CA},
		{X509_V_ERR_CERT_CHAIN_TOO_LONG, TLS_UNKNOWN_CA},
		{X509_V_ERR_CERT_HAS_EXPIRED, TLS_EXPIRED},
		{X509_V_ERR_CERT_NOT_YET_VALID, TLS_NOT_YET_VALID},
		{X509_V_ERR_CERT_REVOKED, TLS_REVOKED},
		{X509_V_ERR_UNABLE_TO_GET_CRL, TLS_CRL},
		{X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER, TLS_CRL},
		{X509_V_ERR_CRL_HAS_EXPIRED, TLS_CRL},
		{X509_V_ERR_CRL_NOT_YET_VALID, TLS_CRL},
		{X509_V_ERR_CRL_SIGNATURE_FAILURE, TLS_CRL},
		{X509_V_ERR_UNHANDLED_CRITICAL_CRL_EXTENSION, TLS_CRL},
		{X509_V_ERR_KEYUSAGE_NO_CRL_SIGN, TLS_CRL},
		{X509_V_ERR_DIFFERENT_CRL_SCOPE, TLS_CRL},
		{X509_V_ERR_INVALID_PURPOSE, TLS_WRONG_PURPOSE},
		{X509_V_ERR_HOSTNAME_MISMATCH, TLS_WRONG_NAME},
		{X509_V_ERR_IP_ADDRESS_MISMATCH, TLS_WRONG_NAME},
	};

	return look_up(rows, ARRAY_LEN(rows), error);
}

static const struct row errors[] = {
	{SSL_R_HTTP_REQUEST, TLS_PLAIN},
	{SSL_R_HTTPS_PROXY_REQUEST, TLS_PLAIN},
	{SSL_R_UNSUPPORTED_PROTOCOL, TLS_VERSION},
	{SSL_R_VERSION_TOO_LOW, TLS_VERSION},
	{SSL_R_VERSION_TOO_HIGH, TLS_VERSION},
	{SSL_R_INAPPROPRIATE_FALLBACK, TLS_VERSION},
	{SSL_R_NO_SHARED_CIPHER, TLS_NO_CIPHER},
	{SSL_R_NO_CIPHERS_SPECIFIED, TLS_NO_CIPHER},
	{SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS, TLS_NO_CIPHER},
	{SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, TLS_NO_CIPHER},
	{SSL_R_MISSING_SIGALGS_EXTENSION, TLS_NO_CIPHER},
	{SSL_R_NO_SUITABLE_KEY_SHARE, TLS_NO_GROUP},
	{SSL_R_NO_SUITABLE_GROUPS, TLS_NO_GROUP},
	{SSL_R_BAD_KEY_SHARE, TLS_NO_GROUP},
	{SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, TLS_NO_CERTIFICATE},
	{SSL_R_BAD_SIGNATURE, TLS_BAD_SIGNATURE},
	{SSL_R_NO_APPLICATION_PROTOCOL, TLS_ALPN},
	{SSL_R_UNEXPECTED_EOF_WHILE_READING, TLS_TRUNCATED},
	/* what no honest library sends */
	{SSL_R_WRONG_VERSION_NUMBER, TLS_GARBAGE},
	{SSL_R_UNKNOWN_PROTOCOL, TLS_GARBAGE},
	{SSL_R_LENGTH_MISMATCH, TLS_GARBAGE},
	{SSL_R_LENGTH_TOO_SHORT, TLS_GARBAGE},
	{SSL_R_LENGTH_TOO_LONG, TLS_GARBAGE},
	{SSL_R_BAD_EXTENSION, TLS_GARBAGE},
	{SSL_R_BAD_PACKET, TLS_GARBAGE},
	{SSL_R_BAD_LENGTH, TLS_GARBAGE},
	{SSL_R_BAD_RECORD_TYPE, TLS_GARBAGE},
	{SSL_R_BAD_CHANGE_CIPHER_SPEC, TLS_GARBAGE},
	{SSL_R_BAD_HANDSHAKE_STATE, TLS_GARBAGE},
	{SSL_R_BAD_HELLO_REQUEST, TLS_GARBAGE},
	{SSL_R_BAD_LEGACY_VERSION, TLS_GARBAGE},
	{SSL_R_BAD_KEY_UPDATE, TLS_GARBAGE},
	{SSL_R_BAD_ECPOINT, TLS_GARBAGE},
	{SSL_R_UNEXPECTED_MESSAGE, TLS_GARBAGE},
	{SSL_R_UNEXPECTED_RECORD, TLS_GARBAGE},
	{SSL_R_UNEXPECTED_CCS_MESSAGE, TLS_GARBAGE},
	{SSL_R_INVALID_CCS_MESSAGE, TLS_GARBAGE},
	{SSL_R_CCS_RECEIVED_EARLY, TLS_GARBAGE},
	{SSL_R_NOT_ON_RECORD_BOUNDARY, TLS_GARBAGE},
	{SSL_R_PACKET_LENGTH_TOO_LONG, TLS_GARBAGE},
	{SSL_R_ENCRYPTED_LENGTH_TOO_LONG, TLS_GARBAGE},
	{SSL_R_DATA_LENGTH_TOO_LONG, TLS_GARBAGE},
	{SSL_R_RECORD_TOO_SMALL, TLS_GARBAGE},
	{SSL_R_RECORD_LENGTH_MISMATCH, TLS_GARBAGE},
	{SSL_R_EXCESSIVE_MESSAGE_SIZE, TLS_GARBAGE},
	{SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC, TLS_GARBAGE},
	{SSL_R_DIGEST_CHECK_FAILED, TLS_GARBAGE},
	{SSL_R_MIXED_HANDSHAKE_AND_NON_HANDSHAKE_DATA, TLS_GARBAGE},
	{SSL_R_INVALID_ALERT, TLS_GARBAGE},
	{SSL_R_UNKNOWN_ALERT_TYPE, TLS_GARBAGE},
	{SSL_R_TOO_MANY_WARN_ALERTS, TLS_GARBAGE},
	{SSL_R_TOO_MUCH_EARLY_DATA, TLS_GARBAGE},
	{SSL_R_APP_DATA_IN_HANDSHAKE, TLS_GARBAGE},
	{SSL_R_INVALID_COMPRESSION_ALGORITHM, TLS_GARBAGE},
	{SSL_R_NO_COMPRESSION_SPECIFIED, TLS_GARBAGE},
};

enum tls_reason tls_reason_of_queue(char *ret_detail, size_t size)
{
	unsigned long e = ERR_peek_last_error();
	int reason = ERR_GET_LIB(e) == ERR_LIB_SSL ? ERR_GET_REASON(e) : 0;
	const char *text = ERR_reason_error_string(e);

	ERR_clear_error();
	if (reason >= SSL_AD_REASON_OFFSET && reason < SSL_AD_REASON_OFFSET + 256) {
		(void)snprintf(ret_detail, size, "the peer's alert %d",
			       reason - SSL_AD_REASON_OFFSET);
		return TLS_ALERT;
	}
	(void)string_copy(ret_detail, size, text ? text : "the connection failed");
	return look_up(errors, ARRAY_LEN(errors), reason);
}

/* A login begins with opcode 03h, the I bit beside it or not (RFC 7143 section 11.12). */
enum tls_reason tls_first_octets(const uint8_t *octets, size_t len)
{
	static const char *const spoken[] = {"GET ", "POST", "HEAD", "PUT ",
					     "OPTI", "CONN", "SSH-"};

	if (len == 0 || octets[0] == 0x16)
		return TLS_REASON_NONE;
	if ((octets[0] & 0xbf) == 0x03)
		return TLS_PLAIN;
	for (size_t i = 0; i < ARRAY_LEN(spoken); i++)
		if (memcmp(octets, spoken[i], MIN(len, 4u)) == 0)
			return TLS_PLAIN;
	return TLS_GARBAGE;
}
