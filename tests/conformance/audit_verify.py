#!/usr/bin/env python3
"""`audit verify` as an auditor meets it: beside a running gateway, after a stop, after a death, with and without what was kept elsewhere."""
import json, os, pathlib, shutil, signal
from harness import *
from initiator import *

AREA = "audit"
gw = Gateway().start()
audit = pathlib.Path(gw.state) / "audit"


def verify(*options):
    done = gw.command("audit", "verify", "--json", *options)
    return done, json.loads(done.stdout) if done.stdout else {}


def kept(name, text):
    path = pathlib.Path(name).resolve()
    path.write_text(text)
    return str(path)


with Initiator(gw.port).login() as i:
    for k in range(300):
        i.read(k, 1)
    done, said = verify()
    check(AREA, "a trail is verified beside its gateway: it flushes, and its newest record is the end", done.returncode == 0 and said["end"] == "live" and said["logs"]["commands"]["records"] >= 300, done.stdout + done.stderr)
    other = Gateway().start()
    with Initiator(other.port).login() as j:
        for k in range(600):
            j.read(k, 1)
    check(AREA, "another gateway stops cleanly", other.stop() == 0, other.log())
    own = audit.rename(audit.with_name("audit.own"))
    shutil.copytree(pathlib.Path(other.state) / "audit", audit)
    done, said = verify()
    check(AREA, "beside its gateway a trail that another signer made as a whole is forged, though all in it is right", done.returncode == 21 and said["verdict"] == "forged" and {f["finding"] for f in said["findings"]} == {"live-false"}, done.stdout + done.stderr)
    shutil.rmtree(audit)
    own.rename(audit)
    done, said = verify()
    check(AREA, "beside its gateway the trail's signer is the one that runs", done.returncode == 0 and said["proven"]["signer"], done.stdout + done.stderr)
    key = kept("keys", gw.command("audit", "key").stdout)
    public = kept("signer.pub", gw.command("audit", "key", "--public").stdout)
    for k in range(300):
        i.read(k, 1)
check(AREA, "the gateway stops cleanly", gw.stop() == 0, gw.log())

done, said = verify()
check(AREA, "after a clean stop chain and signature prove all of it", done.returncode == 0 and said["end"] == "stop" and said["proven"] == {"chain": True, "signature": True, "seal": False, "outside": False, "signer": False}, said)
done, said = verify("--key", key, "--signer", public)
sealed = said["logs"]["commands"]["sealed_blocks"]
check(AREA, "with the key, the seals of its epoch are proven, to the end", done.returncode == 0 and said["proven"]["seal"] and said["proven"]["signer"] and sealed and sealed[-1][1] == said["logs"]["commands"]["end_block"], said)
notes = kept("notes", "\n".join(f.read_text() for f in sorted(audit.glob("*.note"))))
done, said = verify("--checkpoint", notes, "--signer", open(public).readline().strip())
check(AREA, "with checkpoints kept elsewhere, the whole is proven", done.returncode == 0 and said["proven"]["outside"], done.stdout + done.stderr)
done = gw.command("audit", "verify")
check(AREA, "the verdict is the first word, and what is not proven is said", done.returncode == 0 and done.stdout.startswith("ok: ") and done.stdout.count("not proven: ") == 3, done.stdout)

for text, what in [("nonsense\n", "a file that has no key"), (open(key).read()[:-4] + "\n", "a key that was not copied whole")]:
    done, _ = verify("--key", kept("bad", text))
    check(AREA, f"{what} is refused, with its line", done.returncode == 3 and "line 1" in done.stderr, done.stderr)
done, _ = verify("--checkpoint", kept("bad", "nonsense\n"))
check(AREA, "a file without a checkpoint is refused", done.returncode == 3 and "no checkpoint" in done.stderr, done.stderr)

segment = audit / "commands-000001.log"
whole = segment.read_bytes()
bad = bytearray(whole)
bad[len(bad) * 2 // 3] ^= 16
segment.write_bytes(bad)
done, said = verify()
found = said["findings"][0]
check(AREA, "one flipped bit is told with its file, octets, block and records", done.returncode == 21 and said["verdict"] == "damaged" and found["file"] == segment.name and found["offset_bytes"] <= len(bad) * 2 // 3 < found["offset_bytes"] + found["length_bytes"] and found["first_block"] > 0 and found["first_sequence"] > 1, said)
done = gw.command("audit", "verify")
check(AREA, "a person is told what it means, and what to do", done.returncode == 21 and done.stdout.startswith("damaged: ") and "to do: " in done.stdout, done.stdout)
segment.write_bytes(whole)
(audit / "evil\x1b[31m.log").write_text("x")
done = gw.command("audit", "verify")
check(AREA, "a file that does not belong there is told, its name escaped", done.returncode == 21 and "unknown-file: evil\\x1b[31m.log" in done.stdout, done.stdout)
(audit / "evil\x1b[31m.log").unlink()
after_stop = shutil.copytree(audit, "copy")

gw.start()
os.kill(gw.process.pid, signal.SIGKILL)
gw.process.wait()
wait_for(lambda: gw.command("status").returncode == 3)
done, said = verify()
check(AREA, "after a death of all the gateway the end is open, or the auditor's last word", done.returncode in (0, 22) and said["end"] in ("stop", "none"), done.stdout + done.stderr)
gw.start()
check(AREA, "the next run begins and ends", gw.stop() == 0, gw.log())
done, said = verify("--key", key, "--checkpoint", notes)
check(AREA, "what came before is proven still", done.returncode in (0, 20) and said["proven"]["seal"] and said["proven"]["outside"], done.stdout + done.stderr)
newer = kept("newer", "\n".join(f.read_text() for f in sorted(audit.glob("*.note"))))

shutil.rmtree(audit)
shutil.copytree(after_stop, audit)
done, said = verify()
check(AREA, "a trail that was rolled back to a clean stop is right in itself", done.returncode == 0 and not said["proven"]["outside"], done.stdout)
done, said = verify("--checkpoint", newer)
check(AREA, "a checkpoint kept elsewhere sees that it was rolled back", done.returncode == 21 and any(f["finding"] == "cut" for f in said["findings"]), done.stdout)
finish()
