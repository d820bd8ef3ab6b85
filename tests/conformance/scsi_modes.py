#!/usr/bin/env python3
"""Mode parameters between live sessions: who sets them, who hears of it, what they do, and what is left after a kill -9."""
import signal, struct
from harness import *
from initiator import *

AREA = "scsi"
GOOD, CHECK, ABORTED = 0, 2, 0x40
LUN_RESET = 5
CHANGED, DEVICE_RESET = 0x2a01, 0x2903
D_SENSE, SWP, TAS = (2, 0x04), (4, 0x08), (5, 0x40)  # octet and bit of the control mode page
OTHER, READER = CLIENT + "-other", CLIENT + "-reader"
POLICY = """\
version: 1
portals:
  here: {{listen: ["127.0.0.1:{port}"], transport: plain}}
disks:
  vault: {{file: {folder}/vault.img, size: 64MiB, writers: cluster}}
  through: {{file: {folder}/through.img, size: 64MiB, write_cache: false, writers: cluster}}
targets:
  {target}:
    portals: [here]
    luns: {{0: vault, 1: through}}
    initiators:
      {client}:
        chap: {{user: alice, mutual: gw-for-alice, algorithms: [md5]}}
      {client}-other:
        chap: {{user: bob, mutual: gw-for-bob, algorithms: [md5]}}
      {client}-reader:
        chap: {{user: carol, mutual: gw-for-carol, algorithms: [md5]}}
        luns: {{0: read-only}}
"""
gw = Gateway(policy=POLICY)
USERS = {OTHER: "bob", READER: "carol"}
for user in USERS.values():
    gw.secret(user, user + "-secret-0123456789")
    gw.secret(f"gw-for-{user}", f"gateway-for-{user}-1234")
gw.start()


def session(name=CLIENT):
    i = Initiator(gw.port, name=name)
    if name == CLIENT:
        return i.login()
    user = USERS[name]
    return i.login(user=user, secret=user + "-secret-0123456789", mutual=f"gateway-for-{user}-1234")


def page(i, code, control=0, lun=0):
    """The page as MODE SENSE(10) has it, and the device-specific parameter."""
    status, data = i.run(bytes([0x5a, 8, control << 6 | code, 0, 0, 0, 0, 0, 255, 0]), lun, read=255)
    assert status == GOOD, (status, data)
    return data[8:], data[3]


def select(i, octets, save=False, lun=0):
    """MODE SELECT(10): GOOD, or sense key and code."""
    data = bytes(8) + octets
    status, data = i.run(struct.pack(">BB5xHx", 0x55, 0x10 | save, len(data)), lun, write=data)
    return status if status != CHECK else sense(data)


def sense(data):
    data = data[2:]
    return (data[1], *data[2:4]) if data[0] == 0x72 else (data[2] & 0xf, *data[12:14])


def control(i, *bits, save=False):
    octets = bytearray(page(i, 0x0a, control=2)[0])
    for octet, bit in bits:
        octets[octet] |= bit
    return select(i, bytes(octets), save)


def told(i):
    return attention(i.ready())


def descriptors():
    """The other is told, and each gets its sense data so."""
    with session() as a, session(OTHER) as b:
        out_of_range = read16(1 << 40, 1)
        before = b.run(out_of_range, read=512)[1][2]
        ok = control(a, D_SENSE) == GOOD and told(a) is None and told(b) == CHANGED and told(b) is None
        data = b.run(out_of_range, read=512)[1][2:]
        ok = ok and before == 0x70 and data[:4] == bytes([0x72, 5, 0x21, 0])
        return ok and control(b) == GOOD and told(a) == CHANGED and page(a, 0x0a)[0][2] & 4 == 0


def write_protected():
    """Of both, and either takes it back."""
    with session() as a, session(OTHER) as b:
        ok = control(a, SWP) == GOOD and told(b) == CHANGED and page(b, 0x0a)[1] == 0x90
        for i in (a, b):
            status, data = i.write(0, bytes(512))
            ok = ok and status == CHECK and sense(data) == (7, 0x27, 2) and i.read(0, 1)[0] == GOOD
        return ok and control(b) == GOOD and told(a) == CHANGED and a.write(0, bytes(512))[0] == GOOD


