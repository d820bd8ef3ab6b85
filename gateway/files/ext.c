/* ext2, ext3 and ext4, through debugfs. Its requests are made of numbers alone: a path
 * is walked folder by folder, so no name ever stands in a request. Runs in the process
 * that looks for files; what debugfs says is hostile. */
#include "gateway/files/kind.h"

#include <inttypes.h>
#include <stdio.h>

#define JOURNAL_INODE	8
#define RESERVED_INODES 10

static int debugfs(struct look *l, const char *request, struct tool_output *ret_output)
{
	const char *const arguments[] = {"-R", request, TOOL_WINDOW, NULL};

	return tool_run(l->box, TOOL_DEBUGFS, arguments, ret_output);
}

/* "/INODE/MODE/UID/GID/NAME/SIZE/" and a newline; the size is missing of what is no file. A name
 * may have newlines in it. */
bool ext_read_folder(struct text t, const struct text *name, uint64_t *ret_inode)
{
	uint64_t inode, number;

	while (t.p < t.end) {
		struct text e = t;

		if (text_skip(&e, "/") && text_number(&e, &inode) && text_skip(&e, "/") &&
		    text_number(&e, &number) && text_skip(&e, "/") && text_number(&e, &number) &&
		    text_skip(&e, "/") && text_number(&e, &number) && text_skip(&e, "/") &&
		    text_left(&e) > text_left(name) && memcmp(e.p, name->p, text_left(name)) == 0 &&
		    e.p[text_left(name)] == '/') {
			*ret_inode = inode;
			return inode > 0;
		}
		if (!text_find(&t, "\n"))
			break;
	}
	return false;
}

static int ext_step(struct look *l, uint64_t folder, const struct text *name, uint64_t *ret_inode)
{
	OWNED_OUTPUT o = {.text = NULL};
	char request[64];
	int r;

	(void)snprintf(request, sizeof request, "ls -p <%" PRIu64 ">", folder);
	r = debugfs(l, request, &o);
	if (r < 0)
		return r;
	return ext_read_folder(text_over(o.text, o.len), name, ret_inode) ? 0 : -ENOENT;
}

static int ext_find(struct look *l, const char *path, uint64_t *ret_inode)
{
	return look_walk(l, path, ext_step, ret_inode);
}

/* " mtime: 0x6b036b15:00000000 -- …": seconds, and in the two lowest bits more of them. */
static bool read_time(struct text t, const char *word, int64_t *ret_seconds)
{
	uint64_t seconds, more = 0;

	if (!text_find(&t, word) || !text_skip(&t, "0x") || !text_hex(&t, &seconds) ||
	    seconds > UINT32_MAX)
		return false;
	if (text_skip(&t, ":"))
		(void)text_hex(&t, &more);
	*ret_seconds = (int64_t)(int32_t)seconds + ((int64_t)(more & 3) << 32);
	return true;
}

/* "(0-11):24-35, (IND):36, (12-20[u]):40-48" */
static int read_runs(struct look *l, struct text t)
{
	uint64_t first, last;
	int r = 0;

	while (r == 0 && text_find(&t, "):")) {
		if (!text_number(&t, &first))
			return -EUCLEAN;
		last = first;
		if (text_skip(&t, "-") && (!text_number(&t, &last) || last < first))
			return -EUCLEAN;
		r = last - first == UINT64_MAX ? -EUCLEAN : look_range(l, first, last - first + 1);
	}
	return r;
}

int ext_read_stat(struct look *l, struct text t)
{
	struct files_answer *a = &l->f->answer;
	struct text at = t;

	if (!text_find(&at, "Type: "))
		return -EUCLEAN;
	if (text_skip(&at, "regular"))
		a->what = FILES_FILE;
	else if (text_skip(&at, "directory"))
		a->what = FILES_FOLDER;
	else
		return -EINVAL;
	if (!text_find(&at, "Size: ") || !text_number(&at, &a->size_bytes) ||
	    !read_time(at, " mtime: ", &a->modified_s) || !read_time(at, " ctime: ", &a->changed_s))
		return -EUCLEAN;
	a->shared = text_find(&at, "\nSize of inline data: ");
	if (text_find(&at, "\nEXTENTS:\n") || text_find(&at, "\nBLOCKS:\n"))
		return read_runs(l, at);
	return 0;
}

/* "located at block 277, offset 0x0300": contents within the inode. */
static int map_inode(struct look *l, uint64_t inode)
{
	OWNED_OUTPUT o = {.text = NULL};
	char request[64];
	uint64_t block, offset;
	struct text t;
	int r;

	(void)snprintf(request, sizeof request, "imap <%" PRIu64 ">", inode);
	r = debugfs(l, request, &o);
	if (r < 0)
		return r;
	t = text_over(o.text, o.len);
	if (!text_find(&t, "located at block ") || !text_number(&t, &block) ||
	    !text_skip(&t, ", offset 0x") || !text_hex(&t, &offset) || block >= l->v->blocks ||
	    offset >= l->v->block_bytes)
		return look_unclear(l, "debugfs", "where the inode is");
	return finding_range(l->f, l->v->offset + block * l->v->block_bytes + offset,
			     l->v->inode_bytes);
}

