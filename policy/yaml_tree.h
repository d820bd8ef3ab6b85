/* A YAML text as a tree whose every node knows its place. Of YAML, only what a person can
 * read off the page: mappings, sequences and one-line texts, in UTF-8. Anchors, aliases, tags,
 * directives, second documents, duplicate keys, tabs in indentation, hidden characters, deep
 * nesting and huge files are mistakes. Texts are never typed here: the schema does that. */
#pragma once

#include "policy/diagnostic.h"

/* Enough for a policy of 10 000 initiators. */
#define YAML_TREE_TEXT_MAX  (8 << 20) /* octets */
#define YAML_TREE_DEPTH_MAX 8
#define YAML_TREE_NODES_MAX 1000000

enum node_kind { NODE_INVALID, NODE_TEXT, NODE_LIST, NODE_MAP };

struct node {
	enum node_kind kind;
	struct place at;
	char *text; /* NODE_TEXT; no control characters in it */
	bool quoted;
	struct node *key;	   /* in a mapping: whose value this is */
	struct node *first, *next; /* children (a mapping's values) in order, without duplicates */
	size_t count;		   /* of children */

	/* Of the schema. */
	bool bad;	/* a mistake was told: not to be judged further */
	uint64_t value; /* number, octets, milliseconds, 1 + index of the choice */
};

struct yaml_tree {
	struct node *root; /* NULL: the text can't be taken apart, and the diagnostics say why */
	struct node_chunk *chunks;
	size_t node_count;
};

/* 0, also with mistakes; -ENOMEM. */
int yaml_tree_read(const char *text, size_t len, struct diagnostics *d,
		   struct yaml_tree *ret_tree) MUST_CHECK;
void yaml_tree_free(struct yaml_tree *t);

/* The value of a key, or NULL. `map` may be NULL or of another kind. */
struct node *node_get(const struct node *map, const char *key);
/* Where to point at for a child of a mapping: its key; else the node itself. */
struct place node_place(const struct node *n);
const char *node_kind_name(const struct node *n); /* "a list" */
