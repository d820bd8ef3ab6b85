#!/usr/bin/env python3
"""A policy that can't be taken up leaves the one before in force, whole: portals, sessions, rules, firewall, identities.
What can't change while the gateway runs says so. Helpers that die meanwhile. Logins under way. A time to confirm."""
import ctypes, os, shutil, signal, socket, threading
from harness import *
from initiator import *

AREA = "reload"
GOOD = 0
POLICY = """\
version: 1
portals:
  {portal}: {{listen: ["127.0.0.1:{port}"{listens}], transport: plain}}
{portals}
gateway: {{grace: 1s{gateway}}}
disks:
  {name}: {{file: {folder}/vault.img, size: 16MiB{disk}}}
  {second}: {{memory: {memory}}}
{disks}
targets:
  {target}:
    alias: Vault
    portals: [{portal}]
    luns: {{0: {name}, 1: {second}}}
    initiators:
      {client}:
        chap: {{user: alice, mutual: gw-for-alice, algorithms: [md5]}}
        {rules}
{more}
"""
START = dict(portal="here", portals="", listens="", gateway="", name="vault", disk="", second="second", memory="16MiB", disks="", rules="", more="")
NFT = shutil.which("nft", path="/usr/sbin:/sbin") or ""
# a mount namespace of its own, so that nft can be another program for a while
own_mounts = os.geteuid() == 0 and NFT and ctypes.CDLL(None).unshare(0x20000) == 0 and run("mount", "--make-rprivate", "/").returncode == 0
gw = Gateway(policy=POLICY, **START).start()
firewall = os.geteuid() == 0 and not any(p.startswith("firewall") for p in gw.status()["problems"]) and NFT != ""
if NFT:
    shutil.copy(NFT, gw.folder / "nft")


def script():
    nft = gw.folder / "nft"
    return run(nft, "list", "tables").stdout + run(nft, "list", "table", "inet", "sallyport").stdout


def listens(port):
    with socket.socket() as s:
        s.settimeout(5)
        return s.connect_ex(("127.0.0.1", port)) == 0


def identities():
    return json.loads((gw.state / "identities.json").read_text())


def hash_of():
    return gw.status()["policy_sha256"]


def attempt(sentence, code, words, why, options=(), **changes):
    """A reload that has to be refused, and to change nothing."""
    before, rules, names = hash_of(), script() if firewall else "", identities()
    with Initiator(gw.port).login() as i:
        i.write(0, b"before".ljust(512))
        done = gw.reload(*options, **{**START, **changes})
        session = gw.sessions()
        fine = (done.returncode == code and words in done.stderr and hash_of() == before and identities() == names
                and i.read(0, 1)[1][:6] == b"before" and len(session) == 1 and session[0]["state"] == "granted"
                and (not firewall or script() == rules))
    check(AREA, f"{sentence}: {why}", fine, (done.returncode, done.stdout, done.stderr, gw.log()[-3000:]))
    check("audit", "… with the reason in the log", wait_for(lambda: any(e.get("reason") == "not-reloaded" for e in gw.audit()[-12:])) or code == 2, gw.audit()[-4:])


taken_port, other_port = free_port(), free_port()
occupied = socket.socket()
occupied.bind(("127.0.0.1", taken_port))
occupied.listen()
(gw.folder / "short.img").write_bytes(bytes(1000))
os.makedirs(gw.folder / "folder.img", exist_ok=True)

attempt("a policy with a mistake", 1, "policy.yaml:", "nothing changes", more="nonsense: 1")
attempt("a policy that is no YAML", 1, "policy.yaml:", "nothing changes", more="  [")
attempt("a disk that is too short for a block", 1, "policy.yaml:", "nothing changes", disks=f"  bad: {{file: {gw.folder}/short.img}}")
attempt("a disk that can't be made", 3, "disk bad", "nothing changes, and no new name is kept", disks=f"  bad: {{file: {gw.folder}/none/x.img, size: 1MiB}}")
attempt("an address that is taken", 3, "can't listen", "nothing changes", listens=f', "127.0.0.1:{taken_port}"')
check(AREA, "… and what it bound besides is let go", not listens(other_port))
attempt("an address that can be had beside one that can't", 3, "can't listen", "neither is listened on",
        listens=f', "127.0.0.1:{other_port}", "127.0.0.1:{taken_port}"')
