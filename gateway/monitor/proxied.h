/* Connections that a proxy brings: until its header has come they are nobody's, from then on those
 * of whom it names. Only on portals that name the proxy, and only once, as the first word of a
 * session: so nobody claims an address who was not trusted to. */
#pragma once

#include "gateway/base/address.h"
#include "gateway/base/channel.h"

struct connection;

struct behind {
	bool due;		 /* a proxy connected, and has not said for whom */
	bool own;		 /* it said: for nobody */
	struct endpoint proxy;	 /* that said who the peer is; port 0: the peer connected itself */
	struct endpoint reached; /* where the peer connected to, in its word; port 0: not known */
};

/* Who it is from the policy's view: when it came, and when that is another one. */
void proxied_place(struct connection *c);
void proxied_take(struct connection *c, const struct message *msg); /* SESSION_PROXIED */
/* A proxy's own connection that said nothing, or one that left before its header: a look whether
 * we are well, and no refusal. */
bool proxied_only_looked(const struct connection *c);
/* Appends "through the proxy ADDRESS", where there is one. */
#define PROXIED_TEXT (ADDRESS_TEXT + 24)
void proxied_tell(const struct connection *c, char *text, size_t size);
