/* What the kernel has in our two tables, in a form that can be compared: without handles, counters
 * and elements of dynamic sets. Filled message by message from the kernel's answers, by the
 * firewall process; all of it is bounded. Does no I/O. */
#pragma once

#include "policy/firewall.h"

struct nlmsghdr;

#define FIREWALL_TABLES	    2 /* of family inet; [1] has the bans */
#define FIREWALL_ITEMS_MAX  (1U << 20)
#define FIREWALL_TEXT_MAX   (64U << 20)
#define FIREWALL_NO_READING "(what this gateway can't read)"
extern const char *const firewall_tables[FIREWALL_TABLES];

enum firewall_item_kind {
	ITEM_INVALID,
	ITEM_TABLE,
	ITEM_CHAIN,
	ITEM_SET,
	ITEM_MORE,    /* objects, flowtables: our scripts have none */
	ITEM_RULE,    /* its name: the chain's */
	ITEM_ELEMENT, /* its name: the set's */
};

struct firewall_item {
	uint8_t kind, table;
	bool dynamic;	     /* a set: its elements come and go by themselves */
	bool interval;	     /* a set: of ranges */
	uint32_t key_type;   /* a set: nft's number for what its elements are */
	uint32_t name, body; /* offsets into the text */
	uint32_t place;	     /* a rule: its place in the dump */
};

struct firewall_reading;

struct firewall_reading *firewall_reading_new(void); /* NULL: no memory */
void firewall_reading_free(struct firewall_reading *r);

/* One message of a dump; sets come before their elements. What is not about our tables is left out.
 * -E2BIG: beyond the bounds; -ENOMEM. */
int firewall_reading_take(struct firewall_reading *r, const struct nlmsghdr *h) MUST_CHECK;
/* After the last one: pairs the ends of intervals, and sorts. */
int firewall_reading_end(struct firewall_reading *r) MUST_CHECK;

size_t firewall_reading_count(const struct firewall_reading *r);
const struct firewall_item *firewall_reading_item(const struct firewall_reading *r, size_t i);
const char *firewall_reading_text(const struct firewall_reading *r, uint32_t offset);
/* By table, kind and name alone: order of the items, beyond that by place and body. */
int firewall_item_compare(const struct firewall_reading *a, const struct firewall_item *x,
			  const struct firewall_reading *b, const struct firewall_item *y);

struct firewall_changes {
	size_t count;
	bool bans;			/* the table of the bans is among them */
	char words[FIREWALL_WORDS_MAX]; /* for people, escaped: what was removed, added, changed */
};

/* What became of `was`. Both have ended. True: nothing. */
bool firewall_reading_same(const struct firewall_reading *was, const struct firewall_reading *is,
			   struct firewall_changes *ret_changes);
