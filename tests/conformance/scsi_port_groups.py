#!/usr/bin/env python3
"""Target port groups over the wire, SPC-4: two portals of one target, REPORT and SET TARGET PORT GROUPS."""
import os, signal
from harness import *
from initiator import *

AREA = "scsi"
GOOD, CHECK = 0, 2
BOSS = CLIENT + "-boss"
OPTIMIZED, NON_OPTIMIZED, STANDBY, UNAVAILABLE = range(4)
CHANGED, IN_STANDBY, NOT_AVAILABLE = 0x2a06, 0x040b, 0x040c
POLICY = """\
version: 1
portals:
  here: {{listen: ["127.0.0.1:{port}"], transport: plain}}
  there: {{listen: ["127.0.0.1:{port2}"], transport: plain}}
  elsewhere: {{listen: ["127.0.0.1:{port3}"], transport: plain}}
disks:
  vault: {{file: {folder}/vault.img, size: 16MiB, writers: cluster}}
  second: {{memory: 16MiB, writers: cluster}}
targets:
  {target}:
    portals: [here, there]
    luns: {{0: vault, 1: second}}
    initiators:
      {client}:
        chap: {{user: alice, mutual: gw-for-alice, algorithms: [md5]}}
      {client}-boss:
        chap: {{user: bob, mutual: gw-for-bob, algorithms: [md5]}}
        allow: [set-target-port-groups]
  {target}-other:
    portals: [here, elsewhere]
    luns: {{0: vault}}
    initiators:
      {client}:
        chap: {{user: alice, mutual: gw-for-alice, algorithms: [md5]}}
"""
gw = Gateway(policy=POLICY, port2=free_port(), port3=free_port())
gw.secret("bob", "bob-secret-0123456789")
gw.secret("gw-for-bob", "gateway-for-bob-1234")
gw.start()


def session(portal="port", target=TARGET):
    return Initiator(gw.values[portal]).login(target=target)


def boss(portal="port"):
    return Initiator(gw.values[portal], name=BOSS).login(user="bob", secret="bob-secret-0123456789", mutual="gateway-for-bob-1234")


def rtpg(i, lun=0):
    """{group: (state, its status code, its relative port)}, the session's own group first."""
    status, data = i.run(struct.pack(">BBIIBB", 0xa3, 0x0a, 0, 255, 0, 0), lun, read=255)
    assert status == GOOD and int.from_bytes(data[:4], "big") == len(data) - 4, (status, data)
    groups = {}
    for at in range(4, len(data), 12):
        assert data[at + 1] == 0x0f and data[at + 7] == 1, data
        groups[int.from_bytes(data[at + 2:at + 4], "big")] = (data[at] & 0xf, data[at + 5], int.from_bytes(data[at + 10:at + 12], "big"))
    return groups


def stpg(i, lun=0, **states):
    """Sets groups' states: g1=STANDBY."""
    octets = bytes(4) + b"".join(struct.pack(">BBH", state, 0, int(group[1:])) for group, state in states.items())
    return i.run(struct.pack(">BBIIBB", 0xa4, 0x0a, 0, len(octets), 0, 0), lun, write=octets)


def told(answer):
    """Key, and ASC with ASCQ."""
    status, data = answer
    return (data[4] & 0xf, data[14] << 8 | data[15]) if status == CHECK else status


def inquiry(i, page=None):
    cdb = bytes([0x12, page is not None, page or 0, 0, 255, 0])
    status, data = i.run(cdb, read=255)
    assert status == GOOD
    return data


def own_group(i):
    """The target port group designator of page 83h."""
    data, at = inquiry(i, 0x83), 4
    while data[at + 1] & 0x3f != 0x15:
        at += 4 + data[at + 3]
    return int.from_bytes(data[at + 6:at + 8], "big")


