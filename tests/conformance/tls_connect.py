#!/usr/bin/env python3
"""`sallyport connect` before a TLS server of Python: what it carries, what it refuses, what it holds."""
import hashlib, os, pathlib, random, re, shutil, signal, socket, ssl, struct, subprocess, tempfile, threading
import processes
from harness import *
from pki import CA, fingerprint, openssl

AREA = "tls"
folder = pathlib.Path(tempfile.mkdtemp(prefix="connect-"))
folder.chmod(0o755)
ca, other = CA(), CA("other")
SERVER, CLIENT_PEM = ca.server(), ca.client(CLIENT)


def identity(name, certificate=CLIENT_PEM, authority=ca, mode=0o600):
    """A folder as `sallyport join` leaves it."""
    where = folder / name
    where.mkdir()
    shutil.copy(certificate[0], where / "client.pem")
    shutil.copy(certificate[1], where / "client.key")
    shutil.copy(authority.pem, where / "ca.pem")
    (where / "client.key").chmod(mode)
    return where


class Server:
    """TLS as a portal speaks it; `talk` gets each connection, on a thread."""

    def __init__(self, talk, certificate=SERVER, port=None, versions=(ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_3), clients=ca,
                 host="127.0.0.1"):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version, self.context.maximum_version = versions
        self.context.load_cert_chain(*certificate)
        self.context.load_verify_locations(clients.pem)
        self.context.verify_mode = ssl.CERT_REQUIRED
        self.context.set_alpn_protocols(["iscsi"])
        self.talk, self.errors, self.seen, self.live = talk, [], [], []
        self.socket = socket.create_server((host, port or 0), backlog=128)
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                plain = self.socket.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.serve, args=(plain,), daemon=True).start()

    def serve(self, plain):
        try:
            plain.settimeout(60)
            with self.context.wrap_socket(plain, server_side=True, suppress_ragged_eofs=False) as s:
                self.seen.append((s.getpeercert()["serialNumber"], s.version(), s.selected_alpn_protocol()))
                self.live.append(s)
                self.talk(s)
        except (ssl.SSLError, OSError) as e:
            self.errors.append(str(e))

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


class Tunnel:
    """`sallyport connect`, running."""

    def __init__(self, *words, start=True, before=()):
        self.log_path = pathlib.Path(tempfile.mkdtemp(prefix="tunnel-")) / "log"
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen([*before, SALLYPORT, "connect", *map(str, words)], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log)
        atexit.register(self.kill)
        if start and not wait_for(lambda: "listening" in self.log() or self.process.poll() is not None):
            raise SystemExit("FAIL tls: connect does not start\n" + self.log())

    def log(self):
        return self.log_path.read_text(errors="replace")

    def says(self, pattern, seconds=20):
        return wait_for(lambda: re.search(pattern, self.log()), seconds)

    def helper(self, name):
        for pid in processes.tree(self.process.pid):
            if name.encode() in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
        raise SystemExit(f"FAIL tls: no process {name}\n" + self.log())

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()
            return -1


def tunnel_to(port, *words, host="localhost", who="fine", before=()):
    """A tunnel, and where it listens."""
    here = free_port()
    return Tunnel(f"{host}:{port}", "--listen", f"127.0.0.1:{here}", "--identity", folder / who, *words, before=before), here


def dial(port, seconds=30):
    s = socket.create_connection(("127.0.0.1", port), timeout=seconds)
    return s


def read_to_end(s):
    parts = []
    while True:
        part = s.recv(65536)
        if not part:
            return b"".join(parts)
        parts.append(part)


orderly = []  # connections whose other end sent close_notify


def echo(s):
    while True:
        octets = s.recv(65536)
        if not octets:
            orderly.append(s)
            s.unwrap()
            return
        s.sendall(octets)


def is_over(s):
    try:
        return s.recv(1) == b""
    except ConnectionError:
        return True


def exchange(port, count, seed=0):
    """Sends octets in pieces of random sizes while it reads; did the same come back?"""
    rng, sent, got = random.Random(seed), hashlib.sha256(), hashlib.sha256()
    s = dial(port, 60)

    def send():
        left = count
        while left:
            piece = rng.randbytes(min(left, rng.choice((1, 48, 512, 4096, 16384, 65536, 1 << 20))))
            sent.update(piece)
            s.sendall(piece)
            left -= len(piece)
        s.shutdown(socket.SHUT_WR)

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    total = 0
    while True:
        piece = s.recv(rng.choice((100, 4096, 65536)))
        if not piece:
            break
        got.update(piece)
        total += len(piece)
    sender.join(30)
    s.close()
    return total == count and sent.digest() == got.digest()


