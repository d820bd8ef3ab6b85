#!/usr/bin/env python3
"""Floods of one logged-in initiator: thousands of PDUs in one stream, answered or refused one by one, or never read.

What each session may keep is bounded by its window, its immediate commands and what it may queue to send; when
that is full, the gateway stops reading.
"""
from hostile import *

COUNT = 5000


def flooded(i, stream, collect):
    """Sends `stream` while `collect(pdu)` takes the answers, until it says that it has all."""
    before, grown = own(i), 0
    writer = threading.Thread(target=i.raw, args=(stream,), daemon=True)
    writer.start()
    while not collect(i.receive()):
        grown = grown or own(i) - before
    writer.join(60)
    return not writer.is_alive() and max(grown, own(i) - before) < 8 << 20 and lives(i)


def session_pid(i):
    peer = "%s:%d" % i.socket.getsockname()
    return next(s["pid"] for s in gw.sessions() if s["peer"] == peer)


def own(i):
    if not hasattr(i, "pid"):
        i.nop()
        i.pid = session_pid(i)
    return processes.own_octets(i.pid)


def counted(want, *kinds):
    """Takes answers of these kinds alone, `want` of them; pings do not count."""
    seen = []

    def collect(pdu):
        if pdu.opcode == NOP_IN and pdu.itt == 0xffffffff:
            return False
        assert any(kind(pdu) for kind in kinds), (hex(pdu.opcode), pdu.bhs.hex())
        seen.append(pdu.opcode)
        return len(seen) == want
    return collect


def is_reject(*reasons):
    return lambda pdu: pdu.opcode == REJECT and pdu.bhs[2] in reasons


def is_a(opcode):
    return lambda pdu: pdu.opcode == opcode


def pdu(i, opcode, flags=0x80, data=b"", fields=None, **more):
    i.itt += 1
    return bytes(i.frame(opcode, flags, data, fields=numbers(i) if fields is None else fields, **more)) + data + bytes(-len(data) % 4)


def commands(i):
    """READs of 4 KiB: each has its data or a Reject, and no more than one of them."""
    stream = b"".join(pdu(i, COMMAND, 0xc1, fields=struct.pack(">III", 4096, i.cmdsn, i.expstatsn) + read16(0, 8), immediate=True)
                      for _ in range(COUNT))
    is_done = lambda p: p.opcode == RESPONSE or (p.opcode == DATA_IN and p.flags & 1 and len(p.data) == 4096)
    return flooded(i, stream, counted(COUNT, is_done, is_reject(6)))


def writes_without_data(i):
    """WRITEs whose data never comes."""
    asks, reasons = [], []
    stream = b"".join(pdu(i, COMMAND, 0xa1, fields=struct.pack(">III", 512, i.cmdsn, i.expstatsn) + write16(LBA, 1), immediate=True)
                      for _ in range(COUNT))

    def collect(one):
        asks.append(one.itt) if one.opcode == R2T else reasons.append(one.bhs[2] if one.opcode == REJECT else hex(one.opcode))
        return len(asks) + len(reasons) == COUNT
    fine = flooded(i, stream, collect)
    return fine and len(asks) == 8 and set(reasons) == {6} and i.task(2, 0xffffffff) == 0 and lives(i)


def aborts(i):
    one = pdu(i, TASK, 0x81, fields=struct.pack(">IIII", 0x4711, i.cmdsn, i.expstatsn, 0), immediate=True)
    return flooded(i, one * COUNT, counted(COUNT, lambda p: p.opcode == TASK_RESPONSE and p.bhs[2] == 1, is_reject(6)))


def resets(i):
    """LUN resets, while WRITEs wait for data that never comes."""
    for _ in range(32):
        i.command(write16(LBA, 1), write=NEW[:512], immediate_data=False)
    for _ in range(32):
        i.expect(R2T)
    one = pdu(i, TASK, 0x85, fields=struct.pack(">IIII", 0xffffffff, i.cmdsn, i.expstatsn, 0), immediate=True)
    return flooded(i, one * COUNT, counted(COUNT, lambda p: p.opcode == TASK_RESPONSE and p.bhs[2] == 0, is_reject(6)))


def texts(i):
    one = pdu(i, TEXT, 0x80, b"SendTargets=\0", immediate=True)
    return flooded(i, one * COUNT, counted(COUNT, is_a(TEXT_RESPONSE), is_reject(4, 5, 6, 9)))


def texts_that_go_on(i):
    one = pdu(i, TEXT, 0x40, b"x" * 8000, immediate=True)
    return flooded(i, one * COUNT, counted(COUNT, is_a(TEXT_RESPONSE), is_reject(4, 6, 9, 10)))


