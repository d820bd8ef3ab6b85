#!/usr/bin/env python3
"""Limits of an initiator and of its LUNs, measured: what is beyond them is later, and nothing is denied or lost."""
import threading
from harness import *
from initiator import *

AREA = "limits"
GOOD = 0
GW = "iqn.2026-11.net.example.gw:"
SECONDS = 15 if SOAK else 2.5
STALL = 0.05  # so long an answer is never due: somebody had no processor
POLICY = """\
version: 1
portals:
  here: {{listen: ["127.0.0.1:{port}"], transport: plain}}
disks:
  vault: {{memory: 64MiB}}
  second: {{memory: 64MiB}}
targets:
""" + "".join(f"""\
  {GW}{name}:
    portals: [here]
    luns: {{{{0: vault, 1: second}}}}
    initiators: {{{{{{client}}: {{{{chap: {{{{user: alice, mutual: gw-for-alice}}}}, {keys}}}}}}}}}
""" for name, keys in {
    "counted": "limits: {{iops: {rate}}}",
    "wide": "limits: {{bandwidth: 8MiB}}",
    "few": "limits: {{outstanding: 5}}",
    "apart": "luns: {{0: read-write, 1: {{access: read-only, limits: {{iops: 100, outstanding: 2}}}}}}",
    "slow": "limits: {{iops: 10, outstanding: 64}}",
}.items())


def login(target):
    return Initiator(gw.port, isid=os.urandom(6)).login(target=GW + target)


def next_end(i):
    """The next command that ends: (task tag, status)."""
    while True:
        pdu = i.receive()
        if pdu.opcode == RESPONSE or (pdu.opcode == DATA_IN and pdu.flags & 1):
            return pdu.itt, pdu.status
        if pdu.opcode == NOP_IN and pdu.ttt != 0xffffffff:
            i.send(NOP_OUT, 0x80, itt=0xffffffff, immediate=True, fields=struct.pack(">III", pdu.ttt, i.cmdsn, i.expstatsn))


class Load:
    """So many commands at once, each followed by a next one: (LUN, blocks, does it write?), one after another."""

    def __init__(self, i, kinds, depth=32):
        self.i, self.kinds, self.depth, self.sent = i, kinds, depth, 0
        self.waiting = {}

    def give(self):
        lun, blocks, writes = kind = self.kinds[self.sent % len(self.kinds)]
        cdb = (write16 if writes else read16)(self.sent * 128 % 65536, blocks)
        itt = self.i.command(cdb, lun, **({"write": bytes(blocks * 512)} if writes else {"read": blocks * 512}))
        self.waiting[itt] = kind
        self.sent += 1

    def run(self, seconds=SECONDS):
        self.commands, self.octets, self.bad, self.stalled = {0: 0, 1: 0}, 0, [], 0.0
        while len(self.waiting) < self.depth:
            self.give()
        start = last = time.monotonic()
        while last - start < seconds:
            itt, status = next_end(self.i)
            now = time.monotonic()
            self.stalled += now - last if now - last > STALL else 0
            last = now
            lun, blocks, _ = self.waiting.pop(itt)
            self.commands[lun] += 1
            self.octets += blocks * 512
            self.bad += [status] if status != GOOD else []
            self.give()
        self.elapsed = last - start
        return self

    def end(self):
        while self.waiting:
            self.waiting.pop(next_end(self.i)[0])


def holds(sentence, got, rate, load, most=0):
    """Within 5 %: never more (but what was saved at the start, and one command of `most`); not less, unless somebody
    had to wait for a processor all the time."""
    upper = rate * (load.elapsed + 0.1) * 1.05 + most
    lower = rate * (load.elapsed - load.stalled) * 0.95
    note = f"{got / load.elapsed:.1f} a second, of {rate}; stalled {load.stalled:.2f} s of {load.elapsed:.2f}; {load.bad[:5]}"
    check(AREA, f"{sentence}: no more", got <= upper and not load.bad, note)
    if load.stalled > load.elapsed / 4:
        skip(AREA, f"{sentence}: no less", "the machine is too busy to measure it")
    else:
        check(AREA, f"{sentence}: no less", got >= lower, note)


