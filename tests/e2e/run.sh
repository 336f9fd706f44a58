#!/bin/sh
# The whole recipe in seconds, from outside: what is written, the same bytes again with another number of threads and after
# kills, other bytes with another seed, the sampler equal to the trainer, the report. Argument: the r1 program.
set -eu
r1=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
here=$(cd "$(dirname "$0")" && pwd)
recipe=$here/tiny.toml
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
checks=0
fail() { echo "e2e: $*" >&2; exit 1; }
run() {  # folder, options...
  folder=$1
  shift
  "$r1" run "$recipe" --output-dir "$folder" "$@" >"$folder.log" 2>&1 || fail "r1 run $folder $* ended with $?: $(tail -5 "$folder.log")"
}
ok() { checks=$((checks + 1)); }

run a --threads 1
for file in recipe.toml manifest.json results.json report.html tokenizer.json pretrain/metrics.jsonl zero/metrics.jsonl \
  zero/completions/step_4.jsonl eval_base/traces.jsonl eval_zero/traces.jsonl; do
  [ -s "a/$file" ] || fail "a/$file is missing or empty"
done
ok
{ [ "$(wc -l <a/pretrain/metrics.jsonl)" -eq 60 ] && [ "$(wc -l <a/zero/metrics.jsonl)" -eq 8 ]; } || fail "metrics have not one line a step"
ok
[ "$(grep -cE '"logp_mismatch/max": *0(\.0+)?[,}]' a/zero/metrics.jsonl)" -eq 8 ] ||
  fail "sampler and trainer differ: $(grep -oE '"logp_mismatch/max":[^,}]*' a/zero/metrics.jsonl | sort | uniq -c)"
ok
grep -q '"pass@1"' a/results.json || fail "results.json has no pass@1"
ok

# The same command again finds everything done and changes nothing.
before=$(find a -name model.safetensors -exec sha256sum {} + | sort)
run a --threads 1
[ "$before" = "$(find a -name model.safetensors -exec sha256sum {} + | sort)" ] || fail "a second start of a finished run changed it"
ok

# Another number of threads: the same bytes. Another seed: other bytes, and diff-runs says so.
run b --threads 2
"$r1" diff-runs a b >diff.log 2>&1 || fail "one thread and two differ: $(cat diff.log)"
ok
run c --seed 8
code=0
"$r1" diff-runs a c >diff.log 2>&1 || code=$?
[ "$code" -eq 1 ] || fail "diff-runs ended with $code for two seeds: $(cat diff.log)"
ok

# Killed at random moments and started again: the same bytes.
"$here/../../tools/campaign_kill.sh" "$r1" 3 "$recipe" >kill.log 2>&1 || fail "after kills: $(cat kill.log)"
ok

"$r1" report a c --output both.html --svg curves.svg >report.log 2>&1 || fail "report: $(cat report.log)"
{ grep -q '<section id="curves">' both.html && grep -q '^<svg ' curves.svg; } || fail "the report or the picture is not what it should be"
ok
echo "e2e ok: $checks checks"
