"""The firewall process between real hosts: what it loads, bans, keeps and removes."""
import json
import os
import shutil
import signal
import socket
import struct
import tempfile
import time

from firewall.lib import hosts, peer, policy, report
from firewall.lib.report import check

PORT, OTHER = 3260, 2222
TABLES = ("inet sallyport", "inet sallyport-bans")
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


def script(*allowed):
    """A main table as small as can be, behind the ban table's part."""
    bans = policy.bans_part(policy.plan()[0])
    rules = "".join(f"tcp dport {PORT} {'ip6' if ':' in a else 'ip'} saddr {a} accept\n" for a in allowed)
    return (f"{bans}add element inet sallyport-bans ports {{ {PORT} }}\n"
            "add table inet sallyport\ndelete table inet sallyport\n"
            "table inet sallyport {\nchain input {\ntype filter hook input priority 0; policy accept;\n"
            f"{rules}tcp dport {PORT} drop\n}}\n}}\n")


def table_names(host):
    return {line.removeprefix("table ") for line in host.run("nft", "list", "tables").stdout.splitlines()}


def foreign_rules(host):
    return [host.run("nft", "list", "table", *name.split()).stdout
            for name in sorted(table_names(host) - set(TABLES))]


def bans(host, family):
    """Address to seconds left."""
    listed = json.loads(host.run("nft", "-j", "list", "set", "inet", "sallyport-bans", family).stdout)
    elements = listed["nftables"][1]["set"].get("elem", [])
    return {e["elem"]["val"]: e["elem"]["expires"] for e in elements}


def becomes(condition, within=30):
    """Waits for what the kernel does in its own time."""
    until = time.monotonic() + within
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.05)
    return False


def answers(listener, client):
    """Whether a connection that was made is served: an octet there and back."""
    listener.settimeout(30)
    server, address = listener.accept()
    while address[:2] != client.getsockname()[:2]:  # those of other checks, closed since
        server.close()
        server, address = listener.accept()
    with server:
        client.sendall(b"?")
        return server.recv(1) == b"?" and server.send(b"!") == 1 and client.recv(1) == b"!"


def test_load(net, firewall):
    allowed = script(net.client.ip4, net.client.ip6)
    check(not firewall.ban("10.77.2.2")[0], "a ban before the first script is answered: no table")
    check(firewall.load(allowed)[0], "P1: the script is loaded", firewall.said())
    check(net.client.reaches(PORT) and net.client.reaches(PORT, to=hosts.GATEWAY6),
          "an allowed host reaches the port, by IPv4 and IPv6")
    check(not net.stranger.reaches(PORT) and not net.stranger.reaches(PORT, to=hosts.GATEWAY6),
          "P1: a stranger does not, by IPv4 and IPv6")
    check(net.stranger.reaches(OTHER), "a stranger still reaches the machine's other services")
    before = net.gateway.run("nft", "-s", "list", "ruleset").stdout
    fine, why = firewall.load(allowed + "add rule inet nosuchtable x drop\n")
    check(not fine and "Error" in why and "\n" not in why, "P5: a script that fails says why, in nft's words", why)
    fine, why = firewall.load(allowed + "garbage \x1b[2J\n")
    check(not fine and "\x1b" not in why, "nft's words come escaped", why)
    fine, why = firewall.load(allowed, sealed=False)
    check(not fine and "sealed" in why, "P5: a script that could still change is refused", why)
    fine, why = firewall.load("table inet sallyport { }\n")
    check(not fine and "ban table" in why, "a script without the ban table's part is refused", why)
    check(net.gateway.run("nft", "-s", "list", "ruleset").stdout == before,
          "P4: after each of these, the rules are what they were")


def test_ban(net, firewall, listeners):
    live = net.client.connect(PORT)
    check(live and firewall.ban(net.client.ip4)[0], "P6: a source is banned", firewall.said())
    check(not net.client.reaches(PORT), "P6: a ban works at once for new connections")
    check(answers(listeners[socket.AF_INET], live), "P7: a ban never touches a live connection")
    check(net.client.reaches(OTHER), "a banned source still reaches the machine's other services")
    check(net.client.reaches(PORT, to=hosts.GATEWAY6), "a ban of an IPv4 address is about IPv4")
    check(firewall.load(script(net.client.ip4, net.client.ip6))[0] and not net.client.reaches(PORT),
          "P7: a ban survives the next load")
    check(firewall.lift(net.client.ip4)[0] and net.client.reaches(PORT), "a ban that is lifted is over")
    check(firewall.lift(net.client.ip4)[0], "lifting what is not banned is no error")
    live.close()


