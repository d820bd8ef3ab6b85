"""No nft, no right to the firewall, a kernel that refuses: the gateway says so, and keeps out whom it can itself."""
from firewall.lib import hosts, report
from firewall.lib.guests import ALL, POLICY, bans, fails, in_kernel, outcome, reasons
from firewall.lib.report import check
from harness import Gateway, wait_for

FOREIGN = """
table inet filter {
	chain input {
		type filter hook input priority 0; policy accept;
		tcp dport 9 counter drop
	}
}
table ip sallyport {
	set v4 { type ipv4_addr; elements = { 192.0.2.1 }; }
}
table inet sallyport-bans2 {
	chain input { type filter hook input priority -20; policy accept; }
}
"""
OURS = {"table inet sallyport", "table inet sallyport-bans"}
NARROW = POLICY.replace(ALL, "10.77.1.2")
WITHOUT = {
    "nft is not there": ("unshare", "-m", "--propagation", "private", "sh", "-c",
                         "mount --bind /dev/null $(readlink -f /usr/sbin/nft) && exec \"$@\"", "sh"),
    "the kernel does not let us": ("setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"),
}


def others(host):
    """Every table but ours, as it is."""
    names = [line for line in host.run("nft", "list", "tables").stdout.splitlines() if line not in OURS]
    return "".join(host.run("nft", "list", *name.split()).stdout for name in names)


def test_without(net, what, wrapper):
    before, gw = others(net.gateway), Gateway(policy=NARROW)
    try:
        gw.start(wrapper=("ip", "netns", "exec", net.gateway.name, *wrapper))
        problems = [p for p in gw.status()["problems"] if p.startswith("firewall")]
        check(problems and "NO FIREWALL" in gw.log(), f"P5: that {what} is told, in log and status", problems, gw.log())
        check(not OURS & set(net.gateway.run("nft", "list", "tables").stdout.splitlines()), "and there are no tables of ours")
        check(outcome(net.client, gw) == "in" and outcome(net.stranger, gw) == "closed",
              "P1: whom the policy does not name is closed at accept", gw.log())
        check(fails(net.client, gw, 5) == ["0x201"] * 5 and outcome(net.client, gw) == "closed", "P6: so is who is banned", gw.log())
        said = reasons(gw, "connection", lambda r: len(r) == 2)
        check(said == ["wrong-address", "banned"], "and the audit has both", said)
        check(gw.stop() == 0, "it stops cleanly", gw.log())
    finally:
        gw.close()
    check(others(net.gateway) == before, f"P3: somebody else's tables are as they were, when {what}", others(net.gateway))


def test_full(net):
    """The kernel takes no more elements into the set."""
    before, gw = others(net.gateway), Gateway(policy=POLICY)
    try:
        gw.start(wrapper=("ip", "netns", "exec", net.gateway.name))
        many = ",".join(f"172.{16 + n // 65536}.{n // 256 % 256}.{n % 256} timeout 1h" for n in range(65536))
        net.gateway.run("nft", "-f", "-", input=f"add element inet sallyport-bans v4 {{ {many} }}\n")
        fails(net.client, gw, 5)
        check(wait_for(lambda: "holds at accept" in gw.log()) and not in_kernel(net, net.client),
              "a ban that the kernel refuses is told", gw.log())
        check(bans(gw)["bans"][0]["source"] == net.client.ip4 and outcome(net.client, gw) == "closed",
              "P6: and holds at accept", gw.log())
        check(outcome(net.stranger, gw) == "in", "others get in")
        check(gw.stop() == 0, "it stops cleanly", gw.log())
    finally:
        gw.close()
    check(others(net.gateway) == before, "P3: and somebody else's tables are as they were", others(net.gateway))


def main():
    why = hosts.unavailable()
    if why:
        report.skip("a gateway without its firewall", why)
        return
    with hosts.Network("client", "stranger") as net:
        net.gateway.run("nft", "-f", "-", input=FOREIGN)
        for what, wrapper in WITHOUT.items():
            test_without(net, what, wrapper)
        test_full(net)
    report.finish()


if __name__ == "__main__":
    main()
