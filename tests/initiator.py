"""A small iSCSI initiator for the tests: speaks PDUs over a socket, well or badly, as it is told."""
import base64, hashlib, os, socket, struct

from harness import CLIENT, MUTUAL, SECRET, TARGET

HASHES = {5: "md5", 6: "sha1", 7: "sha256", 8: "sha3_256"}
NOP_OUT, COMMAND, TASK, LOGIN, TEXT, DATA_OUT, LOGOUT = 0, 1, 2, 3, 4, 5, 6
NOP_IN, RESPONSE, TASK_RESPONSE, LOGIN_RESPONSE, TEXT_RESPONSE, DATA_IN, LOGOUT_RESPONSE = 32, 33, 34, 35, 36, 37, 38
R2T, ASYNC, REJECT = 49, 50, 63
UNTAGGED, SIMPLE, ORDERED, HEAD_OF_QUEUE, ACA = range(5)  # task attributes, RFC 7143 section 11.3.1


class Gone(Exception):
    """The gateway closed the connection."""


class Refused(Exception):
    """A login status other than success; .status is class and detail, .octets the whole answer."""

    def __init__(self, status, octets=b""):
        super().__init__(f"login status {status:#06x}")
        self.status, self.octets = status, octets


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


def _crc_table():
    for n in range(256):
        for _ in range(8):
            n = n >> 1 ^ (0x82f63b78 if n & 1 else 0)
        yield n


CRC_TABLE = tuple(_crc_table())


def crc32c(data):
    """The digest of RFC 7143 section 13.1, as the four octets that are sent."""
    crc = 0xffffffff
    for octet in data:
        crc = CRC_TABLE[(crc ^ octet) & 0xff] ^ crc >> 8
    return struct.pack("<I", crc ^ 0xffffffff)


def read16(lba, blocks):
    return struct.pack(">BBQIBB", 0x88, 0, lba, blocks, 0, 0)


def write16(lba, blocks, fua=False):
    return struct.pack(">BBQIBB", 0x8a, 8 if fua else 0, lba, blocks, 0, 0)


def text(**pairs):
    return b"".join(f"{k.replace('__', '#')}={v}".encode() + b"\0" for k, v in pairs.items())


def keys(data):
    return dict(p.split("=", 1) for p in data.decode(errors="replace").split("\0") if "=" in p)


def hexed(octets):
    return "0x" + octets.hex()


def base64ed(octets):
    return "0b" + base64.b64encode(octets).decode()


def unbinary(value):
    return base64.b64decode(value[2:], validate=True) if value[1] in "bB" else bytes.fromhex(value[2:])


def chap(kind, number, secret, challenge):
    """The response of RFC 1994: of the identifier, the secret and the challenge."""
    return hashlib.new(HASHES[kind], bytes([number]) + secret.encode() + challenge).digest()


def attention(answer):
    """The ASC and ASCQ of a unit attention that an answer has, or None. Sense data of both formats."""
    status, data = answer
    key, code = (data[3:4], data[4:6]) if data[2:3] == b"\x72" else (data[4:5], data[14:16])
    return int.from_bytes(code, "big") if status == 2 and key[0] & 0xf == 6 else None


