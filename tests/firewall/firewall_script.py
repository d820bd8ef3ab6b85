"""The firewall script of `plan --firewall`: nft takes it, and packets meet what the policy says."""
import contextlib
import os
import subprocess
import tempfile

from firewall.lib import hosts, peer, report
from firewall.lib.report import check

PORT, OTHER = 3260, 2222
FOREIGN = """
table inet filter {
	chain input { type filter hook input priority 0; policy accept; tcp dport 9 counter drop; }
}
"""
LOADS = {
    "no targets at all": "",
    "a target without initiators": None,
    "overlapping and adjacent networks": [["10.0.0.0/24", "10.0.1.0/24", "10.0.0.7"], ["10.0.0.0/16", "10.1.0.0/16"],
                                          ["2001:db8::/64", "2001:db8:0:1::/64", "2001:db8::7"],
                                          ["10.0.2.1", "10.0.2.2", "10.0.2.3"], ["10.0.0.0/24"]],
    "every address": [["0.0.0.0/0", "::/0"], ["10.0.0.1"]],
    "the last addresses": [["255.255.255.255"], ["255.255.255.254", "ffff:ffff:ffff:ffff::/64"]],
    "200 initiators": [[f"10.{n}.0.{n}", f"2001:db8:{n:x}::/64"] for n in range(200)],
}


def policy(sources, listen=(f"0.0.0.0:{PORT}", f"[::]:{PORT}"), risk=True):
    """A policy with one portal; `sources` are the addresses of each initiator."""
    text = ("version: 1\nportals:\n  wan: {listen: [" + ", ".join(f'"{e}"' for e in listen) + "], transport: plain"
            f"{', accept_risk: true' if risk else ''}}}\ndisks: {{a: {{memory: 1MiB}}}}\n")
    if sources == "":
        return text
    text += "targets:\n  iqn.2026-11.net.example.gw:t:\n    portals: [wan]\n    luns: {0: a}\n    initiators:\n"
    for n, networks in enumerate(sources or []):
        where = "from: [" + ", ".join(f'"{network}"' for network in networks) + "], " if networks else ""
        text += f"      iqn.2026-11.net.example:i{n}: {{{where}chap: {{user: u{n}, mutual: m{n}}}}}\n"
    return text if sources else text.replace("initiators:\n", "initiators: {}\n")


def script(text):
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(text)
        file.flush()
        done = subprocess.run([peer.PROGRAM, "plan", "--firewall", file.name], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"plan --firewall ended with {done.returncode}: {done.stderr}")
    return done.stdout


def load(host, text, *options):
    return host.run("nft", *options, "-f", "-", check=False, input=text)


def test_loads(net):
    host = net.stranger  # any namespace
    for name, sources in LOADS.items():
        text = script(policy(sources))
        done = load(host, text, "-c")
        check(done.returncode == 0, f"P5: nft takes the script for {name}", done.stderr, text)
        first, again = load(host, text), load(host, text)
        check(first.returncode == again.returncode == 0, f"and loads it, also over itself, for {name}",
              first.stderr, again.stderr)
    check(script(policy([["10.0.0.1"]])) == script(policy([["10.0.0.1"]])), "P5: one policy is always the same script")
    merged = script(policy(LOADS["overlapping and adjacent networks"]))
    check("10.0.0.0/15" in merged and "10.0.0.7" not in merged and "2001:db8::/63" in merged,
          "overlapping and adjacent networks are merged", merged)
    check(all(len(line.split('comment "', 1)[1]) <= 129 for line in merged.splitlines() if 'comment "' in line),
          "comments are short enough for the kernel")
    host.run("nft", "flush", "ruleset")


def test_doors(net):
    gateway = net.gateway
    load(gateway, FOREIGN)
    before = gateway.run("nft", "list", "table", "inet", "filter").stdout
    done = load(gateway, script(policy([[net.client.ip4, net.client.ip6 + "/128"]])))
    check(done.returncode == 0, "the script loads beside other tables", done.stderr)
    for source, family in ((net.client.ip4, "IPv4"), (net.client.ip6, "IPv6")):
        check(net.client.reaches(PORT, to=hosts.GATEWAY6 if ":" in source else hosts.GATEWAY4),
              f"P1: an allowed address comes in by {family}")
        to = hosts.GATEWAY6 if ":" in source else hosts.GATEWAY4
        check(not net.stranger.reaches(PORT, to=to), f"P1: a stranger does not, by {family}")
        check(net.stranger.reaches(OTHER, to=to), f"other ports are not ours, by {family}")
    session = net.client.connect(PORT)
    done = load(gateway, script(policy(None)))
    check(done.returncode == 0 and not net.client.reaches(PORT), "P1: without initiators nobody comes in", done.stderr)
    check(session is not None and session.send(b"!") == 1 and unsent(session) == 0,
          "P7: a session that is up is not disturbed by a reload")
    session.close()
    check(gateway.run("nft", "list", "table", "inet", "filter").stdout == before, "other tables are not touched")


EXPECTING = f"""
table ip expecting {{
	ct expectation portal {{ protocol tcp; dport {PORT}; timeout 1m; size 8; l3proto ip; }}
	chain c {{ type filter hook output priority 0; tcp dport {OTHER} ct state new ct expectation set "portal"; }}
}}
"""


