#!/usr/bin/env python3
"""A recorded conversation, played again with bits turned over: in its login, and behind a login that is right.

The seed is fixed, so each run sends the same; what the gateway answers is read and need not make sense. It may
refuse, reject or close, and must serve everybody else as before.
"""
import random, select, time
from hostile import *

SEED, VARIANTS, WORKERS = 7143, 400, 6
LEAST, BUDGET = 100, 14.0  # so many are played in any case; more, while there are seconds left


class Taped(Initiator):
    """Keeps what it sends, and how much it had read before it did."""

    def __init__(self, *words, **more):
        super().__init__(*words, **more)
        self.tape, self.read_so_far = [], 0

    def raw(self, data):
        self.tape.append((self.read_so_far, bytes(data)))
        super().raw(data)

    def exactly(self, n):
        got = super().exactly(n)
        self.read_so_far += n
        return got


def speak(i):
    """Something of everything that the full-feature phase has; numbers and tags begin as after any login."""
    i.nop()
    i.write(2048, b"r" * 4096)
    tag = i.command(write16(2056, 64), write=b"s" * 32768, immediate_data=False)
    i.answer(tag, b"s" * 32768)
    i.read(2048, 72)
    i.run(bytes((0x12, 0, 0, 0, 96, 0)), read=96)
    i.run(bytes((0x9e, 0x10)) + bytes(11) + bytes((32, 0, 0)), read=32)
    i.itt += 1
    i.send(TEXT, 0x80, b"SendTargets=\0X-org.example=1\0", immediate=True, fields=numbers(i))
    i.expect(TEXT_RESPONSE, i.itt)
    i.itt += 1
    i.send(TEXT, 0x40, b"Initiator", immediate=True, fields=numbers(i))
    first = i.expect(TEXT_RESPONSE, i.itt)
    i.send(TEXT, 0x80, b"Alias=a\0", immediate=True, fields=numbers(i, first.ttt))
    i.expect(TEXT_RESPONSE, i.itt)
    i.task(1, 0x4711)
    i.task(5, 0xffffffff)
    i.nop(immediate=False)
    i.logout()


def recorded(**more):
    with Taped(gw.port) as i:
        i.login(more=more)
        steps, i.tape, i.read_so_far = i.tape, [], 0
        speak(i)
        return steps, i.tape


def turned(tape, chance):
    """The tape with one to twenty bits turned over, most of them in headers."""
    octets = bytearray(b"".join(data for _, data in tape))
    starts, at = [], 0
    for _, data in tape:
        starts.append(at)
        at += len(data)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 5, 20))):
        place = chance.randrange(len(octets))
        if chance.random() < 0.7:
            start = chance.choice(starts)
            place = min(start + chance.randrange(48), len(octets) - 1)
        octets[place] ^= 1 << chance.randrange(8)
    return [(before, bytes(octets[at:at + len(data)])) for at, (before, data) in zip(starts, tape)]


def play(i, tape, patience=0.05):
    """Sends each piece when as much was read as then, or nothing comes for so long; 'ended' or 'went through'."""
    got, patient = 0, True
    i.socket.setblocking(False)
    for before, data in tape + [(1 << 30, b"")]:
        while got < before and patient:
            ready = select.select([i.socket], [], [], patience)[0]
            octets = i.socket.recv(65536) if ready else b""
            if ready and not octets:
                return "ended"
            got += len(octets)
            patient = bool(ready)
        i.socket.settimeout(1)
        i.socket.sendall(data)
        i.socket.setblocking(False)
    return "went through"


def variant(number):
    """One in four in the login, where the proof is stale anyhow; the others behind a login of their own."""
    chance = random.Random(SEED * 100000 + number)
    steps, words = tapes[number % len(tapes)]
    try:
        with Initiator(gw.port) as i:
            if chance.random() < 0.25:
                return play(i, turned(steps, chance))
            i.login(more=DIGESTS if number % len(tapes) else {})
            return play(i, turned(words, chance))
    except (Gone, Refused, OSError):
        return "ended"


def stale_login():
    """Octet for octet what was a good login: its proof fits no other challenge."""
    with Initiator(gw.port) as i:
        for _, data in tapes[0][0]:
            i.raw(data)
            try:
                i.login_answer()
            except Refused as why:
                return why.status == 0x0201
    return False


def straight():
    """The tape as it is, behind a login: everything is answered, to the Logout."""
    with login() as i:
        return play(i, tapes[0][1], patience=30) == "ended" and b"s" * 32768 == login().read(2056, 64)[1]


def batch(numbers_of):
    results = []

    def work(mine):
        for number in mine:
            if number < LEAST or time.monotonic() - begun < BUDGET:
                results.append(variant(number))
    crowd = [threading.Thread(target=work, args=(numbers_of[k::WORKERS],), daemon=True) for k in range(WORKERS)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join(300)
    played.extend(results)
    return True


tapes = (recorded(), recorded(**DIGESTS))
played = []
case("P1: a login that was recorded lets nobody in again", stale_login)
case("a recorded conversation is answered again, behind a login that is right", straight)
begun = time.monotonic()
for first in range(0, VARIANTS, 50):
    case(f"recordings {first} to {first + 49} with bits turned over (seed {SEED}) hurt nobody", batch, range(first, first + 50))
check(AREA, f"{len(played)} recordings were played, of which {played.count('ended')} ended early", len(played) >= LEAST and played.count("ended") > 20)
farewell()
