#!/usr/bin/env python3
"""One writer at a time: who has a disk's write slot, how long it is kept for one that is lost (its session killed, the
gateway killed), who gets it next, and what persistent reservations change."""
import os, signal
from harness import *
from initiator import *

AREA = "writers"
GOOD, CHECK, CONFLICT = 0, 2, 0x18
BOB = CLIENT + "-bob"
MODES_CHANGED = 0x2a01
PROTECTED = (7, 0x27, 0)
REGISTER, RESERVE, RELEASE, CLEAR, PREEMPT = range(5)
WE, WERO = 1, 5
A, B = 0xa11ce, 0xb0b
POLICY = """\
version: 1
portals:
  here: {{listen: ["127.0.0.1:{port}"], transport: plain}}
gateway: {{grace: 1s}}
disks:
  vault: {{file: {folder}/vault.img, size: 16MiB, writers: {writers}, writer_lease: {lease}}}
targets:
  {target}:
    portals: [here]
    luns: {{0: vault}}
    initiators:
      {client}:
        chap: {{user: alice, mutual: gw-for-alice, algorithms: [md5]}}
      {client}-bob:
        chap: {{user: bob, mutual: gw-for-alice, algorithms: [md5]}}
        luns: {{0: {bobs}}}
"""


class Host(Initiator):
    def __init__(self, name, isid=None):
        super().__init__(gw.port, name=name, isid=isid)
        if name == BOB:
            self.login(user="bob", secret="bob-secret-0123456789")
        else:
            self.login()
        self.settle()

    def settle(self):
        told = []
        while (code := attention(self.ready())) is not None:
            told.append(code)
        return told

    def store(self, octet=1):
        return said(self.write(0, bytes([octet]) * 512))

    def out(self, action, key=0, about=0, type=0):
        data = struct.pack(">QQ8x", key, about)
        return said(self.run(struct.pack(">BBBxxIB", 0x5f, action, type, len(data), 0), write=data))

    def is_protected(self):
        """WP of the mode parameter header, SBC."""
        return self.run(bytes([0x1a, 8, 0x3f, 0, 192, 0]), read=192)[1][2] & 0x80 != 0

    def log_out(self):
        self.itt += 1
        self.send(LOGOUT, 0x80, fields=struct.pack(">HHII", 0, 0, self.cmdsn, self.expstatsn))
        self.expect(LOGOUT_RESPONSE, self.itt)
        self.close()


def said(answer):
    status, data = answer
    return (data[4] & 0xf, data[14], data[15]) if status == CHECK else status


def login(name, **more):
    while True:
        try:
            return Host(name, **more)
        except Refused as refused:  # a helper is away for a moment
            if refused.status != 0x0301:
                raise


def disk():
    return json.loads(gw.command("disk", "--json").stdout)[0]


def writer():
    return disk()["writer"]


def is_free():
    return wait_for(lambda: writer() is None)


def over(name):
    """Its sessions are over, and what was theirs is lost."""
    return wait_for(lambda: not any(s["initiator"] == name for s in gw.sessions()))


def can_write(name):
    """… with a new login."""
    with login(name) as i:
        return i.store() == GOOD


def the_accident():
    with login(CLIENT) as alice, login(BOB) as bob:
        check(AREA, "who comes first writes", alice.store(1) == GOOD and not alice.is_protected())
        check(AREA, "P3: who comes second reads, and does not write: DATA PROTECT, 27h/00h",
              bob.read(0, 1)[0] == GOOD and bob.store(2) == PROTECTED, gw.log())
        check(AREA, "… WP=1 in the mode parameter header", bob.is_protected())
        check(AREA, "… and what it may not is on no disk", alice.read(0, 1)[1] == b"\1" * 512)
        check(AREA, "the accident is said in the log, with who writes",
              f"disk vault is given to {BOB} read-only: {CLIENT} writes it" in gw.log(), gw.log())
        check("audit", "… and in the audit log", wait_for(lambda: any(e.get("reason") == "another-writer" for e in gw.audit())), gw.audit())
        done = gw.command("disk").stdout
        check("cli", "`disk` tells who writes", f"written by {CLIENT}\n" in done, done)
        with login(CLIENT) as path:
            check(AREA, "a second path of who writes, writes", path.store(3) == GOOD)
        check(AREA, "… and when that path is lost, the first one writes on", over_one() and alice.store(1) == GOOD and bob.store() == PROTECTED)
        alice.log_out()
        check(AREA, "a clean logout frees the slot at once", is_free(), disk())
        check(AREA, "who waited stays read-only: what it has mounted so is not to be written suddenly",
              bob.store() == PROTECTED and bob.settle() == [])
        with login(BOB) as again:
            check(AREA, "… until it logs in again", again.store(4) == GOOD, gw.log())
            check(AREA, "… with all of its paths, which are told: 2Ah/01h", wait_for(lambda: MODES_CHANGED in bob.settle()) and bob.store(4) == GOOD)
            bob.log_out()
            again.log_out()
    check(AREA, "a logout of the last path frees it", is_free(), disk())


def over_one():
    return wait_for(lambda: sum(s["initiator"] == CLIENT and s["state"] == "granted" for s in gw.sessions()) == 1)


