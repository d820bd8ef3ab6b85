#!/usr/bin/env python3
"""sallyport-audit-review(7), "somebody's secret leaked: what did they see?": its commands are run as they stand there, and say what it says."""
import re
import images
from harness import *
from initiator import *

AREA = "audit"
PAGE = pathlib.Path(__file__).resolve().parent.parent.parent / "deploy/man/sallyport-audit-review.7"
NAME = "iqn.1994-05.com.redhat:app-3"
POLICY = """\
version: 1
portals:
  lan: {{listen: ["{net}.0.1:{port}"], transport: plain, accept_risk: true}}
disks:
  vault: {{file: {folder}/vault.img}}
targets:
  {target}:
    portals: [lan]
    luns: {{0: vault}}
    initiators:
      {name}:
        from: [{net}.0.0/16]
        chap: {{user: alice, mutual: gw-for-alice}}
firewall: {{manage: false}}
audit: {{checkpoints: {{file: {folder}/witness.notes}}}}
"""
# What a command ends with, when all is well: compare says that there is a difference.
STATUSES = {"audit compare": 10, "plan": 10}

WITNESSED = {"commands", "events"}


def steps():
    """(command, the lines that the page shows of what it says), in the page's order."""
    text = PAGE.read_text().replace("\\e", "\\")
    found = []
    for block in re.findall(r"^\.Bd -literal[^\n]*\n(.*?)^\.Ed$", text, flags=re.M | re.S):
        for line in block.splitlines():
            found.append((line[2:], [])) if line.startswith("$ ") else found[-1][1].append(line)
    return found


def is_said(line, text):
    """Numbers, times and secrets are of the day; … stands for anything."""
    pattern = r"\s+".join(re.sub(r"\d+", r"\\d+", re.escape(word).replace("…", ".*")) for word in line.split())
    return re.search(pattern, text) is not None


net = "127.8"
if os.geteuid() == 0 and all(run("ip", "addr", "add", a + "/32", "dev", "lo").returncode == 0 for a in ("10.8.0.1", "10.8.0.7", "10.8.9.66")):
    net = "10.8"
if not images.has("ext4"):
    skip(AREA, "the worked example", "mke2fs is not here; run deploy/install-deps.sh test")
    finish()
gw = Gateway(POLICY, net=net, name=NAME)
tree = gw.folder / "tree"
tree.mkdir()
images.tree(tree)
images.ext(gw.folder / "part.img", tree)
images.partitioned(gw.folder / "vault.img", [gw.folder / "part.img"], "gpt")
gw.start()


def login(source):
    return Initiator(gw.port, host=f"{net}.0.1", name=NAME, source=f"{net}.{source}").login()


def blocks(path):
    return json.loads(gw.command("audit", "files", "--json", "--lun", "0", "--file", path).stdout)["ranges"]


def follow(command):
    """The page's words, with this gateway's addresses, policy and state."""
    here = command.replace("10.8.", net + ".").replace("/etc/sallyport/policy.yaml", str(gw.policy))
    here = here.replace("witness.notes", f"{gw.folder}/witness.notes")
    return run("bash", "-c", f'umask 077; sallyport() {{ "{SALLYPORT}" "$@" --state "{gw.state}"; }}\n{here}', env={"TZ": "UTC"})


thief = None
page = steps()
check(AREA, "the worked example has commands", len(page) >= 15, page)
for command, shown in page:
    if "witness.notes" in command and not wait_for(lambda: WITNESSED <= set(re.findall(r"^sallyport-audit/\w+/(\w+)$", (gw.folder / "witness.notes").read_text(), flags=re.M))):
        check(AREA, "checkpoints of both logs were sent", False)
    if command.startswith("sallyport bans") and net != "10.8":
        skip(AREA, f"`{command}`", "only root has addresses that can be banned")
        continue
    done = follow(command)
    words = re.match(r"sallyport (audit [a-z-]+|[a-z]+)", command)
    want = STATUSES.get(words[1] if words else "", 0)
    said = re.sub(r"127\.8\.", "10.8.", done.stdout + done.stderr)
    check(AREA, f"`{command}` does what the worked example says", done.returncode == want, f"{done.returncode}\n{said}")
    missing = [line for line in shown if not is_said(line, said)]
    check(AREA, f"`{command}` prints what the worked example shows of it", not missing, "\n".join(missing + ["---", said]))
    if "audit key" in command:
        with login("0.7") as i:
            for r in blocks("/small"):
                i.read(r["lba"], r["blocks"])
            i.write(blocks("/small")[0]["lba"], b"hello\n" + bytes(506))
            i.logout()
        thief = login("9.66")
        for r in blocks("/payroll.xlsx"):
            for at in range(r["lba"], r["lba"] + r["blocks"], 128):
                thief.read(at, min(128, r["lba"] + r["blocks"] - at))
        thief.write(blocks("/dir/a b")[0]["lba"], bytes(512))
    if " kick " in command:
        check(AREA, "the kicked one is asked to log out", bool(thief.expect(ASYNC)))
        thief.logout()
        thief.close()
        wait_for(lambda: not gw.sessions())
for place, why in (("9.66", "who has the leaked secret"), ("0.7", "the initiator's own machine, until it has the new one,")):
    try:
        login(place).close()
        check(AREA, f"afterwards {why} is refused", False)
    except (Refused, Gone, OSError):
        check(AREA, f"afterwards {why} is refused", True)
finish()
