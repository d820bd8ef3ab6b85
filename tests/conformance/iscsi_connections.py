#!/usr/bin/env python3
"""Several connections in one session, connections that take another's place, and tasks that outlive theirs."""
from harness import *
from initiator import *

AREA = "iscsi"
GW = "iqn.2026-11.net.example.gw:"
ALICE = "{client}: {{chap: {{user: alice, mutual: gw-for-alice, algorithms: [md5]}}}}"
BOB = "{client}-bob: {{chap: {{user: bob, mutual: gw-for-bob, algorithms: [md5]}}}}"
POLICY = """\
version: 1
portals:
  here: {{listen: ["127.0.0.1:{port}"], transport: plain}}
disks:
  vault: {{memory: 16MiB}}
targets:
  {target}: {{portals: [here], luns: {{0: vault}}, initiators: {{ALICE}}}}
  GW:several:
    portals: [here]
    luns: {{0: vault}}
    max_connections: 3
    error_recovery: 2
    initiators: {{ALICE, BOB}}
gateway: {{ping: {{every: 10m}}, grace: 60s}}
""".replace("ALICE", ALICE).replace("BOB", BOB).replace("GW:", GW)
gw = Gateway(policy=POLICY)
gw.secret("bob", "secret-of-bob-01234")
gw.secret("gw-for-bob", "secret-for-bob-01234")
gw.start()
MANY = dict(MaxConnections="8", ErrorRecoveryLevel="0")
LEVEL_2 = {**MANY, "ErrorRecoveryLevel": "2", "DefaultTime2Wait": "0", "DefaultTime2Retain": "20"}
REASSIGN = 8


class Session:
    """Connections that share what a session has: ISID, TSIH, CmdSN, task tags."""

    def __init__(self, target=GW + "several", more=MANY):
        self.target = target
        self.first = Initiator(gw.port).login(target=target, more=more)
        self.last = self.first

    def join(self, cid, user="alice", secret=SECRET, mutual=MUTUAL, name=CLIENT):
        i = Initiator(gw.port, isid=self.first.isid, name=name)
        i.tsih, i.cid, i.cmdsn = self.first.tsih, cid, self.last.cmdsn
        i.prove(i.challenged(self.target), user, secret, mutual)
        return i.operate(target=None)

    def on(self, i):
        i.cmdsn, i.itt = self.last.cmdsn, max(i.itt, self.last.itt)
        self.last = i
        return i


def refused(attempt):
    try:
        attempt()
    except Refused as why:
        return why.status
    return 0


def sessions():
    return gw.sessions()


# --- several connections --------------------------------------------------------------------------------------------
s = Session()
b = s.join(1)
data = os.urandom(8192)
wrote = s.on(s.first).write(0, data)
check(AREA, "13.2 a command on one connection, the next one on another", wrote == (0, b"") and s.on(b).read(0, 16) == (0, data) and
      b.tsih == s.first.tsih)
check(AREA, "two connections are one session, in one process", wait_for(lambda: [x["connections"] for x in sessions()] == [2]), sessions())
joins = [e for e in gw.audit() if e.get("event") == "login" and e.get("reason") == "joined"]
check("audit", "a login that joins says which session", len(joins) == 1 and
      joins[0]["detail"] == f"session {sessions()[0]['session']} of target {GW}several", joins)
first = next(e for e in gw.audit() if e.get("event") == "login" and e.get("reason") == "granted")
check("audit", "a login tells each LUN's disk, octets a block, blocks and access", first["detail"] == "lun 0 vault 512 32768 rw", first)
c = s.join(2)
check(AREA, "13.2 a connection too many is refused with 0206h", refused(lambda: s.join(3)) == 0x0206)
check(AREA, "P1: another initiator does not join the session", refused(
    lambda: s.join(1, "bob", "secret-of-bob-01234", "secret-for-bob-01234", CLIENT + "-bob")) == 0x020a)
