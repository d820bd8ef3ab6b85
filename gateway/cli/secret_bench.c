/* The store on the command line: opened, locked, unsealed, changed, sealed and written,
 * then taken up by the gateway, if one runs. Trusts the state folder as state_open()
 * checked it. */
#include "gateway/cli/secret_bench.h"

#include <stdio.h>
#include "auth/ca.h"
#include "auth/key_wrap.h"
#include "auth/signer.h"
#include "gateway/base/clock.h"
#include "gateway/base/fd.h"
#include "gateway/base/state.h"
#include "gateway/cli/ask.h"
#include "gateway/cli/passphrase.h"

void bench_open(struct bench *b, const struct cli *cli, const char *verb, const char *name)
{
	*b = (struct bench){.cli = cli,
			    .verb = verb,
			    .name = name,
			    .state_fd = -1,
			    .lock_fd = -1,
			    .now_s = clock_wall_ns() / 1000000000u};
}

void bench_close(struct bench *b)
{
	store_list_free(&b->store.list);
	slab_close(&b->slab);
	slab_close(&b->input);
	fd_close(&b->lock_fd);
	fd_close(&b->state_fd);
}

int bench_cannot(struct bench *b)
{
	return cli_cannot(b->cli, "%s", b->why);
}

int bench_state(struct bench *b)
{
	b->state_fd = state_open(b->cli->state, true, b->why, sizeof b->why);
	if (b->state_fd < 0)
		return b->state_fd;
	return store_key_ensure(b->cli->state, b->state_fd, b->why, sizeof b->why);
}

static ssize_t passphrase_ask(struct bench *b, bool new)
{
	char text[512];
	const struct passphrase_ask ask = {
		.fd = cli_option(b->cli, new ? "--new-passphrase-fd" : "--passphrase-fd"),
		.text = text,
		.repeat = new ? "once more: " : NULL,
	};

	(void)snprintf(text, sizeof text, "%spassphrase of the secrets in %s: ", new ? "new " : "",
		       b->cli->state);
	return passphrase_get(&ask, b->octets, b->why, sizeof b->why);
}

static int key_ask(struct bench *b, int fd)
{
	ssize_t n = passphrase_ask(b, false);
	const struct passphrase passphrase = {b->octets, (size_t)MAX(n, 0)};

	if (n < 0)
		return (int)n;
	return store_key_unwrap(fd, &passphrase, b->key, b->why, sizeof b->why);
}

static int key_begin(struct bench *b)
{
	OWNED_FD fd = store_key_open(b->cli->state, b->why, sizeof b->why);
	int r = fd;

	if (fd >= 0 && store_key_is_wrapped(fd))
		return key_ask(b, fd);
	if (fd >= 0)
		r = store_key_read(fd, b->key);
	if (fd >= 0 && r < 0)
		(void)snprintf(b->why, sizeof b->why, "the key file can't be read: %s",
			       strerror(-r));
	return r;
}

/* Before the lock: whoever is asked for a passphrase may take long, and a gateway that starts waits
 * for the lock. */
static int bench_begin(struct bench *b)
{
	int r = bench_state(b);

	if (r == 0 && !b->fresh)
		r = bench_fresh(b);
	return r < 0 ? r : key_begin(b);
}

static int store_begin(struct bench *b)
{
	OWNED_BY(store_list_free) struct store_list names = {0};
	OWNED_FD fd = -1;
	size_t size;
	int r;

	b->lock_fd = store_lock(b->state_fd, b->why, sizeof b->why);
	if (b->lock_fd < 0)
		return b->lock_fd;
	if ((r = store_list_load(b->state_fd, &names, b->why, sizeof b->why)) < 0)
		return r;
	size = (names.count + b->more + 1) * sizeof(struct secret);
	if ((r = slab_open(&b->slab, size, size, b->why, sizeof b->why)) < 0)
		return r;
	b->store.secrets = (struct secret *)(void *)b->slab.memory;
	b->store.room = names.count + b->more + 1;
	fd = store_open(b->state_fd, b->why, sizeof b->why);
	r = fd < 0 ? fd : store_load(&b->store, fd, b->key, b->why, sizeof b->why);
	if (r == 0) /* whatever is written next goes without them */
		(void)store_expire(&b->store, b->now_s);
	return r;
}

int bench_store(struct bench *b)
{
	int r = bench_begin(b);

	return r < 0 ? r : store_begin(b);
}

int bench_fresh(struct bench *b)
{
	int r = slab_open(&b->input, BENCH_INPUT_SIZE, BENCH_INPUT_SIZE, b->why, sizeof b->why);

	if (r < 0)
		return r;
	b->fresh = (struct secret *)(void *)b->input.memory;
	b->octets = b->input.memory + sizeof *b->fresh;
	b->key = b->input.memory + b->input.size - STORE_KEY_SIZE;
	b->next_key = b->key - STORE_KEY_SIZE;
	return 0;
}

/* What store_put() and store_rotate() say, for people; each is about a name. */
static const struct refusal {
	int error;
	const char *before, *after;
} refusals[] = {
	{-EEXIST, "",
	 " has this very secret already; whoever knows it could be both: give each "
	 "name a secret of its own, nothing was changed"},
	{-ENOSPC, "the store is full, and has no room for ",
	 ": remove what the policy does not name"},
	{-ENOENT, "",
	 " has no secret that could be rotated: `sallyport secret generate` makes its "
	 "first"},
	{-EALREADY, "the last rotation of ",
	 " is not over, and its old secret still good. When the new one is in use: `sallyport "
	 "secret rotate --finish`; to have both die at once: `--overlap 0s`"},
};

