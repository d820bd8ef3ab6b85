"""`make bench`: the gateway beside other targets and beside what no server can do without, printed. Nothing here judges: figures
depend on the machine, and only ratios within one run count.

In turn, in short rounds, with the same load from the same generator: the gateway with its audit, with either of its engines;
Debian's tgt and istgt; TARGET, if one is given; and the bare echo, which answers with a piece of a file and knows nothing else.
The session, or all of another target, has one core; the load and the gateway's other processes have the other. Then once more
with all of the gateway on one core; then with files on a disk, in the page cache and not; then beside idle sessions and logins.

ROUNDS=9 for more of it, MS=1000 for longer rounds, ROWS='128 KiB' for rows of that name alone, SIDES=uring,echo for those alone;
TARGET=iscsi://… for one more, which is read, and with WRITES=1 overwritten; FOLDER=/dev/shm and DISK=/var/tmp: where the files
are; IDLE=1000 sessions, LOGINS=100 a second; PLOT=bench.svg.
"""
from bench import plot, profile
from bench.targets import *


def number(name, default):
    return int(os.environ.get(name) or default)


ROUNDS, MS, MIB = number("ROUNDS", 5), number("MS", 300), number("MIB", 64)
IDLE, LOGINS, SESSIONS = number("IDLE", 1000), number("LOGINS", 100), 4
ONLY_ROWS, ONLY_SIDES = os.environ.get("ROWS", ""), os.environ.get("SIDES", "")
PARTLY = bool(ONLY_ROWS or ONLY_SIDES)
Row = collections.namedtuple("Row", "name places reads octets depth sessions digests cold", defaults=(1, False, False))
K128, MIB1 = 131072, 1 << 20
ROWS = (Row("4 KiB random reads, 1", "random", 100, 4096, 1), Row("4 KiB random reads, 32", "random", 100, 4096, 32),
        Row("4 KiB random reads, 4 x 32", "random", 100, 4096, 32, SESSIONS), Row("4 KiB random writes, 32", "random", 0, 4096, 32),
        Row("4 KiB random, 70 % reads, 32", "random", 70, 4096, 32),
        Row("128 KiB reads, 16", "on", 100, K128, 16), Row("128 KiB writes, 16", "on", 0, K128, 16), Row("1 MiB reads, 8", "on", 100, MIB1, 8),
        Row("4 KiB reads, 32, digests", "random", 100, 4096, 32, digests=True),
        Row("4 KiB writes, 32, digests", "random", 0, 4096, 32, digests=True),
        Row("128 KiB reads, 16, digests", "on", 100, K128, 16, digests=True),
        Row("128 KiB writes, 16, digests", "on", 0, K128, 16, digests=True))
ON_DISK = (ROWS[1], ROWS[3], Row("4 KiB random reads, 32, cold", "random", 100, 4096, 32, cold=True), ROWS[5],
           Row("128 KiB reads, 16, cold", "on", 100, K128, 16, cold=True))
BUSY = ROWS[1]
notes = []


def progress(text):
    print(text, file=sys.stderr, flush=True)


# --- rounds --------------------------------------------------------------------------------------------------------------------
def measure(sides, rows, what):
    """{(row, side): [Round, …]}"""
    got = {}
    for n in range(ROUNDS):
        progress(f"{what}: round {n + 1} of {ROUNDS}")
        for row in rows:
            for side in sides if n % 2 else sides[::-1]:
                if side.can(row):
                    got.setdefault((row, side), []).append(side.round(row, MS))
    return got


def show(title, got, sides, bare, rival):
    print(f"\n{title}\n\n{'':30}{'':20}{'a second':>10}{'MiB/s':>7}{'of the echo':>24}{'of tgt rdwr':>24}{'s/million':>11}{'s/GiB':>7}"
          f"{'p50':>8}{'p99':>8}{'p99.9 us':>9}", flush=True)
    for row in dict.fromkeys(row for row, _ in got):
        for n, side in enumerate(side for side in sides if (row, side) in got):
            rounds = got[row, side]
            rate, server, *took = (middle(rounds, figure) for figure in ("rate", "server", "mid", "tail", "far"))
            of = ["" if not other or side is other else spread(rounds, got[row, other]) for other in (bare, rival)]
            cpu = f"{server * 1e6:11.2f}{server * 2**30 / row.octets:7.2f}" if server else f"{'-':>11}{'-':>7}"
            print(f"{'' if n else row.name:30}{side.name:20}{rate:10.0f}{rate * row.octets / 2**20:7.0f}{of[0]:>24}{of[1]:>24}{cpu}"
                  f"{took[0] * 1e6:8.0f}{took[1] * 1e6:8.0f}{took[2] * 1e6:9.0f}")


