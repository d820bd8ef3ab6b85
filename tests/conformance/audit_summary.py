#!/usr/bin/env python3
"""`sallyport audit summary` over the trail of a gateway: what is counted, of which period, and what it does to texts that
peers wrote."""
from harness import *
from initiator import *

AREA = "audit"
HOSTILE = "iqn.2026-11.net.example:</script>\x1b[31m<b>"

gw = Gateway(size="16MiB")


def summary(*words):
    done = gw.command("audit", "summary", "--json", *words)
    return json.loads(done.stdout) if done.returncode == 0 else done


def text(*words):
    return gw.command("audit", "summary", *words)


done = text()
check(AREA, "a summary of no trail says so, and exits with 3", done.returncode == 3 and "no audit log" in done.stderr, done.stderr)
gw.start()
with Initiator(gw.port) as i:
    i.login()
    for at in range(0, 32768, 512):
        i.read(at, 512)
        i.write(at, bytes(262144))
    i.write(0, bytes(4096), lun=1)
    i.run(struct.pack(">BBxxxxxHx", 0x42, 0, 40), write=struct.pack(">HHxxxxQIxxxxQIxxxx", 38, 32, 0, 8, 64, 8))
    for at in range(3):
        try:
            with Initiator(gw.port, name=HOSTILE if at == 2 else CLIENT) as other:
                other.login(secret="wrong-secret-0123")
        except (Refused, Gone):
            pass
    i.logout()
wait_for(lambda: summary()["totals"]["logouts"] == 1)

facts = summary()
totals, access = facts["totals"], {a["lun"]: a for a in facts["accesses"] if "lun" in a}
check(AREA, "a login, a logout and the refusals are counted", (totals["logins"], totals["logouts"], totals["logins_refused"]) == (1, 1, 3), totals)
check(AREA, "refusals have reasons and a source", sum(r["count"] for r in facts["refusals"]) == 3 and
      [(s["address"], s["logins_refused"]) for s in facts["sources"]] == [("127.0.0.1", 3)], facts["refusals"])
check(AREA, "octets are those of the blocks, of each LUN", access[0]["read_bytes"] == access[0]["write_bytes"] == 16 << 20 and
      access[1]["write_bytes"] == 4096 and access[0]["disk"] == "vault" and access[0]["block_bytes_known"], access)
check(AREA, "an UNMAP of two ranges is one command, of 16 blocks", (access[0]["discard_commands"], access[0]["discard_blocks"]) == (1, 16), access[0])
check(AREA, "what was read and then overwritten, all of the LUN, is out of the ordinary",
      {"overwrite-storm", "read-then-overwritten", "bulk-read"} <= {u["kind"] for u in facts["unusual"]}, facts["unusual"])
check(AREA, "its record can be looked up", all(any(r["seq"] == u["seq"] and r.get("kind") == "command" for r in gw.audit()) for u in facts["unusual"]), facts["unusual"])
check(AREA, "who is new is told", [f["initiator"] for f in facts["first_seen"]] == [CLIENT] and facts["first_seen"][0]["reason"] == "initiator", facts["first_seen"])
maps = {m["lun"]: m for m in facts["maps"]}
cells = [maps[0]["cells"][k:k + 5] for k in range(0, len(maps[0]["cells"]), 5)]
check(AREA, "the map of a LUN has every block that was read and written", maps[0]["blocks"] == 32768 and maps[0]["row_blocks"] == 256 and
      sum(c[2] for c in cells) == sum(c[3] for c in cells) == 32768 and {c[0] for c in cells} == set(range(128)), maps[0]["row_blocks"])
check(AREA, "a trail that was not verified is said to be so", facts["proof"]["state"] == "not-verified" and "not verified" in text().stdout, facts["proof"])
check(AREA, "with --verify the verdict is on top", summary("--verify")["proof"]["state"] == "ok" and "as it was written" in text("--verify").stdout.split("\n")[2], summary("--verify"))
check(AREA, "what left nothing out says so", set(facts["left_out"].values()) == {0}, facts["left_out"])

done = run("sh", "-c", facts["command"].replace("sallyport", SALLYPORT, 1))
again = json.loads(done.stdout) if done.returncode == 0 else {"totals": done.stderr}
check(AREA, "the command that it tells gives the same again", again["totals"] == totals and again["accesses"] == facts["accesses"], facts["command"])

done = text()
check(AREA, "the text tells failures before who did how much", 0 < done.stdout.find("REFUSED") < done.stdout.find("LOGINS") < done.stdout.find("ACCESS"), done.stdout)
check(AREA, "a peer's text is escaped in both forms", "\x1b" not in done.stdout + json.dumps(facts, ensure_ascii=False) and
      r"\x1b" in done.stdout and "<" not in gw.command("audit", "summary", "--json").stdout, done.stdout)
check(AREA, "--lun and --initiator hold for a summary", summary("--lun", "1")["totals"]["write_bytes"] == 4096 and
      summary("--initiator", "nobody")["totals"]["logins"] == 0, "")
check(AREA, "yesterday had nothing", summary("yesterday")["trail"]["records"] == 0, "")
check(AREA, "a period FROM..TO", summary("today..now")["totals"]["logins"] == 1 and summary("..-1h")["totals"]["logins"] == 0, "")
check(AREA, "week and all have today", summary("week")["totals"]["logins"] == summary("all")["totals"]["logins"] == 1, "")
later = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 90 * 86400)), time.strftime("%Y-%m-%d", time.gmtime(time.time() + 91 * 86400))
far = summary("..".join(later))["trail"]
check(AREA, "who logged in long before the period is known: logins and no more are asked of all of the trail", far["records"] == 0 and 0 < far["history_records"] < 20, far)
for words, why in [(("lately",), "no period"), (("now..today",), "ends before it begins"), (("today", "--since", "-1h"), "not both"),
                   (("--top", "0"), "give a number"), (("noon..",), "not a time")]:
    done = text(*words)
    check(AREA, f"summary {' '.join(words)} is wrong usage, and says why", done.returncode == 2 and why in done.stderr, done.stderr)
gw.stop()
check(AREA, "a summary needs no running gateway", summary()["totals"]["logins"] == 1, "")
finish()
