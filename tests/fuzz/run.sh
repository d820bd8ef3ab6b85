#!/bin/sh
# Runs each fuzz target for SECONDS, two at a time: run.sh SECONDS TARGET...
# With FUZZ_RUNS, each instead so often, one after another, by a process for each core; with FUZZ_RATE it
# fails when it is slower than that a second.
# What a run learns stays in build-fuzz/corpus/NAME; tests/fuzz/seeds/NAME, where it is there, begins.
# One line a target, `ok fuzz: …` or `FAIL fuzz: …` with the input that fails, then a sum.
set -u
seconds=${1:?"run.sh SECONDS TARGET..."}
shift
here=$(cd "$(dirname "$0")" && pwd)

one() { # SECONDS TARGET
	name=$(basename "$2")
	folder=$(dirname "$2")
	corpus=$folder/corpus/$name
	log=$folder/$name.log
	mkdir -p "$corpus" "$folder/found"
	set -- "$1" "$2" "$corpus"
	[ -d "$here/seeds/$name" ] && set -- "$@" "$here/seeds/$name"
	limit=-max_total_time=$1 target=$2 workers=1
	if [ "${FUZZ_RUNS:-}" ]; then
		workers=$(nproc)
		limit="-runs=$((FUZZ_RUNS / workers)) -entropic=0"
	fi
	shift 2
	rm -f "$log".*
	start=$(date +%s) pids='' n=0 failed=0
	while [ $n -lt "$workers" ]; do
		n=$((n + 1))
		"$target" $limit -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 \
			-artifact_prefix="$folder/found/$name-" "$@" >"$log.$n" 2>&1 &
		pids="$pids $!"
	done
	for pid in $pids; do
		wait "$pid" || failed=1
	done
	cat "$log".* >"$log"
	rm -f "$log".*
	if [ $failed = 0 ]; then
		runs=$(awk '/^stat::number_of_executed_units:/ { n += $2 } END { print n + 0 }' "$log")
		seconds=$(($(date +%s) - start))
		rate=$((runs / (seconds > 0 ? seconds : 1)))
		verdict=ok
		[ "$rate" -lt "${FUZZ_RATE:-0}" ] && verdict=FAIL
		echo "$verdict fuzz: $name $runs executions, $rate/s${FUZZ_RATE:+ (wanted: $FUZZ_RATE/s)}"
		[ $verdict = ok ]
		return
	fi
	input=$(sed -n 's/.*Test unit written to //p' "$log" | tail -1)
	what=$(grep -m1 -E 'ERROR: |runtime error: |Assertion ' "$log")
	echo "FAIL fuzz: $name: ${what:-it ended early, see $log}: run again with: $target ${input:-}"
	return 1
}

if [ "${FUZZ_ONE:-}" ]; then
	one "$seconds" "$1"
	exit
fi
[ "$#" -gt 0 ] || {
	echo "run.sh: no target was named" >&2
	exit 2
}
lines=$(mktemp) || exit 3
trap 'rm -f "$lines"' EXIT
export FUZZ_ONE=1
printf '%s\n' "$@" | xargs -P"$([ "${FUZZ_RUNS:-}" ] && echo 1 || echo 2)" -n1 sh "$here/run.sh" "$seconds" | tee "$lines"
passed=$(grep -c '^ok ' "$lines")
echo "$passed passed, $(($# - passed)) failed"
[ "$passed" -eq "$#" ]
