/* The load of the benchmarks: reads and writes over iSCSI connections that are logged in already,
 * so many at once on each, for so long, and how long each took. As little of its own as can be: it
 * shares the machine with what is measured. Started by tests/bench alone; trusts the target.
 *
 *   load FD…                      iSCSI connections, each a session of its own
 *   load FD LOGIN CERTIFICATE CA  one through TLS 1.3, which begins here: until the first line
 *                                 comes, octets go between LOGIN, where somebody logs in, and it
 *
 * The first lines of standard input say what each connection goes on with: CMDSN MAXCMDSN
 * EXPSTATSN ITT DIGESTS. Each one after is a round: PLACES READS OCTETS LUN BLOCKS DEPTH MS
 * UNASKED SEGMENT CONNECTIONS. PLACES: "on" goes on where the last round ended, "random" does not.
 * READS: how many of a hundred. UNASKED: octets that a write sends before an R2T. Its answer:
 * commands, microseconds, then nanoseconds that 50, 99 and 99.9 of a hundred took at most. */
#include <errno.h>
#include <inttypes.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include "gateway/base/base.h"
#include "gateway/base/bytes.h"
#include "gateway/base/clock.h"
#include "gateway/iscsi/pdu.h"
#include "tests/bench/histogram.h"

#define BLOCK	   512u
#define DIGEST	   4u
#define BUFFER	   (16u << 20)
#define CHUNK	   (256u << 10) /* what is received at once: what stays in the cache */
#define DEPTH_MAX  1024u
#define LINKS_MAX  16u
#define NO_TAG	   0xffffffffu
#define SCSI_IN	   0x25
#define SCSI_END   0x21
#define R2T	   0x31
#define NOP_IN	   0x20
#define HAS_STATUS 0x01
#define FINAL	   0x80

struct link {
	int fd;
	SSL *ssl; /* NULL: plain */
	bool digests;
	uint64_t cmdsn, expstatsn, itt; /* the first tag of its commands; all are itt + a slot */
	uint32_t maxcmdsn;		/* what goes beyond it is not heard */
	uint64_t outstanding;
	uint64_t began[DEPTH_MAX]; /* by slot */
	uint16_t idle[DEPTH_MAX], idle_count;
	uint8_t *in, *out;
	size_t in_len, out_at, out_len;
	uint64_t skip;	/* octets of a PDU's data and its padding that are still to come */
	uint64_t trail; /* and of its digest */
	uint32_t crc;
	uint64_t ending; /* the tag of the command that it is the end of, or NO_TAG */
};

struct load {
	struct link links[LINKS_MAX];
	size_t link_count;
	bool random_place;
	uint64_t reads, octets, lun, blocks, depth, ms, unasked, segment, used;
	uint64_t random, at, done, now;
	struct histogram took;
};

static void die(const char *what)
{
	fprintf(stderr, "load: %s\n", what);
	exit(1);
}

/* --- the wire --- */

static size_t wire_read(struct link *k, uint8_t *to, size_t size)
{
	ssize_t n = k->ssl ? SSL_read(k->ssl, to, (int)size) : recv(k->fd, to, size, 0);

	if (n <= 0)
		die("the target closed the connection");
	return (size_t)n;
}

/* Plain: as much as there is room for. Through TLS: all. */
static void wire_write(struct link *k)
{
	while (k->out_at < k->out_len) {
		const uint8_t *from = k->out + k->out_at;
		size_t len = k->out_len - k->out_at;
		ssize_t n = k->ssl ? SSL_write(k->ssl, from, (int)len)
				   : send(k->fd, from, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && !k->ssl && errno == EAGAIN)
			return;
		if (n <= 0)
			die("the target closed the connection");
		k->out_at += (size_t)n;
	}
	k->out_at = k->out_len = 0;
}

