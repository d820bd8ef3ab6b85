#!/usr/bin/env python3
"""Which blocks a file has, and whose a block is: ext2, ext4, XFS and NTFS, whole and in partitions."""
from harness import *
import images

AREA = "files"


def ask(disk, *words):
    done = run(SALLYPORT, "audit", "files", "--disk", disk, "--json", *words)
    return json.loads(done.stdout) if done.returncode == 0 else done


def escaped(path):
    return path.replace("\n", "\\x0a")


def holds(disk, answer, contents, size=512):
    """The blocks are those of these contents: each piece of a block's length is in one, and each has one."""
    octets, at = disk.read_bytes(), answer["ranges"]
    got = b"".join(octets[r["lba"] * size:(r["lba"] + r["blocks"]) * size] for r in at)
    pieces = [contents[n:n + size] for n in range(0, len(contents), size)]
    if answer["shared_block"]:
        return contents in got and len(got) <= 8192
    return all(p in got for p in pieces) and len(got) <= len(contents) * 1.2 + 8192


def each_file(name, disk, contents, *words, size=512):
    wrong = []
    for path, octets in contents.items():
        answer = ask(disk, "--file", path, *words)
        if not isinstance(answer, dict) or answer["what"] != "file" or not holds(disk, answer, octets, size):
            wrong.append((path, answer))
    check(AREA, f"{name}: each file's blocks hold its contents ({len(contents)} files)", not wrong, wrong[:3])


def other_way(name, disk, contents, path, *words):
    first = ask(disk, "--file", path, *words)["ranges"][0]["lba"]
    answer = ask(disk, "--lba", first, *words)
    check(AREA, f"{name}: a block of a file names the file",
          isinstance(answer, dict) and answer["what"] == "file" and escaped(path) in answer["paths"], answer)


def what(disk, lba, *words):
    answer = ask(disk, "--lba", lba, *words)
    return answer["what"] if isinstance(answer, dict) else answer


def missing(kind):
    if images.has(kind):
        return False
    skip(AREA, f"{kind}: its files", f"{images.KIND[kind]} is not here; run deploy/install-deps.sh test")
    return True


folder = pathlib.Path(tempfile.mkdtemp(prefix="sallyport-files-"))
folder.chmod(0o755)
atexit.register(shutil.rmtree, folder, True)
source = folder / "tree"
source.mkdir()
contents = images.tree(source)
made = []

if not missing("ext4"):
    ext4, inline, ext2, pieces = (folder / f"{n}.img" for n in ("ext4", "inline", "ext2", "pieces"))
    images.ext(ext4, source)
    each_file("ext4", ext4, contents)
    other_way("ext4", ext4, contents, "/dir/new\nline")
    made.append(ext4)
    answer = ask(ext4, "--lba", ask(ext4, "--file", "/payroll.xlsx")["ranges"][0]["lba"] + 3)
    check(AREA, "ext4: of hard links, each name is told", sorted(answer["paths"]) == ["/dir/hard", "/payroll.xlsx"], answer)
    check(AREA, "ext4: its size and the time of its last change are told", ask(ext4, "--file", "/payroll.xlsx")["size_bytes"] == 300000
          and ask(ext4, "--file", "/payroll.xlsx")["modified"][:4] >= "2020")
    check(AREA, "ext4: a folder has blocks, too", ask(ext4, "--file", "/dir")["what"] == "folder")
    check(AREA, "ext4: the superblock is the file system's own", what(ext4, 2) == "metadata")
    journal = next(n for n in range(2048, 48000, 1500) if what(ext4, n) == "journal")
    check(AREA, "ext4: the journal is known", journal > 0)
    check(AREA, "ext4: what no file has is free", what(ext4, (24 << 11) - 2) == "free")
    check(AREA, "ext4: behind the disk there is no block", getattr(what(ext4, 24 << 11), "returncode", 0) == 3)
    images.ext(inline, source, features="inline_data")
    each_file("ext4 with inline data", inline, contents)
    check(AREA, "ext4: contents within an inode share its block, and that is told", ask(inline, "--file", "/small")["shared_block"] == 1)
    images.ext(ext2, source, kind="ext2")
    each_file("ext2, without extents", ext2, contents)
    big = images.ext_fragmented(pieces, folder / "fragments")
    answer = ask(pieces, "--file", "/big")
    check(AREA, f"ext4: a file in {len(answer['ranges'])} pieces, with a tree of extents", len(answer["ranges"]) > 200
          and holds(pieces, answer, big))
    check(AREA, "ext4: its blocks ascend and do not touch", all(a["lba"] + a["blocks"] < b["lba"] for a, b in
          zip(answer["ranges"], answer["ranges"][1:])))

