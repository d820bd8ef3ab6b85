#!/usr/bin/env python3
"""sg3-utils in the guest: each tool does as its manual says, through the Linux kernel, as two initiators of one disk.

A row is a sentence, a command, the exit statuses that it may have (sg3_utils(8)) and what it has to print. A row may
wait for a command that is not there yet; when it holds all the same it fails, so that its mark is taken off.
"""
import os, pathlib, sys
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))
from guest import *

SECOND = CLIENT + "-second"
SECOND_SECRET = "bob-secret-0123456789"
POLICY = """\
version: 1
portals:
  here: {{listen: ["127.0.0.1:{port}"], transport: plain}}
disks:
  vault: {{file: {folder}/vault.img, size: 64MiB, writers: cluster}}
  other: {{file: {folder}/other.img, size: 16MiB, writers: cluster}}
  waste: {{file: {folder}/waste.img, size: 16MiB, writers: cluster}}
targets:
  {target}:
    portals: [here]
    luns: {{0: vault, 1: other, 2: waste}}
    initiators:
      {client}:
        chap: {{user: alice, mutual: gw-for-alice}}
        {allow}
      {client}-second:
        chap: {{user: bob, mutual: gw-for-alice}}
"""
OK, NOT_READY, ILLEGAL, ATTENTION, UNKNOWN, MISCOMPARE, CONFLICT = 0, 2, 5, 6, 9, 14, 24


class Row:
    def __init__(self, sentence, command, status=OK, says="", awaits=None):
        self.sentence, self.command, self.says, self.awaits = sentence, command, says, awaits
        self.status = status if isinstance(status, tuple) else (status,)


