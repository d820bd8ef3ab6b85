#!/usr/bin/env python3
"""What the policy denies and protects is refused, hidden and recorded, for that initiator alone; disks say what it says."""
from harness import *
from initiator import *

AREA = "scsi"
GOOD, CHECK = 0, 2
GUEST = CLIENT + "-guest"
POLICY = """\
version: 1
portals:
  here: {{listen: ["127.0.0.1:{port}"], transport: plain}}
disks:
  {name}: {{memory: 16MiB{keys}, writers: cluster}}
  wide: {{memory: 16MiB, block_size: 4096, physical_block_size: 4096, writers: cluster,
    identity: {{naa: 600140512345678901234567890abcde, serial: 17 A, vendor: LIO-ORG, product: old vault}}}}
targets:
  {target}:
    portals: [here]
    luns: {{0: {name}, 1: wide}}
    initiators:
      {client}:
        chap: {{user: alice, mutual: gw-for-alice}}
      {client}-guest:
        chap: {{user: bob, mutual: gw-for-bob}}
        deny: [discard, verify-16, extended-copy]
        protect:
          - {{blocks: 8-15, lun: 0}}
          - {{blocks: 100, from: read, lun: 1}}
"""
BOB = dict(user="bob", secret="bob-secret-0123456789", mutual="gateway-for-bob-1234")
OPCODES = bytes([0xa3, 0x0c, 0, 0, 0, 0, 0, 0, 0x40, 0, 0, 0])
UNMAP = bytes([0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0])


def same(lba, unmap):
    return struct.pack(">BBQIBB", 0x93, 0x08 if unmap else 0, lba, 1, 0, 0)


def unmap_list(lba, blocks):
    return struct.pack(">HHIQII", 22, 16, 0, lba, blocks, 0)


def verify(lba):
    return struct.pack(">BBQIBB", 0x8f, 0, lba, 1, 0, 0)


def sense(answer):
    """Key, code and qualifier, or what the answer is instead."""
    status, data = answer
    return (data[4] & 0xf, data[14], data[15]) if status == CHECK else answer


def vital(i, page, lun=0):
    return i.run(bytes([0x12, 1, page, 1, 0, 0]), lun, read=256)[1]


def listed(i):
    data = i.run(OPCODES, read=16384)[1]
    return {(data[at], int.from_bytes(data[at + 2:at + 4], "big")) for at in range(4, len(data), 8)}


def settled(i):
    """Past the unit attentions of a new nexus."""
    i.ready(0), i.ready(1)
    return i


def serial():
    with Initiator(gw.port).login() as i:
        return vital(i, 0x80)[4:].decode(), vital(i, 0x83)[8:16].hex()


def serve(**values):
    gw.stop()
    gw.policy.write_text(POLICY.format(**{**gw.values, **values}))
    return gw.start()


NO_COMMAND, NO_FIELD, PROTECTED = (5, 0x20, 0), (5, 0x24, 0), (7, 0x27, 0)
gw = Gateway(policy=POLICY, name="vault", keys="")
gw.secret("bob", BOB["secret"])
gw.secret("gw-for-bob", BOB["mutual"])
gw.start()
data, zeroes = os.urandom(16 * 512), bytes(512)

