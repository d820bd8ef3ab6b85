#!/bin/sh
# What a machine can say about style: formatting, static analysis, figures, includes, shell, manuals.
# Prints one line a check, then what it found. Tools that are not here are skipped, and named.
set -u
cd "$(dirname "$0")/.." || exit 3
failed=0
found=$(mktemp) || exit 3
trap 'rm -f "$found"' EXIT

check() { # SENTENCE COMMAND...
	sentence=$1
	shift
	if "$@" >"$found" 2>&1; then
		echo "ok lint: $sentence"
	else
		echo "FAIL lint: $sentence"
		sed 's/^/    /' "$found"
		failed=$((failed + 1))
	fi
}

need() { # PROGRAM SENTENCE
	command -v "$1" >/dev/null && return 0
	echo "skip lint: $2 ($1 is not installed)"
	return 1
}

sources() {
	find gateway auth policy backends tests -name '*.[ch]' | sort
}

formatted() {
	sources | xargs clang-format --dry-run -Werror
}

# Two at a time; of a finding, the line and the place are enough.
tidy() {
	sources | grep '\.c$' | grep -v /conformance/ | xargs -P2 -n4 sh -c '
		clang-tidy --quiet "$@" -- -std=gnu11 -I. -D_GNU_SOURCE -DSALLYPORT_VERSION=\"0\" \
			2>/dev/null' tidy >"$found.tidy"
	status=$?
	grep -A2 ' error: ' "$found.tidy"
	rm -f "$found.tidy"
	return $status
}

shells() {
	find deploy tests .ci \( -name '*.sh' -o -path .ci/run \) -exec shellcheck -S warning {} +
}

manuals() {
	# our own pages are not installed here
	! mandoc -T lint -W style deploy/man/*.[1-9] | grep -v 'referenced manual not found'
}

if need clang-format "every C file has the format of .clang-format"; then
	case $(clang-format --version) in
	*"version 14."*) check "every C file has the format of .clang-format" formatted ;;
	*) echo "skip lint: every C file has the format of .clang-format (needs clang-format 14)" ;;
	esac
fi
check "sizes, includes, calls and paths are as the house has them" python3 -B tests/lint_house.py
cat "$found"
need shellcheck "shell files are clean" && check "shell files are clean" shells
need mandoc "manual pages are clean" && check "manual pages are clean" manuals
need clang-tidy "clang-tidy finds nothing" && check "clang-tidy finds nothing" tidy
[ "$failed" -eq 0 ]
