#!/usr/bin/env python3
"""`audit last-writer` beside a running gateway: writes, unmaps, WRITE SAME, compares, FORMAT UNIT, who was before, what nobody wrote."""
import csv, io, json
from harness import *
from initiator import *

AREA = "audit"
gw = Gateway().start()


def asked(*words, code=0):
    done = gw.command("audit", "last-writer", "--lun", "1", "--json", *words)
    if done.returncode != code:
        check(AREA, "audit last-writer " + " ".join(words) + f" exits with {code}", False, (done.returncode, done.stderr))
    return [json.loads(line) for line in done.stdout.splitlines()]


def told(*words, code=0):
    return [(r["first_lba"], r["last_lba"], r.get("record", {}).get("command"), r["end"]) for r in asked(*words, code=code)]


def unmap(i, *ranges):
    blocks = b"".join(lba.to_bytes(8, "big") + n.to_bytes(4, "big") + bytes(4) for lba, n in ranges)
    data = (len(blocks) + 6).to_bytes(2, "big") + len(blocks).to_bytes(2, "big") + bytes(4) + blocks
    return i.run(bytes([0x42, 0, 0, 0, 0, 0, 0]) + len(data).to_bytes(2, "big") + b"\0", lun=1, write=data)


def compare_and_write(i, lba, old, new):
    return i.run(bytes([0x89, 0]) + lba.to_bytes(8, "big") + bytes(3) + b"\1" + bytes(2), lun=1, write=old + new)


with Initiator(gw.port).login() as i:
    i.write(100, b"a" * 4096, lun=1)
    i.write(102, b"b" * 1024, lun=1)
    i.read(100, 8, lun=1)
    check(AREA, "the last write of each block, in pieces", told("--lba", "100-107") == [
        (102, 103, "WRITE(16)", "done"), (100, 101, "WRITE(16)", "done"), (104, 107, "WRITE(16)", "done")], told("--lba", "100-107"))
    row = asked("--lba", "102")[0]["record"]
    check(AREA, "with who it was, from where, and its record", row["initiator"] == CLIENT and row["peer_ip"] == "127.0.0.1" and row["lba"] == 102 and row["blocks"] == 2, row)
    check(AREA, "what nobody wrote is told, and exits with 1", told("--lba", "99-100", code=1) == [(100, 100, "WRITE(16)", "done"), (99, 99, None, "not-in-the-trail")], told("--lba", "99-100", code=1))
    check(AREA, "the same blocks of another LUN are others", gw.command("audit", "last-writer", "--lun", "0", "--lba", "102").returncode == 1)
    unmap(i, (103, 1), (200, 4))
    check(AREA, "an unmap, by its ranges", told("--lba", "102-103") == [(103, 103, "UNMAP", "done"), (102, 102, "WRITE(16)", "done")] and told("--lba", "203") == [(203, 203, "UNMAP", "done")], told("--lba", "102-103"))
    i.run(bytes([0x93, 0]) + (101).to_bytes(8, "big") + (1).to_bytes(4, "big") + bytes(2), lun=1, write=b"s" * 512)
    check(AREA, "a WRITE SAME", told("--lba", "101") == [(101, 101, "WRITE SAME(16)", "done")], told("--lba", "101"))
    status, _ = compare_and_write(i, 102, b"x" * 512, b"y" * 512)
    check(AREA, "a comparison that is unequal wrote nothing", status == 2 and told("--lba", "102") == [(102, 102, "WRITE(16)", "done")], told("--lba", "102"))
    check(AREA, "… which the history tells", told("--lba", "102", "-n", "2") == [(102, 102, "COMPARE AND WRITE", "compared-unequal"), (102, 103, "WRITE(16)", "done")], told("--lba", "102", "-n", "2"))
    status, _ = compare_and_write(i, 102, b"b" * 512, b"y" * 512)
    check(AREA, "one that is equal wrote", status == 0 and told("--lba", "102") == [(102, 102, "COMPARE AND WRITE", "done")], told("--lba", "102"))
    history = told("--lba", "102", "-n", "10")
    check(AREA, "who wrote it before, newest first", [h[2] for h in history] == ["COMPARE AND WRITE", "COMPARE AND WRITE", "WRITE(16)", "WRITE(16)"], history)

    status, _ = i.run(bytes([0x04, 0, 0, 0, 0, 0]), lun=1)
    check(AREA, "FORMAT UNIT is for every block", status == 0 and told("--lba", "0-107") == [(0, 107, "FORMAT UNIT", "done")], told("--lba", "0-107"))
    table = gw.command("audit", "last-writer", "--lun", "1", "--lba", "102", "-n", "3")
    check(AREA, "the table has a head and a line each", table.returncode == 0 and table.stdout.startswith("BLOCKS") and len(table.stdout.splitlines()) == 4, table.stdout + table.stderr)
    rows = list(csv.reader(io.StringIO(gw.command("audit", "last-writer", "--lun", "1", "--lba", "102", "-n", "3", "--csv").stdout)))
    check(AREA, "CSV has the names, and rows as wide", rows[0][:4] == ["first_lba", "last_lba", "end", "seq"] and len(rows) == 4 and len({len(r) for r in rows}) == 1, rows)
    none = list(csv.reader(io.StringIO(gw.command("audit", "last-writer", "--lun", "0", "--lba", "1", "--csv").stdout)))
    check(AREA, "… also of blocks that nobody wrote", len(none) == 2 and len(none[0]) == len(none[1]), none)
done = gw.command("audit", "last-writer", "--lun", "1", "--lba", "102")
check(AREA, "one whose disk is no other LUN says nothing of others", done.stderr == "", done.stderr)
text = gw.policy.read_text().rstrip("\n")
target = text[text.index(f"  {TARGET}:"):].split("\ngateway:")[0]
gw.policy.write_text(text.replace(target, target + "\n" + target.replace(":vault:", ":other:").replace("1: second", "7: second"), 1) + "\n")
done = gw.command("reload")
check(AREA, "a second target with the same disk is taken up", done.returncode == 0, done.stderr + gw.policy.read_text())
done = gw.command("audit", "last-writer", "--target", "vault", "--lun", "1", "--lba", "102")
check(AREA, "where the same disk is another LUN of another target, that is told, as with --file", done.returncode == 0 and "the same disk is LUN 7 of iqn.2026-11.net.example.gw:other, too" in done.stderr, done.stdout + done.stderr)
for words in ((), ("--lun", "1"), ("--lba", "1"), ("--lun", "1", "--lba", "1", "-n", "0")):
    done = gw.command("audit", "last-writer", *words)
    check(AREA, "audit last-writer " + " ".join(words) + " is refused with what it needs", done.returncode == 2 and ("--lba" in done.stderr or "from 1" in done.stderr), done.stderr)
check(AREA, "the gateway stops cleanly after all this", gw.stop() == 0, gw.log())
check(AREA, "without a gateway the answer is the same", told("--lba", "0-107") == [(0, 107, "FORMAT UNIT", "done")])
finish()
