/* The tables of the channel between the monitor and a session. */
#include "gateway/session/messages.h"

/* What a session takes from the monitor. */
const struct message_spec session_inbox[] = {
	{SESSION_START, "start", sizeof(struct session_start), 0, true},
	{SESSION_PERMIT, "permit", sizeof(struct session_permit), 0, true},
	{SESSION_REFUSE, "refuse", sizeof(struct session_verdict), 0, true},
	{SESSION_TARGETS, "targets", 0, 1, false},
	{SESSION_LUN, "lun", sizeof(struct session_lun), 1, false},
	{SESSION_RULES, "rules", sizeof(struct session_rules), 0, false},
	{SESSION_GRANT, "grant", sizeof(struct session_grant), 0, true},
	{SESSION_AUDIT, "audit", 0, 1, false},
	{SESSION_ARBITER, "arbiter", 0, 1, false},
	{SESSION_ADOPT, "adopt", sizeof(struct session_join), 1, false},
	{SESSION_LOGOUT, "logout", sizeof(struct session_logout), 0, false},
	{SESSION_SETTINGS, "settings", sizeof(struct session_settings), 0, false},
	{SESSION_LIMITS, "limits", sizeof(struct session_limits), 0, false},
	{SESSION_RECORDS, "records", sizeof(struct session_records), 0, false},
	{SESSION_TLS, "tls", sizeof(struct session_tls), 1, false},
	{SESSION_PROXY_TAKEN, "proxy-taken", 0, 0, true},
};
const size_t session_inbox_len = ARRAY_LEN(session_inbox);

/* What the monitor takes from a session. */
const struct message_spec session_outbox[] = {
	{SESSION_CLAIM, "claim", sizeof(struct session_claim), 0, true},
	{SESSION_ENTER, "enter", 0, 0, true},
	{SESSION_JOIN, "join", sizeof(struct session_join), 0, true},
	{SESSION_REPORT, "report", sizeof(struct session_report), 0, false},
	{SESSION_REFUSING, "refusing", sizeof(struct session_report), 0, true},
	{SESSION_LUN_FAILED, "lun-failed", sizeof(struct session_lun_failed), 0, false},
	{SESSION_CONNECTIONS, "connections", sizeof(struct session_connections), 0, false},
	{SESSION_CERTIFICATE, "certificate", sizeof(struct session_certificate), 0, true},
	{SESSION_PROXIED, "proxied", sizeof(struct session_proxied), 0, true},
};
const size_t session_outbox_len = ARRAY_LEN(session_outbox);
