#!/usr/bin/env python3
"""Reservations between live sessions: two initiators of one disk under different LUNs of two targets, fenced, told, back again."""
import struct
from harness import *
from initiator import *

AREA = "scsi"
GOOD, CHECK, CONFLICT = 0, 2, 0x18
LUN_RESET = 5
OTHER, TARGET2 = CLIENT + "-other", TARGET + "2"
REGISTER, RESERVE, RELEASE, CLEAR, PREEMPT, PREEMPT_AND_ABORT, IGNORE, MOVE = range(8)
KEYS, RESERVATION, CAPABILITIES, STATUS = range(4)
SPEC_I_PT, ALL_TG_PT, APTPL = 8, 4, 1
WE, EA, WERO, EARO, WEAR, EAAR = 1, 3, 5, 6, 7, 8
A, B = 0xa1, 0xb2
POLICY = """\
version: 1
portals:
  here: {{listen: ["127.0.0.1:{port}"], transport: plain}}
disks:
  vault: {{file: {folder}/vault.img, size: 64MiB, writers: cluster}}
targets:
  {target}:
    portals: [here]
    luns: {{0: vault}}
    initiators:
      {client}:
        chap: {{user: alice, mutual: gw-for-alice, algorithms: [md5]}}
  {target}2:
    portals: [here]
    luns: {{5: vault}}
    initiators:
      {client}-other:
        chap: {{user: bob, mutual: gw-for-bob, algorithms: [md5]}}
"""
gw = Gateway(policy=POLICY)
gw.secret("bob", "bob-secret-0123456789")
gw.secret("gw-for-bob", "gateway-for-bob-1234")
gw.start()


class Host(Initiator):
    """One of the two, with the LUN that is its own."""

    def __init__(self, second=False, isid=b"\x80\0\0\0\0\1"):
        super().__init__(gw.port, name=OTHER if second else CLIENT, isid=isid)
        self.at = 5 if second else 0
        if second:
            self.login(target=TARGET2, user="bob", secret="bob-secret-0123456789", mutual="gateway-for-bob-1234")
        else:
            self.login()
        self.settle()

    def settle(self):
        """Past what it has to be told; that is returned."""
        told = []
        while (answer := self.ready(self.at))[0] == CHECK:
            told.append(self.sense(answer)[1:])
        return told

    @staticmethod
    def sense(answer):
        status, data = answer
        return (data[4] & 0xf, data[14], data[15]) if status == CHECK else status

    def out(self, action, key=0, about=0, type=0, flags=0, more=b""):
        data = struct.pack(">QQ4xB3x", key, about, flags) + more
        return self.sense(self.run(struct.pack(">BBBxxIB", 0x5f, action, type, len(data), 0), self.at, write=data))

    def move(self, key, about, port, name, isid, unregister=False):
        id = transport_id(name, isid)
        data = struct.pack(">QQxBHI", key, about, 2 if unregister else 0, port, len(id)) + id
        return self.sense(self.run(struct.pack(">BBBxxIB", 0x5f, MOVE, 0, len(data), 0), self.at, write=data))

    def into(self, action, room=4096):
        status, data = self.run(struct.pack(">BB5xHB", 0x5e, action, room, 0), self.at, read=room)
        return data if status == GOOD else status

    def keys_read(self):
        data = self.into(KEYS)
        return sorted(int.from_bytes(data[at:at + 8], "big") for at in range(8, len(data), 8))

    def store(self, data):
        return self.sense(self.write(0, data, self.at))

    def load(self):
        status, data = self.read(0, 1, self.at)
        return data if status == GOOD else status

    def waiting_write(self, data):
        """A WRITE whose data is asked for and does not come: its tag, and the R2T's."""
        tag = self.command(write16(0, 1), self.at, write=data, immediate_data=False)
        return tag, self.expect(R2T, tag).ttt

    def reserve_6(self, opcode=0x16):
        return self.sense(self.run(bytes([opcode, 0, 0, 0, 0, 0]), self.at))


def transport_id(name, isid):
    text = f"{name},i,0x{isid.hex()}".encode() + b"\0"
    text += bytes(-len(text) % 4)
    return struct.pack(">BBH", 0x45, 0, len(text)) + text


one, two, three = (bytes([n]) * 512 for n in (1, 2, 3))
alice, bob = Host(), Host(second=True)

# --- a fence -------------------------------------------------------------------------------------------------------------
check(AREA, "both register, and see both keys", [alice.out(REGISTER, about=A), bob.out(REGISTER, about=B), bob.keys_read()] == [GOOD, GOOD, [A, B]])
check(AREA, "one reserves, write exclusive, registrants only", alice.out(RESERVE, A, type=WERO) == GOOD)
check(AREA, "the other reads who holds it", bob.into(RESERVATION)[8:] == struct.pack(">Q5xBxx", A, WERO), bob.into(RESERVATION))
check(AREA, "registrants write", [alice.store(one), bob.store(two)] == [GOOD, GOOD])
tag, ttt = bob.waiting_write(three)
check(AREA, "the holder preempts the other", alice.out(PREEMPT, A, B, WERO) == GOOD)
bob.data_out(tag, ttt, 0, three)
check(AREA, "P4: a write that was on its way before the preempt is a conflict, and never lands",
      (bob.sense(bob.answer(tag, three)), alice.load()) == (CONFLICT, two))
