#!/usr/bin/env python3
"""Copies within a gateway: between the LUNs of a session and no others; tokens of one initiator in two sessions."""
from harness import *
from initiator import *

AREA = "scsi"
GUEST = CLIENT + "-guest"
POLICY = """\
version: 1
portals:
  here: {{listen: ["127.0.0.1:{port}"], transport: plain}}
disks:
  vault: {{memory: 16MiB, writers: cluster}}
  other: {{memory: 16MiB, writers: cluster}}
targets:
  {target}:
    portals: [here]
    luns: {{0: vault, 1: other}}
    initiators:
      {client}:
        chap: {{user: alice, mutual: gw-for-alice}}
      {client}-guest:
        chap: {{user: bob, mutual: gw-for-bob}}
        luns: {{0: read-write}}
"""
BOB = dict(user="bob", secret="bob-secret-0123456789", mutual="gateway-for-bob-1234")


def sense(answer):
    """Key, code and qualifier, or what the answer is instead."""
    status, data = answer
    return (data[4] & 0xf, data[14], data[15]) if status == 2 else answer


def naa(i, lun):
    data = i.run(bytes([0x12, 1, 0x83, 1, 0, 0]), lun, read=256)[1]
    return data[8:8 + data[7]]


def copy(i, source, target, blocks, from_lba, to_lba):
    names = b"".join(struct.pack(">B3xBBxB20sB3s", 0xe4, 1, 3, len(n), n, 0, bytes([0, 2, 0])) for n in (source, target))
    segment = struct.pack(">BBHHHxxHQQ", 2, 0, 24, 0, 1, blocks, from_lba, to_lba)
    octets = struct.pack(">BBH4xII", 3, 0, len(names), len(segment), 0) + names + segment
    return i.run(struct.pack(">BB8xIH", 0x83, 0, len(octets), 0), write=octets)


def ranges(*pairs):
    return b"".join(struct.pack(">QI4x", *pair) for pair in pairs)


def populate(i, *pairs):
    data = ranges(*pairs)
    octets = struct.pack(">HBxIIHH", 14 + len(data), 0, 60, 0, 0, len(data)) + data
    return i.run(struct.pack(">BB4xIIH", 0x83, 0x10, 7, len(octets), 0), write=octets)


def received(i, lun=0, action=7):
    return i.run(struct.pack(">BBI4xIH", 0x84, action, 7, 1024, 0), lun, read=1024)


def write_using(i, token, *pairs):
    data = ranges(*pairs)
    octets = struct.pack(">HB5xQ", 534 + len(data), 0, 0) + token + struct.pack(">6xH", len(data)) + data
    return i.run(struct.pack(">BB4xIIH", 0x83, 0x11, 7, len(octets), 0), 1, write=octets)


gw = Gateway(policy=POLICY)
gw.secret("bob", BOB["secret"])
gw.secret("gw-for-bob", BOB["mutual"])
gw.start()
noise = os.urandom(2048 * 512)
with Initiator(gw.port).login() as alice, \
        Initiator(gw.port).login() as again, \
        Initiator(gw.port, name=GUEST).login(**BOB) as guest:
    for i in (alice, again, guest):
        i.hear()
    first, second = naa(alice, 0), naa(alice, 1)
    alice.write(64, noise)
    check(AREA, "EXTENDED COPY copies from LUN to LUN", copy(alice, first, second, 2048, 64, 5000) == (0, b"") and
          alice.read(5000, 2048, 1) == (0, noise))
    check(AREA, "EXTENDED COPY moves blocks onto themselves as a whole", copy(alice, second, second, 2048, 5000, 5100) == (0, b"") and
          alice.read(5100, 2048, 1) == (0, noise))
    theirs = [sense(copy(guest, first, other, 1, 64, 0)) for other in (second, bytes([second[0]]) + os.urandom(len(second) - 1))]
    check(AREA, "P1: a LUN that is not one's own and one that is not there are refused alike", theirs == [(10, 0x0d, 2)] * 2, theirs)
    check(AREA, "P1: nor can it be read", sense(copy(guest, second, first, 1, 5100, 0)) == (10, 0x0d, 2) and
          guest.read(0, 1) == (0, bytes(512)))
    records = [r for r in gw.audit() if r.get("command") == "EXTENDED COPY(LID1)" and r["verdict"] == "admitted"]
    sides = [(r["lun"], r["lba"], r["blocks"], r.get("source", 0)) for r in records]
    check(AREA, "P2: the audit has the source and the destination of each copy", sides == [
        (0, 64, 2048, 1), (1, 5000, 2048, 0), (1, 5000, 2048, 1), (1, 5100, 2048, 0)], sides)

    status, _ = populate(alice, (64, 1024), (1600, 512))
    token = received(alice)[1][38:]
    check(AREA, "POPULATE TOKEN makes a token of 512 octets", status == 0 and len(token) == 512, status)
    check(AREA, "WRITE USING TOKEN copies what it stands for, in another session of its initiator",
          write_using(again, token, (0, 1536)) == (0, b"") and
          again.read(0, 1536, 1) == (0, noise[:1024 * 512] + noise[1536 * 512:]))
    check(AREA, "the copy's end is told with its blocks", received(again, 1)[1][15:24] == b"\xf1" + struct.pack(">Q", 1536))
    populate(guest, (64, 1))
    check(AREA, "each token is another one", received(guest)[1][38:] not in (token, b""))
    guest.write(1088, bytes(512))
    check(AREA, "a token outlives a write beside its blocks", write_using(alice, token, (0, 1)) == (0, b""))
    guest.write(1600, bytes(512))
    check(AREA, "a token is void once its source is written", sense(write_using(alice, token, (0, 1))) == (5, 0x23, 6))
    zero = struct.pack(">IHH", 0xffff0001, 0, 504) + bytes(504)
    check(AREA, "the token of zeroes writes zeroes", write_using(alice, zero, (0, 1536)) == (0, b"") and
          alice.read(0, 1536, 1) == (0, bytes(1536 * 512)))
check(AREA, "the gateway is well after copies", gw.is_well(), gw.log())
finish()
