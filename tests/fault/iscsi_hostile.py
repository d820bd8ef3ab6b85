#!/usr/bin/env python3
"""Malformed, oversized, early, late and out-of-order PDUs of an initiator that has logged in."""
from hostile import *

# --- headers ---------------------------------------------------------------------------------------------------------
def reserved_bits(i):
    """Set on every PDU that has any: RFC 7143 section 11.1 says that they are ignored."""
    i.itt += 1
    head = i.frame(NOP_OUT, 0xff, b"ping", fields=numbers(i) + b"\xff" * 16, immediate=True)
    head[0] |= 0x80
    head[2:4] = b"\xff\xff"
    i.put(head, b"ping")
    fine = i.expect(NOP_IN, i.itt).data == b"ping"
    i.itt += 1
    head = i.frame(COMMAND, 0xd9, fields=struct.pack(">III", 512, i.cmdsn, i.expstatsn) + read16(0, 1))
    head[0] |= 0x80
    head[2:4] = b"\xff\xff"
    i.put(head)
    i.cmdsn += 1
    fine = fine and i.answer(i.itt)[0] == GOOD
    i.itt += 1
    head = i.frame(TEXT, 0xbf, fields=numbers(i) + b"\xff" * 16, immediate=True)
    head[0] |= 0x80
    head[2:4] = b"\xff\xff"
    i.put(head)
    fine = fine and i.expect(TEXT_RESPONSE, i.itt).flags == 0x80
    i.itt += 1
    head = i.frame(TASK, 0x85, fields=numbers(i, 0) + b"\0" * 8 + b"\xff" * 8, immediate=True)
    head[0] |= 0x80
    head[2:4] = b"\xff\xff"
    i.put(head)
    fine = fine and i.expect(TASK_RESPONSE, i.itt).bhs[2] == 0
    i.itt += 1
    head = i.frame(LOGOUT, 0x80, fields=struct.pack(">HHII", 0, 0xffff, i.cmdsn, i.expstatsn) + b"\xff" * 16, immediate=True)
    head[0] |= 0x80
    head[2:4] = b"\xff\xff"
    i.put(head)
    return fine and i.expect(LOGOUT_RESPONSE, i.itt).bhs[2] == 0


def foreign_opcodes(i):
    """Everything that is no request of an initiator, and what level 0 has not."""
    for opcode in range(64):
        if opcode not in (NOP_OUT, COMMAND, TASK, TEXT, DATA_OUT, LOGOUT):
            i.send(opcode, 0xff, os.urandom(opcode), itt=opcode, fields=os.urandom(28), immediate=opcode % 2 == 0)
            if not rejected(i, {LOGIN: 4, 0x10: 3}.get(opcode, 5)):
                return False
    return lives(i)


def oversized(opcode):
    def attempt(i):
        head = i.frame(opcode, 0x80, fields=struct.pack(">III", 0xffffffff, i.cmdsn, i.expstatsn))
        head[5:8] = (262145).to_bytes(3, "big")
        i.put(head)
        return i.ended()
    return full(attempt)


def extra_headers(i):
    """Additional headers: of no length, longer than they say, and where none may be."""
    for ahs in (bytes(4), b"\xff\xff\1\0", b"\0\1\7\0", os.urandom(1020)):
        i.itt += 1
        head = i.frame(COMMAND, 0xc0, fields=struct.pack(">III", 512, i.cmdsn, i.expstatsn) + read16(0, 1))
        head[4] = len(ahs) // 4
        i.raw(bytes(head) + ahs)
        if not rejected(i, 9):
            return False
    head = i.frame(NOP_OUT, 0x80, fields=numbers(i), immediate=True)
    head[4] = 255
    i.raw(bytes(head) + bytes(1020))
    return rejected(i, 9) and lives(i)


case("reserved bits are ignored in each opcode", full(reserved_bits))
case("each opcode that is no request is rejected, and the session goes on", full(foreign_opcodes))
for opcode in (NOP_OUT, COMMAND, TASK, LOGIN, TEXT, DATA_OUT, LOGOUT, 0x1f):
    case(f"a data segment longer than was declared ends the connection (opcode {opcode:02x}h)", oversized(opcode))
case("additional headers that are wrong are rejected", full(extra_headers))


# --- data -------------------------------------------------------------------------------------------------------------
def no_command(i):
    i.data_out(0x7777, 0xffffffff, 0, NEW)
    fine = rejected(i, 9)
    i.data_out(0x7777, 0x12345678, 0, NEW)
    return fine and rejected(i, 9) and lives(i)


