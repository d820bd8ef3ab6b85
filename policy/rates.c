/* How much an initiator may use in a second and at once: of all its LUNs together, and of one. Runs
 * in the monitor and the command line, on a tree that the schema has checked. */
#include <stdio.h>
#include "policy/compile.h"
#include "policy/types.h"

static uint64_t value_of(const struct node *limits, const char *key)
{
	const struct node *n = node_get(limits, key);

	return n && !n->bad ? n->value : 0;
}

void compile_rates(struct compiler *c, const struct node *map, struct limit_values *ret)
{
	const struct node *limits = node_map(map, "limits");

	if (!limits)
		return;
	ret->iops = (uint32_t)value_of(limits, "iops");
	ret->bandwidth = value_of(limits, "bandwidth");
	ret->outstanding = (uint32_t)value_of(limits, "outstanding");
	if (limits->count > 0)
		return;
	diagnose_warning(c->d, node_place(limits), "limits without a limit");
	diagnose_hint(c->d, "write limits: {iops: 5000, bandwidth: 100MiB, outstanding: 64}");
}

static void lun_check(struct compiler *c, const struct node *limits, const char *key,
		      uint64_t of_all)
{
	uint64_t of_lun = value_of(limits, key);

	if (of_lun == 0 || of_all == 0 || of_lun <= of_all)
		return;
	diagnose_warning(c->d, node_get(limits, key)->at,
			 "%s of this LUN is more than the initiator has for all of them", key);
	diagnose_hint(c->d, "the less of both holds: lower it, or take it out");
}

void compile_lun_rates(struct compiler *c, const struct policy_initiator *i,
		       const struct node *luns)
{
	for (const struct node *n = node_first(luns); n; n = n->next) {
		const struct node *limits = n->kind == NODE_MAP ? node_map(n, "limits") : NULL;

		if (!limits)
			continue;
		lun_check(c, limits, "iops", i->rates.iops);
		lun_check(c, limits, "bandwidth", i->rates.bandwidth);
		lun_check(c, limits, "outstanding", i->rates.outstanding);
	}
}

static void add(char ret[LIMITS_TEXT], const char *name, const char *value)
{
	size_t len = strlen(ret);

	(void)snprintf(ret + len, LIMITS_TEXT - len, "%s%s %s", len > 0 ? ", " : "", name, value);
}

const char *policy_limits_text(const struct limit_values *v, char ret[LIMITS_TEXT])
{
	char value[QUANTITY_TEXT];

	ret[0] = '\0';
	(void)snprintf(value, sizeof value, "%u", v->iops);
	if (v->iops != 0)
		add(ret, "iops", value);
	if (v->bandwidth != 0)
		add(ret, "bandwidth", size_format(v->bandwidth, value));
	(void)snprintf(value, sizeof value, "%u", v->outstanding);
	if (v->outstanding != 0)
		add(ret, "outstanding", value);
	return ret;
}