check(AREA, "… and what it bound besides is let go", not listens(other_port))
attempt("the number of connections", 3, "needs a restart", "is said to need one", gateway=", connections: 77")
attempt("the firewall's management", 3, "needs a restart", "is said to need one", more="firewall: {manage: false}")
attempt("a disk in memory of another size", 3, "in memory", "is not taken, since what it holds would be lost", memory="32MiB")
attempt("another file than was planned", 3, "not the one that was planned", "is not taken", options=("--expect", "0" * 64))
gw.reload(**START)
check(AREA, "the file that was planned is taken", gw.reload("--expect", hash_of()[:12]).returncode == 0)

if firewall and own_mounts:
    assert run("mount", "--bind", "/bin/false", NFT).returncode == 0
    attempt("rules that the firewall does not take", 3, "the firewall refuses", "nothing changes", listens=f', "127.0.0.1:{other_port}"')
    check(AREA, "… and what it bound besides is let go", not listens(other_port))
    run("umount", NFT)
else:
    skip(AREA, "rules that the firewall does not take", "only root has a firewall, and can put another program in nft's place")

# --- helpers that die in the midst ---------------------------------------------------------------------------------
for helper in ("firewall", "authenticator", "auditor", "arbiter"):
    if helper == "firewall" and not firewall:
        continue
    with Initiator(gw.port).login() as i:
        i.write(1, helper.encode().ljust(512))
        before = hash_of()
        pid = gw.helper_pid(helper)
        os.kill(pid, signal.SIGSTOP)
        results = []
        asking = threading.Thread(target=lambda: results.append(gw.reload(**{**START, "rules": "deny: [unmap]", "more": f"# {helper}"})))
        asking.start()
        wait_for(lambda: not asking.is_alive(), 1)
        os.kill(pid, signal.SIGKILL)
        asking.join(60)
        whole = (results[0].returncode == 0) == (hash_of() != before)
        check(AREA, f"P4: kill -9 of the {helper} during a reload: all of it, or nothing", results[0].returncode in (0, 3) and whole,
              (results[0].returncode, results[0].stderr, gw.log()[-3000:]))
        answer = lambda: i.read(1, 1)
        check(AREA, "… and the session goes on", wait_for(lambda: answer()[1][:len(helper)] == helper.encode(), 60), gw.log()[-2000:])
        check(AREA, "… and the gateway is well again", wait_for(gw.is_serving, 30) and wait_for(lambda: gw.reload(**START).returncode == 0, 30), gw.log()[-2000:])

# --- logins under way -------------------------------------------------------------------------------------------------
with Initiator(gw.port) as i:
    challenge = i.challenged()
    assert gw.reload(**{**START, "rules": "deny: [unmap]"}).returncode == 0
    i.prove(challenge)
    i.operate()
    check(AREA, "a login that was not judged yet is judged by the new policy", i.run(bytes([0x42] + 9 * [0]))[0] == 2 and i.read(0, 1)[0] == GOOD, gw.log())
with Initiator(gw.port) as i:
    i.prove(i.challenged())
    assert gw.reload(**{**START, "rules": ""}).returncode == 0
    check(AREA, "one that was permitted goes on, where the new policy says the same", i.operate().read(0, 1)[0] == GOOD, gw.log())
for what, change in (("a user that is gone", dict(client="iqn.2026-11.net.example:somebody")), ("keys that it has agreed on already", dict(luns=1))):
    with Initiator(gw.port) as i:
        i.prove(i.challenged())
        if "luns" in change:
            gw.policy.write_text(POLICY.format(**{**gw.values, **START}).replace("    alias: Vault", "    alias: Vault\n    max_burst: 64KiB\n    first_burst: 64KiB"))
            assert gw.command("reload").returncode == 0
        else:
            assert gw.reload(**{**START, **change}).returncode == 0
        try:
            i.operate()
            status = 0
        except Refused as refused:
            status = refused.status
        check(AREA, f"P1: one that was permitted, and the new policy differs ({what}), is answered 0301h", status == 0x0301, (hex(status), gw.log()[-2000:]))
    gw.reload(**{**START, "client": CLIENT})