check(AREA, "P1: who has no secret does not join the session", refused(lambda: s.join(1, secret="x" * 16)) == 0x0201)
task = s.on(c).command(write16(0, 16), write=data, immediate_data=False)
c.expect(0x31)
check(AREA, "11.14 one connection logs another out", s.on(b).logout(1, cid=2) == 0 and c.ended())
check(AREA, "11.14 and goes on", s.on(b).read(0, 16) == (0, data))
check(AREA, "11.14 a connection logs itself out", s.on(b).logout(1, cid=1) == 0 and b.ended() and s.on(s.first).read(0, 16) == (0, data))
d = s.join(4)
l = s.join(5)
time.sleep(2)  # nothing else of the session wakes it
l.reset()
told = s.first.expect(0x32)  # long before the next ping
check(AREA, "11.9 connections are told at once that another was cut", told.bhs[36:40] == b"\x02\0\0\5", told.bhs)
s.first.reset()
check(AREA, "7.5 the session lives on when its first connection is cut", s.on(d).read(0, 16) == (0, data))
e = s.join(4)
check(AREA, "6.3.4 a known CID takes the place of its connection", d.ended() and s.on(e).read(0, 16) == (0, data))
check(AREA, "11.14 a Logout of the session ends it", s.on(e).logout() == 0 and e.ended() and wait_for(lambda: not sessions()), sessions())
check(AREA, "6.3.6 nobody joins a session that has ended", refused(lambda: s.join(5)) == 0x020a)

one = Session(TARGET)
check(AREA, "13.2 MaxConnections is 1 unless the policy says more", one.first.keys["MaxConnections"] == "1" and
      refused(lambda: one.join(1)) == 0x0206)
f = one.join(0)
check(AREA, "6.3.4 the only connection is replaced by its like", one.first.ended() and one.on(f).ready()[0] in (0, 2))
f.close()
check(AREA, "7.5 below level 2 a session ends with its last connection", wait_for(lambda: not sessions()), sessions())

# --- tasks that outlive their connection ------------------------------------------------------------------------------
s = Session(more=LEVEL_2)
check(AREA, "13.20 level 2 is agreed on", s.first.keys["ErrorRecoveryLevel"] == "2")
new = os.urandom(8192)
task = s.first.command(write16(32, 16), write=new, immediate_data=False)
s.first.expect(0x31)
s.first.reset()
g = s.join(0)
s.on(g)
check(AREA, "7.2.2 a WRITE is reassigned and ends on another connection", g.task(REASSIGN, task) == 0 and
      g.answer(task, new) == (0, b"") and g.read(32, 16) == (0, new))
g.reset()
check(AREA, "7.5 at level 2 a session outlives its last connection", wait_for(lambda: [x["connections"] for x in sessions()] == [0]), sessions())
h = s.join(7)
check(AREA, "6.3.6 and goes on with the next one", s.on(h).read(32, 16) == (0, new))
h.logout()
s = Session(more={**LEVEL_2, "DefaultTime2Retain": "1"})
s.first.reset()
check(AREA, "13.16 it ends when Time2Retain is over", wait_for(lambda: not sessions()), sessions())
s = Session(more={**LEVEL_2, "DefaultTime2Retain": "4"})
time.sleep(sum(int(s.first.keys[key]) for key in ("DefaultTime2Wait", "DefaultTime2Retain")) + 0.1)
s.first.reset()
h = s.join(7)
check(AREA, "13.16 which begins with the loss, not with the octets before it", s.on(h).read(32, 16) == (0, new))
h.logout()
wait_for(lambda: not sessions())
s = Session(more=LEVEL_2)
s.first.reset()
again = Initiator(gw.port, isid=s.first.isid).login(target=s.target, more=LEVEL_2)
check(AREA, "6.3.5 a new login with its ISID ends what was left of it", again.tsih != s.first.tsih and wait_for(lambda: len(sessions()) == 1), sessions())
again.logout()
wait_for(lambda: not sessions())


def waits():
    """A session without connections, and its number."""
    Session(more=LEVEL_2).first.reset()
    return wait_for(lambda: [x["session"] for x in sessions() if x["connections"] == 0])


AT_ONCE = 15  # seconds; it waits for 20, and a kick for the grace
start = time.monotonic()
gw.command("sessions", "kick", str(waits()[0]))
check(AREA, "a session that waits for its initiator is kicked at once", wait_for(lambda: not sessions()) and time.monotonic() - start < AT_ONCE, sessions())
ready, start = waits(), time.monotonic()
check(AREA, "and does not keep the gateway from stopping", ready and gw.stop() == 0 and time.monotonic() - start < AT_ONCE, gw.log())
finish()
