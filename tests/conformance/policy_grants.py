#!/usr/bin/env python3
"""Grants with an end, hours of the week, and how many sessions: at a login, in sessions that are there, in discovery and
in the firewall, while the test sets the gateway's wall clock."""
import datetime, mmap, subprocess
from harness import *
from initiator import *

AREA = "policy"
POLICY = """\
version: 1
portals:
  here: {{listen: ["127.0.0.1:{port}"], transport: plain}}
gateway: {{grace: 1s}}
disks:
  vault: {{memory: 16MiB}}
targets:
  {target}:
    portals: [here]
    luns: {{0: vault}}
    initiators:
      {client}:
        from: [127.8.0.9]
        chap: {{user: alice, mutual: gw-for-alice, algorithms: [md5]}}
        {alice}
      {client}-other:
        from: [127.8.0.12]
        chap: {{user: other, mutual: gw-for-alice, algorithms: [md5]}}
auth: {{bans: {{exempt: [127.0.0.0/8]}}}}
"""
OTHER = dict(name=CLIENT + "-other", source="127.8.0.12")
OTHER_IS = dict(user="other", secret="secret-of-the-other")
UTC = datetime.timezone.utc


def at(text):
    return datetime.datetime.fromisoformat(text + "+00:00").timestamp()


class Clock:
    """The gateway's wall clock."""

    def __init__(self):
        library = str(pathlib.Path("wall_clock.so").resolve())
        done = run("cc", "-shared", "-fPIC", "-o", library, pathlib.Path(__file__).with_name("wall_clock_preload.c"), "-ldl")
        assert done.returncode == 0, done.stderr
        path = pathlib.Path("ahead").resolve()
        path.write_bytes(bytes(8))
        with open(path, "r+b") as f:
            self.ahead = mmap.mmap(f.fileno(), 8)
        self.wrapper = ("env", f"LD_PRELOAD={library}", f"SALLYPORT_TEST_CLOCK={path}")

    def set(self, text):
        self.ahead[:] = struct.pack("=q", round(at(text) - datetime.datetime.now(UTC).timestamp()))


def attempt(clock=None):
    """What the initiator meets: "in", a login status, or "closed"."""
    try:
        with Initiator(gw.port, source="127.8.0.9", timeout=3) as i:
            i.login()
            return "in"
    except Refused as refused:
        return refused.status
    except (Gone, OSError):
        return "closed"


def is_asked_out(i):
    """Is it asked for a logout (RFC 7143 section 11.9.1, event 1), and ended when it does not log out?"""
    asked = False
    try:
        while True:
            pdu = i.receive()
            asked = asked or (pdu.opcode == ASYNC and pdu.bhs[36] == 1)
    except Gone:
        return asked
    except TimeoutError:
        return False


def let_in():
    """The addresses that the firewall lets in, of the two; None: there is no firewall."""
    done = run("nft", "list", "table", "inet", "sallyport") if gw.status().get("firewall") != "none" else None
    if done is None or done.returncode != 0:
        return None
    return [a for a in ("127.8.0.9", "127.8.0.12") if a + "," in done.stdout + "," or a + " " in done.stdout]


def reasons(kind):
    return [e.get("reason") for e in gw.audit() if e.get("event") == kind or e.get("kind") == kind]


def a_grant_that_ends():
    with Initiator(gw.port, source="127.8.0.9").login() as i, Initiator(gw.port, **OTHER).login(**OTHER_IS) as other:
        firewalled = let_in()
        clock.set("2026-12-24T16:59:00")
        check(AREA, "until: a minute before, the session goes on", i.read(0, 1)[0] == 0)
        clock.set("2026-12-24T17:00:01")
        check(AREA, "P7: at its end the session is asked to log out, and ended", is_asked_out(i), gw.log())
        check(AREA, "P7: who has another grant does not notice", other.read(0, 1)[0] == 0)
        check("audit", "the end of a grant is the reason of the logout",
              wait_for(lambda: "grant-ended" in json.dumps(gw.audit())), gw.audit())
        if firewalled:
            check("firewall", "P1: the pair of a grant that ended is gone", wait_for(lambda: let_in() == ["127.8.0.12"]), let_in())
            check("firewall", "… and that is no drift", not gw.status().get("drift"), gw.status())
        got = attempt()
        check(AREA, "P1: after its end it can't log in", got in (0x0201, "closed"), (got, gw.log()))
        clock.set("2026-12-24T16:00:00")
        check(AREA, "a clock that is put back is looked at again: it may log in", wait_for(lambda: attempt() == "in", 20), gw.log())
        if firewalled:
            check("firewall", "… and the pair is there again", let_in() == ["127.8.0.9", "127.8.0.12"], let_in())


