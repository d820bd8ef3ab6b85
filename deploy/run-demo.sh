#!/bin/sh
# `make run`: a gateway on loopback with its policy, secrets, disk and state in run/, in the foreground.
# A second run finds all of it again.
set -eu
build=$1
bin=$build/sallyport
here=run
state=$here/state
client=iqn.2026-11.net.example:client
qemu=iqn.2026-11.net.example:qemu
target=iqn.2026-11.net.example.gw:vault
mkdir -p $here

secret() { # a name: its secret, kept for the lines below in a file that only this user reads
	[ -s $here/$1.secret ] && return
	(umask 077 && "$bin" secret generate "$1" --state $state >$here/$1.secret 2>/dev/null) || {
		"$bin" secret remove "$1" --state $state >/dev/null 2>&1 || true
		(umask 077 && "$bin" secret generate "$1" --state $state >$here/$1.secret)
	}
}
secret client
secret gateway
secret qemu

[ -s $here/policy.yaml ] || cat >$here/policy.yaml <<YAML
# The whole configuration of this gateway. \`sallyport check run/policy.yaml\` says whether it is right.
version: 1

portals:
  # Plain portals stand on loopback only: iSCSI itself encrypts nothing.
  here: {listen: ["127.0.0.1:3260", "[::1]:3260"], transport: plain}

disks:
  vault: {file: vault.img, size: 1GiB}        # made, sparse, when it is not there
  scratch: {memory: 64MiB}                    # gone when the gateway stops

targets:
  $target:
    alias: Demo
    portals: [here]
    luns: {0: vault, 1: scratch}
    initiators:
      $client:
        # Both sides prove themselves. md5 is named because libiscsi of Debian 12 knows nothing else;
        # Linux' own initiator does without it: leave "algorithms" out and it uses SHA3-256.
        chap: {user: client, mutual: gateway, algorithms: [md5]}
        luns: {0: read-write}
      $qemu:
        # QEMU's own driver can't ask the gateway for its proof: one-way CHAP has to be said.
        chap: {user: qemu, mutual: none, algorithms: [md5]}
        luns: {1: read-write}
YAML

user_secret=$(cat $here/client.secret)
gateway_secret=$(cat $here/gateway.secret)
qemu_secret=$(cat $here/qemu.secret)
cat <<TEXT

Sallyport serves run/vault.img (1 GiB) and 64 MiB of memory on 127.0.0.1 and ::1, port 3260. Closed by default:
loopback only, nobody without a secret of his own, every command audited. Paste into another terminal:

  export LIBISCSI_CHAP_TARGET_USERNAME=gateway LIBISCSI_CHAP_TARGET_PASSWORD=$gateway_secret
  iscsi-ls -i $client 'iscsi://client%$user_secret@127.0.0.1'
  iscsi-inq -i $client 'iscsi://client%$user_secret@127.0.0.1/$target/0'

  qemu-img info --image-opts driver=iscsi,transport=tcp,portal=127.0.0.1,target=$target,lun=1,\\
user=qemu,password=$qemu_secret,initiator-name=$qemu

  iscsiadm -m node -o new -T $target -p 127.0.0.1
  for setting in authmethod=CHAP username=client password=$user_secret username_in=gateway \\
    password_in=$gateway_secret chap_algs=MD5; do
    iscsiadm -m node -T $target -p 127.0.0.1 -o update -n node.session.auth.\${setting%%=*} -v "\${setting#*=}"; done
  iscsiadm -m node -T $target -p 127.0.0.1 --login     # /etc/iscsi/initiatorname.iscsi: $client

  $bin status --state $state          what is up
  $bin audit show --state $state      every command that was sent

Ctrl-C stops it.

TEXT
[ "$(id -u)" -eq 0 ] || echo "Not root: no firewall is loaded; addresses are checked at accept and login only."
exec "$bin" run $here/policy.yaml --state $state
