"""A Linux guest in QEMU, without hardware support: its kernel's initiator is the peer that the gateway is tested with.

The gateway's loopback address is 10.0.2.2 in the guest. Commands go through a serial port to its shell, one at a time.
"""
import atexit, os, pathlib, re, selectors, shutil, subprocess, sys, tempfile, time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import image
from harness import *

AREA = "kernel"

HERE = pathlib.Path(__file__).resolve().parent
GATEWAY = "10.0.2.2"
BOOT_SECONDS = 300
LOGIN = {"node.session.auth.authmethod": "CHAP", "node.session.auth.chap_algs": "SHA3-256",
         "node.session.auth.username": "alice", "node.session.auth.password": SECRET,
         "node.session.auth.username_in": "gw-for-alice", "node.session.auth.password_in": MUTUAL,
         "node.session.initial_login_retry_max": "3", "node.session.timeo.replacement_timeout": "600",
         "node.conn[0].timeo.login_timeout": "30", "node.conn[0].timeo.noop_out_interval": "2",
         "node.conn[0].timeo.noop_out_timeout": "5"}


def image_or_skip(what):
    """The guest's files; without them the program ends, and what it would have shown is skipped."""
    try:
        if not shutil.which("qemu-system-x86_64"):
            raise image.CannotBeMade("qemu-system-x86_64 is not installed")
        return image.get(BUILD)
    except image.CannotBeMade as reason:
        skip(AREA, what, reason)
        finish()


class Guest:
    def __init__(self, files, *devices, initiator=CLIENT, memory=768, more=()):
        """`more`: files beside those of the image, as (path, mode, octets)."""
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="guest-"))
        self.console, self.seen, self.process = self.folder / "console", "", None
        initrd = self.folder / "initrd"
        shutil.copy(files.initrd, initrd)
        with open(initrd, "ab") as f:
            f.write(image.archive(image.with_folders([("init", 0o100755, (HERE / "init").read_bytes()), *more])))
        atexit.register(self.close)
        command = ["setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64", "-accel", "tcg", "-m", str(memory), "-nodefaults",
                   "-nographic", "-no-reboot", "-kernel", files.kernel, "-initrd", initrd, "-append",
                   f"console=ttyS0 loglevel=4 mitigations=off panic=-1 INITIATOR={initiator}",
                   "-serial", f"file:{self.console}",
                   "-chardev", "stdio,id=shell", "-device", "virtio-serial",
                   "-device", "virtserialport,chardev=shell", "-netdev", "user,id=n", "-device",
                   "virtio-net-pci,netdev=n,romfile=", *devices]
        self.process = subprocess.Popen([str(c) for c in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=open(self.folder / "qemu", "wb"), bufsize=0)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.process.stdout, selectors.EVENT_READ)
        if self.wait(r"ready\r?\n", BOOT_SECONDS) is None:
            raise SystemExit("FAIL kernel: the guest did not start\n" + self.log())

    def wait(self, pattern, seconds):
        """What stands before the pattern in the output from here on; None after so many seconds."""
        end = time.monotonic() + seconds
        while True:
            match = re.search(pattern, self.seen)
            if match:
                before, self.seen = self.seen[:match.start()], self.seen[match.end():]
                return before, match
            if not self.selector.select(max(0, end - time.monotonic())):
                return None
            more = self.process.stdout.read(65536)
            if not more:
                return None
            self.seen += more.decode(errors="replace").replace("\r", "")

    def begin(self, command):
        """Starts a command; end() waits for it."""
        line = f"{{ {command}\n}} </dev/null 2>&1; echo \"<<$?>>\"\n"
        self.process.stdin.write(line.encode())

    def end(self, seconds=300):
        found = self.wait(r"<<(\d+)>>\n", seconds)
        if found is None:
            out, self.seen = self.seen, ""
            return -1, out + f"\nno answer within {seconds} s\n" + self.log()
        return int(found[1][1]), found[0]

    def run(self, command, seconds=300):
        """(exit status, output)"""
        self.begin(command)
        return self.end(seconds)

    def log(self):
        return "\n".join(self.console.read_text(errors="replace").splitlines()[-25:]) if self.console.exists() else ""

    def close(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        self.process = None
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- the initiator -----------------------------------------------------------------------------------
    def node(self, port, settings=None, target=TARGET):
        """A node record, by hand: LOGIN and these settings; those without a value keep open-iscsi's default."""
        words = f"-m node -T {target} -p {GATEWAY}:{port}"
        values = {k: v for k, v in {**LOGIN, **(settings or {})}.items() if v is not None}
        update = " ".join(f"-n '{k}' -v '{v}'" for k, v in values.items())
        return self.run(f"iscsiadm {words} -o delete >/dev/null 2>&1; iscsiadm {words} -o new && "
                        f"iscsiadm {words} -o update {update}")

    def login(self, port, target=TARGET, disk="sda"):
        """Logs in and waits for the disk."""
        return self.run(f"iscsiadm -m node -T {target} -p {GATEWAY}:{port} --login && "
                        f"for i in $(seq 200); do [ -b /dev/{disk} ] && break; usleep 50000; done; [ -b /dev/{disk} ]")

    def logout(self, port, target=TARGET):
        return self.run(f"iscsiadm -m node -T {target} -p {GATEWAY}:{port} --logout")
