/* Policies as the command line meets them: a file, and what the running gateway has in force, with
 * its sessions. */
#pragma once

#include <jansson.h>
#include "auth/store.h"
#include "gateway/cli/cli.h"
#include "policy/diff.h"

/* The names of the secrets, when this user may read them; looks, and changes nothing. */
bool cli_secrets_find(const struct cli *cli, struct store_list *ret_list);

/* An exit status; what is wrong is told on stderr. The secrets' names are looked up. */
int cli_policy_load(const struct cli *cli, const char *path, struct policy **ret_policy);
int cli_policy_exit(int loaded); /* the exit status for what policy_load() returned */

struct running {
	struct policy *policy; /* NULL: no gateway answers */
	char version[32];
	json_t *sessions;
};

/* EXIT_DONE, also when no gateway runs; EXIT_CANNOT, told: it runs and can't be asked. */
int running_ask(const struct cli *cli, struct running *ret_running);
void running_free(struct running *r);

/* One row of its sessions. False: it is no session yet, or not one any more. */
struct running_session {
	struct effect_session s;
	struct effect_lun luns[POLICY_LUNS_MAX];
	struct claim_certificate certificate;
	long long id;
	const char *peer;
};
bool running_session_read(const json_t *row, struct running_session *ret_session);
