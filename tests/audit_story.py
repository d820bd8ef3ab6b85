"""A day at a gateway, in as many seconds as one likes: a database, a web server, a backup, an operator, somebody who
encrypts what he reads, and strangers who guess. For the tests of the audit's review, and for pictures of it."""
import os, random, struct, threading, time

from harness import Gateway, run
from initiator import Gone, Initiator, Refused

GW = "iqn.2026-11.net.example.gw:"
NAMES = {who: f"iqn.1994-05.net.example:{who}" for who in ("db-1", "web-1", "backup-1", "desk-7", "desk-8")}
# What peers write, and what would like to be more than text.
HOSTILE = 'iqn.2026-11.net.example:</script><img src=x onerror=alert(1)>"\'&#39;\x1b[31m,=cmd|calc'

POLICY = """\
version: 1
portals:
  lan: {{listen: ["{portal}:{port}"], transport: plain, accept_risk: true}}
disks:
  orders: {{file: {folder}/orders.img, size: 256MiB}}
  site: {{file: {folder}/site.img, size: 128MiB, block_size: 4096}}
  desks: {{file: {folder}/desks.img, size: 64MiB}}
targets:
  GW:orders:
    portals: [lan]
    luns: {{0: orders}}
    initiators:
      DB: {{from: [{lan}], chap: {{user: db, mutual: gw-for-alice}}}}
      BACKUP: {{from: [{backup}], chap: {{user: backup, mutual: gw-for-alice}}, luns: {{0: read-only}}}}
  GW:site:
    portals: [lan]
    luns: {{0: site}}
    initiators:
      WEB: {{from: [{web}], chap: {{user: web, mutual: gw-for-alice}}, deny: [unmap]}}
  GW:desks:
    portals: [lan]
    luns: {{0: desks}}
    initiators:
      DESK: {{from: [{desk}], chap: {{user: desk, mutual: gw-for-alice}}}}
firewall: {{manage: false}}
auth: {{bans: {{after: 8, for: 20s}}}}
"""
for word, who in (("DB:", "db-1"), ("BACKUP:", "backup-1"), ("WEB:", "web-1"), ("DESK:", "desk-7")):
    POLICY = POLICY.replace(f"      {word}", f"      {NAMES[who]}:")
POLICY = POLICY.replace("GW:", GW)
ROOT = dict(portal="10.8.0.1", db="10.8.0.21", backup="10.8.0.40", web="10.8.0.31", desk="10.8.0.107",
            guesser="10.8.9.66", scanner="198.51.100.23")
USER = dict(portal="127.0.0.1", db="127.8.0.21", backup="127.8.0.40", web="127.8.0.31", desk="127.8.0.107",
            guesser="127.8.9.66", scanner="127.51.100.23")


