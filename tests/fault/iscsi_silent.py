#!/usr/bin/env python3
"""Time: a login has no longer than its timer, however it is sent; a session that is silent is ended by its pings.

Who is slow, but reads, stays.
"""
from hostile import *
import time

short = Gateway(more="gateway: {login_timeout: 2s, ping: {every: 2s, misses: 2}}\n").start()


# --- the login ---------------------------------------------------------------------------------------------------------
def runs_out(send):
    """`send` goes on and on; the connection is closed by the login timer all the same. Sending does not renew it."""
    def attempt():
        start = time.monotonic()
        with Initiator(short.port) as i:
            i.socket.settimeout(0.2)
            while time.monotonic() - start < 30:
                try:
                    send(i)
                    i.receive()
                except TimeoutError:
                    continue
                except (Gone, Refused, OSError):
                    break
        took = time.monotonic() - start
        return 1.5 < took < 30 and wait_for(lambda: not processes.sessions(short)) is True
    return attempt


def drop(i):
    i.at = getattr(i, "at", -1) + 1
    one = text(**i.names())
    head = struct.pack(">BBBBI6sHIHHII16x", 0x43, 0x81, 0, 0, len(one), i.isid, 0, 1, 0, 0, 1, 0) + one
    i.raw(head[i.at % len(head):][:1])


def goes_on(i):
    i.login_pdu(0, 1, b"", transit=False, cont=True)
    time.sleep(0.2)  # their number has its own end, later than the timer


def half_then_silence(i):
    if not hasattr(i, "sent"):
        i.sent = True
        i.step(i.names())
        i.raw(b"\x43\x81\0\0\0\0\0\x20" + bytes(50))


case("P6: a login that comes drop by drop has no longer than the login timer", runs_out(drop))
case("P6: nor has one of parts that never end, sent slowly", runs_out(goes_on))
case("P6: nor has one that stands still in the middle of its second request", runs_out(half_then_silence))



# --- pings -----------------------------------------------------------------------------------------------------------------
def half(i):
    """The header of a WRITE and some of its data."""
    return bytes(i.frame(COMMAND, 0xa1, NEW[:512], fields=struct.pack(">III", 512, i.cmdsn, i.expstatsn) + write16(LBA, 1))) + NEW[:52]


def stuff(i):
    """Pings without end, whose answers nobody reads."""
    i.itt += 1
    flood = (bytes(i.frame(NOP_OUT, 0x80, bytes(4096), fields=numbers(i), immediate=True)) + bytes(4096)) * 100
    i.socket.settimeout(0.3)
    try:
        while True:
            i.socket.send(flood)
    except TimeoutError:
        pass


SILENCE = (lambda i: None, lambda i: i.raw(half(i)[:20]), lambda i: i.raw(half(i)), stuff)


def silent():
    """At once: one that says nothing, one in half a header, one in its data, one that never reads."""
    crowd = [Initiator(short.port).login() for _ in SILENCE]
    there = len(processes.sessions(short))
    for i, fall_silent in zip(crowd, SILENCE):
        fall_silent(i)
    gone = wait_for(lambda: not processes.sessions(short)) is True
    for i in crowd:
        i.close()
    return there == len(crowd) and gone


case("P6: sessions that say nothing, at any place, or never read, are ended by their pings", silent)


def sips():
    """No octet comes from it for longer than two pings, but it reads: it is slow, not silent."""
    with Initiator(short.port).login() as i:
        i.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        tags = [i.command(read16(0, 2048), read=1 << 20) for _ in range(16)]
        start, got = time.monotonic(), 0
        while time.monotonic() - start < 7:
            got += len(i.exactly(16384))
            time.sleep(0.02)
        return 0 < got < len(tags) << 20 and len(processes.sessions(short)) == 1


case("who reads slowly and says nothing stays", sips)
check(AREA, "the gateway with the short timer stops cleanly", short.stop() == 0, short.log())
farewell()
