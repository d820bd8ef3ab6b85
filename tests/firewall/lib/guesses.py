"""Somebody guesses at a secret from one address, while another address logs in."""
import errno
import json
import multiprocessing
import select
import socket
import time

from firewall.lib import hosts
from firewall.lib.guests import POLICY, WRONG, enter, outcome
from harness import Gateway, wait_for

GUESSES = 1000
BURST = 50  # connections that are begun together


def gateway():
    return Gateway(policy=POLICY, more="auth: {bans: {after: 5, exempt: [10.99.2.0/24]}}\n")


def drops(net):
    """What the kernel dropped of banned sources, in packets."""
    listed = json.loads(net.gateway.run("nft", "-j", "list", "chain", "inet", "sallyport-bans", "input").stdout)
    return sum(e["counter"]["packets"] for row in listed["nftables"] for e in row.get("rule", {}).get("expr", ())
               if "counter" in e)


def guess(net, gw, count=GUESSES):
    """So many guesses of the client's: how many were answered, and how many were dropped."""
    answered = 0
    while answered < count and outcome(net.client, gw, secret=WRONG) == "0x201":
        answered += 1
        if answered == 5:  # the fifth's ban is on its way to the kernel
            wait_for(lambda: net.client.ip4 in net.gateway.run("nft", "list", "set", "inet", "sallyport-bans", "v4").stdout)
            break
    connected, left = 0, count - answered
    while left > 0:
        begun = [net.client.begin(gw.port) for _ in range(min(BURST, left))]
        left -= len(begun)
        ready = set(select.select([], begun, [], 0.05)[1])
        for s in begun:
            connected += s in ready and s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) in (0, errno.ECONNREFUSED)
            s.close()
    return answered, connected


def login_time(net, gw, k):
    """Seconds that a login takes from the other host; `k` chooses one of its addresses, so that no rate is reached."""
    start = time.perf_counter()
    enter(net.other, gw, source=f"10.99.2.{1 + k % 250}").close()
    return time.perf_counter() - start


class Guesser:
    """guess() in a process of its own."""

    def __init__(self, net, gw):
        fork = multiprocessing.get_context("fork")
        self.queue = fork.SimpleQueue()
        self.process = fork.Process(target=lambda: self.queue.put(guess(net, gw)))
        self.process.start()

    def works(self):
        return self.process.is_alive()

    def result(self):
        answers = self.queue.get()
        self.process.join()
        return answers
