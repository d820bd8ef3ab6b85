/* The channels of `sallyport connect`. Three processes and a short-lived fourth: the
 * starter reads files, listens and starts the others; `tunnels` alone speaks to networks;
 * `key` alone holds the clients' keys; `names` asks for the addresses of one host, and
 * ends. The starter believes the others no more than their tables say. */
#pragma once

#include "gateway/base/channel.h"
#include "gateway/connect/config.h"

#define CONNECT_ADDRESSES_MAX 8
#define CONNECT_WHY_SIZE      256

enum connect_message {
	CONNECT_INVALID,
	/* starter to tunnels */
	CONNECT_LISTENER, /* struct connect_at; fd: a listening socket */
	CONNECT_IDENTITY, /* struct connect_identity; fds: what tls.h reads, a channel to the key */
	CONNECT_ADDRESSES, /* struct connect_addresses; also what names answers */
	CONNECT_CHECK,	   /* struct connect_at: connect once, and tell */
	CONNECT_STOP,
	/* tunnels to starter */
	CONNECT_READY,	 /* struct connect_ready: the door is closed */
	CONNECT_AWAY,	 /* struct connect_at: none of its gateway's addresses answers */
	CONNECT_TAKEN,	 /* struct connect_taken: of an identity; also what key answers */
	CONNECT_CHECKED, /* struct connect_checked */
	/* starter to key */
	CONNECT_KEY, /* struct connect_at; fds: the key's file, the certificate, a channel */
};

struct connect_at {
	uint32_t tunnel; /* its place in struct connect_config */
};

struct connect_identity {
	uint32_t tunnel;
	uint32_t lens[3]; /* chain, CAs, CRLs: see tls_settings_read() */
};

struct connect_ask {
	uint32_t tunnel;
	char host[CONNECT_HOST_SIZE];
};

struct connect_addresses {
	uint32_t tunnel, count;
	struct endpoint at[CONNECT_ADDRESSES_MAX];
	char why[CONNECT_WHY_SIZE]; /* when there are none */
};

struct connect_ready {
	uint32_t layers; /* enum sandbox_layer */
};

struct connect_taken {
	uint32_t tunnel, taken;
	char why[CONNECT_WHY_SIZE];
};

/* Texts are the peer's, escaped by who sends this. */
struct connect_checked {
	uint32_t tunnel;
	uint32_t fine;
	char why[CONNECT_WHY_SIZE];
	struct endpoint at;
	char protocol[16], cipher[48], group[24];
	char subject[256], issuer[256], names[512];
	uint8_t fingerprint[CONNECT_PIN_SIZE];
	int64_t not_after_s; /* since 1970 */
	uint32_t has_certificate;
	uint32_t ktls; /* bits: 1 sends, 2 receives */
};

/* So that whoever sent it, it ends, and no terminal obeys it. */
void connect_text_settle(char *text, size_t size);
void connect_checked_settle(struct connect_checked *c);

extern const struct message_spec connect_tunnels_inbox[], connect_tunnels_outbox[];
extern const size_t connect_tunnels_inbox_len, connect_tunnels_outbox_len;
extern const struct message_spec connect_key_inbox[], connect_key_outbox[];
extern const size_t connect_key_inbox_len, connect_key_outbox_len;
extern const struct message_spec connect_names_outbox[];
extern const size_t connect_names_outbox_len;
/* Between tunnels and key: struct auth_sign as AUTH_SIGN, struct auth_signature back. */
extern const struct message_spec connect_sign_inbox[], connect_sign_outbox[];
extern const size_t connect_sign_inbox_len, connect_sign_outbox_len;

/* The processes; see struct child for their descriptors. */
int connect_tunnels_main(void); /* 3 the starter's channel, 4 sealed struct connect_config */
int connect_key_main(void);	/* 3 the starter's channel */
int connect_names_main(void);	/* 3 the starter's channel, 4 sealed struct connect_ask */
