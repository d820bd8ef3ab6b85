/* WireGuard's configuration, as wg-quick reads it, for the portals of one interface: each peer has
 * the addresses that the policy names for it, and no others. Runs in the command line, on a
 * compiled policy. */
#include <stdio.h>
#include "policy/tunnels.h"

static const char *host_text(const struct ip *ip, char ret[ADDRESS_TEXT])
{
	struct ip plain = *ip;

	plain.scope = 0;
	return ip_format(&plain, ret);
}

/* The gateway's addresses in the tunnel, each once. */
static void gateway_addresses(FILE *f, const struct tunnels *t, const struct tunnel_peer *peer)
{
	const char *between = "";
	char text[ADDRESS_TEXT];

	for (size_t i = 0; i < t->address_count; i++) {
		const struct ip *ip = &t->addresses[i];

		if (!tunnels_reach(t, ip, peer))
			continue;
		fprintf(f, "%s%s/%d", between, host_text(ip, text), ip->version == 4 ? 32 : 128);
		between = ", ";
	}
	fputs("\n", f);
}

static void peer_networks(FILE *f, const struct tunnel_peer *peer)
{
	char text[ADDRESS_TEXT];

	for (size_t i = 0; i < peer->network_count; i++)
		fprintf(f, "%s%s/%u", i > 0 ? ", " : "", host_text(&peer->networks[i].ip, text),
			peer->networks[i].prefix);
	fputs("\n", f);
}

static void gateway_write(FILE *f, const struct tunnels *t, const struct wireguard_choice *choice)
{
	const char *interface = t->like->through;

	fprintf(f,
		"# WireGuard's, written by `sallyport wireguard`: as /etc/wireguard/%s.conf on "
		"the\n"
		"# gateway, then: systemctl enable --now wg-quick@%s\n\n"
		"[Interface]\nAddress = ",
		interface, interface);
	gateway_addresses(f, t, NULL);
	fprintf(f, "ListenPort = %u\nPrivateKey = %cwireguard.%s%c\n", choice->port, TUNNEL_SECRET,
		interface, TUNNEL_SECRET);
	for (size_t i = 0; i < t->count; i++) {
		const struct tunnel_peer *peer = &t->peers[i];

		fprintf(f, "\n# %s, policy line %u\n[Peer]\nPublicKey = %cwireguard.%s.%s%c\n",
			peer->initiator, peer->line, TUNNEL_PUBLIC, interface, peer->user,
			TUNNEL_PUBLIC);
		fputs("AllowedIPs = ", f);
		peer_networks(f, peer);
	}
}

/* Of its networks, which address it has there, the policy does not say. */
static void own_addresses(FILE *f, const struct tunnel_peer *peer)
{
	const char *before = "Address = ";
	char text[ADDRESS_TEXT];

	for (size_t i = 0; i < peer->network_count; i++) {
		const struct network *n = &peer->networks[i];

		if (!network_is_host(n))
			continue;
		fprintf(f, "%s%s/%u", before, host_text(&n->ip, text), n->prefix);
		before = ", ";
	}
	if (before[0] == ',')
		fputs("\n", f);
	for (size_t i = 0; i < peer->network_count; i++)
		if (!network_is_host(&peer->networks[i]))
			fprintf(f, "# Address = an address of %s/%u that this machine has\n",
				host_text(&peer->networks[i].ip, text), peer->networks[i].prefix);
}

static void peer_write(FILE *f, const struct tunnels *t, const struct tunnel_peer *peer,
		       const struct wireguard_choice *choice)
{
	const char *interface = t->like->through;

	fprintf(f,
		"# WireGuard's, written by `sallyport wireguard`: as /etc/wireguard/%s.conf on\n"
		"# %s, then: systemctl enable --now wg-quick@%s\n\n"
		"[Interface]\n",
		interface, peer->initiator, interface);
	own_addresses(f, peer);
	fprintf(f, "PrivateKey = %cwireguard.%s.%s%c\n\n[Peer]\nPublicKey = %cwireguard.%s%c\n",
		TUNNEL_SECRET, interface, peer->user, TUNNEL_SECRET, TUNNEL_PUBLIC, interface,
		TUNNEL_PUBLIC);
	fputs("AllowedIPs = ", f);
	gateway_addresses(f, t, peer);
	if (choice->endpoint)
		fprintf(f, "Endpoint = %s\n", choice->endpoint);
	else
		fprintf(f, "# Endpoint = the gateway's address outside the tunnel:%u\n",
			choice->port);
	fputs("PersistentKeepalive = 25\n", f);
}

void wireguard_write(FILE *f, const struct tunnels *t, const struct tunnel_peer *peer,
		     const struct wireguard_choice *choice)
{
	if (peer)
		peer_write(f, t, peer, choice);
	else
		gateway_write(f, t, choice);
}
