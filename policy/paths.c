/* Paths of disks and of their roots. Runs in the monitor and the command line, on the policy's
 * words; what the file system answers is for early mistakes only: the monitor decides again, on
 * open descriptors, when it claims a disk. */
#include <stdio.h>
#include <sys/stat.h>
#include "policy/compile.h"

/* Appends "/part" to a path. */
static int path_append(char path[PATH_MAX], const char *part, size_t len)
{
	size_t used = strlen(path);

	if (used + 1 + len >= PATH_MAX)
		return -ENAMETOOLONG;
	path[used] = '/';
	memcpy(path + used + 1, part, len);
	path[used + 1 + len] = '\0';
	return 0;
}

int path_absolute(const char *folder, const char *text, char ret_path[PATH_MAX])
{
	char path[PATH_MAX] = "";
	int r = 0;

	if (text[0] != '/' && strcmp(folder, "/") != 0 && !string_copy(path, sizeof path, folder))
		return -ENAMETOOLONG;
	while (r == 0 && *text) {
		size_t len = strcspn(text, "/");

		if (len == 2 && text[0] == '.' && text[1] == '.')
			return -EINVAL;
		if (len > 1 || (len == 1 && text[0] != '.'))
			r = path_append(path, text, len);
		text += len + (text[len] == '/');
	}
	if (r == 0)
		(void)string_copy(ret_path, PATH_MAX, path[0] ? path : "/");
	return r;
}

int path_resolve(const char *path, char ret_path[PATH_MAX])
{
	char head[PATH_MAX], found[PATH_MAX];
	size_t cut = strlen(path);
	struct stat st;

	if (!string_copy(head, sizeof head, path))
		return -ENAMETOOLONG;
	/* The longest part that exists, then the rest as it is written. */
	while (!realpath(cut > 0 ? head : "/", found)) {
		if (lstat(head, &st) == 0 && S_ISLNK(st.st_mode))
			return -ELOOP; /* to nowhere: what is made there is somewhere else */
		while (cut > 0 && head[--cut] != '/')
			;
		head[cut] = '\0';
		if (cut == 0 && !realpath("/", found))
			return -errno;
		if (cut == 0)
			break;
	}
	if (strcmp(found, "/") == 0)
		found[0] = '\0';
	if (path[cut] && path_append(found, path + cut + 1, strlen(path + cut + 1)) < 0)
		return -ENAMETOOLONG;
	(void)string_copy(ret_path, PATH_MAX, found[0] ? found : "/");
	return 0;
}

bool path_is_below(const char *path, const char *root)
{
	size_t len = strlen(root);

	if (strcmp(root, "/") == 0)
		return path[1] != '\0';
	return strncmp(path, root, len) == 0 && path[len] == '/';
}
