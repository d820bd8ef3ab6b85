#!/usr/bin/env python3
"""What a disk says of itself is so: room in use, self-tests, ports and groups, commands that are listed."""
from harness import *
from initiator import *

AREA = "iscsi"
POLICY = """\
version: 1
portals:
  here: {{listen: ["127.0.0.1:{port}"], transport: plain}}
disks:
  vault: {{file: {folder}/vault.img, size: 64MiB, removable: true, rotational: true, physical_block_size: 512,
          identity: {{vendor: ACME, product: DEPOT}}}}
  scratch: {{memory: 16MiB}}
targets:
  {target}:
    portals: [here]
    luns: {{0: vault, 1: scratch}}
    initiators:
      {client}:
        chap: {{user: alice, mutual: gw-for-alice}}
        deny: [verify-16, discard]
"""
ROOM = bytes([0x4d, 0, 0x4c, 0, 0, 0, 0, 1, 0, 0])
TESTS = bytes([0x4d, 0, 0x50, 0, 0, 0, 0, 0, 24, 0])
GROUPS = bytes([0xa3, 0x2a, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0])
OPCODES = bytes([0xa3, 0x0c, 0, 0, 0, 0, 0, 0, 0x40, 0, 0, 0])


def vital(i, page, lun=0):
    return i.run(bytes([0x12, 1, page, 1, 0, 0]), lun, read=256)[1]


def room(i, lun):
    status, data = i.run(ROOM, lun, read=256)
    return int.from_bytes(data[8:12], "big") if status == 0 else None


def listed(i):
    data = i.run(OPCODES, read=16384)[1]
    return [(data[at], int.from_bytes(data[at + 2:at + 4], "big")) for at in range(4, len(data), 8)]


gw = Gateway(policy=POLICY).start()
with Initiator(gw.port) as i:
    i.login()
    for lun, name in ((0, "file"), (1, "memory")):
        first = room(i, lun)
        check(AREA, f"LOG SENSE of a new {name} disk tells of next to no room", first is not None and first <= 1, first)
        check(AREA, f"4 MiB are written to the {name} disk",
              all(i.write(8192 + n * 2048, os.urandom(1 << 20), lun)[0] == 0 for n in range(4)))
        check(AREA, f"LOG SENSE of the {name} disk tells of these", wait_for(lambda: (room(i, lun) or 0) >= 4), room(i, lun))
    names, groups = vital(i, 0x83), i.run(GROUPS, read=256)[1]
    at = names.index(bytes([0x51, 0x95, 0, 4]))
    check(AREA, "REPORT TARGET PORT GROUPS has the group that VPD 83h names", names[at + 6:at + 8] == groups[10:12], groups)
    check(AREA, "the group is active and optimized", groups[8:10] == bytes([0, 0x0f]), groups)
    commands = listed(i)
    check(AREA, "the commands of this test are listed, once and sorted",
          {(0x1d, 0), (0x4d, 0), (0xa3, 0x0a), (0xa3, 0x0c)} <= set(commands) and commands == sorted(set(commands)), commands)
    check(AREA, "P1: what is denied is not listed", not {0x8f, 0x42} & {opcode for opcode, _ in commands}, commands)
    check(AREA, "P1: there is no limit for what is denied", vital(i, 0xb0)[20:28] == bytes(8) and vital(i, 0xb2)[5] & 0xe0 == 0)
    check(AREA, "P1: WRITE SAME has no UNMAP bit where that is denied",
          i.run(bytes([0xa3, 0x0c, 1, 0x93, 0, 0, 0, 0, 1, 0, 0, 0]), read=256)[1][5] & 0x08 == 0)
    inquiry = i.run(bytes([0x12, 0, 0, 0, 96, 0]), read=96)[1]
    check(AREA, "vendor, product and removable medium are the policy's",
          inquiry[1] == 0x80 and inquiry[8:32] == b"ACME    DEPOT           ", inquiry)
    check(AREA, "so are the physical block and that it rotates", vital(i, 0xb0)[6:8] == bytes([0, 1]) and vital(i, 0xb1)[4:6] == bytes(2))
    check(AREA, "a foreground self-test passes", i.run(bytes([0x1d, 0xa0, 0, 0, 0, 0]))[0] == 0)
    check(AREA, "the log has it", i.run(TESTS, read=24)[1][8] == 0xa0)
    os.unlink(gw.folder / "vault.img")

    def fails():
        status, sense = i.run(bytes([0x1d, 0x04, 0, 0, 0, 0]))
        return status == 2 and sense[4] == 0x04 and sense[14:16] == b"\x3e\x03"
    check(AREA, "the self-test of a disk whose file was deleted fails", wait_for(fails))
    check(AREA, "the other disk's passes", i.run(bytes([0x1d, 0x04, 0, 0, 0, 0]), 1)[0] == 0)
finish()