def lost():
    with login(BOB) as bob:
        bob.log_out()
    is_free()
    with login(CLIENT) as alice:
        assert alice.store() == GOOD
        pid = next(s["pid"] for s in gw.sessions() if s["initiator"] == CLIENT)
        os.kill(pid, signal.SIGKILL)
        over(CLIENT)
    check(AREA, "P3: a writer whose session was killed keeps the slot", writer()["lost"] and not can_write(BOB), disk())
    done = gw.command("disk").stdout
    check("cli", "`disk` tells that it is lost, and for how long it is waited for", "which is lost: for" in done, done)
    check(AREA, "… and has it when it comes back", can_write(CLIENT))
    gw.stop(signal.SIGKILL)
    gw.start()
    check(AREA, "P3: after kill -9 of the gateway too, nobody else writes within the lease", not can_write(BOB), (disk(), gw.log()))
    check(AREA, "… and who wrote, writes", can_write(CLIENT), disk())
    over(CLIENT)
    done = gw.command("disk", "free", "vault")
    check("cli", "`disk free` ends the waiting", done.returncode == 0 and writer() is None, (done.stdout, done.stderr))
    with login(BOB) as bob:
        check(AREA, "… the next one writes", bob.store() == GOOD, gw.log())
        done = gw.command("disk", "free", "vault")
        check("cli", "`disk free` takes it from nobody who is here", done.returncode == 3 and bob.store() == GOOD, done.stderr)
    over(BOB)
    assert gw.reload(lease="1s").returncode == 0
    with login(BOB) as bob:  # the lease is taken when it is lost
        assert bob.store() == GOOD
    check(AREA, "when the lease is over, another one writes", wait_for(lambda: can_write(CLIENT)), gw.log())
    with login(CLIENT) as alice:
        alice.log_out()
    is_free()
    assert gw.reload(lease="150s").returncode == 0


def reserved():
    with login(CLIENT, isid=b"\x80\0\0\0\0\1") as alice, login(BOB, isid=b"\x80\0\0\0\0\2") as bob:
        check(AREA, "PERSISTENT RESERVE OUT stays allowed for who waits", bob.out(REGISTER, about=B) == GOOD and bob.store() == PROTECTED)
        check(AREA, "who reserves, write exclusive, may write: 2Ah/01h", bob.out(RESERVE, B, type=WE) == GOOD
              and wait_for(lambda: MODES_CHANGED in bob.settle()) and bob.store(7) == GOOD and not bob.is_protected(), gw.log())
        check(AREA, "P3: … and who wrote before does not", wait_for(lambda: alice.settle() is not None and alice.store() in (CONFLICT, PROTECTED)), gw.log())
        check(AREA, "the slot is now who reserved it's", writer()["initiator"] == BOB, disk())
        check(AREA, "released, the slot stays there: the reservation's end makes no second writer", bob.out(RELEASE, B, type=WE) == GOOD
              and bob.store(8) == GOOD and wait_for(lambda: alice.settle() is not None and alice.store() == PROTECTED), gw.log())
        assert alice.out(REGISTER, about=A) == GOOD and bob.out(RESERVE, B, type=WE) == GOOD
        check(AREA, "who preempts, writes; who is preempted, does not", alice.out(PREEMPT, A, B, type=WE) == GOOD
              and wait_for(lambda: alice.settle() is not None and alice.store(9) == GOOD)
              and wait_for(lambda: bob.settle() is not None and bob.store() in (CONFLICT, PROTECTED)), gw.log())
        alice.out(RELEASE, A, type=WE)
        assert bob.out(REGISTER, about=B) == GOOD
        check(AREA, "under registrants only, all who are registered write", bob.out(RESERVE, B, type=WERO) == GOOD
              and wait_for(lambda: bob.settle() is not None and bob.store(5) == GOOD) and alice.store(6) == GOOD, gw.log())
        check(AREA, "cleared, one of them does", bob.out(CLEAR, B) == GOOD
              and wait_for(lambda: [alice.settle() is None, bob.settle() is None, alice.store(), bob.store()][2:].count(GOOD) == 1), gw.log())
        alice.log_out()
        bob.log_out()
    is_free()


def cluster():
    with login(CLIENT) as alice, login(BOB) as bob:
        assert alice.store() == GOOD and bob.store() == PROTECTED
        done = gw.reload(writers="cluster")
        check(AREA, "writers: cluster lets both write, at a reload", done.returncode == 0
              and wait_for(lambda: bob.settle() is not None and bob.store() == GOOD) and alice.store() == GOOD, (done.stderr, gw.log()))
        done = gw.reload(writers="one")
        check(AREA, "writers: one lets one of them write on", done.returncode == 0
              and wait_for(lambda: [alice.settle() is None, bob.settle() is None, alice.store(), bob.store()][2:].count(GOOD) == 1), gw.log())


def narrowed():
    """Who waits for the slot may reserve, and so take it: no more, once the policy lets it only read."""
    with login(CLIENT) as alice, login(BOB) as bob:
        assert alice.store() == GOOD and bob.store() == PROTECTED
        done = gw.reload("--json", bobs="read-only")
        check(AREA, "P3: who waited to write, and may only read now, is asked to log out", done.returncode == 0
              and json.loads(done.stdout)["asked_to_log_out"] == 1 and alice.store() == GOOD, (done.stdout, done.stderr))
        check(AREA, "… and ended; who writes goes on", wait_for(lambda: [s["initiator"] for s in gw.sessions() if s["state"] == "granted"] == [CLIENT])
              and alice.store() == GOOD, gw.sessions())


gw = Gateway(policy=POLICY, writers="one", lease="150s", bobs="read-write")
gw.secret("bob", "bob-secret-0123456789")
gw.start()
the_accident()
lost()
reserved()
cluster()
narrowed()
check(AREA, "the gateway stops cleanly", gw.stop() == 0, gw.log())
finish()