def too_late():
    """Its data was asked for before."""
    with session() as a, session(OTHER) as b:
        assert b.write(7, b"\x11" * 512)[0] == GOOD
        waiting = b.command(write16(7, 1), write=b"\x22" * 512, immediate_data=False)
        r2t = b.expect(R2T, waiting)
        ok = control(a, SWP) == GOOD
        b.data_out(waiting, r2t.ttt, 0, b"\x22" * 512)
        status, data = b.answer(waiting)
        ok = ok and status == CHECK and sense(data) == (7, 0x27, 2) and told(b) == CHANGED
        return ok and control(a) == GOOD and told(b) == CHANGED and b.read(7, 1) == (GOOD, b"\x11" * 512)


def aborted(tas):
    """A write that waits for its data when the other resets the LUN: its status, or None."""
    with session() as a, session(OTHER) as b:
        ok = control(a, *([TAS] if tas else []), save=True) == GOOD
        while b.ready()[0] != GOOD:
            pass
        waiting = b.command(write16(9, 1), write=b"\x33" * 512, immediate_data=False)
        r2t = b.expect(R2T, waiting)
        ok = ok and a.task(LUN_RESET, 0xffffffff) == 0
        b.data_out(waiting, r2t.ttt, 0, b"\x33" * 512)
        if tas:
            ok = ok and b.answer(waiting) == (ABORTED, b"")
        ok = ok and told(b) == DEVICE_RESET and told(b) is None and told(a) == DEVICE_RESET
        return ok and b.read(9, 1) == (GOOD, bytes(512))


def read_only():
    with session() as a, session(READER) as r:
        same = page(r, 0x0a)[0]
        changed = bytes(octet | (8 if at == 4 else 0) for at, octet in enumerate(same))
        return (page(r, 0x0a, control=1)[0][2:] == bytes(10) and select(r, changed) == (5, 0x26, 0) and
                select(r, same, save=True) == GOOD and told(a) is None)


def through():
    with session() as a:
        cached = bytes([0x08, 0x12, 4]) + bytes(17)
        return (page(a, 0x08, lun=1)[0][2] == 0 and page(a, 0x08, control=1, lun=1)[0][2] == 0 and
                select(a, cached, lun=1) == (5, 0x26, 0) and a.write(0, bytes(512), lun=1)[0] == GOOD)


def kept():
    """WCE=0 is saved, TAS=1 is not."""
    with session() as a:
        ok = control(a, save=True) == GOOD
        ok = ok and select(a, bytes([0x08, 0x12]) + bytes(18), save=True) == GOOD and control(a, TAS) == GOOD
        ok = ok and page(a, 0x0a)[0][5] == 0x40 and page(a, 0x0a, control=3)[0][5] == 0
    gw.stop(signal.SIGKILL)
    gw.start()
    with session() as a:
        return (ok and page(a, 0x08)[0][2] == 0 and page(a, 0x08, control=3)[0][2] == 0 and page(a, 0x08, control=2)[0][2] == 4 and
                page(a, 0x0a)[0][5] == 0)


for sentence, held in {
    "D_SENSE that one initiator sets binds the other, who hears 2Ah/01h": descriptors,
    "SWP that one initiator sets keeps all from writing, until another clears it": write_protected,
    "a write whose data comes after SWP is not written": too_late,
    "TAS=1: another's reset ends a task with TASK ABORTED": lambda: aborted(True),
    "TAS=0: another's reset ends a task in silence": lambda: aborted(False),
    "P3: who may only read changes no mode parameter": read_only,
    "P2: write_cache: false is WCE=0, and nobody changes it": through,
    "P4: saved mode parameters are there after kill -9 of all, the others are not": kept,
}.items():
    check(AREA, sentence, held())
gw.stop()
