#!/usr/bin/env python3
"""Who read /payroll.xlsx: a LUN with a file system in a partition, an initiator that reads that file alone."""
from harness import *
from initiator import *
import images

AREA = "files"
OTHER = "iqn.1994-05.com.redhat:other"
POLICY = """\
version: 1
portals:
  here: {{listen: ["127.0.0.1:{port}"], transport: plain}}
disks:
  vault: {{file: {folder}/vault.img}}
  large: {{file: {folder}/large.img, block_size: 4096}}
  second: {{memory: 16MiB}}
targets:
  {target}:
    portals: [here]
    luns: {{0: vault, 1: second, 2: large, 9: vault}}
    initiators:
      {client}:
        chap: {{user: alice, mutual: gw-for-alice, algorithms: [md5]}}
      iqn.1994-05.com.redhat:other:
        chap: {{user: bob, mutual: gw-for-alice, algorithms: [md5]}}
"""

if not images.has("ext4"):
    skip(AREA, "the review names files", "mke2fs is not here; run deploy/install-deps.sh test")
    finish()
gw = Gateway(POLICY)
gw.secret("bob", "bob-secret-0123456789")
tree = gw.folder / "tree"
tree.mkdir()
contents = images.tree(tree)
part, part4k = gw.folder / "part.img", gw.folder / "part4k.img"
images.ext(part, tree)
images.partitioned(gw.folder / "vault.img", [part], "gpt")
images.ext(part4k, tree, block=4096)
images.partitioned_4k(gw.folder / "large.img", part4k)
gw.start()


def files(*words):
    done = gw.command("audit", "files", "--json", *words)
    return json.loads(done.stdout) if done.returncode == 0 else done


def show(*words):
    done = gw.command("audit", "show", "--json", *words)
    return [json.loads(line) for line in done.stdout.splitlines()], done


def readers(*words):
    return {r.get("initiator") for r in show("--group", "read", *words)[0]}


def read_file(i, path, lun, size):
    answer = files("--lun", str(lun), "--file", path)
    got = b""
    for r in answer["ranges"]:
        for at in range(r["lba"], r["lba"] + r["blocks"], 64):
            n = min(64, r["lba"] + r["blocks"] - at)
            status, data = i.run(read16(at, n), lun, read=n * size)
            assert status == 0
            got += data
    return got


check(AREA, "nobody has read it yet", not readers("--lun", "0", "--file", "/payroll.xlsx"))
with Initiator(gw.port).login() as i:
    got = read_file(i, "/payroll.xlsx", 0, 512)
    check(AREA, "the blocks that the running gateway's LUN tells of hold the file", contents["/payroll.xlsx"] in got)
    check(AREA, "and on a LUN with blocks of 4 KiB", contents["/dir/a b"] in read_file(i, "/dir/a b", 2, 4096))
    i.logout()
with Initiator(gw.port, name=OTHER).login(user="bob", secret="bob-secret-0123456789") as i:
    read_file(i, "/dir/sub/deep", 0, 512)
    i.logout()
check(AREA, "audit show --file names who read the file, and nobody else", readers("--lun", "0", "--file", "/payroll.xlsx") == {CLIENT},
      show("--lun", "0", "--file", "/payroll.xlsx"))
check(AREA, "its other name has the same readers", readers("--lun", "0", "--file", "/dir/hard") == {CLIENT})
check(AREA, "another file has another reader", readers("--lun", "0", "--file", "/dir/sub/deep") == {OTHER})
check(AREA, "with blocks of 4 KiB, too", readers("--lun", "2", "--file", "/dir/a b") == {CLIENT})
check(AREA, "a file that nobody read has no reader", not readers("--lun", "0", "--file", "/dir/ünïcode"))
done = show("--lun", "0", "--file", "/payroll.xlsx")[1]
check(AREA, "what was found is told: file system, partition, and that it is as of now", all(w in done.stderr for w in
      ("ext4, partition 1, 300000 octets in ", "as it is on the disk at ", "it was modified at ")), done.stderr)
check(AREA, "that the same disk is another LUN, too, is told", f"is LUN 9 of {TARGET}, too" in done.stderr, done.stderr)
done = show("--lun", "0", "--file", "/payroll.xlsx", "--until", "2020-01-01")[1]
check(AREA, "a file that was modified after the time that is looked at is told", "after the time that is looked at" in done.stderr, done.stderr)
answer = files("--lun", "0", "--lba", str(files("--lun", "0", "--file", "/payroll.xlsx")["ranges"][0]["lba"]))
check(AREA, "a block of the LUN names its file", sorted(answer["paths"]) == ["/dir/hard", "/payroll.xlsx"], answer)


def writers(*words):
    lines = [json.loads(line) for line in gw.command("audit", "last-writer", "--json", *words).stdout.splitlines()]
    return {line.get("record", {}).get("initiator") for line in lines}


check(AREA, "a file that came with the disk was written by nobody in the trail", writers("--lun", "0", "--file", "/payroll.xlsx") == {None})
place = files("--lun", "0", "--file", "/dir/a b")["ranges"][0]["lba"]
with Initiator(gw.port, name=OTHER).login(user="bob", secret="bob-secret-0123456789") as i:
    check(AREA, "another initiator writes into a file", i.write(place + 1, b"new" + bytes(509))[0] == 0)
    i.logout()
check(AREA, "audit last-writer --file names who wrote a part of it", writers("--lun", "0", "--file", "/dir/a b") == {None, OTHER},
      gw.command("audit", "last-writer", "--lun", "0", "--file", "/dir/a b"))

for words, said, status in (
        (("--file", "/small"), "choose with --lun", 2),
        (("--lun", "7", "--file", "/small"), "has no LUN 7", 2),
        (("--lun", "1", "--file", "/small"), "memory of the gateway", 3),
        (("--target", "none", "--lun", "0", "--file", "/small"), "no target none", 2),
        (("--lun", "0", "--file", "/none"), "no such file now", 1),
        (("--lun", "0", "--file", "/small", "--lba", "3"), "not both", 2),
        (("--lun", "0", "--disk", "/dev/null"), "go with --file", 2),
        (("--lun", "0", "--disk", "/dev/null", "--file", "/small"), "neither a file nor a block device", 3)):
    done = show(*words)[1]
    check(AREA, f"audit show {' '.join(words)}: {said}", done.returncode == status and said in done.stderr, done)

gw.stop()
done = show("--lun", "0", "--file", "/payroll.xlsx")[1]
check(AREA, "without a gateway the policy is asked for", done.returncode == 3 and "--policy" in done.stderr, done.stderr)
check(AREA, "with --policy the readers are named without a gateway", readers("--lun", "0", "--policy", gw.policy, "--file", "/payroll.xlsx") == {CLIENT})
check(AREA, "with --disk, too", readers("--lun", "0", "--disk", gw.folder / "vault.img", "--file", "/payroll.xlsx") == {CLIENT})
finish()