# {a} {b} {c}: the disks as the first initiator has them; {A}: the first disk, as the second initiator has it.
TOLD = [
    Row("sg_inq reads the standard INQUIRY data", "sg_inq {a}", says="Peripheral device type: disk"),
    Row("sg_vpd reads every page that page 00h lists, in rising order",
        "pages=$(sg_vpd -r -p 0 {a} | od -An -v -tx1 -w1 -j4); echo $pages; [ \"$pages\" = \"$(echo \"$pages\" | sort -u)\" ]; r=$?; "
        "bad=; for p in $pages; do sg_vpd -r -p 0x$p {a} | od -An -tx1 -N2 | grep -q \" $p$\" || bad=$p; done; [ -z \"$bad\" ] && [ $r = 0 ]"),
    Row("sg_vpd tells what UNMAP may take", "sg_vpd -p bl {a}", says="Maximum unmap LBA count: [1-9]"),
    Row("sg_vpd tells that UNMAP and WRITE SAME give blocks back", "sg_vpd -p lbpv {a}",
        says=r"\(LBPU\): 1(.|\n)*\(LBPWS\): 1(.|\n)*\(LBPWS10\): 1"),
    Row("sg_vpd tells how fast the medium turns", "sg_vpd -p bdc {a}", says="rotat"),
    Row("sg_vpd tells of ORDERED and HEAD OF QUEUE in page 86h", "sg_vpd -p ei {a}", says="HEADSUP=1 +ORDSUP=1"),
    Row("sg_vpd tells of third-party copies in page 8Fh", "sg_vpd -p tpc {a}"),
    Row("sg_vpd gives the port a relative number above 0", "sg_vpd -p di {a}", says="Relative target port: 0x[0-9a-f]*[1-9a-f]"),
    Row("lsblk -D shows what may be discarded", "lsblk -D {a}", says=r"\n\S+ +0 +4K +[1-9]\d*[MG]"),
    Row("sg_luns lists the three LUNs", "sg_luns {a}", says="= 24 which impl"),
    Row("sg_readcap tells 64 MiB, thin", "sg_readcap -l {a}", says="lbpme=1(.|\n)*67108864 bytes"),
    Row("sg_opcodes lists READ(16)", "sg_opcodes {a}", says=" 88 +16"),
    Row("sg_opcodes tells of one command, with its CDB's usage", "sg_opcodes -o 0x28 {a}", says="(?i)supported.*conform(.|\n)*28 "),
    Row("sg_opcodes tells of timeouts", "sg_opcodes -R -o 0x28 {a}", says="recommended timeout: [1-9]"),
    Row("sg_opcodes tells of task management functions", "sg_opcodes --tmf {a}", says="(?i)abort task"),
    Row("sg_rtpg tells that the port is active", "sg_rtpg -d {a}", says="active/optimized"),
    Row("sg_stpg may not change that", "sg_stpg --active {a}", (OK, ILLEGAL, UNKNOWN), says="Set Target Port Groups: Illegal request"),
    Row("sg_logs reads every log page", "sg_logs -a {a}", says="Informational Exceptions"),
    Row("sg_logs reads the page of logical block provisioning", "sg_logs -p 0xc {a}", says="(?i)provisioning"),
    Row("sg_modes reads every mode page", "sg_modes -a {a}", says="Caching(.|\n)*Control(.|\n)*Informational"),
    Row("sg_modes reads the read-write error recovery page", "sg_modes -p 1 {a}", says="error recovery"),
    Row("sg_modes reads with MODE SENSE(6)", "sg_modes -6 -a {a}", says="Caching"),
    Row("sg_requests gets sense data of both formats", "sg_requests {a} && sg_requests -d {a}", says="No Sense"),
    Row("sg_senddiag runs the default self test", "sg_senddiag -t {a}"),
    Row("sg_senddiag lists diagnostic pages", "sg_senddiag -l {a}", says="(?i)supported diagnostic"),
    Row("sg_turs finds the disk ready", "sg_turs {a}"),
    Row("sg_wr_mode sets D_SENSE for both initiators, and takes it back",
        "page=$(sg_modes -r -d -p 0xa {a} | od -An -v -tx1 -w12 -j8 | sed 's/^ //'); "
        "set_to() {{ sg_wr_mode -p 0xa -c \"$(echo \"$page\" | sed \"s/^\\(.. ..\\) ../\\1 $1/\")\" "
        "-m 0,0,4,0,0,0,0,0,0,0,0,0 {a}; }}; "
        "set_to 04 && sg_turs {A}; sg_modes -r -d -p 0xa {A} | od -An -v -tx1 -w12 -j8; set_to 00", says="Mode parameters changed(.|\n)* 26 10"),
]
# sg_xcopy looks for its disks where udev would put links.
LINKED = "mkdir -p /dev/block; for d in /sys/block/sd?; do ln -s /dev/${d##*/} /dev/block/$(cat $d/dev); done"
FILLED = ("yes 'one block of text' | head -c 512 >/tmp/block; yes another | head -c 512 >/tmp/other; "
          "cat /tmp/block /tmp/other >/tmp/swap; for i in 1 2 3 4 5 6 7 8; do cat /tmp/block; done >/tmp/eight; "
          "same() { dd if=$1 bs=512 skip=$2 count=8 iflag=direct 2>/dev/null | cmp - $3; }; dd if=/dev/zero of=/tmp/zeroes bs=4096 count=1 2>&1")
