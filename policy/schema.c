/* Checks a policy's tree against the table of keys: unknown keys, kinds, types, ranges, what is
 * missing. Runs in the monitor and the command line. The tree is hostile, but bounded. Each
 * mistake is told once, at its place, and its node is marked, so that nobody judges it again. */
#include "policy/schema.h"

#include <inttypes.h>
#include <stdio.h>
#include "policy/nearest.h"
#include "policy/types.h"

#define LIST_TEXT 200

static const char *const section_names[SECTIONS] = {
	[SECTION_POLICY] = "the policy",
	[SECTION_PORTALS] = "portals",
	[SECTION_PORTAL] = "a portal",
	[SECTION_TRANSPORT] = "transport",
	[SECTION_DISKS] = "disks",
	[SECTION_DISK] = "a disk",
	[SECTION_IDENTITY] = "identity",
	[SECTION_TARGETS] = "targets",
	[SECTION_TARGET] = "a target",
	[SECTION_LUNS] = "a target's luns",
	[SECTION_INITIATORS] = "initiators",
	[SECTION_INITIATOR] = "an initiator",
	[SECTION_CHAP] = "chap",
	[SECTION_PROTECT] = "an entry of protect",
	[SECTION_ACCESS] = "an initiator's luns",
	[SECTION_LUN_ACCESS] = "a LUN of an initiator",
	[SECTION_LIMITS] = "limits",
	[SECTION_AUTH] = "auth",
	[SECTION_BANS] = "bans",
	[SECTION_FIREWALL] = "firewall",
	[SECTION_AUDIT] = "audit",
	[SECTION_KEEP] = "keep",
	[SECTION_SPACE] = "space",
	[SECTION_CHECKPOINTS] = "checkpoints",
	[SECTION_GATEWAY] = "gateway",
	[SECTION_PING] = "ping",
};

static void map_check(struct diagnostics *d, enum section section, struct node *map);

const struct schema_key *schema_find(enum section section, const char *key)
{
	for (size_t i = 0; i < schema_key_count; i++)
		if (schema_keys[i].section == section &&
		    (strcmp(schema_keys[i].key, key) == 0 || schema_keys[i].key[0] == '*'))
			return &schema_keys[i];
	return NULL;
}

/* The next of words with blanks between; its length, 0 at the end. */
static size_t word_next(const char **words)
{
	*words += strspn(*words, " ");
	return strcspn(*words, " ");
}

uint64_t schema_choice(const char *choices, const char *word)
{
	size_t len, number = 0;

	if (!choices)
		return 0;
	for (; (len = word_next(&choices)) > 0; choices += len) {
		number++;
		if (strlen(word) == len && strncmp(word, choices, len) == 0)
			return number;
	}
	return 0;
}

/* Words with blanks between as "a, b or c". */
static const char *choices_list(const char *choices, char ret[LIST_TEXT])
{
	size_t used = 0, len;

	ret[0] = '\0';
	while ((len = word_next(&choices)) > 0) {
		const char *word = choices;
		const char *before;
		int n;

		choices += len;
		before = used == 0 ? "" : *choices ? ", " : " or ";
		n = snprintf(ret + used, LIST_TEXT - used, "%s%.*s", before, (int)len, word);
		if (n < 0 || (size_t)n >= LIST_TEXT - used)
			break;
		used += (size_t)n;
	}
	return ret;
}

/* --- unknown keys ------------------------------------------------------------------------- */

static const char *keys_list(enum section section, char ret[LIST_TEXT])
{
	char words[LIST_TEXT] = "";
	size_t used = 0;

	for (size_t i = 0; i < schema_key_count; i++) {
		const struct schema_key *k = &schema_keys[i];
		int n;

		if (k->section != section)
			continue;
		n = snprintf(words + used, sizeof words - used, "%s%s", used ? " " : "", k->key);
		if (n < 0 || (size_t)n >= sizeof words - used)
			break;
		used += (size_t)n;
	}
	return choices_list(words, ret);
}

static void unknown_key_hint(struct diagnostics *d, enum section section, const char *key)
{
	struct nearest n = nearest_to(key);
	char list[LIST_TEXT];

	for (size_t i = 0; i < schema_key_count; i++)
		if (schema_keys[i].section == section)
			nearest_offer(&n, schema_keys[i].key);
	if (nearest_found(&n)) {
		diagnose_hint(d, "did you mean \"%s\"?", nearest_found(&n));
		return;
	}
	for (size_t i = 0; i < schema_key_count; i++) {
		if (strcmp(schema_keys[i].key, key) == 0) {
			diagnose_hint(d, "\"%s\" is a key of %s", key,
				      section_names[schema_keys[i].section]);
			return;
		}
	}
	diagnose_hint(d, "the keys here: %s", keys_list(section, list));
}

