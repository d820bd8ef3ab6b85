/* What a server can't do without, for `make bench` and `make bench-tls`: a request of 48 octets, a
 * piece of a file as its answer, or the other way round; no iSCSI but the form of its headers, no
 * audit, no sandbox, one thread. Started by tests/bench alone; trusts who connects.
 *
 *   echo LISTENER FILE                  any number of connections: takes as much as there is and
 *                                       answers it in one go
 *   echo LISTENER FILE digests          with CRC32C of all headers and data
 *   echo LISTENER FILE CERTIFICATE CA   one connection, through TLS 1.3; one by one */
#include <errno.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>
#include "gateway/base/base.h"
#include "gateway/base/bytes.h"
#include "gateway/iscsi/pdu.h"

#define WINDOW	 256 /* of commands */
#define BLOCK	 512u
#define DIGEST	 4u
#define DATA_MAX (1u << 20)
#define PDU_MAX	 (ISCSI_BHS_SIZE + DATA_MAX + 2 * DIGEST)
#define CHUNK	 (128u << 10) /* what is taken, and answered, at once: what stays in the cache */
#define EVENTS	 16

struct link {
	int fd;
	SSL *ssl; /* NULL: plain */
	uint64_t statsn;
	size_t in_at, in_len, out_at, out_len;
	bool waits_for_room;
	bool drained; /* the last receive had all that there was */
	uint8_t in[PDU_MAX + CHUNK], out[PDU_MAX + CHUNK];
};

struct echo {
	int file, epoll, listener;
	bool digests;
};

static void die(const char *what)
{
	fprintf(stderr, "echo: %s\n", what);
	exit(1);
}

/* --- requests and their answers --- */

/* A digest's room, with it in it or not. */
static size_t digest(const struct echo *e, uint8_t *octets, size_t len)
{
	if (!e->digests || len == 0)
		return 0;
	crc_wire(crc_feed(CRC_START, octets, len), octets + len);
	return DIGEST;
}

static void digest_check(const struct echo *e, const uint8_t *octets, size_t len)
{
	uint8_t want[DIGEST];

	if (!e->digests || len == 0)
		return;
	crc_wire(crc_feed(CRC_START, octets, len), want);
	if (memcmp(want, octets + len, DIGEST) != 0)
		die("a digest is wrong");
}

/* The octets of the request that begins at in_at, as far as they are known. */
static size_t request_len(const struct echo *e, const struct link *k)
{
	size_t trail = e->digests ? DIGEST : 0, data;

	if (k->in_len - k->in_at < ISCSI_BHS_SIZE)
		return ISCSI_BHS_SIZE + trail;
	data = get_be(k->in + k->in_at + 5, 3);
	if (data > DATA_MAX)
		die("a request that is too large");
	return ISCSI_BHS_SIZE + trail + data + (data > 0 ? trail : 0);
}

/* A whole request is at in_at. */
static void answer(const struct echo *e, struct link *k)
{
	const uint8_t *in = k->in + k->in_at;
	size_t header = ISCSI_BHS_SIZE + (e->digests ? DIGEST : 0);
	uint64_t at = get_be(in + 34, 4) * BLOCK, len = get_be(in + 39, 2) * BLOCK;
	bool reads = in[32] == 0x28;
	uint8_t *out = k->out + k->out_len;
	ssize_t n;

	digest_check(e, in, ISCSI_BHS_SIZE);
	digest_check(e, in + header, get_be(in + 5, 3));
	if (reads)
		n = pread(e->file, out + header, len, (off_t)at);
	else
		n = pwrite(e->file, in + header, len, (off_t)at);
	if (n != (ssize_t)len)
		die("the file");
	memset(out, 0, ISCSI_BHS_SIZE);
	out[0] = reads ? 0x25 : 0x21;
	out[1] = reads ? 0x81 : 0x80;
	put_be(out + 5, 3, reads ? len : 0);
	memcpy(out + 16, in + 16, 4);
	put_be(out + 24, 4, k->statsn++);
	put_be(out + 28, 4, get_be(in + 24, 4) + 1);
	put_be(out + 32, 4, get_be(in + 24, 4) + WINDOW);
	(void)digest(e, out, ISCSI_BHS_SIZE);
	k->out_len += header;
	if (reads)
		k->out_len += len + digest(e, out + header, len);
}

/* --- plain --- */

static void link_end(struct link *k)
{
	close(k->fd);
	free(k);
}

static void watch_room(const struct echo *e, struct link *k, bool waits)
{
	struct epoll_event event = {.events = waits ? EPOLLOUT : EPOLLIN, .data.ptr = k};

	if (waits == k->waits_for_room)
		return;
	k->waits_for_room = waits;
	if (epoll_ctl(e->epoll, EPOLL_CTL_MOD, k->fd, &event) < 0)
		die("epoll");
}

/* Octets that were taken or sent; 0: not now. -1: the connection is at its end. */
static ssize_t moved(ssize_t n)
{
	if (n > 0)
		return n;
	return n < 0 && errno == EAGAIN ? 0 : -1;
}

static ssize_t link_send(const struct echo *e, struct link *k)
{
	ssize_t n = 1;

	while (n > 0 && k->out_at < k->out_len) {
		n = moved(send(k->fd, k->out + k->out_at, k->out_len - k->out_at, MSG_NOSIGNAL));
		if (n > 0)
			k->out_at += (size_t)n;
	}
	if (n > 0)
		k->out_at = k->out_len = 0;
	watch_room(e, k, n == 0);
	return n;
}

