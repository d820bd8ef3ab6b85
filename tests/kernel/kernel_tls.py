#!/usr/bin/env python3
"""The Linux kernel's initiator on a portal with TLS: through `sallyport connect` and through stunnel, both in the guest, with
I/O that verifies while the gateway is killed; and without a tunnel, nowhere."""
import pathlib, shutil, sys
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))
from guest import *
from pki import CA

SECONDS = 60 if SOAK else 10
POLICY = """\
version: 1
portals:
  wan:
    listen: ["127.0.0.1:{port}"]
    transport: tls
    certificate: {folder}/gw.pem
    key: {folder}/gw.key
    client_ca: {folder}/clients.pem
disks:
  vault: {{file: {folder}/vault.img, size: 64MiB}}
targets:
  {target}:
    portals: [wan]
    luns: {{0: vault}}
    initiators:
      {client}:
        from: [127.0.0.1]
        chap: {{user: alice, mutual: gw-for-alice}}
firewall: {{manage: false}}
"""
LOAD = (f"fio --name=v --filename=/dev/sda --rw=randwrite --bs=4k --size=32m --io_size=8g --runtime={SECONDS} --time_based "
        "--verify=crc32c --verify_backlog=512 --verify_fatal=1 --direct=1 --ioengine=libaio --iodepth=8 --minimal")

files = image_or_skip("logins through connect and stunnel")
ca = CA()
gw = Gateway(policy=POLICY)
server, client = ca.server(san=f"DNS:localhost,IP:{GATEWAY}"), ca.client(CLIENT)
for name, file in (("gw.pem", server[0]), ("gw.key", server[1]), ("clients.pem", ca.pem)):
    shutil.copy(file, gw.folder / name)
(gw.folder / "gw.key").chmod(0o600)
gw.start()
printed = gw.command("client", CLIENT, gw.policy, "--for", "stunnel").stdout
# As printed, but for where this guest reaches the gateway, and beside the other tunnel.
stunnel = ("pid = /tmp/stunnel.pid\nforeground = quiet\nsyslog = no\n" + printed.replace("accept = 127.0.0.1:3260", "accept = 127.0.0.1:3270")
           .replace(f"connect = 127.0.0.1:{gw.port}", f"connect = {GATEWAY}:{gw.port}"))
guest = Guest(files, memory=1024, more=[
    ("usr/local/bin/sallyport", 0o100755, (BUILD / "sallyport").read_bytes()), ("id/client.pem", 0o100644, client[0].read_bytes()),
    ("id/client.key", 0o100600, client[1].read_bytes()), ("id/ca.pem", 0o100644, ca.pem.read_bytes()),
    ("id/stunnel.conf", 0o100644, stunnel.encode())])
CONNECT = f"/usr/local/bin/sallyport connect {GATEWAY}:{gw.port} --identity /id"


def said(name):
    return guest.run(f"tail -20 /tmp/{name}.log")[1] + gw.log()[-2000:]


def start(name, command, port):
    return guest.run(f"cd /id; {command} >/tmp/{name}.log 2>&1 & echo $! >/tmp/{name}.pid; "
                     f"for i in $(seq 600); do grep -q '0100007F:{port:04X} 00000000:0000 0A' /proc/net/tcp && break; usleep 50000; done; "
                     f"grep -q '0100007F:{port:04X} 00000000:0000 0A' /proc/net/tcp")[0] == 0


def record(place):
    words = f"-m node -T {TARGET} -p {place}"
    update = " ".join(f"-n '{k}' -v '{v}'" for k, v in LOGIN.items())
    return guest.run(f"iscsiadm {words} -o new && iscsiadm {words} -o update {update}")


def login(place):
    return guest.run(f"iscsiadm -m node -T {TARGET} -p {place} --login && "
                     "for i in $(seq 200); do [ -b /dev/sda ] && break; usleep 50000; done; [ -b /dev/sda ]")


def restart():
    gw.stop(signal.SIGKILL)
    gw.start()


def load(how, name):
    """fio, while the gateway is killed and started again."""
    guest.run("dmesg -c >/dev/null")
    guest.begin(LOAD)
    logins = gw.log().count("login: ")
    written = gw.sessions()
    wait_for(lambda: gw.sessions() != written, 5)
    restart()
    back = wait_for(lambda: gw.log().count("login: ") > logins, 120)
    code, out = guest.end(SECONDS + 180)
    kernel = guest.run("dmesg -c")[1]
    lost = re.search(r"I/O error|Buffer I/O|offlined|blk_update_request", kernel)
    check(AREA, f"{how}: fio's writes go on and verify when the gateway is killed and started", code == 0 and back and not lost,
          out[-400:] + kernel + said(name))


def through(how, name, place):
    record(place)
    code, out = login(place)
    check(AREA, f"{how}: the kernel logs in, with mutual CHAP in SHA3-256", code == 0, out + said(name))
    code, out = guest.run("modprobe ext4; /sbin/mke2fs -q -F -t ext4 /dev/sda && mount -t ext4 /dev/sda /mnt && dd if=/dev/urandom of=/mnt/f bs=1M count=8 2>/dev/null && sum=$(sha256sum /mnt/f) && "
                          "umount /mnt && echo 3 >/proc/sys/vm/drop_caches && mount -t ext4 /dev/sda /mnt && [ \"$sum\" = \"$(sha256sum /mnt/f)\" ] && umount /mnt")
    check(AREA, f"{how}: ext4 keeps what it is given", code == 0, out + said(name))
    load(how, name)
    code, out = guest.run(f"iscsiadm -m node -T {TARGET} -p {place} --logout")
    check(AREA, f"{how}: it logs out", code == 0, out + said(name))


code, out = guest.run(f"{CONNECT} --check")
check(AREA, "connect --check in the guest finds the gateway well", code == 0 and "TLS 1.3" in out, out + gw.log()[-1500:])
check(AREA, "connect listens in the guest", start("connect", CONNECT, 3260), said("connect"))
through("through connect", "connect", "127.0.0.1:3260")
code, out = guest.run("kill $(cat /tmp/connect.pid); for i in $(seq 200); do [ -d /proc/$(cat /tmp/connect.pid) ] || break; usleep 50000; done; "
                      "! [ -d /proc/$(cat /tmp/connect.pid) ]")
check(AREA, "connect ends when it is told to", code == 0, out + said("connect"))
check(AREA, "stunnel listens in the guest, with what `client --for stunnel` printed", start("stunnel", "stunnel4 /id/stunnel.conf", 3270), said("stunnel"))
through("through stunnel", "stunnel", "127.0.0.1:3270")
place = f"{GATEWAY}:{gw.port}"
record(place)
code, out = guest.run(f"iscsiadm -m node -T {TARGET} -p {place} -o update -n node.session.initial_login_retry_max -v 1; "
                      f"iscsiadm -m node -T {TARGET} -p {place} -o update -n 'node.conn[0].timeo.login_timeout' -v 5; timeout 60 iscsiadm -m node -T {TARGET} -p {place} --login")
check(AREA, "P1: without a tunnel, the kernel does not get in", code != 0, out + gw.log()[-1500:])
check(AREA, "and the audit says that it spoke no TLS", wait_for(lambda: any(e.get("reason") == "tls-plain-on-a-tls-port" for e in gw.audit())),
      gw.audit()[-5:])
finish()
