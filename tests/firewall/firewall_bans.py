"""Bans between real hosts: what bans, what does not, how bans grow, who is slowed; operators, decoys, restarts."""
import json
import os
import signal
from datetime import datetime

from firewall.lib import hosts, report
from firewall.lib.guests import POLICY, bans, enter, fails, in_kernel, outcome, reasons, works
from firewall.lib.report import check
from harness import TARGET, Gateway, wait_for
from initiator import Gone, Initiator, Refused

BAIT, FORGER = "iqn.2026-11.net.example.gw:backup", "iqn.1994-05.com.redhat:admin"
BANS = "auth: {{bans: {{after: 5, within: 10m, for: {first}, cap: 1h, exempt: [10.77.3.0/24]}}}}\n" \
       f"gateway: {{{{decoys: [{BAIT}, {FORGER}]}}}}\n"


def command(gw, *words):
    """Exit status and what is printed."""
    done = gw.command("bans", *words)
    return done.returncode, done.stdout + done.stderr


def lift(gw, host):
    return command(gw, "lift", host.ip4)[0] == 0


def row_of(gw, host, *words):
    return next((b for b in bans(gw, *words)["bans"] if b["source"] == host.ip4), {})


def test_points(net, gw):
    fails(net.client, gw, 4)
    suspects = bans(gw, "--all")["suspects"]
    check(suspects == [{"source": net.client.ip4, "points": 4}] and not bans(gw)["bans"],
          "four wrong secrets ban nobody; their points are told", suspects)
    fails(net.client, gw, 1)
    row = row_of(gw, net.client)
    check((row.get("state"), row.get("reason"), row.get("repeats")) == ("banned", "wrong-secret", 0) and
          row["since"] < row["until"], "P6: the fifth bans; source, reason, since and until are told", row)
    check(wait_for(lambda: in_kernel(net, net.client)) and not net.client.reaches(gw.port) and
          "suspects" not in bans(gw), "its new connections are dropped")
    check(lift(gw, net.client) and wait_for(lambda: not in_kernel(net, net.client)) and
          outcome(net.client, gw) == "in", "lifted, it gets in again")
    code, said = command(gw, "lift", net.client.ip4)
    check(code == 1 and "was not banned" in said, "lifting what is not banned is the answer no", said)
    fails(net.client, gw, 4)
    check(not row_of(gw, net.client), "a ban that was lifted leaves no points behind")
    lift(gw, net.client)


def test_exempt(net, gw):
    refused = fails(net.exempt, gw, 12)
    check(refused == ["0x201"] * 12 and outcome(net.exempt, gw) == "in", "an exempt address is never banned", refused)


def test_slowed(net, gw):
    live = enter(net.client, gw)
    refused = fails(net.client, gw, 5)
    check(refused == ["0x201"] * 5 and row_of(gw, net.client).get("state") == "slowed" and not in_kernel(net, net.client),
          "P7: an address with a live session is slowed, not banned", refused, bans(gw))
    got = [outcome(net.client, gw) for _ in range(3)]
    check(got == ["closed"] * 3, "P6: its next login begins 10 s after the last one", got)
    check("slowed" in reasons(gw, "connection", lambda r: "slowed" in r), "and the audit says why")
    check(works(live), "P7: its session goes on")
    live.close()
    check(wait_for(lambda: not gw.sessions()) and lift(gw, net.client), "an operator lifts that, too")


def test_under_way(net, gw):
    """Guesses that began before the ban are judged after it."""
    begun = []
    for _ in range(3):
        with net.other.inside():
            i = Initiator(gw.port, host=hosts.GATEWAY4)
        begun.append((i, i.challenged()))
    fails(net.other, gw, 5)
    got = []
    for i, challenge in begun:
        try:
            i.prove(challenge)
            got.append("in")
        except Refused as refused:
            got.append(hex(refused.status))
        i.close()
    check(got == ["0x201"] * 3, "P6: a right guess that was under way when its source was banned is refused", got)
    last = reasons(gw, "refusal", lambda r: r.count("banned") == 3)[-3:]
    check(last == ["banned"] * 3, "as a wrong one is; the audit knows better", last)
    lift(gw, net.other)


def octets(host, gw, **how):
    """The wire's whole answer to a login that is refused."""
    with host.inside():
        i = Initiator(gw.port, host=hosts.GATEWAY4, name=how.pop("name", None) or "iqn.1994-05.com.redhat:client",
                      isid=b"\x80dcoys")
    try:
        i.login(**how)
    except Refused as refused:
        return refused.octets
    finally:
        i.close()
    return b""


