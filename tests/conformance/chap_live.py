#!/usr/bin/env python3
"""CHAP against the live gateway: what is accepted, what is refused, and that a stranger can't tell why.

Every refused attempt comes from a loopback address of its own, so that each is in the audit log (P6 counts the
refusals of a busy source, and lists but twenty of a minute) and can be found there.
"""
import itertools, shutil, statistics
from harness import *
from initiator import *

AREA = "chap"
NUMBERS = {"md5": 5, "sha1": 6, "sha256": 7, "sha3-256": 8}
POLICY = """\
version: 1
portals:
  here: {{listen: ["127.0.0.1:{port}"], transport: plain}}
disks:
  vault: {{memory: 16MiB}}
targets:
  {target}:
    portals: [here]
    luns: {{0: vault}}
    initiators:
      {client}:
        chap: {{user: alice, mutual: gw-for-alice, algorithms: [sha3-256, sha256, sha1, md5]}}
      {client}-md5:
        chap: {{user: user-md5, mutual: gw-md5, algorithms: [md5]}}
      {client}-sha1:
        chap: {{user: user-sha1, mutual: gw-sha1, algorithms: [sha1]}}
      {client}-sha256:
        chap: {{user: user-sha256, mutual: gw-sha256, algorithms: [sha256]}}
      {client}-sha3-256:
        chap: {{user: user-sha3-256, mutual: gw-sha3-256, algorithms: [sha3-256]}}
      {client}-one-way:
        chap: {{user: one-way, mutual: none, algorithms: [md5]}}
"""
gw = Gateway(policy=POLICY)
for kind in NUMBERS:
    gw.secret(f"user-{kind}", f"secret-of-user-{kind}")
    gw.secret(f"gw-{kind}", f"secret-of-gw-for-{kind}")
gw.secret("one-way", "secret-of-one-way-user")
gw.start()
sources = (f"127.7.{a}.{b}" for a in range(1, 250) for b in range(1, 250))


def attempt(login, **options):
    """login(initiator) from a fresh address: (its status or value, the address)."""
    source = next(sources)
    with Initiator(gw.port, source=source, **options) as i:
        try:
            return login(i), source
        except Refused as refused:
            return refused.status, source
        except Gone:
            return "closed", source


def works(i):
    i.operate()
    fine = i.read(0, 1)[0] == 0
    i.logout()
    return fine


# --- what is accepted ---------------------------------------------------------------------------------------------------
for kind, number in NUMBERS.items():
    for binary in (hexed, base64ed):
        def login(i):
            challenge = i.challenged(algorithms=str(number))
            i.prove(challenge, f"user-{kind}", f"secret-of-user-{kind}", f"secret-of-gw-for-{kind}", binary)
            return challenge[0] == number and len(challenge[2]) == 32 and works(i)
        got, _ = attempt(login, name=f"{CLIENT}-{kind}")
        check(AREA, f"mutual CHAP by {kind} in {'hex' if binary is hexed else 'base64'} works", got is True, (got, gw.log()))

wrong = []
for order in itertools.permutations((5, 6, 7, 8)):
    def login(i):
        challenge = i.challenged(algorithms=",".join(map(str, order)))
        i.prove(challenge)
        return challenge[0]
    got, _ = attempt(login)
    if got != order[0]:
        wrong.append((order, got))
check(AREA, "of an offered list the first algorithm is taken, in all 24 orders", not wrong, wrong)
for offered, want in [("9,5", 5), ("0,255,7,5", 7), ("5,5,5", 5), ("0x8,5", 8), (",".join(["99"] * 15 + ["6"]), 6)]:
    got, _ = attempt(lambda i: i.challenged(algorithms=offered)[0])
    check(AREA, f"of {offered} algorithm {want} is taken", got == want, got)
for offered in ("9", "", "5,", "md5", "-5", "256,5", "5 ", "99999999999999999999"):
    got, _ = attempt(lambda i: i.challenged(algorithms=offered))
    check(AREA, f"the offer {offered!r} is refused with 0201h", got == 0x0201, got)

# --- what is refused: (sentence, reason in the audit log or "", login, options) ------------------------------------------
ALICE = dict(user="alice", secret=SECRET, mutual=MUTUAL)
memory = {}


def proof(i, **change):
    """A right proof but for what is changed; None takes a key away."""
    kind, number, octets = i.challenged()
    pairs = {"CHAP_N": "alice", "CHAP_R": hexed(chap(kind, number, SECRET, octets)), "CHAP_I": "7", "CHAP_C": hexed(os.urandom(16))}
    i.step({key: value for key, value in {**pairs, **change}.items() if value is not None}, transit=True)
    return "accepted"


def reflect(i, challenge, number="7"):
    kind, mine, octets = i.challenged()
    i.step({"CHAP_N": "alice", "CHAP_R": hexed(chap(kind, mine, SECRET, octets)), "CHAP_I": number,
            "CHAP_C": hexed(octets if challenge is None else challenge)}, transit=True)
    return "accepted"


