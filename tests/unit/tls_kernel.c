/* TLS in the kernel, over TCP on loopback: it is used where the kernel has it, octets and
 * ends are the same with it, and the peer can't tell. Skipped where the kernel has it not;
 * the guest's has. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include "tests/unit/tls_rig.h"

#define MUCH (2u << 20)

static struct tests t;

/* In the place of the rig's socket pair. */
static void tcp_pair(int fds[2])
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof at;
	int door = socket(AF_INET, SOCK_STREAM, 0);

	fds[1] = socket(AF_INET, SOCK_STREAM, 0);
	assert_true(bind(door, (struct sockaddr *)&at, len) == 0 && listen(door, 1) == 0 &&
		    getsockname(door, (struct sockaddr *)&at, &len) == 0 &&
		    connect(fds[1], (struct sockaddr *)&at, len) == 0);
	fds[0] = accept4(door, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(fds[0] >= 0 && fcntl(fds[1], F_SETFL, O_NONBLOCK) == 0);
	(void)close(door);
}

static void skip_without_kernel(void)
{
	int fds[2], r;

	tcp_pair(fds);
	r = setsockopt(fds[0], IPPROTO_TCP, TCP_ULP, "tls", sizeof "tls");
	(void)close(fds[0]);
	(void)close(fds[1]);
	if (r < 0) {
		print_message("this kernel has no TLS: modprobe tls\n");
		skip();
	}
}

static const struct row {
	const char *why, *suite;
	int version;
	bool sends;
} rows[] = {
	{"the kernel encrypts: TLS_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384", TLS1_3_VERSION,
	 true},
	{"the kernel encrypts: TLS_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256", TLS1_3_VERSION,
	 true},
	{"TLS_CHACHA20_POLY1305_SHA256, whoever encrypts", "TLS_CHACHA20_POLY1305_SHA256",
	 TLS1_3_VERSION, false},
	{"the kernel encrypts: TLS 1.2", NULL, TLS1_2_VERSION, true},
};

struct over {
	struct rig r;
	struct maker alice;
	struct tls_peer p;
};

static void over_open(struct over *o, const char *suite, int version)
{
	skip_without_kernel();
	rig_open(&o->r, NULL);
	o->alice = client_make(&o->r);
	rig_serve(&o->r, TLS_ALLOW_12);
	tls_free(o->r.tls);
	fd_close(&o->r.fds[0]);
	fd_close(&o->r.fds[1]);
	tcp_pair(o->r.fds);
	assert_int_equal(tls_open(o->r.context, o->r.fds[0], &o->r.tls), 0);
	rig_peer(&o->r, &o->alice);
	if (suite)
		assert_int_equal(SSL_set_ciphersuites(o->r.peer, suite), 1);
	SSL_set_max_proto_version(o->r.peer, version);
	assert_int_equal(rig_shake(&o->r), 1);
	tls_peer(o->r.tls, &o->p);
}

static void over_close(struct over *o)
{
	maker_free(&o->alice);
	rig_close(&o->r);
}

static void settle(const struct over *o)
{
	struct pollfd p[2] = {{o->r.fds[0], POLLIN, 0}, {o->r.fds[1], POLLIN, 0}};

	(void)poll(p, 2, 20);
}

static void test_both_ways(void **state)
{
	const struct row *row = *state;
	size_t at = 0, arrived = 0, said = 0, heard = 0, n;
	uint8_t *sent, *got, *back;
	struct over o;

	over_open(&o, row->suite, row->version);
	sent = malloc(MUCH);
	got = malloc(MUCH);
	back = malloc(MUCH);
	if (row->sends)
		assert_int_equal(o.p.kernel & TLS_KERNEL_SENDS, TLS_KERNEL_SENDS);
	for (size_t k = 0; k < MUCH; k++)
		sent[k] = (uint8_t)(k * 2654435761u >> 11);
	while (arrived < MUCH || heard < MUCH) {
		struct iovec out[2] = {{sent + at, MIN(48, MUCH - at)}, {0}};
		struct iovec in = {back + heard, MUCH - heard};
		ssize_t r = -EAGAIN;
		size_t before = at + arrived + said + heard;

		out[1] = (struct iovec){sent + at + out[0].iov_len,
					MIN(100003, MUCH - at - out[0].iov_len)};
		if (at < MUCH && (r = tls_send(o.r.tls, out, 2)) > 0)
			at += (size_t)r;
		else if (tls_unsent(o.r.tls))
			IGNORE_RESULT(tls_flush(o.r.tls));
		if (arrived < MUCH && SSL_read_ex(o.r.peer, got + arrived, MUCH - arrived, &n) == 1)
			arrived += n;
		if (said < MUCH &&
		    SSL_write_ex(o.r.peer, sent + said, MIN(16384, MUCH - said), &n) == 1)
			said += n;
		if (heard < MUCH && (r = tls_receive(o.r.tls, &in, 1)) > 0)
			heard += (size_t)r;
		assert_true(r > 0 || r == -EAGAIN);
		if (before == at + arrived + said + heard)
			settle(&o);
	}
	ERR_clear_error();
	assert_memory_equal(sent, got, MUCH);
	assert_memory_equal(sent, back, MUCH);
	free(sent);
	free(got);
	free(back);
	over_close(&o);
}

