/* policy.yaml to struct policy: the file is read, taken apart, checked against the table of keys,
 * and compiled; every mistake is told in one go. Runs in the monitor, which trusts what it gets
 * only when there was none, and in check, plan and explain. */
#include "policy/compile.h"
#include "policy/hours.h"

#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include "gateway/base/fd.h"
#include "policy/ranges.h"

void *compile_alloc(struct compiler *c, size_t count, size_t size)
{
	void *p = calloc(count ? count : 1, size);

	if (!p)
		c->no_memory = true;
	return p;
}

char *compile_copy(struct compiler *c, const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		c->no_memory = true;
	return copy;
}

static const struct node *node_of(const struct node *map, const char *key, enum node_kind kind)
{
	const struct node *n = node_get(map, key);

	return n && n->kind == kind ? n : NULL;
}

const struct node *node_map(const struct node *map, const char *key)
{
	return node_of(map, key, NODE_MAP);
}

const struct node *node_list(const struct node *map, const char *key)
{
	return node_of(map, key, NODE_LIST);
}

const char *node_text(const struct node *map, const char *key)
{
	const struct node *n = node_of(map, key, NODE_TEXT);

	return n && !n->bad ? n->text : NULL;
}

/* --- the parts together ------------------------------------------------------------------- */

static void sources_gather(struct compiler *c)
{
	struct policy *p = c->policy;
	size_t count = 0;

	for (size_t t = 0; t < p->target_count; t++)
		for (size_t i = 0; i < p->targets[t].initiator_count; i++)
			count += p->targets[t].initiators[i].from_count;
	p->sources = compile_alloc(c, count, sizeof *p->sources);
	for (size_t t = 0; t < p->target_count && p->sources; t++)
		for (size_t i = 0; i < p->targets[t].initiator_count; i++) {
			const struct policy_initiator *from = &p->targets[t].initiators[i];

			for (size_t k = 0; k < from->from_count; k++)
				p->sources[p->source_count++] = range_of(&from->from[k]);
		}
	p->source_count = ranges_merge(p->sources, p->source_count);
}

static void copies_free(struct compiler *c)
{
	while (c->copies) {
		struct node_copy *copy = c->copies;

		c->copies = copy->next;
		free(copy);
	}
}

static void compile_parts(struct compiler *c)
{
	compile_likes(c);
	compile_portals(c);
	compile_settings(c);
	compile_disks(c);
	compile_targets(c);
	compile_users(c);
	compile_decoys(c);
	sources_gather(c);
}

/* The folder of the policy file, after symbolic links; "/" when there is none. */
static void folder_find(const char *path, char ret_folder[PATH_MAX])
{
	char head[PATH_MAX];
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) : 1;

	if (!slash)
		path = ".";
	else if (len == 0)
		len = 1;
	if (len < sizeof head) {
		memcpy(head, path, len);
		head[len] = '\0';
		if (realpath(head, ret_folder))
			return;
	}
	(void)string_copy(ret_folder, PATH_MAX, "/");
}

/* The file's path from its folder's. */
static char *path_within(const char *folder, const char *path)
{
	const char *slash = strrchr(path, '/');
	char *absolute = NULL;

	if (asprintf(&absolute, "%s/%s", strcmp(folder, "/") == 0 ? "" : folder,
		     slash ? slash + 1 : path) < 0)
		return NULL;
	return absolute;
}

static void policy_free_owned(struct policy **p)
{
	policy_free(*p);
}

static int tree_compile(const char *path, struct node *root, struct diagnostics *d,
			const struct policy_options *options, struct policy **ret_policy)
{
	OWNED_BY(policy_free_owned) struct policy *p = calloc(1, sizeof *p);
	struct compiler c = {.policy = p, .d = d, .root = root, .options = options};

	if (!p)
		return -ENOMEM;
	if (!root) {
		if (diagnostics_errors(d) == 0)
			diagnose_error(d, (struct place){0}, "the policy is empty");
		return 0;
	}
	folder_find(path, c.folder);
	p->path = path_within(c.folder, path);
	schema_check(root, d);
	if (root->kind == NODE_MAP)
		compile_parts(&c);
	copies_free(&c);
	free(c.portals.rows);
	free(c.disks.rows);
	free(c.users);
	if (c.no_memory || !p->path)
		return -ENOMEM;
	*ret_policy = TAKE(p);
	return 0;
}

