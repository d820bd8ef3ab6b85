"""A small iSCSI initiator for the tests: speaks PDUs over a socket, well or badly, as it is told."""
import hashlib, os, socket, struct

from harness import CLIENT, MUTUAL, SECRET, TARGET

HASHES = {5: "md5", 6: "sha1", 7: "sha256", 8: "sha3_256"}
NOP_OUT, COMMAND, TASK, LOGIN, TEXT, DATA_OUT, LOGOUT = 0, 1, 2, 3, 4, 5, 6
NOP_IN, RESPONSE, TASK_RESPONSE, LOGIN_RESPONSE, TEXT_RESPONSE, DATA_IN, LOGOUT_RESPONSE = 32, 33, 34, 35, 36, 37, 38
R2T, ASYNC, REJECT = 49, 50, 63


class Gone(Exception):
    """The gateway closed the connection."""


class Refused(Exception):
    """A login status other than success; .status is class and detail."""

    def __init__(self, status):
        super().__init__(f"login status {status:#06x}")
        self.status = status


class Pdu:
    def __init__(self, bhs, data=b""):
        self.bhs, self.data = bhs, data

    opcode = property(lambda self: self.bhs[0] & 0x3f)
    flags = property(lambda self: self.bhs[1])
    itt = property(lambda self: self.u32(16))
    ttt = property(lambda self: self.u32(20))
    status = property(lambda self: self.bhs[3])

    def u32(self, at):
        return struct.unpack_from(">I", self.bhs, at)[0]


def text(**pairs):
    return b"".join(f"{k.replace('__', '#')}={v}".encode() + b"\0" for k, v in pairs.items())


def keys(data):
    return dict(p.split("=", 1) for p in data.decode(errors="replace").split("\0") if "=" in p)


