/* Who is at the other ends of a policy's tunnels. Runs in the command line, on a compiled policy.
 */
#include "policy/tunnels.h"

#include "policy/ranges.h"

static bool starts_with(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

bool tunnel_key_name(const char *name)
{
	return starts_with(name, "ipsec.") || starts_with(name, "wireguard.");
}

bool network_is_host(const struct network *n)
{
	return n->prefix == (n->ip.version == 4 ? 32 : 128);
}

static bool is_like(const struct policy_portal *a, const struct policy_portal *b)
{
	return a->transport == b->transport && strcmp(a->through, b->through) == 0;
}

static bool target_is_there(const struct tunnels *t, const struct policy_target *target)
{
	for (size_t i = 0; i < target->portal_count; i++)
		if (is_like(&t->policy->portals[target->portals[i]], t->like))
			return true;
	return false;
}

bool tunnels_have(const struct tunnels *t, size_t portal, const struct tunnel_peer *peer)
{
	if (peer)
		return peer->portals[portal];
	for (size_t i = 0; i < t->count; i++)
		if (t->peers[i].portals[portal])
			return true;
	return false;
}

bool tunnels_reach(const struct tunnels *t, const struct ip *address,
		   const struct tunnel_peer *peer)
{
	for (size_t i = 0; i < t->policy->portal_count; i++) {
		const struct policy_portal *p = &t->policy->portals[i];

		for (size_t k = 0; k < p->listen_count; k++)
			if (ip_equal(&p->listen[k].ip, address) && tunnels_have(t, i, peer))
				return true;
	}
	return false;
}

/* --- finding them ------------------------------------------------------------------------- */

struct entry {
	const struct policy_initiator *initiator;
	const struct policy_target *target;
};

static int entry_compare(const void *a, const void *b)
{
	const struct policy_initiator *x = ((const struct entry *)a)->initiator;
	const struct policy_initiator *y = ((const struct entry *)b)->initiator;
	int r = strcmp(x->user, y->user);

	return r ? r : (x->line > y->line) - (x->line < y->line);
}

static int network_compare(const void *a, const void *b)
{
	const struct network *x = a, *y = b;
	int r = memcmp(x->ip.bytes, y->ip.bytes, sizeof x->ip.bytes);

	if (x->ip.version != y->ip.version)
		return x->ip.version - y->ip.version;
	return r ? r : x->prefix - y->prefix;
}

/* All entries on these portals; a user is one initiator's in the whole policy. */
static size_t entries_gather(const struct tunnels *t, struct entry *ret)
{
	size_t count = 0;

	for (size_t i = 0; i < t->policy->target_count; i++) {
		const struct policy_target *target = &t->policy->targets[i];

		for (size_t k = 0; k < target->initiator_count && target_is_there(t, target); k++) {
			if (ret)
				ret[count] = (struct entry){&target->initiators[k], target};
			count++;
		}
	}
	return count;
}

static void peer_portals(const struct tunnels *t, const struct entry *entry,
			 struct tunnel_peer *peer)
{
	for (size_t i = 0; i < entry->target->portal_count; i++) {
		size_t portal = entry->target->portals[i];

		if (is_like(&t->policy->portals[portal], t->like))
			peer->portals[portal] = true;
	}
}

static size_t peer_networks(const struct entry *entry, struct network *ret)
{
	memcpy(ret, entry->initiator->from, entry->initiator->from_count * sizeof *ret);
	return entry->initiator->from_count;
}

/* Of entries of one user. */
static int peer_make(const struct tunnels *t, const struct entry *entries, size_t count,
		     struct tunnel_peer *peer)
{
	size_t space = 1, all = 0;

	for (size_t i = 0; i < count; i++)
		space += entries[i].initiator->from_count;
	*peer = (struct tunnel_peer){
		.initiator = entries[0].initiator->name,
		.user = entries[0].initiator->user,
		.line = entries[0].initiator->line,
		.networks = calloc(space, sizeof *peer->networks),
		.portals = calloc(t->policy->portal_count, sizeof *peer->portals),
	};
	if (!peer->networks || !peer->portals)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		all += peer_networks(&entries[i], peer->networks + all);
		peer_portals(t, &entries[i], peer);
	}
	qsort(peer->networks, all, sizeof *peer->networks, network_compare);
	for (size_t i = 0; i < all; i++)
		if (i == 0 || network_compare(&peer->networks[i], &peer->networks[i - 1]) != 0)
			peer->networks[peer->network_count++] = peer->networks[i];
	return 0;
}

