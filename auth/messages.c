/* The words of the authenticator's channels: which message may come over which end,
 * of which size, how often; and the names of algorithms and reasons. Linked into every
 * process that speaks with the authenticator or prints a verdict. No secrets here. */
#include "auth/auth.h"

/* Received by the authenticator from the monitor. */
const struct message_spec auth_inbox[] = {
	{AUTH_STORE, "store", 0, 2, false},
	{AUTH_ACCOUNTS, "accounts", sizeof(struct auth_count), 1, false},
	{AUTH_CA, "ca", sizeof(struct auth_ca), 4, false},
	{AUTH_CA_CLOSE, "ca-close", 0, 0, false},
	{AUTH_ENROL_GO, "enrol-go", sizeof(struct auth_enrol_go), 0, false},
	{AUTH_ENROL_NO, "enrol-no", sizeof(struct auth_enrol_no), 0, false},
	{AUTH_CONNECTION, "connection", sizeof(struct auth_connection), 1, false},
	{AUTH_IDENTITY, "identity", sizeof(struct auth_identity), 3, false},
	{AUTH_IDENTITIES, "identities", sizeof(struct auth_identities), 0, false},
};
const size_t auth_inbox_len = ARRAY_LEN(auth_inbox);

/* Received by the monitor from the authenticator. */
const struct message_spec auth_outbox[] = {
	{AUTH_READY, "ready", sizeof(struct auth_ready), 0, false},
	{AUTH_VERDICT, "verdict", sizeof(struct auth_verdict), 0, false},
	{AUTH_CA_READY, "ca-ready", sizeof(struct auth_ca_ready), 0, false},
	{AUTH_ENROL_ASK, "enrol-ask", sizeof(struct auth_enrol_ask), 0, false},
};
const size_t auth_outbox_len = ARRAY_LEN(auth_outbox);

/* Received by the authenticator from a session: hostile. */
const struct message_spec auth_session_inbox[] = {
	{AUTH_OFFER, "offer", sizeof(struct auth_offer), 0, true},
	{AUTH_PROOF, "proof", sizeof(struct auth_proof), 0, true},
	{AUTH_SIGN, "sign", sizeof(struct auth_sign), 0, true},
	{AUTH_ENROL, "enrol", sizeof(struct auth_enrol), 0, true},
};
const size_t auth_session_inbox_len = ARRAY_LEN(auth_session_inbox);

/* Received by a session from the authenticator. */
const struct message_spec auth_session_outbox[] = {
	{AUTH_CHALLENGE, "challenge", sizeof(struct auth_challenge), 0, true},
	{AUTH_RESULT, "result", sizeof(struct auth_result), 0, true},
	{AUTH_SIGNATURE, "signature", sizeof(struct auth_signature), 0, true},
	{AUTH_ENROLLED, "enrolled", sizeof(struct auth_enrolled), 0, true},
};
const size_t auth_session_outbox_len = ARRAY_LEN(auth_session_outbox);

_Static_assert(sizeof(struct auth_proof) <= CHANNEL_BODY_MAX, "a proof is one message");
_Static_assert(AUTH_ENROLLED < CHANNEL_TYPES_MAX, "types fit the channel's bits");

/* IANA's PPP authentication algorithms. */
static const struct {
	enum chap_algorithm number;
	const char *name;
	size_t digest_size;
} algorithms[] = {
	{CHAP_MD5, "md5", 16},
	{CHAP_SHA1, "sha1", 20},
	{CHAP_SHA256, "sha256", 32},
	{CHAP_SHA3_256, "sha3-256", 32},
};

const char *chap_algorithm_name(enum chap_algorithm a)
{
	for (size_t i = 0; i < ARRAY_LEN(algorithms); i++)
		if (algorithms[i].number == a)
			return algorithms[i].name;
	return "none";
}

size_t chap_digest_size(enum chap_algorithm a)
{
	for (size_t i = 0; i < ARRAY_LEN(algorithms); i++)
		if (algorithms[i].number == a)
			return algorithms[i].digest_size;
	return 0;
}

const char *auth_reason_name(enum auth_reason reason)
{
	static const char *const names[AUTH_REASONS] = {
		[AUTH_REASON_INVALID] = "invalid",
		[AUTH_OK] = "ok",
		[AUTH_UNKNOWN_USER] = "unknown-user",
		[AUTH_WRONG_SECRET] = "wrong-secret",
		[AUTH_WEAK_ALGORITHM] = "weak-algorithm",
		[AUTH_NO_MUTUAL] = "no-mutual",
		[AUTH_REFLECTION] = "reflection",
		[AUTH_NO_ALGORITHM] = "no-algorithm",
		[AUTH_BROKEN] = "broken",
		[AUTH_EXPIRED] = "expired",
		[AUTH_JOIN_CLOSED] = "join-no-invitation-is-open",
		[AUTH_JOIN_UNKNOWN] = "join-unknown-code",
		[AUTH_JOIN_USED] = "join-code-used",
		[AUTH_JOIN_OVER] = "join-code-expired",
		[AUTH_JOIN_UNPROVEN] = "join-code-not-proven",
		[AUTH_JOIN_OTHER_NAME] = "join-code-is-for-another-name",
		[AUTH_JOIN_FAILED] = "join-failed",
	};

	return (unsigned)reason < AUTH_REASONS ? names[reason] : "invalid";
}