# --- goals ---------------------------------------------------------------------------------------------------------------------
def goals(got, us, by):
    """(what, the figure, its goal) of each row; goals that need what is not here are left out."""
    def of(row, name, figure="rate"):
        return ratio(got[row, us], got[row, by[name]], figure)[0] if name in by else None

    for row in ROWS:
        small = row.octets == 4096
        if (row, us) not in got or 0 < row.reads < 100:
            continue
        yield row, "of the echo's rate", of(row, "bare echo"), ">=", 0.85 if small else 0.9
        if row.depth > 1:
            least = 3.5 if row.digests and small else 2.8 if small else 2
            yield row, "of tgt rdwr's rate", of(row, "tgt rdwr"), ">=", least
        for name in ("tgt aio", "istgt"):
            if row.depth > 1:
                yield row, f"of {name}'s rate", of(row, name), ">=", 1
        if row.depth > 1:
            yield row, "of tgt rdwr's p99", of(row, "tgt rdwr", "tail"), "<=", 1
        else:
            yield row, "of the echo's p50", of(row, "bare echo", "mid"), "<=", 1.15
        if row is BUSY:
            yield row, "of tgt rdwr's CPU", of(row, "tgt rdwr", "server"), "<=", 0.33
            yield row, "of the echo's CPU", of(row, "bare echo", "server"), "<=", 1.35
        if row.digests:
            plain = next(r for r in ROWS if r[1:6] == row[1:6] and not r.digests)
            yield row, "of our own without digests", ratio(got[row, us], got[plain, us])[0], ">=", 0.9


def show_goals(got, us, by):
    print(f"\nratios of {us.name}, beside their goals\n")
    for row, what, value, sign, goal in goals(got, us, by):
        if value is not None:
            fine = value >= goal if sign == ">=" else value <= goal
            print(f"  {row.name:30}{what:28}{value:6.2f}   goal {sign} {goal:<5}{'' if fine else '  missed'}")


# --- beside a busy session -----------------------------------------------------------------------------------------------------
def company(pairs, first, second):
    """What many idle sessions, and logins, take from a busy one: the same target without them is 1."""
    print(f"\n{BUSY.name}, beside others: of its own rate without them\n", flush=True)
    for side, crowded in pairs:
        crowd = Crowd(crowded, IDLE)
        for s in (side, crowded):
            s.line()
            s.place(first, second, False)
            prefer([os.getpid(), *s.processes(), *(line.pump.pid for line in s.lines.values())], 0)  # as who logs in will be
        idle = sorted(kib for kib in map(private_kib, crowded.idle()) if kib is not None)
        alone, beside, logged = [], [], []
        for n in range(ROUNDS):
            progress(f"{side.name}, beside others: round {n + 1} of {ROUNDS}")
            alone.append(side.round(BUSY, MS))
            beside.append(crowded.round(BUSY, MS))
            with Logins(side, LOGINS) as logins:
                began = time.monotonic()
                busy = side.round(BUSY, MS)
                logged.append((busy, logins.done / (time.monotonic() - began)))
        a_second = statistics.median(count for _, count in logged)
        print(f"  {side.name:20}{len(crowd.all)} idle sessions {spread(beside, alone)}, p99 {spread(beside, alone, 'tail')}")
        print(f"  {'':20}{a_second:.0f} logins a second {spread([r for r, *_ in logged], alone)}, "
              f"p99 {spread([r for r, *_ in logged], alone, 'tail')}")
        if idle:
            print(f"  {'':20}an idle session's process has {statistics.median(idle):.0f} KiB for itself alone (all of them "
                  f"{idle[0]} to {idle[-1]})")
        crowd.end()