def carries(port):
    try:
        return exchange(port, 1000)
    except ConnectionError:
        return False


def answers(port):
    """Does a connection that may wait for its gateway get an echo?"""
    try:
        with dial(port, 60) as s:
            s.sendall(b"here")
            return s.recv(4) == b"here"
    except ConnectionError:
        return False


def ends(port):
    """How a connection ends that gets no tunnel."""
    try:
        with dial(port) as s:
            s.sendall(b"octets")
            return s.recv(10)
    except ConnectionError:
        return b""


identity("fine")


def check_carries():
    server = Server(echo)
    tunnel, port = tunnel_to(server.port)
    check(AREA, "32 MiB in pieces of any size go there and come back as they were", exchange(port, 32 << 20), tunnel.log())
    check(AREA, "it speaks TLS 1.3 and ALPN iscsi, and shows its certificate", server.seen and
          server.seen[0][1:] == ("TLSv1.3", "iscsi"), server.seen)
    done = []
    threads = [threading.Thread(target=lambda n=n: done.append(exchange(port, 300000, n))) for n in range(50)]
    [t.start() for t in threads]
    [t.join(120) for t in threads]
    check(AREA, "50 connections at once are carried each by itself", done == [True] * 50, f"{len(done)} {tunnel.log()}")
    check(AREA, "each connection leaves one line, with its octets", tunnel.says("33554432 octets to the gateway, 33554432 from it; TLS_") and
          wait_for(lambda: tunnel.log().count("300000 octets to the gateway, 300000 from it") == 50), tunnel.log())
    kept = dial(port)
    kept.sendall(b"here")
    kept.recv(4)
    lived = server.live[-1]
    check(AREA, "SIGTERM ends it with 0", tunnel.stop() == 0, tunnel.log())
    check(AREA, "and the connections that lived", is_over(kept), tunnel.log())
    check(AREA, "with close_notify to the gateway", wait_for(lambda: lived in orderly), server.errors)
    server.close()


def check_backpressure():
    go, total = threading.Event(), []

    def late(s):
        go.wait(60)
        digest, count = hashlib.sha256(), 0
        while True:
            octets = s.recv(65536)
            if not octets:
                break
            digest.update(octets)
            count += len(octets)
        total.append((count, digest.digest()))
        s.unwrap()

    server = Server(late)
    tunnel, port = tunnel_to(server.port)
    s, digest, sent = dial(port), hashlib.sha256(), 0
    s.sendall(b"begin")
    digest.update(b"begin")
    wait_for(lambda: server.live)
    pid = tunnel.helper("connect-tunnels")
    before = processes.own_octets(pid)
    s.settimeout(1)
    chunk = os.urandom(65536)
    try:
        while sent < 256 << 20:
            n = s.send(chunk)
            digest.update(chunk[:n])
            sent += n
    except TimeoutError:
        pass
    grown = processes.own_octets(pid) - before
    check(AREA, "P6: a gateway that does not read stops its initiator", 0 < sent < 64 << 20, f"{sent} octets went out")
    check(AREA, "P6: and no memory grows beyond the buffers", grown < 2 << 20, f"{grown} octets more")
    go.set()
    s.settimeout(60)
    s.shutdown(socket.SHUT_WR)
    check(AREA, "nothing of it is lost, once it reads", read_to_end(s) == b"" and wait_for(lambda: total) and
          total[0] == (sent + 5, digest.digest()), f"{total} {sent}")
    tunnel.stop()
    server.close()

    def flood(s):
        while True:
            s.sendall(chunk)

    server = Server(flood)
    tunnel, port = tunnel_to(server.port)
    s = dial(port)
    s.recv(1)
    pid = tunnel.helper("connect-tunnels")
    wait_for(lambda: processes.own_octets(pid) > 0)
    before = processes.own_octets(pid)
    got = 1
    while got < 8 << 20:
        got += len(s.recv(65536))
    check(AREA, "P6: an initiator that reads slowly costs no more than the buffers", processes.own_octets(pid) - before < 2 << 20)
    s.close()
    check(AREA, "an initiator that goes away ends the gateway's connection", wait_for(lambda: server.errors), tunnel.log())
    tunnel.stop()
    server.close()


