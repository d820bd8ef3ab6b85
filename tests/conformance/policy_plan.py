#!/usr/bin/env python3
"""plan against a running gateway: what is told of a change is what it would do, session by session."""
from harness import *
from initiator import *

AREA = "policy"
GW = "iqn.2026-11.net.example.gw:"
BOB = CLIENT + "-bob"
POLICY = """\
version: 1
portals:
  here: {{listen: ["127.0.0.1:{port}"], transport: plain}}
disks:
  vault: {{file: vault.img, size: 16MiB}}
  second: {{memory: 16MiB}}
targets:
  {target}:
    portals: [here]
    luns: {{0: vault, 1: second}}
    initiators:
      {client}:
        from: [127.0.0.1]
        chap: {{user: alice, mutual: gw-for-alice, algorithms: [sha256, md5]}}
        luns: {{0: read-write, 1: read-only}}
      {client}-bob:
        from: [127.0.0.1, 203.0.113.9]
        chap: {{user: bob, mutual: gw-for-bob}}
        luns: {{1: read-write}}
gateway: {{grace: 1s}}
"""
gw = Gateway(policy=POLICY)
gw.secret("bob", "secret-of-bob-01234")
gw.secret("gw-for-bob", "secret-for-bob-01234")
text = gw.policy.read_text()


def plan(*edits, words=(), path=None):
    """The policy with other texts, planned: exit status, output."""
    new = text
    for old, by in edits:
        assert old in new, old
        new = new.replace(old, by)
    path = path or gw.policy
    path.write_text(new)
    done = gw.command("plan", path, *words)
    path.write_text(text)
    return done


def told(*edits):
    done = plan(*edits, words=["--json"])
    return done.returncode, json.loads(done.stdout) if done.returncode in (0, 10) else done.stderr


done = plan()
check(AREA, "plan without a gateway says so, and that all is new", done.returncode == 10 and "no gateway answers" in done.stdout and "+ target " + TARGET in done.stdout, done.stdout + done.stderr)
code, answer = told()
check(AREA, "plan without a gateway as JSON has no running policy", code == 10 and answer["running"] is None and {d["change"] for d in answer["differences"]} == {"added"}, answer)
gw.start()

done = plan()
check(AREA, "P5: the policy that runs differs in nothing: exit status 0, and its hash", done.returncode == 0 and "no difference: it is the policy that is in force" in done.stdout and done.stdout.split()[1] == gw.status()["policy_sha256"], done.stdout + done.stderr)
done = plan(("version: 1", "# a comment\nversion: 1"))
check(AREA, "comments change the hash and nothing else", done.returncode == 0 and "the files differ in comments or order" in done.stdout, done.stdout)
done = plan(("gateway: {grace", "gateway: {connections: 77, logins_at_once: 7, grace"))
check(AREA, "what needs a restart is told", done.returncode == 10 and "note     gateway.connections can't change while the gateway runs" in done.stdout, done.stdout + done.stderr)
done = plan(("transport: plain", "transport: plane"))
check(AREA, "a broken policy is told with its place, and ends with 1", done.returncode == 1 and not done.stdout and "yaml:3:" in done.stderr, done.stdout + done.stderr)
done = plan(("user: bob", "user: nobody"))
check(AREA, "a secret that the store does not have is found here already", done.returncode == 1 and "nobody" in done.stderr, done.stderr)
other = gw.folder / "draft.yaml"
done = plan(("1: second", "1: vault"), path=other)
check(AREA, "a draft beside the policy is compared, with a note that the gateway takes up the other file", done.returncode == 10 and f"the gateway takes up {gw.policy}" in done.stdout, done.stdout + done.stderr)

