"""The script that a policy means, as `sallyport plan --firewall` prints it, between real hosts."""
import fcntl
import re
import socket
import struct
import time

from firewall.lib import hosts, peer, policy, report
from firewall.lib.report import check

WAN, SITE, HERE, OTHER = 3260, 3261, 3262, 2222


def open_many(host, count, port=WAN, **how):
    """Connections one after the other, until one is dropped."""
    made = []
    for _ in range(count):
        s = host.connect(port, **how)
        if s is None:
            break
        made.append(s)
    return made


def close_all(made):
    for s in made:
        s.close()


def test_who(net):
    client, stranger = net.client, net.stranger
    check(client.reaches(WAN) and client.reaches(WAN, to=hosts.GATEWAY6), "an address that the policy names gets in")
    check(not stranger.reaches(WAN) and not stranger.reaches(WAN, to=hosts.GATEWAY6), "P1: one that it does not name is dropped")
    for source, fine, sentence in (
            ("10.99.1.63", False, "P1: the address before a network is dropped"),
            ("10.99.1.64", True, "the first address of a network gets in"),
            ("10.99.1.96", True, "so does one where two networks meet, and a third overlaps"),
            ("10.99.1.127", True, "so does the last"),
            ("10.99.1.128", False, "P1: the address behind is dropped"),
            ("fd99:1:0:5::1", True, "the first address of an IPv6 network gets in"),
            ("fd99:1:0:5:ffff:ffff:ffff:ffff", True, "so does its last"),
            ("fd99:1:0:4:ffff:ffff:ffff:ffff", False, "P1: the IPv6 address before is dropped"),
            ("fd99:1:0:6::", False, "P1: the IPv6 address behind is dropped")):
        check(client.reaches(WAN, source=source) == fine, sentence)
    check(stranger.reaches(SITE) and not client.reaches(SITE), "P1: an address is allowed at its portal, not at another")
    check(not client.reaches(SITE, to=hosts.GATEWAY6), "P1: a portal whose policy names no IPv6 address takes none")
    check(client.reaches(OTHER) and stranger.reaches(OTHER), "the machine's other services are nobody's business")
    check(net.gateway.reaches(HERE, to="127.0.0.1"), "a loopback portal is reached from this machine")


def test_again(net, firewall, script):
    def rules():  # without what the dynamic sets learned
        return net.gateway.run("nft", "-s", "-t", "list", "table", "inet", "sallyport").stdout

    before = rules()
    live = net.client.connect(WAN)
    fine, why = firewall.load(script)
    check(fine and rules() == before, "P5: loaded twice, it is the same", why, before, rules())
    live.settimeout(30)
    check(live.send(b"x") == 1 and arrives(live), "P7: a live connection goes on over a load")
    live.close()


def arrives(s, within=30):
    """The other side's kernel has acknowledged all that was sent."""
    until = time.monotonic() + within
    while struct.unpack("i", fcntl.ioctl(s, 0x5411, b"\0" * 4))[0] > 0:  # SIOCOUTQ
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


def test_rate(net, firewall, script):
    firewall.load(script)  # with empty sets
    burst = int(re.search(r"limit rate \d+/\w+ burst (\d+)", script)[1])
    for source, other, sentence in ((net.client.ip4, "10.99.1.64", "IPv4 address"),
                                    ("fd99:1:0:5::1", net.client.ip6, "IPv6 /64")):
        start = time.monotonic()
        made = open_many(net.client, burst * 2, source=source)
        spent = time.monotonic() - start
        check(burst <= len(made) <= burst + 2 + 4 * spent, f"P6: new connections of one {sentence} are bounded in rate",
              f"{len(made)} in {spent:.1f} s, burst {burst}")
        check(net.client.reaches(WAN, source=other), f"P6: another {sentence} does not pay for it")
        close_all(made)
    made = open_many(net.client, burst, source="fd99:1:0:5:9:9:9:9")
    spent = time.monotonic() - start
    check(len(made) < 2 + 4 * spent, "P6: nor does a new address of the same /64 help", f"{len(made)} in {spent:.1f} s")
    close_all(made)


def test_count(net, firewall, listener, script):
    most = int(re.search(r"ct count (\d+)", script)[1])
    quick = re.sub(r"limit rate \d+/\w+ burst \d+", "limit rate 100000/second burst 100000", script)
    fine, why = firewall.load(quick)
    check(fine, "the script is loaded with its rate limit out of the way", why)
    made = open_many(net.client, most + 10, source="10.99.1.65")
    check(len(made) == most, "P6: connections of one source at once are bounded", f"{len(made)} of {most}")
    check(net.client.reaches(WAN, source="10.99.1.66"), "P6: another source has its own")
    over = made[0].getsockname()
    made.pop(0).close()
    listener.settimeout(30)
    server, address = listener.accept()
    while address != over:
        server.close()
        server, address = listener.accept()
    server.close()  # both ends: now it is over
    check(net.client.reaches(WAN, source="10.99.1.65", wait=3), "one that ends makes room")
    close_all(made)


def test_full_sets(net, firewall, script):
    for name in ("rate", "count"):
        small = re.sub(rf"(set {name}_[46] {{[^}}]*size) \d+", r"\1 3", script)
        check(small.count("size 3\n") == 2 and firewall.load(small)[0], f"the script is loaded with small {name} sets")
        made = [net.client.connect(WAN, source=f"10.99.1.{n}") for n in range(70, 76)]
        check(all(made[:3]) and not any(made[3:]), f"P1: a full {name} set lets no further source in",
              [bool(s) for s in made])
        close_all([s for s in made if s])


def run(net):
    script, why = policy.plan()
    check(script, "plan --firewall prints the script and is content", why)
    if not script:
        return
    served = [net.gateway.listen(port) for port in (WAN, SITE, OTHER, HERE)]
    with peer.Firewall(net.gateway) as firewall:
        fine, why, _ = firewall.answer(peer.READY)
        check(fine, "the firewall process is ready", why)
        fine, why = firewall.load(script)
        check(fine, "P5: what plan prints is what is loaded", why, script)
        if fine:
            test_who(net)
            test_again(net, firewall, script)
            check(firewall.ban(net.client.ip4)[0] and not net.client.reaches(WAN), "P6: a banned source is dropped, allowed or not")
            check(firewall.lift(net.client.ip4)[0] and net.client.reaches(WAN), "and gets in again when the ban is lifted")
            test_rate(net, firewall, script)
            test_count(net, firewall, served[0][socket.AF_INET], script)
            test_full_sets(net, firewall, script)
        firewall.unload()
    for both in served:
        close_all(both.values())


def main():
    why = hosts.unavailable()
    if why:
        report.skip("a policy's firewall between real hosts", why)
        return
    with hosts.Network("client", "stranger") as net:
        run(net)
    report.finish()


if __name__ == "__main__":
    main()