static void unknown_key(struct diagnostics *d, enum section section, struct node *n)
{
	const char *key = n->key->text;

	n->bad = true;
	if (n->key->bad)
		return;
	if (diagnostics_names_secret(key)) {
		diagnose_error(d, n->key->at,
			       "there is no key \"%s\": a policy never holds a secret",
			       shown_text(key).text);
		diagnose_hint(d, "give it to \"sallyport secret set NAME\", and take it out of the "
				 "file");
		diagnostics_mask(d, n->at);
		return;
	}
	diagnose_error(d, n->key->at, "unknown key \"%s\" in %s", shown_text(key).text,
		       section_names[section]);
	unknown_key_hint(d, section, key);
	if (section == SECTION_CHAP) /* a misspelled word for a secret, perhaps */
		diagnostics_mask(d, n->at);
}

/* --- values ------------------------------------------------------------------------------- */

/* What a value is called: its key; an entry of a list has the list's. */
static struct shown label(const struct schema_key *k, const struct node *n)
{
	return shown_text(n->key ? n->key->text : k->key);
}

static void example_hint(struct diagnostics *d, const struct schema_key *k, const struct node *n)
{
	diagnose_hint(d, "write %s: %s", label(k, n).text, k->example);
}

static void value_error(struct diagnostics *d, const struct schema_key *k, struct node *n,
			const char *expected)
{
	n->bad = true;
	diagnose_error(d, n->at, "\"%s\" takes %s, not \"%s\"", label(k, n).text, expected,
		       shown_text(n->text).text);
}

static void range_check(struct diagnostics *d, const struct schema_key *k, struct node *n,
			const char *(*format)(uint64_t, char[QUANTITY_TEXT]))
{
	char least[QUANTITY_TEXT], most[QUANTITY_TEXT];

	if (n->value >= k->least && n->value <= k->most)
		return;
	n->bad = true;
	diagnose_error(d, n->at, "\"%s\" is %s; it can be %s to %s", label(k, n).text,
		       shown_text(n->text).text, format(k->least, least), format(k->most, most));
	example_hint(d, k, n);
}

static const char *number_format(uint64_t value, char ret[QUANTITY_TEXT])
{
	(void)snprintf(ret, QUANTITY_TEXT, "%" PRIu64, value);
	return ret;
}

static void text_check(struct diagnostics *d, const struct schema_key *k, struct node *n)
{
	size_t len = strlen(n->text);

	if (len >= k->least && len <= k->most)
		return;
	n->bad = true;
	diagnose_error(d, n->at, "\"%s\" has %zu octets; it can have %" PRIu64 " to %" PRIu64,
		       label(k, n).text, len, k->least, k->most);
	example_hint(d, k, n);
}

static void number_check(struct diagnostics *d, const struct schema_key *k, struct node *n)
{
	if (whole_number_parse(n->text, &n->value) < 0) {
		value_error(d, k, n, "a whole number");
		example_hint(d, k, n);
	} else if (k->least == k->most && n->value != k->least) {
		n->bad = true;
		diagnose_error(d, n->at, "\"%s\" must be %" PRIu64, label(k, n).text, k->least);
		example_hint(d, k, n);
	} else {
		range_check(d, k, n, number_format);
	}
}

static void size_check(struct diagnostics *d, const struct schema_key *k, struct node *n)
{
	int r = size_parse(n->text, &n->value);

	if (r < 0) {
		value_error(d, k, n, "a size");
		if (r == -EDOM)
			diagnose_hint(d, "write it with a unit of B, KiB, MiB, GiB or TiB: %s",
				      k->example);
		else
			example_hint(d, k, n);
		return;
	}
	range_check(d, k, n, size_format);
	if (!n->bad && n->value % 512 != 0) {
		n->bad = true;
		diagnose_error(d, n->at, "\"%s\" is no multiple of 512 octets", label(k, n).text);
		diagnose_hint(d, "it is made of blocks of 512: %s", k->example);
	}
}

static void duration_check(struct diagnostics *d, const struct schema_key *k, struct node *n)
{
	int r = duration_parse(n->text, &n->value);

	if (r < 0) {
		value_error(d, k, n, "a duration");
		if (r == -EDOM)
			diagnose_hint(d, "write it with a unit of ms, s, m, h or d: %s",
				      k->example);
		else
			example_hint(d, k, n);
		return;
	}
	range_check(d, k, n, duration_format);
}