def check_ends():
    answer = os.urandom(1 << 20)

    def after(s):
        got = read_to_end(s)
        s.sendall(hashlib.sha256(got).digest() + answer)
        s.unwrap()

    server = Server(after)
    tunnel, port = tunnel_to(server.port)
    question = os.urandom(3 << 20)
    s = dial(port)
    s.sendall(question)
    s.shutdown(socket.SHUT_WR)
    check(AREA, "an end that closed its way still gets all of the other one's", read_to_end(s) ==
          hashlib.sha256(question).digest() + answer, tunnel.log() + str(server.errors))
    tunnel.stop()
    server.close()

    def cut(s):
        s.recv(10)
        s.sendall(b"half")
        os.close(s.detach())

    server = Server(cut)
    tunnel, port = tunnel_to(server.port)
    s = dial(port)
    s.sendall(b"question")
    try:
        left = read_to_end(s)
        how = f"in order, after {left}"
    except ConnectionResetError:
        how = ""
    check(AREA, "what is cut off without close_notify does not look complete", how == "", how)
    check(AREA, "and the log says that it broke off", tunnel.says("broke off"), tunnel.log())
    tunnel.stop()
    server.close()


def check_refusals():
    old = dict(begins="20200101000000Z", ends="20210101000000Z")
    early = dict(begins="20900101000000Z", ends="20910101000000Z")
    cases = (
        ("a server of another CA", dict(certificate=other.server()), "localhost", "tls-unknown-ca"),
        ("a server of another name", dict(certificate=ca.server("elsewhere", "DNS:elsewhere.example")), "localhost", "tls-wrong-name"),
        ("a server of another address", dict(certificate=ca.server("ten", "IP:10.0.0.1")), "127.0.0.1", "tls-wrong-name"),
        ("an expired server", dict(certificate=ca.server("old", **old)), "localhost", "tls-expired"),
        ("a server whose time has not come", dict(certificate=ca.server("early", **early)), "localhost", "tls-not-yet-valid"),
        ("a server whose certificate is a client's", dict(certificate=ca.issue("wrong", "DNS:localhost", "clientAuth")), "localhost",
         "tls-wrong-purpose"),
        ("a server of TLS 1.2", dict(versions=(ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2)), "localhost", "tls-(alert|version)"),
    )
    for what, how, host, reason in cases:
        got = []
        server = Server(lambda s: got.append(s.recv(10)), **how)
        tunnel, port = tunnel_to(server.port, host=host)
        answer = ends(port)
        check(AREA, f"{what} is refused, and the log says {reason}", answer == b"" and not any(got) and tunnel.says(reason), tunnel.log())
        done = run(SALLYPORT, "connect", f"{host}:{server.port}", "--check", "--identity", folder / "fine", timeout=60)
        check(AREA, f"{what}: --check says so, and ends with 1", done.returncode == 1 and re.search(reason, done.stdout),
              f"{done.returncode} {done.stdout} {done.stderr}")
        tunnel.stop()
        server.close()


def check_pin():
    alone = other.server("pinned", "DNS:nobody.example")
    server = Server(echo, certificate=alone)
    tunnel, port = tunnel_to(server.port, "--server", fingerprint(alone[0]))
    check(AREA, "a pinned server needs neither CA nor name", exchange(port, 100000), tunnel.log())
    tunnel.stop()
    tunnel, port = tunnel_to(server.port, "--server", fingerprint(SERVER[0]))
    check(AREA, "another one than the pinned is refused", ends(port) == b"" and tunnel.says("no tunnel to"), tunnel.log())
    tunnel.stop()
    server.close()


def check_refused():
    """By the gateway: TLS 1.3 says so behind the handshake."""
    server = Server(echo, clients=other)
    tunnel, port = tunnel_to(server.port)
    check(AREA, "a gateway that does not take the certificate ends the connection", ends(port) == b"", tunnel.log())
    check(AREA, "and the log says where to look", tunnel.says("does it take this machine's certificate"), tunnel.log())
    done = run(SALLYPORT, "connect", f"localhost:{server.port}", "--check", "--identity", folder / "fine", timeout=60)
    check(AREA, "--check says that the certificate is not taken, and ends with 1", done.returncode == 1 and
          "does not take this machine's certificate" in done.stdout, done.stdout + done.stderr)
    tunnel.stop()
    server.close()


