/* strongSwan's configuration for portals with `transport: ipsec`: one profile (RFC 7146: IPsec of
 * version 3), for the addresses and ports that the policy names and no others. IKEv2, AES-GCM,
 * ECP-384, sequence numbers of 64 bits. What no tunnel takes is dropped by a policy of the kernel's
 * of its own, at both ends. TCP is "6" in selectors: not every machine has a list of names. Runs in
 * the command line, on a compiled policy. */
#include <inttypes.h>
#include <stdio.h>
#include "policy/tunnels.h"

#define IKE "aes256gcm16-prfsha384-ecp384"
#define ESP "aes256gcm16-ecp384-esn"

/* One connection: between an address of the gateway's and a peer. */
struct link {
	const struct tunnels *t;
	const struct tunnel_peer *peer;
	const struct ipsec_choice *choice;
	struct ip gateway;
	size_t number; /* of this peer's */
	bool at_gateway;
};

/* --- what both ends have ------------------------------------------------------------------ */

/* A section's name has no dots: "_d" is one, and "__" what it says. */
static void name_write(FILE *f, const struct link *l)
{
	for (const char *c = l->peer->user; *c; c++) {
		if (*c == '.' || *c == '_')
			fputs(*c == '.' ? "_d" : "__", f);
		else
			fputc(*c, f);
	}
	fprintf(f, "-%zu", l->number);
}

static const char *host_text(const struct ip *ip, char ret[ADDRESS_TEXT])
{
	struct ip plain = *ip;

	plain.scope = 0;
	return ip_format(&plain, ret);
}

static bool peer_is_host(const struct link *l)
{
	for (size_t i = 0; i < l->peer->network_count; i++)
		if (l->peer->networks[i].ip.version == l->gateway.version &&
		    !network_is_host(&l->peer->networks[i]))
			return false;
	return true;
}

static size_t peer_networks(const struct link *l)
{
	size_t count = 0;

	for (size_t i = 0; i < l->peer->network_count; i++)
		count += l->peer->networks[i].ip.version == l->gateway.version;
	return count;
}

/* "addrs = 203.0.113.7, 203.0.113.9" or, as selectors, "203.0.113.7/32[6], …". */
static void peer_write(FILE *f, const struct link *l, const char *behind)
{
	const char *between = "";
	char text[ADDRESS_TEXT];

	for (size_t i = 0; i < l->peer->network_count; i++) {
		const struct network *n = &l->peer->networks[i];

		if (n->ip.version != l->gateway.version)
			continue;
		if (behind[0])
			fprintf(f, "%s%s/%u%s", between, host_text(&n->ip, text), n->prefix,
				behind);
		else if (network_is_host(n))
			fprintf(f, "%s%s", between, host_text(&n->ip, text));
		else
			fprintf(f, "%s%s/%u", between, host_text(&n->ip, text), n->prefix);
		between = ", ";
	}
}

/* The ports of the portals on this address. */
static void portals_write(FILE *f, const struct tunnels *t, const struct tunnel_peer *peer,
			  const struct ip *gateway)
{
	const char *between = "";
	char text[ADDRESS_TEXT];

	for (size_t i = 0; i < t->policy->portal_count; i++) {
		const struct policy_portal *p = &t->policy->portals[i];
		size_t count = tunnels_have(t, i, peer) ? p->listen_count : 0;

		for (size_t k = 0; k < count; k++) {
			if (!ip_equal(&p->listen[k].ip, gateway))
				continue;
			fprintf(f, "%s%s/%d[6/%u]", between, host_text(gateway, text),
				gateway->version == 4 ? 32 : 128, p->listen[k].port);
			between = ", ";
		}
	}
}

static void side_write(FILE *f, const struct link *l, const char *side, bool gateway)
{
	char text[ADDRESS_TEXT];

	fprintf(f, "\t\t%s {\n", side);
	if (l->choice->certificates)
		fprintf(f, "\t\t\tauth = pubkey\n\t\t\tcerts = %s.pem\n",
			gateway ? "gateway" : l->peer->user);
	else if (gateway)
		fprintf(f, "\t\t\tauth = psk\n\t\t\tid = \"%s\"\n", host_text(&l->gateway, text));
	else
		fprintf(f, "\t\t\tauth = psk\n\t\t\tid = \"fqdn:%s\"\n", l->peer->initiator);
	fputs("\t\t}\n", f);
}

/* --- one end of a connection -------------------------------------------------------------- */

static void ends_write(FILE *f, const struct link *l)
{
	const char *ours = l->at_gateway ? "local" : "remote";
	const char *theirs = l->at_gateway ? "remote" : "local";
	char text[ADDRESS_TEXT];

	if (!l->choice->gateway)
		fprintf(f, "\t\t%s_addrs = %s\n", ours, host_text(&l->gateway, text));
	else if (!l->at_gateway)
		fprintf(f, "\t\tremote_addrs = %s\n", l->choice->gateway);
	if (!l->at_gateway && !peer_is_host(l))
		return; /* which of its addresses it has, it knows itself */
	fprintf(f, "\t\t%s_addrs = ", theirs);
	peer_write(f, l, "");
	fputs("\n", f);
}

