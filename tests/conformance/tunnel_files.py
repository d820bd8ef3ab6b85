#!/usr/bin/env python3
"""`sallyport ipsec` and `sallyport wireguard`: files for both ends, keys that are made once, and no secret where none belongs."""
import base64, os, pathlib, re, stat, subprocess, tempfile
from harness import *

AREA = "tunnel"
POLICY = f"""\
version: 1
portals:
  site: {{listen: ["10.8.0.1:3260"], transport: ipsec}}
  vpn: {{listen: ["10.9.0.1:3260"], transport: {{interface: no-such-0}}}}
disks:
  vault: {{memory: 1MiB}}
  second: {{memory: 1MiB}}
targets:
  {TARGET}:
    portals: [site]
    luns: {{0: vault}}
    initiators:
      {CLIENT}:
        from: [203.0.113.7]
        chap: {{user: alice, mutual: gw-for-alice}}
  {TARGET}-2:
    portals: [vpn]
    luns: {{0: second}}
    initiators:
      {CLIENT}:
        from: [10.9.0.7]
        chap: {{user: alice, mutual: gw-for-alice}}
"""
folder = pathlib.Path(tempfile.mkdtemp(prefix="tunnels-"))
state = folder / "state"
policy = folder / "policy.yaml"
policy.write_text(POLICY)


def sallyport(*words, stdin=None):
    return run(SALLYPORT, *words, "--state", state, stdin=stdin)


def public_of(private):
    """As OpenSSL computes it."""
    der = bytes.fromhex("302e020100300506032b656e04220420") + base64.b64decode(private)
    out = subprocess.run(["openssl", "pkey", "-inform", "DER", "-pubout", "-outform", "DER"], input=der, capture_output=True)
    return base64.b64encode(out.stdout[-32:]).decode()


def values(text, key):
    return re.findall(rf"^\s*{key} = (.*)$", text, flags=re.M)


for name, value in (("alice", SECRET), ("gw-for-alice", MUTUAL)):
    sallyport("secret", "set", name, stdin=value)

done = sallyport("ipsec", policy)
again = sallyport("ipsec", policy)
check(AREA, "ipsec prints both ends, alike each time", done.returncode == 0 and done.stdout == again.stdout and
      "# ==== gateway/swanctl.conf" in done.stdout and "# ==== initiators/alice/swanctl.conf" in done.stdout, done.stderr)
listed = sallyport("secret", "list").stdout
check(AREA, "without keys in what it prints, it makes none", "ipsec." not in listed and "(ipsec.alice in the secret store" in done.stdout,
      listed + done.stdout)
out = folder / "out"
done = sallyport("ipsec", "--dir", out, policy)
both = [(out / "gateway/swanctl.conf").read_text(), (out / "initiators/alice/swanctl.conf").read_text()]
keys = [values(text, "secret") for text in both]
check(AREA, "with --dir, each end has its file, with one key of 256 bits in both", done.returncode == 0 and keys[0] == keys[1] and
      keys[0][0].startswith("0s") and len(base64.b64decode(keys[0][0][2:])) == 32, done.stderr)
modes = [oct(stat.S_IMODE(os.stat(f).st_mode)) for f in out.rglob("*.conf")]
check(AREA, "P3: nobody else may read the files", modes == ["0o600"] * 2 and
      all(stat.S_IMODE(f.stat().st_mode) == 0o700 for f in (out, out / "gateway", out / "initiators", out / "initiators/alice")), modes)
check(AREA, "P3: the key is in no output without --with-secrets",
      keys[0][0][2:] not in sallyport("ipsec", policy).stdout + done.stdout + done.stderr)
shown = sallyport("ipsec", "--with-secrets", policy).stdout
check(AREA, "with it, both ends are printed as they are in the files", all(text in shown for text in both), shown)
sallyport("ipsec", "--dir", out, policy)
check(AREA, "a second time, it is the same key", values((out / "gateway/swanctl.conf").read_text(), "secret") == keys[0])
sallyport("secret", "remove", "ipsec.alice")
sallyport("ipsec", "--dir", out, policy)
check(AREA, "removed from the store, it is made anew", values((out / "gateway/swanctl.conf").read_text(), "secret") != keys[0])
done = sallyport("ipsec", "--certificates", "--with-secrets", policy)
check(AREA, "with certificates, there are no keys", done.returncode == 0 and "secret" not in done.stdout.replace("secrets", ""), done.stdout)

done = sallyport("wireguard", policy)
check(AREA, "wireguard prints both ends, without private keys", done.returncode == 0 and
      values(done.stdout, "PrivateKey") == ["(wireguard.no-such-0 in the secret store: --with-secrets)",
                                            "(wireguard.no-such-0.alice in the secret store: --with-secrets)"], done.stdout)