def check_away():
    port = free_port()
    tunnel, here = tunnel_to(port)
    s = dial(here, 60)
    s.sendall(b"patience")
    check(AREA, "a gateway that is away is told once", tunnel.says("does not answer"), tunnel.log())
    server = Server(echo, port=port)
    check(AREA, "and found when it is back, by the connection that waited", s.recv(8) == b"patience", tunnel.log())
    s.close()
    server.close()
    tunnel.says("8 octets to the gateway")
    s = dial(here)
    s.shutdown(socket.SHUT_WR)
    check(AREA, "an initiator that gives up is let go", is_over(s) and tunnel.says("gave up waiting"), tunnel.log())
    server = Server(echo, port=port)
    s = dial(here)
    s.sendall(b"next")
    check(AREA, "the next one finds it", s.recv(4) == b"next", tunnel.log())
    s.close()
    tunnel.stop()
    server.close()
    done = run(SALLYPORT, "connect", f"127.0.0.1:{port}", "--check", "--identity", folder / "fine", timeout=60)
    check(AREA, "--check of a gateway that is away says why, and ends with 1", done.returncode == 1 and "refused" in done.stdout,
          f"{done.returncode} {done.stdout} {done.stderr}")


def check_again():
    """SIGHUP, with another certificate."""
    where = identity("changes")
    server = Server(echo)
    tunnel, port = tunnel_to(server.port, who="changes")
    s = dial(port)
    s.sendall(b"one")
    s.recv(3)
    new = ca.client(CLIENT, "client2", algorithm="Ed25519")
    shutil.copy(new[0], where / "client.pem")
    tunnel.process.send_signal(signal.SIGHUP)
    check(AREA, "SIGHUP with a certificate of another key changes nothing, and says so", tunnel.says("is not the key of") and
          exchange(port, 1000), tunnel.log())
    shutil.copy(new[1], where / "client.key")
    tunnel.process.send_signal(signal.SIGHUP)
    check(AREA, "P7: with both, the next connection has the new one",
          wait_for(lambda: exchange(port, 1000) and server.seen[-1][0] != server.seen[0][0]), tunnel.log())
    s.sendall(b"two")
    check(AREA, "P7: and the one that lived lives", s.recv(3) == b"two", tunnel.log())
    tunnel.stop()
    server.close()


def check_twice():
    """SIGHUP twice, and the second comes before the key's process has answered the first."""
    where = identity("twice")
    server = Server(echo)
    tunnel, port = tunnel_to(server.port, who="twice")
    exchange(port, 1000)
    key, new = tunnel.helper("connect-key"), ca.client(CLIENT, "client4")

    def again():
        tunnel.process.send_signal(signal.SIGHUP)
        wait_for(lambda: int(processes.status(tunnel.process.pid)["ShdPnd"], 16) == 0 and processes.status(tunnel.process.pid)["State"][0] == "S")

    os.kill(key, signal.SIGSTOP)
    try:
        again()
        shutil.copy(new[0], where / "client.pem")  # its key comes later
        again()
    finally:
        os.kill(key, signal.SIGCONT)
    check(AREA, "SIGHUP twice, with the second certificate without its key: the tunnel goes on with the first",
          tunnel.says("is not the key of") and carries(port), tunnel.log())
    shutil.copy(new[1], where / "client.key")
    again()
    check(AREA, "… and has the second one when its key is there",
          wait_for(lambda: carries(port) and server.seen[-1][0] != server.seen[0][0]), tunnel.log())
    tunnel.stop()
    server.close()


def check_late():
    """A signature that comes when nobody waits for it any more."""
    server = Server(echo)
    tunnel, port = tunnel_to(server.port)
    key = tunnel.helper("connect-key")
    os.kill(key, signal.SIGSTOP)
    try:
        s = dial(port)
        s.sendall(b"late")
        told = tunnel.says("tls-key-away|does not answer: the certificate's key")
    finally:
        os.kill(key, signal.SIGCONT)
    check(AREA, "a key's process that hangs is told of", told, tunnel.log())
    check(AREA, "what it signs late is nobody's: who waited gets a tunnel, and so do others", s.recv(4) == b"late" and exchange(port, 1000) and
          exchange(port, 1000), tunnel.log())
    s.close()
    tunnel.stop()
    server.close()


