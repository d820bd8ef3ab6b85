/* The client's end of TLS portals: it listens on loopback for this machine's initiator,
 * and carries each connection to the gateway through TLS. For the command line. */
#pragma once

#include "gateway/connect/messages.h"

struct connect_options {
	const struct connect_config *config;
	bool check; /* connect once each, tell, and end */
	void (*checked)(void *arg, const struct connect_checked *c);
	void *arg;
};

/* Serves until SIGTERM or SIGINT; SIGHUP has certificates and addresses read again. The exit
 * status: 0, 1 (`check`: some gateway or certificate is not right), 3. */
int connect_run(const struct connect_options *options);
