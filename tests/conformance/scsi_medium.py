#!/usr/bin/env python3
"""The medium that sessions share, over the wire: erased by one and closed to the others, whatever happens to that one's
connection or process; taken out and put back."""
import os, signal
from harness import *
from initiator import *

AREA = "scsi"
GOOD, CHECK = 0, 2
SECOND = CLIENT + "-second"
POLICY = """\
version: 1
portals:
  here: {{listen: ["127.0.0.1:{port}"], transport: plain}}
disks:
  vault: {{file: {folder}/vault.img, size: 64MiB, writers: cluster}}
  stick: {{file: {folder}/stick.img, size: 16MiB, removable: true, writers: cluster}}
targets:
  {target}:
    portals: [here]
    luns: {{0: vault, 1: stick}}
    initiators:
      {client}:
        chap: {{user: alice, mutual: gw-for-alice, algorithms: [md5]}}
        allow: [sanitize]
      {client}-second:
        chap: {{user: bob, mutual: gw-for-alice, algorithms: [md5]}}
        allow: [sanitize]
"""
BOB = dict(user="bob", secret="bob-secret-0123456789")
SANITIZING, SANITIZE_FAILED, UNFORMATTED = (2, 0x04, 0x1b), (3, 0x31, 0x03), (3, 0x31, 0x00)
NO_MEDIUM, PREVENTED, MAY_HAVE_CHANGED = (2, 0x3a, 0), (5, 0x53, 2), (6, 0x28, 0)
READY = bytes(6)
gw = Gateway(policy=POLICY)
gw.secret("bob", BOB["secret"])
gw.start()


def said(answer):
    """The sense key, ASC and ASCQ of what is not GOOD."""
    status, data = answer[:2]
    return (data[4] & 0xf, data[14], data[15]) if status == CHECK else status


def first(**more):
    i = Initiator(gw.port, **more).login()
    i.ready(0), i.ready(1)
    return i


def second(**more):
    i = Initiator(gw.port, name=SECOND, **more).login(**BOB)
    i.ready(0), i.ready(1)
    return i


def ready(i, lun=0):
    return said(i.run(READY, lun))


def overwrite(passes, octet=0x5a, immediate=True):
    """The CDB and the parameter list."""
    return bytes([0x48, 0x81 if immediate else 0x01, 0, 0, 0, 0, 0, 0, 5, 0]), bytes([passes, 0, 0, 1, octet])


def sanitize(i, passes, **more):
    cdb, data = overwrite(passes, **more)
    return said(i.run(cdb, write=data))


def progress(i):
    """As REQUEST SENSE tells it, fixed format; None: nothing goes on."""
    status, data = i.run(bytes([3, 0, 0, 0, 18, 0]), read=18)
    return int.from_bytes(data[16:18], "big") if data[15] & 0x80 else None


def over(i):
    """It is ready again, or failed."""
    assert wait_for(lambda: ready(i) != SANITIZING, 120)
    return ready(i)


def session_of(name):
    return next(s for s in gw.sessions() if s["initiator"] == name)


# --- SANITIZE ----------------------------------------------------------------------------------------------------------
with first() as one, second() as two:
    pid = session_of(CLIENT)["pid"]
    check(AREA, "SANITIZE with IMMED is answered at once", sanitize(one, 31) == GOOD)
    check(AREA, "whoever shares the disk is told that it is sanitized", ready(two) == SANITIZING)
    check(AREA, "… and can't read it", said(two.run(read16(0, 1), read=512)) == SANITIZING)
    check(AREA, "… and may ask who the disk is", two.run(bytes([0x12, 0, 0, 0, 96, 0]), read=96)[0] == GOOD)
    moves = wait_for(lambda: (progress(two) or 0) > 0)
    os.kill(pid, signal.SIGKILL)  # before anything else: it might end
    check(AREA, "REQUEST SENSE tells how far it is, and it goes on", moves)
    check(AREA, "P4: a session that is killed within SANITIZE leaves the disk closed", over(two) == SANITIZE_FAILED)
    check(AREA, "… and nothing of it can be read", said(two.run(read16(0, 1), read=512)) == SANITIZE_FAILED)
    exited = said(two.run(bytes([0x48, 0x1f, 0, 0, 0, 0, 0, 0, 0, 0])))
    check(AREA, "… without AUSE there is no way out but another SANITIZE", exited == (5, 0x24, 0), exited)
gw.stop()
gw.start()
with second() as two:
    check(AREA, "… which a restart does not change", ready(two) == SANITIZE_FAILED)
    check(AREA, "a SANITIZE that succeeds opens it again", sanitize(two, 1, immediate=False) == GOOD and ready(two) == GOOD)
    check(AREA, "… and its pattern is everywhere", all(two.read(lba, 1) == (GOOD, b"\x5a" * 512) for lba in (0, 70000, 131071)))

with second() as two:
    with first() as one:
        assert sanitize(one, 20, octet=0x11) == GOOD
    check(AREA, "a SANITIZE goes on when its connection is lost", ready(two) == SANITIZING)
    check(AREA, "… to its end", over(two) == GOOD and two.read(5, 1) == (GOOD, b"\x11" * 512))
    one = first()
    assert sanitize(one, 31) == GOOD
    again = Initiator(gw.port, isid=one.isid).login()
    check(AREA, "a session that is replaced within SANITIZE leaves the disk closed", over(two) == SANITIZE_FAILED)
    assert sanitize(two, 1, immediate=False) == GOOD
    one.close(), again.close()

# --- FORMAT UNIT -------------------------------------------------------------------------------------------------------
with first() as one, second() as two:
    assert two.write(7, b"old data" * 64)[0] == GOOD
    check(AREA, "FORMAT UNIT answers when it is done", one.run(bytes([4, 0, 0, 0, 0, 0]))[0] == GOOD)
    check(AREA, "… and all of the disk is zero", two.read(7, 1) == (GOOD, bytes(512)) and not any(open(gw.folder / "vault.img", "rb").read()))
    check(AREA, "FORMAT UNIT with IMMED is answered, and done in time",
          said(one.run(bytes([4, 0x10, 0, 0, 0, 0]), write=bytes([0, 2, 0, 0]))) == GOOD and wait_for(lambda: ready(two) == GOOD))

# --- a medium that can be taken out --------------------------------------------------------------------------------------
EJECT, LOAD, PREVENT, ALLOW = (bytes([0x1b, 0, 0, 0, 2, 0]), bytes([0x1b, 0, 0, 0, 3, 0]), bytes([0x1e, 0, 0, 0, 1, 0]), bytes([0x1e, 0, 0, 0, 0, 0]))
with first() as one, second() as two:
    assert said(two.run(PREVENT, 1)) == GOOD
    check(AREA, "who prevents removal prevents it for all", said(one.run(EJECT, 1)) == PREVENTED)
    two.reset()
    check(AREA, "… as long as its nexus is there", wait_for(lambda: said(one.run(EJECT, 1)) == GOOD))
    check(AREA, "a medium that was taken out is away", ready(one, 1) == NO_MEDIUM)
    with Initiator(gw.port, name=SECOND).login(**BOB) as three:
        three.ready(1)
        check(AREA, "… for those who come later, too", ready(three, 1) == NO_MEDIUM)
        assert said(one.run(LOAD, 1)) == GOOD
        check(AREA, "a medium that was put back is told of", ready(three, 1) == MAY_HAVE_CHANGED and ready(three, 1) == GOOD)
        check(AREA, "… to others", ready(one, 1) == GOOD)

check(AREA, "the gateway is well after all that", gw.is_well(), gw.log())
finish()