with session() as one, session("port2") as two, boss() as chief, session("port3", TARGET + "-other") as other:
    first, second, third = own_group(one), own_group(two), own_group(other)
    check(AREA, "each portal is a target port group of its own", len({first, second, third}) == 3, (first, second, third))
    got = rtpg(one)
    check(AREA, "REPORT TARGET PORT GROUPS lists both groups of the target, its own first",
          list(got) == [first, second] and set(got.values()) == {(OPTIMIZED, 0, first), (OPTIMIZED, 0, second)}, got)
    got = rtpg(two)
    check(AREA, "the session by the other portal sees the same", list(got) == [second, first], got)
    check(AREA, "another target has groups of its own", set(rtpg(other)) == {first, third}, rtpg(other))
    data = inquiry(one, 0x88)
    names = [f"{TARGET},t,0x{group:04x}".encode() for group in (first, second)]
    check(AREA, "page 88h names both ports", all(name in data for name in names), data)
    check(AREA, "TPGS: implicit alone for whom the policy allows nothing, both for whom it does",
          [inquiry(i)[5] & 0x30 for i in (one, chief)] == [0x10, 0x30])
    check(AREA, "P1: SET TARGET PORT GROUPS is unknown to whom the policy does not allow it",
          told(stpg(one, **{f"g{second}": STANDBY})) == (5, 0x2000) and rtpg(one)[second][0] == OPTIMIZED)

    check(AREA, "a group goes into standby", stpg(chief, **{f"g{second}": STANDBY}) == (GOOD, b"") and rtpg(chief)[second] == (STANDBY, 1, second))
    check(AREA, "whoever comes by it is told, then refused", [told(two.read(0, 1)) for _ in range(2)] == [(6, CHANGED), (2, IN_STANDBY)])
    check(AREA, "whoever comes by the other one is told, and goes on", [told(one.read(0, 1)) for _ in range(2)] == [(6, CHANGED), GOOD])
    check(AREA, "TEST UNIT READY says so, INQUIRY and REPORT TARGET PORT GROUPS go on",
          told(two.ready()) == (2, IN_STANDBY) and inquiry(two)[0] == 0 and rtpg(two)[second][0] == STANDBY)
    check(AREA, "the other unit of the target is not concerned", two.read(0, 1, lun=1)[0] == GOOD)
    told(other.ready())
    check(AREA, "nor is another target with the same disk", other.read(0, 1)[0] == GOOD)
    with session("port2") as new:
        check(AREA, "a new session by that group finds it in standby", told(new.ready()) == (2, IN_STANDBY))

    os.kill(gw.helper_pid("arbiter"), signal.SIGKILL)
    wait_for(gw.is_well)

    def again():
        answer = stpg(chief, **{f"g{first}": UNAVAILABLE, f"g{second}": NON_OPTIMIZED})
        return answer if told(answer) not in (8, (6, 0x2900)) else None

    check(AREA, "two at once, by the group that becomes unavailable itself", wait_for(again) == (GOOD, b""))
    told(one.ready())
    told(two.ready())
    check(AREA, "unavailable: 04h/0Ch, and the qualifier 001b",
          told(one.ready()) == (2, NOT_AVAILABLE) and inquiry(one)[0] == 0x20 and two.read(0, 1)[0] == GOOD, told(one.ready()))
    check(AREA, "SET TARGET PORT GROUPS is carried out by an unavailable group",
          stpg(chief, **{f"g{first}": OPTIMIZED, f"g{second}": OPTIMIZED}) == (GOOD, b""))
    told(one.ready())
    check(AREA, "active again", one.read(0, 1)[0] == GOOD)
    check(AREA, "a group of another target is none", told(stpg(chief, **{f"g{third}": STANDBY})) == (5, 0x2600))
    stpg(chief, **{f"g{second}": STANDBY})
gw.stop()
gw.start()
with session("port2") as two:
    check(AREA, "after the gateway was started again every group is active", two.ready()[0] == GOOD and two.read(0, 1)[0] == GOOD)
check(AREA, "the gateway stops cleanly", gw.stop() == 0, gw.log())
finish()
