/* `sallyport audit files`: which blocks a file has, and which file a block belongs to, as the file
 * system on a LUN is now. Names come from file systems that initiators wrote: escaped. */
#include "gateway/cli/audit_files.h"

#include <inttypes.h>
#include "gateway/audit/escape.h"
#include "gateway/audit/json_out.h"
#include "gateway/base/when.h"

#define NS	   1000000000ull
#define JSON_LEAST 16384u

struct files {
	const struct cli *cli;
	bool utc;
	struct audit_disk disk;
	struct files_question question;
	struct files_answer answer;
};

static const char *time_text(const struct files *f, int64_t seconds, char ret[WHEN_TEXT])
{
	if (seconds <= 0 || (uint64_t)seconds > UINT64_MAX / NS)
		return "";
	return when_format((uint64_t)seconds * NS, f->utc, ret);
}

/* --- JSON --------------------------------------------------------------------------------- */

static void json_ranges(struct json_out *j, const struct files_answer *a)
{
	json_open(j, "ranges", '[');
	for (size_t i = 0; i < a->range_count; i++) {
		json_open(j, NULL, '{');
		json_number(j, "lba", a->ranges[i].lba);
		json_number(j, "blocks", a->ranges[i].blocks);
		json_close(j, '}');
	}
	json_close(j, ']');
}

static void json_names(struct json_out *j, const struct files_answer *a)
{
	json_open(j, "paths", '[');
	for (size_t i = 0; i < a->name_count; i++)
		json_text(j, NULL, a->names[i]);
	json_close(j, ']');
}

static void json_times(struct json_out *j, const struct files *f)
{
	char when[WHEN_TEXT];

	json_text(j, "mapped", when_format(f->answer.mapped_ns, f->utc, when));
	if (f->answer.what != FILES_FILE && f->answer.what != FILES_FOLDER)
		return;
	json_number(j, "inode", f->answer.inode);
	json_number(j, "size_bytes", f->answer.size_bytes);
	json_text(j, "modified", time_text(f, f->answer.modified_s, when));
	json_text(j, "changed", time_text(f, f->answer.changed_s, when));
}

static int print_json(const struct files *f)
{
	const struct files_answer *a = &f->answer;
	size_t size = JSON_LEAST + a->range_count * 64 + (a->name_count + 1) * 6 * ESCAPE_TEXT_MAX;
	OWNED_FREE char *text = malloc(size);
	struct wr w = wr_over(text, size);
	struct json_out j = {.w = &w};

	if (!text)
		return cli_cannot(f->cli, "no memory");
	json_open(&j, NULL, '{');
	json_text(&j, "what", files_what_name(a->what));
	json_text(&j, "file_system", a->system);
	json_number(&j, "partition", a->partition);
	json_number(&j, "block_bytes", f->disk.block_size);
	json_times(&j, f);
	if (f->question.path) {
		json_text(&j, "path", f->question.path);
		json_number(&j, "shared_block", a->shared);
		json_ranges(&j, a);
	} else {
		json_number(&j, "lba", f->question.lba);
		json_text(&j, "note", a->note);
		json_names(&j, a);
	}
	json_close(&j, '}');
	if (w.failed)
		return cli_cannot(f->cli, "the answer is too long for JSON");
	(void)fwrite(text, 1, wr_len(&w), stdout);
	(void)putchar('\n');
	return EXIT_DONE;
}

/* --- text --------------------------------------------------------------------------------- */

static void print_place(const struct files *f)
{
	const struct files_answer *a = &f->answer;

	if (a->system[0] != '\0')
		(void)printf("  %s", a->system);
	if (a->partition > 0)
		(void)printf("%s partition %" PRIu32, a->system[0] != '\0' ? "," : " ",
			     a->partition);
}

static void print_file(const struct files *f)
{
	const struct files_answer *a = &f->answer;
	char when[WHEN_TEXT];

	print_place(f);
	(void)printf(", inode %" PRIu64 ", %" PRIu64
		     " octets, modified %s by the initiator's clock\n",
		     a->inode, a->size_bytes, time_text(f, a->modified_s, when));
	if (a->shared)
		(void)printf(
			"  its contents lie in a block of the file system's own, with others\n");
}

