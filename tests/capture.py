"""What stood on the wire: dumpcap records a gateway's ports while a test runs, and tshark must find nothing wrong.

    with Capture(gw.port) as wire:
        ...
    wire.check(AREA, "captures of qemu-img")

Recording needs root (the tests of root have a network of their own, so nobody else's traffic is in the file);
without it, or without tshark, the sentence is skipped. Every octet is kept: tshark puts PDUs together again.
tshark loses its place in a connection where fewer octets than a PDU's head end a segment, so it is given the same
octets with a segment for each PDU.
"""
import os, pathlib, re, shutil, socket, struct, subprocess, tempfile
from harness import check, run, skip, wait_for

SEGMENT = 60000
WRONG = "_ws.malformed || _ws.expert.severity == error"


class Way:
    """The octets of one connection in one direction, put in order again."""

    def __init__(self, first):
        self.expected, self.early, self.octets, self.sent = first, {}, bytearray(), 1

    def add(self, first, octets):
        self.early[first] = max(octets, self.early.get(first, b""), key=len)
        for at in sorted(self.early):
            if at > self.expected:
                break
            fresh = self.early.pop(at)[self.expected - at:]
            self.octets += fresh
            self.expected += len(fresh)


class Wire:
    """Connections, cut into PDUs (RFC 7143, 11.2) and written with a segment, or several, for each."""

    def __init__(self, path):
        self.file, self.ways, self.digests, self.strange = open(path, "wb"), {}, {}, []
        self.file.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 1 << 18, 101))

    def segment(self, when, stream, source, to, first, octets):
        way = self.ways.setdefault((stream, source), Way(first))
        way.add(first, octets)
        while (size := self.size(stream, way.octets)) and size <= len(way.octets):
            pdu, way.octets = way.octets[:size], way.octets[size:]
            if pdu[0] & 0x3f == 0x23:
                keys = bytes(pdu[48:]).split(b"\0")
                old = self.digests.get(stream, (0, 0))
                self.digests[stream] = tuple(4 if key + b"=CRC32C" in keys else before
                                             for key, before in zip((b"HeaderDigest", b"DataDigest"), old))
            if pdu[0] & 0x3f not in (*range(0x07), 0x10, *range(0x20, 0x27), 0x31, 0x32, 0x3f):
                self.strange.append(f"connection {stream} from port {source}: opcode {pdu[0] & 0x3f:#x}")
            for at in range(0, size, SEGMENT):
                self.write(when, source, to, way, self.ways.get((stream, to)), bytes(pdu[at:at + SEGMENT]))

    def size(self, stream, octets):
        """Of the PDU that the octets begin with; 0: that can't be told yet."""
        if len(octets) < 48:
            return 0
        head, data = self.digests.get(stream, (0, 0)) if octets[0] & 0x3f not in (0x03, 0x23) else (0, 0)
        length = int.from_bytes(octets[5:8], "big")
        return 48 + 4 * octets[4] + head + -(-length // 4) * 4 + (data if length else 0)

    def write(self, when, source, to, way, back, octets):
        tcp = struct.pack(">HHIIBBHHH", source, to, way.sent & 0xffffffff, back.sent & 0xffffffff if back else 0, 0x50, 0x18,
                          65535, 0, 0) + octets
        ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0, b"\x7f\0\0\1", b"\x7f\0\0\1") + tcp
        self.file.write(struct.pack("<IIII", int(when), int(when % 1 * 1e6), len(ip), len(ip)) + ip)
        way.sent += len(octets)


