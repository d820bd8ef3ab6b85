#!/bin/sh
# What `make install` puts beside the programs: install-files.sh DESTDIR PREFIX
set -eu
root=$1$2
prefix=$2
cd "$(dirname "$0")/.."

put() { # FILE FOLDER [NAME]: below DESTDIR and PREFIX
	install -D -m 0644 "$1" "$root/$2/${3:-$(basename "$1")}"
}

for page in deploy/man/*.[1-9]; do
	put "$page" "share/man/man${page##*.}"
done
put deploy/sysusers.conf lib/sysusers.d sallyport.conf
put deploy/sallyport.bash share/bash-completion/completions sallyport
put LICENSE share/doc/sallyport
put gateway/cli/report/uplot/LICENSE share/doc/sallyport LICENSE.uPlot
if [ -f README.md ]; then put README.md share/doc/sallyport; fi
put deploy/images/report.png share/doc/sallyport/deploy/images
for example in deploy/examples/*; do
	if [ -f "$example" ]; then put "$example" share/doc/sallyport/examples; fi
done

units=$root/lib/systemd/system
install -d "$units"
for unit in deploy/*.service; do
	sed "s|@PREFIX@|$prefix|g" "$unit" >"$units/$(basename "$unit")"
	chmod 0644 "$units/$(basename "$unit")"
done

[ -n "$1" ] || cat <<TEXT
Installed below $prefix. To serve, as root:
  systemd-sysusers                       # makes the users sallyport and sallyport-net
  install -d -o sallyport -g sallyport /srv/sallyport    # disks that are files
  sallyport secret generate NAME         # for each name that the policy has under chap:
  \$EDITOR /etc/sallyport/policy.yaml     # begin with one of $prefix/share/doc/sallyport/examples
  sallyport check /etc/sallyport/policy.yaml
  systemctl daemon-reload && systemctl enable --now sallyport
TEXT