/* The gateway knows where to begin a tunnel only when the peer has one address. */
static void child_write(FILE *f, const struct link *l)
{
	bool traps = !l->at_gateway || (peer_is_host(l) && peer_networks(l) == 1);

	fputs("\t\tchildren {\n\t\t\tiscsi {\n\t\t\t\tmode = tunnel\n", f);
	fprintf(f, "\t\t\t\t%s_ts = ", l->at_gateway ? "local" : "remote");
	portals_write(f, l->t, l->peer, &l->gateway);
	fprintf(f, "\n\t\t\t\t%s_ts = ", l->at_gateway ? "remote" : "local");
	if (!l->at_gateway && !peer_is_host(l))
		fputs("dynamic[6]", f);
	else
		peer_write(f, l, "[6]");
	fprintf(f, "\n\t\t\t\tesp_proposals = " ESP "\n\t\t\t\tstart_action = %s\n",
		traps ? "trap" : "none");
	fputs("\t\t\t}\n\t\t}\n", f);
}

static void link_write(FILE *f, const struct link *l)
{
	assert(l->peer); /* the gateway has one for each of them */
	fprintf(f, "\t# %s, policy line %u\n\t", l->peer->initiator, l->peer->line);
	name_write(f, l);
	fputs(" {\n\t\tversion = 2\n", f);
	ends_write(f, l);
	fputs("\t\tproposals = " IKE "\n"
	      "\t\tmobike = no\n"
	      "\t\tdpd_delay = 30s\n"
	      "\t\tunique = never\n",
	      f);
	side_write(f, l, "local", l->at_gateway);
	side_write(f, l, "remote", !l->at_gateway);
	child_write(f, l);
	fputs("\t}\n", f);
}

/* --- what no tunnel takes ----------------------------------------------------------------- */

static void closed_write(FILE *f, const struct link *l)
{
	const char *anybody = l->gateway.version == 4 ? "0.0.0.0/0[6]" : "::/0[6]";

	fprintf(f, "\t\t\tclosed-%zu {\n\t\t\t\tmode = drop\n\t\t\t\t%s_ts = ", l->number,
		l->at_gateway ? "local" : "remote");
	portals_write(f, l->t, l->peer, &l->gateway);
	fprintf(f, "\n\t\t\t\t%s_ts = %s\n\t\t\t\tstart_action = trap\n\t\t\t}\n",
		l->at_gateway ? "remote" : "local", anybody);
}

/* --- all of them -------------------------------------------------------------------------- */

/* Calls each() for every address of the portals that the peer (NULL: anybody) may use. */
static void addresses_each(FILE *f, const struct link *like,
			   void (*each)(FILE *f, const struct link *l))
{
	struct link l = *like;

	for (size_t i = 0; i < l.t->address_count; i++) {
		l.gateway = l.t->addresses[i];
		if (!tunnels_reach(l.t, &l.gateway, l.peer) || (l.peer && peer_networks(&l) == 0))
			continue;
		l.number++;
		each(f, &l);
	}
}

static void secret_write(FILE *f, const struct link *l)
{
	char text[ADDRESS_TEXT];

	fprintf(f, "\t\tid-%zu = \"%s\"\n", l->number, host_text(&l->gateway, text));
}

static void secrets_write(FILE *f, const struct tunnels *t, const struct tunnel_peer *one,
			  struct link like)
{
	fputs("secrets {\n", f);
	for (size_t i = 0; i < t->count; i++) {
		const struct tunnel_peer *peer = &t->peers[i];

		if (one && one != peer)
			continue;
		like.peer = peer;
		fputs("\tike-", f);
		name_write(f, &like);
		fprintf(f, " {\n\t\tid-0 = \"fqdn:%s\"\n", peer->initiator);
		addresses_each(f, &like, secret_write);
		fprintf(f, "\t\tsecret = 0s%cipsec.%s%c\n\t}\n", TUNNEL_SECRET, peer->user,
			TUNNEL_SECRET);
	}
	fputs("}\n", f);
}

static void head_write(FILE *f, const struct link *l)
{
	fputs("# strongSwan's, written by `sallyport ipsec`: as /etc/swanctl/conf.d/sallyport.conf "
	      "on\n# ",
	      f);
	if (l->at_gateway)
		fputs("the gateway", f);
	else
		fputs(l->peer->initiator, f);
	fputs(", then: swanctl --load-all\n", f);
	if (l->choice->certificates)
		fprintf(f,
			"# Certificates: %s.pem and %s.pem in /etc/swanctl/x509, this machine's "
			"key in\n# /etc/swanctl/private; each takes the other's certificate and no "
			"other.\n",
			"gateway", l->at_gateway ? "USER" : l->peer->user);
	fputs("\n", f);
}

void ipsec_write(FILE *f, const struct tunnels *t, const struct tunnel_peer *peer,
		 const struct ipsec_choice *choice)
{
	struct link l = {.t = t, .peer = peer, .choice = choice, .at_gateway = !peer};

	head_write(f, &l);
	fputs("connections {\n", f);
	for (size_t i = 0; i < t->count; i++) {
		l.peer = &t->peers[i];
		if (!peer || peer == l.peer)
			addresses_each(f, &l, link_write);
	}
	l.peer = peer;
	fputs("\t# What no tunnel takes is dropped. IKE never meets this one.\n"
	      "\tclosed {\n\t\tlocal_addrs = 127.0.0.1\n\t\tremote_addrs = 127.0.0.1\n"
	      "\t\tchildren {\n",
	      f);
	addresses_each(f, &l, closed_write);
	fputs("\t\t}\n\t}\n}\n", f);
	if (!choice->certificates)
		secrets_write(f, t, peer, l);
}
