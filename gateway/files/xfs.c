/* XFS, through xfs_db. Its commands are made of numbers alone: a path is walked folder
 * by folder, so no name ever stands in a command. Runs in the process that looks for
 * files; what xfs_db says is hostile. */
#include "gateway/files/kind.h"

#include <inttypes.h>
#include <stdio.h>

static int xfs_db(struct look *l, const char *const *commands, struct tool_output *ret_output)
{
	const char *arguments[TOOL_ARGUMENTS] = {"-r", "-f"};
	size_t n = 2;

	for (; *commands; commands++) {
		assert(n + 4 < TOOL_ARGUMENTS);
		arguments[n++] = "-c";
		arguments[n++] = *commands;
	}
	arguments[n] = TOOL_WINDOW;
	return tool_run(l->box, TOOL_XFS_DB, arguments, ret_output);
}

/* OFFSET INODE TYPE 0xHASH LENGTH NAME (good): LENGTH octets of a name may be anything. */
bool xfs_read_folder(struct text t, const struct text *name, uint64_t *ret_inode)
{
	uint64_t number, inode, len;

	while (t.p < t.end) {
		struct text e = t;
		bool entry;

		text_blanks(&e);
		entry = text_number(&e, &number);
		text_blanks(&e);
		entry = entry && text_number(&e, &inode);
		entry = entry && text_find(&e, " 0x") && text_hex(&e, &number);
		text_blanks(&e);
		entry = entry && text_number(&e, &len) && text_skip(&e, " ") &&
			len <= text_left(&e);
		if (entry) {
			if (len == text_left(name) && memcmp(e.p, name->p, len) == 0) {
				*ret_inode = inode;
				return true;
			}
			t.p = e.p + len;
		}
		if (!text_find(&t, "\n"))
			break;
	}
	return false;
}

static int xfs_step(struct look *l, uint64_t folder, const struct text *name, uint64_t *ret_inode)
{
	OWNED_OUTPUT o = {.text = NULL};
	char inode[64];
	const char *const commands[] = {inode, "ls", NULL};
	struct text t;
	int r;

	(void)snprintf(inode, sizeof inode, "inode %" PRIu64, folder);
	r = xfs_db(l, commands, &o);
	if (r < 0)
		return r;
	t = text_over(o.text, o.len);
	if (text_skip(&t, "command ls not found"))
		return look_unclear(l, "xfs_db, older than 5.11,", "what is in a folder");
	return xfs_read_folder(t, name, ret_inode) ? 0 : -ENOENT;
}

static int xfs_find(struct look *l, const char *path, uint64_t *ret_inode)
{
	return look_walk(l, path, xfs_step, ret_inode);
}

/* Behind "\nFIELD = "; the text begins with a line of its own. */
static bool field(struct text t, const char *name, struct text *ret_value)
{
	struct text line;

	while (text_line(&t, &line))
		if (text_skip(&line, name) && text_skip(&line, " = ")) {
			*ret_value = line;
			return true;
		}
	return false;
}

/* "data offset 0 startblock 24 (0/24) count 733 flag 0": group and block within it. */
static int read_run(struct look *l, struct text line)
{
	uint64_t group, block, count;

	if (!text_find(&line, "startblock "))
		return 0;
	if (!text_find(&line, "(") || !text_number(&line, &group) || !text_skip(&line, "/") ||
	    !text_number(&line, &block) || !text_find(&line, "count ") ||
	    !text_number(&line, &count) || block >= l->v->group_blocks ||
	    !MUL_OK(group, l->v->group_blocks, &group) || !ADD_OK(group, block, &block))
		return -EUCLEAN;
	return look_range(l, block, count);
}

/* Contents within the inode. */
static int map_inode(struct look *l, uint64_t inode)
{
	const struct volume *v = l->v;
	unsigned low = v->group_block_log + v->inode_block_log;
	uint64_t group = low < 64 ? inode >> low : 0,
		 block = inode >> v->inode_block_log & ((1ull << v->group_block_log) - 1),
		 at = (inode & ((1ull << v->inode_block_log) - 1)) * v->inode_bytes;

	if (group > v->blocks / v->group_blocks || block >= v->group_blocks ||
	    at >= v->block_bytes || group * v->group_blocks + block >= v->blocks)
		return -EUCLEAN;
	return finding_range(l->f,
			     v->offset + (group * v->group_blocks + block) * v->block_bytes + at,
			     v->inode_bytes);
}

static int read_kind(struct files_answer *a, struct text t)
{
	struct text value;
	uint64_t mode, flag;

	if (!field(t, "core.mode", &value) || !text_octal(&value, &mode))
		return -EUCLEAN;
	mode &= 0170000;
	if (mode != 0100000 && mode != 0040000)
		return -EINVAL;
	a->what = mode == 0040000 ? FILES_FOLDER : FILES_FILE;
	if (field(t, "core.realtime", &value) && text_number(&value, &flag) && flag != 0)
		return -EXDEV;
	return 0;
}

