/* NTFS, through ntfsinfo and ntfscluster. They take no commands: a path is one argument
 * of theirs, and begins with "/", so that it is no option. Runs in the process that
 * looks for files; what the tools say is hostile. */
#include "gateway/files/kind.h"

#include <inttypes.h>
#include <stdio.h>

#define LOG_INODE	2
#define ROOT_INODE	5
#define RESERVED_INODES 23
#define MFT_INODE	0
#define ATTRIBUTE_DATA	"0x80 "
#define ATTRIBUTE_INDEX "0xa0 "

static int info(struct look *l, const char *option, const char *value, uint64_t *ret_inode)
{
	const char *const arguments[] = {"-f", option, value, TOOL_WINDOW, NULL};
	OWNED_OUTPUT o = {.text = NULL};
	int r = tool_run(l->box, TOOL_NTFSINFO, arguments, &o);

	if (r < 0)
		return r;
	return ntfs_read_info(l, text_over(o.text, o.len), ret_inode);
}

static bool read_date(struct text t, const char *word, int64_t *ret_seconds)
{
	if (!text_find(&t, word))
		return false;
	text_blanks(&t);
	return text_date(&t, ret_seconds);
}

/* "Dumping Inode 64 (0x40)", then its attributes. -ENOENT: no such inode. */
int ntfs_read_info(struct look *l, struct text t, uint64_t *ret_inode)
{
	struct files_answer *a = &l->f->answer;
	struct text at = t;
	uint64_t number;

	if (!text_find(&t, "Dumping Inode ") || !text_number(&t, ret_inode))
		return -ENOENT;
	if (!read_date(t, "File Altered Time:", &a->modified_s) ||
	    !read_date(t, "MFT Changed Time:", &a->changed_s))
		return -EUCLEAN;
	a->what = text_find(&at, "Dumping attribute $INDEX_ROOT") ? FILES_FOLDER : FILES_FILE;
	if (!text_find(&t, "Dumping attribute $DATA") || !text_find(&t, "Data size:"))
		return 0;
	text_blanks(&t);
	if (text_number(&t, &number))
		a->size_bytes = number;
	return 0;
}

static int ntfs_find(struct look *l, const char *path, uint64_t *ret_inode)
{
	int r = info(l, "-F", path, ret_inode);

	return r == -EUCLEAN ? look_unclear(l, "ntfsinfo", "when the file was modified") : r;
}

/* "    0x80 - non-resident", a line of titles, then its runs "VCN LCN LENGTH"; holes have no LCN.
 */
int ntfs_read_runs(struct look *l, struct text t, bool *ret_resident)
{
	struct text line;
	bool resident = false;
	int r = 0;

	while (r == 0 && text_line(&t, &line)) {
		struct text at = line;
		uint64_t vcn, lcn, clusters;

		text_blanks(&line);
		resident |= text_skip(&line, ATTRIBUTE_DATA "- resident");
		line = at;
		text_blanks(&line);
		if (!text_number(&line, &vcn))
			continue;
		text_blanks(&line);
		if (!text_number(&line, &lcn))
			continue;
		text_blanks(&line);
		if (text_number(&line, &clusters) && text_left(&line) == 0)
			r = look_range(l, lcn, clusters);
	}
	*ret_resident = resident;
	return r;
}

static int runs(struct look *l, uint64_t inode, bool *ret_resident)
{
	char number[32];
	const char *const arguments[] = {"-f", "-I", number, TOOL_WINDOW, NULL};
	OWNED_OUTPUT o = {.text = NULL};
	int r;

	(void)snprintf(number, sizeof number, "%" PRIu64, inode);
	if ((r = tool_run(l->box, TOOL_NTFSCLUSTER, arguments, &o)) < 0)
		return r;
	return ntfs_read_runs(l, text_over(o.text, o.len), ret_resident);
}

/* Its contents are in its record of the MFT, whose place the MFT's own runs tell; they were put
 * into a finding of their own, in the MFT's order. */
