/* What another policy would change, gathered: for people and as JSON. `plan` shows it before, and
 * `reload` when it is done. */
#pragma once

#include "gateway/cli/running.h"
#include "policy/firewall_lines.h"

struct plan_session {
	struct running_session is;
	struct effect_result will;
};

struct plan {
	const char *path;		     /* of the new policy, as it was typed */
	const struct policy *before, *after; /* before: NULL when no gateway runs */
	const char *version;		     /* the running gateway's */
	struct differences differences;
	char *scripts[2];
	struct firewall_lines lines; /* within the scripts */
	struct plan_session *sessions;
	size_t session_count;
	size_t effects[EFFECT_ENDS + 1]; /* how many sessions have each */
};

/* An exit status. Nothing is kept of `running`'s, but what it holds has to stay. */
int plan_make(const struct cli *cli, const char *path, const struct running *running,
	      const struct policy *after, struct plan *ret_plan);
void plan_free(struct plan *p);
bool plan_is_empty(const struct plan *p);

void plan_print(const struct plan *p, FILE *f);
void plan_print_changes(const struct plan *p, FILE *f); /* without what is compared with what */
json_t *plan_json(const struct plan *p);		/* NULL: no memory */
