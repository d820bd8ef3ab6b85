/* Octets through the server's end, once there is a connection, and what is no record at
 * all: cut, empty, too long, too many, forged, or of another protocol. */
#include "tests/unit/tls_rig.h"

static struct tests t;

/* --- a connection whose records the test carries --- */

struct carried {
	struct rig rig;
	struct maker alice;
	BIO *in, *out; /* of the peer */
};

static void carried_open(struct carried *c, uint32_t flags)
{
	*c = (struct carried){0};
	rig_open(&c->rig, NULL);
	c->alice = client_make(&c->rig);
	rig_serve(&c->rig, flags);
	rig_peer(&c->rig, &c->alice);
	c->in = BIO_new(BIO_s_mem());
	c->out = BIO_new(BIO_s_mem());
	BIO_set_mem_eof_return(c->in, -1);
	BIO_set_mem_eof_return(c->out, -1);
	SSL_set_bio(c->rig.peer, c->in, c->out);
}

/* What we have sent reaches the peer. */
static void take(struct carried *c)
{
	uint8_t octets[65536];
	ssize_t n;

	while ((n = recv(c->rig.fds[1], octets, sizeof octets, MSG_DONTWAIT)) > 0)
		assert_int_equal(BIO_write(c->in, octets, (int)n), n);
}

/* What the peer has to say, in pieces of `size`, with a call to ours after each. */
static int carry(struct carried *c, size_t size)
{
	uint8_t octets[512];
	int ours = 0, n;
	uint32_t events;

	while (ours >= 0 && (n = BIO_read(c->out, octets, (int)MIN(size, sizeof octets))) > 0) {
		assert_int_equal(send(c->rig.fds[1], octets, (size_t)n, MSG_DONTWAIT), n);
		ours = tls_handshake(c->rig.tls, &events);
		take(c);
	}
	return ours;
}

static int carried_shake(struct carried *c, size_t size)
{
	int ours = 0;

	for (unsigned turn = 0; turn < 16 && ours == 0; turn++) {
		(void)SSL_do_handshake(c->rig.peer);
		ours = carry(c, size);
	}
	ERR_clear_error();
	return ours;
}

static void carried_close(struct carried *c)
{
	maker_free(&c->alice);
	rig_close(&c->rig);
}

static ssize_t receive(struct carried *c, void *to, size_t len)
{
	struct iovec iov = {to, len};

	return tls_receive(c->rig.tls, &iov, 1);
}

/* The peer's records, unchanged, as they are. */
static void pass(struct carried *c)
{
	uint8_t octets[65536];
	int n;

	while ((n = BIO_read(c->out, octets, sizeof octets)) > 0)
		assert_int_equal(send(c->rig.fds[1], octets, (size_t)n, MSG_DONTWAIT), n);
}

/* --- octets --- */

static void test_one_by_one(void **state)
{
	struct carried c;
	char text[8] = "";

	(void)state;
	carried_open(&c, 0);
	assert_int_equal(carried_shake(&c, 1), 1);
	assert_int_equal(SSL_write(c.rig.peer, "octets", 6), 6);
	assert_int_equal(carry(&c, 1), 1);
	assert_int_equal(receive(&c, text, sizeof text), 6);
	assert_string_equal(text, "octets");
	assert_int_equal(receive(&c, text, sizeof text), -EAGAIN);
	carried_close(&c);
}

static void test_pieces(void **state)
{
	struct carried c;
	char a[3], b[2], rest[16];
	struct iovec iov[2] = {{a, sizeof a}, {b, sizeof b}};

	(void)state;
	carried_open(&c, 0);
	assert_int_equal(carried_shake(&c, 512), 1);
	for (unsigned k = 0; k < 3; k++)
		assert_int_equal(SSL_write(c.rig.peer, "0123", 4), 4);
	pass(&c);
	assert_int_equal(tls_receive(c.rig.tls, iov, 2), 5);
	assert_memory_equal(a, "012", 3);
	assert_memory_equal(b, "30", 2);
	assert_true(tls_has_more(c.rig.tls)); /* the socket has nothing any more */
	assert_int_equal(receive(&c, rest, sizeof rest), 7);
	assert_memory_equal(rest, "1230123", 7);
	assert_false(tls_has_more(c.rig.tls));
	carried_close(&c);
}

