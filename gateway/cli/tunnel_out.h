/* What `sallyport ipsec` and `sallyport wireguard` have in common: keys in the secret store, made
 * once; texts with keys put in on their way to a file of mode 0600, or to stdout. */
#pragma once

#include "gateway/cli/secret_bench.h"
#include "policy/tunnels.h"

struct tunnel_out {
	const struct cli *cli;
	struct bench bench;
	const char *folder; /* of --dir; NULL: stdout */
	bool secrets;	    /* they are written, too */
	const char *file;   /* its name: "swanctl.conf" */
	const struct tunnels *tunnels;
	const void *choice;
	void (*write)(FILE *f, const struct tunnel_out *o, const struct tunnel_peer *peer);
};

/* Opens the store; room for so many keys more. 0, or an exit status, told. */
int tunnel_keys_open(struct tunnel_out *o, size_t count) MUST_CHECK;
/* Makes the key when it is not there: 32 random octets; `clamped`: as X25519 wants them. 0, or an
 * exit status, told. */
int tunnel_key_ensure(struct tunnel_out *o, const char *name, bool clamped) MUST_CHECK;
int tunnel_keys_close(struct tunnel_out *o) MUST_CHECK; /* writes what was made */
/* Writes all ends. An exit status. */
int tunnel_out_run(struct tunnel_out *o);
void tunnel_out_close(struct tunnel_out *o); /* wipes */