with Initiator(gw.port).login() as alice, Initiator(gw.port, name=GUEST).login(**BOB) as guest:
    settled(alice), settled(guest)
    check(AREA, "who is denied nothing writes", alice.write(4, data)[0] == GOOD)
    check(AREA, "P1: UNMAP is denied to the guest", sense(guest.run(UNMAP, write=unmap_list(0, 1))) == NO_COMMAND)
    check(AREA, "P1: WRITE SAME's UNMAP bit is denied with it", sense(guest.run(same(0, True), write=zeroes)) == NO_FIELD)
    check(AREA, "WRITE SAME is not", guest.run(same(0, False), write=zeroes)[0] == GOOD)
    check(AREA, "P1: VERIFY(16) is denied", sense(guest.run(verify(0))) == NO_COMMAND)
    check(AREA, "P1: a block in a protected range is not written", sense(guest.write(15, data[:512])) == PROTECTED)
    check(AREA, "P1: nor is a write that only ends there", sense(guest.write(6, data[:3 * 512])) == PROTECTED)
    check(AREA, "P1: nor by WRITE SAME", sense(guest.run(same(8, False), write=zeroes)) == PROTECTED)
    check(AREA, "its neighbours are", guest.write(16, data[:512])[0] == guest.write(7, data[:512])[0] == GOOD)
    check(AREA, "the protected range is read, and as it was", guest.read(8, 8) == (GOOD, data[4 * 512:12 * 512]))
    check(AREA, "P1: a range that is protected from reads is not", sense(guest.run(read16(100, 1), 1, read=4096)) == PROTECTED)
    check(AREA, "P1: nor is it written", sense(guest.run(write16(100, 1), 1, write=bytes(4096))) == PROTECTED)
    check(AREA, "it is another LUN's: here the block is read", guest.read(100, 1)[0] == GOOD)
    mine, its = listed(alice), listed(guest)
    check(AREA, "P1: what is denied is missing from the list of commands, and nothing else",
          mine - its == {(0x42, 0), (0x8f, 0), (0x83, 0), (0x83, 1)} and its < mine, mine - its)
    check(AREA, "P1: the guest's disk tells of no UNMAP", vital(guest, 0xb2)[5] & 0xe0 == 0 and vital(guest, 0xb0)[20:28] == bytes(8))
    check(AREA, "the other's does", vital(alice, 0xb2)[5] & 0xe0 == 0xe0 and vital(alice, 0xb0)[20:28] != bytes(8))
    check(AREA, "who is denied nothing gives room back", alice.run(UNMAP, write=unmap_list(8, 8))[0] == GOOD)

    block = os.urandom(4096)
    capacity = alice.run(bytes([0x9e, 0x10] + [0] * 11 + [32, 0, 0]), 1, read=32)[1]
    check(AREA, "a disk of 4096-octet blocks says so", capacity[:8] == struct.pack(">Q", 4095) and capacity[8:12] == b"\0\0\x10\0" and capacity[13] == 0)
    check(AREA, "its blocks are written and read",
          alice.run(write16(4095, 1), 1, write=block)[0] == GOOD and alice.run(read16(4095, 1), 1, read=4096) == (GOOD, block))
    check(AREA, "the one behind its end is not", sense(alice.read(4096, 1, 1)) == (5, 0x21, 0))
    check(AREA, "a disk has the NAA that the policy gives it", bytes.fromhex("600140512345678901234567890abcde") in vital(alice, 0x83, 1))
    check(AREA, "and the serial number", vital(alice, 0x80, 1)[4:] == b"17 A")
    about = alice.run(bytes([0x12, 0, 0, 0, 96, 0]), 1, read=96)[1]
    check(AREA, "and vendor and product, filled up with blanks", about[8:32] == b"LIO-ORG old vault       ", about)
    alice.logout(), guest.logout()

denied = wait_for(lambda: (found := [e for e in gw.audit("--denied") if e.get("initiator", GUEST) == GUEST]) and len(found) >= 8 and found)
check("audit", "each denial is recorded with the policy's line", denied and
      {e.get("policy_line", e.get("rule_line")) for e in denied} == {17, 19, 20}, denied or gw.audit()[-3:])

# --- its name changes -----------------------------------------------------------------------------------------------------------
before = serial()
serve(name="store", keys=", formerly: [vault], removable: true")
check(AREA, "a disk that is called otherwise keeps NAA and serial", serial() == before, (before, serial()))
with Initiator(gw.port).login() as alice:
    check(AREA, "a removable medium says so", alice.run(bytes([0x12, 0, 0, 0, 96, 0]), read=96)[1][1] & 0x80)
    alice.logout()
serve(name="vault", keys="")
check(AREA, "who gets the name that is free now is another disk", serial() != before)
finish()