BLOCKS = [
    Row("sg_write_same fills blocks with WRITE SAME(16)", "sg_write_same --16 -l 64 -n 8 -i /tmp/block {a} && same {a} 64 /tmp/eight"),
    Row("sg_write_same fills blocks with WRITE SAME(10)", "sg_write_same --10 -l 72 -n 8 -i /tmp/block {a} && same {a} 72 /tmp/eight"),
    Row("sg_get_lba_status finds them mapped", "sg_get_lba_status -l 64 {a}", says=r"blocks: +16 +mapped"),
    Row("sg_verify finds the medium readable", "sg_verify -l 64 -c 16 {a}"),
    Row("sg_verify compares, and finds no difference", "sg_verify -l 64 -c 1 -n 512 -i /tmp/block {a}"),
    Row("sg_verify compares, and finds a difference", "sg_verify -l 64 -c 1 -n 512 -i /tmp/other {a}", MISCOMPARE),
    Row("sg_verify compares one block with many", "sg_verify -16 -l 64 -c 16 -E 3 -n 512 -i /tmp/block {a}"),
    Row("sg_unmap gives blocks back", "sg_unmap -f -l 64 -n 8 {a} && same {a} 64 /tmp/zeroes && same {a} 72 /tmp/eight"),
    Row("sg_get_lba_status finds them deallocated", "sg_get_lba_status -l 64 {a}", says=r"0x0*40 +blocks: +8 +dealloc"),
    Row("sg_write_same gives blocks back", "sg_write_same --16 -U -l 72 -n 8 {a} && same {a} 72 /tmp/zeroes && "
        "sg_get_lba_status -l 72 {a}", says="deallocated"),
    Row("sg_write_same needs no block to write zeroes", "sg_write_same --16 -l 80 -n 8 -i /tmp/block {a} && "
        "sg_write_same --16 -N -l 80 -n 8 {a} && same {a} 80 /tmp/zeroes"),
    Row("sg_compare_and_write writes where the block is as expected",
        "sg_write_same -l 96 -n 8 -i /tmp/block {a} && sg_compare_and_write -i /tmp/swap -l 96 {a} && "
        "sg_verify -l 96 -c 1 -n 512 -i /tmp/other {a}"),
    Row("sg_compare_and_write leaves any other block as it is",
        "sg_compare_and_write -q -i /tmp/swap -l 96 {a}; r=$?; sg_verify -l 96 -c 1 -n 512 -i /tmp/other {a} && [ $r = 14 ]"),
    Row("sg_write_x writes atomically", "sg_write_x -6 -A 0 -b 512 -l 104 -n 8 -i /tmp/eight {a} && same {a} 104 /tmp/eight"),
    Row("sg_sync writes what is cached", "sg_sync {a} && sg_sync -S {a}"),
    Row("sg_xcopy copies from one LUN to another",
        "dd if=/dev/urandom of={a} bs=64k count=4 oflag=direct 2>/dev/null; sg_xcopy if={a} of={b} bs=512 count=512 && "
        "[ \"$(head -c 262144 {a} | sha256sum)\" = \"$(head -c 262144 {b} | sha256sum)\" ]"),
    Row("sg_copy_results tells what a copy may be", "sg_copy_results -p {a}", says="(?i)maximum"),
    Row("sg_start stops the disk, which then is not ready", "sg_start --stop {c} && sg_turs {c}", NOT_READY),
    Row("sg_start starts it again", "sg_start --start {c} && sg_turs {c}"),
    Row("sg_prevent lets the medium of no removable disk be locked, and unlocked", "sg_prevent {a}; sg_prevent --allow {a}"),
    Row("sg_format looks at a disk and leaves it", "sg_format {c}", says="512"),
    Row("sg_format formats a disk", "sg_write_same -l 0 -n 8 -i /tmp/block {c} && sg_format -F -Q -w {c} && same {c} 0 /tmp/zeroes"),
    Row("sg_sanitize overwrites a disk", "sg_write_same -l 0 -n 8 -i /tmp/block {c} && sg_sanitize -O -z -Q -w {c} && "
        "same {c} 0 /tmp/zeroes"),
    Row("sg_sanitize erases the blocks of a disk", "sg_write_same -l 0 -n 8 -i /tmp/block {c} && sg_sanitize -B -Q -w {c} && "
        "same {c} 0 /tmp/zeroes"),
    Row("P1: sg_sanitize is refused where the policy does not name it", "sg_sanitize -B -Q -w {C}", (ILLEGAL, UNKNOWN)),
    Row("blkdiscard takes a part, and leaves the rest", "dd if=/dev/urandom of={a} bs=1M count=3 oflag=direct 2>/dev/null; "
        "dd if={a} bs=1M count=1 2>/dev/null >/tmp/first; /sbin/blkdiscard -o 1M -l 1M {a} && dd if={a} bs=1M count=1 iflag=direct "
        "2>/dev/null | cmp - /tmp/first && dd if={a} bs=1M skip=1 count=1 iflag=direct 2>/dev/null | tr -d '\\0' | wc -c", says=r"^0$"),
    Row("blkdiscard -z writes zeroes", "/sbin/blkdiscard -z -o 2M -l 1M {a} && dd if={a} bs=1M skip=2 count=1 iflag=direct 2>/dev/null | "
        "tr -d '\\0' | wc -c", says=r"^0$"),
    Row("sg_reset of the LUN tells both initiators", "sg_reset -d -N {a} && sg_turs {a}; [ $? = 6 ] && sg_turs {A}", ATTENTION,
        says="reset function occurred"),
    Row("sg_reset of the target tells both initiators", "sg_reset -t -N {a} && sg_turs {b}; [ $? = 6 ] && sg_turs {B}", ATTENTION),
    Row("after the resets the disks are ready", "sg_turs {a} >/dev/null; sg_turs {A} >/dev/null; sg_turs {b} >/dev/null; "
        "sg_turs {B} >/dev/null; sg_turs {a} && sg_turs {A} && sg_turs {b} && sg_turs {B}"),
]
# As a cluster fences a member: write exclusive, registrants only (5).
OUT = "sg_persist -o -n -T 5"
WRITE = "dd if=/tmp/zeroes of={} bs=4096 count=1 oflag=direct conv=notrunc"
FENCE = [
    Row("sg_persist reads an empty list of keys", "sg_persist -n -i -k {a}", says="NO registered"),
    Row("sg_persist reads the capabilities: every type, and registrations kept across power loss", "sg_persist -n -i -c {a}",
        says=r"(?is)\(PTPL_C\): 1.*Exclusive Access, all registrants: 1"),
    Row("sg_persist registers the first initiator", f"{OUT} -G -S 0xa1 {{a}}"),
    Row("sg_persist registers the second initiator", f"{OUT} -G -S 0xb2 {{A}}"),
    Row("both see both keys", "sg_persist -n -i -k {A}", says="(?s)0xa1.*0xb2"),
    Row("sg_persist reserves for the second initiator", f"{OUT} -R -K 0xb2 {{A}}"),
    Row("both see the reservation", "sg_persist -n -i -r {a}", says="(?s)0xb2.*Write Exclusive, registrants only"),
    Row("both may write", f"{WRITE.format('{a}')} && {WRITE.format('{A}')}"),
    Row("sg_persist reads the full status, with both initiators' names", "sg_persist -n -i -s {a}", says=f"(?s){CLIENT}.*{SECOND}"),
    Row("a wrong key is a conflict", f"{OUT} -P -K 0xa2 -S 0xb2 {{a}}", CONFLICT),
    Row("the first initiator preempts the second", f"{OUT} -A -K 0xa1 -S 0xb2 {{a}}"),
    Row("the second initiator is told (2Ah/05h), then kept out", "sg_turs {A}; sg_turs {A}; sg_persist -n -i -k {A}",
        says=r"(?is)registrations preempted.*0xa1"),
    Row("the fenced initiator's write fails with EBADE", f"{WRITE.format('{A}')}; [ $? != 0 ]", says="(?i)invalid exchange"),
    Row("the fenced initiator's UNMAP is a conflict", "sg_unmap -f -l 0 -n 8 {A}", CONFLICT),
    Row("the fenced initiator's WRITE SAME is a conflict", "sg_write_same -l 0 -n 8 -i /tmp/block {A}", CONFLICT),
    Row("the fenced initiator's COMPARE AND WRITE is a conflict", "sg_compare_and_write -i /tmp/swap -l 0 {A}", CONFLICT),
    Row("the fenced initiator may read still", "dd if={A} of=/dev/null bs=4096 count=1 iflag=direct"),
    Row("the first initiator writes on", WRITE.format("{a}")),
]
KEPT = [
    Row("a reservation is kept through a gateway that was killed (APTPL): the second initiator is kept out still",
        f"{WRITE.format('{A}')}; [ $? != 0 ] && sg_persist -n -i -r {{A}}", says="(?is)invalid exchange.*0xa1"),
    Row("its holder still writes", WRITE.format("{a}")),
    Row("its holder clears it", f"{OUT} -C -K 0xa1 {{a}}"),
    Row("then the second initiator writes again", f"sg_turs {{A}} >/dev/null; {WRITE.format('{A}')}"),
]


