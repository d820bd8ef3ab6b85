"""`make bench-audit`: what the audit trail costs, printed. Nothing here judges: figures depend on the machine.

The same load goes to a gateway as it is built, one disk for each durability, and to one whose audit is compiled out: random
reads and writes of 4 KiB, 32 at once, in short rounds that take turns, so that what the machine does beside hits all alike. A
cost is the median of the rounds' own ratios.
"""
import statistics, sys, time

import harness
from bench.sides import *

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 15
MS, DEPTH, MIB = 300, 32, 64
UNAUDITED = BUILD.parent / "build-unaudited"
LEVELS = ("handed-over", "written", "synced")
WORKS = {"read": 100, "write": 0}
POLICY = """\
version: 1
portals:
  here: {{listen: ["127.0.0.1:{port}"], transport: plain}}
firewall: {{manage: false}}
disks:
  a: {{memory: {mib}MiB, durability: handed-over}}
  b: {{memory: {mib}MiB, durability: written}}
  c: {{memory: {mib}MiB, durability: synced}}
targets:
  {target}:
    portals: [here]
    luns: {{0: a, 1: b, 2: c}}
    initiators:
      {client}:
        chap: {{user: alice, mutual: gw-for-alice}}
"""


class Side:
    """A gateway of one build, with a session; where its processes run, and the processor time that they took."""

    def __init__(self, build):
        self.gateway = Gateway.__new__(Gateway)
        harness.SALLYPORT = str(build / "sallyport")
        self.gateway.__init__(POLICY, mib=MIB)
        self.gateway.start()
        self.line = Line("sallyport", self.gateway.port, lambda i: i.login())
        self.session = self.gateway.sessions()[0]["pid"]
        self.auditor = self.gateway.helper_pid("auditor")
        self.others = helpers(self.gateway)
        self.records = 0

    def pin(self, session, others, load):
        pin([self.session], session)
        pin(self.others, others)
        pin([self.line.pump.pid], load)

    def octets(self):
        return sum(f.stat().st_size for f in (self.gateway.state / "audit").glob("commands-*"))

    def load(self, work, lun):
        """Commands a second; nanoseconds of processor time a command: the session's, the auditor's; octets a command on disk."""
        self.line.lun = lun
        before = cpu_ns([self.session]), cpu_ns([self.auditor]), self.octets()
        done = self.line.round("random", WORKS[work], 4096, DEPTH, MS, MIB * 2048)
        time.sleep(0.05)  # the auditor comes to its end
        now = cpu_ns([self.session]), cpu_ns([self.auditor]), self.octets()
        self.records += done.count
        return done.rate, *((n - b) / done.count for n, b in zip(now, before))


def measure(sides, session, others, load):
    """{(kind, work): [(rate, session's ns, auditor's ns), …]}"""
    plain, audited = sides
    got = {}
    for side in sides:
        side.pin(session, others, load)
    kinds = [("no audit", plain, 0), *((level, audited, n) for n, level in enumerate(LEVELS))]
    for n in range(ROUNDS):
        for work in WORKS:
            for kind, side, lun in kinds if n % 2 else reversed(kinds):
                got.setdefault((kind, work), []).append(side.load(work, lun))
    return got


def show(title, got, shared):
    """The last column is what processor time alone says of the cost, of all who share the session's core: a machine that does
    much beside disturbs it less."""
    print(f"\n{title}\n", flush=True)
    print(f"{'':14}{'work':8}{'commands/s':>12}{'cost':>9}{'session':>12}{'auditor':>12}{'octets':>9}{'by time':>10}")
    for work in WORKS:
        for kind in ("no audit", *LEVELS):
            rate, session, auditor, octets = (statistics.median(column) for column in zip(*got[kind, work]))
            if kind == "no audit":
                base = session
            time_cost = 100 * (1 - base / (session + shared * auditor))
            ratio = statistics.median(g[0] / plain[0] for g, plain in zip(got[kind, work], got["no audit", work]))
            cost = "" if kind == "no audit" else f"{100 * (1 - ratio):.1f} %"
            print(f"{kind:14}{work:8}{rate:12.0f}{cost:>9}{session / 1000:9.2f} us{auditor / 1000:9.2f} us", end="")
            print("" if kind == "no audit" else f"{octets:9.1f}{time_cost:8.1f} %")


def trail(side):
    """What is on the disk, and how fast it is read."""
    gw, folder = side.gateway, side.gateway.state / "audit"
    side.line.end()
    gw.stop()
    octets = sum(f.stat().st_size for f in folder.iterdir())
    print(f"\n{side.records} commands in all, {octets / 2**20:.1f} MiB (goal for handed-over: at most 16 octets each)")
    for what, words, goal in (("audit show, a block that nobody reached", ("show", "--lba", str(MIB * 4096)), "5 M a second"),
                              ("audit verify", ("verify",), "1 M a second")):
        began = time.monotonic()
        done = run("taskset", "-c", "0", SALLYPORT_AUDITED, "audit", *words, "--state", gw.state, timeout=3600)
        took = time.monotonic() - began
        if done.returncode not in (0, 20, 22):
            print(f"{what}: {done.stderr.strip().splitlines()[-1:]}")
            continue
        print(f"{what}: {side.records / took / 1e6:.1f} M records a second on one core (goal: {goal})")


SALLYPORT_AUDITED = str(BUILD / "sallyport")
if len(os.sched_getaffinity(0)) < 2:
    sys.exit("bench-audit needs two cores")
first, second = sorted(os.sched_getaffinity(0))[:2]
sides = Side(UNAUDITED), Side(BUILD)
print(f"4 KiB random, {DEPTH} at once, medians of {ROUNDS} rounds of {MS} ms")
show("a core for the session, one for all the rest (goal for handed-over: at most 3 %)", measure(sides, first, second, second), 0)
show("a core for the gateway, one for the load (goal for handed-over: at most 12 %)", measure(sides, first, first, second), 1)
trail(sides[1])