static void test_bounded(void **state)
{
	struct carried c;
	char octets[100];
	ssize_t n, total = 0;
	unsigned calls = 0;

	(void)state;
	carried_open(&c, 0);
	assert_int_equal(carried_shake(&c, 512), 1);
	for (unsigned k = 0; k < 100; k++)
		assert_int_equal(SSL_write(c.rig.peer, "x", 1), 1);
	pass(&c);
	while ((n = receive(&c, octets, sizeof octets)) > 0) {
		assert_true(n < 100);
		total += n;
		calls++;
	}
	assert_int_equal(total, 100);
	assert_true(calls > 1);
	carried_close(&c);
}

#define MUCH (1u << 20)

static void test_much(void **state)
{
	struct rig r;
	struct maker alice;
	uint8_t *sent = malloc(MUCH), *got = malloc(MUCH);
	size_t at = 0, arrived = 0;
	bool full = false;

	(void)state;
	for (size_t k = 0; k < MUCH; k++)
		sent[k] = (uint8_t)(k * 2654435761u >> 13);
	rig_open(&r, NULL);
	alice = client_make(&r);
	rig_serve(&r, 0);
	rig_peer(&r, &alice);
	assert_int_equal(rig_shake(&r), 1);
	while (arrived < MUCH) {
		/* pieces of a response: a short header, much data, an odd rest */
		struct iovec iov[3] = {{sent + at, MIN(48, MUCH - at)}, {0}, {0}};
		size_t n = 0;
		ssize_t taken = 0;

		iov[1] = (struct iovec){sent + at + iov[0].iov_len,
					MIN(70001, MUCH - at - iov[0].iov_len)};
		iov[2].iov_base = (uint8_t *)iov[1].iov_base + iov[1].iov_len;
		iov[2].iov_len = MIN(3, MUCH - at - iov[0].iov_len - iov[1].iov_len);
		if (at < MUCH)
			taken = tls_send(r.tls, iov, 3);
		else if (tls_unsent(r.tls))
			IGNORE_RESULT(tls_flush(r.tls));
		full |= taken == -EAGAIN;
		at += taken > 0 ? (size_t)taken : 0;
		if ((taken <= 0 || arrived + MUCH / 2 < at) &&
		    SSL_read_ex(r.peer, got + arrived, MUCH - arrived, &n) == 1)
			arrived += n;
		ERR_clear_error();
	}
	assert_true(full);
	assert_memory_equal(sent, got, MUCH);
	assert_false(tls_unsent(r.tls));
	free(sent);
	free(got);
	maker_free(&alice);
	rig_close(&r);
}

/* --- ends --- */

static void test_end_in_order(void **state)
{
	struct carried c;
	char octets[8];

	(void)state;
	carried_open(&c, 0);
	assert_int_equal(carried_shake(&c, 512), 1);
	assert_int_equal(SSL_write(c.rig.peer, "last", 4), 4);
	(void)SSL_shutdown(c.rig.peer);
	pass(&c);
	assert_int_equal(receive(&c, octets, sizeof octets), 4);
	assert_true(tls_has_more(c.rig.tls));
	assert_int_equal(receive(&c, octets, sizeof octets), 0);
	assert_int_equal(receive(&c, octets, sizeof octets), 0);
	assert_int_equal(tls_reason(c.rig.tls), TLS_REASON_NONE);
	carried_close(&c);
}

static void test_cut(void **state)
{
	struct carried c;
	char octets[8];

	(void)state;
	carried_open(&c, 0);
	assert_int_equal(carried_shake(&c, 512), 1);
	assert_int_equal(SSL_write(c.rig.peer, "last", 4), 4);
	pass(&c);
	assert_int_equal(shutdown(c.rig.fds[1], SHUT_WR), 0);
	assert_int_equal(receive(&c, octets, sizeof octets), 4);
	assert_int_equal(receive(&c, octets, sizeof octets), -ECONNRESET);
	assert_int_equal(tls_reason(c.rig.tls), TLS_TRUNCATED);
	carried_close(&c);
}

