#!/usr/bin/env python3
"""P2: logins, refusals, policies, bans and what operators ask for are durable in the trail before they take effect. The auditor
stands still, so that nothing becomes durable: nothing may happen; then it goes on, and it happens."""
import contextlib, os, select, signal, socket, threading
from harness import *
from initiator import *

AREA = "audit"
STRANGER = "192.0.2.77"


@contextlib.contextmanager
def held():
    """While the auditor stands still."""
    auditor = gw.helper_pid("auditor")
    os.kill(auditor, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(auditor, signal.SIGCONT)


def ask(line):
    """A request to the control socket; its answer is read by heard(). What is asked on a later connection comes after it."""
    s = socket.socket(socket.AF_UNIX)
    s.connect(str(gw.state / "control"))
    s.sendall(line.encode() + b"\n")
    return s


def heard(s):
    text = b""
    while part := s.recv(65536):
        text += part
    return json.loads(text)


def silent(s):
    return not select.select([s], [], [], 0.3)[0]


def events(kind):
    return [e for e in gw.audit() if e.get("event") == kind]


gw = Gateway().start()
here = Initiator(gw.port).login()
number = gw.sessions()[0]["session"]

# --- what operators ask for ------------------------------------------------------------------------------------------
with held():
    asked = ask(f"ban {STRANGER} 60")
    bans = heard(ask("bans"))
    check(AREA, "P2: a ban that an operator asks for waits for its record", silent(asked) and STRANGER not in json.dumps(bans), bans)
check(AREA, "… and is there when that is durable", heard(asked).get("banned", "").startswith(STRANGER)
      and STRANGER in json.dumps(heard(ask("bans"))))

with held():
    asked = ask(f"unban {STRANGER}")
    check(AREA, "P2: so does lifting it", STRANGER in json.dumps(heard(ask("bans"))) and silent(asked))
check(AREA, "… which comes then", heard(asked).get("lifted") is True and STRANGER not in json.dumps(heard(ask("bans"))))

with held():
    asked = ask(f"kick {number}")
    status = heard(ask("sessions"))
    check(AREA, "P2: so does a session's end", silent(asked) and silent(here.socket) and status[0]["state"] == "granted", status)
check(AREA, "… and it is asked to log out then", heard(asked).get("asked_to_log_out") == number and here.expect(ASYNC) is not None)
here.close()

with held():
    ask(f"ban {STRANGER} 60").close()
    heard(ask("status"))
check(AREA, "who does not wait for it has nothing done, and it is on record", wait_for(lambda: len(events("operator")) == 4)
      and STRANGER not in json.dumps(heard(ask("bans"))), events("operator"))

# --- policies ----------------------------------------------------------------------------------------------------------
before = gw.status()["policy_sha256"]
gw.policy.write_text(gw.policy.read_text() + "# another one\n")
with held():
    gw.process.send_signal(signal.SIGHUP)
    asked = ask("reload")  # one is under way, or comes first
    check(AREA, "P2: a policy waits for its record", heard(ask("status"))["policy_sha256"] == before)
check(AREA, "… and is in force then", wait_for(lambda: gw.status()["policy_sha256"] != before), gw.log())
loads = [e["reason"] for e in events("policy")]
check(AREA, "what a signal asks for is on record before it is begun", "reloading" in loads and loads.index("reloading") < loads.index("reloaded"), loads)

# --- logins and refusals -------------------------------------------------------------------------------------------------
def enters(i, **wishes):
    i.prove(i.challenged(**wishes))
    i.operate(**wishes)


def never_ends(i):
    i.prove(i.challenged())
    while True:
        i.step({}, csg=1, nsg=3)


def begins(i, **names):
    i.step({"AuthMethod": "CHAP", **names})


def sends_a_nop(i):
    i.step(i.names())
    i.send(NOP_OUT)
    i.login_answer()


results = []


def attempt(what):
    def run():
        try:
            what(i)
            results.append(0)
        except Refused as refused:
            results.append(refused.status)
        except Gone:
            results.append("closed without an answer")
    i = Initiator(gw.port)
    thread = threading.Thread(target=run)
    thread.start()
    return i, thread


for sentence, what, want, said in (
        ("a login", enters, 0, "login: "),
        ("a refusal by the policy", lambda i: enters(i, target=TARGET + "-none"), 0x0203, "refused "),
        ("a wrong secret's refusal", lambda i: i.prove(i.challenged(), secret=SECRET + "!"), 0x0201, "refused "),
        ("that of algorithms that are not allowed", lambda i: i.challenged(algorithms="6"), 0x0201, "refused "),
        ("that of a login without a target", lambda i: begins(i, InitiatorName=CLIENT), 0x0207, "refused "),
        ("that of a login without a name", lambda i: begins(i, TargetName=TARGET), 0x0207, "refused "),
        ("that of a login without CHAP", lambda i: i.step({**i.names(), "AuthMethod": "None"}), 0x0201, "refused "),
        ("that of another PDU in a login", sends_a_nop, 0x020b, "refused "),
        ("that of a negotiation without an end", never_ends, 0x0200, "refused "),
):
    results.clear()
    mark, recorded = len(gw.log()), len(events("refusal"))
    with held():
        i, thread = attempt(what)
        wait_for(lambda: said in gw.log()[mark:])
        thread.join(0.3)
        check(AREA, f"P2: {sentence} is not answered before it is durable", thread.is_alive() and not results and said in gw.log()[mark:],
              (results, gw.log()[mark:]))
    thread.join(30)
    check(AREA, "… and it is then, recorded once", results == [want] and len(events("refusal")) == recorded + (want != 0),
          (results, events("refusal")[recorded:], gw.log()[mark:]))
    check(AREA, "… and said once", wait_for(lambda: len(gw.sessions()) == 0 if want else True) and gw.log()[mark:].count("]: " + said) == 1, gw.log()[mark:])
    i.close()

check(AREA, "the gateway is well", wait_for(gw.is_well), gw.command("status").stdout)
finish()