def replay(i):
    """The very response that was right for another challenge."""
    with Initiator(gw.port, source=next(sources)) as other:
        kind, number, octets = other.challenged()
        response = hexed(chap(kind, number, SECRET, octets))
        other.step({"CHAP_N": "alice", "CHAP_R": response, "CHAP_I": "7", "CHAP_C": hexed(b"x" * 16)}, transit=True)
    return proof(i, CHAP_R=response)


def others_challenge(i):
    with Initiator(gw.port, source=next(sources)) as other:
        return reflect(i, other.challenged()[2])


def mirrored(i):
    """The secret of the other direction: what the gateway itself would answer."""
    kind, number, octets = i.challenged()
    i.step({"CHAP_N": "alice", "CHAP_R": hexed(chap(kind, number, MUTUAL, octets)), "CHAP_I": "7", "CHAP_C": hexed(b"y" * 16)})
    return "accepted"


def at_stage_one(i):
    names = i.names()
    del names["AuthMethod"]
    i.login_pdu(1, 3, text(**names))
    i.login_answer()
    return "accepted"


def method(value):
    def login(i):
        return i.step({**i.names(), "AuthMethod": value}).get("AuthMethod")
    return login


def proof_first(i):
    i.step(i.names())
    i.step({"CHAP_N": "alice", "CHAP_R": "0x" + "00" * 16})


def away_without(i):
    """T from the security stage, CHAP not even begun or only challenged."""
    i.challenged()
    i.step({}, transit=True)
    i.login_pdu(1, 3, b"")
    i.login_answer()
    return "accepted"


md5 = dict(name=f"{CLIENT}-sha256")
refusals = [
    ("a wrong secret", "wrong-secret", lambda i: i.login(secret="wrong-secret-000"), {}),
    ("an unknown user", "unknown-user", lambda i: i.login(user="mallory"), {}),
    ("a user whose name goes on", "unknown-user", lambda i: i.login(user="alicex"), {}),
    ("a user whose name is cut", "unknown-user", lambda i: i.login(user="alic"), {}),
    ("a user in capitals", "unknown-user", lambda i: i.login(user="Alice"), {}),
    ("a user of 4000 octets", "", lambda i: i.login(user="a" * 4000), {}),
    ("another initiator's name", "wrong-initiator", lambda i: i.login(), dict(name=CLIENT + "-md5")),
    ("md5 where sha256 is the floor", "weak-algorithm", lambda i: i.login(user="user-sha256", secret="secret-of-user-sha256",
     mutual="secret-of-gw-for-sha256", algorithms="5"), md5),
    ("no mutual CHAP where it is required", "no-mutual", lambda i: i.login(mutual=None), {}),
    ("mutual CHAP where there is none to give", "no-mutual", lambda i: i.login(user="one-way", secret="secret-of-one-way-user"),
     dict(name=CLIENT + "-one-way")),
    ("our own challenge, sent back", "reflection", lambda i: reflect(i, None), {}),
    ("our own challenge of another connection", "reflection", others_challenge, {}),
    ("the response that we would give ourselves", "reflection", mirrored, {}),
    ("a response that was right once", "wrong-secret", replay, {}),
    ("no algorithm in common", "no-algorithm", lambda i: i.challenged(algorithms="9"), {}),
    ("a login without the security stage", "", at_stage_one, {}),
    ("AuthMethod None", "", method("None"), {}),
    ("AuthMethod KRB5,None", "", method("KRB5,None"), {}),
    ("AuthMethod chap, in small letters", "", method("chap"), {}),
    ("an empty AuthMethod", "", method(""), {}),
    ("a proof before its challenge", "", proof_first, {}),
    ("a proof without a name", "", lambda i: proof(i, CHAP_N=None), {}),
    ("a proof without a response", "", lambda i: proof(i, CHAP_R=None), {}),
    ("CHAP_I without CHAP_C", "", lambda i: proof(i, CHAP_C=None), {}),
    ("CHAP_C without CHAP_I", "", lambda i: proof(i, CHAP_I=None), {}),
]
refusals += [(f"CHAP_I {value!r}", "", lambda i, value=value: proof(i, CHAP_I=value), {})
             for value in ("256", "-1", "0x100", "", " 1", "1 ", "1e1", "0x", "4294967303", "18446744073709551623")]
bad_binaries = ["", "0x", "0b", "00", "0xzz", "0x123", "0x ", "0b!!!!", "0bAAA", "0bA=AA", "0d77", "77"]
refusals += [(f"CHAP_R {value!r}", "", lambda i, value=value: proof(i, CHAP_R=value), {}) for value in bad_binaries]
refusals += [(f"CHAP_C {value!r}", "", lambda i, value=value: proof(i, CHAP_C=value), {}) for value in bad_binaries]
refusals += [(f"a response of {n} octets in {binary.__name__[:-2]}", "", lambda i, n=n, binary=binary: proof(i, CHAP_R=binary(bytes(n))), {})
             for n in (1, 15, 16, 20, 31, 33, 64, 65, 128, 1024, 2900) for binary in (hexed, base64ed)]
