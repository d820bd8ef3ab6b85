/* A channel: a SOCK_SEQPACKET socket pair between two processes of ours, with a
 * table of the messages that may arrive. One packet is one message: a 32-bit type,
 * then a struct of exactly the size that the table says, then the descriptors that
 * it says. What is not in the table, comes out of size, or comes twice where the
 * table says once, ends the channel, never the process. Sending never blocks. */
#pragma once

#include "gateway/base/base.h"

#define CHANNEL_BODY_MAX  4096
#define CHANNEL_FDS_MAX	  4
#define CHANNEL_TYPES_MAX 32

struct message_spec {
	uint32_t type;	  /* 1 to CHANNEL_TYPES_MAX - 1; its index in the sender's enum */
	const char *name; /* for the log */
	size_t size;	  /* of the body, in octets; 0: no body */
	uint8_t fds;	  /* exactly so many descriptors */
	bool once;	  /* a second one is a violation */
};

struct channel {
	int fd; /* -1: closed */
	const struct message_spec *table;
	size_t table_len;
	uint32_t seen; /* bit per type */
};

struct message {
	uint32_t type;
	int fds[CHANNEL_FDS_MAX]; /* -1 where none; the receiver owns them */
	_Alignas(16) uint8_t body[CHANNEL_BODY_MAX];
};

/* Two connected ends, non-blocking, close-on-exec. */
int channel_pair(int ret_fds[2]) MUST_CHECK;
/* Takes over fd. `table` says what may arrive from the other end. */
void channel_open(struct channel *c, int fd, const struct message_spec *table, size_t table_len);
void channel_close(struct channel *c);

/* Sends one message with n descriptors (which stay the caller's). 0, -EAGAIN (the peer does not
 * read), -EPIPE, or another -errno. */
int channel_send(struct channel *c, uint32_t type, const void *body, size_t size, const int *fds,
		 size_t n) MUST_CHECK;
/* 1: *ret_message is filled; 0: nothing waits; -EPIPE: closed; -EPROTO: violation (logged once with
 * `who` by this layer); -EMFILE: its descriptors are lost, as this process may open no more; type
 * and body are there. After another negative result the channel is to be closed. */
int channel_receive(struct channel *c, struct message *ret_message) MUST_CHECK;
void message_close_fds(struct message *m); /* those not yet taken */

/* channel_send() for a struct: CHANNEL_SEND(c, TYPE, &body). */
#define CHANNEL_SEND(c, type, body) channel_send((c), (type), (body), sizeof *(body), NULL, 0)
