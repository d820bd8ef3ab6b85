/* The disks of a policy: one backend each, below the roots, no two on one file. Runs in the
 * monitor and the command line, on a tree that the schema has checked. */
#include <sys/stat.h>
#include "policy/compile.h"
#include "policy/types.h"

/* What a path leads to: two disks on one of these destroy each other. */
struct disk_file {
	const struct node *node;
	const char *disk;
	char *resolved;
	bool exists;
	dev_t device;
	ino_t inode;
};

static const struct {
	const char *key;
	enum policy_disk_kind kind;
} kinds[] = {{"file", POLICY_FILE}, {"device", POLICY_DEVICE}, {"memory", POLICY_MEMORY}};

static const struct node *kind_find(struct compiler *c, const struct node *n,
				    struct policy_disk *disk)
{
	const struct node *found = NULL;

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		const struct node *v = node_get(n, kinds[i].key);

		if (v && found) {
			diagnose_error(c->d, v->key->at,
				       "a disk is one of file, device and memory, and \"%s\" has "
				       "two",
				       disk->name);
			diagnose_hint(c->d, "take \"%s\" or \"%s\" out", found->key->text,
				      v->key->text);
		} else if (v) {
			found = v;
			disk->kind = kinds[i].kind;
		}
	}
	if (!found && n->kind == NODE_MAP) {
		diagnose_error(c->d, node_place(n), "the disk \"%s\" is on nothing",
			       shown_text(n->key->text).text);
		diagnose_hint(c->d, "add file: PATH, device: PATH or memory: SIZE");
	}
	return found;
}

static void size_compile(struct compiler *c, const struct node *n, const struct node *on,
			 struct policy_disk *disk)
{
	const struct node *size = node_get(n, "size");

	if (disk->kind == POLICY_MEMORY && !on->bad)
		disk->size_bytes = on->value;
	else if (disk->kind == POLICY_FILE && size && !size->bad)
		disk->size_bytes = size->value;
	if (!size || disk->kind == POLICY_FILE)
		return;
	diagnose_error(c->d, size->key->at, "\"size\" is for files: %s",
		       disk->kind == POLICY_MEMORY ? "\"memory\" says it already"
						   : "a device has its own");
	diagnose_hint(c->d, "take it out");
}

/* What is at the path on this machine, when it can be seen. */
static void file_look(struct compiler *c, const struct policy_disk *disk, struct disk_file *file)
{
	struct stat st;
	char has[QUANTITY_TEXT], wanted[QUANTITY_TEXT];
	bool want_file = disk->kind == POLICY_FILE;

	if (stat(file->resolved, &st) < 0) {
		if (errno != ENOENT || !want_file || disk->size_bytes > 0)
			return;
		diagnose_warning(c->d, file->node->at, "\"%s\" is not there, and has no size",
				 shown_text(file->node->text).text);
		diagnose_hint(c->d, "add size: 20GiB, and it is made");
		return;
	}
	file->exists = true;
	file->device = S_ISBLK(st.st_mode) ? st.st_rdev : st.st_dev;
	file->inode = S_ISBLK(st.st_mode) ? 0 : st.st_ino;
	if (want_file ? !S_ISREG(st.st_mode) : !S_ISBLK(st.st_mode)) {
		diagnose_error(c->d, file->node->at, "\"%s\" is no %s",
			       shown_text(file->node->text).text,
			       want_file ? "regular file" : "block device");
		diagnose_hint(c->d,
			      "a regular file goes under file:, a block device under device:");
	} else if (want_file && disk->size_bytes > (uint64_t)st.st_size) {
		diagnose_warning(c->d, file->node->at, "\"%s\" has %s, and grows to %s",
				 shown_text(file->node->text).text,
				 size_format((uint64_t)st.st_size, has),
				 size_format(disk->size_bytes, wanted));
		diagnose_hint(c->d, "a reload makes it larger; a gateway that starts takes it for "
				    "damaged");
	} else if (want_file && disk->size_bytes > 0 && (uint64_t)st.st_size != disk->size_bytes) {
		diagnose_error(c->d, file->node->at, "\"%s\" has %s, and not the size %s",
			       shown_text(file->node->text).text,
			       size_format((uint64_t)st.st_size, has),
			       size_format(disk->size_bytes, wanted));
		diagnose_hint(c->d, "a disk is never cut: write its size, or leave it out");
	} else if (want_file && st.st_size % disk->block_size != 0) {
		diagnose_error(c->d, file->node->at, "\"%s\" ends within a block of %u octets",
			       shown_text(file->node->text).text, disk->block_size);
		diagnose_hint(c->d, "write the block_size that it was used with");
	}
}

