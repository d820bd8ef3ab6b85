"""For tests that send what nobody should: a gateway (started by the import), a bystander, a way to tell.

After each attempt the answer must be what RFC 7143 wants, or the connection has ended; the bystander, logged in
on another disk, is not disturbed; a fresh login works; no session process was ended by a signal; none is left
over; and the gateway has no more memory than before.
"""
import os, threading
import processes
from harness import *
from initiator import *

AREA = "iscsi"
OTHER = CLIENT + "-other"
GOOD, CHECK = 0, 2
DIGESTS = dict(HeaderDigest="CRC32C,None", DataDigest="CRC32C,None")
LBA, OLD, NEW = 64, b"old data" * 8192, b"NEW DATA" * 8192
POLICY = """\
version: 1
portals:
  here: {{listen: ["127.0.0.1:{port}"], transport: plain}}
disks:
  vault: {{file: {folder}/vault.img, size: {size}}}
  second: {{memory: 16MiB}}
targets:
  {target}:
    portals: [here]
    luns: {{0: vault, 1: second}}
    initiators:
      {client}:
        chap: {{user: alice, mutual: gw-for-alice, algorithms: [md5]}}
        luns: {{0: read-write}}
      {client}-other:
        chap: {{user: bob, mutual: gw-for-bob, algorithms: [md5]}}
        luns: {{1: read-write}}
"""
gw = Gateway(policy=POLICY)
gw.secret("bob", "bob-secret-0123456789")
gw.secret("gw-for-bob", "gateway-for-bob-1234")
gw.start()


class Bystander(threading.Thread):
    """Logged in all the time, on another disk: writes and reads back what it wrote."""

    def __init__(self):
        super().__init__(daemon=True)
        self.rounds, self.error, self.over = 0, None, threading.Event()
        self.session = Initiator(gw.port, name=OTHER).login(user="bob", secret="bob-secret-0123456789", mutual="gateway-for-bob-1234")
        self.start()

    def run(self):
        try:
            while not self.over.wait(0.001):
                data = os.urandom(4096)
                fine = self.session.write(self.rounds % 99 * 8, data, lun=1)[0] == GOOD
                assert fine and self.session.read(self.rounds % 99 * 8, 8, lun=1) == (GOOD, data)
                self.rounds += 1
        except Exception as error:
            self.error = error

    def moves(self):
        start = self.rounds
        return wait_for(lambda: self.rounds > start + 1 or self.error) and self.error is None


def login(**more):
    return Initiator(gw.port).login(more=more)


bystander = Bystander()
GROWTH = 12 << 20  # what all processes together may have more than at the beginning


def nothing_left():
    """The bystander's process alone is there; what all have, against the beginning."""
    alone = wait_for(lambda: len(processes.sessions(gw)) == 1)
    return alone and processes.footprint(gw) < at_first + GROWTH


def all_is_well():
    with login() as i:
        fine = i.ready()[0] in (GOOD, CHECK) and i.read(0, 1)[0] == GOOD
        i.logout()
    return fine and bystander.moves() and nothing_left() and "was ended by signal" not in gw.log()


at_first = processes.footprint(gw)


def case(sentence, attempt, *words):
    """`attempt` with a session of its own: true is right. Afterwards everything else must be as before."""
    note = ""
    try:
        fine = attempt(*words)
    except (Gone, Refused, OSError, AssertionError, LookupError) as error:
        fine, note = False, repr(error)
    try:
        after = all_is_well()
    except (Gone, Refused, OSError, AssertionError) as error:
        after, note = False, f"{note} then {error!r}"
    if bystander.error:
        note += f" bystander: {bystander.error!r}"
    check(AREA, sentence, fine and after, f"{gw.log()}\n{fine} {after} {note}" if not (fine and after) else "")


def full(attempt, **keys):
    """An attempt in the full-feature phase."""
    def run():
        with login(**keys) as i:
            return attempt(i)
    return run


def lives(i):
    return i.nop() == b"ping"


def rejected(i, reason):
    pdu = i.expect(REJECT)
    return pdu.bhs[2] == reason and len(pdu.data) == 48


def sense(answer):
    status, data = answer
    return (data[4] & 0xf, data[14], data[15]) if status == CHECK else answer


def numbers(i, tag=0xffffffff):
    return struct.pack(">III", tag, i.cmdsn, i.expstatsn)


def with_old_data(attempt, **keys):
    """An attempt that must leave the blocks as they were."""
    def run():
        with login(**keys) as i:
            assert i.write(LBA, OLD)[0] == GOOD
            fine = attempt(i)
        with login() as i:
            return fine and i.read(LBA, 128) == (GOOD, OLD)
    return run


def asked(i):
    """A write that the gateway asks the data of: its tag and the R2T's."""
    tag = i.command(write16(LBA, 128), write=NEW, immediate_data=False)
    return tag, i.expect(R2T, tag).ttt


def farewell():
    """What must be true when everything is over."""
    bystander.over.set()
    bystander.join(60)
    check(AREA, f"the other session wrote and read all the time ({bystander.rounds} rounds)", bystander.error is None and bystander.rounds > 100, bystander.error)
    check(AREA, "no session was ended by a signal, and the gateway is well", "was ended by signal" not in gw.log() and wait_for(gw.is_well), gw.log())
    check(AREA, "nothing is left of all these sessions", wait_for(lambda: len(gw.sessions()) <= 1), gw.sessions())
    grown = processes.footprint(gw) - at_first
    check(AREA, f"P6: all processes together grew by less than {GROWTH >> 20} MiB ({grown >> 10} KiB)", grown < GROWTH)
    check(AREA, "the gateway stops cleanly after all this", gw.stop() == 0, gw.log())
    finish()
