/* `--file PATH` of the verbs of the review: a file's blocks become the blocks that records must
 * reach. Says what was found, and what that can't tell. */
#include <inttypes.h>
#include "gateway/audit/escape.h"
#include "gateway/base/when.h"
#include "gateway/cli/audit_files.h"

#define NS 1000000000ull

static uint64_t blocks_of(const struct files_answer *a)
{
	uint64_t blocks = 0;

	for (size_t i = 0; i < a->range_count; i++)
		blocks += a->ranges[i].blocks;
	return blocks;
}

static void begin(const struct review *r)
{
	(void)fprintf(stderr, "sallyport %s: ", r->cli->command->name);
}

static void tell_place(const struct review *r, const struct audit_disk *d,
		       const struct files_answer *a)
{
	char when[WHEN_TEXT];

	begin(r);
	escape_put(stderr, ESCAPE_TABLE, cli_option(r->cli, "--file"));
	(void)fprintf(stderr, ": %s, ", a->system);
	if (a->partition > 0)
		(void)fprintf(stderr, "partition %" PRIu32 ", ", a->partition);
	(void)fprintf(
		stderr,
		"%" PRIu64 " octets in %" PRIu64 " blocks of LUN %u, as it is on the disk at "
		"%s; blocks that it had earlier, before it was moved, rewritten or made anew, "
		"are not looked for\n",
		a->size_bytes, blocks_of(a), d->lun, when_format(a->mapped_ns, r->print.utc, when));
}

static void tell_times(const struct review *r, const struct files_answer *a)
{
	char modified[WHEN_TEXT];
	bool after;

	if (a->modified_s <= 0 || (uint64_t)a->modified_s > UINT64_MAX / NS)
		return;
	after = r->filter.until_ns > 0 && (uint64_t)a->modified_s * NS >= r->filter.until_ns;
	begin(r);
	(void)fprintf(stderr, "it was modified at %s, by the initiator's clock%s\n",
		      when_format((uint64_t)a->modified_s * NS, r->print.utc, modified),
		      after ? ": after the time that is looked at, in which it may have had other "
			      "blocks"
			    : "");
}

static void tell(const struct review *r, const struct audit_disk *d, const struct files_answer *a)
{
	tell_place(r, d, a);
	tell_times(r, a);
	if (a->shared) {
		begin(r);
		(void)fprintf(stderr, "it is so small that it lies in a block of the file system's "
				      "own, with others: who read that block need not have read "
				      "it\n");
	}
	if (a->range_count == 0) {
		begin(r);
		(void)fprintf(stderr, "it has no blocks: nobody can have read or written it\n");
	}
}

/* A file without blocks is reached by nothing: a range behind every disk. */
static int take_ranges(struct review *r, const struct files_answer *a)
{
	struct lba_range *ranges = calloc(a->range_count + 1, sizeof *ranges);

	if (!ranges)
		return cli_cannot(r->cli, "no memory");
	for (size_t i = 0; i < a->range_count; i++)
		ranges[i] = (struct lba_range){a->ranges[i].lba,
					       a->ranges[i].lba + a->ranges[i].blocks - 1};
	if (a->range_count == 0)
		ranges[0] = (struct lba_range){UINT64_MAX, UINT64_MAX};
	free(r->ranges);
	r->ranges = ranges;
	r->filter.ranges = ranges;
	r->filter.range_count = MAX(a->range_count, (size_t)1);
	return EXIT_DONE;
}

static int take(struct review *r, const struct audit_disk *d)
{
	struct files_question q = {.path = cli_option(r->cli, "--file")};
	OWNED_ANSWER a = {.what = FILES_INVALID};
	int status = audit_disk_ask(r->cli, d, &q, &a);

	if (status != EXIT_DONE)
		return status;
	tell(r, d, &a);
	return take_ranges(r, &a);
}

int audit_file_filter(struct review *r)
{
	struct audit_disk d = {.fd = -1};
	int status;

	if (!cli_option(r->cli, "--file")) {
		if (cli_option(r->cli, "--disk") || cli_option(r->cli, "--policy") ||
		    cli_option(r->cli, "--partition") || cli_option(r->cli, "--block-size"))
			return cli_usage(r->cli,
					 "--disk, --policy, --partition and --block-size go "
					 "with --file");
		return EXIT_DONE;
	}
	if (cli_option(r->cli, "--lba"))
		return cli_usage(r->cli, "give --file or --lba, not both");
	if (cli_option(r->cli, "--disk") && !cli_option(r->cli, "--lun"))
		return cli_usage(r->cli, "which LUN is that disk? name it with --lun, and its "
					 "target with --target");
	status = audit_disk_open(r->cli, &d);
	if (status == EXIT_DONE)
		status = take(r, &d);
	fd_close(&d.fd);
	if (status != EXIT_DONE)
		return status;
	r->filter.has_lun = true;
	r->filter.lun = d.lun;
	if (d.target[0] != '\0') {
		(void)string_copy(r->target, sizeof r->target, d.target);
		r->filter.target = r->target;
	}
	return EXIT_DONE;
}