class Initiator:
    hears = True  # takes the unit attentions that a session begins with, in its login; else its first commands are told

    def __init__(self, port, host="127.0.0.1", name=CLIENT, isid=None, timeout=30, source=None):
        self.name, self.isid = name, isid or b"\x80" + os.urandom(5)
        self.itt, self.cmdsn, self.expstatsn, self.tsih = 1, 1, 0, 0
        self.maxcmdsn, self.cid = 1, 0
        self.header_digest = self.data_digest = False
        source = (source, 0) if isinstance(source, str) else source  # or a whole socket address, with a scope
        self.socket = socket.create_connection((host, port), timeout, source)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.keys = {}

    def close(self):
        self.socket.close()

    def reset(self):
        """Closes with RST: nothing that is on its way arrives."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
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

    def frame(self, opcode, flags=0x80, data=b"", lun=0, itt=None, fields=b"", immediate=False):
        """A header; `fields`: octets 20 to 47."""
        itt = self.itt if itt is None else itt
        return bytearray(struct.pack(">BBHI8sI", opcode | (0x40 if immediate else 0), flags, 0, len(data),
                                     struct.pack(">HHI", lun, 0, 0), itt) + fields.ljust(28, b"\0"))

    def put(self, head, data=b"", spoil=""):
        """Sends a PDU with the digests that were agreed on; `spoil` makes the "header"'s or the "data"'s wrong."""
        data += bytes(-len(data) % 4)
        bad = {"header": (b"oops", b""), "data": (b"", b"oops")}.get(spoil, (b"", b""))
        if self.header_digest:
            head = bytes(head) + (bad[0] or crc32c(head))
        if self.data_digest and data:
            data += bad[1] or crc32c(data)
        self.raw(bytes(head) + data)

    def send(self, opcode, flags=0x80, data=b"", **fields):
        self.put(self.frame(opcode, flags, data, **fields), data)

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
        head = bhs + self.exactly(ahs)
        if self.header_digest:
            assert self.exactly(4) == crc32c(head), "the gateway's header digest is wrong"
        data = self.exactly(length + -length % 4)
        if self.data_digest and data:
            assert self.exactly(4) == crc32c(data), "the gateway's data digest is wrong"
        pdu = Pdu(bhs, data[:length])
        if pdu.opcode in (NOP_IN, RESPONSE, TASK_RESPONSE, LOGIN_RESPONSE, TEXT_RESPONSE, LOGOUT_RESPONSE, REJECT, ASYNC) or \
                (pdu.opcode == DATA_IN and pdu.flags & 1):
            if not (pdu.opcode == NOP_IN and pdu.itt == 0xffffffff):
                self.expstatsn = (pdu.u32(24) + 1) & 0xffffffff
        self.maxcmdsn = pdu.u32(32)
        return pdu

    def expect(self, opcode, itt=None):
        """The next PDU of this opcode (and task tag); what comes before it is forgotten."""
        while True:
            pdu = self.receive()
            if pdu.opcode == opcode and itt in (None, pdu.itt):
                return pdu

    def ended(self):
        """Does the gateway close the connection now? What it still sends is read."""
        try:
            while True:
                self.receive()
        except Gone:
            return True
        except TimeoutError:
            return False

    # --- login ---------------------------------------------------------------------------------------------
    def login_pdu(self, csg, nsg, data, transit=True, cont=False):
        flags = (0x80 if transit else 0) | (0x40 if cont else 0) | csg << 2 | nsg
        bhs = struct.pack(">BBBBI6sHIHHII16x", 0x43, flags, 0, 0, len(data), self.isid, self.tsih, self.itt, self.cid, 0,
                          self.cmdsn, self.expstatsn)
        self.raw(bhs + data + bytes(-len(data) % 4))

    def login_answer(self):
        pdu = self.receive()
        assert pdu.opcode == LOGIN_RESPONSE, hex(pdu.opcode)
        status = struct.unpack_from(">H", pdu.bhs, 36)[0]
        if status:
            raise Refused(status, pdu.bhs + pdu.data)
        self.keys.update(keys(pdu.data))
        return pdu

    def step(self, pairs, csg=0, nsg=1, transit=False):
        """One request and its answer's keys."""
        self.login_pdu(csg, nsg, text(**pairs), transit=transit)
        return keys(self.login_answer().data)

    def names(self, target=TARGET):
        kind = {"SessionType": "Discovery"} if target is None else {"SessionType": "Normal", "TargetName": target}
        return {"InitiatorName": self.name, "AuthMethod": "CHAP", **kind}

    def challenged(self, target=TARGET, algorithms="8,7,6,5"):
        """The login up to the challenge: its algorithm, identifier and octets."""
        self.step(self.names(target))
        answer = self.step({"CHAP_A": algorithms})
        return int(answer["CHAP_A"]), int(answer["CHAP_I"]), unbinary(answer["CHAP_C"])

    def prove(self, challenge, user="alice", secret=SECRET, mutual=MUTUAL, binary=hexed, transit=True):
        """Answers a challenge, and checks the gateway's own proof."""
        kind, number, octets = challenge
        mine = os.urandom(24)
        proof = {"CHAP_N": user, "CHAP_R": binary(chap(kind, number, secret, octets))}
        if mutual is not None:
            proof |= {"CHAP_I": "7", "CHAP_C": binary(mine)}
        answer = self.step(proof, transit=transit)
        if mutual is not None:
            assert unbinary(answer["CHAP_R"]) == chap(kind, 7, mutual, mine), "the gateway's proof is wrong"
        return answer

    def operate(self, target=TARGET, more=None):
        """The operational stage, to its end."""
        operational = dict(HeaderDigest="None", DataDigest="None", MaxRecvDataSegmentLength="262144")
        if target is not None:
            operational |= dict(InitialR2T="No", ImmediateData="Yes", MaxBurstLength="262144", FirstBurstLength="65536",
                                MaxOutstandingR2T="1", MaxConnections="1", ErrorRecoveryLevel="0")
        leading = self.tsih == 0
        self.login_pdu(1, 3, text(**{**operational, **(more or {})}))
        pdu = self.login_answer()
        self.tsih = struct.unpack_from(">H", pdu.bhs, 14)[0]
        self.header_digest = self.keys.get("HeaderDigest") == "CRC32C"
        self.data_digest = self.keys.get("DataDigest") == "CRC32C"
        if self.hears and leading and target is not None:
            self.hear()
        return self

    def luns(self):
        """The LUNs that REPORT LUNS tells."""
        status, data = self.answer(self.command(struct.pack(">BBBxxxIxx", 0xa0, 0, 0, 4096), read=4096, immediate=True))
        assert status == 0, status
        return [struct.unpack_from(">H", data, at)[0] & 0x3fff for at in range(8, len(data), 8)]

    def hear(self):
        """Takes the unit attention of each LUN, by immediate commands: no CmdSN is used up."""
        for lun in self.luns():
            while attention(self.answer(self.command(bytes(6), lun, immediate=True))) is not None:
                pass

    def login(self, user="alice", secret=SECRET, mutual=MUTUAL, target=TARGET, algorithms="8,7,6,5", more=None):
        """The whole login: security with CHAP, then operational. `target` None: discovery."""
        self.prove(self.challenged(target, algorithms), user, secret, mutual)
        return self.operate(target, more)

    # --- full feature -----------------------------------------------------------------------------------------
    def command(self, cdb, lun=0, read=0, write=b"", immediate_data=True, immediate=False, cmdsn=None, attribute=SIMPLE):
        """Sends one command; its task tag. With a `cmdsn` of its own it does not count."""
        self.itt += 1
        flags = 0x80 | (0x40 if read else 0) | (0x20 if write else 0) | attribute
        data = write if immediate_data and len(write) <= 65536 else b""
        fields = struct.pack(">III", read or len(write), self.cmdsn if cmdsn is None else cmdsn, self.expstatsn)
        if cmdsn is None and not immediate:
            self.cmdsn = (self.cmdsn + 1) & 0xffffffff
        self.send(COMMAND, flags, data, lun=lun, fields=fields + bytes(cdb).ljust(16, b"\0"), immediate=immediate)
        return self.itt

    def data_out(self, itt, ttt, at, data, datasn=0, final=True, spoil=""):
        head = self.frame(DATA_OUT, 0x80 if final else 0, data, itt=itt,
                          fields=struct.pack(">IIIIII", ttt, 0, self.expstatsn, 0, datasn, at))
        self.put(head, data, spoil)

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
                for k, part in enumerate(range(at, at + length, 262144)):
                    end = min(part + 262144, at + length)
                    self.data_out(itt, pdu.ttt, part, write[part:end], k, end == at + length)
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
        return self.run(read16(lba, blocks), lun, read=blocks * 512)

    def write(self, lba, data, lun=0, fua=False):
        return self.run(write16(lba, len(data) // 512, fua), lun, write=data)

    def ready(self, lun=0):
        return self.run(bytes(6), lun)

    def nop(self, immediate=True):
        self.itt += 1
        self.send(NOP_OUT, 0x80, b"ping", immediate=immediate,
                  fields=struct.pack(">III", 0xffffffff, self.cmdsn, self.expstatsn))
        if not immediate:
            self.cmdsn += 1
        return self.expect(NOP_IN, self.itt).data

    def task(self, function, itt, lun=0):
        """Task management; the response code."""
        self.itt += 1
        mine = self.itt
        self.send(TASK, 0x80 | function, lun=lun, immediate=True,
                  fields=struct.pack(">IIII", itt, self.cmdsn, self.expstatsn, 0))
        return self.expect(TASK_RESPONSE, mine).bhs[2]

    def logout(self, reason=0, cid=0):
        self.itt += 1
        self.send(LOGOUT, 0x80 | reason, immediate=True, fields=struct.pack(">III", cid << 16, self.cmdsn, self.expstatsn))
        return self.expect(LOGOUT_RESPONSE, self.itt).bhs[2]