def limits(target):
    return [s["limits"] for s in gw.sessions() if s["target"] == GW + target and s["state"] == "granted"]


gw = Gateway(policy=POLICY, rate=500).start()

# --- rates ------------------------------------------------------------------------------------------------------------
with login("counted") as i:
    load = Load(i, [(0, 8, False), (1, 1, True)]).run()
    holds("500 commands a second, of two LUNs", sum(load.commands.values()), 500, load, 1)
    check(AREA, "sessions tells the limits in force", limits("counted") == [{"iops": 500, "luns": [], "shared_by": 1}],
          limits("counted"))
    done = gw.reload(rate=1500)
    check(AREA, "another limit is taken up while commands wait", done.returncode == 0, (done.stdout, done.stderr, gw.log()))
    holds("1500 commands a second, from then on", sum(load.run().commands.values()), 1500, load, 1)
    gw.reload(rate=500)
    load.run(0.2)  # what was saved
    holds("and less again", sum(load.run().commands.values()), 500, load, 1)
    load.end()
    with login("counted") as other:
        loads = [Load(i, [(0, 8, False)]), Load(other, [(0, 8, False)])]
        threads = [threading.Thread(target=load.run) for load in loads]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for load in loads:
            holds("each of two sessions has half of it", load.commands[0], 250, load, 1)
        check(AREA, "sessions tells who shares", [l["shared_by"] for l in limits("counted")] == [2, 2], limits("counted"))
        for load in loads:
            load.end()
        other.logout()
    check(AREA, "who stays has all of it again", wait_for(lambda: [l["shared_by"] for l in limits("counted")] == [1]))

with login("wide") as i:
    load = Load(i, [(0, 64, False), (1, 128, True), (0, 1, False)]).run()
    holds("8 MiB a second, read and written", load.octets, 8 << 20, load, 65536)

with login("apart") as i:
    load = Load(i, [(1, 8, False)]).run()
    holds("100 commands a second of one LUN", load.commands[1], 100, load, 1)
    statuses = {i.read(0, 8)[0] for _ in range(150)}  # behind 32 that wait for LUN 1
    check(AREA, "P1: another LUN is not held up", statuses == {GOOD}, statuses)

# --- commands at once ---------------------------------------------------------------------------------------------------
with login("few") as i:
    window = i.nop() and i.maxcmdsn - i.cmdsn + 1
    check(AREA, "outstanding is how far the window opens", window == 5, window)

# --- what ends while it waits -----------------------------------------------------------------------------------------------
with login("slow") as i:
    tags = [i.command(read16(0, 8), read=4096) for _ in range(40)]
    check(AREA, "one that waits is aborted", i.task(1, tags[-1]) == 0)
    check(AREA, "P1: what does not access the medium is answered", i.run(bytes([0x12, 0, 0, 0, 96, 0]), read=96)[0] == GOOD)
    check(AREA, "a LUN reset ends all that wait", i.task(5, 0xffffffff) == 0)
    i.hear()
    tags = [i.command(read16(0, 8), read=4096) for _ in range(30)]
    check(AREA, "a logout does not wait for them", i.logout() == 0)
with login("slow") as i:
    for _ in range(30):
        i.command(write16(0, 8), write=bytes(4096))
    i.reset()
check(AREA, "sessions end, whatever waits", wait_for(lambda: not limits("slow")), gw.log())
with login("slow") as i:
    check(AREA, "the next one works", i.read(0, 8)[0] == GOOD)

# --- what is told --------------------------------------------------------------------------------------------------------
verdicts = {r.get("verdict") for r in gw.audit() if r.get("command", "").startswith(("READ(", "WRITE("))}
check(AREA, "P2: the audit knows of no denial", verdicts and not verdicts & {"denied", "refused", "busy"}, verdicts)
done = run(SALLYPORT, "explain", gw.policy, "--state", gw.state, "--from", "127.0.0.1", "--initiator", CLIENT,
           "--target", GW + "apart", "--lun", "1")
check(AREA, "explain says the limits", "its limits: of this LUN iops 100, outstanding 2" in done.stdout, done.stdout)
check(AREA, "the gateway is well", gw.is_well(), gw.status()["problems"])
gw.close()
finish()
