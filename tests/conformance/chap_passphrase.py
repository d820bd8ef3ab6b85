#!/usr/bin/env python3
"""The key of the secrets under a passphrase: asked for when the gateway starts, and by whoever changes a secret."""
import array, fcntl, pathlib, termios
from harness import *
from initiator import *

AREA = "chap"
PASSPHRASE, OTHER = "a passphrase of many words", "another one for the secrets"
gw = Gateway()


def pipe_with(line):
    r, w = os.pipe()
    os.write(w, line.encode() + b"\n")
    os.close(w)
    return r


def secret(*words, old=None, new=None, stdin=None):
    """`sallyport secret` with passphrases through descriptors of its own."""
    fds, options = [], []
    for option, line in (("--passphrase-fd", old), ("--new-passphrase-fd", new)):
        if line is not None:
            fds.append(pipe_with(line))
            options += [option, str(fds[-1])]
    done = subprocess.run([SALLYPORT, "secret", *words, *options, "--state", str(gw.state)], input=stdin, text=True, capture_output=True,
                          pass_fds=fds, start_new_session=True, timeout=120)
    for fd in fds:
        os.close(fd)
    return done


def start(passphrase):
    fd = pipe_with(passphrase)
    with open(gw.log_path, "ab") as log:
        gw.process = subprocess.Popen([SALLYPORT, "run", str(gw.policy), "--passphrase-fd", str(fd), "--state", str(gw.state)], pass_fds=[fd],
                                      stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    os.close(fd)
    return wait_for(lambda: gw.is_serving() or gw.process.poll() is not None, 60) and gw.process.poll() is None


def outcome(secret=SECRET, mutual=MUTUAL):
    with Initiator(gw.port) as i:
        try:
            i.login(secret=secret, mutual=mutual)
            return i.nop() == b"ping"
        except Refused as refused:
            return refused.status


key = gw.folder / "state.key"
before, store = key.read_bytes(), (gw.state / "secrets").read_bytes()
done = secret("rotate", "--key", "passphrase", new="short")
check(AREA, "a passphrase of a few letters is refused, and nothing is changed", done.returncode == 3 and "12 to 1023" in done.stderr and key.read_bytes() == before, done.stderr)
done = secret("rotate", "--key", "passphrase", new=PASSPHRASE)
check(AREA, "rotate --key passphrase seals all secrets under a fresh key", done.returncode == 0 and key.stat().st_size == 128 and (gw.state / "secrets").read_bytes() != store
      and key.stat().st_mode & 0o777 == 0o600, done.stderr)
check(AREA, "P3: neither the old key nor the passphrase is in the new file", before not in key.read_bytes() and PASSPHRASE.encode() not in key.read_bytes())
done = secret("generate", "spare", stdin="")
check(AREA, "a secret can't be made without it, and what to do is said", done.returncode == 3 and "--passphrase-fd" in done.stderr, done.stderr)
done = secret("generate", "spare", old=OTHER)
check(AREA, "nor by another one", done.returncode == 3 and "not the passphrase" in done.stderr, done.stderr)
done = secret("generate", "spare", old=PASSPHRASE)
check(AREA, "by the right one it is", done.returncode == 0 and len(done.stdout) == 17, done.stderr)
done = secret("list", "--json")
check(AREA, "names are listed without it", done.returncode == 0 and "spare" in done.stdout, done.stderr)
if os.path.exists("/run/systemd/system"):
    skip(AREA, "run without anybody to ask exits with 3 and says so", "systemd's agents are asked here")
else:
    done = subprocess.run([SALLYPORT, "run", str(gw.policy), "--state", str(gw.state)], stdin=subprocess.DEVNULL, capture_output=True, text=True, start_new_session=True)
    check(AREA, "run without anybody to ask exits with 3 and says so", done.returncode == 3 and "passphrase" in done.stderr, done.stderr)
check(AREA, "run with another passphrase exits with 3 and says so", not start(OTHER) and gw.process.wait(60) == 3 and "not the passphrase" in gw.log(), gw.log())
gw.process = None
check(AREA, "run with the right one serves", start(PASSPHRASE) and outcome() is True, gw.log())

pid = gw.helper_pid("authenticator")
os.kill(pid, signal.SIGKILL)
check("fault", "P4: an authenticator that was killed gets the key again, and nobody is asked", wait_for(lambda: gw.helper_pid("authenticator") not in (0, pid) and gw.is_well()) and outcome() is True, gw.log())
done = secret("set", "alice", old=PASSPHRASE, stdin="alice-another-secret")
check(AREA, "a secret that is set meanwhile is taken up", done.returncode == 0 and outcome("alice-another-secret") is True and outcome() == 0x0201, done.stderr + gw.log())


def readable(pid, octets):
    """Are these octets anywhere in the memory of the process? (root only)"""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            if line.split()[1][0] == "r" and "[v" not in line:
                low, high = (int(x, 16) for x in line.split()[0].split("-"))
                memory.seek(low)
                if octets in memory.read(high - low):
                    return True
    return False


try:
    found = readable(gw.process.pid, PASSPHRASE.encode())
    check(AREA, "P3: the passphrase is nowhere in the monitor's memory", not found)
except PermissionError:
    skip(AREA, "P3: the passphrase is nowhere in the monitor's memory", "only root may look")

fd = pipe_with(PASSPHRASE)
done = subprocess.run([SALLYPORT, "client", CLIENT, str(gw.policy), "--for", "linux", "--with-secrets", "--passphrase-fd", str(fd), "--state", str(gw.state)],
                      pass_fds=[fd], capture_output=True, text=True, start_new_session=True, timeout=120)
os.close(fd)
check(AREA, "client --with-secrets takes the passphrase, too", done.returncode == 0 and "alice-another-secret" in done.stdout, done.stderr)
def typing(process, taken):
    """It has read the passphrase of the key, and waits for the new one."""
    left = array.array("i", [0])
    fcntl.ioctl(taken, termios.FIONREAD, left)
    return left[0] == 0 and pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "S"


def is_free(folder):
    fd = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False
    finally:
        os.close(fd)


fd, (new, silent) = pipe_with(PASSPHRASE), os.pipe()
asks = subprocess.Popen([SALLYPORT, "secret", "rotate", "--key", "passphrase", "--passphrase-fd", str(fd), "--new-passphrase-fd", str(new),
                         "--state", str(gw.state)], pass_fds=[fd, new], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
check(AREA, "while a new passphrase is typed, nobody else waits: the store is not locked", wait_for(lambda: typing(asks, fd)) and is_free(gw.state), asks.pid)
os.close(fd)
os.close(new)
os.close(silent)
check(AREA, "none is typed: nothing is changed", asks.wait(60) == 3 and "12 to 1023" in asks.stderr.read() and outcome("alice-another-secret") is True, gw.log())
done = secret("rotate", "--key", "passphrase", old=PASSPHRASE, new=OTHER)
check(AREA, "another passphrase, of another key: the gateway can't follow, goes on, and says so", done.returncode == 3 and "goes on with what it had" in done.stderr
      and outcome("alice-another-secret") is True, done.stderr)
check(AREA, "the gateway stops cleanly", gw.stop() == 0, gw.log())
check(AREA, "it starts with the other passphrase", start(OTHER) and outcome("alice-another-secret") is True, gw.log())
done = secret("rotate", "--key", "file", old=OTHER)
check(AREA, "rotate --key file takes the passphrase away, and the gateway takes that up", done.returncode == 0 and key.stat().st_size == 32 and key.read_bytes() != before
      and gw.is_well() and outcome("alice-another-secret") is True, done.stderr)
check(AREA, "the gateway stops cleanly again", gw.stop() == 0, gw.log())
gw.start()
check(AREA, "and starts without a passphrase", outcome("alice-another-secret") is True, gw.log())
for words in (("rotate", "--key", "usb"), ("rotate", "alice", "--key", "file"), ("set", "alice", "--key", "file"), ("rotate", "--key", "file", "--overlap", "1d")):
    done = secret(*words, stdin="")
    check("cli", f"secret {' '.join(words)} is wrong usage", done.returncode == 2, done.stderr)
gw.stop()
finish()
