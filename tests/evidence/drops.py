"""From a wrong secret to the kernel's drop: until the kernel tells that the ban is in its set."""
import select
import socket
import struct
import time

from evidence.figures import spread
from firewall.lib import hosts
from firewall.lib.guests import POLICY, WRONG
from harness import Gateway
from initiator import Initiator, Refused

TIMES = 100
NEW_ELEMENT = 10 << 8 | 12  # nf_tables' messages: an element is in a set
GROUP_NFTABLES = 7


class Kernel:
    """What the kernel says of changes to tables, in the gateway's namespace."""

    def __init__(self, host):
        with host.inside():
            self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
        self.socket.bind((0, 1 << GROUP_NFTABLES - 1))
        self.socket.settimeout(10)

    def forget(self):
        """What it said until now."""
        while select.select([self.socket], [], [], 0)[0]:
            self.socket.recv(65536)

    def element(self):
        """When the next element came into a set."""
        while True:
            data = self.socket.recv(65536)
            now = time.perf_counter()
            while len(data) >= 16:
                length, kind = struct.unpack_from("=IH", data)
                if kind == NEW_ELEMENT:
                    return now
                data = data[max(length + 3 & ~3, 16):]


def once(net, gw, kernel):
    """Seconds from the octets of a wrong proof to its address in the set."""
    with net.client.inside():
        i = Initiator(gw.port, host=hosts.GATEWAY4)
    with i:
        challenge = i.challenged()
        kernel.forget()
        start = time.perf_counter()
        try:
            i.prove(challenge, secret=WRONG)
        except Refused:
            pass
        return kernel.element() - start


def show():
    with hosts.Network("client") as net:
        gw = Gateway(policy=POLICY, more="auth: {bans: {after: 1}}\n")
        try:
            gw.start(wrapper=("ip", "netns", "exec", net.gateway.name))
            kernel, times = Kernel(net.gateway), []
            for _ in range(TIMES):
                times.append(once(net, gw, kernel))
                assert not net.client.reaches(gw.port, wait=0.05), "the address is in the set and gets in"
                gw.command("bans", "lift", net.client.ip4)
                net.gateway.run("nft", "flush", "set", "inet", "sallyport", "rate_4", check=False)
            print(spread(times))
        finally:
            gw.close()
