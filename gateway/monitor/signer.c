/* What the auditor holds and the monitor keeps for the next one: the seed of the trail's signer,
 * which the state folder has, sealed, and the page with the keys of the running epoch, which is
 * nowhere else. The monitor fills the first once, before it serves, and never reads the second. */
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include "auth/signer.h"
#include "auth/slab.h"
#include "gateway/audit/keys.h"
#include "gateway/base/fd.h"
#include "gateway/base/log.h"
#include "gateway/monitor/audit.h"

_Static_assert(KEYS_SEED_SIZE == SIGNER_SEED_SIZE, "one seed");

/* The key of the secrets is looked at in `slab`, and no longer than this takes. */
static int seed_read(struct monitor *m, struct slab *slab, char *why, size_t size)
{
	OWNED_FD key = key_get(m, why, size);
	OWNED_FD lock = -1;
	int r;

	if (key < 0)
		return key;
	if ((r = store_key_read(key, slab->memory)) < 0) {
		(void)snprintf(why, size, "the key file can't be read: %s", strerror(-r));
		return r;
	}
	if ((lock = store_lock(m->state_fd, why, size)) < 0)
		return lock;
	r = signer_open(m->state_fd, slab->memory, m->signer.memory, why, size);
	m->signer_made = r == 1;
	return MIN(r, 0);
}

int signer_begin(struct monitor *m)
{
	OWNED_BY(slab_close) struct slab slab = {0};
	char why[512] = "it can't be kept in locked memory (ulimit -l, LimitMEMLOCK=)";
	int r = sodium_init() < 0 ? -ENOSYS : locked_open(&m->signer, "signer", SIGNER_SEED_SIZE);

	if (r == 0)
		r = locked_open(&m->keys_page, "audit-keys", sizeof(struct keys_page));
	if (r == 0)
		r = slab_open(&slab, 4096, 4096, why, sizeof why);
	if (r == 0)
		r = seed_read(m, &slab, why, sizeof why);
	if (r == 0 && (r = locked_hide(&m->signer)) == 0)
		r = locked_hide(&m->keys_page);
	if (r < 0)
		log_error("the audit trail can't be signed: %s", why);
	return r;
}

int signer_get(const struct monitor *m)
{
	return fd_reopen(m->signer.fd, O_RDONLY);
}

/* --- the public half ------------------------------------------------------------------------- */

#define PUBLIC_FILE "signer.pub"

/* A line a log, as witnesses and verifiers take it. */
static void public_write(const struct auditor_status *s, char *ret, size_t size)
{
	char commands[NOTE_VERIFIER_SIZE], events[NOTE_VERIFIER_SIZE];

	(void)snprintf(ret, size, "%s\n%s\n",
		       note_verifier_write(commands, s->trail, LOG_COMMANDS, s->signer),
		       note_verifier_write(events, s->trail, LOG_EVENTS, s->signer));
}

/* It is a convenience: `audit key --public` without a gateway. */
void signer_told(struct monitor *m, const struct auditor_status *s)
{
	static char said[2 * NOTE_VERIFIER_SIZE];
	char text[sizeof said];
	int r;

	if (s->epoch == 0)
		return;
	public_write(s, text, sizeof text);
	if (strcmp(text, said) == 0)
		return;
	r = file_replace_with_folder(m->state_fd, PUBLIC_FILE, text, strlen(text), 0600);
	if (r < 0)
		log_error("%s/" PUBLIC_FILE " can't be written: %s", m->state_path, strerror(-r));
	(void)string_copy(said, sizeof said, text);
}

json_t *signer_json(const struct monitor *m)
{
	char text[2 * NOTE_VERIFIER_SIZE];

	if (m->trail.told.epoch == 0)
		return json_pack("{s:s}", "error", "the auditor is not ready: again in a moment");
	public_write(&m->trail.told, text, sizeof text);
	return json_pack("{s:s}", "public", text);
}

void signer_end(struct monitor *m)
{
	locked_close(&m->signer);
	locked_close(&m->keys_page);
}
