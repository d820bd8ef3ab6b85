"""Where the time goes, for `make bench`: which of our rooms a read's instructions are in, its system calls, how much of the
processor's time is the kernel's, and what a login costs in which process. Root alone may look; for others it is left out."""
import collections, os, pathlib, subprocess, time

from bench.targets import *

CALLS = {0: "read", 1: "write", 17: "pread64", 18: "pwrite64", 19: "readv", 20: "writev", 44: "sendto", 45: "recvfrom", 46: "sendmsg",
         47: "recvmsg", 202: "futex", 228: "clock_gettime", 232: "epoll_wait", 233: "epoll_ctl", 281: "epoll_pwait", 327: "preadv2",
         328: "pwritev2", 426: "io_uring_enter"}  # of x86-64; the others by their numbers
TICK = os.sysconf("SC_CLK_TCK")
STEPS_MS = 3000  # eight reads are half a second of steps, and more on a busy machine
Steps = collections.namedtuple("Steps", "reads places calls mappings")


# --- a read of 4 KiB -----------------------------------------------------------------------------------------------------------
def mappings_of(pid):
    """(first address, end, where the file would begin, the file) of each mapping."""
    for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
        where, _, offset, _, _, *name = line.split(None, 5)
        first, end = (int(x, 16) for x in where.split("-"))
        yield first, end, first - int(offset, 16), name[0] if name else ""


def steps_of(side):
    """Which instructions the session ran for so many reads of 4 KiB, or None; the session is not used again."""
    line = Line(side.name, side.port, lambda i: side.enter(i, OPEN_ISCSI))
    busy = side.gateway.sessions()[-1]["pid"]
    process = start(BUILD / "tests/bench/steps", busy, stdout=subprocess.PIPE, text=True)
    if process.stdout.readline() != "begun\n":
        return None
    done = line.round("random", 100, 4096, 8, STEPS_MS, side.blocks)
    process.terminate()
    places, calls = {}, {}
    for told in iter(process.stdout.readline, "\n"):
        *what, count = told.split()
        if what[0] == "call":
            calls[int(what[1])] = int(count)
        else:
            places[int(what[0], 16)] = int(count)
    mappings = list(mappings_of(busy))
    line.end()
    return done.count and Steps(done.count, places, calls, mappings)


def room_of(path):
    """gateway/iscsi of …/gateway/iscsi/rx.c; what is not ours is the system's."""
    parts = pathlib.Path(path.split(":")[0]).parts
    for n, part in enumerate(parts):
        if part in ("gateway", "backends", "auth") and n + 1 < len(parts):
            return "/".join(parts[n:-1])
    return "headers of libraries"


def rooms_of(steps):
    """Instructions a read, by room or library, the most first."""
    program = str(BUILD / "sallyport-session")
    ours, total = {}, collections.Counter()
    for at, count in steps.places.items():
        base, name = next(((base, name) for first, end, base, name in steps.mappings if first <= at < end), (0, "?"))
        if name.startswith(program):
            ours[at - base] = count
        else:
            total[pathlib.Path(name).name] += count
    asked = subprocess.run(["addr2line", "-e", program], input="".join(f"{at:#x}\n" for at in ours), capture_output=True, text=True)
    for count, path in zip(ours.values(), asked.stdout.splitlines()):
        total[room_of(path)] += count
    return [(room, count / steps.reads) for room, count in total.most_common()]


def show_steps(side):
    steps = steps_of(side)
    if not steps:
        print("\ninstructions of the session for a read of 4 KiB: not counted, that needs root, and a machine that is less busy")
        return
    total = sum(steps.places.values()) / steps.reads
    print(f"\ninstructions of the session for a read of 4 KiB, 8 at once, the kernel's not among them: {total:.0f}")
    print("  " + ", ".join(f"{room} {count:.0f}" for room, count in rooms_of(steps) if count >= 1))
    print("  its system calls: " + ", ".join(f"{CALLS.get(nr, nr)} {count / steps.reads:.2f}" for nr, count in
                                              sorted(steps.calls.items(), key=lambda c: -c[1]) if count >= steps.reads / 100))


def ticks(pids):
    """The processes' own time and the kernel's for them, in ticks of the clock: good for long runs alone."""
    own = kernel = 0
    for pid in pids:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        own, kernel = own + int(fields[11]), kernel + int(fields[12])
    return own, kernel


def show_shares(sides, rows, ms):
    """How much of the time of a session, or of the echo, is spent in the kernel."""
    print("\nprocessor time of the session and of the echo: their own, the kernel's for them\n")
    for row in rows:
        for side in sides:
            pids = getattr(side, "sessions", side.pids)
            before = ticks(pids)
            took = side.round(row, ms)
            own, kernel = (after - b for after, b in zip(ticks(pids), before))
            if took.count and own + kernel:
                us = (own + kernel) / TICK * 1e6 / took.count
                print(f"  {row.name:30}{side.name:20}{us:6.2f} us a command: {us * own / (own + kernel):5.2f} and {us * kernel / (own + kernel):5.2f}")


# --- a login -------------------------------------------------------------------------------------------------------------------
def over(pid):
    """Seconds of the processes that it had and that are over: their own, the kernel's for them."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[13]) / TICK, int(fields[14]) / TICK


def show_login(side, count):
    """Of logins one after another, each gone at once: processor time by process."""
    gw = side.gateway
    names = {gw.process.pid: "monitor", **{h["pid"]: h["helper"] for h in gw.status()["helpers"] if h.get("pid")}}
    there = len(gw.sessions())
    before, gone = {pid: cpu_ns([pid]) for pid in names}, over(gw.process.pid)
    began = time.monotonic()
    for _ in range(count):
        with Initiator(side.port, timeout=60) as i:
            side.enter(i, OPEN_ISCSI)
    took = (time.monotonic() - began) / count
    wait_for(lambda: len(gw.sessions()) <= there)
    own, kernel = (after - b for after, b in zip(over(gw.process.pid), gone))
    each = {name: (cpu_ns([pid]) - before[pid]) / 1e9 for pid, name in names.items()}
    parts = [f"its session {(own + kernel) / count * 1e3:.2f} ({own / count * 1e3:.2f} its own, the kernel's the rest: it is executed, and ends)"]
    parts += [f"{name} {s / count * 1e3:.2f}" for name, s in sorted(each.items(), key=lambda e: -e[1])]
    print(f"\nmilliseconds of processor time for a login with CHAP, of {count} one after another, {took * 1e3:.1f} ms each: "
          f"{(own + kernel + sum(each.values())) / count * 1e3:.2f}\n  " + ", ".join(parts))
