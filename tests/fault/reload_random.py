#!/usr/bin/env python3
"""Random policies taken up one after another while four initiators write and read: who stays allowed as he is keeps his
session and every block; who is narrowed is asked to log out, and finds his blocks again."""
import os, random, threading
from harness import *
from initiator import *

AREA = "reload"
ROUNDS = 200 if SOAK or os.environ.get("SALLYPORT_EVIDENCE") else 30
NAMES = ["ann", "ben", "cid", "dot"]
BLOCKS = 1024  # that are written; what is protected lies behind them
SEED = int(os.environ.get("SALLYPORT_SEED", "0")) or int.from_bytes(os.urandom(4), "big")
dice = random.Random(SEED)


def iqn(name):
    return "iqn.1994-05.com.redhat:" + name


class Wishes:
    """What one initiator may do by a policy."""

    def __init__(self, second=None, deny=(), protect=False):
        self.second, self.deny, self.protect = second, deny, protect

    def narrows(self, after):
        return (self.second and not after.second) or (self.second == "read-write" and after.second == "read-only")

    def text(self, name):
        luns = "{0: read-write" + (f", 1: {self.second}" if self.second else "") + "}"
        rules = f", deny: [{', '.join(self.deny)}]" if self.deny else ""
        rules += f", protect: [{{lun: 0, blocks: {BLOCKS}-{2 * BLOCKS}}}]" if self.protect else ""
        return f"      {iqn(name)}: {{chap: {{user: {name}, mutual: gw-for-{name}, algorithms: [md5]}}, luns: {luns}{rules}}}\n"


def another(wishes, may_narrow):
    """Random ones; without narrowing unless that is asked for."""
    while True:
        new = Wishes(dice.choice([None, "read-only", "read-write"]), dice.sample(["unmap", "write-same-16", "sanitize"], dice.randrange(3)),
                     dice.random() < 0.5)
        if bool(wishes.narrows(new)) == may_narrow:
            return new


def policy(wishes, port, folder):
    """The policy's text, with things that concern nobody here, in a random order."""
    strangers = dice.randrange(4)
    entries = [wishes[name].text(name) for name in NAMES]
    dice.shuffle(entries)
    disks = [f"  own-{name}: {{file: {folder}/{name}.img, size: 4MiB}}\n" for name in NAMES]
    disks += ["  shared: {memory: 1MiB, writers: cluster}\n"] + [f"  stranger-{k}: {{memory: 1MiB}}\n" for k in range(strangers)]
    dice.shuffle(disks)
    targets = []
    for name in NAMES:
        targets.append(f"  iqn.2026-11.net.example.gw:{name}:\n    portals: [here]\n    luns: {{0: own-{name}, 1: shared}}\n"
                       f"    initiators:\n{wishes[name].text(name)}")
    for k in range(strangers):
        targets.append(f"  iqn.2026-11.net.example.gw:stranger-{k}:\n    portals: [here]\n    luns: {{0: stranger-{k}}}\n"
                       f"    initiators: {{'{iqn(f'stranger-{k}')}': {{chap: {{user: ann-{k}, mutual: gw-for-ann}}}}}}\n")
    dice.shuffle(targets)
    grace = dice.choice([1, 2])
    return (f"version: 1\n# {dice.random()}\nportals:\n  here: {{listen: ['127.0.0.1:{port}'], transport: plain}}\n"
            f"gateway: {{grace: {grace}s, login_timeout: {dice.randrange(10, 30)}s}}\ndisks:\n{''.join(disks)}targets:\n{''.join(targets)}")


