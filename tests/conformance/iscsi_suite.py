#!/usr/bin/env python3
"""The whole of libiscsi's own test suite, over mutual CHAP, as two initiators, each family in a process of its own.

Each test is one sentence. A test that the suite leaves out counts as failed here unless LEFT_OUT names it with the reason,
or NOT_YET does; rows there that are no longer true fail as well, so both stay as short as the truth allows. Families
that want a disk of another kind have one: a read-only one, one with a removable medium, one with blocks of 4096 octets.
"""
import concurrent.futures, pathlib, queue, re
from capture import Capture
from harness import *

AREA = "iscsi"
SECOND = CLIENT + "-second"
SECOND_SECRET = "bob-secret-0123456789"
LANES = 2  # targets alike; resets and reservations of a family disturb no other lane
VAULT, LOCKED, STICK, WIDE, PLAIN, LARGE = range(6)

# Commands that are not there yet: whoever adds one takes its row out.
NOT_YET = {}
# Policy keys that are not there yet, with what is written into the policy to have them.
KEYS = {"removable": ", removable: true", "block_size": ", block_size: 4096, physical_block_size: 16384", "allow": "allow: [sanitize]"}
KEYS_NOT_YET = set()
# What may be left out, and why.
LEFT_OUT = {"WriteSame10.ZeroBlocks": "WSNZ=1, WRITE SAME of 0 blocks is refused: with WSNZ=0, UnmapUntilEnd writes FFh and wants zeroes back",
            "WriteSame16.ZeroBlocks": "WSNZ=1, WRITE SAME of 0 blocks is refused",
            "Sanitize.CryptoErase": "nothing is encrypted here that could lose its key: CRYPTOGRAPHIC ERASE is not offered",
            "Sanitize.Readonly": "its last part alone, CRYPTOGRAPHIC ERASE, which is not offered",
            "Sanitize.Reservations": "its last part alone, CRYPTOGRAPHIC ERASE, which is not offered"}
# Said without being right about it, with the one line that may be said. The function is answered, and rightly: the
# suite looks for the answer before it has sent the request. Where a physical block has several logical ones, the
# suite asks from one LBA and wants an answer that begins at another (where it has one, the test has to pass).
BY_MISTAKE = {"iSCSITMF.LUNResetSimpleAsync": ("dispatched", "reconnect_succeeded,1", 1),
              "GetLBAStatus.UnmapSingle": ("unmap_single.c:135", "lba offset in first descriptor does not", 0)}
# In its family it has no session, does nothing and passes; so it runs in a process of its own as well.
ALONE = {"iSCSITMF.LUNResetSimpleAsync"}
ON = {LOCKED: ["ReadOnly"], STICK: ["NoMedia", "PreventAllow", "StartStopUnit"]}
# It wants to find the SANITIZE under way that it began more than four seconds ago.
ON_LARGE = {"Sanitize.Reset"}
# With blocks of 4096 octets, what counts or touches blocks once more. (ExtendedCopy writes 2048 of them at once, more
# than MAXIMUM TRANSFER LENGTH, which it does not look at.)
SIZED = re.compile(r"Read\d|Write|Verify|OrWrite|Prefetch|Unmap|GetLBAStatus|CompareAndWrite|ReadCapacity|Sanitize|iSCSIRes")


def policy(keys):
    """For LANES targets alike, with those keys that a policy may have."""
    extra = {name: text if name in keys else "" for name, text in KEYS.items()}
    disks, targets = [], []
    for n in range(LANES):
        disks += [f"vault{n}: {{{{file: {{folder}}/vault{n}.img, size: 256MiB, writers: cluster}}}}",
                  f"locked{n}: {{{{file: {{folder}}/locked{n}.img, size: 16MiB, read_only: true}}}}",
                  f"stick{n}: {{{{file: {{folder}}/stick{n}.img, size: 64MiB{extra['removable']}, writers: cluster}}}}",
                  f"wide{n}: {{{{file: {{folder}}/wide{n}.img, size: 256MiB{extra['block_size']}, writers: cluster}}}}",
                  f"plain{n}: {{{{file: {{folder}}/plain{n}.img, size: 256MiB, physical_block_size: 512, writers: cluster}}}}",
                  f"large{n}: {{{{file: {{folder}}/large{n}.img, size: 3GiB, writers: cluster}}}}"]
        targets.append(f"""\
  {TARGET}{n}:
    portals: [here, there, watched]
    luns: {{{{{VAULT}: vault{n}, {LOCKED}: locked{n}, {STICK}: stick{n}, {WIDE}: wide{n}, {PLAIN}: plain{n}, {LARGE}: large{n}}}}}
    initiators:
      {CLIENT}:
        chap: {{{{user: alice, mutual: gw-for-alice, algorithms: [md5]}}}}
        {extra['allow']}
      {SECOND}:
        chap: {{{{user: bob, mutual: gw-for-alice, algorithms: [md5]}}}}
        {extra['allow']}
""")
    return """\
version: 1
portals:
  here: {{listen: ["127.0.0.1:{port}"], transport: plain}}
  there: {{listen: ["127.0.0.1:{there}"], transport: plain}}
  watched: {{listen: ["127.0.0.1:{watched}"], transport: plain}}
disks:
""" + "".join(f"  {disk}\n" for disk in disks) + "targets:\n" + "".join(targets)


