#!/usr/bin/env python3
"""Reservations survive: kill -9 of the arbiter, of everybody; a damaged journal refuses its disk instead of forgetting them."""
import os, signal, struct
from harness import *
from initiator import *

AREA = "fault"
GOOD, CHECK, BUSY, CONFLICT = 0, 2, 8, 0x18
NOT_READY = (2, 4, 3)
REGISTER, RESERVE, KEYS, APTPL, WRITE_EXCLUSIVE = 0, 1, 0, 1, 1
OTHER, TARGET2 = CLIENT + "-other", TARGET + "2"
A = 0xa1
POLICY = """\
version: 1
portals:
  here: {{listen: ["127.0.0.1:{port}"], transport: plain}}
disks:
  vault: {{file: {folder}/vault.img, size: 64MiB, writers: cluster}}
  second: {{memory: 16MiB, writers: cluster}}
targets:
  {target}:
    portals: [here]
    luns: {{0: vault, 1: second}}
    initiators:
      {client}:
        chap: {{user: alice, mutual: gw-for-alice, algorithms: [md5]}}
  {target}2:
    portals: [here]
    luns: {{0: vault}}
    initiators:
      {client}-other:
        chap: {{user: bob, mutual: gw-for-bob, algorithms: [md5]}}
"""
gw = Gateway(policy=POLICY)
gw.secret("bob", "bob-secret-0123456789")
gw.secret("gw-for-bob", "gateway-for-bob-1234")
gw.start()


class Host(Initiator):
    def __init__(self, second=False):
        super().__init__(gw.port, name=OTHER if second else CLIENT, isid=b"\x80\0\0\0\0\1")
        if second:
            self.login(target=TARGET2, user="bob", secret="bob-secret-0123456789", mutual="gateway-for-bob-1234")
        else:
            self.login()
        self.told = []

    def patient(self, cdb, lun=0, read=0, write=b""):
        """Again while it is BUSY or a unit attention is told; a status, or the sense."""
        while True:
            status, data = self.run(cdb, lun, read, write)
            sense = (data[4] & 0xf, data[14], data[15]) if status == CHECK else ()
            if status == BUSY or (sense and sense[0] == 6):
                self.told += [sense[1:]] if sense else []
                continue
            return sense or status

    def store(self, lun=0):
        return self.patient(write16(0, 1), lun, write=b"x" * 512)

    def out(self, action, key=0, about=0, type=0, flags=0):
        data = struct.pack(">QQ4xB3x", key, about, flags)
        return self.patient(struct.pack(">BBBxxIB", 0x5f, action, type, len(data), 0), write=data)

    def keys_read(self):
        return self.patient(struct.pack(">BB5xHB", 0x5e, KEYS, 256, 0), read=256)

    def reserve_6(self):
        return self.patient(bytes([0x16, 0, 0, 0, 0, 0]))


def kill_arbiter():
    pid = gw.helper_pid("arbiter")
    os.kill(pid, signal.SIGKILL)
    return wait_for(lambda: gw.helper_pid("arbiter") not in (0, pid) and gw.is_well())


def kill_all():
    pids = [s["pid"] for s in gw.sessions()] + [h["pid"] for h in gw.status()["helpers"]] + [gw.process.pid]
    for pid in pids:
        if pid:
            os.kill(pid, signal.SIGKILL)
    gw.stop(signal.SIGKILL)
    gw.start()
    return Host(), Host(second=True)


def vault():
    return next(d for d in json.loads(gw.command("disk", "--json").stdout) if d["disk"] == "vault")


# --- APTPL ---------------------------------------------------------------------------------------------------------------
alice, bob = Host(), Host(second=True)
check(AREA, "one registers, to last over a loss of power, and reserves",
      [alice.out(REGISTER, about=A, flags=APTPL), alice.out(RESERVE, A, type=WRITE_EXCLUSIVE)] == [GOOD, GOOD])
check(AREA, "the other is kept out", [alice.store(), bob.store()] == [GOOD, CONFLICT])
check(AREA, "the arbiter is killed, and comes back", kill_arbiter(), gw.log())
check(AREA, "P4: a reservation survives kill -9 of the arbiter", [alice.store(), bob.store()] == [GOOD, CONFLICT], gw.log())
alice, bob = kill_all()
check(AREA, "P4: a reservation with APTPL survives kill -9 of every process and a restart",
      [bob.store(), alice.store(), bob.store()] == [CONFLICT, GOOD, CONFLICT], gw.log())
