/* What file systems' tools say, and the answer made of it, from any octets: ranges lie within the
 * file system. The first octet chooses the reader. */
#include "gateway/files/kind.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int others(struct look *l, struct text t)
{
	struct text name = text_over("a b", 3);
	uint64_t inode = 0;
	bool yes = ext_read_folder(t, &name, &inode);

	yes = xfs_read_folder(t, &name, &inode) || yes;
	yes = ext_read_owner(t, 7, &inode) || yes;
	return ext_read_names(l, t, 14) | xfs_read_inode(l, t, 132) | ntfs_read_info(l, t, &inode) |
	       ntfs_read_runs(l, t, &yes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int (*const readers[])(struct look *, struct text) = {ext_read_stat, xfs_read_use,
								     ntfs_read_users, others};
	static const struct volume v = {.block_bytes = 1024, .blocks = 5000, .group_blocks = 1250};
	struct toolbox box = {.null_fd = -1};
	struct finding f = {.error = 0};
	struct look l = {.box = &box, .v = &v, .f = &f};
	struct files_answer a;
	char why[FILES_WHY];

	if (size == 0)
		return 0;
	IGNORE_RESULT(readers[data[0] % 4](&l, text_over((const char *)data + 1, size - 1)));
	for (size_t i = 0; i < f.answer.range_count; i++)
		if (f.answer.ranges[i].lba + f.answer.ranges[i].blocks > v.blocks * v.block_bytes)
			abort();
	finding_free(&f);
	if (answer_decode(data + 1, size - 1, &a, why) == 0)
		files_answer_free(&a);
	return 0;
}
