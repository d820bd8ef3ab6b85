#!/usr/bin/env python3
"""Secrets change under a running gateway: what was set, made or removed counts at the next login, and disturbs nobody."""
from harness import *
from initiator import *

AREA = "chap"
gw = Gateway()
done = gw.command("secret", "generate", "spare")
check(AREA, "without a gateway a secret is stored, and that none runs is said", done.returncode == 0 and "No gateway runs" in done.stderr, done.stderr)
gw.start()


def set_secret(name, value):
    return run(SALLYPORT, "secret", "set", name, "--state", gw.state, stdin=value)


def outcome(secret=SECRET, mutual=MUTUAL, **options):
    """of a login: True, or the status that refused it"""
    with Initiator(gw.port, **options) as i:
        try:
            i.login(secret=secret, mutual=mutual)
            return i.nop() == b"ping"
        except Refused as refused:
            return refused.status


# --- set ------------------------------------------------------------------------------------------------------------------
with Initiator(gw.port, isid=b"\x80stay!").login() as stays:
    pid = gw.helper_pid("authenticator")
    done = set_secret("alice", "alice-has-a-new-one")
    check(AREA, "a secret that is set is taken up by the running gateway", done.returncode == 0 and "has taken it up" in done.stderr, done.stderr)
    check(AREA, "the new secret counts at once", outcome("alice-has-a-new-one") is True, gw.log())
    check(AREA, "the old one does not", outcome() == 0x0201, gw.log())
    check(AREA, "P7: neither the authenticator nor a session noticed", gw.helper_pid("authenticator") == pid and stays.nop() == b"ping", gw.log())
    stays.logout()
check("audit", "an operator's change of a secret is in the audit log, by its name and uid",
      wait_for(lambda: any(e.get("detail", "").startswith("secrets set alice, uid ") for e in gw.audit("--op", "operator"))), gw.audit("--op", "operator"))
check("audit", "that it is in use, too", any(e.get("reason") == "secrets-taken" for e in gw.audit("--op", "operator")), gw.audit("--op", "operator"))
check("audit", "P3: no secret is in the audit log", "alice-has-a-new-one" not in str(gw.audit()))

# --- a login under way ------------------------------------------------------------------------------------------------------
with Initiator(gw.port) as i:
    challenge = i.challenged()
    set_secret("alice", SECRET)
    i.prove(challenge)
    i.operate()
    check(AREA, "a login that was challenged before is judged by what is there when it answers", i.nop() == b"ping")
    i.logout()

# --- remove -----------------------------------------------------------------------------------------------------------------
done = gw.command("secret", "remove", "alice")
check(AREA, "a user whose secret is removed can't log in any more", done.returncode == 0 and "alice" in done.stderr and outcome() == 0x0201, done.stderr + gw.log())
problems = gw.status()["problems"]
check(AREA, "status names a user without a secret", any("alice" in p for p in problems), problems)
set_secret("alice", SECRET)
check(AREA, "and is well again when it has one", gw.is_well() and outcome() is True, gw.status()["problems"])

# --- a store that can't be taken --------------------------------------------------------------------------------------------
store = gw.state / "secrets"
good = store.read_bytes()
store.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
done = gw.command("secret", "remove", "spare")
check(AREA, "a damaged store is refused by the command", done.returncode == 3 and "damaged" in done.stderr, done.stderr)
with socket.socket(socket.AF_UNIX) as s:
    s.connect(str(gw.state / "control"))
    s.send(b"secrets")
    answer = json.loads(s.recv(65536))
check(AREA, "P4: and by the gateway, which goes on with what it had", "damaged" in answer.get("error", "") and outcome() is True, answer)
check(AREA, "status says so", any("damaged" in p for p in gw.status()["problems"]), gw.status()["problems"])
store.write_bytes(good)
done = gw.command("secret", "remove", "spare")
check(AREA, "once it is mended all is well", done.returncode == 0 and gw.is_well(), done.stderr)

# --- the authenticator dies right behind a change -----------------------------------------------------------------------------
for k in range(5):
    value = f"alice-number-{k}-of-five"
    os.kill(wait_for(lambda: gw.helper_pid("authenticator")), signal.SIGKILL)
    done = set_secret("alice", value)
    check("fault", f"P4: a secret that is set while the authenticator dies is taken up, try {k + 1}", done.returncode == 0, done.stderr)
check("fault", "P4: after all of them the last one counts", wait_for(gw.is_well) and outcome(value) is True and outcome() == 0x0201, gw.log())
check(AREA, "the gateway stops cleanly", gw.stop() == 0, gw.log())
finish()
