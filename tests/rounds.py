"""An initiator at the far end of a long line, which counts round trips instead of waiting for them.

What it sends is kept until it can go no further without an answer; then all of it goes at once, and one round trip is
counted. Before it sends again it takes all that the gateway has to say to the round before: of each command its end, or
as many R2Ts as were agreed on, or all that it needs. A gateway that says less keeps it waiting until its socket gives up.
"""
from initiator import *

# What initiators offer by themselves; what nobody says is the standard's default.
OPEN_ISCSI = dict(InitialR2T="No", ImmediateData="Yes", FirstBurstLength="262144", MaxBurstLength="16776192",
                  MaxOutstandingR2T="1", MaxRecvDataSegmentLength="262144")
LIBISCSI = OPEN_ISCSI | dict(MaxBurstLength="262144")
DEFAULTS = dict(InitialR2T="Yes", ImmediateData="Yes", FirstBurstLength="65536", MaxBurstLength="262144",
                MaxOutstandingR2T="1", MaxRecvDataSegmentLength="8192")  # RFC 7143 sections 13.10 to 13.17
MANY_BURSTS = LIBISCSI | dict(MaxOutstandingR2T="16")
SEGMENT = 262144  # of the gateway


class Task:
    """A command: what is still to be sent of its data, and what it got."""

    def __init__(self, data):
        self.data, self.asked, self.open, self.status, self.got, self.r2ts = data, 0, [], None, b"", 0


class Rounds(Initiator):
    def login(self, *args, **kwargs):
        super().login(*args, **kwargs)
        agreed = {k: self.keys.get(k) for k in OPEN_ISCSI}
        self.first_burst, self.burst, self.at_once = (int(agreed[k]) for k in ("FirstBurstLength", "MaxBurstLength", "MaxOutstandingR2T"))
        self.unasked = self.first_burst if agreed["ImmediateData"] == "Yes" else 0
        self.unasked_by_itself = agreed["InitialR2T"] == "No"
        self.segment, self.tasks, self.kept, self.rounds = SEGMENT, {}, bytearray(), 0
        return self

    def raw(self, data):
        """Once there are rounds, nothing leaves by itself."""
        if hasattr(self, "kept"):
            self.kept += data
        else:
            super().raw(data)

    def begin(self, cdb, lun=0, read=0, write=b""):
        """A command, and what of its data may go unasked."""
        self.itt += 1
        task = self.tasks[self.itt] = Task(write)
        task.asked = min(len(write), self.first_burst if self.unasked_by_itself else min(self.unasked, self.segment))
        now = min(task.asked, self.unasked, self.segment)
        flags = (0x80 if now == task.asked else 0) | (0x40 if read else 0) | (0x20 if write else 0) | SIMPLE
        fields = struct.pack(">III", read or len(write), self.cmdsn, self.expstatsn)
        self.cmdsn = (self.cmdsn + 1) & 0xffffffff
        self.send(COMMAND, flags, write[:now], lun=lun, fields=fields + bytes(cdb).ljust(16, b"\0"))
        if now < task.asked:
            self.send_data(self.itt, 0xffffffff, now, task.asked - now)
        return self.itt

    def send_data(self, itt, ttt, at, length):
        data = self.tasks[itt].data
        for n, start in enumerate(range(at, at + length, self.segment)):
            end = min(start + self.segment, at + length)
            self.data_out(itt, ttt, start, data[start:end], n, end == at + length)

    def waits(self, task):
        """Can the gateway still say more, without one octet more from here?"""
        return task.status is None and task.asked < len(task.data) and len(task.open) < self.at_once or \
            task.status is None and not task.open

    def take(self):
        pdu = self.receive()
        if pdu.opcode == NOP_IN:
            raise AssertionError("a ping has no place here")
        task = self.tasks[pdu.itt]
        if pdu.opcode == R2T:
            task.open.append((pdu.ttt, pdu.u32(40), pdu.u32(44)))
            task.asked += pdu.u32(44)
            task.r2ts += 1
        elif pdu.opcode == DATA_IN:
            task.got += pdu.data
        if pdu.opcode == RESPONSE or pdu.opcode == DATA_IN and pdu.flags & 1:
            task.status = pdu.status

    def round(self):
        """All that is kept goes over; all answers to it come back."""
        octets, self.kept = bytes(self.kept), bytearray()
        super().raw(octets)
        self.rounds += 1
        while any(self.waits(t) for t in self.tasks.values()):
            self.take()
        for itt, task in self.tasks.items():
            for ttt, at, length in task.open:
                self.send_data(itt, ttt, at, length)
            task.open = []

    def finish(self):
        """All that was begun to its end: the round trips that it took, and the tasks."""
        self.rounds = 0
        while any(t.status is None for t in self.tasks.values()):
            self.round()
        tasks, self.tasks = self.tasks, {}
        return self.rounds, tasks