def check_reset():
    """An initiator that is gone while nothing can be read from it."""
    go = threading.Event()
    server = Server(lambda s: go.wait(60))
    tunnel, port = tunnel_to(server.port)
    s = dial(port)
    s.settimeout(1)
    chunk, sent = bytes(65536), 0
    try:
        while sent < 256 << 20:
            sent += s.send(chunk)
    except TimeoutError:
        pass
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()
    check(AREA, "an initiator's reset is noticed while the gateway does not read", tunnel.says("the initiator's end broke"), tunnel.log())
    server.close()
    port = free_port()
    away, here = tunnel_to(port)
    s = dial(here)
    away.says("does not answer")
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()
    check(AREA, "and while the gateway is away", away.says("the initiator gave up waiting"), away.log())
    go.set()
    tunnel.stop()
    away.stop()


def check_moves():
    """The gateway's name has another address."""
    what = "a gateway whose name moved is found"
    before = ("unshare", "-m", "sh", "-c", f'mount --bind "{folder}/hosts" /etc/hosts && exec "$0" "$@"')
    if os.geteuid() != 0 or run("unshare", "-m", "true").returncode != 0:
        skip(AREA, what, "needs root and a mount namespace, for /etc/hosts")
        return
    hosts = folder / "hosts"
    hosts.touch(0o644)
    hosts.write_text("127.0.0.1 gw.moves.example\n")
    certificate = ca.server("moves", "DNS:gw.moves.example")
    first = Server(echo, certificate=certificate)
    tunnel, port = tunnel_to(first.port, host="gw.moves.example", before=before)
    check(AREA, "a gateway by its name", answers(port), tunnel.log())
    first.close()
    second = Server(echo, certificate=certificate, port=first.port, host="127.0.0.2")
    hosts.write_text("127.0.0.2 gw.moves.example\n")
    check(AREA, what, answers(port) and tunnel.says("127.0.0.2"), tunnel.log())
    second.close()
    stranger = Server(echo, certificate=other.server(), port=first.port, host="127.0.0.2")
    third = Server(echo, certificate=certificate, port=first.port, host="127.0.0.3")
    hosts.write_text("127.0.0.3 gw.moves.example\n")
    check(AREA, "… also when somebody else has its old address, whom nobody trusts", wait_for(lambda: answers(port), 60) and
          tunnel.says("127.0.0.3") and not stranger.seen, tunnel.log())
    hosts.write_text("127.0.0.2 gw.moves.example\n127.0.0.3 gw.moves.example\n")
    tunnel.process.send_signal(signal.SIGHUP)
    check(AREA, "of several addresses, the one that is refused does not hide the others", wait_for(lambda: answers(port), 60), tunnel.log())
    tunnel.stop()
    stranger.close()
    third.close()


def check_keys():
    server = Server(echo)
    for kind in ("P-384", "RSA", "RSA-PSS", "Ed25519"):
        identity(f"of-{kind}", ca.client(CLIENT, f"of-{kind}", algorithm=kind))
        tunnel, port = tunnel_to(server.port, who=f"of-{kind}")
        check(AREA, f"a key of {kind} signs", exchange(port, 1000), tunnel.log())
        tunnel.stop()
    server.close()


def memory_has(pid, *needles):
    """Does the process's memory hold one of these?"""
    found = False
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            area, rights = line.split()[:2]
            if "r" not in rights or "[v" in line:
                continue
            start, end = (int(x, 16) for x in area.split("-"))
            try:
                mem.seek(start)
                octets = mem.read(end - start)
            except (OSError, ValueError):
                continue
            found = found or any(n in octets for n in needles)
    return found


