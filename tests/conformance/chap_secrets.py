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

# --- rotate -----------------------------------------------------------------------------------------------------------------
def rotate(name, *options):
    done = gw.command("secret", "rotate", name, *options)
    return done, done.stdout.strip()


def secret_of_login():
    """What the audit log says of the secret that the last login used."""
    login = gw.audit("--op", "login")[-1:]
    return login[0].get("detail", "").partition("secret: ")[2]


with Initiator(gw.port, isid=b"\x80stay2").login() as stays:
    done, fresh = rotate("alice")
    check(AREA, "rotate shows the new secret once, and says until when the old one is good", done.returncode == 0 and len(fresh) == 16 and "good until" in done.stderr, done.stderr)
    check(AREA, "P7: while the overlap lasts both secrets log in", outcome() is True and outcome(fresh) is True, gw.log())
    check(AREA, "P7: and a session goes on", stays.nop() == b"ping", gw.log())
    stays.logout()
with Initiator(gw.port).login() as i:
    check("audit", "which secret a login used is in the audit log: the old one", secret_of_login() == "the one before the last rotation", gw.audit("--op", "login")[-1])
    i.logout()
with Initiator(gw.port).login(secret=fresh) as i:
    check("audit", "and the new one", secret_of_login() == "the one of the last rotation", gw.audit("--op", "login")[-1])
    i.logout()
rows = {row["name"]: row for row in json.loads(gw.command("secret", "list", "--json").stdout)}
listed = gw.command("secret", "list").stdout
check(AREA, "secret list shows the rotation, and no secret", rows["alice"]["overlap"] and "old_until" in rows["alice"] and not rows["gw-for-alice"]["overlap"] and "the old one is good until" in listed and fresh not in listed, listed)
done, _ = rotate("alice")
check(AREA, "a second rotation waits for the end of the first", done.returncode == 3 and "--finish" in done.stderr, done.stderr)
done, fresh_mutual = rotate("gw-for-alice")
check(AREA, "both sides rotated: an initiator with both old secrets can still check us", outcome() is True, gw.log())
check(AREA, "and one with both new ones", outcome(fresh, fresh_mutual) is True, gw.log())
done = gw.command("secret", "rotate", "alice", "--finish")
check(AREA, "rotate --finish ends the overlap: the old secret is refused", done.returncode == 0 and outcome() == 0x0201 and outcome(fresh, MUTUAL) is True, done.stderr)
done = gw.command("secret", "rotate", "gw-for-alice", "--finish")
check(AREA, "and our old one is no longer used", done.returncode == 0 and outcome(fresh, fresh_mutual) is True, done.stderr)
done, third = rotate("alice", "--overlap", "1s")
check(AREA, "an old secret dies by itself when the overlap is over", done.returncode == 0 and wait_for(lambda: outcome(fresh, fresh_mutual) == 0x0201) and outcome(third, fresh_mutual) is True, gw.log())
done, fourth = rotate("alice", "--overlap=0s")
check(AREA, "rotate --overlap 0s leaves no time to the old one", done.returncode == 0 and outcome(third, fresh_mutual) == 0x0201 and outcome(fourth, fresh_mutual) is True, done.stderr)
done = run(SALLYPORT, "secret", "set", "alice", "--overlap", "1h", "--state", gw.state, stdin=third)
check(AREA, "set --overlap takes a secret that was made elsewhere", done.returncode == 0 and outcome(third, fresh_mutual) is True and outcome(fourth, fresh_mutual) is True, done.stderr)
done = run(SALLYPORT, "secret", "set", "spare", "--state", gw.state, stdin=fourth)
check(AREA, "P1: a secret that a name had before its rotation is refused to another", done.returncode == 3 and "alice has this very secret" in done.stderr, done.stderr)
for words in (("rotate",), ("rotate", "alice", "--overlap", "7"), ("rotate", "alice", "--overlap", "1h", "--finish"), ("remove", "spare", "--overlap", "1h"), ("set", "alice", "--finish"), ("rotate", "alice", "--overlap", "367d")):
    done = gw.command("secret", *words)
    check("cli", f"secret {' '.join(words)} is wrong usage", done.returncode == 2 and "--help" in done.stderr, done.stderr)
before = (gw.state / "secrets").read_bytes()
with open("/dev/full", "wb") as full:
    for words in (("generate", "unseen"), ("rotate", "gw-for-alice", "--overlap", "0s")):
        done = subprocess.run([SALLYPORT, "secret", *words, "--state", str(gw.state)], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
        check(AREA, f"secret {words[0]}: one that can't be shown is not stored, and the one before counts", done.returncode == 3 and
              "nothing was changed" in done.stderr and (gw.state / "secrets").read_bytes() == before, done.stderr)
check("audit", "P3: no secret of a rotation is in the audit log", not any(word in str(gw.audit()) for word in (fresh, third, fourth, fresh_mutual)))
set_secret("alice", SECRET), set_secret("gw-for-alice", MUTUAL)

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
for k in range(3):
    pid = wait_for(lambda: gw.helper_pid("authenticator"))
    command = subprocess.Popen([SALLYPORT, "secret", "rotate", "alice", "--state", str(gw.state)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    os.kill(pid, signal.SIGKILL)  # somewhere in the midst of it
    fresh = command.communicate(timeout=60)[0].strip()
    check("fault", f"P4: kill -9 of the authenticator in a rotation: both secrets log in afterwards, try {k + 1}",
          command.returncode == 0 and wait_for(lambda: gw.helper_pid("authenticator") and outcome(fresh) is True and outcome(value) is True), gw.log())
    gw.command("secret", "rotate", "alice", "--finish")
    value = fresh
check("fault", "P4: after all of them the last one counts", wait_for(gw.is_well) and outcome(value) is True and outcome() == 0x0201, gw.log())
check(AREA, "the gateway stops cleanly", gw.stop() == 0, gw.log())
finish()
