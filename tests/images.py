"""File systems in files, made without mounting anything: what tests of file names look at."""
import os, shutil, struct, subprocess

os.environ["PATH"] += ":/usr/sbin:/sbin"
KIND = {"ext2": "mke2fs", "ext4": "mke2fs", "xfs": "mkfs.xfs", "ntfs": "mkntfs"}


def tool(*command, stdin=None):
    done = subprocess.run([str(c) for c in command], input=stdin, capture_output=True)
    assert done.returncode == 0, (command, done.stdout[-500:], done.stderr[-500:])
    return done.stdout


def has(kind):
    return shutil.which(KIND[kind]) is not None


def pattern(tag, octets):
    """Contents of which each block is like no other on the disk."""
    return b"".join(b"%-20s%012d" % (tag.encode(), n) for n in range((octets + 31) // 32))[:octets]


def tree(folder):
    """A folder of files; their contents by path."""
    contents = {"/payroll.xlsx": pattern("payroll", 300000), "/small": b"hello\n", "/dir/a b": pattern("blank", 5000),
                "/dir/new\nline": pattern("newline", 5000), "/dir/quo\"te; ls": pattern("quote", 5000),
                "/dir/ünïcode": pattern("unicode", 5000), "/dir/-f": pattern("dash", 5000),
                "/dir/sub/deep": pattern("deep", 9000)}
    for path, octets in contents.items():
        to = folder / path[1:]
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_bytes(octets)
    with open(folder / "sparse", "wb") as f:
        f.seek(1 << 20)
        f.write(pattern("sparse", 4096))
    contents["/sparse"] = pattern("sparse", 4096)
    os.link(folder / "payroll.xlsx", folder / "dir/hard")
    contents["/dir/hard"] = contents["/payroll.xlsx"]
    os.symlink("../small", folder / "dir/link")
    return contents


def ext(image, folder, size="24M", kind="ext4", features="", block=1024):
    tool("mke2fs", "-q", "-F", "-t", kind, "-b", block, *(["-O", features] if features else []), "-d", folder, image, size)


def ext_fragmented(image, folder):
    """A file of many pieces: it takes the room of every other one of many that were there; its contents."""
    many = folder / "many"
    many.mkdir(parents=True)
    for n in range(600):
        (many / f"{n}").write_bytes(pattern(f"old{n}", 4096))
    ext(image, folder, "6M")
    big = folder / "big"
    big.write_bytes(pattern("big", 3500000))
    commands = [f"rm /many/{n}" for n in range(0, 600, 2)] + [f"write {big} /big"]
    tool("debugfs", "-w", "-f", "-", image, stdin="\n".join(commands).encode())
    return big.read_bytes()


def xfs(image, folder, sector=512):
    """Without names that a protofile can't have."""
    lines, contents = ["dummy", "0 0", "d--755 0 0"], {}

    def walk(path, at):
        for entry in sorted(path.iterdir()):
            if any(c in entry.name for c in " \n\"-"):
                continue
            if entry.is_symlink():
                lines.append(f"{entry.name} l--777 0 0 {os.readlink(entry)}")
            elif entry.is_dir():
                lines.append(f"{entry.name} d--755 0 0")
                walk(entry, f"{at}{entry.name}/")
            else:
                lines.append(f"{entry.name} ---644 0 0 {entry}")
                contents[at + entry.name] = entry.read_bytes()
        lines.append("$")

    walk(folder, "/")
    proto = image.with_suffix(".proto")
    proto.write_text("\n".join(lines) + "\n")
    tool("mkfs.xfs", "-q", "-f", "-s", f"size={sector}", "-p", proto, "-d", f"file,name={image},size=300m")
    return contents


def xfs_rename(image, old, new):
    """Another name of the same length for what is in the root folder, which no protofile could have."""
    octets = image.read_bytes()
    assert octets.count(old) >= 1 and len(old) == len(new)
    image.write_bytes(octets.replace(old, new))
    tool("xfs_db", "-x", "-c", "inode 128", "-c", "crc -r", image)


def ntfs(image, folder, sector=512):
    with open(image, "wb") as f:
        f.truncate(16 << 20)
    tool("mkntfs", "-q", "-F", "-f", "-s", sector, "-H", 1, "-S", 1, "-p", 0, image)
    contents = {}
    for entry in sorted(p for p in folder.rglob("*") if p.is_file() and not p.is_symlink()):
        if any(c in entry.name for c in "\n\"") or entry.name in contents:
            continue
        if entry.name.startswith("-"):
            continue
        tool("env", "LC_ALL=C.UTF-8", "ntfscp", "-q", image, entry, f"/{entry.name}")
        contents["/" + entry.name] = entry.read_bytes()
    return contents


def partitioned(image, parts, table, sector=512):
    """A disk with these images as partitions; where each begins."""
    lines, at, places = [f"label: {table}"], 1 << 20, []
    for n, part in enumerate(parts):
        size = -(-part.stat().st_size // (1 << 20)) << 20
        if table == "dos" and n == 1:
            lines.append(f"start={at // sector}, type=5")  # the others are logical: 5, 6, …
            at += 1 << 20
        lines.append(f"start={at // sector}, size={size // sector}")
        places.append(at)
        at += size + (1 << 20)
    with open(image, "wb") as f:
        f.truncate(at + (1 << 20))
    tool("sfdisk", "-q", image, stdin="\n".join(lines).encode())
    fill(image, places, parts)
    return places


def fill(image, places, parts):
    with open(image, "r+b") as f:
        for place, part in zip(places, parts):
            f.seek(place)
            with open(part, "rb") as source:
                shutil.copyfileobj(source, f)


def partitioned_4k(image, part):
    """One partition in a table that counts in blocks of 4 KiB, which sfdisk makes on no file."""
    place, size = 1 << 20, part.stat().st_size
    entry = struct.pack("<8B2I", 0, 0, 0, 0, 0x83, 0, 0, 0, place >> 12, size >> 12)
    with open(image, "wb") as f:
        f.truncate(place + size + (1 << 20))
        f.seek(446)
        f.write(entry + bytes(48) + b"\x55\xaa")
    fill(image, [place], [part])
    return place
