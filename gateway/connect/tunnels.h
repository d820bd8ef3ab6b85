/* The process that carries connections: what its files share. Its sandbox lets it accept
 * where it was told to, and connect to the gateways' ports; it opens no file and holds no
 * key. Both ends are hostile to it: the initiator's octets are never looked at, and the
 * gateway's only by OpenSSL. */
#pragma once

#include "gateway/base/loop.h"
#include "gateway/connect/messages.h"
#include "gateway/tls/tls.h"

#define LINKS_MAX	1000
#define BUFFER_SIZE	(256u << 10) /* each way */
#define BACKOFF_MS	200	     /* then twice as long each time, … */
#define BACKOFF_MOST_MS 5000	     /* … up to this, */
#define REFUSED_MOST_MS 30000	     /* … or this, where trying again does not mend it */
#define GIVE_UP_MS	60000	     /* an initiator waits so long for its gateway */
#define CONNECT_MS	5000	     /* for one address */
#define HANDSHAKE_MS	15000
#define HALF_CLOSED_MS	60000 /* nothing moves, and one way is closed */

struct tunnels;
struct lane;

struct listener {
	struct watch watch; /* fd -1: none */
	struct lane *lane;
};

/* One tunnel: where it listens, whereto it leads. */
struct lane {
	struct tunnels *tunnels;
	const struct connect_tunnel *config;
	uint32_t number;
	struct tls_context *context; /* NULL: not yet */
	struct tls_signer signer;
	struct channel key;
	uint32_t unanswered; /* questions to it */
	struct listener listeners[CONNECT_LISTENS_MAX];
	struct endpoint at[CONNECT_ADDRESSES_MAX];
	uint32_t at_count;
	uint32_t preferred;	/* the address that answered last */
	uint64_t not_before_ms; /* the next attempt */
	uint32_t failures;
};

struct buffer {
	uint8_t *octets; /* BUFFER_SIZE */
	size_t start, end;
};

enum link_state {
	LINK_INVALID,
	LINK_WAITS,    /* for an address, or for the next attempt */
	LINK_CONNECTS, /* TCP */
	LINK_SHAKES,   /* TLS */
	LINK_CARRIES,
};

/* One connection: an initiator's, and ours to the gateway. */
struct link {
	struct lane *lane;
	struct link *prev, *next;
	uint32_t number;
	enum link_state state;
	struct watch local, remote; /* fd -1: none; events 0: not watched */
	struct timer timer;	    /* this state takes too long */
	struct timer more;	    /* there is more to do at once */
	struct tls *tls;
	struct endpoint from, to;
	struct buffer up, down; /* to the gateway, to the initiator */
	uint64_t up_octets, down_octets;
	uint64_t begun_ms, moved_ms;
	uint32_t tried;			/* addresses, in this round */
	bool check;			/* nobody's: `--check` wants to know */
	bool local_ready, remote_ready; /* there may be something to read */
	bool local_over, remote_over;	/* no more comes from there */
	bool up_closed, down_closed;	/* and that is told to the other end */
	bool local_hung, remote_hung;	/* over both ways: epoll tells it at every turn */
	bool local_broke;		/* it was reset */
	struct tls_peer peer;		/* since LINK_CARRIES */
};

struct tunnels {
	struct loop *loop;
	struct channel starter;
	struct watch watch;
	const struct connect_config *config;
	struct lane lanes[CONNECT_TUNNELS_MAX];
	struct link *links;
	size_t link_count;
	uint32_t links_made;
	bool full;	    /* listeners are not watched */
	struct timer again; /* … until then, when the machine had no room */
	size_t links_most;
	uint64_t said_none_ms, said_full_ms; /* when that was told last; 0: never */
	int status;
};

/* link.c */
void link_new(struct lane *lane, int fd, const struct endpoint *from); /* fd -1: a check */
void link_try(struct link *l);
void link_restart(struct link *l); /* its connection to the gateway is begun anew */
/* `how`: for the log, who ended it. */
void link_end(struct link *l, const char *how);
/* Watches for these events; 0: not at all. */
void link_watch(struct link *l, struct watch *w, uint32_t events);
void link_check_over(struct link *l, const char *why); /* NULL: all is well */
/* The gateway ended the connection, or broke it. */
void link_broken(struct link *l, int error);

/* pump.c */
void link_carry(struct link *l);

/* tunnels.c */
void tunnels_accept(struct tunnels *t, bool on);
