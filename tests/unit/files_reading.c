/* What debugfs, xfs_db and ntfs-3g's tools say, as they say it of file systems that are well, and
 * as they would of ones that are made to lie. */
#include "gateway/files/kind.h"
#include "tests/unit/test.h"

static const struct volume ext = {.kind = VOLUME_EXT,
				  .block_bytes = 1024,
				  .blocks = 65536,
				  .inode_bytes = 256,
				  .offset = 1 << 20};
static const struct volume xfs = {.kind = VOLUME_XFS,
				  .block_bytes = 4096,
				  .blocks = 76800,
				  .group_blocks = 19200,
				  .group_block_log = 15,
				  .inode_block_log = 3,
				  .inode_bytes = 512};
static const struct volume ntfs = {
	.kind = VOLUME_NTFS, .block_bytes = 4096, .blocks = 16383, .inode_bytes = 1024};

#define EXT_HEAD                                                        \
	"Inode: 14   Type: regular    Mode:  0644   Flags: 0x80000\n"   \
	"User:     0   Group:     0   Project:     0   Size: 3000000\n" \
	"Links: 2   Blockcount: 5860\n"                                 \
	" ctime: 0x6b036b16:00000000 -- Sun Nov 22 22:22:14 2026\n"     \
	" mtime: 0x6b036b15:00000000 -- Sun Nov 22 22:22:13 2026\n"
#define XFS_HEAD                                                                \
	"core.mode = 0100644\ncore.format = 2 (extents)\ncore.size = 3000000\n" \
	"core.mtime.sec = Sun Nov 22 22:22:13 2026\ncore.mtime.nsec = 4\n"      \
	"core.ctime.sec = Sun Nov 22 22:22:14 2026\ncore.realtime = 0\n"

static int read_ext(struct look *l, struct text t)
{
	return ext_read_stat(l, t);
}

static int read_xfs(struct look *l, struct text t)
{
	return xfs_read_inode(l, t, 132);
}

static int read_ntfs(struct look *l, struct text t)
{
	bool resident;

	l->f->answer.what = FILES_FILE;
	return ntfs_read_runs(l, t, &resident);
}