def data_for_nobody(i):
    one = bytes(i.frame(DATA_OUT, 0x80, NEW[:1024], itt=0x4711, fields=struct.pack(">III", 1, 0, i.expstatsn))) + NEW[:1024]
    return flooded(i, one * COUNT, counted(COUNT, is_reject(9)))


def snacks(i):
    one = pdu(i, 0x10, 0x80, fields=struct.pack(">IIIIII", 0xffffffff, 0, i.expstatsn, 0, 0, 0))
    return flooded(i, one * COUNT, counted(COUNT, is_reject(3, 4, 5, 9)))


def nonsense(i):
    one = pdu(i, 0x1c, 0xff, b"x" * 100, immediate=True)
    return flooded(i, one * COUNT, counted(COUNT, is_reject(5)))


def unanswered(i):
    """NOP-Outs that want no answer."""
    one = bytes(i.frame(NOP_OUT, 0x80, bytes(64), itt=0xffffffff, fields=numbers(i), immediate=True)) + bytes(64)
    i.raw(one * COUNT)
    return lives(i)


for sentence, attempt in (
        ("5000 immediate commands in one stream: each is answered or rejected", commands),
        ("of 5000 immediate WRITEs without data eight wait, the others are rejected", with_old_data(writes_without_data)),
        ("a storm of 5000 aborts in one stream is answered", aborts),
        ("a storm of 5000 resets in one stream is answered, nothing is written", with_old_data(resets)),
        ("5000 Text requests in one stream are answered", texts),
        ("5000 parts of a Text request without end are answered or rejected", texts_that_go_on),
        ("5000 Data-Outs for nobody are rejected", data_for_nobody),
        ("5000 SNACKs in one stream are answered", snacks),
        ("5000 PDUs that are none are rejected", nonsense),
        ("5000 NOP-Outs that want no answer get none", unanswered)):
    case(f"P6: {sentence}", attempt if attempt.__name__ == "run" else full(attempt))


# --- never read ------------------------------------------------------------------------------------------------------------
def stuffed(i, one):
    """Sends until nothing more goes out: the gateway has stopped reading. What the session holds then."""
    before, flood, at = own(i), one * 2000, 0
    i.socket.settimeout(0.4)
    try:
        for _ in range(200):
            at = 0
            while at < len(flood):
                at += i.socket.send(flood[at:])
        return None
    except TimeoutError:
        return own(i) - before
    finally:
        i.socket.settimeout(30)


FLOODS = {
    "NOP-Outs": lambda i: pdu(i, NOP_OUT, 0x80, bytes(4096), immediate=True),
    "immediate commands": lambda i: pdu(i, COMMAND, 0xc1, fields=struct.pack(">III", 65536, i.cmdsn, i.expstatsn) + read16(0, 128), immediate=True),
    "Data-Outs for nobody": lambda i: pdu(i, DATA_OUT, 0x80, bytes(512), fields=struct.pack(">III", 1, 0, i.expstatsn)),
    "Text requests": lambda i: pdu(i, TEXT, 0x80, b"".join(b"X-%d=1\0" % k for k in range(200)), immediate=True),
    "aborts": lambda i: pdu(i, TASK, 0x81, fields=struct.pack(">IIII", 0x4711, i.cmdsn, i.expstatsn, 0), immediate=True),
}


def never_read(make, leave):
    def attempt(i):
        i.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        grown = stuffed(i, make(i))
        leave(i)
        return grown is not None and grown < 4 << 20
    return full(attempt)


for k, (name, make) in enumerate(FLOODS.items()):
    how, leave = (("FIN", Initiator.close), ("RST", Initiator.reset))[k % 2]
    case(f"P6: {name} without end whose answers nobody reads stop being read, in bounded memory; {how} ends it", never_read(make, leave))


def never_read_crowd():
    """Sixteen of them at once, and the bystander moves."""
    crowd = [login() for _ in range(16)]
    makers = list(FLOODS.values())
    workers = [threading.Thread(target=stuffed, args=(i, makers[k % len(makers)](i)), daemon=True) for k, i in enumerate(crowd)]
    for one in workers:
        one.start()
    for one in workers:
        one.join(120)
    fine = bystander.moves() and processes.footprint(gw) - at_first < 16 * 5 << 20
    for i in crowd:
        i.reset()
    return fine


case("P6: sixteen such floods at once: bounded memory, and the other session moves", never_read_crowd)

farewell()