def test_decoys(net, gw):
    for what, decoy, other in (
            ("a decoy target", dict(target=BAIT), dict(target=TARGET + "x")),
            ("a decoy target, with a wrong secret", dict(target=BAIT.upper(), secret="not-the-right-one-1"),
             dict(target=TARGET + "x", secret="not-the-right-one-1")),
            ("a decoy initiator name", dict(name=FORGER), dict(name=FORGER + "x"))):
        plain, bait = octets(net.other, gw, **other), octets(net.other, gw, **decoy)
        check(plain and plain == bait, f"the answer to {what} is that to any other name", plain, bait)
        row = row_of(gw, net.other)
        check(row.get("reason") == "decoy" and wait_for(lambda: in_kernel(net, net.other)),
              f"P6: the first touch of {what} bans", row)
        lift(gw, net.other)
    refusals = reasons(gw, "refusal", lambda r: r.count("decoy") == 3)
    events = [e for e in gw.audit() if e.get("event") == "decoy"]
    check(len(events) == 3 and BAIT in events[0]["detail"] and net.other.ip4 in events[0]["detail"] and
          refusals.count("decoy") == 3, "the audit has each", events, refusals)
    alerts = gw.status()["alerts"]
    check("DECOY" in gw.log() and alerts and alerts[0]["alert"] == "decoy" and alerts[0]["count"] == 3 and
          FORGER in alerts[0]["text"] and "ALERT" in gw.command("status").stdout, "log and status say so", alerts)
    check(gw.status()["well"], "and the gateway is well")


def test_operator(net, gw):
    live = enter(net.client, gw)
    code, said = command(gw, "add", net.client.ip4, "--for", "30m")
    check(code == 0 and "is banned for 30m" in said and "1 session from there goes on" in said, "an operator bans an address", said)
    row = row_of(gw, net.client)
    check(row["by_operator"] and 1700 < row["seconds_left"] <= 1800 and wait_for(lambda: in_kernel(net, net.client)) and
          not net.client.reaches(gw.port), "also one that has a live session", row)
    check(works(live), "P7: and that goes on")
    live.close()
    code, said = command(gw, "add", "fd77:1::2", "--json")
    check(code == 0 and json.loads(said)["banned"] == "fd77:1::/64" and
          wait_for(lambda: not net.client.reaches(gw.port, to=hosts.GATEWAY6)), "of IPv6 it is the /64", said)
    listed = command(gw)[1]
    check("fd77:1::/64" in listed and net.client.ip4 in listed and "by an operator" in listed, "the list has both", listed)
    check(command(gw, "lift", "fd77:1::/64")[0] == 0 and lift(gw, net.client) and
          wait_for(lambda: net.client.reaches(gw.port) and net.client.reaches(gw.port, to=hosts.GATEWAY6)), "and lifts them")
    for words, want in ((("add", "127.0.0.1"), "loopback"), (("add", "::1"), "loopback"), (("add", "10.0.0.0/8"), "/64"),
                        (("add", "nowhere"), "no address"), (("add", "10.77.3.2"), "exempt"), (("lift", "x"), "no address"),
                        (("add", "192.0.2.1", "--for", "9999d"), "366 days")):
        code, said = command(gw, *words)
        check(code == 3 and want in said, f"{' '.join(words)} is refused: {want}", said)
    for words in (("add",), ("remove", "x"), ("lift", "x", "--for", "1h"), ("add", "192.0.2.1", "--for", "soon"), ("list", "x")):
        check(command(gw, *words)[0] == 2, f"bans {' '.join(words)} is wrong usage")
    reasons(gw, "unban", lambda r: r.count("by an operator") >= 4)
    audited = [(e["event"], e["reason"]) for e in gw.audit() if e.get("event") in ("operator", "ban", "unban")]
    check(("operator", "ban") in audited and ("ban", "by-an-operator") in audited and ("operator", "unban") in audited and
          ("unban", "by an operator") in audited, "what an operator does is audited", audited)
    check(any(e["event"] == "operator" and "uid 0" in e["detail"] for e in gw.audit() if "event" in e), "with who it was")


def test_restart(net, gw, start):
    fails(net.client, gw, 5)
    command(gw, "add", "192.0.2.77", "--for", "9d")
    kept = wait_for(lambda: "192.0.2.77" in (gw.state / "bans.json").read_text() if (gw.state / "bans.json").exists() else False)
    check(kept, "bans are written when they are new")
    before = {b["source"]: b["until"][:16] for b in bans(gw)["bans"]}
    for how, word in ((signal.SIGTERM, "a clean stop"), (signal.SIGKILL, "kill -9")):
        gw.stop(how)
        start()
        after = {b["source"]: b["until"][:16] for b in bans(gw)["bans"]}
        check(set(after) == set(before) and row_of(gw, net.client)["reason"] == "wrong-secret", f"after {word} all are there", before, after)
        check(wait_for(lambda: in_kernel(net, net.client)) and not net.client.reaches(gw.port), "and in the firewall")
    command(gw, "lift", "192.0.2.77")
    lift(gw, net.client)


def points_after(net, gw, deed):
    """The points of the client after a deed, which are forgotten then."""
    def points():
        return next((s["points"] for s in bans(gw, "--all")["suspects"] if s["source"] == net.client.ip4), 0)

    with net.client.inside():
        i = Initiator(gw.port, host=hosts.GATEWAY4)
    deed(i)
    wait_for(lambda: not gw.sessions())
    i.close()
    got = points()
    lift(gw, net.client)
    return got


