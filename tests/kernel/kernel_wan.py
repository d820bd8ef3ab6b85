#!/usr/bin/env python3
"""A long line, as Linux itself makes it: delay, loss, half a minute without network, a NAT that forgets, an end that vanishes.

The gateway is in the guest, in a namespace; between it and the kernel's initiator is a router in another one. What is measured
is printed; nothing is judged by the clock but that it ends.
"""
import pathlib, sys
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))
from guest import *

PING_S, FORGETS_S, AWAY_S = 4, 12, 30  # a ping of ours; when the NAT forgets a silent connection; an outage
POLICY = f"""\
version: 1
portals:
  wan: {{listen: ["10.8.0.1:3260"], transport: plain, accept_risk: true}}
disks:
  vault: {{memory: 64MiB}}
targets:
  {TARGET}:
    portals: [wan]
    luns: {{0: vault}}
    initiators:
      {CLIENT}:
        from: [10.8.0.2]
        chap: {{user: alice, mutual: gw-for-alice}}
firewall: {{manage: false}}
gateway: {{ping: {{every: PINGs, misses: 3}}}}
""".replace("PING", str(PING_S))
# The shell has an `ip` of its own, which knows no namespaces. The router's address is all that the gateway sees.
SET_UP = f"""\
( set -e
ip() {{ /bin/ip "$@"; }}
echo /bin/modprobe >/proc/sys/kernel/modprobe
modprobe -a veth nf_tables nft_ct nf_conntrack nf_nat nft_chain_nat nft_masq sch_netem
mkdir -p /var /run; ln -sfn /run /var/run
ip netns add gw; ip netns add nat
ip link add up0 type veth peer name down0 netns nat
ip -n nat link add up1 type veth peer name h1 netns gw
ip addr add 10.7.0.7/24 dev up0; ip link set up0 up
ip -n nat addr add 10.7.0.1/24 dev down0; ip -n nat link set down0 up
ip -n nat addr add 10.8.0.2/24 dev up1; ip -n nat link set up1 up; ip -n nat link set lo up
ip -n gw addr add 10.8.0.1/24 dev h1; ip -n gw link set h1 up; ip -n gw link set lo up
ip route add 10.8.0.0/24 via 10.7.0.1
at_nat="ip netns exec nat"
$at_nat sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
$at_nat nft 'table ip t {{ chain out {{ type nat hook postrouting priority 100; oifname "up1" masquerade; }};
 chain through {{ type filter hook forward priority 0; ct state invalid drop; }}; }}'
$at_nat sh -c 'cd /proc/sys/net/netfilter; echo 0 >nf_conntrack_tcp_loose; echo {FORGETS_S} >nf_conntrack_tcp_timeout_established' )
"""
SALLYPORT = "/usr/local/bin/sallyport"
QUIET = {"node.conn[0].timeo.noop_out_interval": "0", "node.conn[0].timeo.noop_out_timeout": "0"}
CUT = "/bin/ip netns exec nat nft 'table ip cut { chain c { type filter hook forward priority -10; policy drop; }; }'"
MEND = "/bin/ip netns exec nat nft delete table ip cut"  # nobody is told of either

files = image_or_skip("a long line")
programs = [(f"usr/local/bin/{name}", 0o100755, (BUILD / name).read_bytes()) for name in ("sallyport", "sallyport-session", "sallyport-session-tls")]
guest = Guest(files, memory=1024, more=[*programs, ("policy.yaml", 0o100644, POLICY.encode())])


def said():
    return guest.run("tail -15 /tmp/gateway; dmesg | tail -8")[1]


def must(command, seconds=300):
    code, out = guest.run(command, seconds)
    if code:
        raise SystemExit(f"FAIL {AREA}: {command}: {code}\n{out}\n{said()}\n{guest.log()}")
    return out


def line(ms, loss="0%"):
    """Delay in each direction, half of what there and back takes; loss in each."""
    for device in ("down0", "up1"):
        must(f"/bin/ip netns exec nat tc qdisc replace dev {device} root netem limit 100000 delay {ms // 2}ms loss {loss}")


def node(settings):
    words = f"-m node -T {TARGET} -p 10.8.0.1:3260"
    values = {**LOGIN, "node.conn[0].timeo.noop_out_interval": "5", "node.conn[0].timeo.noop_out_timeout": "5", **settings}
    update = " ".join(f"-n '{k}' -v '{v}'" for k, v in values.items())
    must(f"iscsiadm {words} -o delete >/dev/null 2>&1; iscsiadm {words} -o new >/dev/null && iscsiadm {words} -o update {update}")


def login():
    return guest.run(f"iscsiadm -m node -T {TARGET} -p 10.8.0.1:3260 --login && "
                     "for i in $(seq 200); do [ -b /dev/sda ] && break; usleep 50000; done; [ -b /dev/sda ]")


def logout():
    return guest.run(f"iscsiadm -m node -T {TARGET} -p 10.8.0.1:3260 --logout")


