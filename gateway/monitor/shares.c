/* Limits of initiators, and the sessions that have them together: several of one initiator into one
 * target (paths, or one after another) share what its entry says, in equal parts, and hear of it
 * when there is one more or one less. Kept by value: a session outlives policies. Runs in the
 * monitor. */
#include "gateway/monitor/monitor.h"

static bool is_with(const struct connection *a, const struct connection *b)
{
	return b->state == CONN_GRANTED && !b->claim.discovery &&
	       strcmp(a->target_name, b->target_name) == 0 &&
	       strcmp(a->initiator_name, b->initiator_name) == 0;
}

static uint32_t sharers(const struct connection *c)
{
	uint32_t count = 0;

	for (uint32_t k = 0; k < c->m->connection_max; k++)
		count += is_with(c, &c->m->connections[k]);
	return count;
}

static bool is_limited(const struct limit_values *v)
{
	return v->iops != 0 || v->bandwidth != 0 || v->outstanding != 0;
}

/* What was said before is not said again; nor is, to who was told of none, that there is none. */
static void tell(struct connection *c, int32_t lun, const struct limit_values *values,
		 struct limits_told *told)
{
	struct session_limits body = {.lun = lun, .shares = c->shares, .values = *values};

	if (!is_limited(values) && !is_limited(&told->values))
		return;
	if (told->shares == c->shares && told->values.iops == values->iops &&
	    told->values.bandwidth == values->bandwidth &&
	    told->values.outstanding == values->outstanding)
		return;
	*told = (struct limits_told){*values, c->shares};
	connection_send(c, SESSION_LIMITS, &body, sizeof body, -1);
}

static void tell_all(struct connection *c, uint32_t shares)
{
	c->shares = MAX(shares, 1);
	tell(c, -1, &c->rates, &c->rates_told);
	for (size_t k = 0; k < c->lun_count; k++)
		tell(c, c->luns[k].lun, &c->luns[k].rates, &c->luns[k].rates_told);
}

void limits_tell(struct connection *c)
{
	tell_all(c, sharers(c));
}

void limits_share(struct connection *c)
{
	uint32_t shares = sharers(c); /* of each of them the same */

	for (uint32_t k = 0; k < c->m->connection_max; k++) {
		if (is_with(c, &c->m->connections[k]))
			tell_all(&c->m->connections[k], shares);
	}
}

/* --- for people --- */

static void add_values(json_t *to, const struct limit_values *v)
{
	if (v->iops != 0)
		json_object_set_new(to, "iops", json_integer(v->iops));
	if (v->bandwidth != 0)
		json_object_set_new(to, "bandwidth_bytes", json_integer((json_int_t)v->bandwidth));
	if (v->outstanding != 0)
		json_object_set_new(to, "outstanding", json_integer(v->outstanding));
}

json_t *limits_json(const struct connection *c)
{
	json_t *all = json_object(), *luns = json_array();

	add_values(all, &c->rates_told.values);
	for (size_t k = 0; k < c->lun_count; k++) {
		json_t *lun = json_pack("{s:i}", "lun", (int)c->luns[k].lun);

		add_values(lun, &c->luns[k].rates_told.values);
		if (json_object_size(lun) > 1)
			json_array_append_new(luns, lun);
		else
			json_decref(lun);
	}
	json_object_set_new(all, "luns", luns);
	json_object_set_new(all, "shared_by", json_integer(MAX(c->shares, 1)));
	return all;
}
