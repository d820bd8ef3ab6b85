/* The firewall: the nft script that a policy means, and the process that loads it.
 * Two tables, ours alone: `inet sallyport` (replaced whole at each load) and
 * `inet sallyport-bans` (timed elements, kept over reloads). */
#pragma once

#include "gateway/base/address.h"
#include "gateway/base/channel.h"
#include "policy/policy.h"

/* The ban table's own part of every script, word for word and before the rest: table, timed sets,
 * rules; bans that are there stay. It drops new connections (a SYN) from banned sources to the
 * ports in its set `ports`, and that set is emptied here. So firewall_script() prints this text,
 * and then, when the policy has a portal off loopback:
 *	add element inet sallyport-bans ports { 3260, 3261 }
 * The process loads no script without it. */
extern const char firewall_bans_script[];
#define FIREWALL_WORDS_MAX	 448
#define FIREWALL_BY_MAX		 64
#define FIREWALL_BANS_MAX	 65536 /* in each family */
#define FIREWALL_PORTS_MAX	 1024
#define FIREWALL_BAN_SECONDS_MAX (366 * 86400)

/* The script, as `plan --firewall` prints it and `nft -f -` loads it, with who may enter at that
 * time (seconds since 1970; 0: at some time). Returns a malloc'd text. */
char *firewall_script(const struct policy *p, int64_t now_s);

/* Descriptors that the monitor gives to the process: 3 the channel. */
int firewall_main(void);
/* The same, for a policy with IPsec portals: it knows FIREWALL_COVERED, too. It holds a socket for
 * that, which makes the kernel load its half of IPsec; so it is not opened for nothing. */
int firewall_ipsec_main(void);

enum firewall_message {
	FIREWALL_INVALID,
	/* monitor to firewall */
	/* struct firewall_load; fd: sealed memfd of the script; answered by FIREWALL_LOADED. What
	 * is then in the kernel is the reference for drift; a load that fails leaves the old one.
	 */
	FIREWALL_LOAD,
	FIREWALL_BAN,	 /* struct firewall_ban: delete and add in one batch; FIREWALL_BANNED */
	FIREWALL_UNBAN,	 /* struct firewall_ban; no ban is no error; FIREWALL_BANNED */
	FIREWALL_UNLOAD, /* removes both tables; answered by FIREWALL_LOADED, then exits 0 */
	/* firewall to monitor */
	FIREWALL_READY,	 /* struct firewall_status; once. Not ok: every request gets the same why */
	FIREWALL_LOADED, /* struct firewall_status */
	FIREWALL_BANNED, /* struct firewall_status; in the order of the requests */
	/* monitor to firewall, and back */
	FIREWALL_COVERED,  /* struct firewall_connection; FIREWALL_COVERAGE, also without nft */
	FIREWALL_COVERAGE, /* struct firewall_coverage */
	/* firewall to monitor */
	FIREWALL_DRIFT, /* struct firewall_drift; unasked, between the answers */
};

#define FIREWALL_LOOK_MS 60000
struct firewall_load {
	uint32_t restore; /* 1: what somebody changed is put back; 0: it is reported */
	uint32_t look_ms; /* behind the kernel's news: FIREWALL_LOOK_MS; in tests, less */
};

/* Does this TCP connection go through IPsec, both ways? */
struct firewall_connection {
	struct endpoint local, peer;
	uint32_t connection; /* the monitor's number of it */
	uint32_t reserved;
};

enum firewall_cover { COVER_UNKNOWN, COVER_WHOLE, COVER_NONE };

struct firewall_coverage {
	uint32_t connection;
	uint32_t cover; /* enum firewall_cover */
	char why[256];	/* when not whole */
};

struct firewall_ban {
	struct network source; /* ip_source_block(); no loopback address */
	uint32_t seconds;      /* 1 to FIREWALL_BAN_SECONDS_MAX */
	uint32_t reserved;
};

struct firewall_status {
	uint32_t ok;
	uint32_t sandbox_layers;
	char why[512]; /* nft's or the kernel's words, when not ok */
};

enum firewall_drift_state {
	DRIFT_INVALID,
	DRIFT_FOUND,	/* the rules are not as they were loaded */
	DRIFT_RESTORED, /* they are again, by us. The bans' table may be new: all bans anew */
	DRIFT_OVER,	/* they are again, by somebody else; all bans anew, too */
	DRIFT_FAILED,	/* they could not be put back */
	DRIFT_BLIND,	/* they can't be read, so nobody knows; DRIFT_OVER ends it */
};

struct firewall_drift {
	uint32_t state;			  /* enum firewall_drift_state */
	uint32_t changes;		  /* how many things differ */
	uint32_t wait_s;		  /* it is put back, or tried again, so much later */
	uint32_t restored;		  /* how often it was put back in a row */
	char changed[FIREWALL_WORDS_MAX]; /* "table sallyport is gone", escaped and cut */
	char by[FIREWALL_BY_MAX];	  /* "nft (pid 17)", where the kernel told; escaped */
	char why[192];			  /* failed or blind: why */
};

extern const struct message_spec firewall_inbox[], firewall_outbox[];
extern const size_t firewall_inbox_len, firewall_outbox_len;