def outside_r2t(i):
    tag, ttt = asked(i)
    i.data_out(tag, ttt ^ 0x10000, 0, NEW)
    fine = rejected(i, 9)
    i.data_out(tag, 0xffffffff, 0, NEW)  # nor is it unsolicited: the command said F
    return fine and rejected(i, 9) and i.task(1, tag) == 0 and lives(i)


def late_data(i):
    tag, ttt = asked(i)
    i.data_out(tag, ttt, 0, NEW[:512], final=False)
    fine = i.task(1, tag) == 0
    i.data_out(tag, ttt, 512, NEW[512:], 1)
    return fine and lives(i)


def wrong_burst(want, *parts):
    """Data-Outs of (offset, length, DataSN) for an R2T of 64 KiB; the last one ends it."""
    def attempt(i):
        tag, ttt = asked(i)
        for k, (at, length, datasn) in enumerate(parts):
            i.data_out(tag, ttt, at, bytes(length), datasn, k == len(parts) - 1)
        return sense(i.answer(tag)) == want and lives(i)
    return with_old_data(attempt)


def unsolicited(i):
    """More than FirstBurstLength of it, behind a command that promised some."""
    i.itt += 1
    i.send(COMMAND, 0x21, fields=struct.pack(">III", 131072, i.cmdsn, i.expstatsn) + write16(LBA, 256))
    i.cmdsn += 1
    for k in range(5):
        i.data_out(i.itt, 0xffffffff, k * 16384, bytes(16384), k, k == 4)
    return sense(i.answer(i.itt)) == (0xb, 0x0c, 0x0c) and lives(i)


def too_much_immediate(i):
    i.itt += 1
    i.send(COMMAND, 0xa1, bytes(1024), fields=struct.pack(">III", 512, i.cmdsn, i.expstatsn) + write16(LBA, 1))
    i.cmdsn += 1
    return sense(i.answer(i.itt)) == (0xb, 0x0c, 0x0d) and lives(i)


def cut(at):
    """The connection goes away in the middle of a burst."""
    def attempt(i):
        tag, ttt = asked(i)
        head = bytes(i.frame(DATA_OUT, 0x80, NEW, itt=tag, fields=struct.pack(">III", ttt, 0, i.expstatsn)))
        i.raw((head + NEW)[:at])
        return True
    return with_old_data(attempt)


SHORT, CRC = (0xb, 0x0c, 0x0d), (0xb, 0x47, 0x05)
case("Data-Out without a command is rejected", full(no_command))
case("Data-Out outside of its R2T is rejected, and nothing is written", with_old_data(outside_r2t))
case("Data-Out beyond its R2T ends the command, and nothing is written", wrong_burst(SHORT, (0, 65536, 0), (65536, 512, 1)))
case("Data-Out that ends too early ends the command", wrong_burst(SHORT, (0, 512, 0)))
case("Data-Out with a wrong DataSN ends the command", wrong_burst(CRC, (0, 512, 0), (512, 65024, 2)))
case("Data-Out with a wrong offset ends the command", wrong_burst(CRC, (0, 512, 0), (1024, 64512, 1)))
case("Data-Out that repeats itself ends the command", wrong_burst(CRC, (0, 512, 0), (0, 512, 0), (512, 65024, 1)))
case("unsolicited data beyond FirstBurstLength ends the command", with_old_data(unsolicited))
case("immediate data beyond the expected length ends the command", with_old_data(too_much_immediate))
case("a WRITE that was aborted before its data came is never carried out", with_old_data(late_data))
for at in (1, 47, 48, 49, 48 + 65535):
    case(f"P4: a connection cut {at} octets into a burst writes nothing", cut(at))


# --- numbers ----------------------------------------------------------------------------------------------------------
def dropped(cmdsn_of):
    def attempt(i):
        i.nop()
        tag = i.command(write16(LBA, 1), write=NEW[:512], cmdsn=cmdsn_of(i) & 0xffffffff)
        i.command(bytes(6))
        i.nop(immediate=False)  # everything before it was answered
        i.socket.settimeout(0.1)
        try:
            while i.receive().itt != tag:
                pass
            return False
        except TimeoutError:
            i.socket.settimeout(30)
            return lives(i)
    return with_old_data(attempt)


