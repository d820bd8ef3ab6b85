"""`make bench-tls`: what the encrypted portal costs, printed. Nothing here judges: figures depend on the machine.

Side by side, in short rounds that take turns, so that what the machine does beside hits all alike: our portal with TLS, whose
load speaks TLS itself; the same portal behind `sallyport connect`; tgt between two stunnels; our plain portal; and what TLS
itself costs: a program that answers with a piece of a file and knows nothing else. Files lie in the page cache.

Then both tunnels over a line of 50 ms each way and back, as each is by itself: what open-iscsi offers, and tgt's own defaults.
"""
import os, pathlib, shutil, sys

from bench.sides import *
from pki import CA

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 15
MS, DELAYED_MS, DELAY_MS, MIB = (100, 1000, 50, 64) if ROUNDS <= 3 else (300, 3000, 50, 64)
ROWS = (("4 KiB random reads, 1 at once", "random", 100, 4096, 1), ("4 KiB random reads, 32 at once", "random", 100, 4096, 32),
        ("4 KiB random reads, 128 at once", "random", 100, 4096, 128),
        ("128 KiB reads, 16 at once", "on", 100, 131072, 16), ("128 KiB writes, 16 at once", "on", 0, 131072, 16),
        ("1 MiB reads, 4 at once", "on", 100, 1 << 20, 4), ("1 MiB writes, 4 at once", "on", 0, 1 << 20, 4))
DELAYED = (("4 KiB random reads, 1 at once", "random", 100, 4096, 1), ("4 KiB random reads, 32 at once", "random", 100, 4096, 32),
           ("64 KiB writes, 16 at once", "on", 0, 65536, 16), ("256 KiB writes, 16 at once", "on", 0, 262144, 16),
           ("1 MiB reads, 8 at once", "on", 100, 1 << 20, 8), ("1 MiB writes, 8 at once", "on", 0, 1 << 20, 8))
POLICY = """\
version: 1
portals:
  wan:
    listen: ["127.0.0.1:{port}"]
    transport: tls
    certificate: {folder}/gw.pem
    client_ca: {folder}/ca.pem
  here: {{listen: ["127.0.0.1:{plain}"], transport: plain}}
firewall: {{manage: false}}
disks:
  vault: {{file: {folder}/vault.img, writers: cluster}}
targets:
  {target}:
    portals: [wan, here]
    luns: {{0: vault}}
    queue_depth: 128
    initiators:
      {client}:
        chap: {{user: alice, mutual: gw-for-alice}}
gateway: {{ping: {{every: 1h}}}}
"""
STUNNEL = """\
foreground = yes
pid =
syslog = no
debug = 4
[tunnel]
client = {client}
accept = 127.0.0.1:{accept}
connect = 127.0.0.1:{connect}
cert = {folder}/{certificate}
CAfile = {folder}/ca.pem
verifyChain = yes
sslVersionMin = TLSv1.3
socket = l:TCP_NODELAY=1
socket = r:TCP_NODELAY=1
"""


# --- what runs beside the gateway -----------------------------------------------------------------------------------------
def stunnel(client, connect):
    port, name = free_port(), f"stunnel-{len(running)}"
    (gw.folder / name).write_text(STUNNEL.format(client="yes" if client else "no", accept=port, connect=connect, folder=gw.folder,
                                                 certificate="client.pem" if client else "gw.pem"))
    return listening(start("stunnel", gw.folder / name), port), port


def connect(port):
    here = free_port()
    words = ("connect", f"127.0.0.1:{port}", "--identity", gw.folder / "identity", "--listen", f"127.0.0.1:{here}")
    return listening(start(SALLYPORT, *words), here), here


def slow(port):
    listener = socket.create_server(("127.0.0.1", 0))
    here = pathlib.Path(__file__).resolve().parent.parent / "slow_line.py"
    start(sys.executable, "-B", here, listener.fileno(), port, DELAY_MS / 2, fds=[listener.fileno()])
    return listener.getsockname()[1]


# --- sides ------------------------------------------------------------------------------------------------------------------
class Side:
    """A way to a disk: a connection that is logged in, its load, and the processes on either end of the line."""

    def __init__(self, name, port, server, client=(), target=TARGET, lun=0, tls=False):
        self.name, self.server_of, self.client_of = name, server, client
        more = OPEN_ISCSI | {"MaxRecvDataSegmentLength": "262144"}
        enter = None if not target else (lambda i: i.login(more=more)) if target == TARGET else (lambda i: log_in(i, target, lun))
        self.line = Line(name, port, enter, lun, tls=gw.folder if tls else None)

    def round(self, places, reads, octets, depth, ms):
        return self.line.round(places, reads, octets, depth, ms, MIB * 2048, self.server_of(), self.client_of)


