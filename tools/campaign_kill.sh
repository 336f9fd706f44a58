#!/bin/sh
# Kills a whole recipe run with SIGKILL, starts it again until it is done, and compares with an unbroken run: every byte that
# counts must be the same. Most kills come at a random moment, some at a random place of a save, a step or a rollout.
# Arguments: the r1 program, number of runs, optionally the recipe and a seed for the moments. Prints a line a run with what it
# takes to repeat it; exit code 1 if any differs.
set -eu
r1=$1
runs=${2:-25}
recipe=${3:-$(dirname "$0")/../tests/resume/resume.toml}
seed=${4:-1}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

began=$(date +%s.%N)
"$r1" run "$recipe" --output-dir "$work/whole" >"$work/whole.log" 2>&1 || { cat "$work/whole.log"; echo "the unbroken run failed" >&2; exit 1; }
seconds=$(echo "$began $(date +%s.%N)" | awk '{ print $2 - $1 }')
echo "unbroken run: $seconds s, seed $seed"

same=0
kills=0
run=1
while [ "$run" -le "$runs" ]; do
  folder=$work/run$run
  # One to three kills: a number is a moment in seconds, a word a place of R1_KILL_AT.
  plan=$(awk -v seed="$seed" -v run="$run" -v length_s="$seconds" 'BEGIN {
    n_places = split("checkpoint.begin checkpoint.after_files checkpoint.after_manifest checkpoint.after_rename " \
      "checkpoint.after_parent_sync checkpoint.before_removing checkpoint.after_removing_rename checkpoint.end " \
      "file.after_create file.after_write file.after_rename pretrain.after_metrics rl.after_metrics rollout.decode", place, " ")
    srand(seed * 100003 + run)
    n = 1 + int(rand() * 3)
    for (i = 0; i < n; i++) {
      if (rand() < 0.3) printf "%s:%d ", place[1 + int(rand() * n_places)], 1 + int(rand() * 8)
      else printf "%.3f ", 0.8 * rand() * length_s
    }
  }')
  killed=0
  for kill in $plan; do
    case $kill in
      *.*:*)
        code=0
        R1_KILL_AT=$kill "$r1" run "$recipe" --output-dir "$folder" >>"$folder.log" 2>&1 || code=$?
        ;;
      *)
        "$r1" run "$recipe" --output-dir "$folder" >>"$folder.log" 2>&1 &
        pid=$!
        sleep "$kill"
        kill -9 "$pid" 2>/dev/null || true
        code=0
        wait "$pid" 2>/dev/null || code=$?
        ;;
    esac
    [ "$code" -ne 137 ] || killed=$((killed + 1))
  done
  kills=$((kills + killed))
  if "$r1" run "$recipe" --output-dir "$folder" >>"$folder.log" 2>&1 && "$r1" diff-runs "$work/whole" "$folder" >"$work/diff" 2>&1; then
    same=$((same + 1))
    echo "run $run: $killed kills ($plan), identical"
  else
    echo "run $run: $killed kills ($plan), NOT identical:"
    tail -5 "$folder.log"
    cat "$work/diff" 2>/dev/null || true
  fi
  rm -rf "$folder" "$folder.log" "$work/diff"
  run=$((run + 1))
done
echo "$same of $runs runs identical after $kills kills"
[ "$same" -eq "$runs" ]
