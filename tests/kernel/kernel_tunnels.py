#!/usr/bin/env python3
"""IPsec and WireGuard, as Debian has them: the configurations that `sallyport ipsec` and `sallyport wireguard` write make
tunnels, the kernel logs in through them, and beside them nobody does. The gateway is in the guest, in a namespace."""
import json, pathlib, re, sys
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))
from guest import *

IPSEC_TARGET, WG_TARGET = TARGET, TARGET + "-wg"
POLICY = f"""\
version: 1
portals:
  site: {{listen: ["10.8.0.1:3260"], transport: ipsec}}
  vpn: {{listen: ["10.9.0.1:3260"], transport: {{interface: wg0}}}}
disks:
  vault: {{memory: 16MiB}}
  second: {{memory: 16MiB}}
targets:
  {IPSEC_TARGET}:
    portals: [site]
    luns: {{0: vault}}
    initiators:
      {CLIENT}:
        from: [10.8.0.7]
        chap: {{user: alice, mutual: gw-for-alice}}
  {WG_TARGET}:
    portals: [vpn]
    luns: {{0: second}}
    initiators:
      {CLIENT}:
        from: [10.9.0.7]
        chap: {{user: alice, mutual: gw-for-alice}}
firewall: {{manage: MANAGE}}
"""
STRONGSWAN = "charon {\n filelog {\n  log {\n   path = /tmp/charon.log\n   default = 1\n   flush_line = yes\n  }\n }\n}\n"
# The gateway's IKE daemon has a /run and a /tmp of its own.
GATEWAY_IKE = """\
mount -t tmpfs none /run
mkdir -p /gwtmp && mount --bind /gwtmp /tmp
/usr/lib/ipsec/charon &
for i in $(seq 400); do [ -S /run/charon.vici ] && break; usleep 50000; done
swanctl --load-all --file /tunnels/gateway/swanctl.conf
echo "loaded: $?" >/tmp/loaded
wait
"""
CLIENT_IKE = """\
/usr/lib/ipsec/charon >/dev/null 2>&1 &
for i in $(seq 400); do [ -S /run/charon.vici ] && break; usleep 50000; done
swanctl --load-all --file /tunnels/initiators/alice/swanctl.conf
"""
# The shell has an `ip` of its own, which knows no namespaces.
SET_UP = """\
ip() { /bin/ip "$@"; }
set -e
echo /bin/modprobe >/proc/sys/kernel/modprobe
modprobe -a veth esp4 xfrm_user aes_generic ctr ghash-generic gcm sha512_generic drbg seqiv wireguard nf_tables nft_ct nft_limit nft_connlimit nf_conntrack
mkdir -p /var /run /usr/local/bin; ln -sfn /run /var/run; ln -s /proc/self/fd /dev/fd
ip netns add gw && ip link add up0 type veth peer name h1 netns gw
ip addr add 10.8.0.7/24 dev up0 && ip link set up0 up
ip -n gw addr add 10.8.0.1/24 dev h1 && ip -n gw link set h1 up && ip -n gw link set lo up
sed s/MANAGE/false/ policy.yaml >open.yaml; sed -i s/MANAGE/true/ policy.yaml
set +e
"""

files = image_or_skip("logins through IPsec and WireGuard")
programs = [(f"usr/local/bin/{name}", 0o100755, (BUILD / name).read_bytes()) for name in ("sallyport", "sallyport-session", "sallyport-session-tls")]
guest = Guest(files, memory=1024, more=[
    *programs, ("policy.yaml", 0o100644, POLICY.encode()), ("etc/strongswan.conf", 0o100644, STRONGSWAN.encode()),
    ("gateway-ike", 0o100755, GATEWAY_IKE.encode()), ("client-ike", 0o100755, CLIENT_IKE.encode())])
SALLYPORT = "/usr/local/bin/sallyport"


def must(command, seconds=120):
    code, out = guest.run(command, seconds)
    if code:
        raise SystemExit(f"FAIL {AREA}: {command}: {code}\n{out}\n{said()}\n{guest.log()}")
    return out


def gateway_start(policy):
    must(f"/bin/ip netns exec gw {SALLYPORT} run /{policy} --state /state >/tmp/gateway 2>&1 & echo $! >/tmp/pid; "
         f"{SALLYPORT} status --state /state --wait 60 >/dev/null 2>&1; [ $? -lt 3 ]")


def gateway_stop():
    must(f"kill $(cat /tmp/pid); for i in $(seq 400); do [ -d /proc/$(cat /tmp/pid) ] || break; usleep 50000; done; "
         "! [ -d /proc/$(cat /tmp/pid) ]")


def ike_start():
    must("rm -f /gwtmp/loaded; ip netns exec gw sh /gateway-ike >/tmp/gateway-ike 2>&1 & "
         "for i in $(seq 600); do [ -s /gwtmp/loaded ] && break; usleep 50000; done; cat /gwtmp/loaded; "
         "grep -q 'loaded: 0' /gwtmp/loaded && sh /client-ike")