if not missing("xfs"):
    xfs = folder / "xfs.img"
    plain = images.xfs(xfs, source)
    each_file("xfs", xfs, plain)
    other_way("xfs", xfs, plain, "/dir/sub/deep")
    made.append(xfs)
    check(AREA, "xfs: the superblock is the file system's own", what(xfs, 0) == "metadata")
    check(AREA, "xfs: what no file has is free", what(xfs, (290 << 11)) == "free")
    check(AREA, "xfs: a folder within its inode", ask(xfs, "--file", "/dir")["shared_block"] == 1)
    images.xfs_rename(xfs, b"small", b"s\nm l")
    answer = ask(xfs, "--file", "/s\nm l")
    check(AREA, "xfs: a name with a newline and a blank", isinstance(answer, dict) and holds(xfs, answer, b"hello\n"), answer)
    sectors = folder / "xfs4k.img"
    each_file("xfs on blocks of 4 KiB", sectors, images.xfs(sectors, source, sector=4096), "--block-size", "4096", size=4096)

if not missing("ntfs"):
    ntfs = folder / "ntfs.img"
    plain = images.ntfs(ntfs, source)
    each_file("ntfs", ntfs, plain)
    other_way("ntfs", ntfs, plain, "/ünïcode")
    made.append(ntfs)
    check(AREA, "ntfs: contents within a record of the MFT share its block", ask(ntfs, "--file", "/small")["shared_block"] == 1)
    check(AREA, "ntfs: the MFT is the file system's own", what(ntfs, ask(ntfs, "--file", "/small")["ranges"][0]["lba"]) == "metadata")
    check(AREA, "ntfs: what no file has is free", what(ntfs, (14 << 11)) == "free", ask(ntfs, "--lba", 14 << 11))

no = ask(made[0], "--file", "/dir/none")
check(AREA, "a path that is not there: exit 1, and where it was looked for", no.returncode == 1 and "looked in: ext4" in no.stderr, no)
link = ask(made[0], "--file", "/dir/link")
check(AREA, "a symbolic link is told to be one", link.returncode == 3 and "symbolic link" in link.stderr, link)
relative = ask(made[0], "--file", "payroll.xlsx")
check(AREA, "a path that does not begin with / is refused", relative.returncode == 3 and "from the root" in relative.stderr, relative)
for word in ('/"; stat <2>', "/<2>", "/small\nquit", "/ -f", "/../../etc/passwd"):
    done = [ask(m, "--file", word) for m in made]
    check(AREA, f"no command of a tool is made of the path {word!r}", all(getattr(d, "returncode", 0) == 1 for d in done), done)

for table in ("dos", "gpt"):
    disk = folder / f"{table}.img"
    images.partitioned(disk, made, table)
    numbers = [1, 5, 6] if table == "dos" else [1, 2, 3]
    for number, part in zip(numbers, made):
        answer = ask(disk, "--file", "/payroll.xlsx", "--partition", number)
        check(AREA, f"{table}, partition {number}: {part.stem}", isinstance(answer, dict) and answer["partition"] == number
              and holds(disk, answer, contents["/payroll.xlsx"]), answer)
    if len(made) > 1:
        both = ask(disk, "--file", "/payroll.xlsx")
        check(AREA, f"{table}: a path that several partitions have: choose", both.returncode == 3 and "--partition" in both.stderr, both)
        only = ask(disk, "--file", "/dir/a b")
        check(AREA, f"{table}: a path that one partition has is found there", isinstance(only, dict) and only["partition"] == 1, only)
    check(AREA, f"{table}: a block of no partition", what(disk, 5) == "outside")
    disk.unlink()
disk = folder / "4k.img"
ext4k = folder / "ext4k.img"
images.ext(ext4k, source, block=4096)
images.partitioned_4k(disk, ext4k)
each_file("a table and a LUN of blocks of 4 KiB", disk, contents, "--block-size", "4096", size=4096)

nothing = folder / "nothing.img"
nothing.write_bytes(bytes(1 << 20))
done = ask(nothing, "--file", "/a")
check(AREA, "a disk without a file system is told to have none", done.returncode == 3 and "no file system" in done.stderr, done)
finish()
