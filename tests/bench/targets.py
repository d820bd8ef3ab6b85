"""The sides of `make bench`: each a target with a file of its own, its lines, its processes on their cores."""
import shutil, struct, threading, time, urllib.parse

from bench.sides import *

POLICY = """\
version: 1
portals:
  here: {{listen: ["127.0.0.1:{port}"], transport: plain}}
firewall: {{manage: false}}
disks:
  vault: {{file: {file}, writers: cluster, durability: handed-over}}
targets:
  {target}:
    portals: [here]
    luns: {{0: vault}}
    queue_depth: 128
    initiators:
      {client}:
        chap: {{user: alice, mutual: gw-for-alice}}
        sessions: 1024
gateway: {{io: {io}, disk_roots: [{file.parent}], ping: {{every: 1h}}}}
"""
ISTGT = """\
[Global]
  NodeBase "iqn.2026-11.net.example.istgt"
  PidFile {folder}/istgt.pid
  AuthFile {folder}/istgt.auth
  NopInInterval 3600
  DiscoveryAuthMethod None
  MaxSessions 32
  MaxR2T 32
  FirstBurstLength 262144
  MaxBurstLength 1048576
  MaxRecvDataSegmentLength 262144
[UnitControl]
  AuthMethod None
  Portal UC1 127.0.0.1:{control}
  Netmask 127.0.0.1
[PortalGroup1]
  Portal DA1 127.0.0.1:{port}
[InitiatorGroup1]
  InitiatorName "ALL"
  Netmask 127.0.0.0/8
[LogicalUnit1]
  TargetName disk
  Mapping PortalGroup1 InitiatorGroup1
  AuthMethod None
  UseDigest Auto
  UnitType Disk
  QueueDepth 128
  LUN0 Storage {file} Auto
"""
DIGESTS = {"HeaderDigest": "CRC32C", "DataDigest": "CRC32C"}


class Place:
    """Where the files of the sides lie. Each side has one for itself, so that what one writes, or reads past the page cache, is
    not what another finds there."""

    def __init__(self, folder, mib):
        self.folder, self.mib = scratch(folder), mib

    def image(self, name):
        path = self.folder / (name.replace(", ", "-").replace(" ", "-") + ".img")
        with open(path, "wb") as f:
            f.write(os.urandom(1 << 20) * self.mib)
            f.flush()
            os.fsync(f.fileno())
        return path


class Side:
    """`enter` logs one connection in."""

    lun, host, pids, enter = 0, "127.0.0.1", (), None

    def __init__(self, name, place, sessions):
        self.name, self.sessions_most, self.lines, self.blocks = name, sessions, {}, place.mib * 2048
        self.file = place.image(name)

    def line(self, digests=False):
        """One for each kind: what a connection's digests are, its login says."""
        if digests not in self.lines:
            more = OPEN_ISCSI | (DIGESTS if digests else {})
            enter = self.enter and (lambda i: self.enter(i, more))
            self.lines[digests] = Line(self.name, self.port_of(digests), enter, self.lun, self.host, 1 if digests else self.sessions_most, digests)
        return self.lines[digests]

    def port_of(self, _digests):
        return self.port

    def processes(self):
        return self.pids

    def place(self, first, second, _alone):
        pin(self.processes(), first)
        pin([line.pump.pid for line in self.lines.values()], second)

    def chill(self):
        """None of its file is in the page cache."""
        with open(self.file, "rb") as f:
            os.fsync(f.fileno())
            os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    def can(self, _row):
        return True

    def idle(self):
        """Processes that have an idle session each, and no other."""
        return ()

    def round(self, row, ms):
        if row.cold:
            self.chill()
        return self.line(row.digests).round(row.places, row.reads, row.octets, row.depth, ms, self.blocks, self.processes(), sessions=row.sessions)


class Echo(Side):
    """A process without digests, one with them."""

    def __init__(self, *args):
        super().__init__("bare echo", *args)
        both = echo(self.file), echo(self.file, "digests")
        self.pids, self.ports = [process.pid for process, _ in both], [port for _, port in both]

    def port_of(self, digests):
        return self.ports[digests]


class Tgt(Side):
    lun = 1

    def __init__(self, kind, *args, name=None):
        super().__init__(name or "tgt " + kind, *args)
        process, self.port = tgt(self.file, kind)
        self.pids = [process.pid]

    def enter(self, i, more):
        log_in(i, TGT_TARGET + ("digests" if "DataDigest" in more else "tuned"), self.lun, more=more)


