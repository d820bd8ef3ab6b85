"""A gateway that several hosts of lib/hosts.py may enter, and what they do there."""
import json

from firewall.lib import hosts
from harness import wait_for
from initiator import Gone, Initiator, Refused

ALL = '10.77.0.0/16, "fd77::/16", 10.99.0.0/16'
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
        from: [ALL]
        chap: {{user: alice, mutual: gw-for-alice}}
{more}
""".replace("ALL", ALL)
WRONG = "not-the-right-one-1"


def enter(host, gw, to=hosts.GATEWAY4, source=None, **how):
    """A session of the host, made in its namespace."""
    with host.inside():
        i = Initiator(gw.port, host=to, source=source)
    try:
        return i.login(**how)
    except BaseException:
        i.close()
        raise


def outcome(host, gw, **how):
    """How a login ends: "in", its status, "closed", "dropped"."""
    try:
        enter(host, gw, **how).close()
        return "in"
    except Refused as refused:
        return hex(refused.status)
    except TimeoutError:
        return "dropped"
    except (Gone, OSError):
        return "closed"


def fails(host, gw, times):
    """So many logins with a wrong secret; how each ended."""
    return [outcome(host, gw, secret=WRONG) for _ in range(times)]


def works(i):
    """The disk answers; the first command may get a unit attention."""
    return any(i.ready()[0] == 0 for _ in range(3))


def reasons(gw, op, holds):
    """The audit's reasons of such events, when holds() is true of them (they are written a moment later), or at last."""
    got = []

    def look():
        got[:] = [e["reason"] for e in gw.audit("--op", op)]
        return holds(got)
    wait_for(look, 10)
    return got


def bans(gw, *words):
    return json.loads(gw.command("bans", "list", "--json", *words).stdout)


def in_kernel(net, host):
    return host.ip4 in net.gateway.run("nft", "list", "set", "inet", "sallyport-bans", "v4").stdout