def test_expected(net):
    """A helper of connection tracking, as FTP has one, opens no portal to whoever made it expect something."""
    load(net.gateway, script(policy([[net.client.ip4]])))
    done = load(net.gateway, EXPECTING)
    if done.returncode != 0:
        report.skip("P1: a connection that another table expects is no way in", done.stderr.strip())
        return
    listeners = net.stranger.listen(OTHER)
    made = net.gateway.connect(OTHER, to=net.stranger.ip4, source=hosts.GATEWAY4)  # the way back is expected now
    check(made and listeners and not net.stranger.reaches(PORT), "P1: a connection that another table expects is no way in",
          net.gateway.run("nft", "list", "ruleset").stdout)
    load(net.gateway, "delete table ip expecting")


def unsent(s):
    """Octets that the other side's kernel has not acknowledged, after a while."""
    import fcntl
    import struct
    import termios
    import time
    for _ in range(600):
        left = struct.unpack("i", fcntl.ioctl(s, termios.TIOCOUTQ, b"\0\0\0\0"))[0]
        if left == 0:
            break
        time.sleep(0.05)
    return left


def test_address(net):
    load(net.gateway, script(policy([[net.client.ip4]], [f"{hosts.GATEWAY4}:{PORT}"])))
    check(not net.stranger.reaches(PORT) and net.client.reaches(PORT), "P1: a portal on one address is guarded")
    check(net.stranger.reaches(PORT, to="10.77.2.1"), "the same port on another address is not ours")


def test_loopback(net):
    gateway = net.gateway
    for sources, open_ in (([[]], True), ([["127.0.0.9"]], False), (None, False)):
        load(gateway, script(policy(sources, [f"127.0.0.1:{PORT}", f"[::1]:{PORT}"], False)))
        check(gateway.reaches(PORT, to="127.0.0.1") == gateway.reaches(PORT, to="::1") == open_,
              f"P1: a loopback portal is {'open' if open_ else 'closed'} to this machine for {sources}")
    check(gateway.reaches(PORT, to=hosts.GATEWAY4), "beside a loopback portal, the port is not ours")
    load(gateway, script(policy([[]], [f"127.0.0.1:{PORT}"], False)))
    with contextlib.ExitStack() as stack:
        made = [gateway.connect(PORT, to="127.0.0.1") for _ in range(200)]
        [stack.enter_context(s) for s in made if s]
        check(all(made), "P6: nothing is limited over the loopback interface", sum(s is None for s in made))


def smaller(text, **limits):
    """The script with limits that a test can reach."""
    for old, new in (("limit rate 120/minute burst 64", limits.get("rate")), ("ct count 128", limits.get("count")),
                     ("size 65536\n\t\tflags dynamic,", limits.get("rate_set")),
                     ("size 65536\n\t\tflags dynamic\n", limits.get("count_set"))):
        assert old in text, old
        text = text.replace(old, new) if new else text
    return text


def connections(stack, host, sources):
    """How many of these come up, one after the other, all kept open."""
    made = [host.connect(PORT, source=source, wait=0.25) for source in sources]
    for s in made:
        if s:
            stack.enter_context(s)
    return [s is not None for s in made]


def test_limits(net):
    gateway, client = net.gateway, net.client
    text = script(policy([["10.99.1.0/24", "fd99:1::/48"]]))
    with contextlib.ExitStack() as stack:
        load(gateway, smaller(text, count="ct count 3"))
        check(connections(stack, client, ["10.99.1.7"] * 5) == [True] * 3 + [False] * 2,
              "P6: one IPv4 address has so many connections at once")
        check(connections(stack, client, ["10.99.1.8"]) == [True], "another address has its own")
        six = [f"fd99:1::{n}" for n in range(1, 6)]
        check(connections(stack, client, six) == [True] * 3 + [False] * 2, "P6: one IPv6 /64 has so many, in all")
        check(connections(stack, client, ["fd99:1:0:1::1"]) == [True], "another /64 has its own")
    with contextlib.ExitStack() as stack:
        load(gateway, smaller(text, rate="limit rate 1/minute burst 4"))
        check(connections(stack, client, ["10.99.1.9"] * 6) == [True] * 4 + [False] * 2,
              "P6: one address makes so many connections in a while")
        check(connections(stack, client, ["10.99.1.10"]) == [True], "another address is not held back")
    for name, limits in (("rates", {"rate_set": "size 2\n\t\tflags dynamic,"}),
                         ("counts", {"count_set": "size 2\n\t\tflags dynamic\n"})):
        with contextlib.ExitStack() as stack:
            load(gateway, smaller(text, **limits))
            check(connections(stack, client, [f"10.99.1.{n}" for n in range(20, 26)]).count(True) <= 3,
                  f"P4: a full set of {name} lets nobody new in")


def main():
    why = hosts.unavailable()
    if not why and not os.access(peer.PROGRAM, os.X_OK):
        why = f"{peer.PROGRAM} is not built"
    if why:
        report.skip("the firewall script between hosts", why)
        return
    with hosts.Network("client", "stranger") as net:
        test_loads(net)
        listeners = [net.gateway.listen(port) for port in (PORT, OTHER)]
        for test in (test_doors, test_expected, test_address, test_loopback, test_limits):
            test(net)
        del listeners
    report.finish()


main()