static int ext_map(struct look *l, uint64_t inode)
{
	OWNED_OUTPUT o = {.text = NULL};
	char request[64];
	int r;

	(void)snprintf(request, sizeof request, "stat <%" PRIu64 ">", inode);
	if ((r = debugfs(l, request, &o)) < 0)
		return r;
	r = ext_read_stat(l, text_over(o.text, o.len));
	if (r == -EUCLEAN)
		return look_unclear(l, "debugfs", "which blocks the file has");
	if (r == 0 && l->f->answer.shared)
		r = map_inode(l, inode);
	return r;
}

/* "BLOCK\tINODE", or "BLOCK\t<block not found>". */
bool ext_read_owner(struct text t, uint64_t block, uint64_t *ret_inode)
{
	struct text line;
	uint64_t number;

	while (text_line(&t, &line))
		if (text_number(&line, &number) && number == block && text_skip(&line, "\t") &&
		    text_number(&line, &number)) {
			*ret_inode = number;
			return true;
		}
	return false;
}

/* "INODE\tPATH" for each name; what does not begin so belongs to the name before. */
int ext_read_names(struct look *l, struct text t, uint64_t inode)
{
	char head[32];
	int r = 0;

	(void)snprintf(head, sizeof head, "\n%" PRIu64 "\t", inode);
	if (!text_find(&t, head))
		return 0;
	while (r == 0 && text_left(&t) > 0) {
		struct text name = t;
		bool more = text_find(&t, head);

		name.end = more ? t.p - strlen(head) : t.end;
		if (!more && name.end > name.p && name.end[-1] == '\n')
			name.end--;
		if (text_left(&name) > 1 && name.p[1] == '/') /* "//name", of the root */
			name.p++;
		r = finding_name(l->f, name.p, text_left(&name));
		if (!more)
			break;
	}
	return r;
}

static int name_inode(struct look *l, uint64_t inode)
{
	OWNED_OUTPUT o = {.text = NULL};
	char request[64];
	int r;

	(void)snprintf(request, sizeof request, "ncheck %" PRIu64, inode);
	r = debugfs(l, request, &o);
	return r < 0 ? r : ext_read_names(l, text_over(o.text, o.len), inode);
}

/* The kind, size and times, without the ranges. */
static int describe_inode(struct look *l, uint64_t inode)
{
	OWNED_OUTPUT o = {.text = NULL};
	char request[64];
	int r;

	(void)snprintf(request, sizeof request, "stat <%" PRIu64 ">", inode);
	if ((r = debugfs(l, request, &o)) < 0)
		return r;
	r = ext_read_stat(l, text_over(o.text, o.len));
	finding_no_ranges(l->f);
	if (r == -EINVAL) { /* a symbolic link, …: it has a name, too */
		l->f->answer.what = FILES_FILE;
		r = 0;
	}
	return r == -EUCLEAN ? look_unclear(l, "debugfs", "what the inode is") : r;
}

/* No file's: free, or the file system's own. */
static int at_nobodys(struct look *l, uint64_t block)
{
	struct files_answer *a = &l->f->answer;
	OWNED_OUTPUT o = {.text = NULL};
	char request[64];
	struct text t;
	int r;

	(void)snprintf(request, sizeof request, "testb %" PRIu64, block);
	if ((r = debugfs(l, request, &o)) < 0)
		return r;
	t = text_over(o.text, o.len);
	if (text_find(&t, "marked in use")) {
		a->what = FILES_METADATA;
		(void)string_copy(a->note, sizeof a->note,
				  "superblock, group descriptors, bitmaps or inodes");
	} else if (text_find(&t, "not in use")) {
		a->what = FILES_FREE;
	} else {
		return look_unclear(l, "debugfs", "whether the block is in use");
	}
	return 0;
}

static int ext_at(struct look *l, uint64_t offset)
{
	struct files_answer *a = &l->f->answer;
	uint64_t block = offset / l->v->block_bytes;
	OWNED_OUTPUT o = {.text = NULL};
	char request[64];
	int r;

	/* With blocks of 1 KiB, block 0 is before the file system. */
	if (block == 0) {
		a->what = FILES_METADATA;
		(void)string_copy(a->note, sizeof a->note, "boot block, superblock");
		return 0;
	}
	(void)snprintf(request, sizeof request, "icheck %" PRIu64, block);
	if ((r = debugfs(l, request, &o)) < 0)
		return r;
	if (!ext_read_owner(text_over(o.text, o.len), block, &a->inode))
		return at_nobodys(l, block);
	if (a->inode == JOURNAL_INODE) {
		a->what = FILES_JOURNAL;
		return 0;
	}
	if (a->inode <= RESERVED_INODES && a->inode != l->v->root) {
		a->what = FILES_METADATA;
		(void)string_copy(a->note, sizeof a->note, "a reserved inode");
		return 0;
	}
	r = describe_inode(l, a->inode);
	return r < 0 ? r : name_inode(l, a->inode);
}

const struct kind kind_ext = {ext_find, ext_map, ext_at};
