/* The tunnels that a policy's portals stand behind, and configurations for both of their ends: of
 * strongSwan (swanctl.conf) and of WireGuard (wg-quick's). A function of the policy alone, in the
 * order of the users' names. Secrets are not in the texts: where one belongs stands its name. */
#pragma once

#include <stdio.h>
#include "policy/policy.h"

/* In a text, around the name that a key has in the secret store: the key itself, in base64, or, of
 * a private key of WireGuard's, its public half. */
#define TUNNEL_SECRET	'\x01'
#define TUNNEL_PUBLIC	'\x02'
#define TUNNEL_KEY_SIZE 32
/* "ipsec.USER", "wireguard.INTERFACE", "wireguard.INTERFACE.USER": no CHAP user has such a name. */
#define TUNNEL_NAME_MAX 63
bool tunnel_key_name(const char *name);

/* Who is at the other end: one initiator, with all its entries on these portals. */
struct tunnel_peer {
	const char *initiator, *user; /* the policy's */
	struct network *networks;     /* what it may come from; sorted, each once */
	size_t network_count;
	bool *portals; /* of the policy: is a target of its own on this one, of these? */
	uint32_t line;
};

struct tunnels {
	const struct policy *policy;
	const struct policy_portal *like; /* the portals of this transport, and interface */
	struct ip *addresses;		  /* where these listen: each once, in the policy's order */
	size_t address_count;
	struct tunnel_peer *peers;
	size_t count;
};

int tunnels_find(const struct policy *p, const struct policy_portal *like,
		 struct tunnels *ret_tunnels) MUST_CHECK;
void tunnels_free(struct tunnels *t);
/* May the peer (NULL: anybody) use this portal of theirs; a portal on this address? */
bool tunnels_have(const struct tunnels *t, size_t portal, const struct tunnel_peer *peer);
bool tunnels_reach(const struct tunnels *t, const struct ip *address,
		   const struct tunnel_peer *peer);
/* An address that two peers could come from; NULL: there is none. On WireGuard each is one's. */
const struct tunnel_peer *tunnels_overlap(const struct tunnels *t,
					  const struct tunnel_peer **ret_other);
bool network_is_host(const struct network *n);

struct ipsec_choice {
	const char
		*gateway;  /* where the peers reach the gateway; NULL: at its portals' addresses */
	bool certificates; /* instead of keys that both know */
};
/* The gateway's end (peer: NULL), or the peer's. */
void ipsec_write(FILE *f, const struct tunnels *t, const struct tunnel_peer *peer,
		 const struct ipsec_choice *choice);

struct wireguard_choice {
	const char *endpoint; /* "HOST:PORT" or NULL */
	uint16_t port;	      /* where the gateway listens */
};
void wireguard_write(FILE *f, const struct tunnels *t, const struct tunnel_peer *peer,
		     const struct wireguard_choice *choice);