check(AREA, "who was preempted is told so, once", bob.settle() == [(0x2a, 5)])
check(AREA, "who was preempted reads, and does not write", (bob.load(), bob.store(three)) == (two, CONFLICT))
check(AREA, "who was preempted can't reserve, preempt or clear",
      [bob.out(a, B, A, WERO) for a in (RESERVE, RELEASE, CLEAR, PREEMPT)] == [CONFLICT] * 4)

# --- nexuses that come and go --------------------------------------------------------------------------------------------
alice.close()
alice = Host()
check(AREA, "a session of the same nexus holds still", [alice.store(one), bob.store(three)] == [GOOD, CONFLICT])
with Host(isid=b"\x80\0\0\0\0\2") as stranger:
    check(AREA, "another ISID of the same initiator is a stranger", stranger.store(three) == CONFLICT)
check(AREA, "it registers anew, and writes", [bob.out(REGISTER, about=B), bob.store(two)] == [GOOD, GOOD])
status = alice.into(STATUS)
check(AREA, "READ FULL STATUS names both nexuses", CLIENT.encode() + b",i,0x800000000001\0" in status and
      OTHER.encode() + b",i,0x800000000001\0" in status, status)

# --- tasks that are ended ------------------------------------------------------------------------------------------------
tag, ttt = bob.waiting_write(three)
check(AREA, "the holder preempts and aborts", alice.out(PREEMPT_AND_ABORT, A, B, WERO) == GOOD)
told = bob.settle()
check(AREA, "the waiting write is ended, its nexus is told why", told == [(0x2a, 5)] and alice.load() == two, told)
bob.close()
bob = Host(second=True)

# --- all ports, other ports ----------------------------------------------------------------------------------------------
check(AREA, "who is named in SPEC_I_PT is registered", [
      alice.out(CLEAR, A), alice.out(REGISTER, about=A, flags=SPEC_I_PT,
      more=(lambda id: struct.pack(">I", len(id)) + id)(transport_id(OTHER, b"\x80\0\0\0\0\1"))), alice.keys_read()] == [GOOD, GOOD, [A, A]])
check(AREA, "exclusive access for all registrants", alice.out(RESERVE, A, type=EAAR) == GOOD)
bob.settle()
check(AREA, "it is not registered through the other target's port", bob.load() == CONFLICT)
check(AREA, "ALL_TG_PT registers through both targets' ports",
      [bob.out(IGNORE, about=B, flags=ALL_TG_PT), bob.load(), alice.keys_read()] == [GOOD, two, [A, B, B]], alice.keys_read())
check(AREA, "cleared: the other is told", [alice.out(CLEAR, A), bob.settle()] == [GOOD, [(0x2a, 3)]])

# --- moved ---------------------------------------------------------------------------------------------------------------
check(AREA, "a reservation is moved to another nexus", [
      alice.out(REGISTER, about=A), bob.out(REGISTER, about=B), alice.out(RESERVE, A, type=EA),
      alice.move(A, B, 1, OTHER, b"\x80\0\0\0\0\1", unregister=True), bob.load(), alice.load()] == [GOOD, GOOD, GOOD, GOOD, two, CONFLICT])
check(AREA, "it is released, its registration is the last", [bob.out(RELEASE, B, type=EA), bob.keys_read(), bob.out(REGISTER, B)] == [GOOD, [B], GOOD])
alice.settle()

# --- RESERVE -------------------------------------------------------------------------------------------------------------
check(AREA, "RESERVE(6) keeps the other out", [alice.reserve_6(), bob.load(), bob.store(three), bob.reserve_6()] == [GOOD, CONFLICT, CONFLICT, CONFLICT])
check(AREA, "PERSISTENT RESERVE conflicts with RESERVE, even the holder's", [alice.into(KEYS), alice.out(REGISTER, about=A)] == [CONFLICT, CONFLICT])
check(AREA, "RELEASE(6) of who does not hold is no error, and no release", [bob.reserve_6(0x17), bob.load()] == [GOOD, CONFLICT])
alice.logout()
alice.close()
check(AREA, "RESERVE(6) ends with its nexus", wait_for(lambda: bob.load() == two))
alice = Host()
bob.reserve_6()
check(AREA, "a reset ends it, too", [alice.task(LUN_RESET, 0xffffffff, lun=0), bob.settle(), alice.settle(), alice.load()] == [0, [(0x29, 3)], [(0x29, 3)], two])

# --- the audit -----------------------------------------------------------------------------------------------------------
asked = [r["reservation_key"] for r in gw.audit() if r.get("command", "").endswith("OUT/PREEMPT") and "reservation_key" in r]
check(AREA, "P2: the audit has the keys of what was asked", asked[:2] == [f"0x{key:016x}" for key in (A, B)], asked)
check(AREA, "the gateway is well", gw.is_well(), gw.log())
finish()