static bool percent_parse(const char *text, uint64_t *ret_percent)
{
	size_t len = strspn(text, "0123456789");
	char digits[4];

	if (len == 0 || len >= sizeof digits || strcmp(text + len, "%") != 0)
		return false;
	memcpy(digits, text, len);
	digits[len] = '\0';
	return whole_number_parse(digits, ret_percent) == 0;
}

static void room_check(struct diagnostics *d, const struct schema_key *k, struct node *n)
{
	uint64_t percent;

	if (!percent_parse(n->text, &percent)) {
		if (size_parse(n->text, &n->value) == 0)
			return size_check(d, k, n);
		value_error(d, k, n, "a size, or a part of what there is");
		diagnose_hint(d, "write %s: 20%% or %s: 4GiB", label(k, n).text, label(k, n).text);
		return;
	}
	n->value = ROOM_PERCENT | percent;
	if (percent >= 1 && percent <= ROOM_PERCENT_MAX)
		return;
	n->bad = true;
	diagnose_error(d, n->at, "\"%s\" is %s; it can be 1%% to %d%%", label(k, n).text,
		       shown_text(n->text).text, ROOM_PERCENT_MAX);
	example_hint(d, k, n);
}

static void bool_check(struct diagnostics *d, const struct schema_key *k, struct node *n)
{
	n->value = schema_choice("false true", n->text);
	if (n->value > 0) {
		n->value--;
		return;
	}
	value_error(d, k, n, "true or false");
	diagnose_hint(d, "write true or false; yes, no, on and off are only texts here");
}

static void choice_check(struct diagnostics *d, const struct schema_key *k, struct node *n)
{
	const struct schema_key *within = k->of ? schema_find(k->of, n->text) : NULL;
	char list[LIST_TEXT];

	n->value = schema_choice(k->choices, n->text);
	if (n->value > 0)
		return;
	value_error(d, k, n, choices_list(k->choices, list));
	if (within)
		diagnose_hint(d, "write %s: {%s: %s}", label(k, n).text, within->key,
			      within->example);
	else
		example_hint(d, k, n);
}

/* An entry of a list of texts: what it means, the compiler knows. */
static void entry_check(struct diagnostics *d, const struct schema_key *k, struct node *n)
{
	if (n->text[0])
		return;
	n->bad = true;
	diagnose_error(d, n->at, "an entry of \"%s\" is empty", k->key);
	example_hint(d, k, n);
}

static const struct {
	void (*check)(struct diagnostics *, const struct schema_key *, struct node *);
	enum node_kind kind;
	const char *name;
} types[] = {
	[TYPE_TEXT] = {text_check, NODE_TEXT, "a text"},
	[TYPE_NUMBER] = {number_check, NODE_TEXT, "a whole number"},
	[TYPE_SIZE] = {size_check, NODE_TEXT, "a size"},
	[TYPE_DURATION] = {duration_check, NODE_TEXT, "a duration"},
	[TYPE_ROOM] = {room_check, NODE_TEXT, "a size or a part"},
	[TYPE_BOOL] = {bool_check, NODE_TEXT, "true or false"},
	[TYPE_CHOICE] = {choice_check, NODE_TEXT, "one word"},
	[TYPE_TEXTS] = {entry_check, NODE_LIST, "a list"},
	[TYPE_CHOICES] = {choice_check, NODE_LIST, "a list"},
	[TYPE_MAP] = {NULL, NODE_MAP, "a mapping"},
	[TYPE_MAPS] = {NULL, NODE_LIST, "a list"},
};

static void kind_error(struct diagnostics *d, const struct schema_key *k, struct node *n)
{
	n->bad = true;
	diagnose_error(d, n->kind == NODE_TEXT ? n->at : node_place(n), "\"%s\" is %s, not %s",
		       label(k, n).text, types[k->type].name, node_kind_name(n));
	if (types[k->type].kind == NODE_LIST && n->kind == NODE_TEXT && n->text[0])
		diagnose_hint(d, n->quoted ? "write %s: [\"%s\"]" : "write %s: [%s]",
			      label(k, n).text, shown_text(n->text).text);
	else
		example_hint(d, k, n);
}

