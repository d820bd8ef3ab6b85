"""What the tests with a live gateway share: a gateway in a folder of its own, checks that print a line.

Each test file is a program: it prints `ok AREA: sentence` or `FAIL AREA: sentence` and ends with 1 when
anything failed. Folders and ports are its own; nothing is left behind.
"""
import atexit, ctypes, json, mmap, os, pathlib, shutil, signal, socket, subprocess, sys, tempfile, time

BUILD = pathlib.Path(os.environ.get("SALLYPORT_BUILD", "build")).resolve()
SALLYPORT = str(BUILD / "sallyport")
SOAK = bool(os.environ.get("SALLYPORT_SOAK"))

TARGET = "iqn.2026-11.net.example.gw:vault"
CLIENT = "iqn.1994-05.com.redhat:client"
SECRET, MUTUAL = "alice-secret-0123456", "gateway-secret-9876"

failed = False


def check(area, sentence, fine, note=""):
    """Prints the verdict on one sentence; `note` explains a failure."""
    global failed
    print(f"{'ok' if fine else 'FAIL'} {area}: {sentence}", flush=True)
    if not fine:
        failed = True
        for line in str(note).splitlines()[-30:]:
            print("    " + line, flush=True)
    return fine


def evidence(text):
    """A figure for `make evidence`, which runs some tests for what they print so."""
    if os.environ.get("SALLYPORT_EVIDENCE"):
        print(f"evidence: {text}", flush=True)


def skip(area, sentence, why):
    print(f"skip {area}: {sentence} ({why})", flush=True)


def finish():
    sys.exit(1 if failed else 0)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(condition, seconds=30.0):
    """Polls until condition() is true; its value, or False after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value or time.monotonic() > end:
            return value
        time.sleep(0.01)


def run(*command, env=None, stdin=None, timeout=300):
    return subprocess.run([str(c) for c in command], env={**os.environ, **(env or {})}, input=stdin, text=True,
                          capture_output=True, timeout=timeout, errors="replace")


def no_direct_io():
    """Why the files of a test can't be disks around the page cache (cache: none); None: they can."""
    with tempfile.TemporaryFile() as f:
        f.truncate(8192)
        try:
            fd = os.open(f"/proc/self/fd/{f.fileno()}", os.O_RDONLY | os.O_DIRECT)
        except OSError as error:
            return f"no O_DIRECT here: {error}"
        try:
            os.preadv(fd, [memoryview(mmap.mmap(-1, 4096))[:512]], 512)
        except OSError as error:
            return f"no O_DIRECT in blocks of 512 octets here: {error}"
        finally:
            os.close(fd)
    kind = run("stat", "--file-system", "--format", "%T", tempfile.gettempdir()).stdout.strip()
    return f"a {kind} is in memory" if kind in ("tmpfs", "ramfs") else None


def own_network():
    """Root's tests have a network of their own: ports, loopback and firewall tables that nobody else has or keeps. Not where
    somebody else's target is to be reached."""
    if not os.environ.get("TARGET") and os.geteuid() == 0 and shutil.which("ip") and ctypes.CDLL(None).unshare(0x40000000) == 0:
        run("ip", "link", "set", "lo", "up")


own_network()

POLICY = """\
version: 1
portals:
  here: {{listen: ["127.0.0.1:{port}"], transport: plain}}
disks:
  vault: {{file: {folder}/vault.img, size: {size}}}
  second: {{memory: 16MiB}}
targets:
  {target}:
    alias: Vault
    portals: [here]
    luns: {{0: vault, 1: second}}
    initiators:
      {client}:
        chap: {{user: alice, mutual: gw-for-alice, algorithms: [md5]}}
{more}
"""


started = []


def tell_why(kind, error, trace):
    """What ends a test by surprise is told with the last words of its gateways."""
    sys.__excepthook__(kind, error, trace)
    for gw in started:
        print(f"log of {gw.folder.name}:", gw.log()[-3000:], sep="\n", file=sys.stderr)


sys.excepthook = tell_why


class Gateway:
    """A gateway with a folder, a port and two secrets; running after start()."""

    def __init__(self, policy=POLICY, size="64MiB", more="", **extra):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="gw-"))
        self.folder.chmod(0o755)
        self.state = self.folder / "state"
        self.port = free_port()
        self.process = None
        self.values = dict(port=self.port, folder=self.folder, size=size, target=TARGET, client=CLIENT, more=more,
                           **extra)
        self.policy = self.folder / "policy.yaml"
        self.template = policy
        self.policy.write_text(policy.format(**self.values))
        self.log_path = self.folder / "log"
        atexit.register(self.close)
        started.append(self)
        self.secret("alice", SECRET)
        self.secret("gw-for-alice", MUTUAL)

    def secret(self, name, value):
        done = run(SALLYPORT, "secret", "set", name, "--state", self.state, stdin=value)
        assert done.returncode == 0, done.stderr

    def accept_weaker(self, user="alice"):
        """Before a tool that knows MD5 alone logs in as who has used more."""
        done = self.command("secret", "accept-weaker", user)
        assert done.returncode == 0, done.stderr

    def command(self, *words, timeout=300):
        return run(SALLYPORT, *words, "--state", self.state, timeout=timeout)

    def reload(self, *words, **changes):
        """Writes the policy with other values, if any, and has it taken up; the command's end."""
        if changes:
            self.values |= changes
            self.policy.write_text(self.template.format(**self.values))
        return self.command("reload", *words, timeout=100)

    def spawn(self, wrapper=()):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([*wrapper, SALLYPORT, "run", str(self.policy), "--state", str(self.state)],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        return self

    def start(self, wrapper=()):
        self.spawn(wrapper)
        if not wait_for(lambda: self.is_serving() or self.process.poll() is not None, 60) or self.process.poll() is not None:
            print(self.log())
            raise SystemExit("FAIL harness: the gateway did not start")
        return self

    def is_serving(self):
        done = self.command("status", "--json")
        if done.returncode not in (0, 1):
            return False
        status = json.loads(done.stdout)
        return not any(p.startswith("gateway: ") for p in status["problems"])

    def status(self):
        return json.loads(self.command("status", "--json").stdout)

    def is_well(self):
        return self.status()["well"]

    def helper_pid(self, name):
        return next(h["pid"] for h in self.status()["helpers"] if h["helper"] == name)

    def helper_deaths(self):
        return sum(h["deaths"] for h in self.status()["helpers"])

    def sessions(self):
        return json.loads(self.command("sessions", "--json").stdout)

    def stop(self, how=signal.SIGTERM):
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            code = self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self.process = None
        return code

    def close(self):
        self.stop()
        # the auditor of a killed gateway ends by itself: its lock says when
        run("flock", "-w", "60", self.state / "lock", "true") if (self.state / "lock").exists() else None
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def audit(self, *words):
        """The audit trail's records, as dictionaries."""
        done = self.command("audit", "show", "--json", *words)
        return [json.loads(line) for line in done.stdout.splitlines()]

    # --- addresses for libiscsi's tools -----------------------------------------------------------------
    def url(self, lun=0, target=TARGET, user="alice", secret=SECRET, host="127.0.0.1"):
        return f"iscsi://{user}%{secret}@{host}:{self.port}/{target}/{lun}"

    def portal(self, user="alice", secret=SECRET):
        return f"iscsi://{user}%{secret}@127.0.0.1:{self.port}"

    @staticmethod
    def mutual(name="gw-for-alice", secret=MUTUAL):
        return {"LIBISCSI_CHAP_TARGET_USERNAME": name, "LIBISCSI_CHAP_TARGET_PASSWORD": secret}
