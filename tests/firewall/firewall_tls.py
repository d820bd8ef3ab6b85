"""1000 handshakes a minute from one address, none of them with a certificate: a few are heard, the kernel drops the others."""
import errno
import select
import socket

import pki
from firewall.lib import hosts, report
from firewall.lib.guests import reasons
from firewall.lib.report import check
from harness import CLIENT, Gateway, wait_for
from initiator import Gone
from tls_initiator import TlsInitiator

HANDSHAKES, BURST = 1000, 50
POLICY = """\
version: 1
portals:
  wan: {{listen: ["0.0.0.0:{port}"], transport: tls, certificate: {server[0]}, key: {server[1]}, client_ca: {ca}}}
disks:
  vault: {{memory: 16MiB}}
targets:
  {target}:
    portals: [wan]
    luns: {{0: vault}}
    initiators:
      {client}:
        from: [10.77.1.0/24, 10.77.2.0/24]
        chap: {{user: alice, mutual: gw-for-alice}}
auth: {{bans: {{after: 5}}}}
"""


def is_banned(net):
    return net.client.ip4 in net.gateway.run("nft", "list", "set", "inet", "sallyport-bans", "v4").stdout


def bad_handshakes(net, gw, ca):
    """Until the ban is in the kernel, or there were too many: how many there were."""
    count = 0
    while count < 50 and not is_banned(net):
        try:
            with net.client.inside(), TlsInitiator(gw.port, ca, None, host=hosts.GATEWAY4, timeout=2) as i:
                i.exactly(1)
        except (Gone, OSError):
            count += 1
        if count >= 5:  # the fifth's ban is on its way
            wait_for(lambda: is_banned(net), 5)
    return count


def connections(net, gw, count):
    """Of so many more, how many come up."""
    up = 0
    while count > 0:
        begun = [net.client.begin(gw.port) for _ in range(min(BURST, count))]
        count -= len(begun)
        ready = set(select.select([], begun, [], 0.05)[1])
        for s in begun:
            up += s in ready and s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) in (0, errno.ECONNREFUSED)
            s.close()
    return up


def run(net):
    ca = pki.CA()
    identity = ca.client(CLIENT)
    gw = Gateway(policy=POLICY, ca=ca.pem, server=ca.server())
    try:
        gw.start(wrapper=("ip", "netns", "exec", net.gateway.name))
        with net.other.inside():
            live = TlsInitiator(gw.port, ca, identity, host=hosts.GATEWAY4).login()
        heard = bad_handshakes(net, gw, ca)
        up = connections(net, gw, HANDSHAKES - heard)
        check(heard == 5 and up == 0, "P6: of 1000 handshakes without a certificate five are heard, and then no connection comes up", heard, up)
        refused = reasons(gw, "refusal", lambda r: len(r) == 5)
        check(list(refused) == ["tls-no-certificate"] * 5, "each has its reason in the audit", refused)
        check(live.read(0, 1)[0] == 0, "P6: who is here goes on")
        live.close()
        with net.other.inside(), TlsInitiator(gw.port, ca, identity, host=hosts.GATEWAY4).login() as i:
            check(i.read(0, 1)[0] == 0, "P6: another address comes in")
        check(gw.is_well(), "and all is well", gw.log())
    finally:
        gw.close()


def main():
    why = hosts.unavailable()
    if why:
        report.skip("1000 handshakes from one address", why)
        return
    with hosts.Network("client", "other") as net:
        run(net)
    report.finish()


if __name__ == "__main__":
    main()
