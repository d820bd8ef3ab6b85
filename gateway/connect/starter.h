/* The starter's own: what its files share. It runs as who called `sallyport connect`,
 * reads the identities' files, listens, and starts the others; it reads nothing from a
 * network. */
#pragma once

#include "gateway/base/loop.h"
#include "gateway/connect/connect.h"

#define NAMES_DEADLINE_MS 20000
#define NAMES_AGAIN_MS	  5000 /* between two questions for one host, at least */
#define NAMES_LATER_MS	  60000

struct starter;

/* A child of ours, and the channel with it. */
struct helper {
	const char *role;
	struct watch channel_watch, end_watch; /* end: its pidfd */
	struct channel channel;
	pid_t pid; /* 0: not running */
};

/* The addresses of one tunnel's gateway. */
struct lookup {
	struct helper helper;
	struct timer timer; /* it takes too long, or: ask again */
	uint64_t asked_ms;
	uint32_t failures;
	struct starter *starter;
	uint32_t tunnel;
};

/* An identity on its way: to key first, then to tunnels. */
struct pending {
	int settings_fd, channel_fd; /* -1: none */
	uint32_t lens[3];
	bool again; /* the files are to be read anew, once it has arrived */
};

struct starter {
	const struct connect_options *options;
	struct loop *loop;
	int program; /* this very file */
	uid_t key_uid, net_uid;
	gid_t key_gid, net_gid;
	struct helper tunnels, key;
	struct lookup lookups[CONNECT_TUNNELS_MAX];
	struct pending pending[CONNECT_TUNNELS_MAX];
	struct timer stop_timer;
	int listeners[CONNECT_TUNNELS_MAX][CONNECT_LISTENS_MAX];
	bool taken[CONNECT_TUNNELS_MAX];     /* an identity is in use */
	bool addresses[CONNECT_TUNNELS_MAX]; /* of its gateway are known */
	bool told[CONNECT_TUNNELS_MAX];	     /* check: it was told of */
	bool serving, stopping;
	int status;
};

/* starter.c */
void starter_stop(struct starter *s, int status);
void check_begin(struct starter *s, uint32_t tunnel); /* if it is wanted, and all is there */
void check_over(struct starter *s, const struct connect_checked *c); /* of one tunnel, once */
/* Starts `internal role`; argument_fd (or -1) is its descriptor 4. */
int helper_start(struct starter *s, struct helper *h, int argument_fd,
		 const struct message_spec *table, size_t table_len) MUST_CHECK;
void helper_end(struct starter *s, struct helper *h); /* killed and reaped */
/* Sends to tunnels; a process that does not read is broken. */
void tunnels_send(struct starter *s, uint32_t type, const void *body, size_t size);

/* identity.c: reads the files of a tunnel's identity and hands them out: now, or when those that
 * are on their way have arrived. -errno, logged. */
int identity_read(struct starter *s, uint32_t tunnel) MUST_CHECK;
void identity_answered(struct starter *s, const struct connect_taken *taken); /* by key */
void identity_forget(struct pending *p);

/* lookup.c */
void lookup_open(struct starter *s, uint32_t tunnel);
void lookup_now(struct starter *s, uint32_t tunnel); /* unless it was just asked */
void lookup_close(struct starter *s, uint32_t tunnel);

/* listeners.c: before rights are dropped. -errno, logged. */
int listeners_open(struct starter *s) MUST_CHECK;
void listeners_close(struct starter *s);