/* Ranges in octets of the disk. */
static const struct map_row {
	const char *why;
	const struct volume *v;
	int (*read)(struct look *l, struct text t);
	const char *text;
	int want;
	size_t count;
	struct files_range ranges[3];
} maps[] = {
	{"ext: extents, with holes and what is not written yet",
	 &ext,
	 read_ext,
	 EXT_HEAD "EXTENTS:\n(0-9):100-109, (20[u]):200, (ETB0):300\n",
	 0,
	 3,
	 {{(1 << 20) + 102400, 10240}, {(1 << 20) + 204800, 1024}, {(1 << 20) + 307200, 1024}}},
	{"ext: block lists with their indirect blocks are one piece",
	 &ext,
	 read_ext,
	 EXT_HEAD "BLOCKS:\n(0-11):24-35, (IND):36, (12-20):37-45\nTOTAL: 22\n",
	 0,
	 1,
	 {{(1 << 20) + 24 * 1024, 22 * 1024}}},
	{"ext: a file without blocks", &ext, read_ext, EXT_HEAD "EXTENTS:\n", 0, 0, {{0}}},
	{"ext: blocks beyond the file system are no blocks",
	 &ext,
	 read_ext,
	 EXT_HEAD "EXTENTS:\n(0-9):65530-65540\n",
	 -EUCLEAN,
	 0,
	 {{0}}},
	{"ext: a run that ends before it begins",
	 &ext,
	 read_ext,
	 EXT_HEAD "EXTENTS:\n(0-9):10-9\n",
	 -EUCLEAN,
	 0,
	 {{0}}},
	{"ext: a run of all numbers that there are",
	 &ext,
	 read_ext,
	 EXT_HEAD "EXTENTS:\n(0-9):0-18446744073709551615\n",
	 -EUCLEAN,
	 0,
	 {{0}}},
	{"ext: a number of more than 64 bits",
	 &ext,
	 read_ext,
	 EXT_HEAD "EXTENTS:\n(0-9):99999999999999999999999\n",
	 -EUCLEAN,
	 0,
	 {{0}}},
	{"ext: a device has no blocks to tell of",
	 &ext,
	 read_ext,
	 "Inode: 14   Type: character special\n",
	 -EINVAL,
	 0,
	 {{0}}},
	{"ext: nothing said", &ext, read_ext, "", -EUCLEAN, 0, {{0}}},
	{"xfs: the number of the group counts, not the number of the block",
	 &xfs,
	 read_xfs,
	 XFS_HEAD "data offset 0 startblock 32792 (1/24) count 2 flag 0\n"
		  "data offset 9 startblock 30 (0/30) count 1 flag 1\n",
	 0,
	 2,
	 {{(19200 + 24) * 4096ull, 8192}, {30 * 4096, 4096}}},
	{"xfs: a block behind its group",
	 &xfs,
	 read_xfs,
	 XFS_HEAD "data offset 0 startblock 1 (0/19200) count 1 flag 0\n",
	 -EUCLEAN,
	 0,
	 {{0}}},
	{"xfs: a group that there is not",
	 &xfs,
	 read_xfs,
	 XFS_HEAD "data offset 0 startblock 1 (99999999999999999/1) count 1 flag 0\n",
	 -EUCLEAN,
	 0,
	 {{0}}},
	{"xfs: a small folder lies in its inode",
	 &xfs,
	 read_xfs,
	 "core.mode = 040755\ncore.format = 1 (local)\ncore.size = 30\n"
	 "core.mtime.sec = Sun Nov 22 22:22:13 2026\ncore.ctime.sec = Sun Nov 22 22:22:14 2026\n",
	 0,
	 1,
	 {{16 * 4096 + 4 * 512, 512}}},
	{"xfs: on the realtime device",
	 &xfs,
	 read_xfs,
	 "core.mode = 0100644\ncore.realtime = 1\n",
	 -EXDEV,
	 0,
	 {{0}}},
	{"xfs: an inode that is free", &xfs, read_xfs, "core.mode = 0\n", -EINVAL, 0, {{0}}},
	{"ntfs: runs of all attributes; holes have no cluster",
	 &ntfs,
	 read_ntfs,
	 "Dump: /a\n    0x10 - resident\n    0x80 - non-resident\n"
	 "             VCN     LCN     Length\n"
	 "               0     8704      733\n             733       -1       10\n"
	 "             743        4        1\n",
	 0,
	 2,
	 {{8704 * 4096, 733 * 4096}, {4 * 4096, 4096}}},
	{"ntfs: clusters beyond the file system",
	 &ntfs,
	 read_ntfs,
	 "   0   16000   400\n",
	 -EUCLEAN,
	 0,
	 {{0}}},
};

static void a_map(void **state)
{
	const struct map_row *row = *state;
	struct toolbox box = {.null_fd = -1};
	struct finding f = {.error = 0};
	struct look l = {.box = &box, .v = row->v, .f = &f};

	assert_int_equal(row->read(&l, text_over(row->text, strlen(row->text))), row->want);
	if (row->want == 0) {
		assert_int_equal(f.answer.range_count, row->count);
		for (size_t i = 0; i < row->count; i++) {
			assert_int_equal(f.answer.ranges[i].lba, row->ranges[i].lba);
			assert_int_equal(f.answer.ranges[i].blocks, row->ranges[i].blocks);
		}
		if (row->read != read_ntfs) {
			assert_int_equal(f.answer.modified_s, 1795386133);
			assert_int_equal(f.answer.changed_s, 1795386134);
		}
	}
	finding_free(&f);
}

/* --- folders ------------------------------------------------------------------------------ */

static const char ext_folder[] = "/12/040755/0/0/.//\n/2/040755/0/0/..//\n/13/100644/0/0/a b/1/\n"
				 "/14/100644/0/0/new\nline/1/\n/15/100644/0/0/quo\"te;x/1/\n"
				 "/0/100644/0/0/gone/1/\n/17/100644/0/0/a\n/99/100644/0/0/b/1/\n\n";
static const char xfs_folder[] =
	"8          128                directory      0x0000002e   1 . (good)\n"
	"12         131                regular        0x3db8766b   3 a b (good)\n"
	"15         132                regular        0x1dca92e6   8 new\nline (good)\n"
	"18         133                regular        0x1dca92e6   64 \n"
	"1          666                regular        0x1dca92e6   4 evil (good)\n"
	"                                                                (good)\n"
	"21         262272             directory      0x001934f2   3 dir (good)\n";

