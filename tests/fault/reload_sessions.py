#!/usr/bin/env python3
"""A policy taken up while sessions go on: what is widened reaches them, rules bind at once, who has more than he may
have is asked to log out and ended, and nobody else notices."""
import os, signal
from harness import *
from initiator import *

AREA = "reload"
GOOD, CHECK = 0, 2
SECOND = CLIENT + "-second"
BOB = dict(user="bob", secret="bob-secret-0123456789")
POLICY = """\
version: 1
portals:
  here: {{listen: ["127.0.0.1:{port}"], transport: plain}}
  there: {{listen: ["127.0.0.1:{other}"], transport: plain}}
gateway: {{io: {io}, grace: 1s}}
disks:
  vault: {{file: {folder}/{vault}, size: {size}}}
  second: {{memory: 16MiB}}
  third: {{memory: 16MiB}}
targets:
  {target}:
    portals: [{portals}]
    luns: {{{luns}}}
    initiators:
      {client}:
        chap: {{user: alice, mutual: gw-for-alice, algorithms: [md5]}}
        luns: {{{alice}}}
        {rules}
      {bob}:
        chap: {{user: bob, mutual: gw-for-alice, algorithms: [md5]}}
        luns: {{0: read-only}}
"""
START = dict(vault="vault.img", size="16MiB", portals="here, there", luns="0: vault, 1: second, 2: third", alice="0: read-write",
             rules="", bob=SECOND)
LUNS_CHANGED, MODES_CHANGED, CAPACITY_CHANGED = 0x3f0e, 0x2a01, 0x2a09


def said(answer):
    status, data = answer[:2]
    return (data[4] & 0xf, data[14], data[15]) if status == CHECK else status


def login(gw, timeout=30):
    while True:
        try:
            return Initiator(gw.port, timeout=timeout).login()
        except Refused as refused:  # a helper is away for a moment
            if refused.status != 0x0301:
                raise


def session_of(gw, name):
    return next((s for s in gw.sessions() if s["initiator"] == name and s["state"] == "granted"), None)


def taken(gw, sentence, kept, changed, ended, **changes):
    done = gw.reload("--json", **changes)
    got = json.loads(done.stdout) if done.returncode == 0 else {}
    return check(AREA, sentence, [got.get(k) for k in ("kept", "changed", "asked_to_log_out")] == [kept, changed, ended],
                 (done.stdout, done.stderr, gw.log()))


def attentions(i, lun):
    heard = []
    while (code := attention(i.ready(lun))) is not None:
        heard.append(code)
    return heard


def ends(i, tags):
    """The ends of these reads, in whatever order: statuses other than GOOD, and unit attentions that one was told."""
    left, bad, heard = set(tags), [], []
    while left:
        pdu = i.receive()
        if pdu.opcode == RESPONSE and pdu.status != GOOD:
            code = attention((pdu.status, pdu.data))
            (heard if code else bad).append(code or pdu.status)
        if pdu.opcode == RESPONSE or (pdu.opcode == DATA_IN and pdu.flags & 1):
            left.discard(pdu.itt)
    return bad, heard


def compare_and_write(i, lba, old, new, lun):
    """The arbiter grants it a range: it has to know that the session has the LUN, and may write it."""
    cdb = struct.pack(">BBQ3xBBB", 0x89, 0, lba, 1, 0, 0)
    return said(i.run(cdb, lun, write=old + new))


class Asked(Exception):
    pass


def is_asked_out(i):
    """Does the gateway ask for a logout (RFC 7143 section 11.9.1, event 1), and end the connection when it does not come?"""
    try:
        asked = False
        while True:
            pdu = i.receive()
            asked = asked or (pdu.opcode == ASYNC and pdu.bhs[36] == 1)
    except Gone:
        return asked
    except TimeoutError:
        return False