def hours_of_the_week():
    clock.set("2026-03-28T23:00:00")
    done = gw.reload(alice="hours: Sun 01:00-05:00 Europe/Berlin")
    check(AREA, "hours are taken up by a reload", done.returncode == 0, done.stderr)
    got = attempt()
    check(AREA, "P1: outside of its hours it can't log in", got in (0x0201, "closed"), (got, gw.log()))
    clock.set("2026-03-29T00:30:00")
    check(AREA, "within its hours it can", wait_for(lambda: attempt() == "in", 20), gw.log())
    with Initiator(gw.port, source="127.8.0.9").login() as i:
        clock.set("2026-03-29T02:59:00")
        check(AREA, "an hour before they end, in summer time by now, the session goes on", i.read(0, 1)[0] == 0)
        clock.set("2026-03-29T03:00:01")
        check(AREA, "P7: when its hours end, by the clock that was put forward, the session is asked to log out", is_asked_out(i), gw.log())
    check("audit", "the end of the hours is the reason of the logout", wait_for(lambda: "outside-hours" in json.dumps(gw.audit())), gw.audit())
    for when, code, word in (("2026-03-29T05:00+02:00", 1, "outside-hours"), ("2026-03-29T04:59+02:00", 0, "allowed")):
        done = gw.command("explain", gw.policy, "--from", "127.8.0.9", "--initiator", CLIENT, "--target", TARGET, "--at", when, "--json")
        layers = json.loads(done.stdout)["layers"]
        said = next(l for l in layers if l["layer"] == "initiator")
        check(AREA, f"explain --at {when} says what would be decided then: {word}",
              done.returncode == code and said["reason"] == word, done.stdout)


def how_many():
    clock.set("2026-06-01T12:00:00")
    check(AREA, "sessions is taken up by a reload", gw.reload(alice="sessions: 2").returncode == 0, gw.log())
    isid = b"\x80\x01\x02\x03\x04\x05"
    with Initiator(gw.port, source="127.8.0.9", isid=isid).login() as first, Initiator(gw.port, source="127.8.0.9").login():
        got = attempt()
        check(AREA, "P1: sessions: one more than it may have is refused, as out of resources", got == 0x0302, (got, gw.log()))
        check("audit", "… with a reason of its own", wait_for(lambda: "too-many-sessions" in json.dumps(gw.audit("--denied"))), gw.audit())
        with Initiator(gw.port, source="127.8.0.9", isid=isid).login() as again:
            check(AREA, "a login that takes the place of its own session needs no room", again.read(0, 1)[0] == 0)
        with Initiator(gw.port, **OTHER).login(**OTHER_IS) as other:
            check(AREA, "another initiator's sessions are not counted", other.read(0, 1)[0] == 0)
    check(AREA, "when they are over there is room again", wait_for(lambda: attempt() == "in", 20), gw.log())


clock = Clock()
gw = Gateway(policy=POLICY, alice="until: 2026-12-24T18:00+01:00")
gw.secret("other", "secret-of-the-other")
clock.set("2026-12-20T12:00:00")
gw.start(wrapper=clock.wrapper)
a_grant_that_ends()
hours_of_the_week()
how_many()
check(AREA, "the gateway stops cleanly", gw.stop() == 0, gw.log())
finish()