class Initiator:
    def __init__(self, port, host="127.0.0.1", name=CLIENT, isid=None, timeout=10):
        self.name, self.isid = name, isid or b"\x80" + os.urandom(5)
        self.itt, self.cmdsn, self.expstatsn, self.tsih = 1, 1, 0, 0
        self.maxcmdsn = 1
        self.socket = socket.create_connection((host, port), timeout)
        self.keys = {}

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # --- PDUs ---------------------------------------------------------------------------------------------
    def raw(self, data):
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Gone from error

    def send(self, opcode, flags=0x80, data=b"", lun=0, itt=None, fields=b"", immediate=False):
        """`fields`: octets 20 to 47."""
        itt = self.itt if itt is None else itt
        bhs = struct.pack(">BBHI8sI", opcode | (0x40 if immediate else 0), flags, 0, len(data),
                          struct.pack(">HHI", lun, 0, 0), itt) + fields.ljust(28, b"\0")
        self.raw(bhs + data + bytes(-len(data) % 4))

    def exactly(self, n):
        out = b""
        while len(out) < n:
            try:
                got = self.socket.recv(n - len(out))
            except ConnectionResetError as error:
                raise Gone from error
            if not got:
                raise Gone
            out += got
        return out

    def receive(self):
        bhs = self.exactly(48)
        ahs, length = bhs[4] * 4, int.from_bytes(bhs[5:8], "big")
        self.exactly(ahs)
        data = self.exactly(length + -length % 4)[:length]
        pdu = Pdu(bhs, data)
        if pdu.opcode in (NOP_IN, RESPONSE, TASK_RESPONSE, LOGIN_RESPONSE, TEXT_RESPONSE, LOGOUT_RESPONSE, REJECT, ASYNC) or \
                (pdu.opcode == DATA_IN and pdu.flags & 1):
            if not (pdu.opcode == NOP_IN and pdu.itt == 0xffffffff):
                self.expstatsn = (pdu.u32(24) + 1) & 0xffffffff
        if pdu.opcode != REJECT or True:
            self.maxcmdsn = pdu.u32(32)
        return pdu

    # --- login ---------------------------------------------------------------------------------------------
    def login_pdu(self, csg, nsg, data, transit=True, cont=False):
        flags = (0x80 if transit else 0) | (0x40 if cont else 0) | csg << 2 | nsg
        bhs = struct.pack(">BBBBI6sHIHHII16x", 0x43, flags, 0, 0, len(data), self.isid, self.tsih, self.itt, 0, 0,
                          self.cmdsn, self.expstatsn)
        self.raw(bhs + data + bytes(-len(data) % 4))

    def login_answer(self):
        pdu = self.receive()
        assert pdu.opcode == LOGIN_RESPONSE, hex(pdu.opcode)
        status = struct.unpack_from(">H", pdu.bhs, 36)[0]
        if status:
            raise Refused(status)
        self.keys.update(keys(pdu.data))
        return pdu

    def login(self, user="alice", secret=SECRET, mutual=MUTUAL, target=TARGET, algorithms="8,7,6,5", more=None):
        """The whole login: security with CHAP, then operational. `target` None: discovery."""
        names = {"InitiatorName": self.name, "AuthMethod": "CHAP"}
        names.update({"SessionType": "Discovery"} if target is None else {"SessionType": "Normal", "TargetName": target})
        self.login_pdu(0, 1, text(**names), transit=False)
        self.login_answer()
        self.login_pdu(0, 1, text(CHAP_A=algorithms), transit=False)
        answer = keys(self.login_answer().data)
        kind = HASHES[int(answer["CHAP_A"])]
        challenge = bytes.fromhex(answer["CHAP_C"][2:])
        response = hashlib.new(kind, bytes([int(answer["CHAP_I"])]) + secret.encode() + challenge).hexdigest()
        proof = {"CHAP_N": user, "CHAP_R": "0x" + response}
        mine = os.urandom(24)
        if mutual is not None:
            proof |= {"CHAP_I": "7", "CHAP_C": "0x" + mine.hex()}
        self.login_pdu(0, 1, text(**proof))
        answer = keys(self.login_answer().data)
        if mutual is not None:
            want = hashlib.new(kind, b"\x07" + mutual.encode() + mine).hexdigest()
            assert answer["CHAP_R"].lower() == "0x" + want, "the gateway's proof is wrong"
        operational = dict(HeaderDigest="None", DataDigest="None", MaxRecvDataSegmentLength="262144")
        if target is not None:
            operational |= dict(InitialR2T="No", ImmediateData="Yes", MaxBurstLength="262144", FirstBurstLength="65536",
                                MaxOutstandingR2T="1", MaxConnections="1", ErrorRecoveryLevel="0")
        self.login_pdu(1, 3, text(**{**operational, **(more or {})}))
        pdu = self.login_answer()
        self.tsih = struct.unpack_from(">H", pdu.bhs, 14)[0]
        return self

    # --- full feature -----------------------------------------------------------------------------------------
    def command(self, cdb, lun=0, read=0, write=b"", immediate_data=True):
        """Sends one command; its task tag."""
        self.itt += 1
        flags = 0x80 | (0x40 if read else 0) | (0x20 if write else 0) | 1
        data = write if immediate_data and len(write) <= 65536 else b""
        fields = struct.pack(">III", read or len(write), self.cmdsn, self.expstatsn) + bytes(cdb).ljust(16, b"\0")
        self.cmdsn = (self.cmdsn + 1) & 0xffffffff
        self.send(COMMAND, flags, data, lun, fields=fields)
        return self.itt

    def answer(self, itt, write=b""):
        """The end of a command: (status, data or sense). Serves R2Ts from `write`."""
        data = b""
        while True:
            pdu = self.receive()
            if pdu.opcode == NOP_IN and pdu.ttt != 0xffffffff:
                self.send(NOP_OUT, 0x80, itt=0xffffffff, immediate=True,
                          fields=struct.pack(">III", pdu.ttt, self.cmdsn, self.expstatsn))
            elif pdu.itt != itt:
                continue
            elif pdu.opcode == R2T:
                at, length = pdu.u32(40), pdu.u32(44)
                self.send(DATA_OUT, 0x80, write[at:at + length], itt=itt,
                          fields=struct.pack(">III", pdu.ttt, 0, self.expstatsn) + struct.pack(">III", 0, 0, at))
            elif pdu.opcode == DATA_IN:
                data += pdu.data
                if pdu.flags & 1:
                    return pdu.status, data
            elif pdu.opcode == RESPONSE:
                return pdu.status, data or pdu.data
            elif pdu.opcode == REJECT:
                return 0x100 | pdu.bhs[2], b""

    def run(self, cdb, lun=0, read=0, write=b""):
        return self.answer(self.command(cdb, lun, read, write), write)

    def read(self, lba, blocks, lun=0):
        return self.run(struct.pack(">BBQIBB", 0x88, 0, lba, blocks, 0, 0), lun, read=blocks * 512)

    def write(self, lba, data, lun=0, fua=False):
        return self.run(struct.pack(">BBQIBB", 0x8a, 8 if fua else 0, lba, len(data) // 512, 0, 0), lun, write=data)

    def ready(self, lun=0):
        return self.run(bytes(6), lun)

    def nop(self, immediate=True):
        self.itt += 1
        self.send(NOP_OUT, 0x80, b"ping", immediate=immediate,
                  fields=struct.pack(">III", 0xffffffff, self.cmdsn, self.expstatsn))
        if not immediate:
            self.cmdsn += 1
        while True:
            pdu = self.receive()
            if pdu.opcode == NOP_IN and pdu.itt == self.itt:
                return pdu.data

    def task(self, function, itt, lun=0):
        """Task management; the response code."""
        self.itt += 1
        mine = self.itt
        self.send(TASK, 0x80 | function, lun=lun, immediate=True,
                  fields=struct.pack(">IIII", itt, self.cmdsn, self.expstatsn, 0))
        while True:
            pdu = self.receive()
            if pdu.opcode == TASK_RESPONSE and pdu.itt == mine:
                return pdu.bhs[2]

    def logout(self):
        self.itt += 1
        self.send(LOGOUT, 0x80, immediate=True, fields=struct.pack(">III", 0, self.cmdsn, self.expstatsn))
        while True:
            pdu = self.receive()
            if pdu.opcode == LOGOUT_RESPONSE:
                return pdu.bhs[2]
