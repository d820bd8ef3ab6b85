#!/usr/bin/env python3
"""P3: a session process that is taken over, before or after it authenticated, reaches no session but its initiator's own.

The gateway runs with a puppet in the place of sallyport-session: its peer says what it does to the monitor.
"""
import hashlib, pathlib, re, shutil, socket
import harness
from harness import *

AREA = "session"
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BOB = CLIENT + "-bob"
SECRETS = {"alice": SECRET, "bob": "secret-of-bob-01234"}
words = (ROOT / "gateway/session/messages.h").read_text().split("enum session_message {")[1].split("};")[0]
TYPES = {name.lower(): k for k, name in enumerate(re.findall(r"^\tSESSION_([A-Z_]+),", words, re.M))}
NAMES = {k: name for name, k in TYPES.items()}
DISKS = {"lun", "audit", "arbiter", "grant"}


class Puppet:
    """A connection whose process does as it is told."""

    def __init__(self):
        self.socket = socket.create_connection(("127.0.0.1", gw.port), 30)
        self.text, self.over = "", False

    def do(self, line):
        try:
            self.socket.sendall(line.encode() + b"\n")
        except OSError:
            self.over = True
        return self

    def hear(self):
        self.socket.settimeout(0.01)
        try:
            part = self.socket.recv(4096)
            self.text += part.decode()
            self.over |= not part
        except TimeoutError:
            pass
        except ConnectionResetError:
            self.over = True

    def numbers(self, word):
        self.hear()
        return [int(n) for w, n in re.findall(r"^(\w+) (\d+)$", self.text, re.M) if w == word]

    def got(self):
        return [NAMES[n] for n in self.numbers("got")]

    def claim(self, tsih=0, initiator=CLIENT):
        return self.do(f"claim {tsih} {initiator} {TARGET}")

    def prove(self, user="alice"):
        self.do(f"prove {user}")
        number = wait_for(lambda: self.numbers("id"))[0]
        response = hashlib.md5(bytes([number]) + SECRETS[user].encode() + bytes(self.numbers("octet"))).hexdigest()
        self.do("response " + response)
        wait_for(lambda: {"permit", "refuse"} & set(self.got()) or self.over)
        return self

    def say(self, name, longer=0, passes=0):
        return self.do(f"say {TYPES[name]} {longer} {passes}")

    def enter(self, tsih=0, user="alice", initiator=CLIENT):
        self.claim(tsih, initiator).prove(user).say("enter")
        wait_for(lambda: "grant" in self.got() or self.over)
        return self

    def refused(self):
        return wait_for(lambda: self.got()[-1:] == ["refuse"])

    def ended(self):
        return wait_for(lambda: self.hear() or self.over)


folder = pathlib.Path("bin").resolve()
folder.mkdir()
shutil.copy(SALLYPORT, folder)
shutil.copy(BUILD / "sallyport-session-tls", folder)
done = run("cc", "-std=gnu11", "-D_GNU_SOURCE", "-I", ROOT, "-o", folder / "sallyport-session", ROOT / "tests/fault/hostile_puppet.c")
assert done.returncode == 0, done.stderr
harness.SALLYPORT = str(folder / "sallyport")
gw = Gateway(policy=harness.POLICY.replace("{client}:\n", "{client}-bob: {{chap: {{user: bob, mutual: gw-for-bob, algorithms: [md5]}}}}\n"
                                           "      {client}:\n")
             .replace("luns: {{0: vault, 1: second}}", "luns: {{{luns}}}").replace("[md5]}}\n{more}", "[{algorithms}]}}\n        {rules}\n{more}"),
             luns="0: vault, 1: second", algorithms="md5", rules="", more="gateway: {grace: 1s}\n")
gw.secret("bob", SECRETS["bob"])
gw.secret("gw-for-bob", "secret-for-bob-01234")
gw.start()

alice = Puppet().enter()
check(AREA, "a session that keeps to the rules is granted", "grant" in alice.got(), (alice.text, gw.log()))
tsih = alice.numbers("tsih")[0]
before = alice.got()

