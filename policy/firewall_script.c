/* The nft script that a policy means: one table, `inet sallyport`, replaced as a whole in one
 * transaction, whether it was there or not. Runs in the monitor and in `plan --firewall`, so that
 * what was reviewed is what is loaded; a function of the policy and the time alone. Only packets to
 * our own portals meet a verdict. Written for nft 1.0.6 (Debian 12). */
#include <inttypes.h>
#include <stdio.h>
#include "policy/firewall.h"
#include "policy/hours.h"
#include "policy/ranges.h"

/* For each source: an IPv4 address, an IPv6 /64. Enough for a host that logs in to dozens of
 * targets at once, too little to guess or to flood. */
#define CONNECTIONS_PER_MINUTE 120
#define CONNECTIONS_BURST      64
#define CONNECTIONS_AT_ONCE    128
#define SOURCES_AT_ONCE	       65536

struct opening {
	struct address_range *ranges; /* who may connect; sorted and merged */
	size_t count;
	bool local; /* an entry without addresses: whoever is on this machine */
};

/* --- who may connect to a portal ---------------------------------------------------------- */

static bool target_is_on(const struct policy_target *t, size_t portal)
{
	for (size_t i = 0; i < t->portal_count; i++)
		if (t->portals[i] == portal)
			return true;
	return false;
}

static void opening_add(struct opening *o, const struct policy_target *t, int64_t now_s)
{
	for (size_t i = 0; i < t->initiator_count; i++) {
		const struct policy_initiator *from = &t->initiators[i];
		uint32_t line;

		if (grant_closed(from, now_s, &line))
			continue;
		o->local = o->local || from->from_count == 0;
		for (size_t k = 0; k < from->from_count; k++) {
			if (o->ranges)
				o->ranges[o->count] = range_of(&from->from[k]);
			o->count++;
		}
	}
}

/* Packets carry the proxies' addresses; who is behind them, the login judges. Nobody may enter:
 * then they are kept out, too. */
static int opening_by_proxies(const struct policy_portal *portal, struct opening *o)
{
	struct address_range *ranges;

	if (portal->proxy_count == 0 || (o->count == 0 && !o->local))
		return 0;
	ranges = calloc(portal->proxy_count, sizeof *ranges);
	if (!ranges)
		return -ENOMEM;
	for (size_t k = 0; k < portal->proxy_count; k++)
		ranges[k] = range_of(&portal->proxies[k]);
	free(o->ranges);
	*o = (struct opening){ranges, ranges_merge(ranges, portal->proxy_count), false};
	return 0;
}

/* Twice over the targets: first to count, then to gather. */
static int opening_find(const struct policy *p, size_t portal, int64_t now_s, struct opening *ret)
{
	struct opening o = {0};

	for (int gather = 0; gather < 2; gather++) {
		if (gather && !(o.ranges = calloc(o.count ? o.count : 1, sizeof *o.ranges)))
			return -ENOMEM;
		o.count = 0;
		for (size_t t = 0; t < p->target_count; t++)
			if (target_is_on(&p->targets[t], portal))
				opening_add(&o, &p->targets[t], now_s);
	}
	o.count = ranges_merge(o.ranges, o.count);
	*ret = o;
	return opening_by_proxies(&p->portals[portal], ret);
}

static bool opening_has(const struct opening *o, uint8_t version)
{
	for (size_t i = 0; i < o->count; i++)
		if (o->ranges[i].version == version)
			return true;
	return false;
}

/* --- the script --------------------------------------------------------------------------- */

static const struct family {
	uint8_t version;
	const char *type, *header, *source; /* `source`: what limits count by */
} families[] = {
	{4, "ipv4_addr", "ip", "ip saddr"},
	{6, "ipv6_addr", "ip6", "ip6 saddr & ffff:ffff:ffff:ffff::"},
};

static int port_compare(const void *a, const void *b)
{
	return *(const uint16_t *)a - *(const uint16_t *)b;
}

/* The ports where bans bind: loopback addresses are never banned. */
static void ban_ports_write(FILE *f, const struct policy *p)
{
	uint16_t ports[FIREWALL_PORTS_MAX];
	size_t count = 0;
	const char *before = "add element inet sallyport-bans ports { ";

	for (size_t i = 0; i < p->portal_count; i++)
		for (size_t k = 0; k < p->portals[i].listen_count; k++)
			if (!ip_is_loopback(&p->portals[i].listen[k].ip) &&
			    count < ARRAY_LEN(ports))
				ports[count++] = p->portals[i].listen[k].port;
	if (count == 0)
		return;
	qsort(ports, count, sizeof *ports, port_compare);
	for (size_t i = 0; i < count; i++) {
		if (i > 0 && ports[i] == ports[i - 1])
			continue;
		fprintf(f, "%s%u", before, ports[i]);
		before = ", ";
	}
	fputs(" }\n", f);
}