def crash(gw):
    def deed(i):
        i.challenged()
        os.kill(gw.sessions()[0]["pid"], signal.SIGSEGV)
    return deed


def leave(i):
    i.challenged()
    i.close()


def test_costs(net, gw):
    for what, want, deed in (("a malformed PDU", 2, lambda i: (i.raw(b"\x43" + b"\xff" * 47), i.ended())),
                             ("a login that takes too long", 1, lambda i: (i.challenged(), i.ended())),
                             ("a session that crashes", 3, crash(gw)),
                             ("only leaving", 0, leave)):
        got = points_after(net, gw, deed)
        check(got == want, f"P6: {what} costs {want} points", got, gw.log())
    for _ in range(5):
        outcome(net.client, gw, to=hosts.GATEWAY6, secret="not-the-right-one-1")
    sources = [b["source"] for b in bans(gw)["bans"]]
    check(sources == ["fd77:1::/64"], "P6: by IPv6 the /64 is banned", sources)


def seconds_between(one, other):
    """Of two times as they are printed: each is worked out from clocks that are read anew."""
    return abs((datetime.fromisoformat(one.rstrip("Z")) - datetime.fromisoformat(other.rstrip("Z"))).total_seconds())


def test_reload(net, gw):
    """Another policy: what it says of bans is for new ones, and who is exempt now is free at once."""
    def reload(first="10m", exempt="10.77.3.0/24"):
        settings = BANS.format(first=first).replace("10.77.3.0/24", exempt)
        gw.policy.write_text(POLICY.format(**{**gw.values, "more": settings}))
        return gw.command("reload").returncode

    fails(net.client, gw, 5)
    before = row_of(gw, net.client)
    check(reload(first="1m") == 0 and seconds_between(before["until"], row_of(gw, net.client)["until"]) <= 1 and
          wait_for(lambda: in_kernel(net, net.client)), "P7: a ban outlives a reload as it is", gw.log())
    fails(net.other, gw, 5)
    check(row_of(gw, net.other)["seconds_left"] <= 60, "a new one is as the new policy says", bans(gw))
    check(reload(exempt="10.77.1.0/24") == 0 and not row_of(gw, net.client) and
          wait_for(lambda: not in_kernel(net, net.client)) and outcome(net.client, gw) == "in",
          "who is exempt from now on is free at once", bans(gw), gw.log())
    check(row_of(gw, net.other) and "exempt" in reasons(gw, "unban", lambda r: "exempt" in r), "others are not; the audit has it")
    check(fails(net.exempt, gw, 5) == ["0x201"] * 5 and row_of(gw, net.exempt), "and who was exempt pays as all do")


def test_growth(net, start, gw):
    """With bans of a second: each ends by itself."""
    def lasted():
        return [e["detail"] for e in gw.audit("--op", "ban") if e["detail"].startswith(net.client.ip4)]

    want = [f"{net.client.ip4} for {seconds} s" for seconds in (1, 2, 4)]
    for count in range(1, 4):
        fails(net.client, gw, 5)
        wait_for(lambda: len(lasted()) == count)
        wait_for(lambda: not row_of(gw, net.client))
        if count == 2:
            gw.stop()
            start()
    check(lasted() == want, "P6: each ban is twice the one before, also over a restart", lasted(), gw.log())


def test_without(net):
    """No firewall: bans hold at accept."""
    gw = Gateway(policy=POLICY, more=BANS.format(first="10m") + "firewall: {manage: false}\n")
    try:
        gw.start(wrapper=("ip", "netns", "exec", net.gateway.name))
        check(fails(net.client, gw, 5) == ["0x201"] * 5 and [outcome(net.client, gw) for _ in range(2)] == ["closed"] * 2,
              "P6: without a firewall, who is banned is closed at accept", gw.log())
        said = reasons(gw, "connection", lambda r: len(r) == 2)
        check(said == ["banned"] * 2, "and the audit says so", said)
        check(outcome(net.other, gw) == "in" and lift(gw, net.client) and outcome(net.client, gw) == "in",
              "others get in, and so does it when it is lifted", gw.log())
    finally:
        gw.close()


def run(net):
    def start():
        gw.start(wrapper=("ip", "netns", "exec", net.gateway.name))

    gw = Gateway(policy=POLICY, more=BANS.format(first="10m"))
    try:
        start()
        for test in (test_points, test_exempt, test_slowed, test_under_way, test_decoys, test_operator):
            test(net, gw)
        test_restart(net, gw, start)
        test_reload(net, gw)
    finally:
        gw.close()
    gw = Gateway(policy=POLICY, more=BANS.format(first="1s").replace("{decoys:", "{login_timeout: 1s, decoys:"))
    try:
        start()
        test_costs(net, gw)
        test_growth(net, start, gw)
    finally:
        gw.close()
    test_without(net)


def main():
    why = hosts.unavailable()
    if why:
        report.skip("bans between real hosts", why)
        return
    with hosts.Network("client", "other", "exempt") as net:
        run(net)
    report.finish()


if __name__ == "__main__":
    main()
