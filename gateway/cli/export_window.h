/* Messages on their way to a receiver: those that were not sent yet, and those that were sent and
 * not acknowledged, which are sent again on a new connection. Bounded; knows no socket. */
#pragma once

#include "gateway/cli/export.h"

#define WINDOW_OCTETS	(1u << 20)
#define WINDOW_MESSAGES 4096

struct window_message {
	size_t end; /* offset in `bytes` behind it */
	struct export_position after;
};

struct window {
	uint8_t bytes[WINDOW_OCTETS];
	size_t used;
	size_t sent; /* octets handed to this connection, of those in `bytes` */
	struct window_message messages[WINDOW_MESSAGES];
	size_t count;
	struct export_position at; /* all before it was acknowledged */
};

/* Is there room for any message? */
bool window_has_room(const struct window *w);
/* `framed`: its length and a space before it (RFC 6587 3.4.1). No octets: a position alone. */
void window_add(struct window *w, const struct export_item *item, const uint8_t *text, bool framed);
/* Octets that wait, from *ret_bytes on; with `one`, to the end of the message. */
size_t window_next(const struct window *w, bool one, const uint8_t **ret_bytes);
void window_sent(struct window *w, size_t octets);
/* So many octets of those sent were not acknowledged: forgets all messages before them. */
void window_acknowledged(struct window *w, size_t outstanding);
/* The connection is lost: what was not acknowledged is to be sent again. */
void window_again(struct window *w);
