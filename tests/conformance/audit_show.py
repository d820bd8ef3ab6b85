#!/usr/bin/env python3
"""`audit show` and `tail` beside a running gateway: every filter alone and together, one record explained, JSON, CSV and the table, with names that try to harm who reads them."""
import csv, io, json, re, signal, subprocess
from harness import *
from initiator import *

AREA = "audit"
HOSTILE = "iqn.2026-11.evil:=cmd\x1b[2J\u202e<script>\",\n-x"
gw = Gateway().start()


def unmap(i, *ranges):
    blocks = b"".join(lba.to_bytes(8, "big") + n.to_bytes(4, "big") + bytes(4) for lba, n in ranges)
    data = (len(blocks) + 6).to_bytes(2, "big") + len(blocks).to_bytes(2, "big") + bytes(4) + blocks
    return i.run(bytes([0x42, 0, 0, 0, 0, 0, 0]) + len(data).to_bytes(2, "big") + b"\0", write=data, lun=1)


with Initiator(gw.port).login() as i:
    for lba in range(100, 110):
        i.read(lba, 2)
    i.write(5000, bytes(4096))
    done = unmap(i, (64, 8), (512, 16))
    check(AREA, "the unmap was taken", done[0] == 0, done)
    i.run(bytes([0xc1]) + bytes(15))
    i.run(read16(1 << 40, 1), read=512)
    with Initiator(gw.port, name=HOSTILE) as stranger:
        try:
            stranger.login()
        except Exception:
            pass
    records = gw.audit()
    mine = [r for r in records if r.get("kind") == "command"]
    session = mine[0]["connection"]

    def shown(*words):
        return gw.audit(*words)

    def seqs(*words):
        return [r["seq"] for r in shown(*words)]

    for words, wanted in [
            (("--op", "read-16"), lambda r: r.get("command") == "READ(16)"),
            (("--op", "read,unmap"), lambda r: r.get("command") in ("READ(16)", "UNMAP")),
            (("--op", "login,refusal"), lambda r: r.get("event") in ("login", "refusal")),
            (("--group", "write"), lambda r: r.get("command") == "WRITE(16)"),
            (("--group", "discard"), lambda r: r.get("command") == "UNMAP"),
            (("--verdict", "refused"), lambda r: r.get("verdict") == "refused"),
            (("--lun", "1"), lambda r: r.get("lun") == 1),
            (("--lba", "105"), lambda r: r.get("command") == "READ(16)" and r["lba"] in (104, 105)),
            (("--lba", "104-105,5007"), lambda r: (r.get("command") == "READ(16)" and r["lba"] in (103, 104, 105)) or r.get("command") == "WRITE(16)"),
            (("--lba", "520+1"), lambda r: r.get("command") == "UNMAP" and r["lba"] == 512),
            (("--lba", "72"), lambda r: False),
            (("--session", str(session)), lambda r: r.get("connection") == session),
            (("--initiator", "client"), lambda r: r.get("initiator") == CLIENT),
            (("--target", "vault", "--op", "command"), lambda r: r.get("kind") == "command"),
            (("--address", "127.0.0.0/8"), lambda r: r.get("peer_ip") == "127.0.0.1"),
            (("--address", "192.0.2.0/24"), lambda r: False),
            (("--since", "-1h", "--until", "-30m"), lambda r: False),
            (("--group", "read", "--lba", "100", "--lun", "0", "--verdict", "admitted", "--session", str(session)),
             lambda r: r.get("command") == "READ(16)" and r["lba"] == 100)]:
        got, want = seqs(*words), [r["seq"] for r in records if wanted(r)]
        check(AREA, "audit show " + " ".join(words) + f" prints what matches ({len(want)})", got == want, (got, want))

    # --- what is wrong is said ---------------------------------------------------------------------------
    for words, said in [(("--lba", "9-7"), "no block"), (("--lba", "x"), "no range"), (("--op", "raed"), "did you mean"), (("--group", "writes"), "discard"),
                        (("--verdict", "no"), "denied"), (("--session", "0"), "1 to"), (("--csv", "--json"), "either"), (("nine",), "sequence number")]:
        done = gw.command("audit", "show", *words)
        check(AREA, "audit show " + " ".join(words) + " is refused with what may stand there", done.returncode == 2 and said in done.stderr and not done.stdout, done.stderr)

    # --- one record ----------------------------------------------------------------------------------------
    write = next(r for r in mine if r["command"] == "WRITE(16)")
    done = gw.command("audit", "show", write["seq"], "--utc")
    check(AREA, "one record is explained: its fields, what they mean, its CDB", done.returncode == 0 and all(re.search(p, done.stdout, re.M) for p in
          (rf"^seq +{write['seq']} ", r"^command +WRITE\(16\) ", r"^lba +5000 +first logical block", r"^  LOGICAL BLOCK ADDRESS +5000", r"^  TRANSFER LENGTH +8$", r"^admitted: ")), done.stdout)
    done = gw.command("audit", "show", write["seq"], "--json")
    check(AREA, "one record as JSON is the line that it has among all", done.stdout.count("\n") == 1 and json.loads(done.stdout)["lba"] == 5000, done.stdout)
    done = gw.command("audit", "show", 99999999)
    check(AREA, "a record that is not there exits with 1 and says so", done.returncode == 1 and "no record 99999999" in done.stderr, done.stderr)
    denied = gw.command("audit", "show", write["seq"], "--verdict", "denied")
    check(AREA, "… and so does one that does not match", denied.returncode == 1 and "does not match" in denied.stderr, denied.stderr)

    # --- forms -----------------------------------------------------------------------------------------------
    table, comma = gw.command("audit", "show").stdout, gw.command("audit", "show", "--csv").stdout
    check(AREA, "the stranger with the hostile name is in it", "cmd\\x1b[2J" in table, table[-500:])
    check(AREA, "the table has a head and a line a record", table.startswith("TIME") and len(table.splitlines()) == len(gw.audit()) + 1, table[:500])
    times = [line.split()[0] for line in table.splitlines()[1:]]
    check(AREA, "its times have the local offset; with --utc they end in Z", all(re.search(r"(Z|[+-]\d\d:\d\d)$", t) for t in times) and
          all(line.split()[0].endswith("Z") for line in gw.command("audit", "show", "--utc").stdout.splitlines()[1:]), times[:3])
    rows = list(csv.reader(io.StringIO(comma)))
    check(AREA, "CSV is a line of names and a row a record, all as wide", rows[0][0] == "seq" and len({len(row) for row in rows}) == 1 and len(rows) == len(gw.audit()) + 1, rows[:2])
    check(AREA, "no field of CSV is a formula", not any(cell[:1] in "=+-@\t\r" for row in rows for cell in row if cell), [c for row in rows for c in row if c[:1] in "=+-@"])
    for form, text in (("table", table), ("CSV", comma), ("JSON", gw.command("audit", "show", "--json").stdout), ("one record", "".join(gw.command("audit", "show", r["seq"]).stdout for r in gw.audit("--denied")))):
        check(AREA, f"no control character and no mark that turns the writing reaches the {form}",
              not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text), re.findall(r"[^\x20-\x7e\n]", text)[:10])

    # --- tail ------------------------------------------------------------------------------------------------
    tail = subprocess.Popen([SALLYPORT, "audit", "tail", "--json", "-n", "3", "--op", "write", "--state", gw.state], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    i.write(7000, bytes(512))
    for line in tail.stdout:
        if json.loads(line).get("lba") == 7000:
            break
    check(AREA, "tail prints what comes", json.loads(line).get("lba") == 7000, line)
    tail.send_signal(signal.SIGINT)
    check(AREA, "… and ends at Ctrl-C with 0", tail.wait(30) == 0, tail.stderr.read())
check(AREA, "the gateway stops cleanly after all this", gw.stop() == 0, gw.log())
finish()