def served():
    gw = Gateway(policy=POLICY, allow="")
    gw.secret("bob", SECOND_SECRET)
    without = gw.policy.read_text()
    gw.policy.write_text(POLICY.format(**{**gw.values, "allow": "allow: [sanitize]"}))
    if gw.command("check", gw.policy).returncode:
        gw.policy.write_text(without)
    return gw.start()


def log_in_as_two():
    """Both initiators, from one guest; the names of the disks that each of them has, by LUN."""
    words = f"-m node -T {TARGET} -p {GATEWAY}:{gw.port}"
    guest.run(f"iscsiadm -m iface -I second -o new; iscsiadm -m iface -I second -o update -n iface.initiatorname -v {SECOND}")
    found = []
    for face, more in (("default", {}), ("second", {"node.session.auth.username": "bob", "node.session.auth.password": SECOND_SECRET})):
        update = " ".join(f"-n '{k}' -v '{v}'" for k, v in {**LOGIN, **more}.items())
        code, out = guest.run(f"iscsiadm {words} -I {face} -o new && iscsiadm {words} -I {face} -o update {update} && "
                              f"iscsiadm {words} -I {face} --login")
        check(AREA, f"the guest logs in with its {'first' if face == 'default' else 'second'} name", code == 0, out + gw.log())
        got = guest.run("for i in $(seq 600); do set -- /sys/class/scsi_disk/*/device/block/*; "
                        f"[ $# = {3 * len(found) + 3} ] && [ -b /dev/${{1##*/}} ] && break; usleep 50000; done; ls -d $*")[1]
        found = re.findall(r"scsi_disk/(\d+):\d+:\d+:(\d+)/device/block/(\w+)", got)
        found.sort(key=lambda row: (int(row[0]), int(row[1])))
    return dict(zip("abcABC", (f"/dev/{row[2]}" for row in found)))


