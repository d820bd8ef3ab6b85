"""The guest of the kernel tests: Debian's own kernel, open-iscsi, file system tools and fio, unpacked from packages.

Nothing is installed on this machine: apt downloads the packages with everything they need into a folder, and only the
programs named below, with their libraries, go into an initial RAM file system. It is made once and kept in the build
folder under the versions of its packages. Needs apt with Debian's packages on an x86-64 machine, not root.
"""
import gzip, hashlib, os, pathlib, platform, re, shutil, stat, struct, subprocess

HERE = pathlib.Path(__file__).resolve().parent
DISK_BYTES, PARTITION = 64 << 20, 1 << 20
PACKAGES = ("linux-image-amd64", "kmod", "busybox-static", "open-iscsi", "fio", "e2fsprogs", "xfsprogs", "dmsetup",
            "grub-pc-bin", "grub-common", "sg3-utils", "util-linux",
            # the other end of a tunnel, and its programs; what the gateway itself needs in a guest
            "stunnel4", "strongswan-swanctl", "strongswan-charon", "libstrongswan-standard-plugins", "wireguard-tools", "iproute2", "bash",
            "nftables", "libyaml-0-2", "libidn12", "libisal2", "libsodium23", "libseccomp2", "liburing2", "libjansson4",
            "libsqlite3-0", "libzstd1")
SG = ("compare_and_write", "copy_results", "format", "get_lba_status", "inq", "logs", "luns", "modes", "opcodes", "persist",
      "prevent", "raw", "readcap", "requests", "reset", "rtpg", "sanitize", "senddiag", "start", "stpg", "sync", "turs", "unmap",
      "verify", "vpd", "wr_mode", "write_same", "write_x", "xcopy")
PROGRAMS = ("bin/busybox", "sbin/iscsid", "sbin/iscsiadm", "sbin/iscsistart", "usr/bin/fio", "sbin/mke2fs",
            "sbin/e2fsck", "sbin/mkfs.xfs", "usr/sbin/xfs_repair|sbin/xfs_repair", "sbin/dmsetup", "sbin/blkdiscard", "bin/lsblk",
            *(f"usr/bin/sg_{name}" for name in SG),
            "usr/bin/stunnel4", "usr/lib/ipsec/charon", "usr/sbin/swanctl", "usr/bin/wg", "usr/bin/wg-quick", "bin/ip", "sbin/tc",
            "bin/bash", "usr/sbin/nft")
CHARON = ("aes", "drbg", "gcm", "hmac", "kdf", "kernel-netlink", "nonce", "openssl", "pem", "pkcs1", "pubkey", "random", "sha2",
          "socket-default", "vici", "x509")  # its plugins
SERVER = ("libcrypto.so.3", "libidn.so.12", "libisal.so.2", "libjansson.so.4", "libmnl.so.0", "libnftnl.so.11", "libseccomp.so.2",
          "libsodium.so.23", "libsqlite3.so.0", "libssl.so.3", "liburing.so.2", "libyaml-0.so.2", "libzstd.so.1")  # the gateway's libraries
TO_BOOT = ("bin/busybox", "sbin/iscsistart")
MODULES = ("virtio_pci", "virtio_console", "virtio_net", "virtio_blk", "iscsi_tcp", "iscsi_ibft", "sd_mod", "ext4", "xfs", "crc32c_generic",
           "dm-multipath", "dm-service-time", "dm-round-robin", "scsi_dh_alua", "veth", "esp4", "xfrm_user", "gcm", "ctr", "seqiv",
           "aes_generic", "ghash-generic", "drbg", "sha512_generic", "wireguard", "tls", "nf_tables", "nft_ct", "nft_limit", "nft_connlimit", "nf_conntrack",
           "nf_nat", "nft_chain_nat", "nft_masq", "sch_netem")
LIBRARIES = ("lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu/ceph", "usr/lib/ipsec")
FILES = {
    # iscsid looks up who speaks to it; the gateway's processes are two users
    "etc/passwd": "root:x:0:0:root:/:/bin/sh\nsallyport:x:990:990::/:/bin/false\nsallyport-net:x:991:991::/:/bin/false\n",
    "etc/group": "root:x:0:\nsallyport:x:990:\nsallyport-net:x:991:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\n",
}


class CannotBeMade(Exception):
    """Why there is no guest here: a reason to skip."""


