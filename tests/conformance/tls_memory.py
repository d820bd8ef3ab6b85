#!/usr/bin/env python3
"""All memory of a session by TLS, searched for what no session may hold: the portals' private keys and the secrets. The same search
finds them where they belong."""
import ctypes, struct

from harness import *
from initiator import *
import pki
from tls_initiator import TlsInitiator

AREA = "tls"
KINDS = ("P-256", "P-384", "Ed25519", "RSA")
POLICY = """\
version: 1
portals:
{portals}
  own: {{listen: ["127.0.0.1:{own}"], transport: tls, client_ca: {ca}}}
disks:
  vault: {{memory: 16MiB}}
targets:
  {target}:
    portals: [{names}, own]
    luns: {{0: vault}}
    initiators:
      {client}:
        from: [127.0.0.1]
        chap: {{user: alice, mutual: gw-for-alice}}
"""
LEAST = 16  # octets of a key that would be found


def memory_of(pid):
    """Each readable mapping's octets."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            where, rights = line.split()[:2]
            first, last = (int(end, 16) for end in where.split("-"))
            if "r" not in rights or "[v" in line:  # [vvar], [vsyscall]
                continue
            mem.seek(first)
            try:
                yield mem.read(last - first)
            except OSError:  # a guard of the secure heap
                continue


def numbers_of(key):
    """What is secret in a private key, by its name, as octets, the most significant first."""
    found, name = {}, None
    for line in pki.openssl("pkey", "-in", key, "-noout", "-text").splitlines():
        if not line.startswith(" "):
            name = line.rstrip(":")
        elif name in ("priv", "privateExponent", "prime1", "prime2"):
            found[name] = found.get(name, "") + line.strip().replace(":", "")
    return {name: bytes.fromhex(text).lstrip(b"\0") for name, text in found.items()}


def ca_key():
    """What is secret in the key of the gateway's own CA: opened as the authenticator does."""
    sodium = ctypes.CDLL("libsodium.so.23")
    octets, key = (gw.state / "ca" / "ca.key").read_bytes(), gw.state.with_name(gw.state.name + ".key").read_bytes()
    clear, length = struct.unpack(">II", octets[16:24])
    bound = octets[:12] + b"ca key".ljust(32, b"\0") + octets[16:20] + octets[24:24 + clear]
    nonce, sealed = octets[40 + clear:64 + clear], octets[64 + clear:64 + clear + length + 16]
    der = ctypes.create_string_buffer(length)
    if sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(der, None, None, sealed, ctypes.c_ulonglong(len(sealed)), bound,
                                                         ctypes.c_ulonglong(len(bound)), nonce, key):
        raise SystemExit("FAIL tls: the key of the CA does not open")
    file = gw.folder / "ca.der"
    file.write_bytes(der.raw)
    return {"the CA's key": numbers_of(file)["priv"]}


def needles(octets):
    """Runs of LEAST octets, in either order: as a number of the library's or as it lies in the file."""
    for order in (octets, octets[::-1]):
        for at in sorted({0, (len(order) - LEAST) // 2, len(order) - LEAST}):
            yield order[at:at + LEAST]


def found_in(pid, secrets):
    """The names of those of which something is there."""
    names = set()
    for octets in memory_of(pid):
        names |= {name for name, secret in secrets.items() if name not in names and any(n in octets for n in needles(secret))}
    return names


if os.geteuid() != 0:
    skip(AREA, "P3: a session's memory holds no key", "only root reads another process's memory")
    finish()
    raise SystemExit
ca = pki.CA()
servers = {kind: ca.server(kind, algorithm=kind) for kind in KINDS}
ports = {kind: free_port() for kind in KINDS}
portals = "\n".join(f'  {kind.lower()}: {{listen: ["127.0.0.1:{ports[kind]}"], transport: tls, certificate: {pem}, key: {key}, client_ca: {ca.pem}}}' for kind, (pem, key) in servers.items())
gw = Gateway(policy=POLICY, portals=portals, names=", ".join(kind.lower() for kind in KINDS), ca=ca.pem, own=free_port())
done = gw.command("ca", "init", "--name", "localhost")
check(AREA, "the gateway's own CA is made", done.returncode == 0, done.stdout + done.stderr)
gw.start()
secrets = {f"{kind} {name}": octets for kind, (_, key) in servers.items() for name, octets in numbers_of(key).items()}
secrets |= {"the initiator's secret": SECRET.encode(), "the gateway's secret": MUTUAL.encode()}
check(AREA, "there is something to search for", len(secrets) == 8, sorted(secrets))
identity = ca.client(CLIENT)
there = found_in(gw.helper_pid("authenticator"), secrets)
check(AREA, "the authenticator holds every key and secret: the search finds them", there == set(secrets), set(secrets) - there)
for kind in (*KINDS, "own"):
    with TlsInitiator(ports.get(kind, gw.values["own"]), ca, identity, trusts_all=kind == "own").login() as i:
        ok = i.read(0, 1)[0] == 0
        pid = next(s["pid"] for s in gw.sessions() if s["portal"] == kind.lower() and s["state"] == "granted")
        there = found_in(pid, secrets)
        certificate = servers[kind][0] if kind in servers else gw.state / "ca" / "portal.pem"
        der = subprocess.run(["openssl", "x509", "-in", certificate, "-outform", "DER"], capture_output=True).stdout
        public = found_in(pid, {"certificate": der})
        check(AREA, f"P3: a session by {kind} holds none of them, though it showed the certificate", ok and public and not there, there)


# --- the CA's own key is there while somebody may join --------------------------------------------------------------------------
def authenticator_has():
    return found_in(gw.helper_pid("authenticator"), ca_secret)


ca_secret = ca_key()
check(AREA, "P3: while nobody is invited, nobody has the key of the CA", not authenticator_has() and not found_in(gw.process.pid, ca_secret))
code = gw.command("ca", "invite", CLIENT, "--to", f"localhost:{gw.values['own']}").stdout.strip()
check(AREA, "an invitation is open: the authenticator has it, and the search finds it", authenticator_has() and not found_in(gw.process.pid, ca_secret))
done = gw.command("join", code, "--to", gw.folder / "client", "--initiator", CLIENT)
check(AREA, "P3: the invitation is used: no octet of it is left", done.returncode == 0 and wait_for(lambda: not authenticator_has()), done.stderr)
gw.command("ca", "invite", CLIENT, "--to", f"localhost:{gw.values['own']}")
open_again = authenticator_has()
done = gw.command("ca", "revoke", CLIENT)
check(AREA, "P3: … nor when it is withdrawn", open_again and done.returncode == 0 and wait_for(lambda: not authenticator_has()), done.stderr)
there = found_in(gw.process.pid, {name: octets for name, octets in secrets.items() if name.startswith(KINDS)})
check(AREA, "P3: nor does the monitor, which opened the files", not there, there)
check(AREA, "the gateway stops cleanly", gw.stop() == 0, gw.log())
finish()