def widened(gw, io):
    with login(gw) as i, Initiator(gw.port, name=SECOND).login(**BOB) as bob:
        pid = session_of(gw, SECOND)["pid"]
        assert i.luns() == [0]
        taken(gw, f"a LUN more is given to the session that is there ({io})", 1, 1, 0, alice="0: read-write, 1: read-only")
        check(AREA, f"… REPORT LUNS tells it, after unit attention 3Fh/0Eh on every LUN ({io})",
              wait_for(lambda: i.luns() == [0, 1]) and attentions(i, 0) == [LUNS_CHANGED] and attentions(i, 1) == [LUNS_CHANGED], gw.log())
        check(AREA, f"… it can be read, and P3: not written ({io})",
              i.read(0, 8, lun=1)[0] == GOOD and said(i.write(0, bytes(512), lun=1)) == (7, 0x27, 0), gw.log())
        tags = [i.command(read16(k, 8), 1, read=4096) for k in range(8)]
        taken(gw, f"a LUN that it may write from now on can be written by the session that is there ({io})", 1, 1, 0,
              alice="0: read-write, 1: read-write")
        bad, heard = ends(i, tags)
        check(AREA, f"… what was on its way is answered ({io})", bad == [], bad)
        check(AREA, f"… after unit attention 2Ah/01h ({io})", wait_for(lambda: MODES_CHANGED in heard + attentions(i, 1)), (heard, gw.log()))
        check(AREA, f"… and its blocks read back, whichever descriptor reads ({io})",
              i.write(7, b"widened".ljust(512), lun=1, fua=True)[0] == GOOD and i.read(7, 1, lun=1)[1][:7] == b"widened")
        check(AREA, f"… and the arbiter knows ({io})", compare_and_write(i, 7, b"widened".ljust(512), bytes(512), 1) == GOOD, gw.log())
        os.kill(gw.helper_pid("arbiter"), signal.SIGKILL)
        check(AREA, f"… as does a new one ({io})", wait_for(lambda: compare_and_write(i, 7, bytes(512), bytes(512), 1) == GOOD, 60), gw.log())
        taken(gw, f"both at once: a LUN more, and rules ({io})", 1, 1, 0, alice="0: read-write, 1: read-write, 2: read-write",
              rules="deny: [unmap]")
        check(AREA, f"… are in force ({io})", wait_for(lambda: i.luns() == [0, 1, 2]) and attentions(i, 2) == attentions(i, 0) == [LUNS_CHANGED]
              and said(i.run(bytes([0x42] + 9 * [0]), 0)) == (5, 0x20, 0), gw.log())
        check(AREA, f"P7: who has nothing of it is not told anything ({io})",
              session_of(gw, SECOND)["pid"] == pid and attentions(bob, 0) == [] and bob.read(0, 8)[0] == GOOD)
        check("audit", f"who got more is in the audit ({io})", wait_for(lambda: sum(e.get("reason") == "widened" for e in gw.audit()) == 3), gw.audit()[-5:])


def ruled(gw, io):
    with login(gw) as i, Initiator(gw.port, name=SECOND).login(**BOB) as bob:
        pid = session_of(gw, CLIENT)["pid"]
        taken(gw, f"a command that is denied from now on is denied at once ({io})", 1, 1, 0, rules="deny: [write-16]")
        check(AREA, f"… in the session that is there ({io})", said(i.write(0, bytes(512))) == (5, 0x20, 0) and i.read(0, 1)[0] == GOOD)
        itt = None
        taken(gw, f"… and allowed again ({io})", 1, 1, 0, rules="")
        itt = i.command(write16(8, 256), write=bytes(131072), immediate_data=False)
        ask = i.expect(R2T, itt)
        taken(gw, f"blocks that are protected from now on ({io})", 1, 1, 0, rules="protect: [{lun: 0, blocks: 0-99}]")
        check(AREA, f"… can't be written at once ({io})", said(i.write(99, bytes(512))) == (7, 0x27, 0) and i.write(100, bytes(512))[0] == GOOD, gw.log())
        i.data_out(itt, ask.ttt, ask.u32(40), bytes(ask.u32(44)))
        check(AREA, f"… not even by a command whose data came late ({io})", said(i.answer(itt, bytes(131072))) == (7, 0x27, 0))
        taken(gw, f"a policy that says the same in another order changes nothing ({io})", 2, 0, 0, rules="protect: [{blocks: 0-99, lun: 0}]  # the same")
        taken(gw, f"… and the rule goes ({io})", 1, 1, 0, rules="")
        check(AREA, f"P7: nobody had to log in again ({io})", session_of(gw, CLIENT)["pid"] == pid and bob.read(0, 1)[0] == GOOD)


