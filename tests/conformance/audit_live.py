#!/usr/bin/env python3
"""`audit export --follow --to`: a syslog server and a journal that come, go and are slow get every record."""
import atexit, select, sqlite3

import processes
from harness import *
from initiator import *

AREA = "audit"
BUSY = 1500

gw = Gateway().start()


def spawn(*words):
    process = subprocess.Popen([SALLYPORT, "audit", "export", "--state", gw.state, *words], stderr=subprocess.PIPE, text=True)
    atexit.register(process.kill)
    return process


def ended(process, how=signal.SIGTERM):
    if how:
        process.send_signal(how)
    said = process.communicate(timeout=60)[1]
    return process.returncode, said


def work(commands):
    with Initiator(gw.port) as i:
        i.login()
        for n in range(commands):
            i.write(n % 1000, bytes(512))
        i.logout()


def sequences():
    return [r["seq"] for r in gw.audit()]


class Receiver:
    """Takes messages with octet counts (RFC 6587), from one connection after another."""

    def __init__(self, family=socket.AF_INET, address=("127.0.0.1", 0)):
        self.server = socket.socket(family, socket.SOCK_STREAM)
        self.server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.server.bind(address)
        self.server.listen()
        self.server.settimeout(60)
        self.messages, self.rest = [], b""

    def accept(self):
        self.connection = self.server.accept()[0]
        self.connection.settimeout(60)
        self.rest = b""

    def take(self):
        octets = self.connection.recv(65536)
        self.rest += octets
        while b" " in self.rest:
            length, _, after = self.rest.partition(b" ")
            if len(after) < int(length):
                break
            self.messages.append(after[:int(length)].decode())
            self.rest = after[int(length):]
        return octets

    def take_until(self, condition):
        while not condition():
            if not self.take():
                return False
        return True

    def seqs(self):
        return [json.loads(m[m.index("] {") + 2:])["seq"] for m in self.messages]


def unacknowledged(port):
    """Octets that the kernel has for this port and that were not acknowledged."""
    with open("/proc/net/tcp") as table:
        rows = [line.split() for line in table.readlines()[1:]]
    return sum(int(row[4].split(":")[0], 16) for row in rows if int(row[2].split(":")[1], 16) == port)


# --- TCP -----------------------------------------------------------------------------------------------------

work(BUSY)
r = Receiver()
port = r.server.getsockname()[1]
live = spawn("--follow", "--to", f"syslog:tcp:127.0.0.1:{port}", "--since-checkpoint", "tcp")
r.accept()
r.take_until(lambda: len(r.messages) > 100)
first = r.messages[0]
check(AREA, "syslog: version 1, facility 13, our name and the record's kind",
      first.startswith("<109>1 20") and " sallyport - start [meta sequenceId=\"1\"][sallyport@32473 seq=\"1\" " in first, first)