class Worker(threading.Thread):
    """Writes blocks and reads them back until its session is over; what it wrote is `blocks`, over its sessions."""

    def __init__(self, gw, name, blocks):
        super().__init__(daemon=True)
        self.name_, self.blocks, self.done, self.count, self.wrong = name, blocks, threading.Event(), 0, None
        self.i = Initiator(gw.port, name=iqn(name)).login(user=name, secret=f"{name}-secret-0123456789", mutual=f"gw-for-{name}-0123456789",
                                                          target=f"iqn.2026-11.net.example.gw:{name}")
        self.start()

    def ask(self, run):
        """The answer that is no unit attention; what was not carried out is asked again."""
        while attention(answer := run()) is not None:
            pass
        return answer

    def turn(self):
        lba = random.randrange(BLOCKS)
        data = os.urandom(16) * 32
        before = self.blocks.pop(lba, None)
        if before is not None and self.ask(lambda: self.i.read(lba, 1)) != (0, before):
            self.wrong = f"block {lba} is not as it was written"
        status = self.ask(lambda: self.i.write(lba, data))
        if status[0] != 0:
            self.wrong = self.wrong or f"a write got {status}"
        self.blocks[lba] = data
        self.count += 1

    def run(self):
        try:
            while not self.done.is_set() and not self.wrong:
                self.turn()
        except (Gone, OSError):
            self.done.set()


gw = Gateway(policy=POLICY)
for name in NAMES + ["ann-0", "ann-1", "ann-2"]:
    gw.secret(name, f"{name}-secret-0123456789")
for name in NAMES:
    gw.secret(f"gw-for-{name}", f"gw-for-{name}-0123456789")
wishes = {name: Wishes() for name in NAMES}
gw.policy.write_text(policy(wishes, gw.port, gw.folder))
gw.start()
blocks = {name: {} for name in NAMES}
workers = {name: Worker(gw, name, blocks[name]) for name in NAMES}


def ids():
    return {s["initiator"]: s["session"] for s in gw.sessions() if s["state"] == "granted"}


should = kept = asked = left = turns = 0
troubles = []
for number in range(ROUNDS):
    can = [name for name in NAMES if wishes[name].second]
    victim = dice.choice(can) if can and dice.random() < 0.3 else None
    new = {name: another(wishes[name], name == victim) for name in NAMES}
    before = ids()
    gw.policy.write_text(policy(new, gw.port, gw.folder))
    done = gw.command("reload", "--json", timeout=100)
    if done.returncode != 0:
        troubles.append(f"round {number}: {done.stderr}")
        break
    said, after = json.loads(done.stdout), ids()
    stay = [name for name in NAMES if name != victim]
    same = [name for name in stay if after.get(iqn(name)) == before[iqn(name)] and workers[name].is_alive()]
    should, kept = should + len(stay), kept + len(same)
    if said["asked_to_log_out"] != (victim is not None) or len(same) != len(stay):
        troubles.append(f"round {number}: {said['asked_to_log_out']} asked to log out, narrowed: {victim}, kept: {same}")
    wishes = new
    if victim:
        asked += 1
        left += bool(wait_for(lambda: not workers[victim].is_alive(), 30))
        turns += workers[victim].count
        workers[victim] = Worker(gw, victim, blocks[victim])
for worker in workers.values():
    worker.done.set()
    worker.join(30)
for worker in workers.values():
    turns += worker.count
    for lba, data in worker.blocks.items():
        if worker.ask(lambda: worker.i.read(lba, 1)) != (0, data):
            worker.wrong = f"block {lba} is not as it was written, at the end"
wrong = [f"{w.name_}: {w.wrong}" for w in workers.values() if w.wrong]
check(AREA, f"P7: {ROUNDS} random policies: every session that stays allowed as it is is kept", should == kept and not troubles,
      f"seed {SEED}: {kept} of {should}\n" + "\n".join(troubles[:8]) + "\n" + gw.log()[-6000:])
check(AREA, "P7: … and every block that it wrote reads back", not wrong and all(w.count > 0 for w in workers.values()), (SEED, wrong, gw.log()[-3000:]))
check(AREA, "… who was narrowed was asked to log out and ended, and finds its blocks again", left == asked, (SEED, left, asked))
check(AREA, "… and the gateway is well", gw.is_serving() and not gw.helper_deaths(), gw.log()[-3000:])
evidence(f"sessions kept over {ROUNDS} random reloads under load: {kept} of {should} that should be; {left} of {asked} narrowed ended; "
         f"{turns} blocks written, each read back before it was written again or at the end")
gw.stop()
finish()