def check_processes():
    server = Server(echo)
    tunnel, port = tunnel_to(server.port)
    exchange(port, 100000)
    pids = {name: tunnel.helper(name) for name in ("connect-tunnels", "connect-key")}
    told = {name: processes.status(pid) for name, pid in pids.items()}
    check(AREA, "P3: both processes have a system-call filter and can gain no rights",
          all(t["Seccomp"] == "2" and t["NoNewPrivs"] == "1" and int(t["CapEff"], 16) == int(t["CapPrm"], 16) == 0
              for t in told.values()), told)
    if os.geteuid() == 0:
        check(AREA, "P3: started as root, neither is root", all(t["Uid"].split()[0] != "0" for t in told.values()), told)
        key = (folder / "fine/client.key").read_text()
        text = openssl("pkey", "-in", folder / "fine/client.key", "-noout", "-text")
        scalar = bytes.fromhex(re.search(r"priv:\s*([0-9a-f:\s]+?)\s*pub:", text)[1].replace(":", "").replace("\n", "").replace(" ", ""))[-32:]
        pem = "".join(key.splitlines()[1:-1]).encode()
        needles = (scalar, scalar[::-1], pem[40:72])
        check(AREA, "P3: no octet of the key is in the process that speaks to the network", not memory_has(pids["connect-tunnels"], *needles))
        check(AREA, "P3: nor in the one that was started", not memory_has(tunnel.process.pid, *needles))
        check(AREA, "and the process of the key has it, which shows that this would be seen", memory_has(pids["connect-key"], *needles))
    else:
        skip(AREA, "P3: no octet of the key is in the process that speaks to the network", "needs root, to read memory")
    os.kill(pids["connect-tunnels"], signal.SIGKILL)
    check(AREA, "when one of its processes is killed, all end, with 3", tunnel.process.wait(30) == 3, tunnel.log())
    server.close()


def check_full():
    server = Server(echo)
    tunnel, port = tunnel_to(server.port)
    pid = tunnel.helper("connect-tunnels")
    who = dict(user=int(processes.status(pid)["Uid"].split()[0]), group=int(processes.status(pid)["Gid"].split()[0]), extra_groups=[]) \
        if os.geteuid() == 0 else {}

    def files(most):
        return subprocess.run(["prlimit", f"--pid={pid}", f"--nofile={most}:"], check=True, timeout=30, **who)

    exchange(port, 1000)  # by then it has all that it was to be given
    tunnel.says("1000 octets to the gateway")
    files(3)
    s = dial(port)
    s.sendall(b"here")
    told = tunnel.says("no connection can be accepted")
    tunnel.process.send_signal(signal.SIGHUP)
    check(AREA, "a new identity that finds no room is told of", tunnel.says("its identity is not taken: this process may open no more files"), tunnel.log())
    files(1000)
    try:
        got = s.recv(4)
    except TimeoutError:
        got = b""
    check(AREA, "who is out of files, with no connection that could end, says so and accepts again", told and got == b"here", tunnel.log())
    tunnel.stop()
    tunnel, port = tunnel_to(server.port, before=("prlimit", "--nofile=134:134"))
    here = [dial(port) for _ in range(3)]
    for s in here:
        s.sendall(b"here")
        s.recv(4)
    for k in range(5):
        here.append(dial(port))
        here[-1].sendall(b"next")
        tunnel.says("3 connections: others wait")
        here.pop(0).close()
        check(AREA, f"P6: connections fit the files that it may open; who waits is next ({k})", here[-1].recv(4) == b"next", tunnel.log())
    check(AREA, "and that is told once", tunnel.log().count("others wait") == 1, tunnel.log())
    tunnel.stop()
    server.close()