check(AREA, "and says that the gateway's address outside is missing", "--endpoint" in done.stderr, done.stderr)
done = sallyport("wireguard", "--dir", out, "--endpoint", "2001:db8::7", policy)
ours, theirs = ((out / name).read_text() for name in ("gateway/no-such-0.conf", "initiators/alice/no-such-0.conf"))
pairs = [(values(a, "PrivateKey")[0], values(b, "PublicKey")[0]) for a, b in ((ours, theirs), (theirs, ours))]
check(AREA, "each end has the public half of the other's private key", all(public_of(a) == b for a, b in pairs), ours + theirs)
check(AREA, "P1: addresses are the policy's, and no others", values(ours, "AllowedIPs") == ["10.9.0.7/32"] and
      values(theirs, "AllowedIPs") == ["10.9.0.1/32"] and values(theirs, "Address") == ["10.9.0.7/32"], ours + theirs)
check(AREA, "an IPv6 endpoint is written as WireGuard reads it", values(theirs, "Endpoint") == ["[2001:db8::7]:51820"], theirs)
for given, want in (("gw.example.net", "gw.example.net:51820"), ("gw.example.net:700", "gw.example.net:700"), ("[2001:db8::7]:7", "[2001:db8::7]:7")):
    done = sallyport("wireguard", "--endpoint", given, policy)
    check(AREA, f"the endpoint {given}", values(done.stdout, "Endpoint") == [want] and
          values(done.stdout, "ListenPort") == [want.rsplit(":", 1)[1]], done.stdout)

plain = folder / "plain.yaml"
plain.write_text(re.sub(r"transport: (ipsec|{.*})}", "transport: plain, accept_risk: true}", POLICY))
shared = folder / "shared.yaml"
shared.write_text(POLICY + f"      {CLIENT}-2:\n        from: [10.9.0.0/24]\n        chap: {{user: alice2, mutual: gw-for-alice}}\n")
sallyport("secret", "set", "alice2", stdin="another-secret-0123")
(folder / "file").write_text("")
dotted = folder / "dotted.yaml"
dotted.write_text(POLICY.replace("no-such-0", "no-such.alice"))
for name, mode in (("open", 0o777), ("group", 0o770), ("linked", 0o700), ("elsewhere", 0o700)):
    (folder / name).mkdir()
    (folder / name).chmod(mode)
(folder / "linked/gateway").symlink_to(folder / "elsewhere")
for what, status, text, words in (
        ("ipsec without a policy is wrong usage", 2, "POLICY", ("ipsec",)),
        ("ipsec with an unknown option is wrong usage", 2, "--gateway", ("ipsec", "--gatewy", "x", policy)),
        ("a gateway that is no host is wrong usage", 2, "--gateway", ("ipsec", "--gateway", "gw example", policy)),
        ("an endpoint that is none is wrong usage", 2, "HOST:PORT", ("wireguard", "--endpoint", "gw:0", policy)),
        ("an endpoint with a line break is wrong usage", 2, "HOST:PORT", ("wireguard", "--endpoint", "gw\nPostUp", policy)),
        ("a policy without IPsec portals is told", 1, "no portal has transport: ipsec", ("ipsec", plain)),
        ("a policy without an interface's portal is told", 1, "no portal has transport: {interface", ("wireguard", plain)),
        ("a broken policy is told", 1, "error", ("ipsec", folder / "file")),
        ("two initiators with one address in WireGuard are told", 1, "share addresses", ("wireguard", shared)),
        ("a policy that is not there is told", 3, "No such file", ("ipsec", folder / "nothing")),
        ("P3: a folder that others may write to gets no keys", 3, "others own or may write", ("ipsec", "--dir", folder / "open", policy)),
        ("P3: nor one that its group may write to", 3, "others own or may write", ("wireguard", "--dir", folder / "group", policy)),
        ("P3: a link in the place of a folder is not followed", 3, "can't be written", ("ipsec", "--dir", folder / "linked", policy)),
        ("P3: one key is never two interfaces': a name with a dot is refused", 3, "without a dot", ("wireguard", "--with-secrets", dotted)),
        ("a folder that can't be made is told", 3, "can't be written", ("ipsec", "--dir", folder / "file", policy))):
    done = sallyport(*words)
    check(AREA, what, done.returncode == status and text in done.stderr, f"{done.returncode}\n{done.stderr}")
check(AREA, "P3: and nothing was written there", not any(list((folder / name).rglob("*.conf")) for name in ("open", "group", "elsewhere")))
for command in ("ipsec", "wireguard"):
    done = sallyport(command, "--help")
    check(AREA, f"{command} --help begins with two examples", done.returncode == 0 and
          done.stdout.splitlines()[0].startswith(f"  sallyport {command}") and done.stdout.splitlines()[1].startswith(f"  sallyport {command}"), done.stdout)
shutil.rmtree(folder, ignore_errors=True)
finish()