# --- who wants into it ------------------------------------------------------------------------------------------------
p = Puppet().claim(tsih, BOB).prove("bob").say("join")
check(AREA, "P3: bob's process with alice's TSIH and ISID is refused", p.refused(), p.text)
p = Puppet().claim(tsih, CLIENT).prove("bob").say("join")
check(AREA, "P3: bob's process with alice's name, too, is refused", p.refused(), p.text)
p = Puppet().claim(0, BOB).prove("bob").claim(tsih, CLIENT).say("join")
check(AREA, "P3: bob's process that claims again, once it is permitted, is ended", p.ended(), p.text)
p = Puppet().claim(tsih).say("join")
check(AREA, "P3: a process that joins before it has proved anything is ended", p.ended(), p.text)
p = Puppet().claim(tsih).prove().say("enter")
check(AREA, "P3: one that joins a session and asks for a grant of its own is ended without one", p.ended() and not DISKS & set(p.got()), p.text)
p = Puppet().claim().prove().say("join")
check(AREA, "P3: one that named no session and joins is ended", p.ended(), p.text)
p = Puppet().claim(tsih).prove().say("join", longer=1)
check(AREA, "P3: one whose message is too long is ended", p.ended(), p.text)
p = Puppet().claim(tsih).prove().say("join", passes=1)
check(AREA, "P3: one that passes a descriptor of its own is ended", p.ended(), p.text)
p = Puppet().claim(tsih).prove().say("adopt", passes=1)
check(AREA, "P3: one that speaks as the monitor is ended", p.ended(), p.text)
check(AREA, "P3: nothing of these reached alice's session, and it lives", alice.got() == before and not alice.over, alice.text)

# --- what joins it ----------------------------------------------------------------------------------------------------
p = Puppet().claim(tsih).prove().do("\n".join([f"say {TYPES['join']} 0 0"] * 2))
check(AREA, "P3: her own process that joins twice is ended before it has", p.ended() and alice.got() == before, (p.text, alice.text))
p = Puppet().claim(tsih).prove().say("join")
check(AREA, "P3: her own process joins once", wait_for(lambda: "adopt" in alice.got()) and alice.got() == before + ["adopt"] and
      not alice.over, alice.text)
check(AREA, "P3: who joins gets no disk, no ring and no seat", not DISKS & set(p.got()), p.text)
check(AREA, "P3: and its process is gone", wait_for(lambda: [x["initiator"] for x in gw.sessions() if x["pid"]] == [CLIENT]), gw.sessions())

# --- after the grant --------------------------------------------------------------------------------------------------
for name, attack in {"joins": ("join",), "enters again": ("enter",), "speaks as the monitor": ("adopt", 0, 1), "grants itself more": ("grant",),
                     "claims again": ("claim",)}.items():
    bob = Puppet().enter(user="bob", initiator=BOB)
    granted = "grant" in bob.got()
    bob.say(*attack)
    check(AREA, f"P3: a granted session that {name} is ended", granted and bob.ended(), (bob.text, gw.sessions()))
check(AREA, "P3: alice's session is not disturbed", alice.got() == before + ["adopt"] and not alice.over, alice.text)
bob = Puppet().enter(user="bob", initiator=BOB)
for lun in range(400):
    bob.say("lun_failed")
check(AREA, "P6: one that says too much is ended", bob.ended(), gw.sessions())

# --- a guess behind its own refusal --------------------------------------------------------------------------------------
p = Puppet().claim().do("prove alice")
wait_for(lambda: p.numbers("id"))
p.do("refusing")
refused = p.refused()
p.do("response " + 16 * "00")
check(AREA, "P3: one that refuses first, blaming nobody, and guesses then has guessed", refused and
      wait_for(lambda: [e for e in gw.audit("--denied") if e["reason"] == "wrong-secret"]), (p.text, gw.audit("--denied")))

# --- another policy ---------------------------------------------------------------------------------------------------
alice = Puppet().enter()
assert gw.reload(rules="deny: [unmap]", luns="0: vault").returncode == 0, gw.log()
wait_for(lambda: "logout" in alice.got())
check(AREA, "P3: a session that is asked to log out is told of the new rules at once, which bind it until it ends",
      wait_for(lambda: alice.got().count("rules") == 2), (alice.text, gw.log()))
check(AREA, "P3: it is ended when it does not", alice.ended(), gw.sessions())
alice = Puppet().enter().do("report")
assert wait_for(lambda: gw.reload("--json").returncode == 0)
check(AREA, "a session that says that it ends, and does not, stays while the policy allows it", not alice.over, alice.text)
assert gw.reload(luns="1: second").returncode == 0, gw.log()
check(AREA, "P3: … and is ended by a policy that takes its LUN", alice.ended(), (alice.text, gw.sessions(), gw.log()))
alice = Puppet().claim().prove()
assert "permit" in alice.got(), alice.text
assert gw.reload(algorithms="sha256").returncode == 0, gw.log()
alice.say("enter")
check(AREA, "P1: a login whose algorithm is too weak for the policy of now is refused, whatever it was when it proved",
      alice.refused() and "grant" not in alice.got(), (alice.text, gw.log()))
check(AREA, "P4: no helper died of it, and the gateway stops cleanly", not any(h["deaths"] for h in gw.status()["helpers"]) and
      gw.stop() == 0, gw.log())
finish()
