#!/usr/bin/env python3
"""TLS in the kernel, where there is one that has it: the guest's. The unit program of it runs there, none of it skipped; then
the gateway and `connect`, in their sandboxes, with the kernel's initiator between them."""
import json, pathlib, re, sys
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))
from guest import *
from pki import CA

AREA = "tls"
PROGRAM = BUILD / "tests/unit/tls_kernel"
WHAT = "TLS in the kernel"
SALLYPORT = "/usr/local/bin/sallyport"
POLICY = f"""\
version: 1
portals:
  wan: {{listen: ["127.0.0.1:3261"], transport: tls, certificate: gw.pem, key: gw.key, client_ca: ca.pem}}
disks:
  vault: {{memory: 64MiB}}
targets:
  {TARGET}:
    portals: [wan]
    luns: {{0: vault}}
    initiators:
      {CLIENT}:
        from: [127.0.0.1]
        chap: {{user: alice, mutual: gw-for-alice}}
firewall: {{manage: false}}
"""
files = image_or_skip(WHAT)
found = run("ldd", PROGRAM) if PROGRAM.exists() else None
if found is None or found.returncode:
    skip(AREA, WHAT, "tests/unit/tls_kernel is not built: make tests")
    finish()
needs = {p for p in re.findall(r"(/\S+)", found.stdout) if "ld-linux" not in p}
ca = CA()
server, client = ca.server(), ca.client(CLIENT)
guest = Guest(files, memory=1024, more=[("tls_kernel", 0o100755, PROGRAM.read_bytes())] +
              [("lib/x86_64-linux-gnu/" + p.split("/")[-1], 0o100755, pathlib.Path(p).read_bytes()) for p in sorted(needs)] +
              [(f"usr/local/bin/{f.name}", 0o100755, f.read_bytes()) for f in sorted(BUILD.glob("sallyport*")) if f.is_file()] +
              [(f"gw/{name}", mode, octets) for name, mode, octets in (
                  ("policy.yaml", 0o100644, POLICY.encode()), ("gw.pem", 0o100644, server[0].read_bytes()),
                  ("gw.key", 0o100600, server[1].read_bytes()), ("ca.pem", 0o100644, ca.pem.read_bytes()))] +
              [(f"id/{name}", mode, file.read_bytes()) for name, mode, file in (
                  ("client.pem", 0o100644, client[0]), ("client.key", 0o100600, client[1]), ("ca.pem", 0o100644, ca.pem))])
code, out = guest.run("modprobe -a aes_generic ctr ghash-generic gcm tls && CMOCKA_MESSAGE_OUTPUT=TAP ./tls_kernel 2>&1", 200)
told = re.findall(r"^(ok|not ok) \d+ - (.*)", out, re.M)
for verdict, sentence in told:
    check(AREA, f"in the guest: {sentence}", verdict == "ok" and "SKIP" not in sentence, out)
check(AREA, "the guest's kernel has TLS, and all of it was tried", code == 0 and len(told) == 7, (code, out))


def must(command, seconds=120):
    code, out = guest.run(command, seconds)
    if code:
        raise SystemExit(f"FAIL {AREA}: {command}: {code}\n{out}\n{said()}\n{guest.log()}")
    return out


def said():
    return "\n".join(guest.run(f"tail -15 {file}")[1] for file in ("/tmp/gateway", "/tmp/connect"))


# --- all of it, with the kernel's initiator ---------------------------------------------------------------------------
must("mkdir -p /var /run; ln -sfn /run /var/run; ln -s /proc/self/fd /dev/fd; mkdir -p /dev/shm")
for name, value in (("alice", SECRET), ("gw-for-alice", MUTUAL)):
    must(f"printf %s {value} | {SALLYPORT} secret set {name} --state /state")
must(f"{SALLYPORT} run /gw/policy.yaml --state /state >/tmp/gateway 2>&1 & echo $! >/tmp/gateway.pid; "
     f"{SALLYPORT} status --state /state --wait 60 >/dev/null 2>&1; [ $? -lt 3 ]")
must(f"{SALLYPORT} connect 127.0.0.1:3261 --identity /id >/tmp/connect 2>&1 & echo $! >/tmp/connect.pid; "
     "for i in $(seq 600); do grep -q '0100007F:0CBC 00000000:0000 0A' /proc/net/tcp && break; usleep 50000; done; "
     "grep -q '0100007F:0CBC 00000000:0000 0A' /proc/net/tcp")
words = f"-m node -T {TARGET} -p 127.0.0.1:3260"
update = " ".join(f"-n '{k}' -v '{v}'" for k, v in LOGIN.items())
must(f"iscsiadm {words} -o new >/dev/null && iscsiadm {words} -o update {update} && iscsiadm {words} --login && "
     "for i in $(seq 200); do [ -b /dev/sda ] && break; usleep 50000; done; [ -b /dev/sda ]")
code, out = guest.run("dd if=/dev/urandom of=/tmp/data bs=1M count=24 2>/dev/null && dd if=/tmp/data of=/dev/sda bs=1M oflag=direct 2>&1 && "
                      "echo 3 >/proc/sys/vm/drop_caches && dd if=/dev/sda bs=1M count=24 iflag=direct 2>/dev/null | cmp - /tmp/data")
check(AREA, "what goes through both ends' sandboxes by the kernel's TLS comes back as it was", code == 0, out + said())
rows = json.loads(must(f"{SALLYPORT} sessions --json --state /state"))
check(AREA, "sessions and status say that the kernel encrypts what is sent", [r["tls"]["kernel_sends"] for r in rows] == [True] and
      "the kernel encrypts for 1 of its sessions" in guest.run(f"{SALLYPORT} status --state /state")[1], (rows, said()))
code, out = guest.run(f"iscsiadm {words} --logout")
SHOW = f"{SALLYPORT} audit show --json --state /state"
ended = guest.run(f"for i in $(seq 200); do {SHOW} | grep -q '\"reason\": *\"logout\"' && break; usleep 50000; done; {SHOW} | tail -3")[1]
check(AREA, "it logs out in order", code == 0 and re.search(r'"reason": *"logout"', ended), out + ended + said())
code, out = guest.run("kill $(cat /tmp/connect.pid) $(cat /tmp/gateway.pid); for i in $(seq 400); do [ -d /proc/$(cat /tmp/connect.pid) -o "
                      "-d /proc/$(cat /tmp/gateway.pid) ] || break; usleep 50000; done; ! grep signal /tmp/gateway /tmp/connect")
check(AREA, "P3: no process was ended by its sandbox", code == 0, out + said())
finish()