static int put_refused(struct bench *b, int error, const char *name)
{
	for (size_t k = 0; k < ARRAY_LEN(refusals); k++) {
		if (refusals[k].error != error)
			continue;
		(void)snprintf(b->why, sizeof b->why, "%s%s%s", refusals[k].before, name,
			       refusals[k].after);
		return error;
	}
	(void)snprintf(b->why, sizeof b->why, "%s can't be stored: %s", name, strerror(-error));
	return error;
}

int bench_put(struct bench *b, enum store_kind kind, uint64_t overlap_s)
{
	struct store_entry entry = {.created_s = b->now_s, .kind = kind};
	const char *other = NULL;
	int r;

	(void)string_copy(entry.name, sizeof entry.name, b->name);
	r = overlap_s == 0
		    ? store_put(&b->store, &entry, b->fresh, &other)
		    : store_rotate(&b->store, &entry, b->fresh, b->now_s + overlap_s, &other);
	return r < 0 ? put_refused(b, r, other ? other : b->name) : 0;
}

int bench_write(struct bench *b)
{
	OWNED_FREE uint8_t *bytes = NULL;
	size_t len;
	int r = store_seal(&b->store, b->key, &bytes, &len);

	if (r < 0) {
		(void)snprintf(b->why, sizeof b->why, "the store can't be sealed: %s",
			       strerror(-r));
		return r;
	}
	r = store_write(b->state_fd, bytes, len, b->why, sizeof b->why);
	fd_close(&b->lock_fd);
	return r;
}

/* The next key as it will be in its file; returns how long that is. */
static int key_dress(struct bench *b, bool under_passphrase, uint8_t ret[KEY_WRAPPED_SIZE])
{
	ssize_t n;
	int r;

	randombytes_buf(b->next_key, STORE_KEY_SIZE);
	if (!under_passphrase) {
		memcpy(ret, b->next_key, STORE_KEY_SIZE);
		return STORE_KEY_SIZE;
	}
	if ((n = passphrase_ask(b, true)) < 0)
		return (int)n;
	r = key_wrap(b->next_key, &key_cost_usual, b->octets, (size_t)n, ret);
	if (r < 0)
		(void)snprintf(b->why, sizeof b->why, "there is not enough memory for it");
	return r < 0 ? r : KEY_WRAPPED_SIZE;
}

static int key_change(struct bench *b, const uint8_t *bytes, size_t len)
{
	const char *state = b->cli->state;
	int lock, settled, r = store_begin(b);

	if (r == 0)
		r = store_key_next(state, bytes, len, b->why, sizeof b->why);
	if (r < 0)
		return r;
	r = signer_seal_under_both(b->state_fd, b->key, b->next_key, b->why, sizeof b->why);
	if (r == 0)
		r = ca_seal_under_both(b->state_fd, b->key, b->next_key, b->why, sizeof b->why);
	memcpy(b->key, b->next_key, STORE_KEY_SIZE);
	lock = fd_take(&b->lock_fd); /* until all files are in their places */
	if (r == 0)
		r = bench_write(b);
	settled = store_key_settle(state, b->state_fd, b->why, sizeof b->why);
	if (r == 0 && (r = settled) == 0)
		r = signer_seal_under_one(b->state_fd, b->key, b->why, sizeof b->why);
	if (r == 0)
		r = ca_seal_under_one(b->state_fd, b->key, b->why, sizeof b->why);
	(void)close(lock);
	return r;
}

int bench_rekey(struct bench *b, bool under_passphrase)
{
	uint8_t bytes[KEY_WRAPPED_SIZE];
	int len, r = bench_begin(b);

	if (r < 0)
		return r;
	if ((len = key_dress(b, under_passphrase, bytes)) < 0)
		return len;
	r = key_change(b, bytes, (size_t)len);
	sodium_memzero(bytes, sizeof bytes);
	return r;
}

/* --- the gateway ----------------------------------------------------------------------------- */

static int tell_nobody(const struct bench *b, int error)
{
	if (error == -ENOENT || error == -ECONNREFUSED) {
		fprintf(stderr, "No gateway runs in %s; the next one begins with this.\n",
			b->cli->state);
		return EXIT_DONE;
	}
	return cli_cannot(b->cli,
			  "this is stored, but the gateway in %s does not answer (%s), and goes "
			  "on with what it had: `sallyport status`, then restart it",
			  b->cli->state, strerror(-error));
}

static int tell_answer(const struct bench *b, const json_t *root)
{
	const char *error = json_string_value(json_object_get(root, "error"));
	const char *note = json_string_value(json_object_get(root, "note"));

	if (error != NULL)
		return cli_cannot(b->cli,
				  "this is stored, but the running gateway goes on with what it "
				  "had: %s",
				  error);
	fprintf(stderr, "The running gateway has taken it up.%s%s\n",
		note && *note ? " Note: " : "", note ? note : "");
	return EXIT_DONE;
}

int bench_tell(struct bench *b)
{
	char request[128];
	int error, status;
	json_t *root;

	(void)snprintf(request, sizeof request, "secrets %s %s", b->verb, b->name ? b->name : "");
	root = gateway_ask_until(b->cli->state, request, &error);
	if (root == NULL)
		return tell_nobody(b, error);
	status = tell_answer(b, root);
	json_decref(root);
	return status;
}
