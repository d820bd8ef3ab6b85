/* Sealing and signing, in the auditor alone: in locked memory, and on the monitor's page. The page
 * is believed: nobody else has it but the monitor, which can't read it. */
#include "gateway/audit/keys.h"

#include <sodium.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include "gateway/base/fd.h"

/* More blocks than this are never sealed between two looks at the page. */
#define BEHIND_MAX (1u << 20)

struct keys {
	struct keys_state now, written; /* `written`: as it is on the page */
	uint8_t signer_public[SIGNER_KEY_SIZE], signer_secret[SIGNER_SECRET_SIZE];
	struct keys_page *page; /* NULL: the auditor has none */
};

/* Everything or nothing, as auth/slab.c: sodium_malloc() says nothing when it locks nothing. */
static int memory_open(struct keys **ret_keys)
{
	size_t size = sizeof **ret_keys;
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return -errno;
	/* not mlock(), which the sanitizers make do nothing */
	if (syscall(SYS_mlock, p, size) < 0 || madvise(p, size, MADV_DONTDUMP) < 0 ||
	    madvise(p, size, MADV_DONTFORK) < 0) {
		int error = -errno;

		(void)munmap(p, size);
		return error;
	}
	*ret_keys = p;
	return 0;
}

static int signer_take(struct keys *k, int signer_fd)
{
	uint8_t seed[KEYS_SEED_SIZE];
	ssize_t n = sizeof seed;

	if (signer_fd < 0)
		randombytes_buf(seed, sizeof seed);
	else
		n = pread(signer_fd, seed, sizeof seed, 0);
	if (n < 0)
		return -errno;
	if (n == (ssize_t)sizeof seed)
		(void)crypto_sign_seed_keypair(k->signer_public, k->signer_secret, seed);
	sodium_memzero(seed, sizeof seed);
	return n == (ssize_t)sizeof seed ? 0 : -EINVAL;
}

static int page_take(struct keys *k, int page_fd)
{
	size_t size = sizeof *k->page;
	void *page;
	int r;

	if (page_fd < 0)
		return 0;
	if ((r = memfd_map(page_fd, size, PROT_READ | PROT_WRITE, &page)) < 0)
		return r;
	k->page = page;
	if (syscall(SYS_mlock, page, size) < 0 || madvise(page, size, MADV_DONTDUMP) < 0)
		return -errno;
	return 0;
}

int keys_open(int signer_fd, int page_fd, struct keys **ret_keys)
{
	struct keys *k = NULL;
	int r = sodium_init() < 0 ? -EIO : memory_open(&k);

	if (r < 0)
		return r;
	assert(k != NULL);
	r = signer_take(k, signer_fd);
	if (r == 0)
		r = page_take(k, page_fd);
	if (r < 0) {
		keys_close(k);
		return r;
	}
	*ret_keys = k;
	return 0;
}

void keys_close(struct keys *k)
{
	if (!k)
		return;
	if (k->page)
		(void)munmap(k->page, sizeof *k->page);
	sodium_memzero(k, sizeof *k);
	(void)munmap(k, sizeof *k);
}

/* --- the page -------------------------------------------------------------------------------- */

static void page_publish(struct keys *k)
{
	struct keys_page *page = k->page;
	uint32_t active;

	if (!page)
		return;
	active = atomic_load(&page->active) & 1;
	page->states[!active] = k->written;
	atomic_store(&page->active, !active);
	sodium_memzero(&page->states[active], sizeof page->states[0]);
}

/* What the auditor before left; false: this is a new run. */
static bool page_look(struct keys *k)
{
	struct keys_page *page = k->page;
	uint32_t active;

	if (!page)
		return false;
	active = atomic_load(&page->active) & 1;
	/* Half written, or what was in force before. */
	sodium_memzero(&page->states[!active], sizeof page->states[0]);
	k->now = page->states[active];
	return k->now.epoch > 0;
}

/* Can the keys of the page be those of the trail's end? Then they are hashed forward to it. */
static bool keys_reach(struct keys *k, uint64_t epoch, const uint64_t next_block[AUDIT_LOGS])
{
	for (size_t log = 0; log < AUDIT_LOGS; log++)
		if (k->now.epoch < epoch || next_block[log] < k->now.block[log] ||
		    next_block[log] - k->now.block[log] > BEHIND_MAX)
			return false;
	for (size_t log = 0; log < AUDIT_LOGS; log++)
		for (; k->now.block[log] < next_block[log]; k->now.block[log]++)
			seal_key_next(&k->now.key[log]);
	return true;
}

/* --- epochs ---------------------------------------------------------------------------------- */

static void epoch_begin(struct keys *k, uint8_t epoch_key[32])
{
	randombytes_buf(epoch_key, 32);
	k->now.epoch++;
	for (int log = LOG_COMMANDS; log <= LOG_EVENTS; log++)
		seal_key_first(&k->now.key[log - 1], epoch_key, (enum audit_log)log);
	k->written = k->now;
	page_publish(k);
}

int keys_begin(struct keys *k, uint64_t epoch, bool same_run, const uint64_t next_block[AUDIT_LOGS])
{
	bool known = page_look(k);
	uint8_t epoch_key[32];

	if (known && same_run && keys_reach(k, epoch, next_block)) {
		k->written = k->now;
		page_publish(k);
		return 0;
	}
	k->now.epoch = MAX(k->now.epoch, epoch);
	memcpy(k->now.block, next_block, sizeof k->now.block);
	epoch_begin(k, epoch_key);
	sodium_memzero(epoch_key, sizeof epoch_key);
	return 0;
}

int keys_new_epoch(struct keys *k, struct audit_key *ret_key)
{
	epoch_begin(k, ret_key->epoch_key);
	ret_key->epoch = k->now.epoch;
	memcpy(ret_key->first_block, k->now.block, sizeof k->now.block);
	memcpy(ret_key->signer, k->signer_public, sizeof k->signer_public);
	return 0;
}

uint64_t keys_epoch(const struct keys *k)
{
	return k->now.epoch;
}

/* --- sealing and signing --------------------------------------------------------------------- */

void keys_seal(struct keys *k, enum audit_log log, uint64_t number, uint8_t *block, size_t len)
{
	assert(number == k->now.block[log - 1]);
	seal_make(&k->now.key[log - 1], block, len, block + len);
	seal_key_next(&k->now.key[log - 1]);
	k->now.block[log - 1]++;
}

void keys_written(struct keys *k, enum audit_log log)
{
	if (k->written.block[log - 1] == k->now.block[log - 1])
		return;
	k->written.block[log - 1] = k->now.block[log - 1];
	k->written.key[log - 1] = k->now.key[log - 1];
	page_publish(k);
}

const uint8_t *keys_signer(const struct keys *k)
{
	return k->signer_public;
}

int keys_note(const struct keys *k, const struct note *note, char ret_text[NOTE_SIZE])
{
	return note_write(ret_text, note, k->signer_secret);
}

/* --- segments that were given up -------------------------------------------------------------- */

void keys_given_up(struct keys *k, enum audit_log log, uint64_t block)
{
	if (k->page && !keys_was_given_up(k, log))
		atomic_store(&k->page->given_up[log - 1], block + 1);
}

void keys_well(struct keys *k, enum audit_log log)
{
	if (k->page)
		atomic_store(&k->page->given_up[log - 1], 0);
}

bool keys_was_given_up(const struct keys *k, enum audit_log log)
{
	return k->page && atomic_load(&k->page->given_up[log - 1]) != 0;
}