class Istgt(Side):
    def __init__(self, *args):
        super().__init__("istgt", *args)
        self.port = free_port()
        (SCRATCH / "istgt.conf").write_text(ISTGT.format(folder=SCRATCH, file=self.file, port=self.port, control=free_port()))
        (SCRATCH / "istgt.auth").touch(0o600)
        self.pids = [listening(start("istgt", "-D", "-q", "-c", SCRATCH / "istgt.conf"), self.port).pid]

    def enter(self, i, more):
        log_in(i, "iqn.2026-11.net.example.istgt:disk", self.lun, more=more)


class Elsewhere(Side):
    """iscsi://[USER%SECRET@]HOST[:PORT]/TARGET/LUN: its processes are not ours to see or to place. It is only read, unless
    WRITES=1: a write destroys what is there."""

    no_digests = False

    def __init__(self, url, place, sessions):
        parts = urllib.parse.urlsplit(url)
        words = parts.path.split("/")
        if parts.scheme != "iscsi" or not parts.hostname or len(words) != 3 or not words[2].isdigit():
            raise SystemExit("TARGET is iscsi://[USER%SECRET@]HOST[:PORT]/TARGET/LUN")
        self.name, self.sessions_most, self.lines, self.blocks = "TARGET", sessions, {}, place.mib * 2048
        self.user, _, self.secret = (parts.netloc.rpartition("@")[0]).partition("%")
        self.host, self.port, self.target, self.lun = parts.hostname, parts.port or 3260, words[1], int(words[2])

    def enter(self, i, more):
        log_in(i, self.target, self.lun, self.user, self.secret, more)
        status, data = i.run(struct.pack(">BxIxxxx", 0x25, 0), self.lun, read=8)  # READ CAPACITY (10)
        last, block = struct.unpack(">II", data[:8]) if status == 0 else (0, 0)
        if block != 512:
            raise SystemExit("TARGET's disk has to have blocks of 512 octets")
        self.blocks = min(self.blocks, last + 1)

    def line(self, digests=False):
        try:
            return super().line(digests)
        except NoDigests:
            self.no_digests = True

    def place(self, _first, second, _alone):
        pin([line.pump.pid for line in self.lines.values()], second)

    def can(self, row):
        return not row.cold and not (row.digests and self.no_digests) and (row.reads == 100 or bool(os.environ.get("WRITES")))


class Ours(Side):
    def __init__(self, io, *args, name=None):
        super().__init__(name or "sallyport, " + io, *args)
        self.gateway = Gateway(POLICY, io=io, file=self.file).start()
        self.port, self.others, self.sessions = self.gateway.port, helpers(self.gateway), []

    def enter(self, i, more):
        i.login(more=more)

    def processes(self):
        return [*self.others, *self.sessions]

    def place(self, first, second, alone):
        self.sessions = [s["pid"] for s in self.gateway.sessions()]
        prefer(self.processes())
        pin(self.sessions, first)
        pin(self.others, first if alone else second)
        pin([line.pump.pid for line in self.lines.values()], second)

    def idle(self):
        return self.sessions[:-1]


# --- beside a busy session -----------------------------------------------------------------------------------------------------
class Crowd:
    """Sessions that do nothing."""

    def __init__(self, side, count):
        self.all = []
        for _ in range(count):
            i = Initiator(side.port, timeout=60)
            side.enter(i, OPEN_ISCSI)
            self.all.append(i)

    def end(self):
        for i in self.all:
            i.close()


class Logins:
    """So many logins a second, each gone at once, as long as it is entered; several at once, for one takes its time."""

    def __init__(self, side, a_second):
        self.side, self.pause, self.done, self.over = side, 1 / a_second, 0, threading.Event()
        self.lock, self.due = threading.Lock(), time.monotonic()
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(8)]

    def run(self):
        while True:
            with self.lock:
                self.due = max(self.due + self.pause, time.monotonic() - 0.1)
                due = self.due
            if self.over.wait(max(0, due - time.monotonic())):
                return
            with Initiator(self.side.port, timeout=60) as i:
                self.side.enter(i, OPEN_ISCSI)
            with self.lock:
                self.done += 1

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()


def private_kib(pid):
    """What a process has for itself alone."""
    try:
        text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return None
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith(("Private_Clean:", "Private_Dirty:")))
