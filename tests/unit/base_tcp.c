/* What TCP connections are set to: by whom they are with. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include "gateway/base/tcp.h"
#include "tests/unit/test.h"

static const struct peer {
	const char *why, *address;
	bool unpaced;
} peers[] = {
	{"nothing paces what stays on this machine", "127.0.0.1", true},
	{"… whichever of its own addresses", "127.8.9.10", true},
	{"… and of IPv6", "::1", true},
	{"the machine's own choice stays for a network", "192.0.2.1", false},
	{"… of IPv6, too", "2001:db8::1", false},
};

static void algorithm_of(int fd, char ret[16])
{
	socklen_t len = 15;

	memset(ret, 0, 16);
	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, ret, &len), 0);
}

static void tuned(void **state)
{
	const struct peer *row = *state;
	OWNED_FD fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char before[16], after[16];
	socklen_t len = sizeof(int);
	struct ip ip;
	int at_once = 0;

	assert_true(fd >= 0);
	assert_int_equal(ip_parse(row->address, &ip), 0);
	algorithm_of(fd, before);
	tcp_tune(fd, &ip);
	algorithm_of(fd, after);
	assert_string_equal(after, row->unpaced ? "reno" : before);
	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &at_once, &len), 0);
	assert_true(at_once != 0);
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, peers, tuned);
	return tests_run(&t, "base_tcp");
}
