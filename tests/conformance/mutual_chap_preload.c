/* QEMU's iSCSI driver has no option for the target's CHAP name and secret, though
 * libiscsi below it does mutual CHAP. Preloaded into qemu-img by the tests, this hands
 * both over wherever the driver hands over the initiator's. */
#include <dlfcn.h>
#include <stddef.h>
#include <stdlib.h>

struct iscsi_context;

int iscsi_set_initiator_username_pwd(struct iscsi_context *iscsi, const char *user,
				     const char *secret);

int iscsi_set_initiator_username_pwd(struct iscsi_context *iscsi, const char *user,
				     const char *secret)
{
	int (*own)(struct iscsi_context *, const char *, const char *);
	int (*target)(struct iscsi_context *, const char *, const char *);
	void *library = dlopen(LIBISCSI, RTLD_NOW | RTLD_GLOBAL);
	const char *name = getenv("LIBISCSI_CHAP_TARGET_USERNAME");
	int r;

	*(void **)&own = dlsym(library, "iscsi_set_initiator_username_pwd");
	*(void **)&target = dlsym(library, "iscsi_set_target_username_pwd");
	r = own(iscsi, user, secret);
	if (r == 0 && name != NULL)
		r = target(iscsi, name, getenv("LIBISCSI_CHAP_TARGET_PASSWORD"));
	return r;
}
