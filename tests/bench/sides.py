"""What the benchmarks share: programs beside the gateway, connections that are logged in with their load, processor time, cores.

Nothing here judges. What is compared takes turns in short rounds, so that what the machine does beside hits all alike; only
ratios within one round count.
"""
import atexit, collections, os, pathlib, shutil, signal, socket, statistics, subprocess, sys, tempfile

from harness import *
from initiator import Initiator, text
from rounds import OPEN_ISCSI

ANY = 1 << 24
LOAD, ECHO = BUILD / "tests/bench/load", BUILD / "tests/bench/echo"


def scratch(folder=None):
    path = pathlib.Path(tempfile.mkdtemp(prefix="bench-", dir=folder))
    path.chmod(0o755)
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


SCRATCH = scratch()
TGT_TARGET = "iqn.2026-11.net.example.tgt:"
# What tgt is set to, to do what ours does by itself.
TGT_KEYS = (("MaxRecvDataSegmentLength", 262144), ("MaxXmitDataSegmentLength", 262144), ("FirstBurstLength", 262144),
            ("MaxBurstLength", 4194304), ("InitialR2T", "No"), ("ImmediateData", "Yes"))
running = []
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is ended on every way out


# --- programs beside the gateway ----------------------------------------------------------------------------------------------
def start(*command, fds=(), **more):
    log = open(SCRATCH / f"log-{len(running)}", "wb")
    process = subprocess.Popen([str(c) for c in command], pass_fds=fds, stderr=log, **{"stdin": subprocess.DEVNULL, "stdout": log, **more})
    running.append(process)
    return process


@atexit.register
def end_all():
    for process in reversed(running):
        process.kill()
        process.wait()
    running.clear()


def logs():
    return "".join(f.read_text(errors="replace") for f in sorted(SCRATCH.glob("log*")))[-3000:]


def listening(process, port):
    def there():
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", port)) == 0 or process.poll() is not None
    if not wait_for(there) or process.poll() is not None:
        raise SystemExit(f"{process.args}: does not listen on {port}\n" + logs())
    return process


def echo(path, *more):
    """The bare echo: its process, its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return start(ECHO, listener.fileno(), path, *more, fds=[listener.fileno()]), listener.getsockname()[1]


def tgt(path, kind="rdwr"):
    """tgt with targets that are set to what ours does by itself, without digests and with them, and one as it is. Its process,
    its port."""
    port, control = free_port(), 10000 + (os.getpid() * 16 + len(running)) % 20000
    process = listening(start("tgtd", "-f", "-C", control, "--iscsi", f"portal=127.0.0.1:{port}"), port)

    def admin(*words):
        done = run("tgtadm", "-C", control, "--lld", "iscsi", *words)
        if done.returncode:
            raise SystemExit(f"tgtadm {words}: {done.stderr}")

    if not wait_for(lambda: run("tgtadm", "-C", control, "--mode", "sys", "--op", "show").returncode == 0):
        raise SystemExit("tgtd does not answer")
    for tid, name in ((1, "tuned"), (2, "default"), (3, "digests")):
        admin("--mode", "target", "--op", "new", "--tid", tid, "--targetname", TGT_TARGET + name)
        admin("--mode", "logicalunit", "--op", "new", "--tid", tid, "--lun", 1, "--backing-store", path, "--bstype", kind)
        admin("--mode", "target", "--op", "bind", "--tid", tid, "--initiator-address", "ALL")
    for tid, pairs in ((1, TGT_KEYS), (3, TGT_KEYS + (("HeaderDigest", "CRC32C"), ("DataDigest", "CRC32C")))):
        for key, value in pairs:
            admin("--mode", "target", "--op", "update", "--tid", tid, "--name", key, "--value", value)
    return process, port


# --- processes -----------------------------------------------------------------------------------------------------------------
def cpu_ns(pids):
    total = 0
    for pid in pids:
        try:
            total += sum(int((t / "schedstat").read_text().split()[0]) for t in pathlib.Path(f"/proc/{pid}/task").iterdir())
        except OSError:
            pass
    return total


def family(pid):
    """A process and those that it has running."""
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(p for child in children for p in family(int(child)))]


def helpers(gw):
    """The gateway's processes but its sessions."""
    return [gw.process.pid, *(h["pid"] for h in gw.status()["helpers"] if h.get("pid"))]


def prefer(pids, by=10):
    """They come before what else the machine does, by so many steps; not unless root. Where sessions of processes share the
    machine, and processes what their session has, the session is preferred."""
    for pid in pids:
        for change in (lambda: os.setpriority(os.PRIO_PROCESS, pid, -by), lambda: pathlib.Path(f"/proc/{pid}/autogroup").write_text(str(-by))):
            try:
                change()
            except OSError:
                pass


