#!/bin/sh
# Installs what building (build) or testing (test) needs, when root; else names the command to type.
# Makes the two users that a gateway started as root runs its processes as.
set -eu

build="gcc make libc6-dev libssl-dev libsodium-dev libyaml-dev libnftnl-dev libmnl-dev liburing-dev
	libseccomp-dev libisal-dev libjansson-dev nftables"
test="python3 libcmocka-dev libiscsi-bin qemu-utils qemu-block-extra iproute2 clang clang-format
	clang-tidy cppcheck libclang-rt-14-dev git procps systemd"

what=${1:-build}
case $what in
build) packages=$build ;;
test) packages="$build $test" ;;
*) echo "install-deps.sh: build or test, not '$what'" >&2; exit 2 ;;
esac

missing=
for p in $packages; do
	dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' ||
		missing="$missing $p"
done

if [ -n "$missing" ]; then
	if [ "$(id -u)" -ne 0 ]; then
		echo "missing packages; type:  sudo apt-get install$missing" >&2
		exit 3
	fi
	echo "installing:$missing"
	export DEBIAN_FRONTEND=noninteractive
	# shellcheck disable=SC2086
	apt-get install -qqy --no-install-recommends $missing >/dev/null 2>&1 || {
		apt-get update -qq
		apt-get install -qqy --no-install-recommends $missing >/dev/null
	}
fi

[ "$(id -u)" -eq 0 ] || exit 0
for user in sallyport sallyport-net; do
	getent passwd $user >/dev/null ||
		useradd --system --user-group --no-create-home --home-dir /nonexistent \
			--shell /usr/sbin/nologin $user
done