/* A PDU's rest, or as much of many as a chunk holds. */
static ssize_t link_receive(const struct echo *e, struct link *k)
{
	size_t have = k->in_len - k->in_at, asked = request_len(e, k) - have;
	ssize_t n;

	if (k->in_at > 0)
		memmove(k->in, k->in + k->in_at, have);
	asked = MAX(asked, CHUNK - MIN(have, CHUNK));
	n = moved(recv(k->fd, k->in + have, asked, 0));
	k->in_at = 0;
	k->in_len = have + (n > 0 ? (size_t)n : 0);
	k->drained = n >= 0 && (size_t)n < asked;
	return n;
}

/* All requests that are there. 0: there is no room for what is left. */
static ssize_t link_answer(const struct echo *e, struct link *k)
{
	for (;;) {
		ssize_t n;

		while (k->out_len < CHUNK && k->in_len - k->in_at >= request_len(e, k)) {
			size_t len = request_len(e, k);

			answer(e, k);
			k->in_at += len;
		}
		if (k->out_len == 0)
			return 1;
		if ((n = link_send(e, k)) <= 0)
			return n;
	}
}

/* False: the connection is at its end. */
static bool link_serve(const struct echo *e, struct link *k)
{
	for (;;) {
		ssize_t n = link_answer(e, k);

		if (n > 0 && k->drained) {
			k->drained = false;
			return true;
		}
		if (n > 0)
			n = link_receive(e, k);
		if (n <= 0)
			return n == 0;
	}
}

static void accept_one(const struct echo *e)
{
	struct link *k = calloc(1, sizeof *k);
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = k};
	int one = 1;

	if (!k)
		die("no memory");
	k->fd = accept4(e->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (k->fd < 0 || epoll_ctl(e->epoll, EPOLL_CTL_ADD, k->fd, &event) < 0)
		die("nobody could be let in");
	(void)setsockopt(k->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

_Noreturn static void serve(struct echo *e)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL}, got[EVENTS];

	if (epoll_ctl(e->epoll, EPOLL_CTL_ADD, e->listener, &event) < 0)
		die("epoll");
	for (;;) {
		int count = epoll_wait(e->epoll, got, EVENTS, -1);

		if (count < 0 && errno != EINTR)
			die("epoll");
		for (int n = 0; n < count; n++) {
			struct link *k = got[n].data.ptr;

			if (!k)
				accept_one(e);
			else if (!link_serve(e, k))
				link_end(k);
		}
	}
}

/* --- through TLS --- */

static SSL_CTX *context(const char *certificate, const char *ca)
{
	SSL_CTX *c = SSL_CTX_new(TLS_server_method());

	if (!c || !SSL_CTX_set_min_proto_version(c, TLS1_3_VERSION) ||
	    !SSL_CTX_use_certificate_chain_file(c, certificate) ||
	    !SSL_CTX_use_PrivateKey_file(c, certificate, SSL_FILETYPE_PEM) ||
	    !SSL_CTX_load_verify_locations(c, ca, NULL) || !SSL_CTX_set_num_tickets(c, 0))
		die("its certificate, or the CA, is none");
	SSL_CTX_set_verify(c, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_read_ahead(c, 1);
	SSL_CTX_set_mode(c, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	return c;
}

static void wait_or_end(struct link *k, int n)
{
	int why = SSL_get_error(k->ssl, n);

	if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
		exit(0);
}

/* Until there is nothing to read, or no room to write. */
static void go_on(struct echo *e, struct link *k)
{
	for (;;) {
		size_t need = request_len(e, k);
		int n;

		while (k->out_at < k->out_len) {
			n = SSL_write(k->ssl, k->out + k->out_at, (int)(k->out_len - k->out_at));
			if (n <= 0)
				return wait_or_end(k, n);
			k->out_at += (size_t)n;
		}
		k->out_at = k->out_len = 0;
		if (k->in_len == need) {
			answer(e, k);
			k->in_len = 0;
			continue;
		}
		n = SSL_read(k->ssl, k->in + k->in_len, (int)(need - k->in_len));
		if (n <= 0)
			return wait_or_end(k, n);
		k->in_len += (size_t)n;
	}
}

_Noreturn static void serve_tls(struct echo *e, struct link *k)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET}, got;
	int one = 1;

	k->fd = accept4(e->listener, NULL, NULL, SOCK_CLOEXEC);
	(void)setsockopt(k->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (!k->ssl || !SSL_set_fd(k->ssl, k->fd) || SSL_accept(k->ssl) != 1)
		die("there is no TLS with who connected");
	if (fcntl(k->fd, F_SETFL, O_NONBLOCK) < 0 ||
	    epoll_ctl(e->epoll, EPOLL_CTL_ADD, k->fd, &event) < 0)
		die("epoll");
	for (;;) {
		if (epoll_wait(e->epoll, &got, 1, -1) < 0 && errno != EINTR)
			die("epoll");
		go_on(e, k);
	}
}

int main(int argc, char **argv)
{
	static struct link tls;
	struct echo e = {.file = -1};
	uint64_t listener = 0;

	if (argc < 3 || argc > 5 || number_parse(argv[1], 0, 65535, &listener) < 0)
		die("it is started by tests/bench");
	e.listener = (int)listener;
	e.file = open(argv[2], O_RDWR | O_CLOEXEC);
	e.epoll = epoll_create1(EPOLL_CLOEXEC);
	e.digests = argc == 4;
	if (e.file < 0 || e.epoll < 0)
		die("it could not start");
	if (argc < 5)
		serve(&e);
	tls.ssl = SSL_new(context(argv[3], argv[4]));
	serve_tls(&e, &tls);
}
