/* What the kinds of file systems have in common: walking a path name by name, and
 * ranges that lie within the volume. Runs in the process that looks for files. */
#include "gateway/files/kind.h"

#include <stdio.h>

#define COMPONENTS_MOST 256

int look_range(struct look *l, uint64_t block, uint64_t blocks)
{
	const struct volume *v = l->v;

	if (block >= v->blocks || blocks > v->blocks - block)
		return -EUCLEAN;
	return finding_range(l->f, v->offset + block * v->block_bytes, blocks * v->block_bytes);
}

int look_unclear(struct look *l, const char *tool, const char *what)
{
	(void)snprintf(l->box->why, TOOL_WHY,
		       "%s does not tell %s%s%s: the file system is damaged, or newer than it",
		       tool, what, l->box->words[0] ? "; it says: " : "", l->box->words);
	return -EUCLEAN;
}

static bool next_name(struct text *path, struct text *ret_name)
{
	while (text_skip(path, "/"))
		;
	*ret_name = *path;
	while (path->p < path->end && *path->p != '/')
		path->p++;
	ret_name->end = path->p;
	return text_left(ret_name) > 0;
}

int look_walk(struct look *l, const char *path,
	      int (*step)(struct look *l, uint64_t folder, const struct text *name,
			  uint64_t *ret_inode),
	      uint64_t *ret_inode)
{
	struct text rest = text_over(path, strlen(path)), name;
	uint64_t at = l->v->root;
	int r = 0;

	for (unsigned i = 0; r == 0 && next_name(&rest, &name); i++)
		r = i < COMPONENTS_MOST ? step(l, at, &name, &at) : -ENAMETOOLONG;
	if (r < 0)
		return r;
	*ret_inode = at;
	return 0;
}
