/* Every file of tests/policy/broken/ and exactly what is said about it: NAME.yaml is the policy,
 * NAME.expected the output. Without errors (the file warns only) the policy is taken. To write the
 * expected files anew: SALLYPORT_EXPECT=write build/tests/unit/policy_broken, then read the diff.
 */
#include "tests/unit/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include "gateway/base/fd.h"
#include "policy/policy.h"

static struct tests t;
static char folder[4096];

static void path_of(const char *name, const char *suffix, char ret[4600])
{
	(void)snprintf(ret, 4600, "%s/%s.%s", folder, name, suffix);
}

static char *file_read(const char *name, const char *suffix, size_t *ret_len)
{
	char path[4600], *bytes = NULL;

	path_of(name, suffix, path);
	OWNED_FD fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fd_read_all(fd, 4 << 20, &bytes, ret_len) < 0)
		fail_msg("%s can't be read", path);
	return bytes;
}

static bool store_has(void *arg, const char *name)
{
	(void)arg;
	return strncmp(name, "missing", 7) != 0;
}

/* What is said about the file, with the result as its last line. */
static char *said_about(const char *name)
{
	char *said = NULL;
	size_t len = 0, said_len = 0;
	OWNED_FREE char *text = file_read(name, "yaml", &len);
	FILE *f = open_memstream(&said, &said_len);
	struct policy_options options = {.messages = f, .secret_known = store_has};
	struct policy *p = NULL;
	int r = policy_parse("policy.yaml", text, len, &options, &p);

	fprintf(f, "%s\n", r == 0 ? "taken" : r == -EINVAL ? "refused" : strerror(-r));
	assert_true((r == 0) == (p != NULL));
	policy_free(p);
	assert_int_equal(fclose(f), 0);
	return said;
}

static void test_file(void **state)
{
	const char *name = *state, *how = getenv("SALLYPORT_EXPECT");
	OWNED_FREE char *said = said_about(name);
	OWNED_FREE char *expected = NULL;
	char path[4600];
	size_t len;

	if (how && strcmp(how, "write") == 0) {
		path_of(name, "expected", path);
		OWNED_FD fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
		assert_int_equal(fd_write_all(fd, said, strlen(said)), 0);
		return;
	}
	assert_null(strstr(said, "hunter2")); /* the values that stand for secrets */
	expected = file_read(name, "expected", &len);
	assert_string_equal(said, expected);
}

/* "duplicate-key.yaml" is the test "broken: duplicate key". */
static void file_add(const char *file, size_t name_len)
{
	char *name = strndup(file, name_len), *sentence = NULL;

	assert_true(asprintf(&sentence, "P1: a broken policy is answered: %s", name) > 0);
	for (char *c = strstr(sentence, "answered: "); *c; c++)
		if (*c == '-')
			*c = ' ';
	tests_add(&t, sentence, test_file, name);
}

static int is_yaml(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return len > 5 && strcmp(entry->d_name + len - 5, ".yaml") == 0;
}

/* Guards the catalogue itself: without its files, every test would pass. */
static void test_count(void **state)
{
	(void)state;
	assert_in_range(t.count, 61, SIZE_MAX);
}

int main(void)
{
	const char *build = getenv("SALLYPORT_BUILD");
	struct dirent **entries = NULL;
	int n;

	if (build)
		(void)snprintf(folder, sizeof folder, "%s/../tests/policy/broken", build);
	else
		(void)string_copy(folder, sizeof folder, "tests/policy/broken");
	n = scandir(folder, &entries, is_yaml, alphasort);
	for (int i = 0; i < n; i++) {
		file_add(entries[i]->d_name, strlen(entries[i]->d_name) - 5);
		free(entries[i]);
	}
	free(entries);
	tests_add(&t, "the catalogue of broken policies has 60 files and more", test_count, NULL);
	return tests_run(&t, "policy_broken");
}
