/* Which disk of this machine a LUN is: by the policy that the running gateway has in force, by a
 * policy file, or because the operator says so. Opens it to read, and hands it to the process that
 * looks for files; reads no octet of it. */
#include <fcntl.h>
#include <sys/stat.h>
#include "gateway/cli/audit_files.h"
#include "gateway/cli/running.h"

static int number_option(const struct cli *cli, const char *option, uint64_t most, uint64_t *ret)
{
	const char *text = cli_option(cli, option);

	if (text && number_parse(text, 0, most, ret) < 0)
		return cli_usage(cli, "%s %s: give a number from 0 to %llu", option, text,
				 (unsigned long long)most);
	return EXIT_DONE;
}

/* A disk behind a FIFO's or a terminal's name would be waited for. */
static int path_open(const struct cli *cli, const char *path, int *ret_fd)
{
	OWNED_FD fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return cli_cannot(cli, "can't read the disk %s: %s%s", path, strerror(errno),
				  errno == EACCES ? "; try it as root" : "");
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return cli_cannot(cli, "%s is neither a file nor a block device", path);
	*ret_fd = fd_take(&fd);
	return EXIT_DONE;
}

static bool name_is(const char *name, const char *wanted)
{
	const char *colon = strrchr(name, ':');

	return strcmp(name, wanted) == 0 || (colon && strcmp(colon + 1, wanted) == 0);
}

/* The one that --target names; the only one when it was not given. */
static const struct policy_target *target_find(const struct cli *cli, const struct policy *p)
{
	const char *wanted = cli_option(cli, "--target");
	const struct policy_target *found = NULL;

	for (size_t i = 0; i < p->target_count; i++) {
		if (wanted && !name_is(p->targets[i].name, wanted))
			continue;
		if (found) {
			(void)cli_usage(cli,
					wanted ? "several targets are called %s: give the whole "
						 "name"
					       : "there are several targets: choose with --target",
					wanted);
			return NULL;
		}
		found = &p->targets[i];
	}
	if (!found && wanted)
		(void)cli_usage(cli, "the policy has no target %s", wanted);
	else if (!found)
		(void)cli_usage(cli, "the policy has no target");
	return found;
}

static const struct policy_lun *lun_find(const struct cli *cli, const struct policy_target *t,
					 const struct audit_disk *d)
{
	for (size_t i = 0; i < t->lun_count; i++)
		if (d->has_lun ? t->luns[i].lun == d->lun : t->lun_count == 1)
			return &t->luns[i];
	if (d->has_lun)
		(void)cli_usage(cli, "%s has no LUN %u", t->name, d->lun);
	else
		(void)cli_usage(cli, "%s has several LUNs: choose with --lun", t->name);
	return NULL;
}

/* The same disk may be reached on other ways, whose commands are not among those that are shown. */
static void tell_others(const struct cli *cli, const struct policy *p, size_t disk,
			const struct audit_disk *d)
{
	for (size_t i = 0; i < p->target_count; i++)
		for (size_t k = 0; k < p->targets[i].lun_count; k++) {
			const struct policy_lun *l = &p->targets[i].luns[k];

			if (l->disk == disk &&
			    (l->lun != d->lun || strcmp(p->targets[i].name, d->target) != 0))
				(void)fprintf(
					stderr,
					"sallyport %s: the same disk is LUN %u of %s, too: ask "
					"for that as well\n",
					cli->command->name, l->lun, p->targets[i].name);
		}
}

void audit_disk_others(const struct cli *cli, uint16_t lun)
{
	const char *wanted = cli_option(cli, "--target");
	struct audit_disk d = {.fd = -1, .has_lun = true, .lun = lun};
	struct running r = {.policy = NULL};

	if (running_ask(cli, &r) != EXIT_DONE || !r.policy)
		return running_free(&r);
	for (size_t i = 0; i < r.policy->target_count; i++) {
		const struct policy_target *t = &r.policy->targets[i];

		if (wanted && !name_is(t->name, wanted))
			continue;
		(void)string_copy(d.target, sizeof d.target, t->name);
		for (size_t k = 0; k < t->lun_count; k++)
			if (t->luns[k].lun == lun)
				tell_others(cli, r.policy, t->luns[k].disk, &d);
	}
	running_free(&r);
}

