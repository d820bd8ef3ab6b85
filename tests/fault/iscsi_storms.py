#!/usr/bin/env python3
"""Storms and floods, Text, Logout and logins as nobody should send them; good conversations with one bit wrong."""
import random
from hostile import *

# --- floods ------------------------------------------------------------------------------------------------------------
def memory(pid):
    return int(open(f"/proc/{pid}/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def session_pid(i):
    peer = "%s:%d" % i.socket.getsockname()
    return next(s["pid"] for s in gw.sessions() if s["peer"] == peer)


def unread_pings(i):
    """Thousands of NOP-Outs whose answers are not read, until nothing more goes out."""
    i.nop()
    pid = session_pid(i)
    before, sent = memory(pid), 0
    i.itt += 1
    one = bytes(i.frame(NOP_OUT, 0x80, bytes(4096), fields=numbers(i), immediate=True)) + bytes(4096)
    flood, at = one * 5000, 0
    i.socket.settimeout(1.5)
    try:
        while at < len(flood):
            at += i.socket.send(flood[at:at + 1048576])
    except TimeoutError:
        pass
    grown = memory(pid) - before
    i.socket.settimeout(30)
    tail = threading.Thread(target=i.raw, args=(flood[at:at + -at % len(one)],), daemon=True)
    tail.start()
    for _ in range(-(-at // len(one))):
        sent += i.receive().opcode == NOP_IN
    tail.join(60)
    if grown > 4 << 20 or at == len(flood):
        print(f"    grew by {grown} octets, {at} went out")
    return sent > 1000 // 8 and grown < 4 << 20 and at < len(flood) and lives(i)


def abort_storm(i):
    """As many writes as the window takes wait for data; each is aborted twice; three times over."""
    for _ in range(3):
        i.nop()
        room = i.maxcmdsn - i.cmdsn + 1
        tags = [i.command(write16(LBA, 1), write=NEW[:512], immediate_data=False) for _ in range(room)]
        verdicts = [[i.task(1, tag) for tag in tags] for _ in (1, 2)]
        if room < 16 or verdicts != [[0] * room, [1] * room]:
            return False
    return lives(i)


def reset_storm(i):
    for function in (2, 4, 5, 6, 2, 5):
        i.nop()
        for _ in range(i.maxcmdsn - i.cmdsn + 1):
            i.command(write16(LBA, 1), write=NEW[:512], immediate_data=False)
        if i.task(function, 0xffffffff) != 0:
            return False
    return lives(i) and [i.task(f, 0xffffffff) for f in (3, 8, 0, 99)] == [5, 4, 5, 5]


def aborts_of_running(i):
    """Reads and aborts of them in one stream: each read has one end, whichever."""
    i.nop()
    tags, want = [], {}
    for _ in range(32):
        tags.append(i.command(read16(0, 128), read=65536))
        i.itt += 1
        want[i.itt] = tags[-1]
        i.send(TASK, 0x81, immediate=True, fields=struct.pack(">IIII", tags[-1], i.cmdsn, i.expstatsn, 0))
    ends = {tag: 0 for tag in tags}
    while want or 0 in ends.values():
        pdu = i.receive()
        if pdu.opcode == TASK_RESPONSE:
            ends[want.pop(pdu.itt)] += pdu.bhs[2] == 0
        elif pdu.opcode == REJECT and pdu.bhs[2] == 6:  # more than 8 immediate ones at once
            want.pop(int.from_bytes(pdu.data[16:20], "big"))
        elif pdu.opcode == RESPONSE or (pdu.opcode == DATA_IN and pdu.flags & 1):
            ends[pdu.itt] += 1
    return set(ends.values()) == {1} and lives(i)


case("P6: pings whose answers nobody reads stop being read, in bounded memory", full(unread_pings))
case("a storm of aborts: each is answered, nothing is written", with_old_data(abort_storm))
case("a storm of resets: each is answered, nothing is written", with_old_data(reset_storm))
case("a READ and its abort have one end, not two", full(aborts_of_running))


# --- text and logout ---------------------------------------------------------------------------------------------------
def ask(i, flags, data, ttt=0xffffffff):
    i.send(TEXT, flags, data, immediate=True, fields=numbers(i, ttt))
    pdu = i.receive()
    return pdu if pdu.opcode == TEXT_RESPONSE else pdu.bhs[2]


def text_in_parts(i):
    i.itt += 1
    first = ask(i, 0x40, b"InitiatorAlias=a\0X-org.exa")
    last = ask(i, 0x80, b"mple=1\0", first.ttt)
    return first.flags == 0 and first.data == b"" and last.flags == 0x80 and last.data == b"X-org.example=NotUnderstood\0"


def text_without_end(i):
    i.itt += 1
    pdu = ask(i, 0x40, b"A=" + b"x" * 8000)
    for _ in range(200):
        if isinstance(pdu, int):
            return pdu in (4, 10) and lives(i) and ask(i, 0x80, b"").flags == 0x80
        pdu = ask(i, 0x40, b"x" * 8000, pdu.ttt)
    return False


def bad_texts(i):
    i.itt += 1
    fine = [ask(i, 0xc0, b"A=1\0"), ask(i, 0x80, b"", 0x4711), ask(i, 0x80, b"no equals\0"), ask(i, 0x80, b"=x\0"),
            ask(i, 0x80, b"A=no end")]
    return fine == [4] * 5 and lives(i)


def logouts(i):
    fine = i.logout(1, cid=99) == 1 and i.logout(2) == 2 and lives(i)
    i.itt += 1
    i.send(LOGOUT, 0x85, immediate=True, fields=numbers(i, 0))
    fine = fine and rejected(i, 9) and lives(i)
    return fine and i.logout(1) == 0 and i.ended()


def logout_under_load(i):
    for _ in range(8):
        i.command(write16(LBA, 1), write=NEW[:512], immediate_data=False)
    i.itt += 1
    i.send(LOGOUT, 0x80, fields=numbers(i, 0))
    i.cmdsn += 1
    i.send(NOP_OUT, 0x80, b"late", itt=i.itt + 1, immediate=True, fields=numbers(i))
    return i.expect(LOGOUT_RESPONSE, i.itt).bhs[2] == 0 and i.ended()


case("a Text request in parts is taken as one", full(text_in_parts))
case("P6: a Text request that never ends is rejected", full(text_without_end))
case("Text that is none is rejected", full(bad_texts))
case("each kind of Logout has its own answer", full(logouts))
case("a Logout ends commands that wait for data, and nothing is written", with_old_data(logout_under_load))


# --- the login -----------------------------------------------------------------------------------------------------------
def never_ending(data, limit):
    def attempt():
        with Initiator(gw.port) as i:
            for _ in range(limit):
                i.login_pdu(0, 1, data, transit=False, cont=True)
                i.login_answer()
        return False
    return attempt


def refused(attempt, status=0x0200):
    def run():
        try:
            attempt()
        except Refused as why:
            return why.status == status
        return False
    return run


def first(data, transit=False, csg=0, tsih=0):
    def attempt():
        with Initiator(gw.port) as i:
            i.tsih = tsih
            i.login_pdu(csg, 1, data, transit=transit)
            return i.login_answer()
    return attempt


NAMES = text(InitiatorName=CLIENT, TargetName=TARGET, SessionType="Normal", AuthMethod="CHAP")


def understood(length):
    key = b"X" * length
    return lambda: key + b"=NotUnderstood\0" in first(NAMES + key + b"=1\0")().data


def changed(**fields):
    """A second request that says that it belongs to another login."""
    def attempt():
        with Initiator(gw.port) as i:
            i.step(i.names())
            for name, value in fields.items():
                setattr(i, name, value)
            i.login_pdu(0, 1, text(CHAP_A="5"), transit=False)
            i.login_answer()
    return attempt


def oversized_login(length, ahs):
    def attempt():
        with Initiator(gw.port) as i:
            i.step(i.names())
            head = i.frame(LOGIN, 0, immediate=True)
            head[4], head[5:8] = ahs, length.to_bytes(3, "big")
            i.raw(head)
            return i.ended()
    return attempt


def early(opcode):
    def attempt():
        with Initiator(gw.port) as i:
            i.step(i.names())
            i.send(opcode, 0x80, immediate=True, fields=struct.pack(">III", 0xffffffff, 1, 0))
            i.login_answer()
    return attempt


def proof_twice():
    """A second proof after the first was right."""
    with Initiator(gw.port) as i:
        challenge = i.challenged()
        i.prove(challenge, transit=False)
        i.prove(challenge, transit=False)


case("P6: a key without end is refused", refused(never_ending(b"A=" + b"x" * 8190, 30)))
case("P6: a login of parts without end is refused", refused(never_ending(b"", 300)))
case("a key without its NUL is refused", refused(first(b"InitiatorName=" + CLIENT.encode())))
case("an unknown key of 63 octets is NotUnderstood", understood(63))
for length in (64, 65, 8100):
    case(f"an unknown key of {length} octets is refused", refused(first(b"X" * length + b"=1\0")))
case("thousands of unknown keys are refused", refused(first(NAMES + b"".join(b"X%d=\0" % k for k in range(900)))))
case("a key that comes twice is refused", refused(first(NAMES + text(AuthMethod="CHAP"))))
case("a login without a name is refused", refused(first(text(AuthMethod="CHAP")), 0x0207))
check(AREA, "who has not told a name is refused as such in the log", wait_for(lambda: "refused an initiator without a name from 127.0.0.1:" in gw.log()), gw.log())
case("a login without a target is refused", refused(first(text(InitiatorName=CLIENT, AuthMethod="CHAP")), 0x0207))
case("a login of another kind is refused", refused(first(NAMES.replace(b"Normal", b"Odd")), 0x0209))
for csg in (1, 2, 3):
    case(f"P1: a login that starts at stage {csg} is refused", refused(first(NAMES, csg=csg), 0x0201 if csg == 1 else 0x0200))
case("a login whose ISID changes is refused", refused(changed(isid=b"\x80other")))
case("a login whose task tag changes is refused", refused(changed(itt=99)))
case("a login whose TSIH changes is refused", refused(changed(tsih=99)))
def joins_nothing(secret):
    def attempt():
        with Initiator(gw.port) as i:
            i.tsih = 99
            i.login(secret=secret)
    return attempt


case("a login into a session that is not there is refused", refused(joins_nothing(SECRET), 0x020a))
case("P1: who has no secret does not learn which sessions there are", refused(joins_nothing("x" * 16), 0x0201))
for opcode in (NOP_OUT, COMMAND, TASK, TEXT, DATA_OUT, LOGOUT, REJECT):
    case(f"P1: opcode {opcode:02x}h in the middle of a login is refused", refused(early(opcode), 0x020b))
case("a login segment of 8193 octets ends the connection", oversized_login(8193, 0))
case("additional headers in a login end the connection", oversized_login(0, 255))
case("P1: a second proof is refused", refused(proof_twice))

# --- a good conversation, one bit wrong ------------------------------------------------------------------------------------
seed = 7143
chance = random.Random(seed)


class Flipper(Initiator):
    """Turns over the n-th bit of what it sends."""
    flip, at = 0, 0

    def raw(self, data):
        place = self.flip // 8 - self.at
        self.at += len(data)
        if 0 <= place < len(data):
            data = bytearray(data)
            data[place] ^= 1 << self.flip % 8
        super().raw(data)


def conversation(flip, digests, patience=30):
    """Logs in, writes, reads, asks, logs out; its length in octets."""
    with Flipper(gw.port) as i:
        i.socket.settimeout(patience)
        i.flip = flip
        i.login(more=DIGESTS if digests else {})
        tag = i.command(write16(2048, 4), write=bytes(2048), immediate_data=False)
        i.answer(tag, bytes(2048))
        i.write(2048, bytes(512))
        i.read(2048, 8)
        i.itt += 1
        ask(i, 0x80, b"InitiatorAlias=a\0")
        i.task(1, 0x4711)
        i.nop(immediate=False)
        i.logout()
        return i.at


def flips(count, results):
    for _ in range(count):
        try:
            conversation(chance.randrange(octets * 8), chance.random() < 0.25, patience)
            results["well"] += 1
        except (Gone, Refused, OSError, AssertionError, LookupError, ValueError, struct.error):
            results["ended"] += 1


start = time.monotonic()
octets = conversation(1 << 40, False)
patience = max(0.15, 2 * (time.monotonic() - start))  # for one answer, what two whole conversations take
results = {"well": 0, "ended": 0}
crowd = [threading.Thread(target=flips, args=(50, results), daemon=True) for _ in range(6)]
for one in crowd:
    one.start()
for one in crowd:
    one.join(300)
case(f"300 good conversations with one bit turned over (seed {seed}): {results['ended']} ended early",
     lambda: results["ended"] > 30 and results["well"] > 30)

farewell()