# --- portals ------------------------------------------------------------------------------------------------------------
with Initiator(gw.port).login() as i:
    done = gw.reload(**{**START, "listens": f', "127.0.0.1:{other_port}"'})
    with Initiator(other_port).login() as second:
        check(AREA, "a new address is listened on, and the session on the other goes on", second.read(0, 1)[0] == i.read(0, 1)[0] == GOOD, gw.log())
    gw.reload(**START)
    check(AREA, "… and no more, when it goes", not listens(other_port) and i.read(0, 1)[0] == GOOD)


def wide(address):
    return {**START, "portals": f'  wide: {{listen: ["{address}:{other_port}"], transport: plain, accept_risk: true}}'}


def where():
    return {p["listens"] for p in gw.status()["portals"]}


for address in ("0.0.0.0", "127.0.0.1", "0.0.0.0"):
    done = gw.reload(**wide(address))
    check(AREA, f"one port changes its address to {address}, which meets the one before", done.returncode == 0 and
          where() == {f"127.0.0.1:{gw.port}", f"{address}:{other_port}"}, (where(), done.stderr))
gw.reload(**START)

# --- names ----------------------------------------------------------------------------------------------------------------
serial = identities()["disks"]["vault"]
gw.reload(**{**START, "name": "safe", "disk": ", formerly: [vault]"})
check(AREA, "a disk that has another name keeps its identity", identities()["disks"].get("safe") == serial and "vault" not in identities()["disks"], identities())
with Initiator(gw.port).login() as i:
    check(AREA, "… and its file", i.read(0, 1)[1][:6] == b"before", gw.log())
gw.reload(**{**START, "name": "vault", "disk": ", formerly: [safe]"})

# --- a time to confirm --------------------------------------------------------------------------------------------------
gw.reload(**START)
old = hash_of()
done = gw.reload("--confirm-within", "2s", **{**START, "name": "safe", "disk": ", formerly: [vault]"})
status = gw.command("status").stdout
check(AREA, "a policy that is to be confirmed says so", done.returncode == 0 and "goes back" in done.stdout and "confirm within" in status, (done.stdout, status))
refused = gw.reload()
check(AREA, "… another one is not taken meanwhile", refused.returncode == 3 and "not confirmed" in refused.stderr, refused.stderr)
check(AREA, "… it goes back by itself", wait_for(lambda: hash_of() == old, 20), gw.log()[-2000:])
check(AREA, "… with the disk's identity", identities()["disks"].get("vault") == serial, identities())
with Initiator(gw.port).login() as i:
    check(AREA, "… and who was locked out is in again", i.read(0, 1)[1][:6] == b"before", gw.log()[-2000:])
check("audit", "… and the log says why", wait_for(lambda: any("not confirmed" in e.get("detail", "") for e in gw.audit()[-12:])), gw.audit()[-4:])
gw.reload("--confirm-within", "2s", **{**START, "rules": "deny: [unmap]"})
new = hash_of()
done = gw.reload("--confirm")
check(AREA, "what is confirmed stays", done.returncode == 0 and "confirm within" not in gw.command("status").stdout and hash_of() == new, done.stderr)
check(AREA, "… and need not be confirmed twice", gw.reload("--confirm").returncode == 3)

# --- a signal --------------------------------------------------------------------------------------------------------------
gw.policy.write_text(POLICY.format(**{**gw.values, **START}))
gw.process.send_signal(signal.SIGHUP)
check(AREA, "SIGHUP is a reload", wait_for(lambda: hash_of() == old, 20), gw.log()[-2000:])
gw.policy.write_text(POLICY.format(**{**gw.values, **START, "more": "nonsense: 1"}))
gw.process.send_signal(signal.SIGHUP)
check(AREA, "… whose mistakes are in the log", wait_for(lambda: "nonsense" in gw.log(), 20) and hash_of() == old, gw.log()[-2000:])
gw.process.send_signal(signal.SIGHUP)
check(AREA, "the gateway is well after that", gw.is_serving(), gw.log()[-2000:])
gw.stop()
finish()
