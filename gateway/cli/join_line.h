/* The channel between `sallyport join`, which has the code and makes the key, and the process of
 * the same that speaks TLS to who may be the gateway. The command believes that process no more
 * than the network: sizes are the table's, texts are escaped, and the answer is proven. */
#pragma once

#include "auth/enrol.h"
#include "gateway/base/channel.h"

#define JOIN_WHY_SIZE 256
#define JOIN_ROLE     "join-line"

enum join_message {
	JOIN_INVALID,
	/* to the command */
	JOIN_EXPORTER, /* struct join_exporter: the handshake is done */
	JOIN_ANSWER,   /* struct join_answer */
	JOIN_FAILED,   /* struct join_failed; nothing comes after it */
	/* from the command */
	JOIN_REQUEST, /* struct join_request */
};

struct join_exporter {
	uint8_t octets[ENROL_EXPORTER_SIZE];
};

struct join_request {
	uint8_t octets[ENROL_REQUEST_SIZE];
};

struct join_answer {
	uint32_t len;
	uint8_t octets[ENROL_ANSWER_MAX];
};

struct join_failed {
	int32_t error;	 /* -errno */
	uint32_t shaken; /* the handshake was done */
	char why[JOIN_WHY_SIZE];
};

/* 3 the command's channel, 4 a connected socket. */
int join_line_main(void);

/* Until `events` of it, or -ETIMEDOUT at that time (clock_ms()); 0 may also be a signal's. */
int join_wait(int fd, short events, uint64_t until_ms) MUST_CHECK;
