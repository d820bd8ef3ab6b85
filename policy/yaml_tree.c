/* A YAML text as a tree whose every node knows its place: libyaml's events, put together by us.
 * Runs in the monitor and the command line. The text is hostile: size, depth and number of
 * nodes are bounded, and nothing is taken that a reader of the file could miss. */
#include "policy/yaml_tree.h"

#include <yaml.h>
#include "policy/utf8.h"

#define CHUNK_NODES 512

struct node_chunk {
	struct node_chunk *next;
	size_t used;
	struct node nodes[CHUNK_NODES];
};

struct level {
	struct node *container, *last; /* child */
	struct node *key;	       /* waiting for its value */
};

struct builder {
	struct yaml_tree *tree;
	struct diagnostics *d;
	struct level levels[YAML_TREE_DEPTH_MAX + 1];
	size_t depth;
	size_t documents;
	bool over; /* no further: the mistake is told */
};

static struct place event_place(const yaml_event_t *e)
{
	return (struct place){(uint32_t)e->start_mark.line + 1, (uint32_t)e->start_mark.column + 1,
			      (uint32_t)e->end_mark.line + 1, (uint32_t)e->end_mark.column + 1};
}

static struct node *node_new(struct builder *b, enum node_kind kind, const yaml_event_t *e)
{
	struct node_chunk *c = b->tree->chunks;
	struct node *n;

	if (b->tree->node_count >= YAML_TREE_NODES_MAX) {
		diagnose_error(b->d, event_place(e), "the file has more than %d values",
			       YAML_TREE_NODES_MAX);
		b->over = true;
		return NULL;
	}
	if (!c || c->used == CHUNK_NODES) {
		c = malloc(sizeof *c);
		if (!c)
			return NULL;
		c->used = 0;
		c->next = b->tree->chunks;
		b->tree->chunks = c;
	}
	b->tree->node_count++;
	n = &c->nodes[c->used++];
	*n = (struct node){.kind = kind, .at = event_place(e)};
	return n;
}

/* --- where a node goes -------------------------------------------------------------------- */

static void node_place_in(struct builder *b, struct node *n)
{
	struct level *l;

	if (b->depth == 0) {
		b->tree->root = n;
		return;
	}
	l = &b->levels[b->depth - 1];
	if (l->container->kind == NODE_MAP) {
		if (!l->key) {
			if (n->kind == NODE_TEXT) {
				l->key = n;
				return;
			}
			diagnose_error(b->d, n->at, "a key is one text, not %s", node_kind_name(n));
			b->over = true;
			return;
		}
		n->key = TAKE(l->key);
	}
	if (l->last)
		l->last->next = n;
	else
		l->container->first = n;
	l->last = n;
	l->container->count++;
}

static void refuse_properties(struct builder *b, const yaml_event_t *e, const yaml_char_t *anchor,
			      const yaml_char_t *tag)
{
	if (anchor) {
		diagnose_error(b->d, event_place(e), "anchors (&NAME) are not taken");
		diagnose_hint(b->d, "write the value out at each place");
	}
	if (tag) {
		diagnose_error(b->d, event_place(e), "tags (!TYPE) are not taken");
		diagnose_hint(b->d, "write the value alone");
	}
}

/* --- duplicate keys ----------------------------------------------------------------------- */

static int value_compare(const void *a, const void *b)
{
	const struct node *x = *(struct node *const *)a, *y = *(struct node *const *)b;
	int r = strcmp(x->key->text, y->key->text);

	return r ? r : place_compare(x->key->at, y->key->at);
}

static void map_remove_duplicates(struct node *map)
{
	struct node **link = &map->first;

	while (*link) {
		if ((*link)->kind == NODE_INVALID) {
			*link = (*link)->next;
			map->count--;
		} else {
			link = &(*link)->next;
		}
	}
}

/* libyaml does not tell of duplicates; what a reader sees first is kept. */
static int map_check_duplicates(struct builder *b, struct node *map)
{
	OWNED_FREE struct node **values = NULL;
	size_t n = 0, first = 0;

	if (map->count < 2)
		return 0;
	values = calloc(map->count, sizeof *values);
	if (!values)
		return -ENOMEM;
	for (struct node *v = map->first; v; v = v->next)
		values[n++] = v;
	qsort(values, n, sizeof *values, value_compare);
	for (size_t i = 1; i < n; i++) {
		const struct node *key = values[i]->key, *before = values[first]->key;

		if (strcmp(key->text, before->text) != 0) {
			first = i;
			continue;
		}
		diagnose_error(b->d, key->at,
			       "the key \"%s\" is here twice; the first is at line %u, column %u",
			       shown_text(key->text).text, before->at.line, before->at.column);
		diagnose_hint(b->d, "take one of them out");
		if (diagnostics_names_secret(key->text))
			diagnostics_mask(b->d, values[i]->at);
		values[i]->kind = NODE_INVALID;
	}
	map_remove_duplicates(map);
	return 0;
}