static void wire_tls(struct link *k, const char *certificate, const char *ca)
{
	SSL_CTX *c = SSL_CTX_new(TLS_client_method());

	if (!c || !SSL_CTX_set_min_proto_version(c, TLS1_3_VERSION) ||
	    !SSL_CTX_use_certificate_chain_file(c, certificate) ||
	    !SSL_CTX_use_PrivateKey_file(c, certificate, SSL_FILETYPE_PEM) ||
	    !SSL_CTX_load_verify_locations(c, ca, NULL) ||
	    SSL_CTX_set_alpn_protos(c, (const uint8_t *)"\5iscsi", 6) != 0)
		die("its certificate, or the CA, is none");
	SSL_CTX_set_verify(c, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_read_ahead(c, 1);
	SSL_CTX_set_default_read_buffer_len(c, 1u << 18);
	k->ssl = SSL_new(c);
	if (!k->ssl || !SSL_set_fd(k->ssl, k->fd) || SSL_connect(k->ssl) != 1)
		die("there is no TLS with the target");
}

/* Somebody logs in, until the first line is there. */
static void wire_lend(struct link *k, int login)
{
	struct pollfd ready[] = {{.fd = 0, .events = POLLIN},
				 {.fd = login, .events = POLLIN},
				 {.fd = k->fd, .events = POLLIN}};

	while (!(ready[0].revents & (POLLIN | POLLHUP))) {
		ssize_t n = 0;

		if (poll(ready, ARRAY_LEN(ready), SSL_has_pending(k->ssl) ? 0 : -1) < 0)
			die("poll");
		if (ready[1].revents & POLLIN)
			n = read(login, k->out, CHUNK);
		if (n > 0) {
			k->out_len = (size_t)n;
			wire_write(k);
		}
		if (!(ready[2].revents & POLLIN) && !SSL_has_pending(k->ssl))
			continue;
		n = (ssize_t)wire_read(k, k->in, CHUNK);
		if (write(login, k->in, (size_t)n) != n)
			die("nobody logs in");
	}
}

/* --- PDUs out --- */

/* xorshift64*: every run has the same blocks. */
static uint64_t random_next(struct load *l)
{
	l->random ^= l->random >> 12;
	l->random ^= l->random << 25;
	l->random ^= l->random >> 27;
	return l->random * UINT64_C(2685821657736338717);
}

static void put_crc(struct link *k, size_t from)
{
	if (!k->digests)
		return;
	crc_wire(crc_feed(CRC_START, k->out + from, k->out_len - from), k->out + k->out_len);
	k->out_len += DIGEST;
}

/* A header; put_end() ends the PDU when its fields are there. */
static uint8_t *put_pdu(struct link *k, uint8_t opcode, uint8_t flags, uint64_t itt, size_t data)
{
	uint8_t *bhs;

	if (BUFFER - k->out_len < ISCSI_BHS_SIZE + data + 2 * DIGEST) {
		k->out_len -= k->out_at;
		memmove(k->out, k->out + k->out_at, k->out_len);
		k->out_at = 0;
	}
	if (BUFFER - k->out_len < ISCSI_BHS_SIZE + data + 2 * DIGEST)
		die("more is asked for than its buffer holds");
	bhs = k->out + k->out_len;
	memset(bhs, 0, ISCSI_BHS_SIZE);
	bhs[0] = opcode;
	bhs[1] = flags;
	put_be(bhs + 5, 3, data);
	put_be(bhs + 16, 4, itt);
	put_be(bhs + 28, 4, k->expstatsn);
	return bhs;
}

/* The data is whatever is there. */
static void put_end(struct link *k, size_t data)
{
	size_t from = k->out_len;

	k->out_len += ISCSI_BHS_SIZE;
	put_crc(k, from);
	from = k->out_len;
	k->out_len += data;
	if (data > 0)
		put_crc(k, from);
}

static void put_data(struct load *l, struct link *k, const uint8_t *tags, uint64_t at, uint64_t end)
{
	for (uint64_t sn = 0, part; at < end; sn++, at += part) {
		uint8_t *bhs;

		part = MIN(l->segment, end - at);
		bhs = put_pdu(k, 0x05, at + part == end ? FINAL : 0, 0, part);
		put_be(bhs + 8, 2, l->lun);
		memcpy(bhs + 16, tags, 8);
		put_be(bhs + 36, 4, sn);
		put_be(bhs + 40, 4, at);
		put_end(k, part);
	}
}

static uint64_t place(struct load *l)
{
	uint64_t count = l->octets / BLOCK, n = l->random_place ? random_next(l) : l->at++;

	return n % (l->blocks / count) * count;
}

static bool reads_next(struct load *l)
{
	return l->reads == 100 || (l->reads > 0 && random_next(l) % 100 < l->reads);
}

static void put_command(struct load *l, struct link *k)
{
	bool reads = reads_next(l);
	uint64_t unasked = reads ? 0 : MIN(l->unasked, l->octets), now = MIN(unasked, l->segment);
	uint16_t slot = k->idle[--k->idle_count];
	uint8_t *bhs, tags[8];

	put_be(tags, 4, k->itt + slot);
	put_be(tags + 4, 4, NO_TAG);
	bhs = put_pdu(k, 0x01, (now == unasked ? FINAL : 0) | (reads ? 0x41 : 0x21), k->itt + slot,
		      now);
	put_be(bhs + 8, 2, l->lun);
	put_be(bhs + 20, 4, l->octets);
	put_be(bhs + 24, 4, k->cmdsn);
	bhs[32] = reads ? 0x28 : 0x2a;
	put_be(bhs + 34, 4, place(l));
	put_be(bhs + 39, 2, l->octets / BLOCK);
	put_end(k, now);
	put_data(l, k, tags, now, unasked);
	k->cmdsn = (k->cmdsn + 1) & UINT32_MAX;
	k->began[slot] = l->now;
	k->outstanding++;
}

static void put_nop(struct link *k, const uint8_t *ping)
{
	uint8_t *bhs = put_pdu(k, 0x40, FINAL, NO_TAG, 0);

	memcpy(bhs + 8, ping + 8, 8);
	memcpy(bhs + 20, ping + 20, 4);
	put_be(bhs + 24, 4, k->cmdsn);
	put_end(k, 0);
}

/* --- PDUs in --- */

/* A command is at its end when all of its last PDU is there: its tag may be used again then. */
static void take_end(struct load *l, struct link *k)
{
	uint64_t slot = k->ending - k->itt;

	if (k->ending == NO_TAG)
		return;
	if (slot >= l->depth || k->outstanding == 0)
		die("it ended a command that there is not");
	k->ending = NO_TAG;
	k->outstanding--;
	k->idle[k->idle_count++] = (uint16_t)slot;
	histogram_add(&l->took, l->now - k->began[slot]);
	l->done++;
}

/* RFC 7143 section 4.2.2.1: in serial arithmetic, and never smaller. */
static void note_window(struct link *k, uint32_t maxcmdsn)
{
	if ((int32_t)(maxcmdsn - k->maxcmdsn) > 0)
		k->maxcmdsn = maxcmdsn;
}

static bool window_is_open(const struct link *k)
{
	return (int32_t)(k->maxcmdsn - (uint32_t)k->cmdsn) >= 0;
}

static void take_pdu(struct load *l, struct link *k, const uint8_t *bhs)
{
	uint8_t opcode = bhs[0] & 0x3f;
	uint64_t at = get_be(bhs + 40, 4);
	uint8_t octets[DIGEST];

	if (k->digests) {
		crc_wire(crc_feed(CRC_START, bhs, ISCSI_BHS_SIZE), octets);
		if (memcmp(octets, bhs + ISCSI_BHS_SIZE, DIGEST) != 0)
			die("a header's digest is wrong");
	}
	k->skip = (get_be(bhs + 5, 3) + 3) / 4 * 4;
	k->trail = k->digests && k->skip > 0 ? DIGEST : 0;
	k->crc = CRC_START;
	note_window(k, (uint32_t)get_be(bhs + 32, 4));
	if (opcode == NOP_IN && get_be(bhs + 20, 4) != NO_TAG)
		return put_nop(k, bhs);
	if (opcode == R2T)
		return put_data(l, k, bhs + 16, at, at + get_be(bhs + 44, 4));
	if (opcode != SCSI_END && opcode != SCSI_IN)
		die("it said what is no answer to a command");
	if (opcode == SCSI_IN && !(bhs[1] & HAS_STATUS))
		return;
	if (bhs[3] != 0)
		die("a command did not end well");
	k->expstatsn = (get_be(bhs + 24, 4) + 1) & UINT32_MAX;
	k->ending = get_be(bhs + 16, 4);
}

/* The data of a PDU, and its digest: false as long as some of it is still to come. */
static bool take_data(struct link *k, size_t *at)
{
	size_t gone = MIN(k->skip, k->in_len - *at);
	uint8_t octets[DIGEST];

	if (k->trail > 0)
		k->crc = crc_feed(k->crc, k->in + *at, gone);
	*at += gone;
	k->skip -= gone;
	if (k->skip > 0 || k->in_len - *at < k->trail)
		return false;
	crc_wire(k->crc, octets);
	if (k->trail > 0 && memcmp(octets, k->in + *at, DIGEST) != 0)
		die("a data digest is wrong");
	*at += k->trail;
	k->trail = 0;
	return true;
}

static void take_all(struct load *l, struct link *k)
{
	size_t at = 0, header = ISCSI_BHS_SIZE + (k->digests ? DIGEST : 0);

	k->in_len += wire_read(k, k->in + k->in_len, CHUNK);
	l->now = clock_ns();
	while (take_data(k, &at)) {
		const uint8_t *bhs = k->in + at;

		take_end(l, k);
		if (k->in_len - at < header)
			break;
		at += header;
		take_pdu(l, k, bhs);
	}
	memmove(k->in, k->in + at, k->in_len - at);
	k->in_len -= at;
}

/* --- rounds --- */

static bool waits(const struct link *k)
{
	return k->outstanding > 0 || k->skip > 0 || k->trail > 0;
}

/* One connection that has nothing to send is read from as it is: a call less. */
static void take_ready(struct load *l)
{
	struct pollfd ready[LINKS_MAX];

	if (l->used == 1 && l->links[0].out_len == 0)
		return take_all(l, &l->links[0]);
	for (size_t n = 0; n < l->used; n++)
		ready[n] = (struct pollfd){
			.fd = l->links[n].fd,
			.events = POLLIN | (l->links[n].out_len > 0 ? POLLOUT : 0),
		};
	if (poll(ready, l->used, -1) < 0)
		die("poll");
	for (size_t n = 0; n < l->used; n++)
		if (ready[n].revents & ~POLLOUT)
			take_all(l, &l->links[n]);
}

static void run(struct load *l)
{
	uint64_t until = l->now + l->ms * 1000000;

	for (bool busy = true; busy;) {
		busy = false;
		for (struct link *k = l->links; k < l->links + l->used; k++) {
			while (k->outstanding < l->depth && l->now < until && window_is_open(k))
				put_command(l, k);
			wire_write(k);
			busy |= waits(k) || k->out_len > 0 || l->now < until;
		}
		if (busy)
			take_ready(l);
	}
}

static bool line_read(char *line, int size)
{
	return fgets(line, size, stdin);
}

static void link_begin(struct link *k)
{
	char line[128];
	uint64_t digests = 0, maxcmdsn = 0;

	if (!line_read(line, sizeof line) ||
	    sscanf(line, "%" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64, &k->cmdsn,
		   &maxcmdsn, &k->expstatsn, &k->itt, &digests) != 5)
		die("a connection goes on with what is told first");
	k->maxcmdsn = (uint32_t)maxcmdsn;
	k->digests = digests;
	k->ending = NO_TAG;
}

static void links_reset(struct load *l)
{
	for (struct link *k = l->links; k < l->links + l->used; k++) {
		k->idle_count = 0;
		while (k->idle_count < l->depth) {
			k->idle[k->idle_count] = (uint16_t)(l->depth - 1 - k->idle_count);
			k->idle_count++;
		}
	}
}

static bool round_begin(struct load *l)
{
	char line[512], places[16];
	int n;

	if (!line_read(line, sizeof line))
		return false;
	n = sscanf(line,
		   "%15s %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
		   " %" SCNu64 " %" SCNu64 " %" SCNu64,
		   places, &l->reads, &l->octets, &l->lun, &l->blocks, &l->depth, &l->ms,
		   &l->unasked, &l->segment, &l->used);
	if (n != 10 || l->octets < BLOCK || l->blocks < l->octets / BLOCK || l->depth == 0 ||
	    l->depth > DEPTH_MAX || l->used == 0 || l->used > l->link_count || l->segment == 0)
		die("that is no round");
	l->random_place = strcmp(places, "random") == 0;
	l->done = 0;
	l->took = (struct histogram){0};
	links_reset(l);
	return true;
}

static int descriptor(const char *text)
{
	uint64_t ret = 0;

	if (number_parse(text, 0, 65535, &ret) < 0)
		die("it is started by tests/bench");
	return (int)ret;
}

static void links_make(struct load *l, int argc, char **argv)
{
	bool tls = argc == 5 && strchr(argv[3], '/');

	l->link_count = tls ? 1 : (size_t)argc - 1;
	if (l->link_count == 0 || l->link_count > LINKS_MAX)
		die("it is started by tests/bench");
	for (size_t n = 0; n < l->link_count; n++) {
		struct link *k = &l->links[n];

		k->fd = descriptor(argv[n + 1]);
		k->in = calloc(1, 2 * CHUNK);
		k->out = calloc(1, BUFFER);
		if (!k->in || !k->out)
			die("no memory");
	}
	if (tls) {
		wire_tls(l->links, argv[3], argv[4]);
		wire_lend(l->links, descriptor(argv[2]));
	}
}

int main(int argc, char **argv)
{
	static struct load l = {.random = 88172645463325252u};

	links_make(&l, argc, argv);
	for (size_t n = 0; n < l.link_count; n++)
		link_begin(&l.links[n]);
	while (round_begin(&l)) {
		uint64_t began = l.now = clock_ns();

		run(&l);
		printf("%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", l.done,
		       (clock_ns() - began) / 1000, histogram_at(&l.took, 500),
		       histogram_at(&l.took, 990), histogram_at(&l.took, 999));
		(void)fflush(stdout);
	}
	return 0;
}