static int policy_disk_open(const struct cli *cli, const struct policy *p, struct audit_disk *d)
{
	const struct policy_target *t = target_find(cli, p);
	const struct policy_lun *l = t ? lun_find(cli, t, d) : NULL;
	const struct policy_disk *disk;

	if (!l)
		return EXIT_USAGE;
	disk = &p->disks[l->disk];
	if (disk->kind == POLICY_MEMORY)
		return cli_cannot(cli,
				  "the disk %s is memory of the gateway: nobody else can look for "
				  "files on it",
				  disk->name);
	d->has_lun = true;
	d->lun = l->lun;
	d->block_size = disk->block_size;
	(void)string_copy(d->target, sizeof d->target, t->name);
	tell_others(cli, p, l->disk, d);
	return path_open(cli, disk->path, &d->fd);
}

static int policy_file_use(const struct cli *cli, const char *path, struct audit_disk *d)
{
	struct policy *p = NULL;
	int status = cli_policy_load(cli, path, &p);

	if (status == EXIT_DONE)
		status = policy_disk_open(cli, p, d);
	policy_free(p);
	return status;
}

static int running_use(const struct cli *cli, struct audit_disk *d)
{
	struct running r = {.policy = NULL};
	int status = running_ask(cli, &r);

	if (status == EXIT_DONE && !r.policy)
		status = cli_cannot(cli,
				    "no gateway runs with the state folder %s, so nobody knows "
				    "which disk that is: name its policy with --policy FILE, or "
				    "the disk with --disk FILE",
				    cli->state);
	else if (status == EXIT_DONE)
		status = policy_disk_open(cli, r.policy, d);
	running_free(&r);
	return status;
}

int audit_disk_open(const struct cli *cli, struct audit_disk *ret_disk)
{
	const char *disk = cli_option(cli, "--disk"), *policy = cli_option(cli, "--policy");
	struct audit_disk d = {.fd = -1, .block_size = 512};
	uint64_t lun = 0, size = 512;
	int status = number_option(cli, "--lun", 0xfffe, &lun);

	if (status == EXIT_DONE)
		status = number_option(cli, "--block-size", 4096, &size);
	if (status != EXIT_DONE)
		return status;
	if (size != 512 && size != 4096)
		return cli_usage(cli, "--block-size: give 512 or 4096");
	if (disk && policy)
		return cli_usage(cli, "give --disk or --policy, not both");
	if (!disk && cli_option(cli, "--block-size"))
		return cli_usage(cli, "--block-size goes with --disk; else the policy has it");
	d.has_lun = cli_option(cli, "--lun") != NULL;
	d.lun = (uint16_t)lun;
	d.block_size = (uint32_t)size;
	if (disk)
		status = path_open(cli, disk, &d.fd);
	else
		status = policy ? policy_file_use(cli, policy, &d) : running_use(cli, &d);
	if (status == EXIT_DONE)
		*ret_disk = d;
	return status;
}

int audit_disk_ask(const struct cli *cli, const struct audit_disk *d, struct files_question *q,
		   struct files_answer *ret_answer)
{
	char why[FILES_WHY] = "";
	uint64_t partition = FILES_ANY;
	int r, status = number_option(cli, "--partition", 1024, &partition);

	if (status != EXIT_DONE)
		return status;
	q->disk_fd = d->fd;
	q->block_size = d->block_size;
	q->partition = (uint32_t)partition;
	r = files_ask(q, ret_answer, why);
	if (r == 0)
		return EXIT_DONE;
	(void)cli_cannot(cli, "%s%s%s", q->path ? q->path : "", q->path ? ": " : "", why);
	return r == -ENOENT ? EXIT_NO : EXIT_CANNOT;
}
