#!/usr/bin/env python3
"""What is installed: the systemd unit and how exposed it is, the files and where they lie."""
import os, pathlib, re, shutil, subprocess, sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
EXPOSURE = {"sallyport.service": 2.6, "sallyport-connect@.service": 1.6}
failed = False


def tell(sentence, problem):
    global failed
    print(f"FAIL deploy: {sentence}\n    {problem}" if problem else f"ok deploy: {sentence}", flush=True)
    failed = failed or bool(problem)


def run(*command, **more):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT, **more)


def installed(prefix):
    root = pathlib.Path("root" + prefix.replace("/", "-")).resolve()
    done = run("sh", "deploy/install-files.sh", str(root), prefix)
    return root, done.stdout if done.returncode else ""


def check_files():
    wanted = ("lib/systemd/system/sallyport.service", "lib/systemd/system/sallyport-connect@.service", "lib/sysusers.d/sallyport.conf",
              "share/man/man8/sallyport.8", "share/man/man8/sallyport-connect.8", "share/man/man5/policy.yaml.5", "share/man/man5/sallyport-audit.5",
              "share/man/man5/sallyport-audit-export.5",
              "share/bash-completion/completions/sallyport", "share/doc/sallyport/LICENSE")
    for prefix in ("/usr", "/usr/local"):
        root, problem = installed(prefix)
        for name in wanted:
            if not (root / prefix[1:] / name).is_file():
                problem += f"no {prefix}/{name}; "
        for name, words in ((wanted[0], "run /etc"), (wanted[1], "connect --config")) if not problem else ():
            unit = (root / prefix[1:] / name).read_text()
            if f"ExecStart={prefix}/bin/sallyport {words}" not in unit or "@PREFIX" in unit:
                problem = f"{name} does not have the prefix"
        tell(f"everything is installed below DESTDIR and {prefix}", problem)


def check_exposure(name, most):
    sentence = f"the exposure of {name} is at most {most}"
    if not shutil.which("systemd-analyze"):
        print(f"skip deploy: {sentence} (systemd-analyze is not installed)")
        return
    root, problem = installed("/opt/sallyport")
    unit = root / "opt/sallyport/lib/systemd/system" / name
    done = run("systemd-analyze", "security", "--offline=true", "--no-pager", str(unit))
    match = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    if not match:
        print(f"skip deploy: {sentence} (this systemd-analyze does not tell: {done.stdout[:80].strip()})")
        return
    tell(sentence, problem or (f"it is {match[1]}" if float(match[1]) > most else ""))


def check_unit():
    unit = (ROOT / "deploy/sallyport.service").read_text()
    lines = unit.splitlines()
    wanted = ("Type=notify", "User=sallyport", "AmbientCapabilities=CAP_NET_ADMIN",
              "CapabilityBoundingSet=CAP_NET_ADMIN", "StateDirectory=sallyport", "StateDirectoryMode=0710",
              "NoNewPrivileges=yes", "ProtectSystem=strict", "MemoryDenyWriteExecute=yes", "UMask=0077")
    missing = [line for line in wanted if line not in lines]
    tell("the unit starts without root, with the firewall's capability alone", ", ".join(missing))


def check_deps():
    done = run("deploy/install-deps.sh", "nonsense")  # as the README types it
    tell("install-deps.sh says what it takes", "" if done.returncode == 2 and "build, test, kernel or bench" in done.stdout
         else done.stdout)


def check_connect_unit():
    lines = (ROOT / "deploy/sallyport-connect@.service").read_text().splitlines()
    wanted = ("Type=notify", "DynamicUser=yes", "CapabilityBoundingSet=", "NoNewPrivileges=yes", "ProtectSystem=strict",
              "MemoryDenyWriteExecute=yes", "LoadCredential=client.key:/etc/sallyport/%i/client.key")
    tell("connect's unit starts without any right, and reads its files alone", ", ".join(w for w in wanted if w not in lines))


check_files()
for unit_name, most in EXPOSURE.items():
    check_exposure(unit_name, most)
check_connect_unit()
check_unit()
check_deps()
sys.exit(failed)