static void test_end(void **state)
{
	const struct row *row = *state;
	struct iovec iov = {(char[]){"bye"}, 3};
	struct over o;
	char octets[8];
	int n = -1;

	over_open(&o, row->suite, row->version);
	assert_int_equal(tls_send(o.r.tls, &iov, 1), 3);
	assert_int_equal(tls_close(o.r.tls), 0);
	for (unsigned k = 0; k < 50 && (n = SSL_read(o.r.peer, octets, sizeof octets)) < 0; k++)
		settle(&o);
	assert_int_equal(n, 3);
	for (unsigned k = 0; k < 50 && (n = SSL_read(o.r.peer, octets, sizeof octets)) < 0; k++)
		settle(&o);
	assert_int_equal(SSL_get_shutdown(o.r.peer) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
	ERR_clear_error();
	over_close(&o);
}

static const struct update {
	const char *why;
	bool full;
} updates[] = {
	{"keys that the kernel can't change end a connection", false},
	{"… and where there is no room for an answer", true},
};

static ssize_t receive_soon(struct over *o, struct iovec *iov)
{
	ssize_t r = -EAGAIN;

	for (unsigned k = 0; k < 50 && r == -EAGAIN; k++) {
		settle(o);
		r = tls_receive(o->r.tls, iov, 1);
	}
	return r;
}

/* Until nothing more goes in. */
static void fill(struct over *o)
{
	static uint8_t octets[65536];
	struct iovec iov = {octets, sizeof octets};
	ssize_t r;

	while ((r = tls_send(o->r.tls, &iov, 1)) > 0)
		continue;
	assert_int_equal(r, -EAGAIN);
}

/* A peer that changes its own key is followed. One that wants ours changed, which the kernel has,
 * is told so by the end of the connection: what was sent by the old one it could not read. Whether
 * there is room for the answer or not, nothing is waited for. */
static void test_update(void **state)
{
	const struct update *row = *state;
	struct iovec iov = {(char[8]){0}, 8}, out = {(char[]){"after"}, 5};
	struct over o;

	over_open(&o, NULL, TLS1_3_VERSION);
	assert_int_equal(o.p.kernel & TLS_KERNEL_SENDS, TLS_KERNEL_SENDS);
	assert_int_equal(SSL_key_update(o.r.peer, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
	assert_int_equal(SSL_write(o.r.peer, "updated", 7), 7);
	assert_int_equal(receive_soon(&o, &iov), 7);
	if (row->full)
		fill(&o);
	assert_int_equal(SSL_key_update(o.r.peer, SSL_KEY_UPDATE_REQUESTED), 1);
	assert_int_equal(SSL_write(o.r.peer, "again", 5), 5);
	assert_int_equal(receive_soon(&o, &iov), -EPROTO);
	assert_int_equal(tls_reason(o.r.tls), TLS_FAILED);
	assert_int_equal(tls_send(o.r.tls, &out, 1), -EPROTO);
	ERR_clear_error();
	over_close(&o);
}

int main(void)
{
	TESTS_ADD_TABLE(&t, rows, test_both_ways);
	tests_add(&t, "an end in order is told by the kernel, too", test_end, &rows[0]);
	TESTS_ADD_TABLE(&t, updates, test_update);
	return tests_run(&t, "tls");
}
