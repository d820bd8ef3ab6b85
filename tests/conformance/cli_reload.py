#!/usr/bin/env python3
"""reload as a person types it: what plan showed is what happens, a broken file changes nothing, and nobody locks himself out."""
from harness import *
from initiator import *

AREA = "reload"
POLICY = """\
version: 1
portals:
  here: {{listen: ["127.0.0.1:{port}"], transport: plain}}
disks:
  vault: {{memory: 16MiB}}
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
gateway: {{grace: 1s}}
"""
gw = Gateway(policy=POLICY)
text = gw.policy.read_text()
done = gw.command("reload")
check(AREA, "reload without a gateway says so", done.returncode == 3 and "no gateway answers" in done.stderr, done.stderr)
gw.start()
first = gw.status()["policy_sha256"]


def edit(*pairs):
    new = text
    for old, by in pairs:
        assert old in new, old
        new = new.replace(old, by)
    gw.policy.write_text(new)


def planned():
    done = gw.command("plan", gw.policy, "--json")
    return json.loads(done.stdout)


with Initiator(gw.port).login() as i:
    done = gw.command("reload")
    check(AREA, "P7: the same file: no difference, and nobody notices", done.returncode == 0 and "no difference: it is the policy that is in force" in done.stdout and "1 kept" in done.stdout, done.stdout + done.stderr)
    edit(("version: 1", "version: 1\nnonsense: 2"))
    done = gw.command("reload")
    check(AREA, "a broken file is refused with its place, and ends with 1", done.returncode == 1 and "yaml:2:1: error:" in done.stderr and "the policy before is in force, whole" in done.stderr and gw.status()["policy_sha256"] == first, done.stderr)
    edit(("1: read-only}", "1: read-write}"))
    plan = planned()
    done = gw.command("reload", "--expect", "0" * 64)
    check(AREA, "P5: another file than plan showed is not taken up", done.returncode == 3 and gw.status()["policy_sha256"] == first, done.stdout + done.stderr)
    done = gw.command("reload", "--expect", plan["policy"]["sha256"])
    lines = done.stdout.splitlines()
    check(AREA, "P5: what plan showed is taken up, and told line by line", done.returncode == 0 and "        ~ LUN 1: read-only -> read-write  (line 15)" in lines and any(line.startswith("! session") and "it may write LUN 1 from now on" in line for line in lines) and gw.status()["policy_sha256"] == plan["policy"]["sha256"], done.stdout + done.stderr)
    check(AREA, "… and the session has what it was told", wait_for(lambda: {"lun": 1, "writable": True} in gw.sessions()[0]["luns"]), gw.sessions())
    done = gw.command("plan", gw.policy)
    check(AREA, "after it, plan finds no difference", done.returncode == 0 and "no difference" in done.stdout, done.stdout)

    second = plan["policy"]["sha256"]
    edit(("1: read-only}", "1: read-write}"), ("luns: {0: read-write", "deny: [unmap]\n        luns: {0: read-write"))
    done = gw.command("reload", "--confirm-within", "1s")
    check(AREA, "P7: what is not confirmed goes back by itself", done.returncode == 0 and "unless: sallyport reload --confirm" in done.stdout and wait_for(lambda: gw.status()["policy_sha256"] == second), done.stdout + done.stderr + gw.log())
    done = gw.command("reload", "--confirm")
    check(AREA, "afterwards there is nothing to confirm", done.returncode == 3 and not done.stdout, done.stdout + done.stderr)
    done = gw.command("reload", "--confirm-within", "1d", "--json")
    answer = json.loads(done.stdout)
    check(AREA, "reload as JSON has the plan", done.returncode == 0 and [(d["of"], d["key"]) for d in answer["plan"]["differences"]] == [("rule", "deny")] and answer["plan"]["effects"]["rules"] == 1, done.stdout)
    done = gw.command("reload", "--confirm")
    check(AREA, "what is confirmed stays", done.returncode == 0 and "confirmed" in done.stdout and gw.status()["policy_sha256"] == answer["sha256"], done.stdout + done.stderr)
    for words in (("--expect", "xyz"), ("--confirm-within", "soon"), ("--confirm", "--expect", "0" * 64)):
        done = gw.command("reload", *words)
        check(AREA, f"wrong usage is told: {' '.join(words)[:30]}", done.returncode == 2 and "--help" in done.stderr, done.stderr)
    i.logout()
check(AREA, "the gateway stops cleanly", gw.stop() == 0, gw.log())
finish()
