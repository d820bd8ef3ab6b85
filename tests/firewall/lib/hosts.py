"""Hosts in network namespaces: a gateway in the middle, every other host behind a link of its own.

The gateway has 10.77.0.1 and fd77::1. Host N has 10.77.N.2 and fd77:N::2 (its gateway .1 and ::1),
and, for tests that need many sources, all of 10.99.N.0/24 and fd99:N::/48. Sockets are made inside
a namespace and used from the test's own process, so no helper process is left behind.
"""
import contextlib
import ctypes
import errno
import os
import select
import socket
import subprocess

CLONE_NEWNET = 0x40000000
IPV6_FREEBIND = 78
IP_FREEBIND = 15
GATEWAY4, GATEWAY6 = "10.77.0.1", "fd77::1"
DROPPED_AFTER = 0.4  # seconds: before the first SYN is sent again
libc = ctypes.CDLL(None, use_errno=True)


def unavailable():
    """Why namespaces can't be made here, or None."""
    if os.geteuid() != 0:
        return "needs root"
    for program in ("ip", "nft"):
        if not any(os.access(f"{folder}/{program}", os.X_OK) for folder in ("/usr/sbin", "/sbin", "/bin")):
            return f"{program} is not installed"
    name = f"sp{os.getpid()}probe"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
    if made.returncode != 0:
        return f"no network namespaces: {made.stderr.strip()}"
    listed = subprocess.run(["ip", "netns", "exec", name, "nft", "list", "ruleset"], capture_output=True, text=True)
    subprocess.run(["ip", "netns", "del", name])
    return None if listed.returncode == 0 else f"nft does not work here: {listed.stderr.strip()}"


class Host:
    def __init__(self, name, number):
        self.name, self.number = name, number
        self.ip4, self.ip6 = f"10.77.{number}.2", f"fd77:{number}::2"
        self.link = f"h{number}"  # in the gateway

    def ip(self, *arguments):
        subprocess.run(["ip", "-n", self.name, *arguments], check=True, capture_output=True)

    def run(self, *command, check=True, **more):
        done = subprocess.run(["ip", "netns", "exec", self.name, *command], capture_output=True, text=True, **more)
        if check and done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
        return done

    @contextlib.contextmanager
    def inside(self):
        """This thread, with the sockets that it makes and the processes that it starts, is in the namespace."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        there = os.open(f"/run/netns/{self.name}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            if libc.setns(there, CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
            yield
        finally:
            if libc.setns(home, CLONE_NEWNET) != 0:
                os._exit(70)  # nothing may run in the wrong namespace
            os.close(home)
            os.close(there)

    def socket(self, family):
        with self.inside():
            return socket.socket(family, socket.SOCK_STREAM)

    def listen(self, port):
        """Listening sockets of both families on every address, in a dict by family."""
        made = {}
        for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
            s = made[family] = self.socket(family)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            s.bind((address, port))
            s.listen(1024)
        return made

    def begin(self, port, source=None, to=None):
        """Starts a connection to the gateway, by IPv6 when `source` or `to` says so."""
        six = ":" in (source or to or "")
        s = self.socket(socket.AF_INET6 if six else socket.AF_INET)
        s.setblocking(False)
        if source:
            s.setsockopt(socket.IPPROTO_IPV6 if six else socket.IPPROTO_IP,
                         IPV6_FREEBIND if six else IP_FREEBIND, 1)
            s.bind((source, 0))
        result = s.connect_ex((to or (GATEWAY6 if six else GATEWAY4), port))
        if result not in (0, errno.EINPROGRESS):
            s.close()
            raise OSError(result, os.strerror(result))
        return s

    def connect(self, port, source=None, to=None, wait=DROPPED_AFTER):
        """A connected socket, or None when nothing answers in time (dropped) or it is refused."""
        s = self.begin(port, source, to)
        return s if connected(s, wait) else None

    def reaches(self, port, source=None, to=None, wait=DROPPED_AFTER):
        s = self.connect(port, source, to, wait)
        if s is None:
            return False
        s.close()
        return True


def connected(s, wait=DROPPED_AFTER):
    """Whether the connection that was begun comes up in time; closes it when not."""
    if select.select([], [s], [], wait)[1] and s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
        s.setblocking(True)
        s.settimeout(30)
        return True
    s.close()
    return False


class Network:
    """with Network("client", "stranger") as net: net.gateway, net.client, net.stranger"""

    def __init__(self, *names):
        unique = f"sp{os.getpid()}"
        self.gateway = Host(f"{unique}gateway", 0)
        self.hosts = [Host(f"{unique}{name}", number) for number, name in enumerate(names, 1)]
        for name, host in zip(names, self.hosts):
            setattr(self, name, host)

    def __enter__(self):
        try:
            self.make()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for host in [self.gateway, *self.hosts]:
            subprocess.run(["ip", "netns", "del", host.name], capture_output=True)

    def make(self):
        gateway = self.gateway
        for host in [gateway, *self.hosts]:
            subprocess.run(["ip", "netns", "add", host.name], check=True, capture_output=True)
            host.ip("link", "set", "lo", "up")
        gateway.ip("addr", "add", f"{GATEWAY4}/32", "dev", "lo")
        gateway.ip("addr", "add", f"{GATEWAY6}/128", "dev", "lo", "nodad")
        for host in self.hosts:
            n = host.number
            gateway.ip("link", "add", host.link, "type", "veth", "peer", "name", "up0", "netns", host.name)
            for where, link, last in ((gateway, host.link, 1), (host, "up0", 2)):
                where.ip("link", "set", link, "up")
                where.ip("addr", "add", f"10.77.{n}.{last}/24", "dev", link)
                where.ip("addr", "add", f"fd77:{n}::{last}/64", "dev", link, "nodad")
            host.ip("route", "add", "default", "via", f"10.77.{n}.1")
            host.ip("-6", "route", "add", "default", "via", f"fd77:{n}::1")
            host.ip("route", "add", "local", f"10.99.{n}.0/24", "dev", "lo")
            host.ip("-6", "route", "add", "local", f"fd99:{n}::/48", "dev", "lo")
            gateway.ip("route", "add", f"10.99.{n}.0/24", "via", f"10.77.{n}.2")
            gateway.ip("-6", "route", "add", f"fd99:{n}::/48", "via", f"fd77:{n}::2")
