"""What stood on the wire: dumpcap records a gateway's ports while a test runs, and tshark must find nothing wrong.

    with Capture(gw.port) as wire:
        ...
    wire.check(AREA, "captures of qemu-img")

Recording needs root (the tests of root have a network of their own, so nobody else's traffic is in the file);
without it, or without tshark, the sentence is skipped. Every octet is kept: tshark puts PDUs together again.
Don't capture connections with one digest of the two: tshark guesses from the octets whether data have a digest, takes
the head of a PDU for one where 4 octets of it end a segment, and reads nonsense from there on.
"""
import os, pathlib, re, shutil, socket, subprocess, tempfile
from harness import check, run, skip, wait_for

WRONG = "_ws.malformed || _ws.expert.severity == error"


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
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            self.reason = self.reason or "dumpcap did not end"
        missed = re.search(r"dropped on interface .*: \d+/([1-9]\d*)", self.messages.read_text(errors="replace"))
        if missed:
            self.reason = f"the machine was too busy: {missed[1]} packets are not in the capture"

    def show(self, condition, *more):
        """The lines tshark prints of the frames that fulfil the condition."""
        known = [word for port in self.ports for word in ("-d", f"tcp.port=={port},iscsi")]
        # on a busy machine segments are sent again and come out of order, on the loopback interface too
        order = ("-o", "tcp.reassemble_out_of_order:TRUE")
        done = run("tshark", "-n", "-r", self.file, *order, *known, "-Y", condition, *more, timeout=170)
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
            wrong = self.wrong()
            seen = self.table("iscsi.opcode", "iscsi.opcode")
            fine = not wrong and len(seen) > 2
            return check(area, sentence, fine, "\n".join(wrong[:20]) or f"only {len(seen)} frames with a PDU")
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)