def served():
    """A gateway with all the keys that its policy may have, and these keys."""
    gw = Gateway(policy=policy(()), there=free_port(), watched=free_port())
    gw.secret("bob", SECOND_SECRET)
    for n in range(LANES):
        with open(gw.folder / f"locked{n}.img", "wb") as f:
            f.truncate(16 << 20)

    def takes(keys):
        gw.policy.write_text(policy(keys).format(**gw.values))
        return gw.command("check", gw.policy).returncode == 0
    known = {key for key in KEYS if takes({key})}
    assert takes(known), gw.command("check", gw.policy).stdout
    return gw.start(), known


def shim():
    library = pathlib.Path("second_initiator.so").resolve()
    done = run("cc", "-shared", "-fPIC", "-o", library, pathlib.Path(__file__).with_name("second_initiator_preload.c"), "-ldl")
    assert done.returncode == 0, done.stderr
    return library


class Result:
    """Of one test: passed, left out or failed, and the suite's words for it."""

    def __init__(self, name, said):
        self.name, self.said = name, said
        verdict = re.search(r"(?:^|\.\.\.)(passed|FAILED)", said, re.M)
        own = said[:verdict.start()] if verdict else said  # what comes behind is about other things
        skipped = [a or b for a, b in re.findall(r"\[SKIPPED\] (?!Test not implemented)(.*)|(SWP is not changeable)", own)]
        if self.is_empty(own) and name not in ALONE:
            skipped.append("it says nothing of what it did")
        complaints = re.findall(r"^ +\d+\. (\S+ +- .*?)(?: +\[|$)", said, re.M) + re.findall(r"\[FAILED\] (.*)", said)
        self.how = "failed" if not verdict or verdict[1] == "FAILED" else "left out" if skipped else "passed"
        self.words = "" if self.how == "passed" else skipped[0] if self.how == "left out" else \
            complaints[0].strip() if complaints else said.strip()[-200:] or "the suite ended before it"
        mistake = BY_MISTAKE.get(name)
        self.excused = bool(mistake and self.how == "failed" and mistake[0] in said and mistake[1] in said
                            and said.count("CU_ASSERT") == mistake[2])

    @staticmethod
    def is_empty(own):
        """A test that passes and did nothing: with no block to compare, CompareAndWrite over several paths is done."""
        return not re.sub(r"\s|\.\.\.", "", own)


def suite(family, tests, lun=VAULT, lane=0, port="port", two_names=True):
    """Runs a family; its results, and all that was said."""
    def url(which):
        return f"iscsi://alice%{SECRET}@127.0.0.1:{gw.values[which]}/{TARGET}{lane}/{lun}"
    if family == "MultipathIO":  # takes it for granted that block 256 is zero
        with open(gw.folder / f"vault{lane}.img", "r+b") as f:
            f.seek(256 * 512)
            f.write(bytes(512))
    urls = [url(port)] + ([url("there")] if family == "MultipathIO" else [])
    env = {**gw.mutual(), "LD_PRELOAD": str(library), "SECOND_INITIATOR": SECOND, "SECOND_USER": "bob",
           "SECOND_SECRET": SECOND_SECRET}
    try:
        done = run("iscsi-test-cu", "-i", CLIENT, "-I", SECOND if two_names else CLIENT, "--dataloss", "--allow-sanitize", "-v", "-V",
                   "-t", f"ALL.{family}", *urls, env=env, timeout=600)
        out = done.stdout + done.stderr
    except subprocess.TimeoutExpired as late:
        out = (late.stdout or b"").decode(errors="replace") + "\nstill running after ten minutes"
    parts = {} if lun == STICK and "removable" not in keys else dict(re.findall(r"^  Test: (\S+) \.\.\.(.*?)(?=^  Test: |^Run Summary|\Z)", out, re.M | re.S))
    return [Result(f"{family.split('.')[0]}.{test}", "..." + parts[test] if test in parts else "") for test in tests], out