int xfs_read_inode(struct look *l, struct text t, uint64_t inode)
{
	struct files_answer *a = &l->f->answer;
	struct text value, line;
	uint64_t format;
	int r = read_kind(a, t);

	if (r < 0)
		return r;
	if (!field(t, "core.size", &value) || !text_number(&value, &a->size_bytes) ||
	    !field(t, "core.mtime.sec", &value) || !text_date(&value, &a->modified_s) ||
	    !field(t, "core.ctime.sec", &value) || !text_date(&value, &a->changed_s) ||
	    !field(t, "core.format", &value) || !text_number(&value, &format))
		return -EUCLEAN;
	a->shared = format == 1; /* local */
	if (a->shared)
		return map_inode(l, inode);
	while (r == 0 && text_line(&t, &line))
		if (text_skip(&line, "data offset "))
			r = read_run(l, line);
	return r;
}

static int xfs_map(struct look *l, uint64_t inode)
{
	OWNED_OUTPUT o = {.text = NULL};
	char command[64];
	const char *const commands[] = {
		command,
		"print core.mode core.format core.size core.mtime core.ctime core.realtime", "bmap",
		NULL};
	int r;

	(void)snprintf(command, sizeof command, "inode %" PRIu64, inode);
	if ((r = xfs_db(l, commands, &o)) < 0)
		return r;
	r = xfs_read_inode(l, text_over(o.text, o.len), inode);
	if (r == -EXDEV)
		(void)snprintf(
			l->box->why, TOOL_WHY,
			"the file is on the file system's realtime device, not on this disk");
	return r == -EUCLEAN ? look_unclear(l, "xfs_db", "which blocks the file has") : r;
}

static const struct use {
	const char *type;
	enum files_what what;
	const char *note;
} uses[] = {
	{"free1", FILES_FREE, ""},
	{"free2", FILES_FREE, ""},
	{"freelist", FILES_METADATA, "list of free blocks"},
	{"log", FILES_JOURNAL, ""},
	{"data", FILES_FILE, ""},
	{"rtdata", FILES_FILE, ""},
	{"symlink", FILES_FILE, "a symbolic link"},
	{"attr", FILES_FILE, "its attributes"},
	{"btbmapd", FILES_FILE, "the map of its blocks"},
	{"btbmapa", FILES_FILE, "the map of its attributes"},
	{"dir", FILES_FOLDER, ""},
	{"inode", FILES_METADATA, "inodes"},
	{"sb", FILES_METADATA, "superblock"},
};

static const struct use *use_find(const struct text *type)
{
	for (size_t i = 0; i < ARRAY_LEN(uses); i++)
		if (text_left(type) == strlen(uses[i].type) &&
		    memcmp(type->p, uses[i].type, text_left(type)) == 0)
			return &uses[i];
	return NULL;
}

/* " inode 132 dir/name" */
static int read_owner(struct look *l, struct text rest)
{
	char path[FILES_PATH_MAX];

	if (!text_skip(&rest, " inode ") || !text_number(&rest, &l->f->answer.inode) ||
	    !text_skip(&rest, " "))
		return 0;
	(void)snprintf(path, sizeof path, "/%.*s", (int)MIN(text_left(&rest), sizeof path), rest.p);
	return finding_name(l->f, path, strlen(path));
}

/* "block 24 (0/24) type data inode 132 dir/name", up to the end: a name may have newlines. */
int xfs_read_use(struct look *l, struct text t)
{
	struct files_answer *a = &l->f->answer;
	const struct use *use;
	uint64_t number;
	struct text type;

	do {
		struct text at = t;

		if (text_skip(&at, "block ") && text_number(&at, &number) && text_skip(&at, " (") &&
		    text_number(&at, &number) && text_skip(&at, "/") && text_number(&at, &number) &&
		    text_skip(&at, ") type ")) {
			t = at;
			break;
		}
		if (!text_find(&t, "\n"))
			return -EUCLEAN;
	} while (true);
	if (text_left(&t) > 0 && t.end[-1] == '\n')
		t.end--;
	type = t;
	while (t.p < t.end && *t.p != ' ' && *t.p != '\n')
		t.p++;
	type.end = t.p;
	use = use_find(&type);
	a->what = use ? use->what : FILES_METADATA;
	if (use)
		(void)string_copy(a->note, sizeof a->note, use->note);
	else
		(void)snprintf(a->note, sizeof a->note, "tables of the file system (%.*s)",
			       (int)MIN(text_left(&type), (size_t)16), type.p);
	return a->what == FILES_FILE || a->what == FILES_FOLDER ? read_owner(l, t) : 0;
}

/* The times of the file that was found, for what they tell. */
static int describe(struct look *l)
{
	struct files_answer found = l->f->answer;
	int r = xfs_map(l, found.inode);

	finding_no_ranges(l->f);
	l->f->answer.what = found.what;
	l->f->answer.shared = false;
	return r == -EINVAL ? 0 : r;
}

static int xfs_at(struct look *l, uint64_t offset)
{
	const struct volume *v = l->v;
	uint64_t block = offset / v->block_bytes,
		 number = block / v->group_blocks << v->group_block_log | block % v->group_blocks;
	OWNED_OUTPUT o = {.text = NULL};
	char command[64];
	const char *const commands[] = {"blockget -n", command, "blockuse -n", NULL};
	int r;

	(void)snprintf(command, sizeof command, "fsblock %" PRIu64, number);
	if ((r = xfs_db(l, commands, &o)) < 0)
		return r;
	r = xfs_read_use(l, text_over(o.text, o.len));
	if (r == -EUCLEAN)
		return look_unclear(l, "xfs_db", "what the block is");
	return r == 0 && l->f->answer.inode > 0 ? describe(l) : r;
}

const struct kind kind_xfs = {xfs_find, xfs_map, xfs_at};