row = vault()
check("cli", "disk tells who holds a disk, how, and that it lasts",
      (row["holder"], row["reservation"], row["registrants"], row["kept_over_power_loss"]) == (CLIENT, "write exclusive", 1, True), row)
check("cli", "disk tells it to people, too", f"write exclusive, held by {CLIENT}" in gw.command("disk").stdout, gw.command("disk").stdout)

# --- without it ------------------------------------------------------------------------------------------------------------
check(AREA, "the holder gives APTPL up", alice.out(REGISTER, A, A) == GOOD)
kill_arbiter()
check(AREA, "P4: without APTPL it survives kill -9 of the arbiter, too", [alice.store(), bob.store()] == [GOOD, CONFLICT], gw.log())
alice, bob = kill_all()
check(AREA, "without APTPL it ends with the gateway", [bob.store(), vault()["registrants"]] == [GOOD, 0], vault())
check(AREA, "one reserves with RESERVE", [alice.reserve_6(), bob.store()] == [GOOD, CONFLICT])
kill_arbiter()
check(AREA, "P4: RESERVE survives kill -9 of the arbiter", [alice.store(), bob.store()] == [GOOD, CONFLICT], gw.log())
alice, bob = kill_all()
check(AREA, "RESERVE ends with the gateway", bob.store() == GOOD)

# --- a damaged journal -----------------------------------------------------------------------------------------------------
alice.out(REGISTER, about=A, flags=APTPL)
alice.out(RESERVE, A, type=WRITE_EXCLUSIVE)
gw.stop()
file = next((gw.state / "arbiter").glob("*.lasting"))
octets = bytearray(file.read_bytes())
octets[-40] ^= 1
file.write_bytes(octets)
gw.start()
alice, bob = Host(), Host(second=True)
check(AREA, "P4: a damaged journal refuses its disk to the other", [bob.store(), bob.patient(bytes(6))] == [NOT_READY] * 2, gw.log())
check(AREA, "P4: … and to the holder", alice.store() == NOT_READY)
check(AREA, "P4: nobody reads or makes registrations beside those that are not known",
      [bob.keys_read(), bob.out(REGISTER, about=2)] == [NOT_READY] * 2)
check(AREA, "the other disk goes on", alice.store(lun=1) == GOOD)
status = gw.command("status")
check("cli", "status says so first", status.returncode == 1 and "vault" in status.stdout.splitlines()[0] and "journal" in status.stdout.splitlines()[0], status.stdout)
check("audit", "a damaged journal is in the audit log", any(e.get("reason") == "journal-damaged" for e in gw.audit("--op", "disk")), gw.audit("--op", "disk"))
check("cli", "disk exits with 1 while one is not well", gw.command("disk").returncode == 1 and "FAILED since" in gw.command("disk").stdout)
done = gw.command("disk", "clear", "vault")
check("cli", "P4: clear alone does not forget reservations", done.returncode == 3 and "--forget-reservations" in done.stderr, done.stderr)
check(AREA, "P4: … and the disk stays refused", bob.store() == NOT_READY)
done = gw.command("disk", "clear", "vault", "--forget-reservations")
check("cli", "an operator may give them up", done.returncode == 0 and "no reservations" in done.stdout, (done.stdout, done.stderr))
bob.told = []
check(AREA, "live sessions go on then, and are told", [bob.store(), bob.told, alice.store()] == [GOOD, [(0x29, 0)], GOOD], bob.told)
operator = [e for e in gw.audit("--op", "operator") if "clear-disk" in e.get("detail", "")]
check("audit", "an operator's word is in the audit log, with who it was", len(operator) == 2 and f"uid {os.geteuid()}" in operator[-1]["detail"], operator)
check("cli", "all is well again", gw.is_well() and gw.command("disk").returncode == 0, gw.command("disk").stdout)
for words, what in [(("clear", "nowhere"), "a disk that is none"), (("clear", "vault"), "a disk that did not fail")]:
    done = gw.command("disk", *words)
    check("cli", f"clear of {what} exits with 3, and says why", done.returncode == 3 and words[-1] in done.stderr, done.stderr)
for words in [("clear",), ("mend", "vault"), ("--forget-reservations",)]:
    check("cli", f"disk {' '.join(words)} is wrong usage", gw.command("disk", *words).returncode == 2)
alice, bob = kill_all()
check(AREA, "what was cleared stays cleared", [bob.store(), alice.store()] == [GOOD, GOOD])
check(AREA, "the gateway stops cleanly after all this", gw.stop() == 0, gw.log())
finish()