def patiently(family, tests, **how):
    """A command of many ranges has a record for each; on a busy machine it may be answered BUSY until the auditor has
    caught up (P4). Initiators then try again, the suite does not: so it is asked again."""
    for _ in range(4):
        results, out = suite(family, tests, **how)
        if "failed with status 8 " not in out:
            break
    return results, out


def tell(result, out, where=""):
    """One sentence on one test."""
    sentence, awaited = f"iscsi-test-cu {result.name}{where} passes", awaits.get(result.name)
    seen.setdefault(result.name, set()).add(result.how)
    if awaited and result.how != "passed":
        skip(AREA, sentence, f"not yet: {awaited}; {result.how}: {result.words}")
    elif awaited and not where:
        check(AREA, sentence, False, f"it passes: take it out of NOT_YET ({awaited})")
    elif result.how == "left out" and result.name in LEFT_OUT:
        skip(AREA, sentence, LEFT_OUT[result.name])
    else:
        excused = result.excused and "physical" not in where
        but = " but for a mistake of its own" if excused else ""
        check(AREA, sentence + but, result.how == "passed" or excused, f"{(result.said or out)[-2500:]}\n{result.how}: {result.words}")


def families():
    found = {}
    for scope, family, test in (n.split(".") for n in run("iscsi-test-cu", "--list").stdout.split() if n.count(".") == 2):
        if scope == "ALL":
            found.setdefault(family, []).append(test)
    return found


def tests_of(family):
    return [t for t in known[family] if f"{family}.{t}" not in ON_LARGE] if family in known else [family.split(".")[1]]


def plan():
    """(family, keywords of suite(), where) for each process of the suite, those that take longest first."""
    for name in ON_LARGE:
        yield name, {"lun": LARGE}, ""
    for family in sorted(known, key=lambda f: not f.startswith(("Write", "Unmap", "Verify"))):
        if family.startswith("iSCSI"):
            continue
        lun = next((lun for lun, wanting in ON.items() if family in wanting), VAULT)
        yield family, {"lun": lun}, ""
        if family == "MultipathIO":
            yield family, {"two_names": False}, " over two paths of one initiator"
        if family == "GetLBAStatus":
            yield family, {"lun": PLAIN}, " where a physical block is a logical one"
        if "block_size" in keys and SIZED.match(family):
            yield family, {"lun": WIDE}, " with blocks of 4096 octets"


def work(todo):
    """Each lane takes what is next; what was found is told in the order of the plan."""
    lanes = queue.SimpleQueue()
    for n in range(LANES):
        lanes.put(n)

    def one(job):
        lane = lanes.get()
        try:
            return patiently(job[0], tests_of(job[0]), lane=lane, **job[1])
        finally:
            lanes.put(lane)
    with concurrent.futures.ThreadPoolExecutor(LANES) as pool:
        for (_, _, where), (results, out) in zip(todo, pool.map(one, todo)):
            for result in results:
                tell(result, out, where)


gw, keys = served()
library, known = shim(), families()
awaits = {name: what for what, names in NOT_YET.items() for name in names.split()}
seen = {}
count = sum(map(len, known.values()))
check(AREA, "iscsi-test-cu has the 230 tests that Debian 12 has", count == 230, count)
check(AREA, "what is named as not there yet, or left out, is a test's name",
      {*awaits, *LEFT_OUT, *BY_MISTAKE} <= {f"{f}.{t}" for f, tests in known.items() for t in tests})
check(AREA, "a policy key that is there is not called missing", keys == KEYS.keys() - KEYS_NOT_YET, keys)
work(list(plan()))
# tshark reads what the families of iSCSI say; all the data of the others would keep it busy for minutes.
with Capture(gw.values["watched"]) as wire:
    for family in (f for f in known if f.startswith("iSCSI")):
        results, out = suite(family, known[family], port="watched")
        for result in results:
            tell(result, out)
    for name in ALONE:
        results, out = suite(name, [name.split(".")[1]], port="watched")
        tell(results[0], out, " alone")
wire.check(AREA, "the iSCSI families of iscsi-test-cu")
check(AREA, "what is left out is left out still", all("left out" in seen[name] for name in LEFT_OUT), LEFT_OUT)
check(AREA, "the gateway is well after the suite", gw.is_well(), gw.log())
finish()
