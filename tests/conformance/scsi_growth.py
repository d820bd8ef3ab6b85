#!/usr/bin/env python3
"""Disks that grow while they are served, and file systems below them that are full: with both engines."""
import os, re
from harness import *
from initiator import *

AREA = "scsi"
GOOD, CHECK = 0, 2
SECOND = CLIENT + "-second"
MIB = 1 << 20
POLICY = """\
version: 1
portals:
  here: {{listen: ["127.0.0.1:{port}"], transport: plain}}
gateway: {{io: {io}}}
disks:
  vault: {{file: {folder}/vault.img, writers: cluster}}
  tight: {{file: {folder}/{small}/tight.img, size: 64MiB, writers: cluster}}
targets:
  {target}:
    portals: [here]
    luns: {{0: vault, 1: tight}}
    initiators:
      {client}:
        chap: {{user: alice, mutual: gw-for-alice, algorithms: [md5]}}
      {client}-second:
        chap: {{user: bob, mutual: gw-for-alice, algorithms: [md5]}}
"""
BOB = dict(user="bob", secret="bob-secret-0123456789")
CAPACITY_CHANGED, LOW, NO_SPACE, OUT_OF_RANGE = (6, 0x2a, 9), (6, 0x38, 7), (7, 0x27, 7), (5, 0x21, 0)


def said(answer):
    """The sense key, ASC and ASCQ of what is not GOOD."""
    status, data = answer[:2]
    return (data[4] & 0xf, data[14], data[15]) if status == CHECK else status


def ready(i, lun=0):
    return said(i.run(bytes(6), lun))


def blocks(i):
    status, data = i.run(bytes([0x25]) + bytes(9), read=8)
    return int.from_bytes(data[:4], "big") + 1 if status == GOOD else status


def small_file_system(folder):
    """24 MiB of memory; None: this user can't mount."""
    folder.mkdir()
    done = run("mount", "-t", "tmpfs", "-o", "size=24m,mode=0777", "sallyport-test", folder)
    return done.returncode == 0


def patiently(gw):
    """While a helper is away logins are answered 0301h."""
    while True:
        try:
            return Initiator(gw.port).login()
        except Refused as refused:
            assert "0301" in str(refused), refused


def most_written(gw):
    """How far each session may write any file, at most."""
    limits = [open(f"/proc/{s['pid']}/limits").read() for s in gw.sessions()]
    return {int(re.search(r"Max file size +(\d+)", text)[1]) for text in limits}


def grows(io, gw):
    with Initiator(gw.port).login() as one, Initiator(gw.port, name=SECOND).login(**BOB) as two:
        for i in (one, two):
            i.ready(0), i.ready(1)
        assert blocks(one) == 32768 and said(two.read(40000, 1)) == OUT_OF_RANGE
        os.truncate(gw.folder / "vault.img", 48 * MIB)
        check(AREA, f"a disk that grew is told to everybody ({io})",
              wait_for(lambda: ready(one) == CAPACITY_CHANGED) and wait_for(lambda: ready(two) == CAPACITY_CHANGED), gw.log())
        check(AREA, f"… and is as large for all of them ({io})", blocks(one) == blocks(two) == 98304)
        wrote = one.write(98303, b"at the end" + bytes(502), fua=True)
        check(AREA, f"… and can be written to its new end ({io})", wrote[0] == GOOD and two.read(98303, 1)[1][:10] == b"at the end", (wrote, gw.log()))
        check(AREA, f"P3: … and no further: its file does not grow by it ({io})",
              said(two.write(98304, bytes(512))) == OUT_OF_RANGE and os.path.getsize(gw.folder / "vault.img") == 48 * MIB)
        check(AREA, f"P3: … nor could any session make a file larger than the largest disk ({io})", most_written(gw) == {64 * MIB}, most_written(gw))
        os.truncate(gw.folder / "vault.img", 80 * MIB)
        check(AREA, f"… which is a grown one now ({io})", wait_for(lambda: most_written(gw) == {80 * MIB}), most_written(gw))
        os.truncate(gw.folder / "vault.img", 96 * MIB)
        check(AREA, f"a disk that grew again is told again ({io})", wait_for(lambda: ready(two) == CAPACITY_CHANGED and blocks(two) == 196608))
        check(AREA, f"… and can be written to its end ({io})", said(two.write(196607, bytes(512), fua=True)) == GOOD)
        os.kill(gw.helper_pid("arbiter"), 9)
        check(AREA, f"… which a new arbiter knows as well ({io})", wait_for(lambda: blocks(two) == 196608))
        with patiently(gw) as three:
            three.ready(0)
            check(AREA, f"… and who comes later ({io})", blocks(three) == 196608 and three.write(98000, bytes(512))[0] == GOOD)


def fills(io, gw):
    with Initiator(gw.port).login() as one, Initiator(gw.port, name=SECOND).login(**BOB) as two:
        for i in (one, two):
            i.ready(0), i.ready(1)
        for n in range(22):
            assert one.write(n * 2048, os.urandom(MIB), lun=1)[0] == GOOD
        check(AREA, f"little room below a disk is told to everybody ({io})",
              wait_for(lambda: ready(one, 1) == LOW) and wait_for(lambda: ready(two, 1) == LOW), gw.log())
        answers = [said(one.write(n * 2048, os.urandom(MIB), lun=1)) for n in range(22, 28)]
        check(AREA, f"a write without room is 27h/07h, and no crash ({io})", answers[-1] == NO_SPACE and set(answers) <= {GOOD, NO_SPACE}, answers)
        check(AREA, f"… the disk can be read, and written where it has room ({io})",
              said(two.read(0, 8, lun=1)) == GOOD and said(two.write(0, bytes(512), lun=1)) == GOOD)
        check(AREA, f"… and other disks go on ({io})", said(one.write(5, bytes(512))) == GOOD and ready(two) == GOOD)
        unmapped = one.run(bytes([0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0]), 1,
                           write=struct.pack(">HHIQII", 22, 16, 0, 0, 8 * 2048, 0))
        check(AREA, f"… and room that is given back can be written again ({io})",
              said(unmapped) == GOOD and said(one.write(50 * 2048, bytes(512) * 64, lun=1)) == GOOD)


for io in ("uring", "threads"):
    gw = Gateway(policy=POLICY, io=io, small="small")
    gw.secret("bob", BOB["secret"])
    with open(gw.folder / "vault.img", "wb") as f:
        f.truncate(16 * MIB)
    mounted = small_file_system(gw.folder / "small")
    try:
        gw.start()
        grows(io, gw)
        if mounted:
            fills(io, gw)
        else:
            skip(AREA, f"a full file system below a disk ({io})", "this user can't mount one")
        check(AREA, f"the gateway is well after that ({io})", gw.is_serving(), gw.log())
    finally:
        gw.stop()
        if mounted:
            run("umount", gw.folder / "small")
        gw.close()
finish()
