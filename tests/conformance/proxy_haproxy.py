#!/usr/bin/env python3
"""HAProxy in front of a plain and of a TLS portal (passed through): its header of the PROXY protocol is what the gateway takes."""
import os, shutil, subprocess
from harness import *
from initiator import *
import pki
from tls_initiator import TlsInitiator

AREA = "policy"
HERE, THERE = "127.0.0.5", "127.0.0.6"
POLICY = """\
version: 1
portals:
  plain: {{listen: ["127.0.0.1:{port}"], transport: plain, proxy_from: [127.0.0.1]}}
  wan: {{listen: ["127.0.0.1:{wan}"], transport: tls, proxy_from: [127.0.0.1], certificate: gw.pem, key: gw.key, client_ca: clients.pem}}
disks:
  vault: {{memory: 16MiB}}
targets:
  {target}:
    portals: [plain, wan]
    luns: {{0: vault}}
    initiators:
      {client}: {{from: [127.0.0.5], chap: {{user: alice, mutual: gw-for-alice}}}}
"""
PROXY = """\
global
  maxconn 64
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
{ways}
"""
WAY = """\
frontend f{at}
  bind 127.0.0.1:{at}
  default_backend b{at}
backend b{at}
  server gw 127.0.0.1:{to} source 127.0.0.1 send-proxy-v2 check inter 200ms check-send-proxy
"""
haproxy = shutil.which("haproxy", path=os.environ.get("PATH", "") + ":/usr/sbin")
if haproxy is None:
    skip(AREA, "HAProxy in front of portals", "there is no haproxy")
    finish()
    raise SystemExit
ca = pki.CA()
alice = ca.client(CLIENT, "alice")
gw = Gateway(policy=POLICY, wan=free_port())
for source, name in zip((*ca.server(), ca.pem), ("gw.pem", "gw.key", "clients.pem")):
    (gw.folder / name).write_bytes(source.read_bytes())
    (gw.folder / name).chmod(0o600)
gw.start()
WAYS = {"plain": (free_port(), gw.port), "wan": (free_port(), gw.values["wan"])}
config = gw.folder / "haproxy.cfg"
config.write_text(PROXY.format(ways="".join(WAY.format(at=at, to=to) for at, to in WAYS.values())))


def comes(portal, source):
    port = WAYS[portal][0]
    if portal == "wan":
        return TlsInitiator(port, ca, alice, source=(source, 0))
    return Initiator(port, source=(source, 0))


def attempt(portal, source):
    """What it meets: the row of its session, or why there is none."""
    try:
        with comes(portal, source) as i:
            i.login()
            data = bytes(range(256)) * 256
            same = i.write(0, data)[0] == 0 and i.read(0, 128)[1] == data
            row = next((s for s in gw.sessions() if s["state"] == "granted"), None)
            i.logout()
            return row if same else "other data"
    except (Refused, Gone, OSError):
        return None


def attempt_own():
    """A login behind a header with the command LOCAL."""
    try:
        with Initiator(gw.port) as i:
            i.raw(b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0")
            i.login()
            return "in"
    except Refused as refused:
        return refused.status
    except (Gone, OSError):
        return "closed"


with open(gw.folder / "haproxy.log", "wb") as log:
    process = subprocess.Popen([haproxy, "-db", "-f", config], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
try:
    for portal in WAYS:
        row = wait_for(lambda: attempt(portal, HERE))
        said = (gw.folder / "haproxy.log").read_text()
        check(AREA, f"through HAProxy to the portal {portal}: data is the same", isinstance(row, dict), (row, said, gw.log()))
        check(AREA, "… and the session is of the address that came to it", isinstance(row, dict) and row["portal"] == portal and
              row["peer"].startswith(HERE + ":") and row["proxy"].startswith("127.0.0.1:"), row)
        check(AREA, "P1: … another address than the initiator's gets nothing", attempt(portal, THERE) is None, gw.log())
        check("audit", "… and is refused as itself", wait_for(lambda: [r for r in gw.audit("--denied") if r.get("peer_ip") == THERE and
              r.get("reason") == "wrong-address" and "through the proxy 127.0.0.1:" in r.get("detail", "")]), gw.audit("--denied"))
    check("audit", "P6: HAProxy's own health checks are no refusals", not [r for r in gw.audit("--denied") if r.get("peer_ip") != THERE], gw.audit("--denied")[:3])
    check(AREA, "… and it finds both portals well", "DOWN" not in (gw.folder / "haproxy.log").read_text(), (gw.folder / "haproxy.log").read_text())
    own = attempt_own()
    check(AREA, "P1: a proxy's own connection that logs in is judged by the proxy's address", own == 0x0201, own)
finally:
    process.terminate()
    process.wait(20)
check(AREA, "the gateway stops cleanly", gw.stop() == 0, gw.log())
finish()
