#!/usr/bin/env python3
"""client INITIATOR --for WHAT: commands for each kind of machine; libiscsi's are run as printed."""
import re
from harness import *

AREA = "cli"
POLICY = """\
version: 1
portals:
  here: {{listen: ["127.0.0.1:{port}"], transport: plain}}
  also: {{listen: ["127.0.0.1:{other}", "[::1]:{other}"], transport: plain, advertise: ["203.0.113.9:3260"]}}
disks:
  vault: {{memory: 16MiB}}
targets:
  {target}:
    portals: [here]
    luns: {{0: vault}}
    initiators:
      {client}:
        from: [127.0.0.1]
        chap: {{user: alice, mutual: gw-for-alice, algorithms: [md5]}}
  {target}-two:
    portals: [here, also]
    luns: {{0: vault, 7: vault}}
    initiators:
      {client}:
        from: [127.0.0.1]
        chap: {{user: alice, mutual: gw-for-alice, algorithms: [md5]}}
        luns: {{7: read-only}}
      {client}-strong:
        from: [127.0.0.1]
        chap: {{user: strong, mutual: none}}
"""
TRICKY = "it's-al1ce$`\\\"0123"
FORMS = ("linux", "windows", "esxi", "libiscsi")
gw = Gateway(policy=POLICY, other=free_port())
gw.secret("alice", TRICKY)
gw.secret("strong", "strong-secret-0123")

for form in FORMS:
    done = gw.command("client", CLIENT, gw.policy, "--for", form)
    check(AREA, f"client --for {form}: one section for each target and portal", done.returncode == 0 and done.stdout.count(" through the portal ") == 3, done.stdout + done.stderr)
    check(AREA, f"client --for {form}: no secret, unless it is asked for", TRICKY not in done.stdout and MUTUAL not in done.stdout, done.stdout)
    check(AREA, f"client --for {form}: the address is the advertised one, where there is one", "203.0.113.9" in done.stdout and "::1" not in done.stdout, done.stdout)
    strong = gw.command("client", CLIENT + "-strong", gw.policy, "--for", form)
    line = "algorithms: [md5]}" in strong.stdout and "Line 25 needs" in strong.stdout
    check(AREA, f"client --for {form}: " + ("it knows what the policy wants" if form == "linux" else "the line that MD5 needs is told, and ends with 1"),
          (strong.returncode, line) == ((0, False) if form == "linux" else (1, True)), strong.stdout + strong.stderr)
    check(AREA, f"client --for {form}: without a mutual name nothing asks for one", "MUTUAL" not in strong.stdout.upper().replace("MUTUAL: NONE", "").replace("SECRET, MUTUAL", ""), strong.stdout)
done = gw.command("client", CLIENT, gw.policy, "--for", "linux")
check(AREA, "open-iscsi gets the algorithms that are taken, the best first", "chap_algs -v SHA3-256,SHA256,MD5 " in done.stdout, done.stdout)
for words, code, said in ((("client", CLIENT, gw.policy), 2, "--for"), (("client", CLIENT, gw.policy, "--for", "amiga"), 2, "linux, windows"),
                          (("client", "alice", gw.policy, "--for", "linux"), 2, "INITIATOR"), (("client", CLIENT + "-no", gw.policy, "--for", "linux"), 1, "no target of the policy names"),
                          (("client", CLIENT, "--for", "linux"), 3, "no gateway answers")):
    done = gw.command(*words)
    check(AREA, f"client says what is wrong: {said}", done.returncode == code and said in done.stderr and not done.stdout, done.stdout + done.stderr)

gw.start()
done = gw.command("client", CLIENT, "--for", "libiscsi", "--with-secrets")
check(AREA, "without a policy it is the running gateway's", done.returncode == 0 and TARGET + "-two/7" in done.stdout, done.stdout + done.stderr)
lines = [line for line in done.stdout.splitlines() if "203.0.113.9" not in line]
ran = run("bash", "-e", "-c", "\n".join(lines))
check(AREA, "libiscsi's commands work exactly as printed, with a secret full of quotes", ran.returncode == 0 and len(re.findall("Peripheral Device Type", ran.stdout)) == 2, ran.stdout + ran.stderr + gw.log())
ran = run("bash", "-c", "\n".join(re.sub(r"^(SECRET|MUTUAL)='.*", r"\1=wrong-secret-0123", line) for line in lines))
check(AREA, "P1: … and with other secrets they do not", ran.returncode != 0 and "Peripheral" not in ran.stdout, ran.stdout + ran.stderr)
windows = gw.command("client", CLIENT, "--for", "windows", "--with-secrets").stdout
check(AREA, "PowerShell gets its quotes doubled, and is told of a secret that is too long", "$Secret = '" + TRICKY.replace("'", "''") + "'" in windows and "Windows takes 12 to 16" in windows, windows)
typographic = gw.folder / "typographic.yaml"
typographic.write_text(gw.policy.read_text().replace(TARGET + "-two", TARGET + "-two\u2019s"))
gw.secret("alice", "it\u2018s al1ce'\u201b9")
windows = gw.command("client", CLIENT, typographic, "--for", "windows", "--with-secrets").stdout
check(AREA, "what PowerShell takes for a quote is doubled, too, in names and in secrets",
      "-two\u2019\u2019s'" in windows and "$Secret = 'it\u2018\u2018s al1ce''\u201b\u201b9'" in windows, windows)
if os.geteuid() == 0:
    done = run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", SALLYPORT, "client", CLIENT, gw.policy, "--for", "linux", "--with-secrets", "--state", gw.state)
    check(AREA, "P3: who may not read the store gets no secrets", done.returncode == 3 and "iscsiadm" not in done.stdout, done.stdout + done.stderr)
else:
    skip(AREA, "P3: who may not read the store gets no secrets", "needs root")
check(AREA, "the gateway stops cleanly", gw.stop() == 0, gw.log())
finish()