static int map_record(struct look *l, uint64_t inode)
{
	struct finding mft = {.error = 0};
	struct look own = {l->box, l->v, &mft};
	uint64_t at;
	bool resident;
	int r = runs(&own, MFT_INODE, &resident);

	if (r == 0 && !MUL_OK(inode, l->v->inode_bytes, &at))
		r = -EUCLEAN;
	for (size_t i = 0; r == 0 && i < mft.answer.range_count; i++) {
		const struct files_range *run = &mft.answer.ranges[i];

		if (at < run->blocks) {
			r = finding_range(l->f, run->lba + at, l->v->inode_bytes);
			break;
		}
		at -= run->blocks;
	}
	finding_free(&mft);
	return r;
}

static int ntfs_map(struct look *l, uint64_t inode)
{
	bool resident = false;
	char number[32];
	uint64_t same;
	int r;

	(void)snprintf(number, sizeof number, "%" PRIu64, inode);
	r = info(l, "-i", number, &same);
	if (r == 0)
		r = runs(l, inode, &resident);
	if (r == 0 && resident && l->f->answer.what == FILES_FILE) {
		l->f->answer.shared = true;
		r = map_record(l, inode);
	}
	return r == -EUCLEAN || r == -ENOENT
		       ? look_unclear(l, "ntfscluster", "which clusters the file has")
		       : r;
}

/* The last "/$ATTRIBUTE" of a line is no part of the name. */
static void cut_attribute(struct text *name)
{
	struct text at = *name;

	while (text_find(&at, "/$"))
		name->end = at.p - 2;
}

/* "Inode 64 /payroll.xlsx/$DATA" for each attribute that has the cluster. */
int ntfs_read_users(struct look *l, struct text t)
{
	struct files_answer *a = &l->f->answer;
	struct text line;
	uint64_t inode;
	int r = 0;

	while (r == 0 && text_line(&t, &line)) {
		struct text at = line;

		if (!text_skip(&line, "Inode ") || !text_number(&line, &inode) ||
		    !text_skip(&line, " "))
			continue;
		a->inode = inode;
		a->what = text_find(&at, "/$INDEX_ALLOCATION") ? FILES_FOLDER : FILES_FILE;
		cut_attribute(&line);
		r = finding_name(l->f, line.p, text_left(&line));
	}
	return r;
}

static void reserved(struct files_answer *a)
{
	if (a->what == FILES_FREE)
		return;
	if (a->inode == LOG_INODE) {
		a->what = FILES_JOURNAL;
	} else if (a->inode <= RESERVED_INODES && a->inode != ROOT_INODE) {
		a->what = FILES_METADATA;
		(void)string_copy(a->note, sizeof a->note,
				  a->inode == MFT_INODE ? "records of the master file table"
							: "the file system's own file");
	}
}

static int ntfs_at(struct look *l, uint64_t offset)
{
	struct files_answer *a = &l->f->answer;
	uint64_t cluster = offset / l->v->block_bytes, inode;
	OWNED_OUTPUT o = {.text = NULL};
	char range[64], number[32];
	const char *const arguments[] = {"-f", "-c", range, TOOL_WINDOW, NULL};
	enum files_what what;
	int r;

	if (cluster >= l->v->blocks) {
		a->what = FILES_METADATA;
		(void)string_copy(a->note, sizeof a->note, "the boot sector's copy");
		return 0;
	}
	(void)snprintf(range, sizeof range, "%" PRIu64 "-%" PRIu64, cluster, cluster);
	if ((r = tool_run(l->box, TOOL_NTFSCLUSTER, arguments, &o)) < 0)
		return r;
	a->what = FILES_FREE;
	r = ntfs_read_users(l, text_over(o.text, o.len));
	reserved(a);
	if (r < 0 || (a->what != FILES_FILE && a->what != FILES_FOLDER))
		return r;
	what = a->what;
	(void)snprintf(number, sizeof number, "%" PRIu64, a->inode);
	r = info(l, "-i", number, &inode);
	a->what = what;
	return r == -EUCLEAN || r == -ENOENT ? 0 : r; /* the times alone are missing */
}

const struct kind kind_ntfs = {ntfs_find, ntfs_map, ntfs_at};