static void test_our_end(void **state)
{
	struct carried c;
	struct iovec iov = {(char[]){"bye"}, 3};
	char octets[8];

	(void)state;
	carried_open(&c, 0);
	assert_int_equal(carried_shake(&c, 512), 1);
	assert_int_equal(tls_send(c.rig.tls, &iov, 1), 3);
	assert_int_equal(tls_close(c.rig.tls), 0);
	assert_int_equal(tls_send(c.rig.tls, &iov, 1), -EPIPE);
	take(&c);
	assert_int_equal(SSL_read(c.rig.peer, octets, sizeof octets), 3);
	assert_int_equal(SSL_read(c.rig.peer, octets, sizeof octets), 0);
	assert_int_equal(SSL_get_shutdown(c.rig.peer) & SSL_RECEIVED_SHUTDOWN,
			 SSL_RECEIVED_SHUTDOWN);
	carried_close(&c);
}

/* --- records that are not as they should be --- */

static void test_forged(void **state)
{
	struct carried c;
	uint8_t record[64], octets[8];
	int n;

	(void)state;
	carried_open(&c, 0);
	assert_int_equal(carried_shake(&c, 512), 1);
	assert_int_equal(SSL_write(c.rig.peer, "octets", 6), 6);
	n = BIO_read(c.out, record, sizeof record);
	record[n - 1] ^= 1;
	assert_int_equal(send(c.rig.fds[1], record, (size_t)n, 0), n);
	assert_int_equal(receive(&c, octets, sizeof octets), -EPROTO);
	assert_int_equal(tls_reason(c.rig.tls), TLS_GARBAGE);
	assert_int_equal(receive(&c, octets, sizeof octets), -EPROTO); /* it stays so */
	carried_close(&c);
}

static void test_replayed(void **state)
{
	struct carried c;
	uint8_t record[64], octets[8];
	int n;

	(void)state;
	carried_open(&c, 0);
	assert_int_equal(carried_shake(&c, 512), 1);
	assert_int_equal(SSL_write(c.rig.peer, "octets", 6), 6);
	n = BIO_read(c.out, record, sizeof record);
	for (unsigned k = 0; k < 2; k++)
		assert_int_equal(send(c.rig.fds[1], record, (size_t)n, 0), n);
	assert_int_equal(receive(&c, octets, sizeof octets), 6);
	assert_int_equal(receive(&c, octets, sizeof octets), -EPROTO);
	assert_int_equal(tls_reason(c.rig.tls), TLS_GARBAGE);
	carried_close(&c);
}

static const struct flood {
	const char *why;
	bool data;
	ssize_t end;
} floods[] = {
	{"P6: key updates without end bring no data, and end the connection", false, -EPROTO},
	{"key updates between data are what they are for", true, 1},
};

static void test_flood(void **state)
{
	const struct flood *row = *state;
	struct carried c;
	uint8_t octet;
	ssize_t n = -EAGAIN;

	carried_open(&c, 0);
	assert_int_equal(carried_shake(&c, 512), 1);
	for (unsigned k = 0; k < 100 && (n > 0 || n == -EAGAIN); k++) {
		assert_int_equal(SSL_key_update(c.rig.peer, SSL_KEY_UPDATE_REQUESTED), 1);
		assert_int_equal(SSL_do_handshake(c.rig.peer), 1);
		if (row->data)
			assert_int_equal(SSL_write(c.rig.peer, "x", 1), 1);
		pass(&c);
		do
			n = receive(&c, &octet, 1);
		while (n == -EAGAIN && tls_has_more(c.rig.tls));
		IGNORE_RESULT(tls_flush(c.rig.tls));
		take(&c);
		(void)SSL_read(c.rig.peer, &octet, 1);
		ERR_clear_error();
	}
	assert_int_equal(n, row->end);
	if (!row->data)
		assert_int_equal(tls_reason(c.rig.tls), TLS_GARBAGE);
	carried_close(&c);
}