def hold(rows):
    for row in rows:
        code, out = guest.run(row.command.format(**disks), 180)
        fine = code in row.status and re.search(row.says, out) is not None
        if row.awaits and not fine:
            skip(AREA, row.sentence, f"not yet: {row.awaits}; status {code}: {' '.join(out.split())[-120:]}")
        elif row.awaits:
            check(AREA, row.sentence, False, f"it holds: take the mark off ({row.awaits})")
        else:
            check(AREA, row.sentence, fine, f"status {code}\n{out}{gw.log()[-600:]}")


def allocated():
    return os.stat(gw.folder / "vault.img").st_blocks


files = image_or_skip("sg3-utils do as their manuals say")
gw = served()
guest = Guest(files)
guest.run(FILLED)
disks = log_in_as_two()
guest.run(LINKED)
check(AREA, "each initiator has the three disks", len(disks) == 6, disks)
for disk in disks.values():
    guest.run(f"sg_turs {disk}")
hold(TOLD)
hold(BLOCKS)
guest.run(f"dd if=/dev/urandom of={disks['a']} bs=1M count=8 oflag=direct")
before = allocated()
code, out = guest.run(f"/sbin/blkdiscard {disks['a']}")
check(AREA, "blkdiscard gives the whole file's space back to the gateway's file system", code == 0 and before > 16000 and
      allocated() < 100, f"{before} {allocated()}\n{out}")
hold(FENCE)
guest.run(f"{OUT} -G -Z -K 0xa1 -S 0xa1 {disks['a']}")
logins = gw.log().count("login: ")
gw.stop(signal.SIGKILL)
gw.start()
wait_for(lambda: gw.log().count("login: ") >= logins + 2, 120)
hold(KEPT)
check(AREA, "the gateway is well after sg3-utils", gw.is_well(), gw.log())
finish()