static void head_write(FILE *f, const struct policy *p)
{
	fputs("# Sallyport's firewall for the policy ", f);
	for (size_t i = 0; i < sizeof p->hash; i++)
		fprintf(f, "%02x", p->hash[i]);
	fputs("\n", f);
	fputs(firewall_bans_script, f);
	ban_ports_write(f, p);
	fputs("\n"
	      "# Adding before deleting makes the table's removal right whether or not it is\n"
	      "# there; all of it is one transaction. Other tables are not touched.\n"
	      "add table inet sallyport\n"
	      "delete table inet sallyport\n"
	      "table inet sallyport {\n",
	      f);
}

static void sources_write(FILE *f, const struct policy_portal *portal, const struct opening *o,
			  const struct family *family)
{
	char text[RANGE_TEXT];
	const char *between = "";

	if (!opening_has(o, family->version))
		return;
	fprintf(f, "\tset from_%s_%u {\n\t\ttype %s\n\t\tflags interval\n\t\telements = {",
		portal->name, family->version, family->type);
	for (size_t i = 0; i < o->count; i++) {
		if (o->ranges[i].version != family->version)
			continue;
		fprintf(f, "%s\n\t\t\t%s", between, range_format(&o->ranges[i], text));
		between = ",";
	}
	fputs("\n\t\t}\n\t}\n\n", f);
}

/* A full set makes its rule not match: so what matches goes on, and the rest is dropped. Counted
 * connections leave their set by themselves. */
static void limits_write(FILE *f, const struct family *family)
{
	unsigned v = family->version;

	fprintf(f,
		"\tset rate_%u {\n"
		"\t\ttype %s\n"
		"\t\tsize %d\n"
		"\t\tflags dynamic,timeout\n"
		"\t\ttimeout 2m\n"
		"\t}\n\n"
		"\tset count_%u {\n"
		"\t\ttype %s\n"
		"\t\tsize %d\n"
		"\t\tflags dynamic\n"
		"\t}\n\n",
		v, family->type, SOURCES_AT_ONCE, v, family->type, SOURCES_AT_ONCE);
	fprintf(f,
		"\tchain count_limit_%u {\n"
		"\t\tadd @count_%u { %s ct count %d } accept\n"
		"\t\tdrop\n"
		"\t}\n\n",
		v, v, family->source, CONNECTIONS_AT_ONCE);
	fprintf(f,
		"\tchain limit_%u {\n"
		"\t\tupdate @rate_%u { %s limit rate %d/minute burst %d packets } "
		"goto count_limit_%u\n"
		"\t\tdrop\n"
		"\t}\n\n",
		v, v, family->source, CONNECTIONS_PER_MINUTE, CONNECTIONS_BURST, v);
}

static bool is_tunnelled(const struct policy_portal *portal)
{
	return portal->transport == PORTAL_IPSEC || portal->transport == PORTAL_INTERFACE;
}

/* Before all else, sessions too: a tunnel that is gone takes them with it. */
static void tunnel_write(FILE *f, const struct policy_portal *portal)
{
	if (portal->transport == PORTAL_IPSEC)
		fputs("\t\tmeta ipsec missing drop\n", f);
	else if (portal->transport == PORTAL_INTERFACE)
		fprintf(f, "\t\tiifname != \"%s\" drop\n", portal->through);
}

/* What is said to a portal: sessions go on, new connections come from allowed addresses; one that
 * another table's helper expects ("related") is as new as any. Over the loopback interface nothing
 * is limited: whoever is there would shut out everybody. Nor are proxies, who are everybody: the
 * gateway counts by what they tell. */
static void portal_chain_write(FILE *f, const struct policy_portal *portal, const struct opening *o)
{
	fprintf(f, "\tchain portal_%s {\n", portal->name);
	tunnel_write(f, portal);
	fputs("\t\tct state established accept\n"
	      "\t\tct state invalid drop\n",
	      f);
	if (portal->loopback)
		fputs("\t\tiifname != \"lo\" drop\n", f);
	if (portal->loopback && o->local)
		fputs("\t\taccept\n", f);
	for (size_t i = 0; i < ARRAY_LEN(families); i++) {
		const struct family *family = &families[i];

		if (!opening_has(o, family->version))
			continue;
		if (!is_tunnelled(portal))
			fprintf(f, "\t\tiifname \"lo\" %s saddr @from_%s_%u accept\n",
				family->header, portal->name, family->version);
		if (portal->proxy_count > 0 && !portal->loopback)
			fprintf(f, "\t\t%s saddr @from_%s_%u accept\n", family->header,
				portal->name, family->version);
		else if (!portal->loopback)
			fprintf(f, "\t\t%s saddr @from_%s_%u goto limit_%u\n", family->header,
				portal->name, family->version, family->version);
	}
	fputs("\t\tdrop\n\t}\n\n", f);
}

