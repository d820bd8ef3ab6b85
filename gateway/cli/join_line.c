/* The process of `sallyport join` that speaks to who may be the gateway: TLS without a look at the
 * server's certificate, one request and one answer, all within a bounded time, behind a closed
 * door. It holds neither the code nor a key: what it passes on, the command proves or seals. */
#include "gateway/cli/join_line.h"

#include <openssl/ssl.h>
#include <poll.h>
#include <time.h>
#include "gateway/base/bytes.h"
#include "gateway/base/clock.h"
#include "gateway/base/log.h"
#include "gateway/base/process.h"
#include "gateway/base/sandbox.h"
#include "gateway/tls/tls.h"

#define PATIENCE_MS  20000 /* for all of it */
#define MEMORY_LIMIT (256ull << 20)

static const struct message_spec inbox[] = {
	{JOIN_REQUEST, "request", sizeof(struct join_request), 0, true},
};

struct line {
	struct tls *tls;
	struct channel command;
	int fd;
	bool shaken;
	uint64_t until_ms;
};

int join_wait(int fd, short events, uint64_t until_ms)
{
	struct pollfd p = {.fd = fd, .events = events};
	const uint64_t now = clock_ms();
	int r;

	if (now >= until_ms)
		return -ETIMEDOUT;
	r = poll(&p, 1, (int)(until_ms - now));
	if (r < 0)
		return errno == EINTR ? 0 : -errno;
	return r == 0 ? -ETIMEDOUT : 0;
}

/* --- TLS ------------------------------------------------------------------------------------- */

static int shake(struct line *l)
{
	uint32_t events = 0;
	int r;

	while ((r = tls_handshake(l->tls, &events)) == 0) {
		r = join_wait(l->fd, (short)events, l->until_ms); /* EPOLLIN is POLLIN */
		if (r < 0)
			return r;
	}
	return r < 0 ? r : tls_alpn(l->tls) == TLS_ALPN_IS_JOIN ? 0 : -ENOPROTOOPT;
}

static int line_send(struct line *l, uint8_t *octets, size_t len)
{
	size_t at = 0;
	int r = 0;

	while (r == 0 && at < len) {
		struct iovec iov = {octets + at, len - at};
		ssize_t n = tls_send(l->tls, &iov, 1);

		if (n > 0)
			at += (size_t)n;
		else
			r = n == -EAGAIN ? join_wait(l->fd, POLLOUT, l->until_ms) : -ECONNRESET;
	}
	while (r == 0 && (r = tls_flush(l->tls)) == -EAGAIN)
		r = join_wait(l->fd, POLLOUT, l->until_ms);
	return r;
}

static int line_receive(struct line *l, uint8_t *octets, size_t len)
{
	size_t at = 0;
	int r = 0;

	while (r == 0 && at < len) {
		struct iovec iov = {octets + at, len - at};
		ssize_t n = tls_receive(l->tls, &iov, 1);

		if (n > 0)
			at += (size_t)n;
		else
			r = n == -EAGAIN ? join_wait(l->fd, POLLIN, l->until_ms) : -ECONNRESET;
	}
	return r;
}

/* --- the command ------------------------------------------------------------------------- */

static int request_wait(struct line *l, struct message *m)
{
	int r;

	while ((r = channel_receive(&l->command, m)) == 0) {
		r = join_wait(l->command.fd, POLLIN, l->until_ms);
		if (r < 0)
			return r;
	}
	return MIN(r, 0);
}

static int talk(struct line *l)
{
	struct join_exporter exporter = {0};
	struct join_answer answer = {0};
	struct message m;
	uint8_t len[4] = {0};
	int r = tls_exporter(l->tls, TLS_JOIN_LABEL, exporter.octets);

	if (r == 0)
		r = CHANNEL_SEND(&l->command, JOIN_EXPORTER, &exporter);
	if (r == 0)
		r = request_wait(l, &m);
	if (r == 0)
		r = line_send(l, m.body, sizeof(struct join_request));
	if (r == 0)
		r = line_receive(l, len, sizeof len);
	if (r < 0)
		return r;
	answer.len = (uint32_t)get_be(len, sizeof len);
	if (answer.len > sizeof answer.octets)
		return -EBADMSG;
	r = line_receive(l, answer.octets, answer.len);
	if (r < 0)
		return r;
	IGNORE_RESULT(tls_close(l->tls)); /* all is said */
	return CHANNEL_SEND(&l->command, JOIN_ANSWER, &answer);
}

static int line_run(struct line *l, struct tls_context *context)
{
	struct join_failed failed = {0};
	int r = tls_open(context, l->fd, &l->tls);

	if (r == 0)
		r = shake(l);
	l->shaken = r == 0;
	if (r == 0)
		r = talk(l);
	if (r < 0) {
		failed.error = r;
		failed.shaken = l->shaken;
		(void)string_copy(failed.why, sizeof failed.why,
				  l->tls ? tls_detail(l->tls) : "no memory for TLS");
		r = CHANNEL_SEND(&l->command, JOIN_FAILED, &failed);
	}
	tls_free(l->tls);
	return r;
}

/* --- the process ------------------------------------------------------------------------- */

/* What OpenSSL reads and makes once, it does before the door closes. */
static int prepare(struct tls_context **ret_context)
{
	const struct tls_settings settings = {
		.role = TLS_CLIENT,
		.flags = TLS_ANY_SERVER,
		.alpn = TLS_ALPN_JOIN,
	};
	const struct sandbox sandbox = {.profile = SANDBOX_JOIN,
					.folder_fd = -1,
					.memory_limit = MEMORY_LIMIT,
					.files_limit = 16};
	char why[JOIN_WHY_SIZE];
	int r;

	if (!process_fds_are(2)) {
		log_error("started with other descriptors than its own: `sallyport join` starts "
			  "this, nobody else");
		return -EBADF;
	}
	tzset(); /* times of certificates pass by it */
	if (OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_LOAD_SSL_STRINGS |
				     OPENSSL_INIT_LOAD_CRYPTO_STRINGS,
			     NULL) != 1)
		return -ENOSYS;
	r = tls_context_make(&settings, ret_context, why, sizeof why);
	if (r == 0)
		r = sandbox_enter(&sandbox);
	return MIN(r, 0);
}

int join_line_main(void)
{
	struct line line = {.fd = PROCESS_FD_FIRST + 1, .until_ms = clock_ms() + PATIENCE_MS};
	struct tls_context *context = NULL;
	int r = prepare(&context);

	if (r == 0) {
		channel_open(&line.command, PROCESS_FD_FIRST, inbox, ARRAY_LEN(inbox));
		r = line_run(&line, context);
	}
	tls_context_free(context);
	return r < 0 ? 3 : 0;
}