def fio(seconds, depth=8, size="4k", rw="randrw"):
    return (f"fio --name=v --filename=/dev/sda --rw={rw} --bs={size} --size=32m --io_size=8g --runtime={seconds} --time_based "
            f"--verify=crc32c --verify_backlog=64 --verify_fatal=1 --direct=1 --ioengine=libaio --iodepth={depth} --minimal")


def clean():
    """What the kernel has said of errors since the last time; "" if nothing."""
    kernel = guest.run("dmesg -c")[1]
    return "\n".join(l for l in kernel.splitlines() if re.search(r"I/O error|Buffer I/O|offlined|blk_update_request", l))


def logins():
    return int(guest.run("grep -c 'login: ' /tmp/gateway")[1].split()[0])


def took(kib):
    """Milliseconds that one read, and one write, of this size take; for who looks at figures."""
    for what in ("if=/dev/sda of=/dev/null iflag=direct", "if=/dev/zero of=/dev/sda oflag=direct"):
        out = must(f"cat /proc/uptime; dd {what} bs={kib}k count=10 2>/dev/null; cat /proc/uptime").splitlines()
        yield 100 * (float(out[1].split()[0]) - float(out[0].split()[0]))


must(SET_UP)
for name, value in (("alice", SECRET), ("gw-for-alice", MUTUAL)):
    must(f"printf %s {value} | {SALLYPORT} secret set {name} --state /state")
must(f"/bin/ip netns exec gw {SALLYPORT} run /policy.yaml --state /state >/tmp/gateway 2>&1 & echo $! >/tmp/pid; "
     f"{SALLYPORT} status --state /state --wait 60 >/dev/null 2>&1; [ $? -lt 3 ]")

# --- delay and loss ------------------------------------------------------------------------------------------------------
node({})
for ms, loss in ((50, "0.1%"), (200, "0.1%")):
    line(ms, loss)
    code, out = login()
    check(AREA, f"the kernel logs in over a line of {ms} ms that loses {loss}", code == 0, out + said())
    guest.run("dmesg -c >/dev/null")
    code, out = guest.run(fio(10, depth=32, size="64k"), 300)
    lost = clean()
    check(AREA, f"what is written over {ms} ms with {loss} lost is what is read, without an I/O error", code == 0 and not lost,
          out[-400:] + lost + said())
    figures = ("{} KiB: read in {:.0f} ms, written in {:.0f} ms".format(kib, *took(kib)) for kib in (4, 256, 1024))
    evidence(f"over {ms} ms with {loss} lost, {', '.join(figures)}")
    code, out = logout()
    check(AREA, f"and it logs out over {ms} ms", code == 0, out)

# --- half a minute without network ---------------------------------------------------------------------------------------
line(50)
code, out = login()
check(AREA, "the kernel is in before the network goes", code == 0, out + said())
guest.run("dmesg -c >/dev/null")
before = logins()
must(f"(sleep 5; {CUT}; sleep {AWAY_S}; {MEND}; echo mended >/tmp/mended) >/dev/null 2>&1 &")
code, out = guest.run(fio(AWAY_S + 20), 600)
lost = clean()
check(AREA, f"{AWAY_S} s without network: fio's reads and writes go on and verify, without an I/O error",
      code == 0 and not lost and "mended" in guest.run("cat /tmp/mended")[1], out[-400:] + lost + said())
check(AREA, "the kernel has come back by itself", logins() > before, said())

# --- an end that vanishes ----------------------------------------------------------------------------------------------------
must(f"{SALLYPORT} sessions --json --state /state | grep -q pid")
must(CUT)
code, out = guest.run(f"for i in $(seq 120); do {SALLYPORT} sessions --json --state /state | grep -q pid || break; usleep 500000; done; "
                      f"! {SALLYPORT} sessions --json --state /state | grep -q pid", 300)
check(AREA, "a client that has vanished without a word is noticed by pings and TCP's own timers, and its session ended", code == 0, out + said())
must(MEND)
code, out = guest.run("dd if=/dev/sda of=/dev/null bs=4k count=1 iflag=direct", 300)
lost = clean()
check(AREA, "when it is back, its next read is answered, without an I/O error", code == 0 and not lost, out + lost + said())
code, out = logout()
check(AREA, "and it logs out", code == 0, out)

# --- a NAT that forgets --------------------------------------------------------------------------------------------------------
node(QUIET)
code, out = login()
check(AREA, "a kernel that never pings is in, through a NAT", code == 0, out + said())
before = logins()
must(f"sleep {3 * FORGETS_S}", 300)
known = guest.run("cat /proc/net/nf_conntrack /proc/sys/net/netfilter/nf_conntrack_count 2>&1")[1]
code, out = guest.run("dd if=/dev/sda of=/dev/null bs=4k count=1 iflag=direct", 300)
check(AREA, f"after a silence of {3 * FORGETS_S} s the NAT, which forgets after {FORGETS_S} s, knows the connection still: our pings keep it",
      code == 0 and logins() == before, out + known + said())
code, out = logout()
check(AREA, "and that kernel logs out", code == 0, out)
must("kill $(cat /tmp/pid); for i in $(seq 400); do [ -d /proc/$(cat /tmp/pid) ] || break; usleep 50000; done; ! [ -d /proc/$(cat /tmp/pid) ]")
finish()