def duplicate(i):
    tag = i.command(write16(LBA + 128, 1), write=NEW[:512])
    i.command(write16(LBA, 1), write=NEW[:512], cmdsn=i.cmdsn - 1)
    return i.answer(tag)[0] == GOOD and lives(i)


def gap(i):
    """The second of two writes of one block comes first."""
    second = i.command(write16(LBA + 128, 1), write=b"2" * 512, cmdsn=i.cmdsn + 1)
    text_tag = i.itt = i.itt + 1
    i.send(TEXT, 0x80, fields=struct.pack(">III", 0xffffffff, i.cmdsn + 2, i.expstatsn))
    fine = lives(i)
    first = i.command(write16(LBA + 128, 1), write=b"1" * 512)
    i.cmdsn += 2
    for _ in range(3):
        pdu = i.receive()
        fine = fine and pdu.itt in (first, second, text_tag) and pdu.status == GOOD
    return fine and i.read(LBA + 128, 1) == (GOOD, b"2" * 512)


def gap_aborted(i):
    """A write that waits for its turn is aborted: its number counts as used."""
    second = i.command(write16(LBA, 1), write=NEW[:512], cmdsn=i.cmdsn + 1)
    held, i.cmdsn = i.cmdsn, i.cmdsn + 2
    fine = i.task(1, second) == 0
    i.command(bytes(6), cmdsn=held)
    return fine and i.expect(RESPONSE, i.itt).status in (GOOD, CHECK) and i.read(LBA, 128) == (GOOD, OLD)


def immediate_flood(i):
    tags = [i.command(write16(LBA + 128, 1), write=NEW[:512], immediate_data=False, immediate=True) for _ in range(8)]
    asks = {(pdu := i.expect(R2T)).itt: pdu.ttt for _ in tags}
    i.command(write16(LBA, 1), write=NEW[:512], immediate_data=False, immediate=True)
    fine = rejected(i, 6) and lives(i) and sorted(asks) == tags
    for tag in tags:
        i.data_out(tag, asks[tag], 0, NEW[:512])
        fine = fine and i.answer(tag)[0] == GOOD
    return fine and i.read(0, 1)[0] == GOOD


case("a command beyond MaxCmdSN is dropped in silence", dropped(lambda i: i.maxcmdsn + 1))
case("a command far beyond MaxCmdSN is dropped in silence", dropped(lambda i: i.cmdsn + (1 << 31) - 1))
case("a command below ExpCmdSN is dropped in silence", dropped(lambda i: i.cmdsn - 1))
case("a CmdSN that came already is dropped in silence", with_old_data(duplicate))
case("commands that come out of order run in order", full(gap))
case("a WRITE aborted before its turn is never carried out, and its number counts", with_old_data(gap_aborted))
case("P6: the ninth immediate command is rejected with 06h, the eight are carried out", with_old_data(immediate_flood))


# --- digests -------------------------------------------------------------------------------------------------------------


def digests_right(i):
    data = os.urandom(66048)
    fine = i.header_digest and i.data_digest and i.write(LBA, data)[0] == GOOD and i.read(LBA, 129) == (GOOD, data)
    for length in range(6):
        i.itt += 1
        i.send(NOP_OUT, 0x80, data[:length], immediate=True, fields=numbers(i))
        fine = fine and i.expect(NOP_IN, i.itt).data == data[:length]
    return fine and i.logout() == 0


def header_wrong(i):
    i.put(i.frame(NOP_OUT, 0x80, fields=numbers(i), immediate=True), spoil="header")
    return i.ended()


def data_wrong(i):
    """Of a ping, of a command's own data, of what an R2T asked for."""
    i.put(i.frame(NOP_OUT, 0x80, b"ping", fields=numbers(i), immediate=True), b"ping", "data")
    fine = rejected(i, 2)
    i.itt += 1
    head = i.frame(COMMAND, 0xa1, NEW[:512], fields=struct.pack(">III", 512, i.cmdsn, i.expstatsn) + write16(LBA, 1))
    i.put(head, NEW[:512], "data")
    fine = fine and rejected(i, 2)
    tag, ttt = asked(i)
    i.data_out(tag, ttt, 0, NEW, spoil="data")
    return fine and rejected(i, 2) and sense(i.answer(tag)) == CRC and lives(i)


case("digests that match: data goes in and out", full(digests_right, **DIGESTS))
case("a header digest that does not match ends the connection", full(header_wrong, **DIGESTS))
case("a data digest that does not match is rejected, and nothing is written", with_old_data(data_wrong, **DIGESTS))

farewell()
