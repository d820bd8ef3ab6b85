/* What a disk says that it is: its NAA, serial, vendor and product, and the names that it had
 * before. Runs in the monitor and the command line, on a tree that the schema has checked.
 * Initiators take two disks of one identity for two paths to one disk, and destroy both. */
#include "policy/compile.h"

#define NAA_DIGITS_MAX 32

static int digit_value(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

/* SPC-4 section 7.8.6.6: NAA 2h, 3h and 5h have 8 octets, 6h has 16. */
static bool naa_fits(size_t digits, int kind)
{
	return digits == 16 ? kind == 2 || kind == 3 || kind == 5 : digits == 32 && kind == 6;
}

static bool naa_read(const char *text, struct policy_identity *ret)
{
	size_t len = strlen(text);
	uint8_t naa[NAA_DIGITS_MAX / 2] = {0};

	if (!naa_fits(len, digit_value(text[0])))
		return false;
	for (size_t i = 0; i < len; i++) {
		int value = digit_value(text[i]);

		if (value < 0)
			return false;
		naa[i / 2] = (uint8_t)(naa[i / 2] << 4 | value);
	}
	memcpy(ret->naa, naa, sizeof naa);
	ret->naa_len = (uint8_t)(len / 2);
	return true;
}

/* SPC-4 section 4.3.1: ASCII of 20h to 7Eh, filled up with blanks at its end. */
static bool is_printable(const char *text)
{
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i++)
		if (text[i] < 0x20 || text[i] > 0x7e)
			return false;
	return len > 0 && text[0] != ' ' && text[len - 1] != ' ';
}

static void text_compile(struct compiler *c, const struct node *identity, const char *key,
			 char *ret, size_t size)
{
	const char *text = node_text(identity, key);

	if (!text)
		return;
	if (is_printable(text)) {
		(void)string_copy(ret, size, text);
		return;
	}
	diagnose_error(c->d, node_get(identity, key)->at, "\"%s\" is no %s that a disk can tell",
		       shown_text(text).text, key);
	diagnose_hint(c->d, "it has printable ASCII characters, and no blank at its ends");
}

static void identity_compile(struct compiler *c, struct policy_disk *disk,
			     const struct node *identity)
{
	struct policy_identity *to = &disk->identity;
	const char *naa = node_text(identity, "naa");

	if (naa && !naa_read(naa, to)) {
		diagnose_error(c->d, node_get(identity, "naa")->at, "\"%s\" is no NAA identifier",
			       shown_text(naa).text);
		diagnose_hint(c->d, "it has 16 hexadecimal digits that begin with 2, 3 or 5, or "
				    "32 that begin with 6");
	}
	text_compile(c, identity, "serial", to->serial, sizeof to->serial);
	text_compile(c, identity, "vendor", to->vendor, sizeof to->vendor);
	text_compile(c, identity, "product", to->product, sizeof to->product);
}

static void former_name(struct compiler *c, struct policy_disk *disk, const struct node *n)
{
	if (!name_ok(n->text)) {
		diagnose_error(c->d, n->at, "\"%s\" is no name for a disk",
			       shown_text(n->text).text);
		diagnose_hint(c->d, "name what it was called in the policy before");
	} else if (strcmp(n->text, disk->name) == 0) {
		diagnose_error(c->d, n->at, "\"%s\" is what the disk is called now", n->text);
		diagnose_hint(c->d, "take it out");
	} else {
		(void)string_copy(disk->formerly[disk->formerly_count++], POLICY_NAME_SIZE,
				  n->text);
	}
}

void compile_identity(struct compiler *c, struct policy_disk *disk, const struct node *n)
{
	const struct node *formerly = node_list(n, "formerly");

	identity_compile(c, disk, node_map(n, "identity"));
	disk->formerly = compile_alloc(c, node_count(formerly), sizeof *disk->formerly);
	for (const struct node *f = node_first(formerly); f && disk->formerly; f = f->next)
		if (!f->bad)
			former_name(c, disk, f);
}

/* --- all of them -------------------------------------------------------------------------- */

/* What may be there once: an NAA, a serial, a name of now or of before. */
struct claim_row {
	const char *text;
	const struct node *node;
	const char *disk;
	bool former;
};

struct claims {
	struct claim_row *rows;
	size_t count;
};

static int claim_compare(const void *a, const void *b)
{
	const struct claim_row *x = a, *y = b;
	int r = strcasecmp(x->text, y->text); /* NAAs; serials that differ so are no two either */

	if (r == 0 && x->former != y->former)
		return x->former ? 1 : -1; /* the disk that has the name now, first */
	return r ? r : place_compare(x->node->at, y->node->at);
}

static void claims_add(struct claims *claims, const struct node *n, const struct node *disk,
		       bool former)
{
	if (n && n->kind == NODE_TEXT && !n->bad)
		claims->rows[claims->count++] =
			(struct claim_row){n->text, n, disk->key->text, former};
}

static void claims_sort(struct claims *claims)
{
	if (claims->count > 0)
		qsort(claims->rows, claims->count, sizeof *claims->rows, claim_compare);
}

static void once_check(struct compiler *c, const struct node *disks, const char *key,
		       struct claims *claims)
{
	claims->count = 0;
	for (const struct node *n = node_first(disks); n; n = n->next)
		claims_add(claims, node_get(node_map(n, "identity"), key), n, false);
	claims_sort(claims);
	for (size_t i = 1; i < claims->count; i++) {
		const struct claim_row *x = &claims->rows[i - 1], *y = &claims->rows[i];

		if (strcasecmp(x->text, y->text) != 0)
			continue;
		diagnose_error(
			c->d, y->node->at, "the disks \"%s\" and \"%s\" (line %u) have one %s",
			shown_text(y->disk).text, shown_text(x->disk).text, x->node->at.line, key);
		diagnose_hint(c->d, "initiators would take them for one disk, and destroy both");
	}
}

static void former_check(struct compiler *c, const struct node *disks, struct claims *claims)
{
	claims->count = 0;
	for (const struct node *n = node_first(disks); n; n = n->next) {
		claims_add(claims, n->key, n, false);
		for (const struct node *f = node_first(node_list(n, "formerly")); f; f = f->next)
			if (f->kind == NODE_TEXT && name_ok(f->text))
				claims_add(claims, f, n, true);
	}
	claims_sort(claims);
	for (size_t i = 1; i < claims->count; i++) {
		const struct claim_row *x = &claims->rows[i - 1], *y = &claims->rows[i];

		if (!y->former || strcmp(x->text, y->text) != 0 || x->disk == y->disk)
			continue;
		if (x->former)
			diagnose_error(c->d, y->node->at,
				       "\"%s\" was the name of the disk \"%s\" (line %u), too",
				       y->text, shown_text(x->disk).text, x->node->at.line);
		else
			diagnose_error(c->d, y->node->at,
				       "\"%s\" is another disk's name, at line %u", y->text,
				       x->node->at.line);
		diagnose_hint(c->d, "an identity is one disk's: take one of them out");
	}
}

void compile_identities(struct compiler *c, const struct node *disks)
{
	struct claims claims = {0};
	size_t space = 0;

	for (const struct node *n = node_first(disks); n; n = n->next)
		space += 1 + node_count(node_list(n, "formerly"));
	claims.rows = compile_alloc(c, space, sizeof *claims.rows);
	if (!claims.rows)
		return;
	once_check(c, disks, "naa", &claims);
	once_check(c, disks, "serial", &claims);
	former_check(c, disks, &claims);
	free(claims.rows);
}