static void path_compile(struct compiler *c, const struct node *on, struct policy_disk *disk,
			 struct disk_file *file)
{
	char path[PATH_MAX], resolved[PATH_MAX];
	bool below = false;

	if (path_absolute(c->folder, on->text, path) < 0 || path_resolve(path, resolved) < 0) {
		diagnose_error(c->d, on->at, "\"%s\" is no path for a disk",
			       shown_text(on->text).text);
		diagnose_hint(c->d, "write the path without \"..\" and links that lead nowhere");
		return;
	}
	disk->path = compile_copy(c, path);
	*file = (struct disk_file){.node = on, .disk = disk->name};
	file->resolved = compile_copy(c, resolved);
	if (!file->resolved)
		return;
	if (c->options->in_force)
		return;
	for (size_t i = 0; i < c->policy->disk_root_count; i++)
		below = below || path_is_below(resolved, c->policy->disk_roots[i]);
	if (!below && c->policy->disk_root_count > 0) {
		diagnose_error(c->d, on->at, "\"%s\" lies outside the folders for disks",
			       shown_text(on->text).text);
		diagnose_hint(c->d, "add its folder: gateway: {disk_roots: [...]}; left out, it is "
				    "/srv, /dev and the policy's own folder");
		return;
	}
	file_look(c, disk, file);
}

static int by_path(const void *a, const void *b)
{
	const struct disk_file *x = a, *y = b;
	int r = strcmp(x->resolved, y->resolved);

	return r ? r : place_compare(x->node->at, y->node->at);
}

static int by_inode(const void *a, const void *b)
{
	const struct disk_file *x = a, *y = b;

	if (x->exists != y->exists)
		return x->exists ? -1 : 1;
	if (x->device != y->device)
		return x->device < y->device ? -1 : 1;
	if (x->inode != y->inode)
		return x->inode < y->inode ? -1 : 1;
	return place_compare(x->node->at, y->node->at);
}

static bool same_inode(const struct disk_file *x, const struct disk_file *y)
{
	return x->exists && y->exists && x->device == y->device && x->inode == y->inode;
}

static void same_file(struct compiler *c, const struct disk_file *x, const struct disk_file *y)
{
	diagnose_error(c->d, y->node->at, "the disks \"%s\" and \"%s\" (line %u) are one file",
		       shown_text(y->disk).text, shown_text(x->disk).text, x->node->at.line);
	diagnose_hint(c->d, "give each disk a file of its own, or name one disk in both targets");
}

static void files_check(struct compiler *c, struct disk_file *files, size_t count)
{
	if (count < 2)
		return;
	qsort(files, count, sizeof *files, by_path);
	for (size_t i = 1; i < count; i++)
		if (strcmp(files[i - 1].resolved, files[i].resolved) == 0)
			same_file(c, &files[i - 1], &files[i]);
	qsort(files, count, sizeof *files, by_inode);
	for (size_t i = 1; i < count; i++)
		if (same_inode(&files[i - 1], &files[i]) &&
		    strcmp(files[i - 1].resolved, files[i].resolved) != 0)
			same_file(c, &files[i - 1], &files[i]);
}

static enum policy_wish wish_compile(const struct node *n, const char *key)
{
	const struct node *wish = node_get(n, key);

	return !wish || wish->bad ? POLICY_AS_FOUND : wish->value ? POLICY_YES : POLICY_NO;
}

/* Of a choice of powers of two, the first of which is 512. */
static uint32_t block_octets(const struct node *n, const char *key)
{
	const struct schema_key *k = schema_find(SECTION_DISK, key);
	const struct node *size = node_get(n, key);
	uint64_t octets = 0;

	if (whole_number_parse(size && !size->bad ? size->text : k->value, &octets) < 0)
		return 512;
	return (uint32_t)octets;
}

