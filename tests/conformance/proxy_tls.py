#!/usr/bin/env python3
"""A TLS portal behind a proxy: the header comes before the handshake, in clear, and not one octet of TLS is read with it."""
import socket, ssl
import processes
from harness import *
from initiator import *
from pki import CA

AREA = "tls"
ca = CA()
cert, key = ca.server()[:2]
ALICE = ca.client(CLIENT, "alice")
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
HEADER = SIGNATURE + b"\x21\x11\0\x0c" + bytes([192, 0, 2, 7, 192, 0, 2, 1]) + struct.pack(">HH", 40000, 3260)
POLICY = """\
version: 1
portals:
  balanced: {{listen: ["127.0.0.1:{port}"], transport: tls, proxy_from: [127.0.0.1], certificate: {cert}, key: {key}, client_ca: {ca}}}
  direct: {{listen: ["127.0.0.1:{other}"], transport: tls, certificate: {cert}, key: {key}, client_ca: {ca}}}
disks:
  vault: {{memory: 16MiB}}
targets:
  {target}:
    portals: [balanced, direct]
    luns: {{0: vault}}
    initiators:
      {client}: {{from: [192.0.2.7, 192.0.2.66, 127.0.0.1], chap: {{user: alice, mutual: gw-for-alice}}}}
gateway: {{login_timeout: 5s}}
"""
gw = Gateway(policy=POLICY, other=free_port(), cert=cert, key=key, ca=ca.pem)
gw.start()


class Over(Initiator):
    """An initiator whose socket is TLS, behind what is sent first."""

    def __init__(self, first, port=None):
        super().__init__(port or gw.port)
        how = ssl.create_default_context(cafile=ca.pem)
        how.load_cert_chain(*ALICE)
        how.set_alpn_protocols(["iscsi"])
        if first:
            self.raw(first)
        self.socket = how.wrap_socket(self.socket, server_hostname="localhost")


def attempt(first, port=None):
    try:
        with Over(first, port) as i:
            i.login()
            return "in"
    except Refused as refused:
        return refused.status
    except (Gone, OSError):
        return "closed"


def refused(reason):
    return wait_for(lambda: any(e.get("reason") == reason for e in gw.audit("--denied")))


with Over(HEADER) as i:
    i.login()
    rows = [s for s in gw.sessions() if s["state"] == "granted"]
    check(AREA, "behind a proxy, TLS follows the header, and the session is of the address that it names",
          i.read(0, 1)[0] == 0 and len(rows) == 1 and rows[0]["peer"] == "192.0.2.7:40000" and
          rows[0]["proxy"].startswith("127.0.0.1:"), rows)
wait_for(lambda: not processes.sessions(gw))
with socket.create_connection(("127.0.0.1", gw.port), 20) as s:
    s.sendall(HEADER)
    wait_for(lambda: processes.sessions(gw))  # who leaves before is not heard at all
check(AREA, "whom a proxy tells of, and who leaves before his first octet, is no guess: a look whether somebody is there",
      refused("left") and not any(e.get("reason") == "tls-truncated" for e in gw.audit("--denied")), gw.log())
got = attempt(b"")
check(AREA, "a handshake without a header, from a proxy, is proxy-header-missing", got == "closed" and
      refused("proxy-header-missing"), (got, gw.log()))
got = attempt(HEADER, gw.values["other"])
check(AREA, "P1: a header on a TLS portal without proxies is proxy-header-from-a-stranger", got == "closed" and
      refused("proxy-header-from-a-stranger"), (got, gw.log()))
got = attempt(HEADER.replace(bytes([192, 0, 2, 7]), bytes([192, 0, 2, 8])))
check(AREA, "P1: an address that the policy gives to nobody gets no handshake", got == "closed" and refused("wrong-address"),
      (got, gw.log()))


def stranger():
    """A handshake without a certificate, and whether any octet of TLS came back."""
    how = ssl.create_default_context(cafile=ca.pem)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = how.wrap_bio(incoming, outgoing, server_hostname="localhost")
    answered = False
    with socket.create_connection(("127.0.0.1", gw.port), 20) as s:
        s.sendall(HEADER.replace(bytes([192, 0, 2, 7]), bytes([192, 0, 2, 66])))
        try:
            while True:
                try:
                    tls.read(1) if tls.version() and not outgoing.pending else tls.do_handshake()
                except ssl.SSLWantReadError:
                    pass
                s.sendall(outgoing.read())
                octets = s.recv(65536)
                if not octets:
                    return answered
                answered = True
                incoming.write(octets)
        except OSError:  # an alert, or a reset
            return answered


answers = [stranger() for _ in range(40)]
banned = json.loads(gw.command("bans", "--json").stdout)["bans"]
check(AREA, "P6: handshakes that fail, one after the other, ban the address that the proxy names once five are counted: "
      "no further one is begun", 5 <= sum(answers) <= 10 and answers == sorted(answers, reverse=True) and [b["source"] for b in banned] == ["192.0.2.66"], (answers, banned))
check(AREA, "… and nobody else behind the proxy", attempt(HEADER) == "in", gw.log())
check(AREA, "the other portal is as ever", attempt(b"", gw.values["other"]) == "in", gw.log())
check(AREA, "the gateway stops cleanly", gw.stop() == 0, gw.log())
finish()
