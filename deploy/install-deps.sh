#!/bin/sh
# Installs what building (build), testing (test, kernel) or measuring (bench) needs, when root; else names the command to type.
# For Debian and Ubuntu; elsewhere it names what is needed. Makes the two users that a gateway started
# as root runs its processes as.
set -eu
PATH=$PATH:/usr/sbin:/sbin

build="gcc make libc6-dev libssl-dev libsodium-dev libyaml-dev libnftnl-dev libmnl-dev liburing-dev
	libseccomp-dev libisal-dev libjansson-dev libidn-dev libzstd-dev libsqlite3-dev nftables
	tzdata"
test="python3 libcmocka-dev libiscsi-bin qemu-utils qemu-block-extra iproute2 tshark clang clang-format
	clang-tidy mandoc shellcheck git procps systemd e2fsprogs xfsprogs ntfs-3g fdisk stunnel4
	haproxy"

kernel="python3 qemu-system-x86 qemu-block-extra ipxe-qemu seabios binutils tshark iproute2"

bench="python3 openssl stunnel4 tgt istgt"

what=${1:-build}
case $what in
build) packages=$build ;;
test) packages="$build $test" ;;
kernel) packages="$build $kernel" ;;
bench) packages="$build $bench" ;;
*)
	echo "install-deps.sh: build, test, kernel or bench, not '$what'" >&2
	exit 2
	;;
esac

installed() { # a package, or a pattern of names
	dpkg-query -W -f '${Status}\n' "$1" 2>/dev/null | grep -q 'install ok installed'
}

# The sanitizers' libraries: of clang itself up to 14 on Ubuntu, then in a package whose name changed.
runtime() {
	installed 'libclang-rt-*dev' && return
	for p in libclang-rt-dev libclang-rt-14-dev; do
		if [ -n "$(apt-cache show "$p" 2>/dev/null)" ]; then
			echo "$p"
			return
		fi
	done
}

# The browser that the report's page is tried in: Debian has it as a package, Ubuntu has not.
browser() {
	installed chromium || [ -z "$(apt-cache show chromium 2>/dev/null)" ] || echo chromium
}

fetch() {
	# shellcheck disable=SC2086
	apt-get install -qqy --no-install-recommends $missing >/dev/null
}

if ! command -v apt-get >/dev/null; then
	echo "this is neither Debian nor Ubuntu; what is needed is what they call:" >&2
	echo "$packages" >&2
	exit 0
fi

missing=
runtime="$(runtime) $(browser)"
for p in $packages; do
	installed "$p" || missing="$missing $p"
done
[ "$what" != test ] || missing="$missing $runtime"
missing=$(echo $missing)

if [ -n "$missing" ]; then
	if [ "$(id -u)" -ne 0 ]; then
		echo "packages are missing; type:  sudo apt-get install $missing" >&2
		exit 3
	fi
	echo "installing: $missing"
	export DEBIAN_FRONTEND=noninteractive
	fetch 2>/dev/null || {
		apt-get update -qq
		# only now does a fresh machine know which packages there are
		[ "$what" != test ] || missing="$missing $(runtime) $(browser)"
		fetch
	} || {
		echo "the packages could not be installed; try:  apt-get install $missing" >&2
		exit 3
	}
fi

[ "$(id -u)" -eq 0 ] || exit 0
for user in sallyport sallyport-net; do
	getent passwd $user >/dev/null ||
		useradd --system --user-group --no-create-home --home-dir /nonexistent \
			--shell /usr/sbin/nologin $user
done
