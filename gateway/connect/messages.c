/* What may arrive on the channels of `sallyport connect`. */
#include "gateway/connect/messages.h"

#include "auth/auth.h"
#include "gateway/base/bytes.h"
#include "gateway/base/log.h"

#define INBOX(name, ...)                                  \
	const struct message_spec name[] = {__VA_ARGS__}; \
	const size_t name##_len = ARRAY_LEN(name)

INBOX(connect_tunnels_inbox,
      {.type = CONNECT_LISTENER, .name = "listener", .size = sizeof(struct connect_at), .fds = 1},
      {.type = CONNECT_IDENTITY,
       .name = "identity",
       .size = sizeof(struct connect_identity),
       .fds = 2},
      {.type = CONNECT_ADDRESSES, .name = "addresses", .size = sizeof(struct connect_addresses)},
      {.type = CONNECT_CHECK, .name = "check", .size = sizeof(struct connect_at)},
      {.type = CONNECT_STOP, .name = "stop"});

INBOX(connect_tunnels_outbox,
      {.type = CONNECT_READY, .name = "ready", .size = sizeof(struct connect_ready), .once = true},
      {.type = CONNECT_AWAY, .name = "away", .size = sizeof(struct connect_at)},
      {.type = CONNECT_TAKEN, .name = "taken", .size = sizeof(struct connect_taken)},
      {.type = CONNECT_CHECKED, .name = "checked", .size = sizeof(struct connect_checked)});

INBOX(connect_key_inbox,
      {.type = CONNECT_KEY, .name = "key", .size = sizeof(struct connect_at), .fds = 3});

INBOX(connect_key_outbox,
      {.type = CONNECT_TAKEN, .name = "taken", .size = sizeof(struct connect_taken)});

INBOX(connect_names_outbox, {.type = CONNECT_ADDRESSES,
			     .name = "addresses",
			     .size = sizeof(struct connect_addresses),
			     .once = true});

INBOX(connect_sign_inbox, {.type = AUTH_SIGN, .name = "sign", .size = sizeof(struct auth_sign)});

INBOX(connect_sign_outbox,
      {.type = AUTH_SIGNATURE, .name = "signature", .size = sizeof(struct auth_signature)});

/* What is escaped already, as it should be, stays as it is. */
void connect_text_settle(char *text, size_t size)
{
	char safe[sizeof((struct connect_checked *)NULL)->names];
	bool plain = true;

	assert(size <= sizeof safe);
	text[size - 1] = '\0';
	for (const char *p = text; *p; p++)
		plain = plain && *p >= ' ' && *p <= '~';
	if (!plain)
		(void)string_copy(text, size, text_escape(text, strlen(text), safe, size));
}

void connect_checked_settle(struct connect_checked *c)
{
	connect_text_settle(c->why, sizeof c->why);
	connect_text_settle(c->protocol, sizeof c->protocol);
	connect_text_settle(c->cipher, sizeof c->cipher);
	connect_text_settle(c->group, sizeof c->group);
	connect_text_settle(c->subject, sizeof c->subject);
	connect_text_settle(c->issuer, sizeof c->issuer);
	connect_text_settle(c->names, sizeof c->names);
}
