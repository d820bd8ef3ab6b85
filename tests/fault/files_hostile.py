#!/usr/bin/env python3
"""File systems that an initiator damaged, or made to do damage: the review of files says so, and ends."""
import concurrent.futures, random
from harness import *
import images

AREA = "files"
ROUNDS = 2500 if SOAK else 90  # of each kind
SEED = random.SystemRandom().randrange(1 << 32) if SOAK else 7


def places(image):
    """Sectors that are not empty and no file's contents: the file system's own."""
    found = []
    with open(image, "rb") as f:
        at = 0
        while True:
            try:
                at = os.lseek(f.fileno(), at, os.SEEK_DATA)
            except OSError:
                return found
            f.seek(at)
            octets = f.read(1 << 20)
            found += [at + n for n in range(0, len(octets), 512)
                      if any(octets[n:n + 512]) and octets[n:n + 5] not in (b"paylo", b"payro", b"newli", b"blank", b"quote",
                                                                            b"unico", b"dash ", b"deep ", b"spars")]
            at += len(octets)


def read_first(kind, image):
    """What is read on the way to a file, where it is easily asked."""
    if kind != "ext4":
        return places(image)[:24]
    found = {2, 3, 4}
    for inode in range(2, 24):
        said = images.tool("debugfs", "-R", f"imap <{inode}>", image).decode()
        found.add(int(said.split("at block ")[1].split(",")[0]) * 2 + (int(said.split("0x")[1], 16) >> 9))
    for folder in (2, 12):
        found |= {int(block) * 2 for block in images.tool("debugfs", "-R", f"blocks <{folder}>", image).split()}
    return [n * 512 for n in sorted(found)]


def change(r, old):
    """A sector, a little or very different."""
    new, kind = bytearray(old), r.randrange(5)
    at = r.choice([n for n in range(len(old)) if old[n]] or [0])
    if kind == 0:
        new[at] ^= 1 << r.randrange(8)
    elif kind == 1:
        new[at] = r.randrange(256)
    elif kind == 2:
        new[at & ~3:(at & ~3) + 4] = r.choice([b"\xff" * 4, bytes(4), b"\0\0\0\x80", b"\x01\0\0\0"])
    elif kind == 3:
        new[at & ~7:(at & ~7) + 8] = r.randbytes(8)
    else:
        new = bytearray(r.randbytes(len(old)) if r.randrange(2) else len(old))
    return bytes(new[:len(old)])


def judge(done):
    """None, or what is wrong with this end."""
    if done.returncode not in (0, 1, 3):
        return f"ended with {done.returncode}"
    if done.returncode == 0 and (not done.stdout.startswith("{") or "what" not in json.loads(done.stdout)):
        return "no answer"
    if done.returncode and not done.stderr.startswith("sallyport audit files: "):
        return "no sentence"
    if any(w in done.stderr for w in ("without an answer", "gave no answer", "Sanitizer", "Assertion")):
        return "the process that looks ended by itself"
    return None


def attack(kind, image, seed):
    r = random.Random(seed)
    spots, hot, wrong, ends = places(image), read_first(kind, image), [], {}
    with open(image, "r+b") as f:
        for _ in range(ROUNDS):
            at = r.choice(hot if r.randrange(3) else spots)
            f.seek(at)
            old = f.read(512)
            f.seek(at)
            f.write(change(r, old))
            f.flush()
            words = ("--file", "/payroll.xlsx") if r.randrange(2) else ("--lba", str(r.choice(spots) // 512))
            done = run(SALLYPORT, "audit", "files", "--disk", image, "--json", *words)
            bad = judge(done)
            if bad:
                wrong.append((bad, at, seed, words, done.stderr))
            word = "crashed" if "crashed" in done.stderr else done.returncode
            ends[word] = ends.get(word, 0) + 1
            f.seek(at)
            f.write(old)
    return kind, wrong, ends


folder = pathlib.Path(tempfile.mkdtemp(prefix="sallyport-hostile-"))
folder.chmod(0o755)
atexit.register(shutil.rmtree, folder, True)
tree = folder / "tree"
tree.mkdir()
images.tree(tree)
made = {}
for kind in ("ext4", "xfs", "ntfs"):
    if not images.has(kind):
        skip(AREA, f"{kind}: damaged", f"{images.KIND[kind]} is not here; run deploy/install-deps.sh test")
        continue
    made[kind] = folder / f"{kind}.img"
    {"ext4": images.ext, "xfs": images.xfs, "ntfs": images.ntfs}[kind](made[kind], tree)
if "ext4" in made:
    for table in ("dos", "gpt"):
        made[table] = folder / f"{table}.img"
        images.partitioned(made[table], [made["ext4"]] * 3, table)

with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
    for kind, wrong, ends in pool.map(lambda k: attack(k, made[k], SEED), made):
        check(AREA, f"{kind}: {ROUNDS} damages, and each has an answer or a sentence",
              not wrong, "\n".join(map(str, wrong[:5])))
        evidence(f"{kind}: ends {ends}, seed {SEED}")
        check(AREA, f"{kind}: some damages are harmless, and some are not", 0 in ends and len(ends) > 1, ends)
finish()