static int mistakes_tell(struct diagnostics *d, const struct policy_options *options)
{
	if (options->json)
		return diagnostics_print_json(d, options->messages);
	diagnostics_print(d, options->messages, options->colour);
	return 0;
}

int policy_parse(const char *path, const char *text, size_t len,
		 const struct policy_options *options, struct policy **ret_policy)
{
	struct diagnostics *d = NULL;
	struct yaml_tree tree = {0};
	struct policy *p = NULL;
	int r = diagnostics_open(path, text, len, &d);

	if (r == 0)
		r = yaml_tree_read(text, len, d, &tree);
	if (r == 0)
		r = tree_compile(path, tree.root, d, options, &p);
	if (r == 0)
		r = mistakes_tell(d, options);
	if (r == 0 && (!p || diagnostics_errors(d) > 0))
		r = -EINVAL;
	if (r == 0 && !(p->text = strndup(text, len)))
		r = -ENOMEM;
	if (r == 0) {
		p->warnings = diagnostics_warnings(d);
		crypto_hash_sha256(p->hash, (const unsigned char *)text, len);
		*ret_policy = TAKE(p);
	}
	policy_free(p);
	yaml_tree_free(&tree);
	diagnostics_free(d);
	return r;
}

/* --- the file ----------------------------------------------------------------------------- */

/* Tells why the file can't be read; returns the same error. */
static int file_tell(const char *path, int error, const struct policy_options *options)
{
	struct diagnostics *d = NULL;

	if (diagnostics_open(path, "", 0, &d) < 0)
		return -ENOMEM;
	diagnose_error(d, (struct place){0}, "the policy can't be read: %s",
		       error == -EFBIG ? "it is larger than 8 MiB" : strerror(-error));
	diagnose_hint(d, "is this the right path, and may this user read it?");
	if (mistakes_tell(d, options) < 0)
		error = -ENOMEM;
	diagnostics_free(d);
	return error;
}

int policy_load(const char *path, const struct policy_options *options, struct policy **ret_policy)
{
	OWNED_FD fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	OWNED_FREE char *text = NULL;
	size_t len;
	int r;

	if (fd < 0)
		return file_tell(path, -errno, options);
	if ((r = fd_read_all(fd, YAML_TREE_TEXT_MAX, &text, &len)) < 0)
		return file_tell(path, r, options);
	return policy_parse(path, text, len, options, ret_policy);
}

static void target_free(struct policy_target *t)
{
	for (size_t i = 0; i < t->initiator_count; i++) {
		free(t->initiators[i].from);
		free(t->initiators[i].access);
		free(t->initiators[i].ranges);
		free(t->initiators[i].hours.spans);
		free(t->initiators[i].hours.text);
	}
	free(t->alias);
	free(t->portals);
	free(t->luns);
	free(t->initiators);
}

void policy_free(struct policy *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->portal_count; i++) {
		free(p->portals[i].listen);
		free(p->portals[i].interfaces);
		free(p->portals[i].advertise);
		policy_tls_free(p->portals[i].tls);
		free(p->portals[i].proxies);
	}
	for (size_t i = 0; i < p->disk_count; i++) {
		free(p->disks[i].path);
		free(p->disks[i].formerly);
	}
	for (size_t i = 0; i < p->target_count; i++)
		target_free(&p->targets[i]);
	for (size_t i = 0; i < p->zone_count; i++)
		zone_free(p->zones[i]);
	for (size_t i = 0; i < p->disk_root_count; i++)
		free(p->disk_roots[i]);
	for (size_t i = 0; i < p->operator_count; i++)
		free(p->operators[i]);
	for (size_t i = 0; i < p->trail.command_count; i++)
		free(p->trail.command[i]);
	free(p->trail.command);
	free(p->trail.file);
	free(p->trail.syslog);
	free(p->path);
	free(p->text);
	for (size_t i = 0; i < p->decoy_count; i++)
		free(p->decoys[i]);
	free(p->portals);
	free(p->disks);
	free(p->targets);
	free(p->zones);
	free(p->disk_roots);
	free(p->operators);
	free(p->decoys);
	free(p->ban_exempt);
	free(p->sources);
	free(p);
}

void policy_hash_text(const struct policy *p, char ret[POLICY_HASH_TEXT])
{
	for (size_t k = 0; k < POLICY_HASH_SIZE; k++)
		(void)snprintf(ret + 2 * k, 3, "%02x", p->hash[k]);
}