static void blocks_compile(struct compiler *c, const struct node *n, struct policy_disk *disk)
{
	const struct node *physical = node_get(n, "physical_block_size");
	char has[QUANTITY_TEXT];

	disk->block_size = block_octets(n, "block_size");
	disk->physical_block_size = block_octets(n, "physical_block_size");
	if (disk->physical_block_size < disk->block_size) {
		diagnose_error(c->d, physical->at,
			       "\"physical_block_size\" is %u, and a block has %u",
			       disk->physical_block_size, disk->block_size);
		diagnose_hint(c->d, "a physical block holds whole blocks: write %u or more",
			      disk->block_size);
	}
	if (disk->size_bytes % disk->block_size != 0) {
		const struct node *size = node_get(n, "size");

		diagnose_error(c->d, size ? size->at : node_get(n, "memory")->at,
			       "%s is no multiple of a block of %u octets",
			       size_format(disk->size_bytes, has), disk->block_size);
		diagnose_hint(c->d, "the disk would end within a block");
	}
}

/* A disk in memory is in the page cache, and nowhere else. */
static void cache_check(struct compiler *c, const struct node *n, const struct policy_disk *disk)
{
	if (disk->kind != POLICY_MEMORY || !disk->direct)
		return;
	diagnose_error(c->d, node_get(n, "cache")->at,
		       "\"cache: none\" is for files and devices, and \"%s\" is in memory",
		       shown_text(disk->name).text);
	diagnose_hint(c->d, "take it out, or put the disk on a file or a device");
}

static void keys_compile(struct compiler *c, const struct node *n, struct policy_disk *disk)
{
	const struct node *durability = node_get(n, "durability");

	disk->read_only = schema_value(SECTION_DISK, n, "read_only");
	disk->write_cache = schema_value(SECTION_DISK, n, "write_cache");
	disk->removable = schema_value(SECTION_DISK, n, "removable");
	disk->direct = schema_value(SECTION_DISK, n, "cache") == 2;
	disk->cluster = schema_value(SECTION_DISK, n, "writers") == 2;
	disk->writer_lease_ms = (uint32_t)schema_value(SECTION_DISK, n, "writer_lease");
	disk->durability = durability && !durability->bad ? (enum durability)durability->value
							  : DURABILITY_INVALID;
	disk->thin = wish_compile(n, "thin");
	disk->rotational = wish_compile(n, "rotational");
	compile_identity(c, disk, n);
}

static void disk_compile(struct compiler *c, const struct node *n, struct policy_disk *disk,
			 struct disk_file *file)
{
	const struct node *on;

	name_check(c, n, "disk", disk->name);
	disk->line = node_place(n).line;
	if (n->kind != NODE_MAP)
		return;
	keys_compile(c, n, disk);
	on = kind_find(c, n, disk);
	if (!on)
		return;
	size_compile(c, n, on, disk);
	blocks_compile(c, n, disk);
	cache_check(c, n, disk);
	if (disk->kind != POLICY_MEMORY && !on->bad && on->kind == NODE_TEXT)
		path_compile(c, on, disk, file);
}

static void count_check(struct compiler *c, const struct node *disks)
{
	if (node_count(disks) <= POLICY_DISKS_MAX)
		return;
	diagnose_error(c->d, node_place(disks), "the policy has %zu disks; it can have %d",
		       node_count(disks), POLICY_DISKS_MAX);
	diagnose_hint(c->d, "serve the others by another gateway");
}

void compile_disks(struct compiler *c)
{
	const struct node *disks = node_map(c->root, "disks");
	size_t count = node_count(disks), file_count = 0;
	OWNED_FREE struct disk_file *files = compile_alloc(c, count, sizeof *files);

	c->policy->disks = compile_alloc(c, count, sizeof *c->policy->disks);
	if (!files || !c->policy->disks || !names_make(c, &c->disks, count))
		return;
	for (const struct node *n = node_first(disks); n; n = n->next) {
		size_t index = c->policy->disk_count++;

		c->disks.rows[c->disks.count++] =
			(struct name_row){n->key->text, n, index, false, n->kind != NODE_MAP};
		disk_compile(c, n, &c->policy->disks[index], &files[file_count]);
		file_count += files[file_count].resolved != NULL;
	}
	count_check(c, disks);
	compile_identities(c, disks);
	files_check(c, files, file_count);
	for (size_t i = 0; i < file_count; i++)
		free(files[i].resolved);
	names_sort(&c->disks);
}
