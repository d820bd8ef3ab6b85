"""Portals behind tunnels: what does not come through the tunnel finds them closed, by the firewall and without it.

A link to a host stands for the tunnel's interface. IPsec's own ciphers may be missing in this kernel, its policies are
not: who is within them is shown in a guest with Debian's kernel; who is not, here.
"""
import pathlib
import signal

from firewall.lib import hosts, report
from firewall.lib.report import check
from harness import CLIENT, TARGET, Gateway, wait_for
from initiator import Gone, Initiator, Refused

POLICY = """\
version: 1
portals:
  vpn: {{listen: ["{address}:{port}"], transport: {transport}}}
disks:
  vault: {{memory: 16MiB}}
targets:
  {target}:
    portals: [vpn]
    luns: {{0: vault}}
    initiators:
      {client}:
        from: [10.77.0.0/16]
        chap: {{user: alice, mutual: gw-for-alice}}
firewall: {{manage: {firewall}}}
"""
IN_TUNNEL, OTHER_END = hosts.GATEWAY4, "10.77.1.1"  # every link leads to the first, h1 alone to the second


def gateway_for(net, transport, firewall, address=IN_TUNNEL):
    gw = Gateway(policy=POLICY, transport=transport, address=address, firewall="true" if firewall else "false")
    return gw.start(wrapper=("ip", "netns", "exec", net.gateway.name))


def outcome(host, gw, to=IN_TUNNEL):
    """What becomes of a login from this host."""
    try:
        with host.inside():
            i = Initiator(gw.port, host=to, source=(host.ip4 if host.number else to, 0), timeout=4)
        try:
            i.login()
            return "in" if any(i.ready()[0] == 0 for _ in range(3)) else "no disk"
        finally:
            i.close()
    except Refused as refused:
        return hex(refused.status)
    except Gone:
        return "closed"
    except OSError as error:
        return "dropped" if isinstance(error, TimeoutError) else "no way"


def reasons(gw):
    return [record.get("reason") for record in gw.audit() if record.get("peer_ip", "").startswith("10.77.")]


def test_interface(net, firewall):
    how = "with the firewall" if firewall else "without the firewall"
    gw = gateway_for(net, "{interface: h1}", firewall)
    try:
        got = outcome(net.client, gw)
        check(got == "in", f"who comes by the portal's interface gets in, {how}", got, gw.log())
        got = outcome(net.stranger, gw)
        check(got in ("dropped", "no way"), f"P1: by another interface, the same portal is closed, {how}", got, gw.log())
        got = outcome(net.gateway, gw)
        check(got in ("dropped", "no way"), f"P1: so it is from this machine itself, {how}", got, gw.log())
        said = gw.status()["portals"][0]["transport"]
        check(said == "interface h1", f"status names the interface, {how}", said)
        check(gw.stop() == 0, f"the gateway stops cleanly, {how}", gw.log())
    finally:
        gw.close()


def test_renamed(net):
    """Who has the interface's name later is not who had it."""
    gw = gateway_for(net, "{interface: h1}", False)
    try:
        net.gateway.ip("link", "set", "h1", "down")
        net.gateway.ip("link", "set", "h1", "name", "h9")
        net.gateway.ip("link", "set", "h9", "up")
        got = outcome(net.client, gw)
        check(got != "in" and wait_for(lambda: "wrong-interface" in reasons(gw)),
              "P1: an interface with another name is another, and the audit says so", got, gw.log())
    finally:
        gw.close()
        net.gateway.ip("link", "set", "h9", "down")
        net.gateway.ip("link", "set", "h9", "name", "h1")
        net.gateway.ip("link", "set", "h1", "up")


def test_back(net):
    """The interface goes and comes back under its name, as `wg-quick down` and `up` have it."""
    net.gateway.ip("link", "add", "t0", "type", "veth", "peer", "name", "t1")
    gw = gateway_for(net, "{interface: t0}", False)
    try:
        net.gateway.ip("link", "del", "t0")
        check(wait_for(lambda: any("interface is gone" in p for p in gw.status()["problems"]), 10),
              "status says that the interface of a portal is gone", gw.status())
        net.gateway.ip("link", "set", "h1", "down")
        net.gateway.ip("link", "set", "h1", "name", "t0")
        net.gateway.ip("link", "set", "t0", "up")
        check(wait_for(lambda: gw.status()["well"], 10), "it is back, under its name", gw.status())
        got = outcome(net.client, gw)
        check(got == "in", "then the portal is open there again", got, gw.log())
    finally:
        gw.close()
        net.gateway.ip("link", "set", "t0", "down")
        net.gateway.ip("link", "set", "t0", "name", "h1")
        net.gateway.ip("link", "set", "h1", "up")


def test_missing(net):
    gw = Gateway(policy=POLICY, transport="{interface: h99}", address=IN_TUNNEL, firewall="false")
    try:
        gw.spawn(("ip", "netns", "exec", net.gateway.name))
        check(gw.process.wait(60) != 0 and "can't listen on" in gw.log() and "No such device" in gw.log(),
              "P4: without the tunnel's interface the gateway does not start, and says why", gw.log())
    finally:
        gw.close()


def test_answers(net):
    """The tunnel's interface goes: what the portal still has to say does not take another way."""
    gw = gateway_for(net, "{interface: h1}", True)
    try:
        rules = net.gateway.run("nft", "list", "chain", "inet", "sallyport", "output").stdout
        check(f'ip saddr {IN_TUNNEL} tcp sport {gw.port} oifname != "h1" drop' in rules,
              "P1: nothing of the portal leaves by another interface", rules)
    finally:
        gw.close()


