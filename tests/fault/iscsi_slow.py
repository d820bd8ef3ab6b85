#!/usr/bin/env python3
"""Slow initiators: octet by octet, standing still in the middle of a PDU, reading a little at a time.

Who is slow gets its answers in the end, and holds up nobody else. What time they have: see iscsi_silent.py.
"""
from hostile import *


class Drip(Initiator):
    """Sends each octet by itself, and reads as few at a time."""

    def raw(self, data):
        for octet in bytes(data):
            super().raw(bytes((octet,)))

    def exactly(self, n):
        return b"".join(super(Drip, self).exactly(1) for _ in range(n))


def dripping(**keys):
    def attempt():
        with Drip(gw.port).login(more=keys) as i:
            data = os.urandom(2048)
            fine = i.write(LBA, data)[0] == GOOD
            tag = i.command(write16(LBA + 4, 2), write=data[:1024], immediate_data=False)
            fine = fine and i.answer(tag, data[:1024])[0] == GOOD and i.read(LBA, 4) == (GOOD, data)
            i.itt += 1
            i.send(TEXT, 0x80, b"X-org.example=1\0", immediate=True, fields=numbers(i))
            fine = fine and i.expect(TEXT_RESPONSE, i.itt).data == b"X-org.example=NotUnderstood\0"
            return fine and i.task(1, 0x4711) == 1 and i.nop(immediate=False) == b"ping" and i.logout() == 0
    return attempt


case("a conversation that comes octet by octet is a good one", dripping())
case("so it is with digests", dripping(**DIGESTS))


# --- standing still ----------------------------------------------------------------------------------------------------
def pieces(i):
    """A WRITE's PDU with 510 octets of immediate data, so that there is padding, and where its parts begin."""
    i.itt += 1
    data = NEW[:510]
    head = bytes(i.frame(COMMAND, 0xa1, data, fields=struct.pack(">III", 512, i.cmdsn, i.expstatsn) + write16(LBA, 1)))
    i.cmdsn += 1
    parts = [head, crc32c(head) if i.header_digest else b"", data + bytes(2), crc32c(data + bytes(2)) if i.data_digest else b""]
    return b"".join(parts)


def stall(at):
    """`at` octets, then nothing while others work and pings of ours run; then the rest."""
    def attempt(i):
        octets = pieces(i)
        i.raw(octets[:at])
        with login() as other:
            fine = other.read(0, 1)[0] == GOOD and other.logout() == 0
        fine = fine and bystander.moves()
        i.raw(octets[at:])
        return fine and sense(i.answer(i.itt)) == (0xb, 0x0c, 0x0d) and lives(i)
    return attempt


for at, where in ((1, "its opcode"), (6, "its length"), (20, "its numbers"), (47, "the last octet of its header")):
    case(f"P6: a PDU that stands still at {where} holds nobody up, and goes on", full(stall(at)))
for at, where in ((48, "its data"), (49, "the first octet of its data"), (557, "the last octet of its data"), (558, "its padding")):
    case(f"P6: a PDU that stands still at {where} holds nobody up, and goes on", full(stall(at)))
for at, where in ((50, "its header digest"), (52, "the data behind a digest"), (564, "its data digest"), (567, "its last octet")):
    case(f"P6: a PDU that stands still at {where} holds nobody up, and goes on", full(stall(at), **DIGESTS))


def many_stalls():
    """Fifty sessions stand still at once, in as many places."""
    crowd = [login(**(DIGESTS if k % 2 else {})) for k in range(50)]
    wholes = [pieces(i) for i in crowd]
    for k, (i, octets) in enumerate(zip(crowd, wholes)):
        i.raw(octets[:1 + k * 11 % (len(octets) - 1)])
    with login() as other:
        fine = other.write(LBA, OLD)[0] == GOOD and other.read(LBA, 128) == (GOOD, OLD)
    fine = fine and bystander.moves()
    for k, (i, octets) in enumerate(zip(crowd, wholes)):
        i.raw(octets[1 + k * 11 % (len(octets) - 1):])
    for i in crowd:
        fine = fine and sense(i.answer(i.itt)) == (0xb, 0x0c, 0x0d) and i.logout() == 0
        i.close()
    return fine


case("P6: fifty sessions that stand still in the middle of something hold nobody up", many_stalls)


class Sipper(Initiator):
    """Reads 100 octets at a time."""

    def exactly(self, n):
        return b"".join(super(Sipper, self).exactly(min(100, n - at)) for at in range(0, n, 100))


def sipping():
    """Four MiB are asked for at once, and read in sips."""
    with Sipper(gw.port) as i:
        i.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
        i.login()
        tags = [i.command(read16(0, 512), read=262144) for _ in range(16)]
        got = {tag: 0 for tag in tags}
        fine = True
        while tags:
            pdu = i.receive()
            if pdu.opcode == DATA_IN:
                got[pdu.itt] += len(pdu.data)
                if pdu.flags & 1:
                    tags.remove(pdu.itt)
                    fine = fine and (len(tags) % 4 or bystander.moves())
        return fine and set(got.values()) == {262144} and lives(i)


case("an initiator that reads little at a time gets all of it, and others move", sipping)
farewell()