static const struct folder_row {
	const char *why;
	bool (*read)(struct text t, const struct text *name, uint64_t *ret_inode);
	const char *text, *name;
	uint64_t want; /* 0: not found */
} folders[] = {
	{"ext: a name with a blank", ext_read_folder, ext_folder, "a b", 13},
	{"ext: a name with a newline", ext_read_folder, ext_folder, "new\nline", 14},
	{"ext: a name with a quote and a semicolon", ext_read_folder, ext_folder, "quo\"te;x", 15},
	{"ext: the beginning of a name is not the name", ext_read_folder, ext_folder, "new", 0},
	{"ext: what is deleted has no inode", ext_read_folder, ext_folder, "gone", 0},
	{"ext: no such name", ext_read_folder, ext_folder, "c", 0},
	{"xfs: a name with a blank", xfs_read_folder, xfs_folder, "a b", 131},
	{"xfs: a name with a newline", xfs_read_folder, xfs_folder, "new\nline", 132},
	{"xfs: what stands within a name is no entry", xfs_read_folder, xfs_folder, "evil", 0},
	{"xfs: a folder behind it", xfs_read_folder, xfs_folder, "dir", 262272},
	{"xfs: nothing said", xfs_read_folder, "", "dir", 0},
};

static void a_folder(void **state)
{
	const struct folder_row *row = *state;
	struct text name = text_over(row->name, strlen(row->name));
	uint64_t inode = 0;

	assert_int_equal(row->read(text_over(row->text, strlen(row->text)), &name, &inode),
			 row->want != 0);
	assert_int_equal(inode, row->want);
}

/* --- whose a block is ----------------------------------------------------------------------- */

static int names_ext(struct look *l, struct text t)
{
	l->f->answer.what = FILES_FILE;
	l->f->answer.inode = 14;
	return ext_read_names(l, t, 14);
}

static const struct owner_row {
	const char *why;
	int (*read)(struct look *l, struct text t);
	const char *text;
	enum files_what what;
	uint64_t inode;
	const char *names[3];
} owners[] = {
	{"ext: every hard link, and a name with a newline",
	 names_ext,
	 "Inode\tPathname\n14\t//payroll.xlsx\n14\t/dir/new\nline\n",
	 FILES_FILE,
	 14,
	 {"/payroll.xlsx", "/dir/new\nline"}},
	{"ext: an inode without a name", names_ext, "Inode\tPathname\n", FILES_FILE, 14, {NULL}},
	{"xfs: a file",
	 xfs_read_use,
	 "setting block 0/1 to btbno\nblock 24 (0/24) type data inode 132 dir/a b\n",
	 FILES_FILE,
	 132,
	 {"/dir/a b"}},
	{"xfs: a folder without a name",
	 xfs_read_use,
	 "block 24 (0/24) type dir inode 132\n",
	 FILES_FOLDER,
	 132,
	 {NULL}},
	{"xfs: free blocks", xfs_read_use, "block 24 (0/24) type free1\n", FILES_FREE, 0, {NULL}},
	{"xfs: the log", xfs_read_use, "block 24 (0/24) type log\n", FILES_JOURNAL, 0, {NULL}},
	{"xfs: a type that is not known is the file system's",
	 xfs_read_use,
	 "block 24 (0/24) type whatever inode 7 x\n",
	 FILES_METADATA,
	 0,
	 {NULL}},
	{"ntfs: a file; its attribute is no part of its name",
	 ntfs_read_users,
	 "Searching for cluster 8704\nInode 64 /a $b/$DATA\n* one inode found\n",
	 FILES_FILE,
	 64,
	 {"/a $b"}},
	{"ntfs: a folder",
	 ntfs_read_users,
	 "Inode 70 /dir/$INDEX_ALLOCATION($I30)\n",
	 FILES_FOLDER,
	 70,
	 {"/dir"}},
};

static void an_owner(void **state)
{
	const struct owner_row *row = *state;
	struct toolbox box = {.null_fd = -1};
	struct finding f = {.error = 0};
	struct look l = {.box = &box, .v = &xfs, .f = &f};

	assert_int_equal(row->read(&l, text_over(row->text, strlen(row->text))), 0);
	assert_int_equal(f.answer.what, row->what);
	assert_int_equal(f.answer.inode, row->inode);
	for (size_t i = 0; i <= f.answer.name_count; i++) {
		assert_int_equal(row->names[i] != NULL, i < f.answer.name_count);
		if (row->names[i])
			assert_string_equal(f.answer.names[i], row->names[i]);
	}
	finding_free(&f);
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, maps, a_map);
	TESTS_ADD_TABLE(&t, folders, a_folder);
	TESTS_ADD_TABLE(&t, owners, an_owner);
	return tests_run(&t, "files_reading");
}