reader = next(iter(processes.children(live.pid)))
told = [processes.status(pid) for pid in (live.pid, reader)]
links = [[os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")] for pid in (live.pid, reader)]
check(AREA, "P3: both processes of an export are filtered, without new privileges",
      all(t["Seccomp"] == ("0" if "address" in BUILD.name else "2") and t["NoNewPrivs"] == "1" and int(t["CapEff"], 16) == 0 for t in told), told)
check(AREA, "P3: who sends holds nothing of the audit folder", not any("/audit" in link for link in links[0]), links)
check(AREA, "P3: who reads holds no socket", not any(link.startswith("socket:") for link in links[1]), links)

r.connection.shutdown(socket.SHUT_WR)  # the receiver goes away, but takes what is on its way
while r.take():
    pass
r.connection.close()
r.accept()
work(20)
last = sequences()[-1]
check(AREA, "syslog: after the connection was lost, all is sent on a new one", r.take_until(lambda: r.seqs()[-1] >= last))
check(AREA, "P4: no record is lost between connections", sorted(set(r.seqs())) == list(range(1, max(r.seqs()) + 1)),
      sorted(set(range(1, max(r.seqs()))) - set(r.seqs()))[:10])

r.connection.close()
r.server.close()
work(20)
check(AREA, "SIGTERM ends it while no server is there", ended(live)[0] == 0)

r2 = Receiver(address=("127.0.0.1", port))
live = spawn("--follow", "--to", f"syslog:tcp:127.0.0.1:{port}", "--since-checkpoint", "tcp")
r2.accept()
work(1)
last = sequences()[-1]
r2.take_until(lambda: r2.messages and r2.seqs()[-1] >= last)
check(AREA, "P4: started again, it goes on behind what was acknowledged",
      r2.seqs()[0] <= max(r.seqs()) + 1 and r2.seqs() == list(range(r2.seqs()[0], r2.seqs()[-1] + 1)), (r2.seqs()[0], max(r.seqs())))
busy = run(SALLYPORT, "audit", "export", "--state", gw.state, "--since-checkpoint", "tcp")
check(AREA, "two exports can't have one checkpoint at a time", busy.returncode == 3 and "running" in busy.stderr, busy.stderr)
code, said = ended(live)
check(AREA, "SIGTERM ends it", code == 0, said)
r2.connection.close()

r3 = Receiver(address=("127.0.0.1", 0))
port = r3.server.getsockname()[1]
done = spawn("--to", f"syslog:tcp:localhost:{port}", "--since-checkpoint", "tcp", "--format", "cef")
r3.accept()
while r3.take():
    pass
check(AREA, "without --follow it sends what there is, and ends; nothing that was acknowledged twice",
      ended(done, None)[0] == 0 and len(r3.messages) <= 1, r3.messages[:2])

r5 = Receiver()
r5.server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
port = r5.server.getsockname()[1]
live = spawn("--to", f"syslog:tcp:127.0.0.1:{port}")
r5.accept()
check(AREA, "a receiver that takes next to nothing", wait_for(lambda: unacknowledged(port) > 200000), unacknowledged(port))
r5.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
r5.connection.close()
r5.accept()
while r5.take():
    pass
check(AREA, "P4: what was sent and not acknowledged is sent again, when a connection is reset",
      r5.seqs()[0] < 150 and r5.seqs() == list(range(r5.seqs()[0], r5.seqs()[-1] + 1)), r5.seqs()[0])
check(AREA, "and all after it", ended(live, None)[0] == 0 and r5.seqs()[-1] == sequences()[-1])

# --- Unix sockets --------------------------------------------------------------------------------------------

r4 = Receiver(socket.AF_UNIX, str(gw.folder / "log.sock"))
live = spawn("--follow", "--to", f"syslog:unix:{gw.folder}/log.sock", "--since", "now")
r4.accept()
work(3)
check(AREA, "a Unix stream: octets are counted", r4.take_until(lambda: any(" - logout " in m for m in r4.messages)))
check(AREA, "SIGINT ends it", ended(live, signal.SIGINT)[0] == 0)

datagrams = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
datagrams.bind(str(gw.folder / "journal.sock"))
datagrams.settimeout(60)
got = []
one = spawn("--to", f"syslog:unix:{gw.folder}/journal.sock", "--op", "login,logout")
expected = len(gw.audit("--op", "login,logout"))
while len(got) < expected:
    got.append(datagrams.recv(1 << 16))
check(AREA, "Unix datagrams: a message each", ended(one, None)[0] == 0 and all(g.startswith(b"<110>1 ") for g in got), got[:1])

live = spawn("--follow", "--to", f"journal:{gw.folder}/journal.sock", "--since", "now")
entry = {}
while entry.get("SALLYPORT_EVENT") != "logout":
    while not select.select([datagrams], [], [], 1)[0]:
        work(1)  # its "now" may come after this
    octets = datagrams.recv(1 << 16).decode()
    entry = dict(line.split("=", 1) for line in octets.splitlines())
check(AREA, "journal: priority, identifier, a message and a field for each of ours",
      entry["PRIORITY"] == "6" and entry["SYSLOG_IDENTIFIER"] == "sallyport" and entry["SALLYPORT_INITIATOR"] == CLIENT and
      json.loads(entry["MESSAGE"])["event"] == "logout", entry)
datagrams.close()
os.unlink(gw.folder / "journal.sock")
check(AREA, "ends while the journal is away", ended(live)[0] == 0)
# --- files, followed -----------------------------------------------------------------------------------------

out, base = gw.folder / "follow.json", gw.folder / "follow.db"


def logouts(path):
    text = path.read_text() if path.exists() else ""
    return text.count('"event":"logout"') if text.endswith("\n") else -1


def logouts_in(path):
    try:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
            return db.execute("SELECT count(*) FROM log WHERE event = 'logout'").fetchone()[0]
    except sqlite3.OperationalError:
        return 0


for _ in range(2):
    both = [spawn("--follow", "--output", out, "--since-checkpoint", "file"),
            spawn("--follow", "--format", "sqlite", "--output", base, "--since-checkpoint", "base")]
    work(2)
    wanted = len(gw.audit("--op", "logout"))
    check(AREA, "a file that is followed grows with the trail", wait_for(lambda: logouts(out) == wanted), logouts(out))
    check(AREA, "and so does a database", wait_for(lambda: logouts_in(base) == wanted), logouts_in(base))
    check(AREA, "SIGTERM ends both, while nothing comes", [ended(p)[0] for p in both] == [0, 0])
check(AREA, "P4: nothing is missing or there twice when they are started again",
      [json.loads(line)["seq"] for line in out.read_text().splitlines()] == list(range(1, len(out.read_text().splitlines()) + 1)))
gw.stop()

# --- the folder is deleted -----------------------------------------------------------------------------------

copy, last = gw.folder / "copy", gw.folder / "last.json"
copy.mkdir()
shutil.copytree(gw.state / "audit", copy / "audit")
tail = subprocess.Popen([SALLYPORT, "audit", "tail", "--state", copy, "-n", "1", "--json"], stdout=subprocess.PIPE,
                        stderr=subprocess.PIPE, text=True)
atexit.register(tail.kill)
live = spawn("--follow", "--output", last, "--state", copy)
tail.stdout.readline()
check(AREA, "both follow a trail to which nothing comes", wait_for(lambda: logouts(last) == wanted) and tail.poll() is None)
shutil.rmtree(copy / "audit")
for name, process in ("tail", tail), ("export --follow", live):
    status, said = ended(process, None)
    check(AREA, f"{name} of a folder that was deleted ends, and says so", status == 3 and "was deleted" in said, (status, said))
finish()
