#!/usr/bin/env python3
"""Connections that are cut: in a login, in the middle of a PDU, in the middle of bursts in and out, with FIN and RST.

What was cut writes nothing, or all that it had sent; its session is gone at once; everybody else goes on.
"""
import random
from hostile import *

SEED = 7143
chance = random.Random(SEED)
HOW = {"FIN": Initiator.close, "RST": Initiator.reset}


class Taped(Initiator):
    """Keeps what it sends."""

    def __init__(self, *words, **more):
        super().__init__(*words, **more)
        self.tape = b""

    def raw(self, data):
        self.tape += bytes(data)
        super().raw(data)


# --- in a login --------------------------------------------------------------------------------------------------------
with Taped(gw.port) as taped:
    taped.login()
    taped.logout()


class Short(Initiator):
    """Is cut after its n-th octet."""
    left = 0

    def raw(self, data):
        super().raw(data[:self.left])
        self.left -= len(data)
        if self.left <= 0:
            raise Gone


def login_cut(how, places):
    def attempt():
        for place in places:
            i = Short(gw.port)
            i.left = place
            try:
                i.login()
            except Gone:
                pass
            HOW[how](i)
        return True
    return attempt


whole = len(taped.tape) - 48
for how in HOW:
    case(f"a login cut by {how} after 1 to 49 octets is forgotten", login_cut(how, (1, 2, 47, 48, 49)))
    places = sorted(chance.randrange(50, whole) for _ in range(40))
    case(f"a login cut by {how} at 40 places (seed {SEED}) is forgotten", login_cut(how, places))
    case(f"a login cut by {how} behind its last octet is over", login_cut(how, (whole,)))


# --- half PDUs -----------------------------------------------------------------------------------------------------------
def half(how, at, opcode=COMMAND):
    def attempt(i):
        fields = struct.pack(">III", 512 if opcode == COMMAND else 0xffffffff, i.cmdsn, i.expstatsn)
        head = i.frame(opcode, 0xa1 if opcode == COMMAND else 0x80, NEW[:512], fields=fields + write16(LBA, 1), immediate=opcode != COMMAND)
        octets = bytes(head) + crc32c(head) * i.header_digest + NEW[:512] + crc32c(NEW[:512]) * i.data_digest
        i.raw(octets[:at])
        HOW[how](i)
        return True
    return attempt


for how in HOW:
    for at, where in ((1, "its header"), (48, "its data"), (400, "the end of its data"), (559, "its last octet")):
        case(f"P4: a WRITE cut by {how} before {where} is not carried out", with_old_data(half(how, at)))
    for at, where in ((49, "its header digest"), (53, "its data"), (565, "its data digest"), (567, "the last octet of that")):
        case(f"P4: a WRITE cut by {how} in {where} (digests) is not carried out", with_old_data(half(how, at), **DIGESTS))
    for opcode, name in ((NOP_OUT, "NOP-Out"), (TEXT, "Text"), (TASK, "task management"), (LOGOUT, "Logout")):
        case(f"half a {name} request cut by {how} is forgotten", full(half(how, 100, opcode)))


# --- bursts out ----------------------------------------------------------------------------------------------------------
def burst_out(how, whole_pdus, rest, tasks=1):
    """Each of `tasks` WRITEs gets some PDUs of 8 KiB of what its R2T asks for, and the last one a part of the next."""
    def attempt(i):
        tags = [i.command(write16(LBA, 128), write=NEW, immediate_data=False) for _ in range(tasks)]
        ttts = {(pdu := i.expect(R2T)).itt: pdu.ttt for _ in tags}
        for tag in tags:
            for k in range(whole_pdus):
                i.data_out(tag, ttts[tag], k * 8192, NEW[:8192], k, final=False)
        head = i.frame(DATA_OUT, 0, NEW[:8192], itt=tags[-1],
                       fields=struct.pack(">IIIIII", ttts[tags[-1]], 0, i.expstatsn, 0, whole_pdus, whole_pdus * 8192))
        i.raw((bytes(head) + NEW[:8192])[:rest])
        HOW[how](i)
        return True
    return attempt


for how in HOW:
    for pdus, rest in ((0, 20), (0, 4000), (3, 0), (3, 48), (7, 48 + 8191)):
        case(f"P4: a burst of data-out cut by {how} after {pdus} PDUs and {rest} octets writes nothing",
             with_old_data(burst_out(how, pdus, rest)))
    case(f"P4: 64 bursts of data-out at once, cut by {how}, write nothing", with_old_data(burst_out(how, 2, 5000, tasks=64)))


def unsolicited_cut(how):
    def attempt(i):
        i.itt += 1
        i.send(COMMAND, 0x21, fields=struct.pack(">III", 65536, i.cmdsn, i.expstatsn) + write16(LBA, 128))
        for k in range(3):
            i.data_out(i.itt, 0xffffffff, k * 16384, NEW[:16384], k, final=False)
        HOW[how](i)
        return True
    return attempt


def all_sent(how):
    """Everything was sent, nothing was read: each block is old or new, and whole."""
    def run():
        with login() as i:
            assert i.write(LBA, OLD)[0] == GOOD
            for k in range(64):
                i.command(write16(LBA + 2 * k, 2), write=NEW[:1024])
            HOW[how](i)
        assert nothing_left()
        with login() as i:
            status, data = i.read(LBA, 128)
        blocks = {data[at:at + 512] for at in range(0, len(data), 512)}
        return status == GOOD and blocks <= {OLD[:512], NEW[:512]}
    return run


for how in HOW:
    case(f"P4: unsolicited data cut by {how} writes nothing", with_old_data(unsolicited_cut(how)))
    case(f"64 WRITEs that are all on their way when {how} comes: each block is old or new", all_sent(how))


# --- bursts in -----------------------------------------------------------------------------------------------------------
def burst_in(how, octets):
    """Thirty-two READs of 1 MiB are asked for; `octets` of the answers are read."""
    def attempt(i):
        for _ in range(32):
            i.command(read16(0, 2048), read=1 << 20)
        i.exactly(octets)
        HOW[how](i)
        return True
    return attempt


def ends_of_one_direction(i):
    """The initiator sends no more, and still reads: the session ends, and what was on its way arrives or not."""
    for _ in range(8):
        i.command(read16(0, 512), read=262144)
    i.socket.shutdown(socket.SHUT_WR)
    return i.ended()


def again_and_again():
    """A hundred sessions one after another, each cut in the middle of what it reads."""
    for k in range(100):
        with login() as i:
            i.command(read16(0, 2048), read=1 << 20)
            i.exactly(1 + k * 7000)
            HOW[("FIN", "RST")[k % 2]](i)
    return True


for how in HOW:
    for octets in (1, 47, 48, 49, 262144 + 48, 1500000):
        case(f"P6: a burst of data-in cut by {how} after {octets} octets ends its session", full(burst_in(how, octets)))
case("an initiator that closes one direction is gone", full(ends_of_one_direction))
case("P6: a hundred sessions cut while they read leave nothing", again_and_again)
farewell()
