#!/bin/sh
# Kills a whole recipe run with SIGKILL at random moments, starts it again until it is done, and compares with an unbroken run:
# every byte that counts must be the same. Arguments: the r1 program, number of runs, optionally the recipe and a seed for the
# moments. Prints a line a run; exit code 1 if any differs.
set -eu
r1=$1
runs=${2:-25}
recipe=${3:-$(dirname "$0")/../tests/e2e/tiny.toml}
seed=${4:-1}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

began=$(date +%s.%N)
"$r1" run "$recipe" --output-dir "$work/whole" >"$work/whole.log" 2>&1 || { cat "$work/whole.log"; echo "the unbroken run failed" >&2; exit 1; }
seconds=$(echo "$began $(date +%s.%N)" | awk '{ print $2 - $1 }')
echo "unbroken run: $seconds s"

same=0
kills=0
run=1
while [ "$run" -le "$runs" ]; do
  folder=$work/run$run
  # One to three kills a run, each at a uniform moment of what an unbroken run takes.
  moments=$(awk -v seed="$seed" -v run="$run" -v length_s="$seconds" \
    'BEGIN { srand(seed * 100003 + run); n = 1 + int(rand() * 3); for (i = 0; i < n; i++) printf "%.3f ", rand() * length_s }')
  killed=0
  for moment in $moments; do
    "$r1" run "$recipe" --output-dir "$folder" >>"$folder.log" 2>&1 &
    pid=$!
    sleep "$moment"
    if kill -9 "$pid" 2>/dev/null; then killed=$((killed + 1)); fi
    wait "$pid" 2>/dev/null || true
  done
  kills=$((kills + killed))
  if "$r1" run "$recipe" --output-dir "$folder" >>"$folder.log" 2>&1 && "$r1" diff-runs "$work/whole" "$folder" >"$work/diff" 2>&1; then
    same=$((same + 1))
    echo "run $run: $killed kills, identical"
  else
    echo "run $run: killed at $moments, NOT identical:"
    tail -5 "$folder.log"
    cat "$work/diff" 2>/dev/null || true
  fi
  rm -rf "$folder" "$work/diff"
  run=$((run + 1))
done
echo "$same of $runs runs identical after $kills kills"
[ "$same" -eq "$runs" ]
