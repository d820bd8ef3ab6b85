/* Within the policy compiler: from the checked tree to struct policy. Each part judges what it
 * can, also when other parts of the file are wrong; a node that is marked bad is left out. */
#pragma once

#include <limits.h>
#include "policy/policy.h"
#include "policy/schema.h"

/* Names that others refer to: added in any order, then sorted once. */
struct name_row {
	const char *name;
	const struct node *node; /* where it is given */
	size_t index;
	bool used, bad; /* bad: a mistake was told about what it names */
};

struct names {
	struct name_row *rows;
	size_t count;
};

/* A CHAP user as an initiator's entry names it. */
struct user_row {
	const char *user, *mutual, *initiator;
	const struct node *user_node, *mutual_node;
	uint32_t algorithms;
};

/* A key that an entry took over from another. */
struct node_copy {
	struct node node;
	struct node_copy *next;
};

struct compiler {
	struct policy *policy;
	struct diagnostics *d;
	const struct node *root;
	const struct policy_options *options;
	char folder[PATH_MAX]; /* of the policy file, absolute */
	struct names portals, disks;
	struct user_row *users;
	size_t user_count;
	size_t user_space;
	struct node_copy *copies; /* of the tree's, and freed with it */
	bool luns_unclear;	  /* of the target at hand */
	bool no_memory;
};

/* calloc() that notes its failure; a caller that gets NULL just returns. */
void *compile_alloc(struct compiler *c, size_t count, size_t size);
char *compile_copy(struct compiler *c, const char *text);

/* The value of a key when it is of that kind, or NULL. */
const struct node *node_map(const struct node *map, const char *key);
const struct node *node_list(const struct node *map, const char *key);
static inline const struct node *node_first(const struct node *n)
{
	return n ? n->first : NULL;
}
static inline size_t node_count(const struct node *n)
{
	return n ? n->count : 0;
}
/* The text of a key that is there and right, or NULL. */
const char *node_text(const struct node *map, const char *key);

bool names_make(struct compiler *c, struct names *names, size_t space);
void names_sort(struct names *names);
struct name_row *names_find(const struct names *names, const char *name);
/* Tells of an unknown name, with the nearest known one. */
void names_unknown(struct compiler *c, const struct names *names, const char *what,
		   const struct node *at);
/* After sorting: tells of names that are there twice. */
void names_tell_duplicates(struct compiler *c, const struct names *names, const char *what);
/* Tells when the key of n is no name for a portal or a disk. */
void name_check(struct compiler *c, const struct node *n, const char *what,
		char ret_name[POLICY_NAME_SIZE]);
bool name_ok(const char *name);
/* The iSCSI name that the key of n is, as it is compared; "" and told: it is none. */
void iscsi_name_compile(struct compiler *c, const struct node *n, const char *hint,
			char ret_name[ISCSI_NAME_SIZE]);

/* An address or a network; false, and told: it is none. */
bool network_compile(struct compiler *c, const struct node *n, struct network *ret);

/* The first of all: entries that take over others' keys get them. */
void compile_likes(struct compiler *c);
void compile_settings(struct compiler *c);
void compile_bans(struct compiler *c);
void compile_trail(struct compiler *c);	 /* audit: keep, space, checkpoints */
void compile_decoys(struct compiler *c); /* after the targets, which are not */
uint32_t compile_algorithms(struct compiler *c, const struct node *list, uint32_t otherwise);
void compile_portals(struct compiler *c);
/* Of one portal: its group, and what discovery says of it. */
void compile_group(struct compiler *c, struct policy_portal *p, const struct node *portal);
void compile_advertise(struct compiler *c, struct policy_portal *p, const struct node *portal);
/* Of one portal with `transport: tls`: its certificates; of others: that it has none. And the
 * certificate that an initiator has to show. */
void compile_tls(struct compiler *c, struct policy_portal *p, const struct node *portal);
void compile_pin(struct compiler *c, const struct policy_target *t, struct policy_initiator *i,
		 const struct node *n);
void policy_tls_free(struct policy_tls *tls);
void compile_advertise_near(struct policy_portal *p, const struct node *portal);
/* Of one portal: what protects its connections; and whether it may listen on `at` then. */
void compile_transport(struct compiler *c, struct policy_portal *p, const struct node *portal);
void compile_proxies(struct compiler *c, struct policy_portal *p, const struct node *portal);
bool compile_tunnel_end(struct compiler *c, const struct policy_portal *p, const struct node *at,
			const struct ip *ip, const char *interface);
/* What all of them advertise: no address twice. */
void compile_advertised(struct compiler *c, const struct node *portals);
void compile_disks(struct compiler *c);
/* Of one disk: what it says that it is. */
void compile_identity(struct compiler *c, struct policy_disk *disk, const struct node *n);
/* Of all of them: nobody is two, and nobody was what another is. */
void compile_identities(struct compiler *c, const struct node *disks);
void compile_targets(struct compiler *c);
void compile_initiators(struct compiler *c, struct policy_target *t, const struct node *target,
			bool from_required);
/* What is negotiated with those who enter: the keys of a target; NULL: their defaults. */
void compile_limits(struct compiler *c, const struct node *target, struct policy_limits *ret);
/* What `limits` of this mapping says, of an initiator or of one LUN of its; else unchanged. */
void compile_rates(struct compiler *c, const struct node *map, struct limit_values *ret);
void compile_lun_rates(struct compiler *c, const struct policy_initiator *i,
		       const struct node *luns); /* against those of all its LUNs */
void compile_redirect(struct compiler *c, struct policy_target *t, const struct node *target);
/* Of one initiator: until, hours, sessions. */
void compile_grants(struct compiler *c, struct policy_initiator *i, const struct node *n);
/* Of one initiator: deny, allow, protect. */
void compile_rules(struct compiler *c, const struct policy_target *t, struct policy_initiator *i,
		   const struct node *n);
void compile_users(struct compiler *c); /* what holds for all entries together */

/* Absolute, without ".." (-EINVAL), "." and "//"; -ENAMETOOLONG. */
int path_absolute(const char *folder, const char *text, char ret_path[PATH_MAX]) MUST_CHECK;
/* After symbolic links, as far as the path exists. */
int path_resolve(const char *path, char ret_path[PATH_MAX]) MUST_CHECK;
bool path_is_below(const char *path, const char *root);
