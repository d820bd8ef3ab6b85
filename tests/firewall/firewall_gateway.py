"""A whole gateway behind its firewall, between real hosts: who gets in, bans, stops and crashes."""
import fcntl
import os
import signal

from firewall.lib import hosts, report
from firewall.lib.report import check
from harness import Gateway, wait_for
from initiator import Gone, Initiator, Refused

POLICY = """\
version: 1
portals:
  wan: {{listen: ["0.0.0.0:{port}", "[::]:{port}"], transport: plain, accept_risk: true}}
disks:
  vault: {{memory: 16MiB}}
targets:
  {target}:
    portals: [wan]
    luns: {{0: vault}}
    initiators:
      {client}:
        from: [10.77.1.2, "fd77:1::/64"]
        chap: {{user: alice, mutual: gw-for-alice}}
{more}
"""
TABLES = {"inet sallyport", "inet sallyport-bans"}


def tables(host):
    return {line.removeprefix("table ") for line in host.run("nft", "list", "tables").stdout.splitlines()}


def rules(host):
    return host.run("nft", "-s", "-t", "list", "table", "inet", "sallyport").stdout


def enter(net, gw, to=hosts.GATEWAY4, **how):
    """A session of the client, made in its namespace."""
    with net.client.inside():
        i = Initiator(gw.port, host=to)
    i.login(**how)
    return i


def works(i):
    """The disk answers; the first command may get a unit attention."""
    return any(i.ready()[0] == 0 for _ in range(3))


def fails(net, gw):
    """One login with a wrong secret; whether it was refused as such."""
    try:
        enter(net, gw, secret="not-the-right-one-1").close()
    except Refused as refused:
        return refused.status >> 8 == 2
    except (Gone, OSError):
        return False
    return False


def test_entry(net, gw):
    for to, family in ((hosts.GATEWAY4, "IPv4"), (hosts.GATEWAY6, "IPv6")):
        i = enter(net, gw, to=to)
        check(works(i), f"an allowed initiator reaches its disk by {family}", gw.log())
        i.close()
        check(not net.stranger.reaches(gw.port, to=to), f"P1: a stranger does not even get a connection by {family}")
    script = gw.command("plan", "--firewall", str(gw.policy)).stdout
    net.stranger.run("nft", "-f", "-", input=script)
    check(rules(net.stranger) == rules(net.gateway), "P5: the rules of the running gateway are what plan prints",
          rules(net.stranger), rules(net.gateway))
    net.stranger.run("nft", "flush", "ruleset")


def test_helper(net, gw):
    """The firewall process dies; nobody notices, and the rules stay."""
    live, before, pid = enter(net, gw), rules(net.gateway), gw.helper_pid("firewall")
    os.kill(pid, signal.SIGKILL)
    check(TABLES <= tables(net.gateway) and not net.stranger.reaches(gw.port),
          "P4: when the firewall process is killed, the rules stay")
    check(wait_for(lambda: gw.helper_pid("firewall") not in (0, pid) and gw.is_serving()), "and another is started", gw.log())
    check(wait_for(lambda: rules(net.gateway) == before) and works(live), "P7: with the same rules, sessions undisturbed")
    live.close()


def test_ban(net, gw):
    refused = [fails(net, gw) for _ in range(5)]
    check(all(refused), "five logins with a wrong secret are refused", refused, gw.log())
    check(wait_for(lambda: "10.77.1.2" in net.gateway.run("nft", "list", "set", "inet", "sallyport-bans", "v4").stdout),
          "P6: then their address is banned in the firewall", gw.log())
    check(not net.client.reaches(gw.port), "P6: a new connection from there is dropped")


def test_stop(net, gw, foreign, start):
    check(gw.stop() == 0, "a clean stop", gw.log())
    check(not TABLES & tables(net.gateway), "a clean stop removes both tables", tables(net.gateway))
    check(net.gateway.run("nft", "list", "table", "inet", "filter").stdout == foreign, "P3: nobody else's table was touched")
    start()
    check(wait_for(lambda: not net.client.reaches(gw.port)), "P6: bans with time left are set again at the next start", gw.log())
    gw.stop()
    (gw.state / "bans.json").unlink(missing_ok=True)
    start()


def lock_is_free(gw):
    """Whether the state folder's lock is free again."""
    with open(gw.state / "lock") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def test_crash(net, gw, start):
    before = rules(net.gateway)
    gw.stop(signal.SIGKILL)
    wait_for(lambda: lock_is_free(gw))  # its processes end by themselves
    check(TABLES <= tables(net.gateway) and rules(net.gateway) == before, "P4: after kill -9 of the gateway both tables stay")
    check(not net.stranger.reaches(gw.port), "P4: and are closed")
    start()
    i = enter(net, gw)
    check(rules(net.gateway) == before and works(i), "the next start takes them over", gw.log())
    i.close()


def run(net):
    net.gateway.run("nft", "-f", "-", input="table inet filter {\nchain input {\ntype filter hook input priority 0;\n"
                    "tcp dport 9 drop\n}\n}\n")
    foreign = net.gateway.run("nft", "list", "table", "inet", "filter").stdout
    gw = Gateway(policy=POLICY)

    def start():
        gw.start(wrapper=("ip", "netns", "exec", net.gateway.name))

    try:
        start()
        test_entry(net, gw)
        test_helper(net, gw)
        test_ban(net, gw)
        test_stop(net, gw, foreign, start)
        test_crash(net, gw, start)
    finally:
        gw.close()


def main():
    why = hosts.unavailable()
    if why:
        report.skip("a gateway behind its firewall", why)
        return
    with hosts.Network("client", "stranger") as net:
        run(net)
    report.finish()


if __name__ == "__main__":
    main()