def test_ban_v6(net, firewall):
    check(firewall.ban("fd77:1::")[0] and not net.client.reaches(PORT, to=hosts.GATEWAY6),
          "P6: an IPv6 ban works", firewall.said())
    net.client.ip("addr", "add", "fd77:1::1234:5678/64", "dev", "up0", "nodad")
    check(not net.client.reaches(PORT, source="fd77:1::1234:5678"), "P6: it holds for the whole /64")
    check(firewall.load(script(net.client.ip4, "fd99:1::/48"))[0] and net.client.reaches(PORT, source="fd99:1::5"),
          "it does not hold for another /64")
    check(firewall.lift("fd77:1::")[0] and firewall.load(script(net.client.ip4, net.client.ip6))[0] and
          net.client.reaches(PORT, source=net.client.ip6), "an IPv6 ban is lifted")


def test_ban_times(net, firewall):
    firewall.ban("192.0.2.1", 5)
    firewall.ban("192.0.2.1", 5000)
    left = bans(net.gateway, "v4").get("192.0.2.1", 0)
    check(4000 <= left <= 5000, "a ban again starts its time again", left)
    firewall.ban("2001:db8::", 7)
    firewall.ban("2001:db8::", 7000)
    left = bans(net.gateway, "v6").get("2001:db8::", 0)
    check(6000 <= left <= 7000, "an IPv6 ban again starts its time again", left)
    check(firewall.ban(net.client.ip4, 3)[0] and not net.client.reaches(PORT), "a short ban works")
    check(becomes(lambda: net.client.reaches(PORT)), "a ban runs out by itself")
    check(firewall.ban(net.client.ip4, 1)[0], "a source whose ban ran out can be banned again", firewall.said())
    check(becomes(lambda: net.client.reaches(PORT)), "and that ban runs out, too")


def test_ban_refused(firewall):
    for block, sentence in (("127.0.0.1", "a loopback address is never banned"),
                            ("127.9.9.9", "nor is any other of 127/8"),
                            ("::", "nor is the /64 that holds ::1"),
                            ("0.0.0.0", "nor is the unspecified address"),
                            ("10.0.0.0/8", "a ban is never about a network of IPv4"),
                            ("fd77:1::1/64", "an IPv6 ban has no bits beyond its /64"),
                            ("fd77:1::1/128", "nor is it about one address")):
        fine, why = firewall.ban(block)
        check(not fine and why, sentence, why)
    for seconds in (0, 0xffffffff):
        check(not firewall.ban("192.0.2.9", seconds)[0], f"a ban for {seconds} s is refused")


def test_flood(firewall):
    """The monitor sends all bans of before a restart at once, and reads the answers later."""
    firewall.channel.setblocking(False)
    sent = 0
    try:
        while sent < 4000:
            firewall.channel.send(peer.change_packet(peer.BAN, f"198.18.{sent // 256}.{sent % 256}", 600))
            sent += 1
    except BlockingIOError:
        pass
    firewall.channel.settimeout(60)
    good = sum(firewall.answer(peer.BANNED)[0] for _ in range(sent))
    check(good == sent and firewall.ban("198.18.0.0")[0], "many bans at once are all answered", f"{good} of {sent}")


def test_full(net, firewall):
    many = ",".join(f"172.{16 + n // 65536}.{n // 256 % 256}.{n % 256} timeout 1h" for n in range(65536))
    net.gateway.run("nft", "flush", "set", "inet", "sallyport-bans", "v4")
    net.gateway.run("nft", "-f", "-", input=f"add element inet sallyport-bans v4 {{ {many} }}\n")
    fine, why = firewall.ban(net.client.ip4)
    check(not fine and "65536" in why, "P6: a full ban set is bounded, and says so", why)
    check(firewall.ban("172.16.0.5", 7200)[0], "a source that is in the full set can be banned again", firewall.said())
    check(firewall.lift("172.16.0.5")[0] and firewall.ban(net.client.ip4)[0] and firewall.lift(net.client.ip4)[0],
          "a ban that is lifted makes room", firewall.said())
    net.gateway.run("nft", "flush", "set", "inet", "sallyport-bans", "v4")