class Capture:
    """Records the TCP ports on an interface from entering to leaving; `reason` says why it could not."""

    def __init__(self, *ports, interface="lo"):
        self.ports, self.interface, self.process = ports, interface, None
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="wire-"))
        self.file, self.messages = self.folder / "wire.pcapng", self.folder / "messages"
        self.reason = None

    def __enter__(self):
        if not shutil.which("dumpcap") or not shutil.which("tshark"):
            self.reason = "tshark is not installed"
            return self
        only = " or ".join(["udp port 9", *(f"tcp port {port}" for port in self.ports)])
        with open(self.messages, "wb") as out:
            self.process = subprocess.Popen(["dumpcap", "-q", "-i", self.interface, "-f", only, "-B", "128", "-w",
                                             str(self.file)], stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        wait_for(lambda: self.process.poll() is not None or "File: " in self.messages.read_text(errors="replace"))
        if self.process.poll() is not None or "File: " not in self.messages.read_text(errors="replace"):
            self.reason = "dumpcap may not listen here"
        return self

    def flush(self):
        """Packets come in order: when a datagram sent now is in the file, all before it are."""
        mark = os.urandom(16)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(mark, ("127.0.0.1", 9))

        def is_there():
            with open(self.file, "rb") as f:
                f.seek(max(0, self.file.stat().st_size - (1 << 20)))
                return mark in f.read()
        if not wait_for(is_there):
            self.reason = self.reason or "dumpcap does not keep up"

    def __exit__(self, *exception):
        if self.process is None:
            return
        if self.reason is None:
            self.flush()
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            self.reason = self.reason or "dumpcap did not end"
        missed = re.search(r"dropped on interface .*: \d+/([1-9]\d*)", self.messages.read_text(errors="replace"))
        if missed:
            self.reason = f"the machine was too busy: {missed[1]} packets are not in the capture"

    def parted(self):
        """Puts a segment for each PDU into the file that tshark is to judge; what is no PDU, it says."""
        wire = Wire(self.folder / "parted.pcap")
        for row in self.table("tcp.len > 0", "frame.time_epoch", "tcp.stream", "tcp.srcport", "tcp.dstport", "tcp.seq",
                              "tcp.payload"):
            wire.segment(float(row[0]), *map(int, row[1:5]), bytes.fromhex(row[5]))
        wire.file.close()
        self.file = self.folder / "parted.pcap"
        return wire.strange

    def show(self, condition, *more):
        """The lines tshark prints of the frames that fulfil the condition."""
        known = [word for port in self.ports for word in ("-d", f"tcp.port=={port},iscsi")]
        done = run("tshark", "-n", "-r", self.file, *known, "-Y", condition, *more, timeout=600)
        return done.stdout.splitlines() if done.returncode == 0 else [done.stderr]

    def table(self, condition, *fields):
        """Rows of these fields."""
        words = [word for field in fields for word in ("-e", field)]
        return [line.split("\t") for line in self.show(condition, "-T", "fields", *words)]

    def wrong(self):
        """Frames of the gateway's that tshark complains of. Data that the initiator wanted cut short (of a page,
        only its head) is a broken page to it, and none to us."""
        ours = " || ".join(f"tcp.srcport == {port}" for port in self.ports)
        suspects = self.table(f"({WRONG}) && ({ours})", "frame.number", "iscsi.opcode", "iscsi.datasegmentlength",
                              "iscsi.request_frame")
        wanted = dict(self.table("iscsi.opcode == 0x01", "frame.number", "iscsi.scsicommand.expecteddatatransferlength")
                      if suspects else [])

        def is_cut_short(row):
            _, opcodes, lengths, requests = (cell.split(",") for cell in row)
            asked = {amount for number in requests for amount in wanted.get(number, "").split(",")}
            return any(o == "0x25" and n in asked for o, n in zip(opcodes, lengths))
        excused = [row[0] for row in suspects if len(row) == 4 and is_cut_short(row)]
        return self.show(" ".join([f"({WRONG}) && ({ours})", *(f"&& frame.number != {n}" for n in excused)])) if suspects else []

    def check(self, area, what):
        """One sentence: nothing malformed, no error, and there was something to look at."""
        sentence = f"tshark finds no malformed packet and no error in {what}"
        try:
            if self.reason:
                return skip(area, sentence, self.reason)
            wrong = self.parted() + self.wrong()
            seen = self.table("iscsi.opcode", "iscsi.opcode")
            fine = not wrong and len(seen) > 2
            return check(area, sentence, fine, "\n".join(wrong[:20]) or f"only {len(seen)} frames with a PDU")
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)