/* A peer that asks for key updates, and reads no answer: between them data, so that each counts. */
static void test_unread(void **state)
{
	struct carried c;
	uint8_t octet;
	ssize_t n = 1;
	int room = 1024;

	(void)state;
	carried_open(&c, 0);
	assert_int_equal(carried_shake(&c, 512), 1);
	assert_int_equal(setsockopt(c.rig.fds[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof room), 0);
	for (unsigned k = 0; k < 20000 && n > 0; k++) {
		assert_int_equal(SSL_key_update(c.rig.peer, SSL_KEY_UPDATE_REQUESTED), 1);
		assert_int_equal(SSL_do_handshake(c.rig.peer), 1);
		assert_int_equal(SSL_write(c.rig.peer, "x", 1), 1);
		pass(&c);
		do
			n = receive(&c, &octet, 1);
		while (n == -EAGAIN && tls_has_more(c.rig.tls));
		IGNORE_RESULT(tls_flush(c.rig.tls));
	}
	assert_int_equal(n, -EPROTO);
	assert_int_equal(tls_reason(c.rig.tls), TLS_GARBAGE);
	carried_close(&c);
}

static const struct fragment {
	const char *why;
	uint8_t mode;
} fragments[] = {
	{"a peer that takes records of 512 octets gets all", TLSEXT_max_fragment_length_512},
	{"a peer that takes records of 4096 octets gets all", TLSEXT_max_fragment_length_4096},
};

static void test_fragments(void **state)
{
	const struct fragment *row = *state;
	static uint8_t sent[100000], got[sizeof sent];
	size_t at = 0, arrived = 0;
	struct rig r;
	struct maker alice;

	for (size_t k = 0; k < sizeof sent; k++)
		sent[k] = (uint8_t)(k * 2654435761u >> 13);
	rig_open(&r, NULL);
	alice = client_make(&r);
	rig_serve(&r, 0);
	rig_peer(&r, &alice);
	assert_int_equal(SSL_set_tlsext_max_fragment_length(r.peer, row->mode), 1);
	assert_int_equal(rig_shake(&r), 1);
	while (arrived < sizeof sent) {
		struct iovec iov = {sent + at, sizeof sent - at};
		ssize_t taken = iov.iov_len > 0 ? tls_send(r.tls, &iov, 1) : 0;
		size_t n = 0;

		assert_true(taken >= 0 || taken == -EAGAIN);
		at += taken > 0 ? (size_t)taken : 0;
		if (at == sizeof sent)
			IGNORE_RESULT(tls_flush(r.tls));
		while (SSL_read_ex(r.peer, got + arrived, sizeof got - arrived, &n) == 1)
			arrived += n;
		ERR_clear_error();
	}
	assert_memory_equal(sent, got, sizeof sent);
	maker_free(&alice);
	rig_close(&r);
}

/* Data that comes before the handshake is done: from a peer that says that we know each other. */
static int on_known(SSL *ssl, const EVP_MD *md, const unsigned char **ret_id, size_t *ret_len,
		    SSL_SESSION **ret_session)
{
	static const uint8_t key[48] = {7}, suite[] = {0x13, 0x02};
	SSL_SESSION *s = SSL_SESSION_new();

	(void)md;
	SSL_SESSION_set1_master_key(s, key, sizeof key);
	SSL_SESSION_set_cipher(s, SSL_CIPHER_find(ssl, suite));
	SSL_SESSION_set_protocol_version(s, TLS1_3_VERSION);
	SSL_SESSION_set_max_early_data(s, 1000);
	*ret_id = (const uint8_t *)"old";
	*ret_len = 3;
	*ret_session = s;
	return 1;
}

static void test_early(void **state)
{
	struct carried c;
	size_t written = 0;
	char octets[32] = "";

	(void)state;
	carried_open(&c, 0);
	SSL_set_psk_use_session_callback(c.rig.peer, on_known);
	assert_int_equal(SSL_write_early_data(c.rig.peer, "too early", 9, &written), 1);
	assert_int_equal(carried_shake(&c, 512), 1);
	assert_int_equal(SSL_get_early_data_status(c.rig.peer), SSL_EARLY_DATA_REJECTED);
	assert_int_equal(receive(&c, octets, sizeof octets), -EAGAIN);
	assert_int_equal(SSL_write(c.rig.peer, "in time", 7), 7);
	pass(&c);
	assert_int_equal(receive(&c, octets, sizeof octets), 7);
	assert_string_equal(octets, "in time");
	carried_close(&c);
}

/* --- what is no handshake --- */

#define HELLO_BEGINS "\x16\x03\x01"

static const struct first {
	const char *why, *octets;
	size_t len, again; /* it is sent so often more */
	bool closes;
	enum tls_reason reason;
} firsts[] = {
	{"a login of iSCSI", "\x43\x87\0\0", 4, 12, false, TLS_PLAIN},
	{"a login of iSCSI that is not immediate", "\x03\x87\0\0", 4, 12, false, TLS_PLAIN},
	{"HTTP", "GET / HTTP/1.0\r\n\r\n", 18, 0, false, TLS_PLAIN},
	{"SSH", "SSH-2.0-x\r\n", 11, 0, false, TLS_PLAIN},
	{"one octet of nothing", "\xff", 1, 0, false, TLS_GARBAGE},
	{"zeroes", "\0\0\0\0", 4, 100, false, TLS_GARBAGE},
	{"a hello of SSL 2", "\x80\x2e\x01\0\x02", 5, 9, false, TLS_GARBAGE},
	{"an alert first", "\x15\x03\x03\0\x02\x02\x28", 7, 0, false, TLS_GARBAGE},
	{"a change of ciphers first", "\x14\x03\x03\0\x01\x01", 6, 0, false, TLS_GARBAGE},
	{"data first", "\x17\x03\x03\0\x01\x01", 6, 0, false, TLS_GARBAGE},
	{"a record of version 2", "\x16\x02\x00\0\x05\x01\0\0\x01\0", 10, 0, false, TLS_GARBAGE},
	{"a record that is too long", HELLO_BEGINS "\x48\x01\x01\0\x48\0", 9, 0, false,
	 TLS_GARBAGE},
	{"a hello that is too long", HELLO_BEGINS "\0\x04\x01\xff\xff\xff", 9, 0, false,
	 TLS_GARBAGE},
	{"empty records, again and again", HELLO_BEGINS "\0\0", 5, 99, false, TLS_GARBAGE},
	{"a message that there is not", HELLO_BEGINS "\0\x04\x63\0\0\0", 9, 0, false, TLS_GARBAGE},
	{"a Finished first", HELLO_BEGINS "\0\x04\x14\0\0\0", 9, 0, false, TLS_GARBAGE},
	{"a hello of nothing", HELLO_BEGINS "\0\x04\x01\0\0\0", 9, 0, false, TLS_GARBAGE},
	{"a hello whose lengths are wrong",
	 HELLO_BEGINS "\0\x2a\x01\0\0\x26\x03\x03"
		      "0123456789abcdef0123456789abcdef\xff\0\0\0",
	 47, 0, false, TLS_GARBAGE},
	{"nothing but the end", "", 0, 0, true, TLS_TRUNCATED},
	{"half a record and the end", HELLO_BEGINS "\0\x40\x01\0", 7, 0, true, TLS_TRUNCATED},
	{"octets of a hello that never ends",
	 HELLO_BEGINS "\0\x40\x01\x01\xf0\0\x03\x03"
		      "0123456789abcdef0123456789abcdef0123456789abcdef0123456789",
	 69, 0, true, TLS_TRUNCATED},
};

/* One fatal alert, or the end without a word: RFC 8446 section 6.2. */
static void answer_check(int fd)
{
	uint8_t octets[64];
	ssize_t n = recv(fd, octets, sizeof octets, MSG_DONTWAIT);

	if (n <= 0)
		return;
	assert_int_equal(n, 7);
	assert_memory_equal(octets, "\x15\x03", 2);
	assert_memory_equal(octets + 3, "\0\x02\x02", 3);
}

static void test_first(void **state)
{
	const struct first *row = *state;
	struct rig r;
	uint32_t events;
	int ours = 0;

	rig_open(&r, NULL);
	rig_serve(&r, TLS_ALLOW_12);
	for (size_t k = 0; k <= row->again && ours == 0; k++) {
		if (row->len > 0)
			(void)send(r.fds[1], row->octets, row->len, MSG_NOSIGNAL);
		if (k % 8 == 0)
			ours = tls_handshake(r.tls, &events);
	}
	if (row->closes)
		assert_int_equal(shutdown(r.fds[1], SHUT_WR), 0);
	for (unsigned k = 0; k < 4 && ours == 0; k++)
		ours = tls_handshake(r.tls, &events);
	assert_true(ours < 0);
	assert_string_equal(tls_reason_name(tls_reason(r.tls)), tls_reason_name(row->reason));
	assert_int_equal(r.signs.asked, 0);
	answer_check(r.fds[1]);
	rig_close(&r);
}

static void test_endless_hello(void **state)
{
	uint8_t record[5 + 16384] = {0x16, 0x03, 0x01, 0x40, 0x00, 0x01, 0x01, 0xf0, 0x00, 3, 3};
	struct rig r;
	uint32_t events;
	int ours = 0;

	(void)state;
	rig_open(&r, NULL);
	rig_serve(&r, 0);
	for (unsigned k = 0; k < 7 && ours == 0; k++) {
		assert_int_equal(send(r.fds[1], record, sizeof record, 0), sizeof record);
		ours = tls_handshake(r.tls, &events);
		memset(record + 5, 0, 6);
	}
	assert_int_equal(ours, -EPROTO);
	assert_int_equal(tls_reason(r.tls), TLS_GARBAGE);
	rig_close(&r);
}

/* Whatever an octet of a handshake is changed to: it fails, and nobody gets in. */
static void test_changed(void **state)
{
	for (size_t at = 0; at < 1200; at += 7) {
		struct carried c;
		uint8_t octets[4096];
		int ours = 0, n;
		size_t seen = 0;
		uint32_t events;

		(void)state;
		carried_open(&c, 0);
		for (unsigned turn = 0; turn < 6 && ours == 0; turn++) {
			(void)SSL_do_handshake(c.rig.peer);
			ERR_clear_error();
			while (ours == 0 && (n = BIO_read(c.out, octets, sizeof octets)) > 0) {
				if (at >= seen && at < seen + (size_t)n)
					octets[at - seen] ^= 0x40;
				seen += (size_t)n;
				(void)send(c.rig.fds[1], octets, (size_t)n, MSG_NOSIGNAL);
				ours = tls_handshake(c.rig.tls, &events);
				take(&c);
			}
		}
		if (ours == 1 && at < seen)
			fail_msg("an octet is changed at %zu, and it is taken", at);
		carried_close(&c);
	}
}

int main(void)
{
	tests_add(&t, "a handshake and data that come octet by octet", test_one_by_one, NULL);
	tests_add(&t, "records into pieces of memory, and what is read ahead", test_pieces, NULL);
	tests_add(&t, "P6: a call takes a bounded number of records", test_bounded, NULL);
	tests_add(&t, "a MiB through a socket that is full again and again", test_much, NULL);
	tests_add(&t, "an end in order, after the last data", test_end_in_order, NULL);
	tests_add(&t, "a connection that is cut is told from one that ends", test_cut, NULL);
	tests_add(&t, "our own end is told to the peer", test_our_end, NULL);
	tests_add(&t, "a record that was changed on its way", test_forged, NULL);
	tests_add(&t, "a record that comes twice", test_replayed, NULL);
	TESTS_ADD_TABLE(&t, floods, test_flood);
	tests_add(&t, "P6: who asks for key updates and reads none is not waited for", test_unread,
		  NULL);
	TESTS_ADD_TABLE(&t, fragments, test_fragments);
	tests_add(&t, "data before the handshake is done does not survive it", test_early, NULL);
	TESTS_ADD_TABLE(&t, firsts, test_first);
	tests_add(&t, "P6: a hello without end is not gathered", test_endless_hello, NULL);
	tests_add(&t, "an octet of the handshake is changed: it fails, whichever it is",
		  test_changed, NULL);
	return tests_run(&t, "tls");
}