with Initiator(gw.port).login() as alice, Initiator(gw.port) as second:
    second.login()
    wait_for(lambda: len([s for s in gw.sessions() if s["state"] == "granted"]) == 2)
    rows = gw.sessions()
    check(AREA, "sessions tell what they hold", all(r["luns"] == [{"lun": 0, "writable": True}, {"lun": 1, "writable": False}] and r["algorithm"] == "sha3-256" and r["local"] == f"127.0.0.1:{gw.port}" for r in rows), rows)
    for sentence, edits, effect, reason, firewall in (
            ("P7: another initiator's end is not noticed", [("-bob:\n        from: [127.0.0.1,", "-bob:\n        from: [127.0.0.2,")], "unchanged", "unchanged", 1),
            ("a LUN more is told as widening", [("1: read-only}", "1: read-write}")], "widened", "lun-writable", 0),
            ("deny is told as rules that change in place", [("        luns: {0: read-write", "        deny: [unmap]\n        luns: {0: read-write")], "rules", "deny", 0),
            ("a LUN less is told as a login", [("{0: read-write, 1: read-only}", "{0: read-write}")], "log-in-again", "lun-removed", 0),
            ("P1: who may come no more is told to end", [(CLIENT + ":\n        from: [127.0.0.1]", CLIENT + ":\n        from: [127.0.0.2]")], "ends", "wrong-address", 1)):
        code, answer = told(*edits)
        got = [(s["effect"], s["reason"]) for s in answer["sessions"]] if code == 10 else answer
        check(AREA, sentence, got == [(effect, reason)] * 2 and answer["effects"][effect] == 2, answer)
        lines = {(line["block"], line["line"]) for line in answer["firewall"] if line["change"] == "added"}
        check("firewall", "… and the firewall's lines that come with it", (("set from_here_4", "127.0.0.1-127.0.0.2") in lines) == bool(firewall), answer["firewall"])
    done = plan(("{0: read-write, 1: read-only}", "{0: read-only}"))
    want = [f"~ target {TARGET}", f"    ~ initiator {CLIENT}", "        ~ LUN 0: read-write -> read-only  (line 15)",
            "        - LUN 1: read-only  (line 15 of the running policy)",
            f"! session {rows[0]['session']} of {CLIENT} from {rows[0]['peer']} on {TARGET} is asked to log in again: LUN 0 is read-only for it now  (line 15)",
            "plan: 0 to add, 1 to change, 1 to remove; firewall lines +0 -0",
            "sessions: 2; 0 end, 2 are asked to log in again, 0 are widened, 0 get other rules, 0 do not notice"]
    check(AREA, "plan names each difference with its line, each session, and sums up", all(line in done.stdout.splitlines() for line in want), done.stdout)
    gw.policy.write_text(text.replace("{0: read-write,", "{0: read-only,"))
    done = gw.command("explain", gw.policy, "--from", "127.0.0.1", "--initiator", CLIENT, "--target", TARGET, "--lun", "0", "--command", "write-10")
    check(AREA, "explain notes that the gateway has another policy in force", done.returncode == 1 and "refused: command" in done.stdout and "note the running gateway has another policy" in done.stdout, done.stdout + done.stderr)
    gw.policy.write_text(text)
    check(AREA, "P7: nobody noticed the plans", alice.ready()[0] in (0, 2) and len(gw.sessions()) == 2, gw.log())
    alice.logout()
    second.logout()

# --- explain asks for bans
ask = ["explain", gw.policy, "--from", "203.0.113.9", "--initiator", BOB, "--target", TARGET]
check(AREA, "explain: who is not banned may enter", gw.command(*ask).returncode == 0, gw.command(*ask).stdout)
assert gw.command("bans", "add", "203.0.113.9").returncode == 0
done, answer = gw.command(*ask), json.loads(gw.command(*ask, "--json").stdout)
check(AREA, "P1: explain: who is banned now is refused at the firewall, whatever the policy says", done.returncode == 1 and "refused: firewall" in done.stdout and "banned until" in done.stdout and answer["layers"][0]["reason"] == "banned", done.stdout)
assert gw.command("bans", "lift", "203.0.113.9").returncode == 0
check(AREA, "explain: once the ban is lifted, it may again", gw.command(*ask).returncode == 0, gw.command(*ask).stdout)

if os.geteuid() == 0:
    done = run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", SALLYPORT, "plan", gw.policy, "--state", gw.state)
    check(AREA, "P3: who may not ask the gateway gets no plan", done.returncode == 3 and not done.stdout, done.stdout + done.stderr)
else:
    skip(AREA, "P3: who may not ask the gateway gets no plan", "needs root")
check(AREA, "the gateway stops cleanly", gw.stop() == 0, gw.log())
finish()