def test_lifetime(net, listeners, foreign):
    """From the death of one firewall process to the clean stop of the next."""
    with peer.Firewall(net.gateway) as firewall:
        firewall.answer(peer.READY)
        firewall.load(script(net.client.ip4))
        firewall.ban("192.0.2.77")
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            firewall.process.send_signal(number)
        check(firewall.ban("192.0.2.78")[0], "signals for the whole service don't end the firewall process")
        firewall.channel.close()
        check(firewall.process.wait(30) == 0, "it ends when the monitor is gone", firewall.said())
    check(set(TABLES) <= table_names(net.gateway) and not net.stranger.reaches(PORT),
          "P4: then both tables stay, closed")
    with peer.Firewall(net.gateway) as firewall:
        firewall.answer(peer.READY)
        firewall.channel.send(struct.pack("=I", 31))
        check(firewall.process.wait(30) != 0 and set(TABLES) <= table_names(net.gateway),
              "P4: a message out of its table ends it; both tables stay")
    with peer.Firewall(net.gateway) as firewall:
        check(firewall.answer(peer.READY)[0] and firewall.load(script(net.client.ip4))[0],
              "the next one takes the tables over", firewall.said())
        check("192.0.2.77" in bans(net.gateway, "v4"), "bans of before the crash are kept")
        fine, why = firewall.unload()
        check(fine and firewall.process.wait(30) == 0, "a clean stop is answered", why)
    check(not set(TABLES) & table_names(net.gateway), "a clean stop removes both tables")
    check(foreign_rules(net.gateway) == foreign, "P3: nobody else's table was touched")
    with peer.Firewall(net.gateway) as firewall:
        firewall.answer(peer.READY)
        check(firewall.unload()[0], "a stop without any table is clean, too")


def test_rights(net):
    with peer.Firewall(net.gateway, "setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin") as firewall:
        fine, why, _ = firewall.answer(peer.READY)
        check(not fine and "CAP_NET_ADMIN" in why, "without CAP_NET_ADMIN it says so at once", why)
        fine, again = firewall.load(script())
        check(not fine and again == why, "and again at every request", again)
        check(not firewall.ban("192.0.2.1")[0], "a ban is answered as well")


def test_ordinary_user(net):
    """As under systemd: an ordinary user whose one right is the ambient CAP_NET_ADMIN."""
    with tempfile.TemporaryDirectory(prefix="sallyport-firewall-", dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        program = shutil.copy(peer.PROGRAM, folder)
        wrapper = ("setpriv", "--reuid=54321", "--regid=54321", "--clear-groups", "--inh-caps=-all,+net_admin",
                   "--ambient-caps=-all,+net_admin")
        with peer.Firewall(net.gateway, *wrapper, program=program) as firewall:
            fine, why, _ = firewall.answer(peer.READY)
            check(fine and firewall.load(script(net.client.ip4))[0] and firewall.ban(net.client.ip4)[0] and
                  not net.client.reaches(PORT), "P3: CAP_NET_ADMIN alone is enough, without root", why, firewall.said())
            check(firewall.unload()[0] and not set(TABLES) & table_names(net.gateway), "to the clean stop")


def run(net):
    net.gateway.run("nft", "-f", "-", input=FOREIGN)
    foreign = foreign_rules(net.gateway)
    listeners, others = net.gateway.listen(PORT), net.gateway.listen(OTHER)
    with peer.Firewall(net.gateway) as firewall:
        fine, why, layers = firewall.answer(peer.READY)
        check(fine, "the firewall process is ready", why, firewall.said())
        check(layers & 1 and layers & 8 and layers & 2, "P3: it runs under seccomp and Landlock, without new privileges", hex(layers))
        test_load(net, firewall)
        test_ban(net, firewall, listeners)
        test_ban_v6(net, firewall)
        test_ban_times(net, firewall)
        test_ban_refused(firewall)
        test_flood(firewall)
        test_full(net, firewall)
    test_lifetime(net, listeners, foreign)
    test_rights(net)
    test_ordinary_user(net)
    for s in [*listeners.values(), *others.values()]:
        s.close()


def main():
    why = hosts.unavailable()
    if why:
        report.skip("the firewall process between real hosts", why)
        return
    with hosts.Network("client", "stranger") as net:
        run(net)
    report.finish()


if __name__ == "__main__":
    main()
