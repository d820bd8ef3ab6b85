#!/usr/bin/env python3
"""Several portals: what discovery tells of them, their groups' tags over restarts, and the port in VPD page 83h."""
import re

from harness import *
from initiator import *

AREA = "iscsi"
PORTALS = {
    "here": '{{listen: ["127.0.0.1:{port}"], transport: plain}}',
    "again": '{{listen: ["127.0.0.2:{port}"], transport: plain}}',
    "six": '{{listen: ["[::1]:{port}"], transport: plain, group: again}}',
    "tunnel": '{{listen: ["127.0.0.3:{port}"], transport: plain, group: 500, advertise: ["203.0.113.1:860", "[2001:db8::1]:3260"]}}',
}
REST = """\
disks:
  vault: {{memory: 16MiB}}
targets:
  {target}:
    portals: [{names}]
    luns: {{0: vault}}
    initiators:
      {client}:
        chap: {{user: alice, mutual: gw-for-alice, algorithms: [md5, sha256]}}
"""


def policy(names):
    return "version: 1\nportals:\n" + "".join(f"  {n}: {PORTALS[n]}\n" for n in names) + REST


gw = Gateway(policy=policy(PORTALS), names=", ".join(PORTALS)).start()
ADVERTISED = ["203.0.113.1:860,500", "[2001:db8::1]:3260,500"]


def send_targets(i, which):
    i.itt += 1
    i.send(TEXT, 0x80, text(SendTargets=which), fields=struct.pack(">III", 0xffffffff, i.cmdsn, i.expstatsn), immediate=True)
    return [p for p in i.expect(TEXT_RESPONSE, i.itt).data.decode().split("\0") if p]


def discovered(host, target=None, which="All"):
    with Initiator(gw.port, host=host) as i:
        i.login(target=target)
        got = send_targets(i, which)
        return got, i.keys.get("TargetPortalGroupTag")


def addresses(host):
    """By discovery: the addresses of the target."""
    got, _ = discovered(host)
    return [p.removeprefix("TargetAddress=") for p in got[1:]] if got[0] == f"TargetName={TARGET}" else got


def check_all(when):
    for host, shown, tag in (("127.0.0.1", "127.0.0.1", 1), ("127.0.0.2", "127.0.0.2", 2), ("::1", "[::1]", 2)):
        got = addresses(host)
        check(AREA, f"discovery by {host} tells the address reached, and what is advertised{when}",
              got == [f"{shown}:{gw.port},{tag}", *ADVERTISED], (got, gw.log()))
    got = addresses("127.0.0.3")
    check(AREA, f"discovery by a portal that advertises tells that alone{when}", got == ADVERTISED, got)


def port_of(host):
    """The target port in VPD page 83h: its name's end, its relative identifier, its group."""
    with Initiator(gw.port, host=host) as i:
        i.login()
        i.ready()
        page = i.run(bytes([0x12, 1, 0x83, 1, 0, 0]), read=256)[1]
        name = re.search(rb",t,0x([0-9a-f]{4})", page)
        relative = re.search(rb"[\x51\x01]\x94\0\x04\0\0(..)", page, re.S)
        return int(name[1], 16), int.from_bytes(relative[1], "big"), int(i.keys["TargetPortalGroupTag"])


check_all("")
got, tag = discovered("127.0.0.2", TARGET, "")
check(AREA, "in a normal session its own target's addresses are told, in the group of its login",
      got == [f"TargetName={TARGET}", f"TargetAddress=127.0.0.2:{gw.port},2", *(f"TargetAddress={a}" for a in ADVERTISED)]
      and tag == "2", (got, tag))
got, _ = discovered("127.0.0.2", None, TARGET)
check(AREA, "asked by name, a target is told with all its addresses", len(got) == 4, got)
got, _ = discovered("127.0.0.2", None, TARGET + "x")
check(AREA, "P1: asked by a name that is not there, nothing is told", not [p for p in got if not p.startswith("SendTargets")], got)
ports = {host: port_of(host) for host in ("127.0.0.1", "127.0.0.2", "::1", "127.0.0.3")}
check(AREA, "a portal group is one port of the target: name, relative identifier and tag agree",
      ports == {"127.0.0.1": (1, 1, 1), "127.0.0.2": (2, 2, 2), "::1": (2, 2, 2), "127.0.0.3": (500, 500, 500)}, ports)
told = [(p["portal"], p["group"], p["tag"], len(p["advertises"])) for p in gw.status()["portals"]]
check(AREA, "status has the groups", told == [("here", "here", 1, 0), ("again", "again", 2, 0), ("six", "again", 2, 0),
                                               ("tunnel", "500", 500, 2)], told)
# mutual CHAP is asked for by what libiscsi reads from its environment
gw.accept_weaker()
done = run("iscsi-ls", "-i", CLIENT, gw.portal() + "/", env=gw.mutual())
check(AREA, "libiscsi lists every address", all(a.rsplit(",", 1)[0] in done.stdout for a in ADVERTISED) and
      f"127.0.0.1:{gw.port}" in done.stdout, done.stdout + done.stderr)

check(AREA, "the gateway stops cleanly", gw.stop() == 0, gw.log())
gw.policy.write_text(policy(["tunnel", "six", "again", "here"]).format(**gw.values))
gw.start()
check_all(", in whatever order the policy has them")
again = {host: port_of(host) for host in ports}
check(AREA, "ports stay the same in another order", again == ports, again)
gw.stop()
finish()
