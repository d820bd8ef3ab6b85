/* libiscsi's test suite takes a second initiator's name, but logs in under it with the first one's
 * user, whom our policies let in under the first name alone. Preloaded, this gives a context that
 * was made under the name SECOND_INITIATOR the user and the secret of that initiator. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct iscsi_context;

struct iscsi_context *iscsi_create_context(const char *name);
int iscsi_set_initiator_username_pwd(struct iscsi_context *iscsi, const char *user,
				     const char *secret);

/* A context's user is set right after it was made, before there is another one. */
static bool is_second;

struct iscsi_context *iscsi_create_context(const char *name)
{
	struct iscsi_context *(*own)(const char *);
	const char *second = getenv("SECOND_INITIATOR");

	*(void **)&own = dlsym(RTLD_NEXT, "iscsi_create_context");
	is_second = second != NULL && strcmp(name, second) == 0;
	return own(name);
}

int iscsi_set_initiator_username_pwd(struct iscsi_context *iscsi, const char *user,
				     const char *secret)
{
	int (*own)(struct iscsi_context *, const char *, const char *);

	*(void **)&own = dlsym(RTLD_NEXT, "iscsi_set_initiator_username_pwd");
	if (is_second) {
		user = getenv("SECOND_USER");
		secret = getenv("SECOND_SECRET");
	}
	return own(iscsi, user, secret);
}