/* --- libyaml's events --------------------------------------------------------------------- */

/* A character of a quoted text may be written as an escape: what is hidden stays refused. */
static bool text_is_shown(const char *text, size_t len)
{
	for (size_t at = 0, step; at < len; at += step) {
		step = utf8_step(text + at, len - at);
		if (!utf8_shown(text + at, step))
			return false;
	}
	return true;
}

static int on_scalar(struct builder *b, yaml_event_t *e)
{
	struct node *n = node_new(b, NODE_TEXT, e);

	if (!n)
		return b->over ? 0 : -ENOMEM;
	refuse_properties(b, e, e->data.scalar.anchor, e->data.scalar.tag);
	n->quoted = e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	if (e->data.scalar.style == YAML_LITERAL_SCALAR_STYLE ||
	    e->data.scalar.style == YAML_FOLDED_SCALAR_STYLE || n->at.end_line != n->at.line) {
		diagnose_error(b->d, n->at, "this text goes on over several lines");
		diagnose_hint(b->d, "write it on one line; is a ':' missing after a key?");
		n->bad = true;
	} else if (!text_is_shown((char *)e->data.scalar.value, e->data.scalar.length)) {
		diagnose_error(b->d, n->at, "this text has characters that don't show");
		diagnose_hint(b->d, "write it without escapes (\\x…)");
		n->bad = true;
	}
	n->text = (char *)TAKE(e->data.scalar.value);
	node_place_in(b, n);
	return 0;
}

static int container_start(struct builder *b, enum node_kind kind, const yaml_event_t *e)
{
	struct node *n;

	if (b->depth == YAML_TREE_DEPTH_MAX) {
		diagnose_error(b->d, event_place(e), "this is nested more than %d deep",
			       YAML_TREE_DEPTH_MAX);
		b->over = true;
		return 0;
	}
	n = node_new(b, kind, e);
	if (!n)
		return b->over ? 0 : -ENOMEM;
	node_place_in(b, n);
	b->levels[b->depth++] = (struct level){.container = n};
	return 0;
}

static int on_sequence_start(struct builder *b, yaml_event_t *e)
{
	refuse_properties(b, e, e->data.sequence_start.anchor, e->data.sequence_start.tag);
	return container_start(b, NODE_LIST, e);
}

static int on_mapping_start(struct builder *b, yaml_event_t *e)
{
	refuse_properties(b, e, e->data.mapping_start.anchor, e->data.mapping_start.tag);
	return container_start(b, NODE_MAP, e);
}

static int on_container_end(struct builder *b, yaml_event_t *e)
{
	struct node *n = b->levels[--b->depth].container;

	n->at.end_line = (uint32_t)e->end_mark.line + 1;
	n->at.end_column = (uint32_t)e->end_mark.column + 1;
	return n->kind == NODE_MAP ? map_check_duplicates(b, n) : 0;
}

static int on_alias(struct builder *b, yaml_event_t *e)
{
	struct node *n = node_new(b, NODE_TEXT, e);

	if (!n || !(n->text = strdup("")))
		return b->over ? 0 : -ENOMEM;
	diagnose_error(b->d, n->at, "aliases (*NAME) are not taken");
	diagnose_hint(b->d, "write the value out");
	n->bad = true;
	node_place_in(b, n);
	return 0;
}

static int on_document_start(struct builder *b, yaml_event_t *e)
{
	if (e->data.document_start.version_directive ||
	    e->data.document_start.tag_directives.start !=
		    e->data.document_start.tag_directives.end) {
		diagnose_error(b->d, event_place(e), "directives (%%YAML, %%TAG) are not taken");
		diagnose_hint(b->d, "take the line out");
	}
	if (++b->documents > 1) {
		diagnose_error(b->d, event_place(e), "a second document begins here");
		diagnose_hint(b->d, "a policy is one document: take out \"---\" and what follows, "
				    "or put it into a file of its own");
		b->over = true;
	}
	return 0;
}

static int (*const handlers[])(struct builder *, yaml_event_t *) = {
	[YAML_DOCUMENT_START_EVENT] = on_document_start,
	[YAML_ALIAS_EVENT] = on_alias,
	[YAML_SCALAR_EVENT] = on_scalar,
	[YAML_SEQUENCE_START_EVENT] = on_sequence_start,
	[YAML_SEQUENCE_END_EVENT] = on_container_end,
	[YAML_MAPPING_START_EVENT] = on_mapping_start,
	[YAML_MAPPING_END_EVENT] = on_container_end,
};