def check_words():
    server = Server(echo)
    done = run(SALLYPORT, "connect", f"localhost:{server.port}", "--check", "--identity", folder / "fine", timeout=60)
    check(AREA, "--check tells names, protocol, cipher, fingerprint and days, and ends with 0", done.returncode == 0 and "fine" in done.stdout and
          "TLS 1.3" in done.stdout and fingerprint(SERVER[0]) in done.stdout and "CN = localhost" in done.stdout and
          "localhost, 127.0.0.1, ::1" in done.stdout and "CN = Test ca" in done.stdout and re.search(r"UTC, (59|60) days", done.stdout), done.stdout + done.stderr)
    done = run(SALLYPORT, "connect", f"localhost:{server.port}", "--check", "--json", "--identity", folder / "fine", timeout=60)
    facts = json.loads(done.stdout or "[{}]")[0]
    check(AREA, "--json has the same", facts.get("fine") is True and facts.get("fingerprint") == fingerprint(SERVER[0]) and
          facts.get("days_left") in (59, 60), done.stdout + done.stderr)
    identity("open", mode=0o644)
    identity("mixed", (CLIENT_PEM[0], ca.client(CLIENT, "third")[1]))
    cases = (
        ("neither a gateway nor a file", 2, "either", ()),
        ("a gateway without a port", 2, "HOST:PORT", ("localhost",)),
        ("an address of a network", 2, "loopback", ("localhost:1", "--listen", "0.0.0.0:3260")),
        ("a name that is empty", 2, "--name", ("localhost:1", "--name", "")),
        ("a name that stands for all below it", 2, "--name", ("localhost:1", "--name", ".example.net")),
        ("a name with a control character", 2, "--name", ("localhost:1", "--name", "a\033[31mb")),
        ("an identity without a name", 2, "--identity", ("localhost:1", "--identity", "")),
        ("a file that is not there", 3, "can't be read", ("--config", folder / "none.yaml")),
        ("a file with a mistake", 1, "no gateway", ("--config", folder / "wrong.yaml")),
        ("an identity that is not there", 3, "sallyport join", ("localhost:1", "--identity", folder / "none")),
        ("a key that others may read", 3, "chmod 600", ("localhost:1", "--identity", folder / "open")),
        ("a key of another certificate", 3, "is not the key of", ("localhost:1", "--identity", folder / "mixed")),
    )
    (folder / "wrong.yaml").write_text("version: 1\ntunnels:\n  t: {name: x}\n")
    for what, code, says, words in cases:
        done = run(SALLYPORT, "connect", *words, timeout=60)
        check(AREA, f"{what} ends with {code}, and says what to do", done.returncode == code and says in done.stderr,
              f"{done.returncode} {done.stdout} {done.stderr}")
    busy = socket.create_server(("127.0.0.1", 0))
    done = run(SALLYPORT, "connect", "localhost:1", "--identity", folder / "fine", "--listen", f"127.0.0.1:{busy.getsockname()[1]}", timeout=60)
    check(AREA, "a place that is taken ends with 3", done.returncode == 3 and "can't listen" in done.stderr, done.stderr)
    busy.close()
    server.close()


def check_file():
    first, second = Server(echo), Server(lambda s: s.sendall(b"second"))
    ports = [free_port() for _ in range(4)]
    (folder / "fine/connect.yaml").write_text(
        f"version: 1\ntunnels:\n  one: {{gateway: 127.0.0.1:{first.port}, listen: '127.0.0.1:{ports[0]}'}}\n"
        f"  two:\n    gateway: localhost:{second.port}\n    listen: ['127.0.0.1:{ports[1]}']\n    server: {fingerprint(SERVER[0])}\n")
    tunnel = Tunnel("--config", folder / "fine/connect.yaml")
    check(AREA, "a file has several tunnels, each to its gateway", exchange(ports[0], 1000) and dial(ports[1]).recv(6) == b"second", tunnel.log())
    if socket.has_dualstack_ipv6():
        six = Tunnel(f"localhost:{first.port}", "--listen", f"127.0.0.1:{ports[2]}", "--listen", f"[::1]:{ports[3]}", "--identity", folder / "fine")
        with socket.create_connection(("::1", ports[3]), 30) as s:
            s.sendall(b"six")
            check(AREA, "one tunnel listens on 127.0.0.1 and on ::1", s.recv(3) == b"six" and exchange(ports[2], 1000), six.log())
        six.stop()
    else:
        skip(AREA, "one tunnel listens on 127.0.0.1 and on ::1", "this machine has no IPv6")
    done = run(SALLYPORT, "connect", "--config", folder / "fine/connect.yaml", "--check", timeout=60)
    check(AREA, "--check of a file tells of each", done.returncode == 0 and done.stdout.count("fine") == 2, done.stdout + done.stderr)
    (folder / "fine/nowhere.yaml").write_text(f"version: 1\ntunnels:\n  nowhere: {{gateway: 'nowhere.invalid:1', listen: '127.0.0.1:{ports[0]}'}}\n"
                                              f"  one: {{gateway: 127.0.0.1:{first.port}, listen: '127.0.0.1:{ports[1]}'}}\n")
    for k in range(3):  # whoever answers first
        done = run(SALLYPORT, "connect", "--config", folder / "fine/nowhere.yaml", "--check", timeout=60)
        check(AREA, "--check tells of each, too, when one has no address, and ends with 1", done.returncode == 1 and
              "no address of nowhere.invalid" in done.stdout and "fine" in done.stdout, f"{done.returncode} {done.stdout} {done.stderr}")
    tunnel.stop()
    first.close()
    second.close()


for topic in (check_carries, check_backpressure, check_ends, check_refusals, check_pin, check_refused, check_away, check_again, check_twice,
              check_late, check_reset, check_moves, check_keys, check_processes, check_full, check_words, check_file):
    topic()
finish()
