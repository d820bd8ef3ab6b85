/* What both ends of the firewall's channel share: the messages that may arrive, and
 * the ban table's part of every script. Linked into the monitor, the firewall process
 * and `plan`. Constants alone; nothing is trusted. */
#include "policy/firewall.h"

/* A pure SYN is a new connection, whatever connection tracking believes; live sessions never send
 * one. IPv6 sources are compared by their /64, so that its set is a plain hash. The chain comes
 * before that of table `sallyport` (-10): a banned source costs it no dynamic set's element. */
#define OURS  "inet sallyport-bans"
#define RULE  "add rule " OURS " input tcp dport @ports tcp flags & (fin | syn | rst | ack) == syn "
#define TIMED "flags timeout; size 65536; "

_Static_assert(FIREWALL_BANS_MAX == 65536 && FIREWALL_PORTS_MAX == 1024, "as the script says");

const char firewall_bans_script[] =
	"# Bans: kept over reloads. New connections to our ports alone.\n"
	"add table " OURS "\n"
	"add set " OURS " ports { type inet_service; size 1024; }\n"
	"add set " OURS " v4 { type ipv4_addr; " TIMED "}\n"
	"add set " OURS " v6 { type ipv6_addr; " TIMED "}\n"
	"add chain " OURS " input { type filter hook input priority -20; policy accept; }\n"
	"flush chain " OURS " input\n"
	"flush set " OURS " ports\n" /* and filled by what follows, in the same transaction */
	RULE "ip saddr @v4 counter drop\n" RULE
	"ip6 saddr & ffff:ffff:ffff:ffff:: @v6 counter drop\n";

const struct message_spec firewall_inbox[] = {
	{.type = FIREWALL_LOAD, .name = "load", .size = sizeof(struct firewall_load), .fds = 1},
	{.type = FIREWALL_BAN, .name = "ban", .size = sizeof(struct firewall_ban)},
	{.type = FIREWALL_UNBAN, .name = "unban", .size = sizeof(struct firewall_ban)},
	{.type = FIREWALL_COVERED, .name = "covered", .size = sizeof(struct firewall_connection)},
	{.type = FIREWALL_UNLOAD, .name = "unload", .once = true},
};
const size_t firewall_inbox_len = ARRAY_LEN(firewall_inbox);

const struct message_spec firewall_outbox[] = {
	{.type = FIREWALL_READY,
	 .name = "ready",
	 .size = sizeof(struct firewall_status),
	 .once = true},
	{.type = FIREWALL_LOADED, .name = "loaded", .size = sizeof(struct firewall_status)},
	{.type = FIREWALL_BANNED, .name = "banned", .size = sizeof(struct firewall_status)},
	{.type = FIREWALL_COVERAGE, .name = "coverage", .size = sizeof(struct firewall_coverage)},
	{.type = FIREWALL_DRIFT, .name = "drift", .size = sizeof(struct firewall_drift)},
};
const size_t firewall_outbox_len = ARRAY_LEN(firewall_outbox);
