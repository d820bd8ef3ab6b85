/* What may stand in a policy: one table of every key, with its type, range and default. The
 * checks come from it; manual and completion can. */
#pragma once

#include "policy/yaml_tree.h"

enum section {
	SECTION_NONE,
	SECTION_POLICY,
	SECTION_PORTALS,
	SECTION_PORTAL,
	SECTION_TRANSPORT,
	SECTION_DISKS,
	SECTION_DISK,
	SECTION_IDENTITY,
	SECTION_TARGETS,
	SECTION_TARGET,
	SECTION_LUNS,
	SECTION_INITIATORS,
	SECTION_INITIATOR,
	SECTION_CHAP,
	SECTION_PROTECT,
	SECTION_ACCESS,
	SECTION_LUN_ACCESS,
	SECTION_LIMITS,
	SECTION_AUTH,
	SECTION_BANS,
	SECTION_FIREWALL,
	SECTION_AUDIT,
	SECTION_KEEP,
	SECTION_SPACE,
	SECTION_CHECKPOINTS,
	SECTION_GATEWAY,
	SECTION_PING,
	SECTIONS
};

enum schema_type {
	TYPE_INVALID,
	TYPE_TEXT, /* least and most: its length */
	TYPE_NUMBER,
	TYPE_SIZE,     /* octets */
	TYPE_DURATION, /* milliseconds */
	TYPE_ROOM,     /* a size, or a part of what there is: "20%", ROOM_PERCENT | 20 */
	TYPE_BOOL,
	TYPE_CHOICE, /* of `choices`; the node's value counts from 1 */
	TYPE_TEXTS,  /* a list; least and most: of entries */
	TYPE_CHOICES,
	TYPE_MAP,  /* of section `of` */
	TYPE_MAPS, /* a list of them; least and most: of entries */
};

#define ROOM_PERCENT	 (UINT64_C(1) << 63)
#define ROOM_PERCENT_MAX 90

struct schema_key {
	enum section section;
	const char *key; /* "*": any (names and numbers, which the compiler checks) */
	enum schema_type type;
	bool required;
	enum section of; /* TYPE_CHOICE: instead of a word, a mapping of this */
	uint64_t least, most;
	const char *choices; /* words with blanks between */
	const char *value;   /* the default; NULL: none */
	const char *example;
	const char *help;
};

/* Of `transport`, in the order of its values. */
#define POLICY_TRANSPORTS "plain tls ipsec"

extern const struct schema_key schema_keys[];
extern const size_t schema_key_count;

/* Checks keys, kinds, types and ranges of the whole tree; what is wrong is told and marked bad,
 * what is right gets its value. */
void schema_check(struct node *root, struct diagnostics *d);

/* The value of a key of this mapping (which may be missing), or else the default. */
uint64_t schema_value(enum section section, const struct node *map, const char *key);
const struct schema_key *schema_find(enum section section, const char *key);
/* The number of a word among words with blanks between, from 1; 0: none of them. */
uint64_t schema_choice(const char *choices, const char *word);