static void list_check(struct diagnostics *d, const struct schema_key *k, struct node *list)
{
	if (list->count < k->least || list->count > k->most) {
		list->bad = true;
		diagnose_error(d, list->at,
			       "\"%s\" has %zu entries; it can have %" PRIu64 " to %" PRIu64,
			       label(k, list).text, list->count, k->least, k->most);
		example_hint(d, k, list);
	}
	for (struct node *n = list->first; n; n = n->next) {
		bool maps = k->type == TYPE_MAPS;

		if (n->bad)
			continue;
		if (n->kind == (maps ? NODE_MAP : NODE_TEXT)) {
			maps ? map_check(d, k->of, n) : types[k->type].check(d, k, n);
			continue;
		}
		n->bad = true;
		diagnose_error(d, n->at, "an entry of \"%s\" is %s, not %s", label(k, list).text,
			       maps ? "a mapping" : "one text", node_kind_name(n));
		example_hint(d, k, list);
	}
}

static bool kind_fits(const struct schema_key *k, const struct node *n)
{
	if (k->type == TYPE_CHOICE && k->of && n->kind == NODE_MAP)
		return true;
	return n->kind == types[k->type].kind && (n->kind != NODE_TEXT || n->quoted || n->text[0]);
}

static void value_check(struct diagnostics *d, const struct schema_key *k, struct node *n)
{
	if (n->bad) {
		return;
	} else if (!kind_fits(k, n)) {
		kind_error(d, k, n);
	} else if (n->kind == NODE_MAP) {
		map_check(d, k->of, n);
	} else if (n->kind == NODE_LIST) {
		list_check(d, k, n);
	} else {
		types[k->type].check(d, k, n);
	}
}

/* Was the key told of already, as a misspelling of this one? */
static bool is_misspelled(enum section section, const struct node *map, const char *key)
{
	for (const struct node *n = map->first; n; n = n->next) {
		struct nearest near = nearest_to(n->key->text);

		if (schema_find(section, n->key->text))
			continue;
		nearest_offer(&near, key);
		if (nearest_found(&near))
			return true;
	}
	return false;
}

/* Who takes over another entry's keys may get it from there: compile_likes.c tells. */
static bool is_left_to_like(enum section section, const struct node *map)
{
	return section == SECTION_INITIATOR && node_get(map, "like");
}

static void required_check(struct diagnostics *d, enum section section, const struct node *map)
{
	for (size_t i = 0; i < schema_key_count; i++) {
		const struct schema_key *k = &schema_keys[i];

		if (k->section != section || !k->required || node_get(map, k->key) ||
		    is_left_to_like(section, map) || is_misspelled(section, map, k->key))
			continue;
		if (map->key)
			diagnose_error(d, map->key->at, "\"%s\" has no \"%s\"",
				       shown_text(map->key->text).text, k->key);
		else
			diagnose_error(d, section == SECTION_POLICY ? (struct place){0} : map->at,
				       "%s has no \"%s\"", section_names[section], k->key);
		diagnose_hint(d, "add %s: %s", k->key, k->example);
	}
}

static void map_check(struct diagnostics *d, enum section section, struct node *map)
{
	for (struct node *n = map->first; n; n = n->next) {
		const struct schema_key *k = schema_find(section, n->key->text);

		if (!k)
			unknown_key(d, section, n);
		else
			value_check(d, k, n);
	}
	required_check(d, section, map);
}

void schema_check(struct node *root, struct diagnostics *d)
{
	if (root->kind == NODE_MAP) {
		map_check(d, SECTION_POLICY, root);
		return;
	}
	root->bad = true;
	diagnose_error(d, root->at, "a policy is a mapping of keys, not %s", node_kind_name(root));
	diagnose_hint(d, "begin with version: 1");
}

static uint64_t default_value(const struct schema_key *k)
{
	uint64_t value = 0;
	int r = 0;

	switch (k->type) {
	case TYPE_NUMBER:
		r = whole_number_parse(k->value, &value);
		break;
	case TYPE_SIZE:
		r = size_parse(k->value, &value);
		break;
	case TYPE_DURATION:
		r = duration_parse(k->value, &value);
		break;
	case TYPE_CHOICE:
		value = schema_choice(k->choices, k->value);
		break;
	case TYPE_BOOL:
		value = schema_choice("false true", k->value) - 1;
		break;
	default:
		r = -EINVAL; /* a key of this type has no default here */
	}
	assert(r == 0);
	return value;
}

uint64_t schema_value(enum section section, const struct node *map, const char *key)
{
	const struct schema_key *k = schema_find(section, key);
	const struct node *n = node_get(map, key);

	assert(k && k->value);
	return n && !n->bad ? n->value : default_value(k);
}
