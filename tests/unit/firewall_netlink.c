/* Bans by netlink, in a network namespace of this program's own. */
#include "tests/unit/test.h"

#include <sched.h>
#include <sys/wait.h>
#include "gateway/base/fd.h"
#include "policy/firewall.h"
#include "policy/firewall_netlink.h"

static const char *unavailable; /* why bans can't be tried here */

static const struct refused_case {
	const char *why, *ip;
	uint8_t prefix;
	bool refused;
} refused_cases[] = {
	{"one IPv4 address may be banned", "192.0.2.1", 32, false},
	{"an IPv6 /64 may be banned", "2001:db8::", 64, false},
	{"an IPv4 network is refused", "192.0.2.0", 24, true},
	{"an IPv4 prefix beyond 32 is refused", "192.0.2.1", 64, true},
	{"one IPv6 address is refused", "2001:db8::1", 128, true},
	{"bits beyond the /64 are refused", "2001:db8::1", 64, true},
	{"an IPv6 network is refused", "2001:db8::", 48, true},
	{"a scope is refused", "fe80::%1", 64, true},
	{"127.0.0.1 is refused", "127.0.0.1", 32, true},
	{"127.1.2.3 is refused", "127.1.2.3", 32, true},
	{"0.0.0.0 is refused", "0.0.0.0", 32, true},
	{"the /64 of ::1 is refused", "::", 64, true},
};

static void test_refused(void **state)
{
	const struct refused_case *c = *state;
	struct network n = {.prefix = c->prefix};

	assert_int_equal(ip_parse(c->ip, &n.ip), 0);
	assert_int_equal(firewall_ban_refused(&n) != NULL, c->refused);
}

static void test_no_address(void **state)
{
	const struct network nothing = {0}, odd = {.ip.version = 200, .prefix = 32};

	(void)state;
	assert_non_null(firewall_ban_refused(&nothing));
	assert_non_null(firewall_ban_refused(&odd));
}

static int nft(const char *script)
{
	OWNED_FD fd = memfd_sealed("script", script, strlen(script));
	int status = -1;
	pid_t pid;

	assert_true(fd >= 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	pid = fork();
	if (pid == 0) {
		if (dup2(fd, STDIN_FILENO) >= 0)
			(void)execl("/usr/sbin/nft", "nft", "-f", "-", NULL);
		_exit(127);
	}
	assert_true(pid > 0 && waitpid(pid, &status, 0) == pid);
	return status;
}

static void find_out(void)
{
	if (geteuid() != 0)
		unavailable = "needs root";
	else if (access("/usr/sbin/nft", X_OK) < 0)
		unavailable = "nft is not installed";
	else if (unshare(CLONE_NEWNET) < 0)
		unavailable = "no network namespace may be made here";
	else if (nft(firewall_bans_script) != 0)
		unavailable = "nft can't change rules here";
}

static void test_bans(void **state)
{
	const char *const blocks[] = {"192.0.2.1", "2001:db8:1:2::/64"};
	struct firewall_netlink n;

	(void)state;
	if (unavailable) {
		print_message("%s\n", unavailable);
		skip();
	}
	assert_int_equal(firewall_netlink_open(&n), 0);
	for (size_t i = 0; i < ARRAY_LEN(blocks); i++) {
		struct network block;

		assert_int_equal(network_parse(blocks[i], &block), 0);
		assert_int_equal(firewall_ban_lift(&n, &block), 0);
		for (uint32_t seconds = 1; seconds < 1000000; seconds *= 10)
			assert_int_equal(firewall_ban_set(&n, &block, seconds), 0);
		assert_int_equal(firewall_ban_lift(&n, &block), 0);
		assert_int_equal(firewall_ban_lift(&n, &block), 0);
	}
	firewall_netlink_close(&n);
}

static void test_no_table(void **state)
{
	struct firewall_netlink n;
	struct network block;

	(void)state;
	if (unavailable) {
		print_message("%s\n", unavailable);
		skip();
	}
	assert_int_equal(nft("delete table inet sallyport-bans\n"), 0);
	assert_int_equal(firewall_netlink_open(&n), 0);
	assert_int_equal(network_parse("192.0.2.1", &block), 0);
	assert_int_equal(firewall_ban_set(&n, &block, 60), -ENOENT);
	assert_int_equal(nft(firewall_bans_script), 0);
	assert_int_equal(firewall_ban_set(&n, &block, 60), 0);
	assert_int_equal(nft(firewall_bans_script), 0); /* bans that are there stay */
	firewall_netlink_close(&n);
}

int main(void)
{
	static struct tests t;

	find_out();
	TESTS_ADD_TABLE(&t, refused_cases, test_refused);
	tests_add(&t, "what is no address is refused", test_no_address, NULL);
	tests_add(&t, "P6: a ban is set, set again, lifted, lifted again", test_bans, NULL);
	tests_add(&t, "a ban without its table fails, and says so", test_no_table, NULL);
	return tests_run(&t, "firewall: bans");
}