refusals += [(f"a challenge of {n} octets", "", lambda i, n=n: proof(i, CHAP_C=hexed(bytes(range(256)) * 8)[:2 + 2 * n]), {}) for n in (1025, 1500)]
wanted, listed = {}, []
for sentence, reason, login, options in refusals:
    got, source = attempt(login, **options)
    check(AREA, f"P1: {sentence} is refused with 0201h", got == 0x0201, (got, gw.log()))
    if reason:
        wanted[source] = (sentence, reason)
for n in (1, 16, 1024):
    got, _ = attempt(lambda i: proof(i, CHAP_C=base64ed(os.urandom(n))))
    check(AREA, f"a challenge of {n} octets is answered", got == "accepted", got)
for value in ("0", "255", "0xFF", "0x7"):
    got, _ = attempt(lambda i: proof(i, CHAP_I=value))
    check(AREA, f"CHAP_I {value} is a number of one octet", got == "accepted", got)
got, _ = attempt(method("None,CHAP"))
check(AREA, "of AuthMethod None,CHAP it is CHAP that is taken", got == "CHAP", got)
got, source = attempt(away_without)
check(AREA, "P1: a login that leaves the security stage without a proof gets nowhere", got in (0x0200, 0x0201), got)


def reasons():
    found = {e.get("peer_ip"): e.get("reason") for e in gw.audit("--op", "refusal")}
    return all(source in found for source in wanted) and found


found = wait_for(reasons) or {}
for source, (sentence, reason) in wanted.items():
    check("audit", f"{sentence} is in the audit log as {reason}", found.get(source) == reason, found.get(source))


# --- nobody learns why ---------------------------------------------------------------------------------------------------
def refusal_of(user, secret, name=CLIENT, target=TARGET, timer=None):
    """All that a stranger sees of a refused login: the challenge's form, and the last answer's octets."""
    with Initiator(gw.port, name=name, isid=b"\x80same!", source=next(sources)) as i:
        challenge = i.challenged(target)
        start = time.monotonic()
        try:
            i.prove(challenge, user, secret)
        except Refused as refused:
            if timer is not None:
                timer.append(time.monotonic() - start)
            return challenge[0], len(challenge[2]), refused.octets, i.ended()
        return "accepted"


seen = {what: refusal_of(*words) for what, words in {
    "a wrong secret": ("alice", "wrong-secret-000"), "an unknown user": ("mallory", "wrong-secret-000"),
    "another's right secret": ("alice", "secret-of-user-md5"), "an unknown user with a right secret": ("mallory", SECRET),
    "a wrong name": ("alice", SECRET, CLIENT + "x"), "an unknown target and secret": ("alice", "wrong-secret-000", CLIENT, TARGET + "x"),
    "a weaker user": ("user-md5", "secret-of-user-md5")}.items()}
for what, octets in seen.items():
    check(AREA, f"P1: {what} gets the very octets that a wrong secret gets", octets == seen["a wrong secret"], (octets, seen["a wrong secret"]))


def difference():
    """How far apart the times of the two refusals are, in per cent."""
    times = {"mallory": [], "alice": []}
    for _ in range(60):
        for user, timer in times.items():
            refusal_of(user, "wrong-secret-000", timer=timer)
    medians = sorted(statistics.median(timer) for timer in times.values())
    return round(100 * (medians[1] / medians[0] - 1), 1)


apart, tries = difference(), 1
while apart >= 25 and tries < 5:  # a real difference is there each time
    apart, tries = difference(), tries + 1
check(AREA, f"P1: an unknown user and a wrong secret take the same time (their medians are {apart} % apart)", apart < 25)

# --- one way, where the policy says so -----------------------------------------------------------------------------------
one_way = dict(user="one-way", secret="secret-of-one-way-user", mutual=None)
got, _ = attempt(lambda i: i.prove(i.challenged(), **one_way) == {} and works(i), name=CLIENT + "-one-way")
check(AREA, "one-way CHAP works where the policy says mutual: none", got is True, got)
options = f"driver=iscsi,transport=tcp,portal=127.0.0.1:{gw.port},target={TARGET},lun=0,"
if shutil.which("qemu-img"):
    gw.accept_weaker("one-way")
    done = run("qemu-img", "info", "--image-opts", options + f"user=one-way,password=secret-of-one-way-user,initiator-name={CLIENT}-one-way")
    check(AREA, "qemu-img, which knows one-way CHAP alone, reads that initiator's disk", done.returncode == 0 and "16 MiB" in done.stdout, done.stdout + done.stderr)
    done = run("qemu-img", "info", "--image-opts", options + f"user=user-md5,password=secret-of-user-md5,initiator-name={CLIENT}-md5")
    check(AREA, "P1: qemu-img is refused where mutual CHAP is required", done.returncode != 0, done.stdout)
else:
    skip(AREA, "qemu-img reads a disk by one-way CHAP", "no qemu-img")

check(AREA, "no process was ended by a signal, and the gateway is well", "was ended by signal" not in gw.log() and gw.is_well(), gw.log())
check(AREA, "the gateway stops cleanly", gw.stop() == 0, gw.log())
finish()
