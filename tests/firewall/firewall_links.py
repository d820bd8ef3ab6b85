"""Link-local portals between real hosts: each link is a place of its own, for sockets, firewall, discovery and I/O."""
import socket

from firewall.lib import hosts, report
from firewall.lib.report import check
from harness import CLIENT, TARGET, Gateway
from initiator import Gone, Initiator, Refused, keys, text

LOCAL = "fe80::77"
POLICY = """\
version: 1
portals:
  link: {{listen: ["[fe80::77%h1]:{port}"], transport: plain, accept_risk: true}}
  apart: {{listen: ["[fe80::77%h2]:{port}"], transport: plain, accept_risk: true, group: 40}}
disks:
  vault: {{memory: 16MiB}}
targets:
  {target}:
    portals: [link]
    luns: {{0: vault}}
    initiators:
      {client}:
        from: ["fe80::/64"]
        chap: {{user: alice, mutual: gw-for-alice}}
  {target}-2:
    portals: [apart]
    luns: {{0: vault}}
    initiators:
      {client}:
        from: ["fe80::9:2"]
        chap: {{user: alice, mutual: gw-for-alice}}
firewall: {{manage: {firewall}}}
"""


def link_make(net):
    """The gateway has one link-local address on each of its links: the same."""
    for host in (net.client, net.neighbour, net.stranger):
        net.gateway.ip("addr", "add", f"{LOCAL}/64", "dev", host.link, "nodad")
        host.ip("addr", "add", f"fe80::9:{host.number}/64", "dev", "up0", "nodad")


def enter(host, gw, **how):
    """A session, made in the host's namespace, by its link to the gateway."""
    with host.inside():
        source = (f"fe80::9:{host.number}", 0, 0, socket.if_nametoindex("up0"))
        i = Initiator(gw.port, host=f"{LOCAL}%up0", source=source)
    i.login(**how)
    return i


def outcome(*how, **more):
    try:
        enter(*how, **more).close()
        return "in"
    except Refused as refused:
        return hex(refused.status)
    except (Gone, OSError):
        return "closed"


def told(i, which="All"):
    i.itt += 1
    i.send(4, 0x80, text(SendTargets=which), fields=bytes([255] * 4) + i.cmdsn.to_bytes(4, "big") +
           i.expstatsn.to_bytes(4, "big"), immediate=True)
    return i.expect(36, i.itt).data.decode()


def test_entry(net, gw):
    with enter(net.client, gw) as i:
        fine = any(i.ready()[0] == 0 for _ in range(3))
        wrote = i.write(5, b"scope" * 1024 + bytes(512 * 11 - 5120))[0]
        check(fine and wrote == 0 and i.read(5, 1)[1][:5] == b"scope",
              "an initiator reaches its disk by a link-local address", gw.log())
        peers = [s["peer"] for s in gw.sessions()]
        counts = [p["sessions"] for p in gw.status()["portals"]]
        check(any("%h1]:" in peer for peer in peers) and counts == [1, 0], "people are told which link it is", peers, counts)
        listed = told(i, "")
        check(listed == f"TargetName={TARGET}\0TargetAddress=[{LOCAL}]:{gw.port},1\0",
              "SendTargets in a normal session tells the address without our name of the link", listed)
    with enter(net.client, gw, target=None) as i:
        listed = told(i)
        check(listed == f"TargetName={TARGET}\0TargetAddress=[{LOCAL}]:{gw.port},1\0",
              "discovery by a link lists what is on it, and nothing of the other link", listed)
    with enter(net.neighbour, gw, target=TARGET + "-2") as i:
        listed = told(i, "")
        check(listed == f"TargetName={TARGET}-2\0TargetAddress=[{LOCAL}]:{gw.port},40\0",
              "the same address on another link is another portal, with the tag that the policy gives", listed)


def test_closed(net, gw):
    with net.stranger.inside():
        scope = socket.if_nametoindex("up0")
    check(not reaches(net.stranger, gw, scope), "P1: the same address on a link without a portal is closed")
    got = outcome(net.neighbour, gw)
    check(got == "0x203", "P1: a target of another link is refused at login", got)
    listens = [p["listens"] for p in gw.status()["portals"]]
    check(listens == [f"[{LOCAL}%h1]:{gw.port}", f"[{LOCAL}%h2]:{gw.port}"], "status names the links", listens)


def reaches(host, gw, scope):
    s = host.socket(socket.AF_INET6)
    s.settimeout(3)
    try:
        s.connect((LOCAL, gw.port, 0, scope))
        return True
    except OSError:
        return False
    finally:
        s.close()


def test_local(net, gw):
    """From the gateway's own machine, by the loopback interface: the firewall's rule holds there, too."""
    with net.gateway.inside():
        scope = socket.if_nametoindex("h1")
    check(reaches(net.gateway, gw, scope), "an address of `from` on this machine gets in by the loopback interface")
    rules = net.gateway.run("nft", "list", "chain", "inet", "sallyport", "input").stdout
    check(f'iifname {{ "h1", "lo" }} ip6 daddr {LOCAL}' in rules, "P1: the rule of a link is for that link", rules)


def test_missing(net):
    gw = Gateway(policy=POLICY.replace("%h2", "%h99"), firewall="false")
    try:
        gw.spawn(("ip", "netns", "exec", net.gateway.name))
        check(gw.process.wait(60) != 0 and "can't listen on" in gw.log() and "No such device" in gw.log(),
              "P4: without the interface that a portal names, the gateway does not start, and says why", gw.log())
    finally:
        gw.close()


def run(net, firewall):
    gw = Gateway(policy=POLICY, firewall="true" if firewall else "false")
    try:
        gw.start(wrapper=("ip", "netns", "exec", net.gateway.name))
        if firewall:
            test_entry(net, gw)
            test_local(net, gw)
        test_closed(net, gw)
        check(gw.stop() == 0, "it stops cleanly", gw.log())
    finally:
        gw.close()


def main():
    why = hosts.unavailable()
    if why:
        report.skip("link-local portals between hosts", why)
        return
    with hosts.Network("client", "neighbour", "stranger") as net:
        link_make(net)
        for firewall in (True, False):
            run(net, firewall)
        test_missing(net)
    report.finish()


if __name__ == "__main__":
    main()