# --- all of it -----------------------------------------------------------------------------------------------------------------
def have(what, *programs):
    missing = [p for p in programs if not shutil.which(p)]
    if missing or os.geteuid() != 0:
        note = f"without {what}: " + (f"{missing[0]} is not here; sh deploy/install-deps.sh bench" if missing else "that needs root")
        notes.extend([note] if note not in notes else [])
    return not missing and os.geteuid() == 0


def wanted(name):
    return not ONLY_SIDES or any(word in name for word in ONLY_SIDES.split(","))


def make_sides(place, elsewhere=True):
    """Ours, and all in their order; those that are not here are told of."""
    common = place, SESSIONS
    sides = [Ours(io, *common) for io in ("uring", "threads") if wanted("sallyport, " + io)] + [Echo(*common)]
    tgts = [kind for kind in ("rdwr", "aio") if wanted("tgt " + kind)]
    if tgts and have("tgt", "tgtd", "tgtadm"):
        sides += [Tgt(kind, *common) for kind in tgts]
    if wanted("istgt") and have("istgt", "istgt"):
        sides.append(Istgt(*common))
    if elsewhere and os.environ.get("TARGET"):
        sides.append(Elsewhere(os.environ["TARGET"], *common))
    return sides


def find(sides, name):
    return next((side for side in sides if side.name == name), None)


def compare(title, sides, rows, cores, alone):
    """One table: its figures."""
    for side in sides:
        for digests in {row.digests for row in rows}:
            side.line(digests)
        side.place(*cores, alone)
    got = measure(sides, rows, title)
    show(title, got, sides, find(sides, "bare echo"), find(sides, "tgt rdwr"))
    return title, got, sides


def in_memory():
    """A folder whose files are in memory, if there is one with room for them."""
    try:
        room = os.statvfs("/dev/shm")
        return "/dev/shm" if room.f_bavail * room.f_frsize > 16 * MIB << 20 and os.access("/dev/shm", os.W_OK) else None
    except OSError:
        return None


def main():
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit("bench needs two cores")
    cores = sorted(os.sched_getaffinity(0))[:2]
    pin([os.getpid()], cores[1])
    prefer([os.getpid()])  # and what it starts
    place = Place(os.environ.get("FOLDER") or in_memory(), MIB)
    rows = [row for row in ROWS if ONLY_ROWS in row.name]
    sides = make_sides(place)
    print("\n".join([*notes, f"files in {place.folder.parent}; medians of {ROUNDS} rounds of {MS} ms; of ratios, and between which half of them are"]))
    tables = [compare("a core for the session, one for the load and the rest of the gateway", sides, rows, cores, False)]
    if ours := [side for side in sides if isinstance(side, Ours)]:
        show_goals(tables[0][1], ours[0], {side.name: side for side in sides})
    if not PARTLY:
        few = [side for side in sides if side.name in ("bare echo", "tgt rdwr") or side in ours]
        tables.append(compare("a core for the gateway, one for the load", few, rows, cores, True))
        disk = Place(os.environ.get("DISK"), MIB)
        tables.append(compare(f"files in {disk.folder.parent}, in the page cache and cold", make_sides(disk, False), ON_DISK, cores, False))
    if ours and (not PARTLY or os.environ.get("IDLE")):
        pairs = [(ours[0], Ours("uring", place, 1, name="crowded"))]
        if find(sides, "tgt rdwr"):
            pairs.append((find(sides, "tgt rdwr"), Tgt("rdwr", place, 1, name="crowded tgt")))
        company(pairs, *cores)
    if ours:
        profile.show_shares([sides[0], find(sides, "bare echo")], [BUSY, ROWS[2]], MS * 5)
        profile.show_login(ours[0], LOGINS * 2)
        profile.show_steps(ours[0])
    path = pathlib.Path(os.environ.get("PLOT") or BUILD / "bench.svg")
    path.write_text(plot.page(tables, "bare echo"))
    print(f"a plot of it: {path}")


main()
