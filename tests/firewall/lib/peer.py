"""The monitor's end of the firewall process's channel, as policy/firewall.h describes it."""
import collections
import fcntl
import os
import pathlib
import socket
import struct
import subprocess
import sys
import tempfile

LOAD, BAN, UNBAN, UNLOAD, READY, LOADED, BANNED = range(1, 8)
DRIFT = 10
FOUND, RESTORED, OVER, FAILED, BLIND = range(1, 6)
Drift = collections.namedtuple("Drift", "state changes wait restored changed by why")
F_ADD_SEALS, SEALS = 1033, 0x1 | 0x2 | 0x4 | 0x8  # seal, shrink, grow, write
ROOT = pathlib.Path(__file__).resolve().parents[3]
PROGRAM = pathlib.Path(os.environ.get("SALLYPORT_BUILD", ROOT / "build")) / "sallyport"
STARTER = ("import os, sys\nfd = int(sys.argv[1])\nos.dup2(fd, 3)\n"
           "if fd != 3: os.close(fd)\n"
           "os.execvpe(sys.argv[2], sys.argv[2:], {})")


def change_packet(kind, block, seconds):
    """BAN or UNBAN of a block; an address alone is its own /32 or /64."""
    address, _, prefix = block.partition("/")
    six = ":" in address
    octets = socket.inet_pton(socket.AF_INET6 if six else socket.AF_INET, address).ljust(16, b"\0")
    return struct.pack("=IB16s3xIB3xII", kind, 6 if six else 4, octets, 0, int(prefix or (64 if six else 32)),
                       seconds, 0)


class Firewall:
    """`sallyport internal firewall` in a host's namespace, with our socket as its channel."""

    def __init__(self, host, *wrapper, program=PROGRAM):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.channel, self.log, self.drifts = ours, tempfile.TemporaryFile(), []
        ours.settimeout(60)
        command = [sys.executable, "-S", "-c", STARTER, str(theirs.fileno()), *wrapper, str(program), "internal",
                   "firewall"]
        with host.inside():
            self.process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL,
                                            stdout=subprocess.DEVNULL, stderr=self.log, cwd="/")
        theirs.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.channel.close()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def said(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def receive(self):
        packet = self.channel.recv(8192)
        if not packet:
            raise AssertionError(f"the firewall process is gone: {self.said()}")
        return packet

    def drift(self, wait=60):
        """The next that it tells of changed rules; None: nothing in time."""
        if not self.drifts:
            self.channel.settimeout(wait)
            try:
                self.drifts.append(self.receive())
            except TimeoutError:
                return None
            finally:
                self.channel.settimeout(60)
        kind, *numbers, changed, by, why = struct.unpack("=IIIII448s64s192s", self.drifts.pop(0))
        assert kind == DRIFT, f"message {kind} instead of {DRIFT}"
        return Drift(*numbers, *(text.split(b"\0")[0].decode() for text in (changed, by, why)))

    def answer(self, want):
        """(ok, why, sandbox layers) of the next message, which is to be of this type."""
        packet = self.receive()
        while packet[:4] == struct.pack("=I", DRIFT):
            self.drifts.append(packet)
            packet = self.receive()
        if len(packet) != 524:
            raise AssertionError(f"the firewall process answered {packet[:32]!r}: {self.said()}")
        kind, fine, layers, why = struct.unpack("=III512s", packet)
        assert kind == want, f"message {kind} instead of {want}"
        return bool(fine), why.split(b"\0")[0].decode(), layers

    def load(self, script, sealed=True, restore=True, look_ms=0):
        fd = os.memfd_create("script", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.write(fd, script.encode())
            if sealed:
                fcntl.fcntl(fd, F_ADD_SEALS, SEALS)
            socket.send_fds(self.channel, [struct.pack("=III", LOAD, restore, look_ms)], [fd])
        finally:
            os.close(fd)
        return self.answer(LOADED)[:2]

    def change(self, kind, block, seconds=0):
        self.channel.send(change_packet(kind, block, seconds))
        return self.answer(BANNED)[:2]

    def ban(self, block, seconds=600):
        return self.change(BAN, block, seconds)

    def lift(self, block):
        return self.change(UNBAN, block)

    def unload(self):
        self.channel.send(struct.pack("=I", UNLOAD))
        return self.answer(LOADED)[:2]