static void print_path(const struct files *f)
{
	const struct files_answer *a = &f->answer;

	(void)printf("%s ", files_what_name(a->what));
	escape_put(stdout, ESCAPE_TABLE, f->question.path);
	(void)putchar('\n');
	print_file(f);
	(void)printf("  blocks of %" PRIu32 " octets:%s\n", f->disk.block_size,
		     a->range_count == 0 ? " none" : "");
	for (size_t i = 0; i < a->range_count; i++)
		(void)printf("    %" PRIu64 "-%" PRIu64 "\n", a->ranges[i].lba,
			     a->ranges[i].lba + a->ranges[i].blocks - 1);
}

static void print_block(const struct files *f)
{
	static const char *const words[FILES_WHATS] = {
		[FILES_FILE] = "belongs to the file",
		[FILES_FOLDER] = "belongs to the folder",
		[FILES_FREE] = "is free now",
		[FILES_JOURNAL] = "belongs to the file system's journal",
		[FILES_METADATA] = "belongs to the file system itself",
		[FILES_OUTSIDE] = "belongs to no file system",
	};
	const struct files_answer *a = &f->answer;

	(void)printf("block %" PRIu64 " %s", f->question.lba, words[a->what]);
	if (a->note[0] != '\0') {
		(void)printf(": ");
		escape_put(stdout, ESCAPE_TABLE, a->note);
	}
	for (size_t i = 0; i < a->name_count; i++) {
		(void)printf(i > 0 ? ", also called " : " ");
		escape_put(stdout, ESCAPE_TABLE, a->names[i]);
	}
	if (a->name_count == 0 && (a->what == FILES_FILE || a->what == FILES_FOLDER))
		(void)printf(" with inode %" PRIu64 ", which has no name", a->inode);
	(void)putchar('\n');
	if (a->what == FILES_FILE || a->what == FILES_FOLDER) {
		print_file(f);
		return;
	}
	print_place(f);
	if (a->system[0] != '\0' || a->partition > 0)
		(void)putchar('\n');
}

static int print(const struct files *f)
{
	char when[WHEN_TEXT];

	if (f->cli->json)
		return print_json(f);
	if (f->question.path)
		print_path(f);
	else
		print_block(f);
	(void)printf("  as it is on the disk at %s\n",
		     when_format(f->answer.mapped_ns, f->utc, when));
	return EXIT_DONE;
}

static int files(const struct cli *cli)
{
	const char *lba = cli_option(cli, "--lba");
	struct files f = {.cli = cli,
			  .utc = cli_option(cli, "--utc") != NULL,
			  .question = {.path = cli_option(cli, "--file")}};
	int status;

	if (!f.question.path == !lba)
		return cli_usage(cli, "give --file PATH or --lba N");
	if (lba && number_parse_any(lba, 0, UINT64_MAX, &f.question.lba) < 0)
		return cli_usage(cli, "--lba %s: give the number of a block", lba);
	status = audit_disk_open(cli, &f.disk);
	if (status != EXIT_DONE)
		return status;
	status = audit_disk_ask(cli, &f.disk, &f.question, &f.answer);
	if (status == EXIT_DONE)
		status = print(&f);
	files_answer_free(&f.answer);
	fd_close(&f.disk.fd);
	return status;
}

static const struct cli_option options[] = {
	{"--file", "PATH", "which blocks has this file? its path in the file system"},
	{"--lba", "N", "which file does this block of the LUN belong to?"},
	{"--target", "NAME", "the whole name, or what follows its last colon"},
	{"--lun", "N", "the LUN, when the target has several"},
	{"--partition", "N", "when several have such a file; 0: none, it is on the whole LUN"},
	AUDIT_DISK_OPTIONS,
	{"--utc", NULL, "times in UTC"},
	{0},
};

const struct subcommand audit_files = {
	.name = "audit files",
	.arguments = "",
	.summary = "Tells which blocks of a LUN a file has, or which file a block belongs to.",
	.examples = "  sallyport audit files --target vault --lun 0 --file /payroll.xlsx\n"
		    "  sallyport audit files --target vault --lun 0 --lba 8774\n",
	.text = "For ext2, ext3, ext4, XFS and NTFS, on a whole LUN or on a partition (MBR, GPT), "
		"as "
		"it is\n"
		"on the disk now. The file system is read by its own tools (packages e2fsprogs, "
		"xfsprogs,\n"
		"ntfs-3g), sandboxed. Exit status: 0; 1 no such file; 2 wrong usage; 3 it can't be "
		"told.",
	.options = options,
	.json = true,
	.run = files,
};