# What is taken, and why the session ends in the audit.
NARROWED = [
    ("a LUN that is taken away", dict(alice="0: read-write, 2: read-write"), dict(alice="0: read-write"), "policy-lun-removed", True),
    ("a LUN that is read-only from now on", dict(), dict(alice="0: read-only"), "policy-lun-read-only", True),
    ("a disk that is another file", dict(), dict(vault="other.img"), "policy-disk-changed", True),
    ("another disk under the same LUN", dict(), dict(luns="0: third, 1: second, 2: vault"), "policy-disk-replaced", True),
    ("an initiator that is not named any more", dict(), dict(client="iqn.2026-11.net.example:somebody"), "policy-unknown-initiator", False),
    ("a portal that does not serve the target any more", dict(), dict(portals="there"), "policy-wrong-address", False),
    ("a target that is no more", dict(), dict(target="iqn.2026-11.net.example.gw:another"), "policy-unknown-target", False),
]


def narrowed(gw, io):
    os.truncate(os.open(gw.folder / "other.img", os.O_CREAT | os.O_RDWR, 0o600), 16 << 20)
    for what, before, after, reason, again in NARROWED:
        assert gw.reload(**{**START, **before, "client": CLIENT, "target": TARGET}).returncode == 0, gw.log()
        ended = sum(e.get("reason") == reason for e in gw.audit("--op", "logout"))
        with login(gw) as i, Initiator(gw.values["other"], name=SECOND).login(**BOB) as bob:
            assert i.write(0, what.encode().ljust(512))[0] == GOOD
            concerned = "client" not in after and "alice" not in after and "portals" not in after
            taken(gw, f"{what}: its session is asked to log out ({io})", 0 if concerned else 1, 0, 2 if concerned else 1, **after)
            check(AREA, f"… and ended when it does not ({io})", is_asked_out(i), gw.log())
            if not concerned:
                check(AREA, f"P7: … the other one goes on ({io})", bob.read(0, 8)[0] == GOOD)
        check("audit", f"… and the audit says why ({io})",
              wait_for(lambda: sum(e.get("reason") == reason for e in gw.audit("--op", "logout")) > ended), [e.get("reason") for e in gw.audit("--op", "logout")])
        wait_for(lambda: not gw.sessions())
        try:
            with login(gw, 30 if again else 2) as i:
                entered = True
                data = i.read(0, 1)[1].rstrip(b" ")
        except (Refused, Gone, OSError):
            entered, data = False, b""
        check(AREA, f"… it may{'' if again else ' not'} log in again ({io})", entered == again, gw.log())
        if "vault" in after:
            check(AREA, f"… and finds the other file ({io})", data == bytes(512), data[:32])


def grown(gw, io):
    assert gw.reload(**{**START, "client": CLIENT, "target": TARGET}).returncode == 0, gw.log()
    with login(gw) as i:
        taken(gw, f"a disk whose size is raised is no reason to log in again ({io})", 1, 0, 0, size="40MiB")
        check(AREA, f"… it grows, and its initiators are told ({io})",
              os.path.getsize(gw.folder / "vault.img") == 40 << 20 and wait_for(lambda: CAPACITY_CHANGED in attentions(i, 0)), gw.log())
        check(AREA, f"… and can write to its new end ({io})", i.write(81919, b"end".ljust(512), fua=True)[0] == GOOD and i.read(81919, 1)[1][:3] == b"end", gw.log())
        done = gw.reload(size="16MiB")
        check(AREA, f"a disk is never cut ({io})", done.returncode == 1 and "never cut" in done.stderr and i.read(81919, 1)[1][:3] == b"end", done.stderr)


for io in ("uring", "threads"):
    gw = Gateway(policy=POLICY, io=io, other=free_port(), **START)
    gw.secret("bob", BOB["secret"])
    gw.start()
    for part in (widened, ruled, narrowed, grown):
        part(gw, io)
        gw.reload(**{**START, "size": gw.values["size"] if part is not grown else "40MiB"})
        wait_for(lambda: not gw.sessions())
    check(AREA, f"the gateway is well after that ({io})", gw.is_serving(), gw.log())
    gw.stop()
    gw.close()
finish()