def packages(folder, *what):
    """The words that make apt answer as if nothing were installed."""
    (folder / "partial").mkdir(parents=True, exist_ok=True)
    (folder / "nothing").touch()
    done = subprocess.run(["apt-get", "-qq", "-y", "-o", f"Dir::State::status={folder / 'nothing'}", "-o",
                           f"Dir::Cache::archives={folder}", "-o", f"Dir::Log={folder}", "-o", "Debug::NoLocking=1", "-o",
                           "APT::Sandbox::User=", "-o", "APT::Install-Recommends=0", *what, "install", *PACKAGES],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise CannotBeMade("apt has no such packages: " + " ".join(done.stderr.split()[-20:]))
    return done.stdout


class Tree:
    """Unpacked packages, and how to run what is in them."""

    def __init__(self, folder):
        self.root = folder / "tree"
        shutil.rmtree(self.root, ignore_errors=True)
        self.root.mkdir()
        for package in sorted(folder.glob("*.deb")):
            subprocess.run(["dpkg", "-x", package, self.root], check=True, timeout=120)
        self.libraries = {f.name: f for d in LIBRARIES for f in (self.root / d).glob("*.so*")}
        self.version = next((self.root / "lib/modules").iterdir()).name

    def run(self, program, *words):
        path = ":".join(str(self.root / d) for d in LIBRARIES)
        loader = self.root / "lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"
        file = self.root / program
        if file.is_symlink() and os.path.isabs(os.readlink(file)):  # meant: in the tree, not on this machine
            file = self.root / os.readlink(file).lstrip("/")
        done = subprocess.run([loader, "--library-path", path, "--argv0", pathlib.Path(program).name, file, *map(str, words)],
                              check=True, capture_output=True, text=True, timeout=120)
        return done.stdout

    def modules(self):
        """The files of the modules, what they need first."""
        self.run("sbin/depmod", "-b", self.root, self.version)
        lines = "".join(self.run("sbin/modprobe", "-d", self.root, "-S", self.version, "--show-depends", name)
                        for name in MODULES)
        return list(dict.fromkeys(re.findall(r"^insmod (\S+)", lines, flags=re.M)))

    def needs(self, file):
        """A program's libraries, and theirs."""
        todo, found = [file], {}
        while todo:
            out = subprocess.run(["readelf", "-d", todo.pop()], capture_output=True, text=True, timeout=60).stdout
            for name in re.findall(r"NEEDED.*\[(.*)\]", out):
                if name in self.libraries and name not in found:
                    found[name] = self.libraries[name]
                    todo.append(self.libraries[name])
        return found.values()


def archive(entries):
    """(path, mode, content) as a cpio archive of the form that the kernel reads ("newc")."""
    out = bytearray()
    for number, (name, mode, content) in enumerate([*entries, ("TRAILER!!!", 0, b"")], 1):
        head = [number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0]
        out += b"070701" + b"".join(b"%08X" % field for field in head) + name.encode() + b"\0"
        out += bytes(-len(out) % 4) + content
        out += bytes(-len(out) % 4)
    return bytes(out)


def with_folders(files):
    """Each folder before what is in it."""
    seen = set()
    for name, mode, content in files:
        for folder in reversed(pathlib.PurePath(name).parents[:-1] if "/" in name else []):
            if folder not in seen:
                seen.add(folder)
                yield str(folder), stat.S_IFDIR | 0o755, b""
        yield name, mode, content


def contents(tree, programs=PROGRAMS):
    for name, text in FILES.items():
        yield name, stat.S_IFREG | 0o644, text.encode()
    for name in ("proc", "sys", "dev", "tmp", "mnt", "run/lock/iscsi", "etc/iscsi", "var/lib/iscsi", "lib64"):
        yield name, stat.S_IFDIR | 0o755, b""
    yield "lib64/ld-linux-x86-64.so.2", stat.S_IFLNK | 0o777, b"/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"
    wanted = {}
    for names in programs:
        file = next(tree.root / name for name in names.split("|") if (tree.root / name).exists())
        wanted.update({f: 0o755 for f in (file, *tree.needs(file))})
    if programs is PROGRAMS:
        more = [tree.root / f"usr/lib/ipsec/plugins/libstrongswan-{name}.so" for name in CHARON]
        more += [tree.libraries[name] for name in SERVER]
        wanted.update({f: 0o755 for file in more for f in (file, *tree.needs(file))})
    for file in tree.modules():
        wanted[pathlib.Path(file)] = 0o644
    for file in (tree.root / "lib/modules" / tree.version).glob("modules.*"):
        wanted[file] = 0o644
    for file, mode in wanted.items():
        yield str(file.relative_to(tree.root)), stat.S_IFREG | mode, file.read_bytes()


class Image:
    """Kernel and initrd, for as many guests as one wants; and a disk that boots by itself."""

    def __init__(self, folder):
        self.kernel, self.initrd, self.disk = folder / "vmlinuz", folder / "initrd", folder / "disk"


def make(folder, work):
    packages(work, "--download-only")
    tree = Tree(work)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    new = Image(folder)
    new.initrd.write_bytes(archive(with_folders(contents(tree))))
    shutil.copy(tree.root / "boot" / f"vmlinuz-{tree.version}", new.kernel)
    make_disk(tree, work, new)


# What GRUB does, from its own sectors: no menu, no file of settings.
GRUB = """\
set root=(hd0,msdos1)
linux /boot/vmlinuz console=ttyS0 loglevel=4 mitigations=off panic=-1
initrd /boot/initrd
boot
"""


def make_disk(tree, work, new):
    """A disk as a machine has it: boot sector, GRUB behind it, one partition with kernel, initrd and root files."""
    root = work / "root"
    for name in ("boot", "bin", "dev", "proc", "sys", "tmp"):
        (root / name).mkdir(parents=True)
    shutil.copy(new.kernel, root / "boot/vmlinuz")
    early = [*contents(tree, TO_BOOT), ("init", stat.S_IFREG | 0o755, (HERE / "boot-init").read_bytes())]
    (root / "boot/initrd").write_bytes(gzip.compress(archive(with_folders(early)), 6))
    shutil.copy(tree.root / "bin/busybox", root / "bin/busybox")
    shutil.copy(HERE / "disk-init", root / "init")
    (root / "init").chmod(0o755)
    (root / "noise").write_bytes(os.urandom(4 << 20))
    sums = [f"{hashlib.sha256(f.read_bytes()).hexdigest()}  {f.relative_to(root)}\n"
            for f in sorted(root.rglob("*")) if f.is_file()]
    (root / "sums").write_text("".join(sums))
    (work / "grub.cfg").write_text(GRUB)
    modules = tree.root / "usr/lib/grub/i386-pc"
    tree.run("usr/bin/grub-mkimage", "-O", "i386-pc", "-d", modules, "-p", "/boot/grub", "-c", work / "grub.cfg", "-o",
             work / "core.img", "biosdisk", "part_msdos", "ext2", "linux", "boot")
    with open(new.disk, "wb") as f:
        f.truncate(DISK_BYTES)
    tree.run("sbin/mke2fs", "-q", "-F", "-t", "ext4", "-O", "^has_journal,^metadata_csum,^64bit,^orphan_file", "-b", "4096",
             "-d", root, "-E", f"root_owner=0:0,offset={PARTITION}", new.disk, f"{(DISK_BYTES - PARTITION) // 1024}k")
    entry = struct.pack("<B3sB3sII", 0x80, b"\xfe\xff\xff", 0x83, b"\xfe\xff\xff", PARTITION // 512,
                        (DISK_BYTES - PARTITION) // 512)
    first = (modules / "boot.img").read_bytes()[:446] + entry + bytes(48) + b"\x55\xaa"
    with open(new.disk, "r+b") as f:
        f.write(first + (work / "core.img").read_bytes())


def refresh(top):
    """Makes the image, unless the one that is there is of these packages and of this recipe."""
    work, folder, key_file = top / "work", top / "image", top / "key"
    recipe = "".join((HERE / name).read_text() for name in ("image.py", "boot-init", "disk-init"))
    key = hashlib.sha256((packages(work, "--print-uris") + recipe).encode()).hexdigest()
    if not key_file.exists() or key_file.read_text() != key:
        key_file.unlink(missing_ok=True)
        make(folder, work)
        key_file.write_text(key)


def get(build):
    """What refresh() made. Tests have no network of the outside, so they never make it."""
    top = build / "kernel"
    if not (top / "key").exists():
        reason = top / "reason"
        raise CannotBeMade(reason.read_text() if reason.exists() else "make test-kernel makes the guest first")
    return Image(top / "image")


def main():
    top = pathlib.Path(os.environ.get("SALLYPORT_BUILD", "build")).resolve() / "kernel"
    top.mkdir(parents=True, exist_ok=True)
    try:
        if platform.machine() != "x86_64" or not shutil.which("apt-get"):
            raise CannotBeMade("needs apt on an x86-64 machine")
        refresh(top)
    except (CannotBeMade, subprocess.SubprocessError) as reason:
        (top / "reason").write_text(str(reason))
    finally:
        shutil.rmtree(top / "work", ignore_errors=True)


if __name__ == "__main__":
    main()