static bool address_is_known(const struct tunnels *t, const struct ip *ip)
{
	for (size_t i = 0; i < t->address_count; i++)
		if (ip_equal(&t->addresses[i], ip))
			return true;
	return false;
}

static int addresses_gather(struct tunnels *t)
{
	const struct policy *p = t->policy;
	size_t space = 1;

	for (size_t i = 0; i < p->portal_count; i++)
		space += p->portals[i].listen_count;
	t->addresses = calloc(space, sizeof *t->addresses);
	if (!t->addresses)
		return -ENOMEM;
	for (size_t i = 0; i < p->portal_count; i++) {
		size_t count = is_like(&p->portals[i], t->like) ? p->portals[i].listen_count : 0;

		for (size_t k = 0; k < count; k++)
			if (!address_is_known(t, &p->portals[i].listen[k].ip))
				t->addresses[t->address_count++] = p->portals[i].listen[k].ip;
	}
	return 0;
}

static int peers_gather(struct tunnels *t)
{
	size_t count = entries_gather(t, NULL), next;
	OWNED_FREE struct entry *entries = calloc(count + 1, sizeof *entries);
	int r = 0;

	t->peers = calloc(count + 1, sizeof *t->peers);
	if (!entries || !t->peers)
		return -ENOMEM;
	if (entries_gather(t, entries) > 1)
		qsort(entries, count, sizeof *entries, entry_compare);
	for (size_t i = 0; r == 0 && i < count; i = next) {
		for (next = i + 1; next < count; next++)
			if (strcmp(entries[i].initiator->user, entries[next].initiator->user) != 0)
				break;
		r = peer_make(t, entries + i, next - i, &t->peers[t->count++]);
	}
	return r;
}

int tunnels_find(const struct policy *p, const struct policy_portal *like, struct tunnels *ret)
{
	struct tunnels t = {.policy = p, .like = like};
	int r = addresses_gather(&t);

	if (r == 0)
		r = peers_gather(&t);
	if (r < 0)
		tunnels_free(&t);
	else
		*ret = t;
	return r;
}

void tunnels_free(struct tunnels *t)
{
	for (size_t i = 0; i < t->count; i++) {
		free(t->peers[i].networks);
		free(t->peers[i].portals);
	}
	free(t->peers);
	free(t->addresses);
	*t = (struct tunnels){0};
}

/* --- what several have -------------------------------------------------------------------- */

struct claim_row {
	struct address_range range;
	const struct tunnel_peer *peer;
};

static int claim_compare(const void *a, const void *b)
{
	const struct claim_row *x = a, *y = b;

	if (x->range.version != y->range.version)
		return x->range.version - y->range.version;
	return memcmp(x->range.first, y->range.first, sizeof x->range.first);
}

/* Sorted by where they begin: `last` is the one that reaches furthest. */
const struct tunnel_peer *tunnels_overlap(const struct tunnels *t,
					  const struct tunnel_peer **ret_other)
{
	OWNED_FREE struct claim_row *rows = NULL;
	const struct claim_row *last = NULL;
	size_t count = 0, at = 0;

	for (size_t i = 0; i < t->count; i++)
		count += t->peers[i].network_count;
	rows = calloc(count + 1, sizeof *rows);
	for (size_t i = 0; rows && i < t->count; i++)
		for (size_t k = 0; k < t->peers[i].network_count; k++)
			rows[at++] = (struct claim_row){range_of(&t->peers[i].networks[k]),
							&t->peers[i]};
	if (at > 0)
		qsort(rows, at, sizeof *rows, claim_compare);
	for (size_t i = 0; i < at; i++) {
		bool meets =
			last && last->range.version == rows[i].range.version &&
			memcmp(rows[i].range.first, last->range.last, sizeof last->range.last) <= 0;

		if (meets && last->peer != rows[i].peer) {
			*ret_other = rows[i].peer;
			return last->peer;
		}
		if (!meets ||
		    memcmp(rows[i].range.last, last->range.last, sizeof last->range.last) > 0)
			last = &rows[i];
	}
	return NULL;
}