static void syntax_error(const struct builder *b, const yaml_parser_t *p)
{
	struct place at = {(uint32_t)p->problem_mark.line + 1, (uint32_t)p->problem_mark.column + 1,
			   (uint32_t)p->problem_mark.line + 1,
			   (uint32_t)p->problem_mark.column + 2};

	diagnose_error(b->d, at, "this is no YAML: %s", p->problem ? p->problem : "unknown");
	if (p->context && p->context_mark.line != p->problem_mark.line)
		diagnose_hint(b->d,
			      "%s that began at line %zu; mistakes behind this place are not found "
			      "yet",
			      p->context, p->context_mark.line + 1);
	else
		diagnose_hint(b->d, "mistakes behind this place are not found yet");
}

static int events_read(struct builder *b, yaml_parser_t *p)
{
	yaml_event_type_t type = YAML_NO_EVENT;
	int r = 0;

	while (r == 0 && !b->over && type != YAML_STREAM_END_EVENT) {
		yaml_event_t e;

		if (!yaml_parser_parse(p, &e)) {
			if (p->error == YAML_MEMORY_ERROR)
				return -ENOMEM;
			syntax_error(b, p);
			b->over = true;
			break;
		}
		type = e.type;
		if ((size_t)type < ARRAY_LEN(handlers) && handlers[type])
			r = handlers[type](b, &e);
		yaml_event_delete(&e);
	}
	return r;
}

/* --- before libyaml ----------------------------------------------------------------------- */

/* Line ends are "\n" and "\r\n" alone: other characters that YAML takes for one would let an
 * editor show other lines than we read. */
static bool character_taken(const char *text, size_t left, size_t step)
{
	if (*text == '\n' || *text == '\t')
		return true;
	if (*text == '\r')
		return left > 1 && text[1] == '\n';
	return utf8_shown(text, step);
}

/* Tells of octets that are no text, and of tabs that indent. True when there are none. */
static bool text_check(const char *text, size_t len, struct diagnostics *d)
{
	struct place at = {1, 1, 1, 2};
	bool indenting = true;
	size_t errors = diagnostics_errors(d);

	for (size_t i = 0, step; i < len; i += step, at.column++) {
		step = utf8_step(text + i, len - i);
		at.end_line = at.line;
		at.end_column = at.column + 1;
		if (utf8_length(text + i, len - i) == 0) {
			diagnose_error(d, at, "this octet is no UTF-8");
			diagnose_hint(d, "save the file as UTF-8");
		} else if (!character_taken(text + i, len - i, step)) {
			diagnose_error(d, at, "this character does not show");
			diagnose_hint(d, i == 0 ? "save the file without a byte order mark"
						: "take it out: control characters and hidden "
						  "marks are not taken");
		} else if (text[i] == '\t' && indenting) {
			diagnose_error(d, at, "a tab in the indentation");
			diagnose_hint(d, "indent with spaces");
			indenting = false;
		}
		indenting = text[i] == '\n' || (indenting && text[i] == ' ');
		if (text[i] == '\n') {
			at.line++;
			at.column = 0;
		}
	}
	return diagnostics_errors(d) == errors;
}

int yaml_tree_read(const char *text, size_t len, struct diagnostics *d, struct yaml_tree *ret_tree)
{
	struct yaml_tree tree = {0};
	struct builder b = {.tree = &tree, .d = d};
	yaml_parser_t p;
	int r;

	if (len > YAML_TREE_TEXT_MAX) {
		diagnose_error(d, (struct place){0}, "the file is larger than 8 MiB");
		*ret_tree = tree;
		return 0;
	}
	if (!text_check(text, len, d)) {
		diagnostics_mask_secrets(d);
		*ret_tree = tree;
		return 0;
	}
	if (!yaml_parser_initialize(&p))
		return -ENOMEM;
	yaml_parser_set_encoding(&p, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&p, (const unsigned char *)text, len);
	r = events_read(&b, &p);
	yaml_parser_delete(&p);
	if (r < 0) {
		yaml_tree_free(&tree);
		return r;
	}
	if (b.over) { /* nobody can tell which values are secrets: mask all that may be */
		tree.root = NULL;
		diagnostics_mask_secrets(d);
	}
	*ret_tree = tree;
	return 0;
}

void yaml_tree_free(struct yaml_tree *t)
{
	while (t->chunks) {
		struct node_chunk *c = t->chunks;

		t->chunks = c->next;
		for (size_t i = 0; i < c->used; i++)
			free(c->nodes[i].text);
		free(c);
	}
	*t = (struct yaml_tree){0};
}

struct node *node_get(const struct node *map, const char *key)
{
	if (!map || map->kind != NODE_MAP)
		return NULL;
	for (struct node *v = map->first; v; v = v->next)
		if (strcmp(v->key->text, key) == 0)
			return v;
	return NULL;
}

struct place node_place(const struct node *n)
{
	return n->key ? n->key->at : n->at;
}

const char *node_kind_name(const struct node *n)
{
	static const char *const names[] = {
		[NODE_TEXT] = "a text", [NODE_LIST] = "a list", [NODE_MAP] = "a mapping"};

	return n->kind == NODE_TEXT && !n->quoted && !n->text[0] ? "nothing" : names[n->kind];
}
