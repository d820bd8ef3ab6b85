/* What the verbs of `sallyport ca` work with: the bench of the secrets (key, lock, names), the CA's
 * files, and the gateway that is to hear of a change. */
#pragma once

#include <jansson.h>
#include "auth/ca.h"
#include "auth/invitation.h"
#include "gateway/cli/secret_bench.h"
#include "policy/policy.h"

struct desk {
	struct bench bench;
	struct ca ca;
	struct why why; /* bench.why */
};

extern const struct cli_option ca_key_options[]; /* of verbs that need the key of the secrets */

/* Guards this process, opens the bench and fills ca.key: what follows is ca_open() or ca_make(). An
 * exit status; what is wrong is told. */
int desk_open(struct desk *d, const struct cli *cli);
/* desk_open() and ca_open() */
int desk_open_ca(struct desk *d, const struct cli *cli);
void desk_close(struct desk *d);
int desk_cannot(struct desk *d); /* says why; EXIT_CANNOT */
/* Has a running gateway take up what was changed; lets go of the lock. `name`: or NULL. */
int desk_tell(struct desk *d, const char *verb, const char *name);

/* Hosts of --name and of the policy's TLS portals. */
int desk_hosts(const struct cli *cli, const struct policy *p, struct certificate_hosts *hosts);
/* Of the words on the command line, if one names it; or of the running gateway. *ret_policy may be
 * NULL: neither is there. The caller frees it. */
int desk_policy(const struct cli *cli, size_t argument, struct policy **ret_policy);

extern const struct subcommand ca_verb_init, ca_verb_renew, ca_verb_invite, ca_verb_revoke,
	ca_verb_list;