def spd(net, *words):
    return net.gateway.run("ip", "xfrm", "policy", *words, check=False)


def test_ipsec(net):
    gw = gateway_for(net, "ipsec", True)
    try:
        rules = net.gateway.run("nft", "list", "table", "inet", "sallyport").stdout
        check("meta ipsec missing drop" in rules and f"ip saddr {IN_TUNNEL} tcp sport {gw.port} rt ipsec missing drop" in rules,
              "P1: the firewall takes nothing that did not come through IPsec, and lets nothing else out", rules)
        got = outcome(net.client, gw)
        check(got in ("dropped", "no way"), "P1: in the clear, an allowed address finds an IPsec portal closed", got, gw.log())
        check(gw.status()["well"], "the gateway is well", gw.status())
    finally:
        gw.close()


def test_uncovered(net):
    """Without the firewall, the kernel is asked."""
    gw = gateway_for(net, "ipsec", False)
    try:
        helper = next(h for h in gw.status()["helpers"] if h["helper"] == "firewall")
        check(helper["state"] == "up" and not helper["note"],
              "the firewall process runs for IPsec portals, also when it manages no firewall", helper)
        check(gw.status()["well"] and "inet sallyport" not in net.gateway.run("nft", "list", "tables").stdout,
              "then it loads nothing", gw.status())
        got = outcome(net.client, gw)
        check(got == "0x301", "P1: a login that is not within IPsec is refused, before anything of CHAP is said", got, gw.log())
        refused = wait_for(lambda: [r for r in gw.audit() if r.get("reason") == "not-through-ipsec"], 10)
        check(refused and refused[0]["peer_ip"] == "10.77.1.2" and "policy" in refused[0].get("detail", ""),
              "the audit says why, and who", gw.audit())
        check(not any(r.get("reason") == "wrong-secret" for r in gw.audit()) and not gw.status().get("bans"),
              "nobody is banned for it", gw.status())
        esp = ("tmpl", "src", net.client.ip4, "dst", IN_TUNNEL, "proto", "esp", "mode", "tunnel", "reqid", "1", "level", "use")
        made = [spd(net, "add", "src", a, "dst", b, "proto", "tcp", "dir", way, *how)
                for a, b, way, how in ((net.client.ip4, IN_TUNNEL, "in", esp), (IN_TUNNEL, net.client.ip4, "out", ()))]
        if any(m.returncode for m in made):
            report.skip("P1: an IPsec policy that may be left out is no cover", " ".join(m.stderr.strip() for m in made))
        else:
            got = outcome(net.client, gw)
            said = wait_for(lambda: "does not ask for ESP" in gw.log(), 10)
            check(got == "0x301" and said, "P1: an IPsec policy that may be left out is no cover",
                  got, gw.log())
            spd(net, "flush")
    finally:
        gw.close()


def test_first(net):
    """Another policy brings the first portal that needs IPsec."""
    gw = gateway_for(net, "plain, accept_risk: true", True)
    try:
        before = gw.helper_pid("firewall")
        role = pathlib.Path(f"/proc/{before}/cmdline").read_bytes()
        got = outcome(net.client, gw)
        check(got == "in" and b"firewall-ipsec" not in role, "P3: without such a portal, the firewall process has nothing of IPsec", got, role)
        done = gw.reload(transport="ipsec")
        check(done.returncode == 0 and wait_for(lambda: gw.helper_pid("firewall") not in (0, before), 10) and
              wait_for(gw.is_well, 10), "a reload that brings one starts another, which has", done.stderr, gw.log())
        role = pathlib.Path(f"/proc/{gw.helper_pid('firewall')}/cmdline").read_bytes()
        got = outcome(net.client, gw)
        check(b"firewall-ipsec" in role and got in ("dropped", "no way"), "P1: and the portal is closed in the clear", got, role)
    finally:
        gw.close()


def test_away(net):
    """P4: nobody can tell whether it is within IPsec."""
    gw = gateway_for(net, "ipsec", False)
    pid = gw.helper_pid("firewall")
    try:
        net.gateway.run("kill", "-STOP", str(pid))
        with net.client.inside():
            i = Initiator(gw.port, host=IN_TUNNEL, source=(net.client.ip4, 0))
        net.gateway.run("kill", f"-{signal.SIGKILL.value}", str(pid))
        try:
            i.login()
            got = "in"
        except (Refused, Gone) as refused:
            got = hex(refused.status) if isinstance(refused, Refused) else "closed"
        check(got == "0x301", "P4: while the firewall process is away, a login on an IPsec portal is refused", got, gw.log())
        check(wait_for(lambda: gw.status()["well"]), "it is started again", gw.log())
        got = outcome(net.client, gw)
        check(got == "0x301" and wait_for(lambda: "not-through-ipsec" in reasons(gw)), "and judges again", got, gw.log())
    finally:
        gw.close()


def main():
    why = hosts.unavailable()
    if why:
        report.skip("portals behind tunnels", why)
        return
    with hosts.Network("client", "stranger") as net:
        for firewall in (True, False):
            test_interface(net, firewall)
        for test in (test_renamed, test_back, test_missing, test_answers, test_ipsec, test_uncovered, test_first, test_away):
            test(net)
    report.finish()


main()