/* A link-local address is its interface's: elsewhere it is somebody else's, and not ours. What this
 * machine sends to it comes in by the loopback interface. */
static void endpoint_write(FILE *f, const struct policy_portal *portal, size_t k)
{
	const struct endpoint *e = &portal->listen[k];
	char to[ADDRESS_TEXT];
	struct ip ip = e->ip;
	bool v6 = ip.version == 6;

	ip.scope = 0;
	fputs("\t\t", f);
	if (portal->interfaces[k][0])
		fprintf(f, "iifname { \"lo\", \"%s\" } ", portal->interfaces[k]);
	if (ip_is_any(&ip))
		fprintf(f, "meta nfproto %s", v6 ? "ipv6" : "ipv4");
	else
		fprintf(f, "%s daddr %s", v6 ? "ip6" : "ip", ip_format(&ip, to));
	fprintf(f, " tcp dport %u goto portal_%s comment \"policy line %u\"\n", e->port,
		portal->name, portal->line);
}

static void input_chain_write(FILE *f, const struct policy *p)
{
	fputs("\t# After the bans and before other tables: what is dropped here, nobody lets in;\n"
	      "\t# what is accepted here, they may still drop.\n"
	      "\tchain input {\n"
	      "\t\ttype filter hook input priority filter - 5; policy accept;\n",
	      f);
	for (size_t i = 0; i < p->portal_count; i++)
		for (size_t k = 0; k < p->portals[i].listen_count; k++)
			endpoint_write(f, &p->portals[i], k);
	fputs("\t}\n", f);
}

/* What a portal behind a tunnel says. Its addresses are none of "every address". */
static void answer_write(FILE *f, const struct policy_portal *portal, const struct endpoint *e)
{
	char from[ADDRESS_TEXT];
	struct ip ip = e->ip;

	ip.scope = 0;
	fprintf(f, "\t\t%s saddr %s tcp sport %u ", ip.version == 6 ? "ip6" : "ip",
		ip_format(&ip, from), e->port);
	if (portal->transport == PORTAL_IPSEC)
		fputs("rt ipsec missing", f);
	else
		fprintf(f, "oifname != \"%s\"", portal->through);
	fprintf(f, " drop comment \"policy line %u\"\n", portal->line);
}

static void output_chain_write(FILE *f, const struct policy *p)
{
	bool begun = false;

	for (size_t i = 0; i < p->portal_count; i++) {
		if (!is_tunnelled(&p->portals[i]))
			continue;
		if (!begun)
			fputs("\n"
			      "\t# Nothing leaves beside its tunnel, not when that is gone "
			      "either.\n"
			      "\tchain output {\n"
			      "\t\ttype filter hook output priority filter - 5; policy accept;\n",
			      f);
		begun = true;
		for (size_t k = 0; k < p->portals[i].listen_count; k++)
			answer_write(f, &p->portals[i], &p->portals[i].listen[k]);
	}
	if (begun)
		fputs("\t}\n", f);
}

static int portals_write(FILE *f, const struct policy *p, int64_t now_s)
{
	for (size_t i = 0; i < p->portal_count; i++) {
		struct opening o = {0};
		int r = opening_find(p, i, now_s, &o);

		if (r < 0) {
			free(o.ranges);
			return r;
		}
		for (size_t k = 0; k < ARRAY_LEN(families); k++)
			sources_write(f, &p->portals[i], &o, &families[k]);
		portal_chain_write(f, &p->portals[i], &o);
		free(o.ranges);
	}
	return 0;
}

char *firewall_script(const struct policy *p, int64_t now_s)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	int r;

	if (!f)
		return NULL;
	head_write(f, p);
	for (size_t i = 0; i < ARRAY_LEN(families); i++)
		limits_write(f, &families[i]);
	r = portals_write(f, p, now_s);
	input_chain_write(f, p);
	output_chain_write(f, p);
	fputs("}\n", f);
	if (fclose(f) != 0 || r < 0) {
		free(text);
		return NULL;
	}
	return text;
}