def ike_stop():
    """Both daemons are gone, with all that the kernel knew from them."""
    must("killall charon; for i in $(seq 200); do pidof charon >/dev/null || break; usleep 50000; done; "
         "for n in 'ip' 'ip -n gw'; do $n xfrm policy flush; $n xfrm state flush; done; rm -f /run/charon.*")


def record(address, target):
    words = f"-m node -T {target} -p {address}:3260"
    values = {**LOGIN, "node.session.initial_login_retry_max": "1", "node.conn[0].timeo.login_timeout": "15"}
    update = " ".join(f"-n '{k}' -v '{v}'" for k, v in values.items())
    must(f"iscsiadm {words} -o new >/dev/null && iscsiadm {words} -o update {update}")


def logged_in(address, target):
    """In, a disk read, and out again."""
    words = f"-m node -T {target} -p {address}:3260"
    return guest.run(f"iscsiadm {words} --login && for i in $(seq 200); do [ -b /dev/sda ] && break; usleep 50000; done; "
                     f"dd if=/dev/sda of=/dev/null bs=64k count=16 2>&1; got=$?; iscsiadm {words} --logout >/dev/null; [ $got = 0 ]")


def reaches(address):
    return guest.run(f"timeout 4 bash -c 'exec 3<>/dev/tcp/{address}/3260'")[0] == 0


def audit():
    out = guest.run(f"{SALLYPORT} audit show --json --state /state")[1]
    return [json.loads(line) for line in out.splitlines() if line.startswith("{")]


def said():
    return "\n".join(guest.run(f"tail -15 {file}")[1] for file in ("/tmp/gateway", "/tmp/charon.log", "/gwtmp/charon.log", "/tmp/gateway-ike"))


def protected():
    """Octets that ESP has carried to the gateway."""
    out = guest.run("ip -n gw -s xfrm state")[1]
    return sum(int(n) for n in re.findall(r"(\d+)\(bytes\), \d+\(packets\)", out)), out


must(SET_UP)
for name, value in (("alice", SECRET), ("gw-for-alice", MUTUAL)):
    must(f"printf %s {value} | {SALLYPORT} secret set {name} --state /state")
must(f"{SALLYPORT} ipsec --dir /tunnels --state /state policy.yaml && {SALLYPORT} wireguard --dir /tunnels --endpoint 10.8.0.1 "
     "--state /state policy.yaml")
must("ip netns exec gw wg-quick up /tunnels/gateway/wg0.conf && wg-quick up /tunnels/initiators/alice/wg0.conf")
ike_start()
gateway_start("policy.yaml")
for address, target in (("10.8.0.1", IPSEC_TARGET), ("10.9.0.1", WG_TARGET)):
    record(address, target)

code, out = logged_in("10.8.0.1", IPSEC_TARGET)
carried, states = protected()
check(AREA, "the kernel logs in through IPsec that `sallyport ipsec` configured, and reads its disk", code == 0, out + said())
check(AREA, "it went through ESP with AES-GCM, tunnel mode and long sequence numbers", carried > 1 << 20 and
      "rfc4106(gcm(aes))" in states and "mode tunnel" in states and "esn" in states, states)
code, out = logged_in("10.9.0.1", WG_TARGET)
check(AREA, "the kernel logs in through WireGuard that `sallyport wireguard` configured, and reads its disk", code == 0,
      out + said())

ike_stop()
check(AREA, "P1: the same address beside IPsec is dropped by the firewall", not reaches("10.8.0.1"), said())
must("wg-quick down /tunnels/initiators/alice/wg0.conf; ip addr add 10.9.0.7/32 dev up0; ip route add 10.9.0.1/32 dev up0 src 10.9.0.7")
check(AREA, "P1: the same address beside WireGuard is dropped by the firewall", not reaches("10.9.0.1"), said())

gateway_stop()
gateway_start("open.yaml")
check(AREA, "without a firewall, the portal of the interface is closed beside it", not reaches("10.9.0.1"), said())
check(AREA, "without a firewall, whoever is beside IPsec reaches the portal", reaches("10.8.0.1"), said())
code, out = logged_in("10.8.0.1", IPSEC_TARGET)
refused = [e for e in audit() if e.get("reason") == "not-through-ipsec"]
check(AREA, "P1: its login is refused by what the kernel says of IPsec", code != 0, out + said())
check(AREA, "the audit says who was not within IPsec", refused and refused[0]["peer_ip"] == "10.8.0.7", audit()[-6:])

ike_start()
code, out = logged_in("10.8.0.1", IPSEC_TARGET)
check(AREA, "with the tunnel, also without a firewall, the kernel finds the connection covered", code == 0, out + said())
check(AREA, "and a connection beside it is dropped by the policies that the configuration brought",
      "dir in action block" in guest.run("ip -n gw xfrm policy")[1], guest.run("ip -n gw xfrm policy")[1])
finish()