def measure(sides, rows, ms, rounds):
    """{(row, side): [Round, …]}"""
    got = {}
    for n in range(rounds):
        for row in rows:
            for side in sides if n % 2 else sides[::-1]:
                got.setdefault((row, side), []).append(side.round(*row[1:], ms))
    return got


def show(got, sides, rows, other):
    """Rates, and each one's ratio to the same round's `other`: the median, and between which half of the rounds are."""
    print(f"{'':34}{'side':22}{'a second':>12}{'MiB/s':>9}{'s/GiB, server':>15}{'all':>7}{'of ' + other.name:>24}")
    for row in rows:
        for side in sides:
            rounds, octets = got[row, side], row[3]
            rate, server, client = (middle(rounds, figure) for figure in ("rate", "server", "client"))
            print(f"{row[0] if side is sides[0] else '':34}{side.name:22}{rate:12.0f}{rate * octets / 2**20:9.1f}{server * 2**30 / octets:15.2f}"
                  f"{(server + client) * 2**30 / octets:7.2f}{'' if side is other else spread(rounds, got[row, other]):>24}")


def goals(got, rows, by):
    print("\nratios of rates, beside their goals")
    for row in rows:
        goal = "" if row[4] == 1 else " (goal: 2)" if row[3] == 4096 else " (goal: 1.5)"
        print(f"  {row[0]:34}connect to stunnel + tgt {ratio(got[row, by['connect']], got[row, by['stunnel + tgt']])[0]:.2f}{goal}, "
              f"TLS to the bare echo {ratio(got[row, by['TLS']], got[row, by['bare TLS echo']])[0]:.2f} (goal: 0.75)")


# --- all of it ---------------------------------------------------------------------------------------------------------------
for program in ("stunnel", "tgtd", "tgtadm", "openssl"):
    if not shutil.which(program):
        sys.exit(f"bench-tls needs {program}: sh deploy/install-deps.sh bench")
if os.geteuid() != 0:
    sys.exit("bench-tls needs root: tgtd does")
ca = CA()
gw = Gateway(POLICY, plain=free_port())
for name, (certificate, key) in (("gw.pem", ca.server()), ("client.pem", ca.client(CLIENT))):
    (gw.folder / name).touch(0o600)
    (gw.folder / name).write_text(certificate.read_text() + key.read_text())
identity = gw.folder / "identity"
identity.mkdir()
for folder, name, file in ((gw.folder, "ca.pem", ca.pem), (identity, "ca.pem", ca.pem), (identity, "client.pem", gw.folder / "client.pem"),
                           (identity, "client.key", gw.folder / "client.pem")):
    shutil.copy(file, folder / name)
for name in ("vault", "tgt", "echo"):
    (gw.folder / f"{name}.img").write_bytes(os.urandom(MIB << 20))
try:
    gw.start()
    others = helpers(gw)
    tgtd, tgt_port = tgt(gw.folder / "tgt.img")
    far_stunnel, far_port = stunnel(False, tgt_port)

    def ours():
        return [*others, *(s["pid"] for s in gw.sessions() if s["pid"])]

    def theirs():
        return [tgtd.pid, far_stunnel.pid]

    bare, bare_port = echo(gw.folder / "echo.img", gw.folder / "gw.pem", gw.folder / "ca.pem")
    tunnel, tunnel_port = connect(gw.port)
    near_stunnel, near_port = stunnel(True, far_port)
    sides = [Side("TLS", gw.port, ours, tls=True), Side("connect", tunnel_port, ours, family(tunnel.pid)),
             Side("stunnel + tgt", near_port, theirs, [near_stunnel.pid], TGT_TARGET + "tuned", 1),
             Side("plain", gw.values["plain"], ours),
             Side("bare TLS echo", bare_port, lambda: [bare.pid], target=None, tls=True)]
    by = {side.name: side for side in sides}
    print(f"medians of {ROUNDS} rounds of {MS} ms\n", flush=True)
    got = measure(sides, ROWS, MS, ROUNDS)
    show(got, sides, ROWS, by["stunnel + tgt"])
    goals(got, ROWS, by)
    delayed_tunnel, delayed_port = connect(slow(gw.port))
    delayed_stunnel, delayed_near = stunnel(True, slow(far_port))
    delayed = [Side("connect", delayed_port, ours, family(delayed_tunnel.pid)),
               Side("stunnel + tgt", delayed_near, theirs, [delayed_stunnel.pid], TGT_TARGET + "default", 1)]
    rounds = max(1, ROUNDS // 3)
    print(f"\na line of {DELAY_MS} ms there and back, medians of {rounds} rounds of {DELAYED_MS} ms\n", flush=True)
    show(measure(delayed, DELAYED, DELAYED_MS, rounds), delayed, DELAYED, delayed[1])
finally:
    end_all()
    shutil.rmtree(ca.folder, ignore_errors=True)