def pin(pids, core):
    """All threads of them; the kernel's own workers among these stay where it has them."""
    for pid in pids:
        for task in os.listdir(f"/proc/{pid}/task"):
            try:
                os.sched_setaffinity(int(task), {core})
            except OSError:
                pass


# --- connections and their load ------------------------------------------------------------------------------------------------
Round = collections.namedtuple("Round", "count rate server client mid tail far")
"""Commands, and how many a second; seconds of processor time a command, of the server's end, of the client's; seconds that 50, 99 and 99.9
of a hundred took at most."""


def log_in(i, target, lun, user=None, secret=None, more=OPEN_ISCSI):
    """At a target that asks nobody who he is, or that asks for a user; until its disk is ready."""
    if user:
        i.prove(i.challenged(target, "5"), user, secret, None)
    pairs = {**more, "InitiatorName": i.name, "TargetName": target, "SessionType": "Normal"}
    while True:
        i.login_pdu(1, 3, text(**pairs))
        if i.login_answer().flags & 0x80:
            break
        pairs = {}
    i.header_digest, i.data_digest = (i.keys.get(k) == "CRC32C" for k in ("HeaderDigest", "DataDigest"))
    while i.ready(lun)[0]:
        pass


class NoDigests(SystemExit):
    pass


class Line:
    """Connections to a disk, each a session of its own, and the process that loads them. `enter` logs one in; None: to the echo."""

    def __init__(self, name, port, enter, lun=0, host="127.0.0.1", sessions=1, digests=False, tls=None):
        self.name, self.lun, self.digests = name, lun, digests
        self.keys = {"FirstBurstLength": ANY, "MaxRecvDataSegmentLength": ANY, "InitialR2T": "No", "ImmediateData": "Yes"}
        self.sockets, fds, numbers, words = [], [], [], []
        for _ in range(sessions):
            i = Initiator(port, host, timeout=60)
            i.socket.setblocking(True)
            fds.append(i.socket.fileno())
            self.sockets.append(i.socket)
            if tls:
                near, login = socket.socketpair()
                i.socket, words = near, [login.fileno(), tls / "client.pem", tls / "ca.pem"]
                self.pump = self.start_load([*fds, login.fileno()], [*fds, *words])
            if enter:
                enter(i)
                self.keys = {"MaxRecvDataSegmentLength": "8192", **i.keys}
                if digests and not (i.header_digest and i.data_digest):
                    raise NoDigests(f"{name}: it does no digests")
            numbers.append((i.cmdsn, i.maxcmdsn, i.expstatsn, i.itt + 1, int(digests)) if enter else (1, 1, 1, 1, int(digests)))
        if not tls:
            self.pump = self.start_load(fds, fds)
        self.say(*(" ".join(map(str, n)) for n in numbers))

    @staticmethod
    def start_load(fds, words):
        return start(LOAD, *words, fds=fds, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def say(self, *lines):
        self.pump.stdin.write("".join(line + "\n" for line in lines).encode())
        self.pump.stdin.flush()

    def end(self):
        for s in self.sockets:
            s.close()
        self.pump.kill()
        self.pump.wait()

    def unasked(self):
        first, segment = int(self.keys["FirstBurstLength"]), int(self.keys["MaxRecvDataSegmentLength"])
        at_once = min(first, segment) if self.keys["ImmediateData"] == "Yes" else 0
        return (first if self.keys["InitialR2T"] == "No" else at_once), min(segment, 1 << 20)

    def round(self, places, reads, octets, depth, ms, blocks, server=(), client=(), sessions=1):
        pids = server, [*client, self.pump.pid]
        before = [cpu_ns(p) for p in pids]
        self.say(" ".join(map(str, (places, reads, octets, self.lun, blocks, depth, ms, *self.unasked(), sessions))))
        answer = self.pump.stdout.readline()
        if not answer:
            raise SystemExit(f"{self.name}: the load ended: {places} {reads} {octets} {depth}\n" + logs())
        count, us, *ns = map(int, answer.split())
        took = [(cpu_ns(p) - b) / 1e9 / max(count, 1) for p, b in zip(pids, before)]
        return Round(count, count * 1e6 / us, *took, *(n / 1e9 for n in ns))


# --- figures -------------------------------------------------------------------------------------------------------------------
def middle(rounds, figure):
    return statistics.median(getattr(r, figure) for r in rounds)


def ratio(these, those, figure="rate"):
    """The median of the rounds' own ratios, and between which half of them are."""
    ratios = sorted(getattr(a, figure) / getattr(b, figure) for a, b in zip(these, those))
    quarter = len(ratios) // 4
    return statistics.median(ratios), ratios[quarter], ratios[-1 - quarter]


def spread(these, those, figure="rate"):
    return "{:.2f} ({:.2f} … {:.2f})".format(*ratio(these, those, figure))
