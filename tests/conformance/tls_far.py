#!/usr/bin/env python3
"""The encrypted portal over a long line, through `sallyport connect`: as many round trips as without TLS, and nothing fails."""
import pathlib, shutil, sys
from harness import *
from pki import CA
from rounds import *

AREA = "tls"
MIB, FAR_MS = 1 << 20, 100  # one way
POLICY = """\
version: 1
portals:
  wan:
    listen: ["127.0.0.1:{port}"]
    transport: tls
    certificate: {folder}/gw.pem
    client_ca: {folder}/ca.pem
disks:
  vault: {{memory: 32MiB}}
targets:
  {target}:
    portals: [wan]
    luns: {{0: vault}}
    initiators: {{{client}: {{chap: {{user: alice, mutual: gw-for-alice}}}}}}
firewall: {{manage: false}}
gateway: {{ping: {{every: 10m}}}}
"""
ca = CA()
atexit.register(shutil.rmtree, ca.folder, ignore_errors=True)
gw = Gateway(POLICY)
identity = gw.folder / "identity"
identity.mkdir()
for name, (certificate, key) in ((gw.folder / "gw.pem", ca.server()), (identity / "client.pem", ca.client(CLIENT))):
    name.touch(0o600)
    name.write_text(certificate.read_text() + key.read_text())
shutil.copy(identity / "client.pem", identity / "client.key")
for folder in (gw.folder, identity):
    shutil.copy(ca.pem, folder / "ca.pem")
gw.start()


def beside(name, *command, fds=()):
    with open(gw.folder / f"{name}.log", "wb") as log:
        process = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=fds)
    atexit.register(lambda: (process.terminate(), process.wait(30)))
    return process


def listens(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def tunnel(name, port):
    """The port of a tunnel to that one; ends the test when there is none."""
    here = free_port()
    process = beside(name, SALLYPORT, "connect", f"127.0.0.1:{port}", "--identity", identity, "--listen", f"127.0.0.1:{here}")
    if not wait_for(lambda: listens(here) or process.poll() is not None) or process.poll() is not None:
        raise SystemExit(f"FAIL {AREA}: {name}\n" + (gw.folder / f"{name}.log").read_text())
    return here


def long_line(port):
    listener = socket.create_server(("127.0.0.1", 0))
    beside("line", sys.executable, "-B", pathlib.Path(__file__).resolve().parent.parent / "slow_line.py", listener.fileno(), port,
           FAR_MS, fds=[listener.fileno()])
    return listener.getsockname()[1]


def rounds(port, where):
    with Rounds(port).login(more=OPEN_ISCSI) as i:
        for octets, wanted in ((4096, 1), (262144, 1), (4 * MIB, 2)):
            data = os.urandom(octets)
            itt = i.begin(write16(0, octets // 512), write=data)
            took, tasks = i.finish()
            check(AREA, f"{where}, a write of {octets >> 10} KiB costs {wanted} round trip{'s' * (wanted > 1)}",
                  took == wanted and tasks[itt].status == 0, (took, gw.log()))
            itt = i.begin(read16(0, octets // 512), read=octets)
            took, tasks = i.finish()
            check(AREA, f"{where}, a read of {octets >> 10} KiB costs 1 round trip", took == 1 and tasks[itt].got == data, took)
        data = [os.urandom(MIB) for _ in range(16)]
        for n, one in enumerate(data):
            i.begin(write16(n * 2048, 2048), write=one)
        wrote, tasks = i.finish()
        fine = all(t.status == 0 for t in tasks.values())
        itts = [i.begin(read16(n * 2048, 2048), read=MIB) for n in range(16)]
        read, tasks = i.finish()
        check(AREA, f"{where}, 16 writes of 1 MiB at once cost 2 round trips, and reads of them 1",
              (wrote, read, fine) == (2, 1, True) and [tasks[itt].got for itt in itts] == data, (wrote, read, fine))


rounds(tunnel("near", gw.port), "through the tunnel")
rounds(tunnel("far", long_line(gw.port)), f"over a line of {2 * FAR_MS} ms")
finish()
