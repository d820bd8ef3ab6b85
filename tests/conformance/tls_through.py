#!/usr/bin/env python3
"""`sallyport connect` and stunnel before a portal with TLS: libiscsi's tools and QEMU go through both, and nobody else does."""
import pathlib, re, shutil, socket, subprocess
from harness import *
from pki import CA

AREA = "tls"
POLICY = """\
version: 1
portals:
  wan:
    listen: ["127.0.0.1:{port}"]
    transport: tls
    certificate: {folder}/gw.pem
    key: {folder}/gw.key
    client_ca: {folder}/clients.pem
    advertise: ["127.0.0.1:{here}"]
disks:
  vault: {{file: {folder}/vault.img, size: 64MiB}}
targets:
  {target}:
    portals: [wan]
    luns: {{0: vault}}
    initiators:
      {client}:
        from: [127.0.0.1]
        chap: {{user: alice, mutual: none, algorithms: [md5]}}
auth: {{algorithms: [md5, sha3-256]}}
firewall: {{manage: false}}
"""
ca, other = CA(), CA("other")
here = free_port()
gw = Gateway(POLICY, here=here)


def put(name, file, mode=0o644):
    shutil.copy(file, gw.folder / name)
    (gw.folder / name).chmod(mode)


server = ca.server()
put("gw.pem", server[0])
put("gw.key", server[1], 0o600)
put("clients.pem", ca.pem)
client = ca.client(CLIENT)
identity = gw.folder / "identity"
identity.mkdir()
for name, file in (("client.pem", client[0]), ("client.key", client[1]), ("ca.pem", ca.pem)):
    shutil.copy(file, identity / name)
(identity / "client.key").chmod(0o600)
gw.start()


class Running:
    """A program beside the gateway, until the test ends."""

    def __init__(self, name, *command):
        self.log_path = gw.folder / f"{name}.log"
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        atexit.register(self.stop)

    def log(self):
        return self.log_path.read_text(errors="replace")

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(30)


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def url(port):
    return f"iscsi://alice%{SECRET}@127.0.0.1:{port}/{TARGET}/0"


def tools(port, what, log):
    """Discovery, an image in and out, and random reads through this port."""
    done = run("iscsi-ls", "-i", CLIENT, f"iscsi://alice%{SECRET}@127.0.0.1:{port}", timeout=60)
    check(AREA, f"{what}: discovery names the tunnel's local address, so that nobody goes beside it", done.returncode == 0 and
          f"Portal:127.0.0.1:{here}," in done.stdout and TARGET in done.stdout, done.stdout + done.stderr + log() + gw.log())
    image, back = gw.folder / "image", gw.folder / "back"
    image.write_bytes(os.urandom(8 << 20))
    words = f"driver=iscsi,transport=tcp,portal=127.0.0.1:{port},target={TARGET},lun=0,user=alice,password={SECRET},initiator-name={CLIENT}"
    done = run("qemu-img", "convert", "-n", "-f", "raw", image, "--target-image-opts", words, timeout=120)
    check(AREA, f"{what}: qemu-img writes 8 MiB", done.returncode == 0, done.stderr + log() + gw.log())
    done = run("qemu-img", "convert", "-O", "raw", "--image-opts", words, back, timeout=120)
    check(AREA, f"{what}: and reads them as they were", done.returncode == 0 and back.read_bytes()[:8 << 20] == image.read_bytes(),
          done.stderr + log() + gw.log())
    for _ in range(3):  # it goes on for ever when it had no turn in the second after its last: what is left of its time falls below 0
        done = run("timeout", "20", "iscsi-perf", "-i", CLIENT, "-t", "1", "-m", "32", "-b", "8", "-r", url(port), timeout=90)
        if done.returncode != 124:
            break
    check(AREA, f"{what}: 32 random reads at once", done.returncode == 0 and "iops" in done.stdout.lower(),
          done.stdout[-400:] + done.stderr + pathlib.Path("/proc/net/tcp").read_text() + log())


tunnel = Running("connect", SALLYPORT, "connect", f"localhost:{gw.port}", "--listen", f"127.0.0.1:{here}", "--identity", identity)
wait_for(lambda: listens(here))
tools(here, "through connect", tunnel.log)
done = run(SALLYPORT, "connect", f"localhost:{gw.port}", "--check", "--identity", identity, timeout=60)
check(AREA, "--check finds the portal well", done.returncode == 0 and "TLS 1.3" in done.stdout, done.stdout + done.stderr + gw.log())
stranger = gw.folder / "stranger"
shutil.copytree(identity, stranger)
for name, file in zip(("client.pem", "client.key"), other.client(CLIENT)):
    shutil.copy(file, stranger / name)
done = run(SALLYPORT, "connect", f"localhost:{gw.port}", "--check", "--identity", stranger, timeout=60)
check(AREA, "P1: with a certificate of another CA, --check says that the gateway does not take it", done.returncode == 1 and
      "does not take this machine's certificate" in done.stdout, done.stdout + done.stderr + gw.log())
check(AREA, "and the gateway's audit says why", wait_for(lambda: any(e.get("reason") == "tls-unknown-ca" for e in gw.audit())),
      gw.audit()[-5:])

# --- stunnel, with what `sallyport client` prints ---------------------------------------------------------------
done = gw.command("client", CLIENT, gw.policy, "--for", "stunnel")
text = done.stdout
check(AREA, "client --for stunnel: one service, the chain and the name checked, TLS 1.3", done.returncode == 0 and text.count("[wan]") == 1 and
      f"accept = 127.0.0.1:{here}\nconnect = 127.0.0.1:{gw.port}\n" in text and "verifyChain = yes\ncheckHost = localhost\nsslVersionMin = TLSv1.3" in text, text + done.stderr)
check(AREA, "P3: and no secret in it", SECRET not in text, text)


def stunnel(name, port, text):
    """stunnel as printed, but on this port and in the foreground."""
    file = identity / f"{name}.conf"
    file.write_text("foreground = yes\nsyslog = no\n" + text.replace(f"accept = 127.0.0.1:{here}", f"accept = 127.0.0.1:{port}"))
    program = Running(name, "sh", "-c", f"cd {identity} && exec {shutil.which('stunnel4') or 'stunnel'} {file}")
    wait_for(lambda: listens(port))
    return program


if shutil.which("stunnel4") or shutil.which("stunnel"):
    port = free_port()
    program = stunnel("stunnel", port, text)
    tools(port, "through stunnel", program.log)
    program.stop()
    shutil.copy(other.pem, identity / "other.pem")
    for what, old, new in (("another name", "checkHost = localhost", "checkHost = elsewhere.example"),
                           ("another CA", "CAfile = ca.pem", "CAfile = other.pem")):
        port = free_port()
        program = stunnel(what.replace(" ", "-"), port, text.replace(old, new))
        done = run("iscsi-ls", "-i", CLIENT, f"iscsi://alice%{SECRET}@127.0.0.1:{port}", timeout=60)
        check(AREA, f"stunnel refuses a gateway of {what}", TARGET not in done.stdout and old in text, done.stdout + program.log())
        program.stop()
else:
    skip(AREA, "through stunnel", "stunnel4 is not installed")
check(AREA, "connect stops with 0", tunnel.stop() == 0, tunnel.log())
check(AREA, "the gateway stops cleanly", gw.stop() == 0, gw.log())
finish()