class Story:
    def __init__(self, seconds):
        """Addresses of the story are given to the loopback interface, which the tests of root have to themselves."""
        self.seconds, self.end, self.places = seconds, 0, USER
        if os.geteuid() == 0 and all(run("ip", "addr", "add", a + "/32", "dev", "lo").returncode == 0 for a in ROOT.values()):
            self.places = ROOT
        network = "10.8.0.0/16" if self.places is ROOT else "127.8.0.0/16"
        self.gw = Gateway(policy=POLICY, lan=network, **self.places)
        for user in ("db", "backup", "web", "desk"):
            self.gw.secret(user, f"secret-of-{user}-0123456")
        self.gw.start()

    def login(self, who, target, user=None, **more):
        place = user or who.split("-")[0]
        return Initiator(self.gw.port, host=self.places["portal"], name=NAMES[who], source=self.places[place]).login(
            user=place, secret=f"secret-of-{place}-0123456", target=GW + target, **more)

    def until(self, share):
        """Is it earlier than this share of the day?"""
        return time.monotonic() < self.end - self.seconds * (1 - share)

    def wait(self, share):
        while self.until(share):
            time.sleep(0.02)

    # --- who is there ------------------------------------------------------------------------------------------
    def database(self):
        """A log that is written round and round, pages here and there, a checkpoint now and then."""
        chance, i = random.Random(1), self.login("db-1", "orders")
        log, checkpoint = 0, 0
        while self.until(0.97):
            busy = 1 if self.until(0.15) or not self.until(0.75) else 6
            for _ in range(busy):
                i.write(log % 65536, bytes(8192))
                log += 16
                i.read(65536 + int(chance.betavariate(2, 5) * 360000) // 8 * 8, 16)
            checkpoint += busy
            if checkpoint > 400:
                checkpoint = 0
                for at in range(65536, 425984, 9000):
                    i.write(at // 8 * 8, bytes(16384))
            time.sleep(0.02)
        i.close()

    def web(self):
        chance, i = random.Random(2), self.login("web-1", "site")
        denied = 0
        while self.until(0.97):
            lba = int(chance.betavariate(1, 4) * 32000)
            i.run(struct.pack(">BBQIBB", 0x88, 0, lba, 8, 0, 0), read=8 * 4096)
            if chance.random() < 0.02:
                i.run(struct.pack(">BBQIBB", 0x8a, 0, lba, 2, 0, 0), write=bytes(8192))
            if denied < 6 and chance.random() < 0.01:
                denied += 1
                i.run(struct.pack(">BBxxxxxHx", 0x42, 0, 24), write=struct.pack(">HHxxxxQIxxxx", 22, 16, lba, 8))
            time.sleep(0.015)
        i.close()

    def backup(self):
        self.wait(0.05)
        i, at = self.login("backup-1", "orders"), 0
        while at < 524288 and self.until(0.30):
            i.read(at, 512)
            at += 512
            time.sleep(self.seconds * 0.2 / 1024 * 0.8)
        i.write(0, bytes(512))  # it may not
        i.close()

    def desk(self):
        """First at work, then in the hands of somebody who encrypts."""
        chance, i = random.Random(3), self.login("desk-7", "desks")
        while self.until(0.55):
            i.read(int(chance.triangular(0, 120000, 20000)) // 8 * 8, 64)
            if chance.random() < 0.3:
                i.write(int(chance.triangular(0, 60000, 20000)) // 8 * 8, bytes(4096))
            time.sleep(0.05)
        for at in range(2048, 110000, 256):
            i.read(at, 256)
            i.write(at, os.urandom(131072))
            time.sleep(self.seconds * 0.10 / 420)
        for at in range(110000, 131072 - 4096, 4096):
            i.run(struct.pack(">BBxxxxxHx", 0x42, 0, 24), write=struct.pack(">HHxxxxQIxxxx", 22, 16, at, 4096))
        i.close()

    def stranger(self, place, name, user, secret):
        """One attempt; what became of it."""
        try:
            with Initiator(self.gw.port, host=self.places["portal"], name=name, source=self.places[place], timeout=5) as i:
                i.login(user=user, secret=secret, target=GW + "orders")
            return "in"
        except (Refused, Gone, OSError, AssertionError, KeyError) as why:
            return str(why)

    def guesser(self):
        for share in (0.12, 0.36, 0.62, 0.66):
            self.wait(share)
            for k in range(14):
                self.stranger("guesser", HOSTILE if k % 2 else NAMES["db-1"], "db", f"guess-number-{k:09}")
                time.sleep(self.seconds * 0.003)

    def scanner(self):
        self.wait(0.44)
        for k in range(30):
            self.stranger("scanner", f"iqn.2001-04.com.example:probe-{k}", "admin", "password-0123")
            time.sleep(self.seconds * 0.002)

    def operator(self):
        self.wait(0.40)
        self.gw.command("bans", "add", "198.51.100.0/24", "--for", "1h")
        self.wait(0.42)
        self.gw.command("bans", "lift", "198.51.100.0/24")
        self.wait(0.70)
        self.gw.policy.write_text(self.gw.policy.read_text().replace("after: 8", "after: 5"))
        self.gw.command("reload")

    def play(self):
        self.end = time.monotonic() + self.seconds
        failures = []

        def part(run_part):
            try:
                run_part()
            except Exception as why:  # told by who waits for it
                failures.append((run_part.__name__, why))

        threads = [threading.Thread(target=part, args=(p,)) for p in
                   (self.database, self.web, self.backup, self.desk, self.guesser, self.scanner, self.operator)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert not failures, failures
        return self.gw
