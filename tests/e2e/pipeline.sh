#!/bin/sh
# The R1 pipeline in seconds, from outside: every kind of stage, what it leaves, the same bytes with another number of
# threads and after kills. Argument: the r1 program.
set -eu
r1=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
here=$(cd "$(dirname "$0")" && pwd)
recipe=$here/tiny-r1.toml
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
checks=0
fail() { echo "pipeline: $*" >&2; exit 1; }
run() {  # folder, options...
  folder=$1
  shift
  "$r1" run "$recipe" --output-dir "$folder" "$@" >"$folder.log" 2>&1 || fail "r1 run $folder $* ended with $?: $(tail -5 "$folder.log")"
}
ok() { checks=$((checks + 1)); }

run a --threads 1
for file in results.json report.html cold/samples.jsonl cold/stats.json dev1/metrics.jsonl prefs/pairs.jsonl prefs/safety.jsonl \
  rm_helpful/eval.json rm_safety/eval.json r1/metrics.jsonl r1/completions/step_4.jsonl eval_r1/eval.json \
  student_distill/metrics.jsonl student_logits/metrics.jsonl; do
  [ -s "a/$file" ] || fail "a/$file is missing or empty"
done
ok
for stage in zero r1; do
  [ "$(grep -cE '"logp_mismatch/max": *0(\.0+)?[,}]' "a/$stage/metrics.jsonl")" -eq 4 ] ||
    fail "$stage: sampler and trainer differ"
  grep -q '"eval/pass@1"' "a/$stage/metrics.jsonl" || fail "$stage: no evaluation inside the stage"
done
ok
grep -q '"rewards/helpful/mean"' a/r1/metrics.jsonl || fail "the last stage has no helpfulness reward"
grep -q '"rewards/harmless/mean"' a/r1/metrics.jsonl || fail "the last stage has no safety reward"
ok
for key in '"code@1"' '"helpful"' '"safe"' '"direct_pass@1"'; do
  grep -q "$key" a/eval_r1/eval.json || fail "eval_r1 has no $key"
done
ok
# Lineage: the hash under which a stage names its model is that of the model's file.
hash=$(sha256sum a/dev1/checkpoint-*/model.safetensors | tail -1 | cut -d' ' -f1)
grep -q "\"model_sha256\": \"$hash\"" a/manifest.json || fail "manifest.json does not name dev1's weights"
hash=$(sha256sum a/cold/samples.jsonl | cut -d' ' -f1)
grep -q "\"sha256\": \"$hash\"" a/manifest.json || fail "manifest.json does not name the data of dev1"
ok

run b --threads 2
"$r1" diff-runs a b >diff.log 2>&1 || fail "one thread and two differ: $(cat diff.log)"
ok
"$here/../../tools/campaign_kill.sh" "$r1" 2 "$recipe" >kill.log 2>&1 || fail "after kills: $(cat kill.log)"
ok
echo "pipeline ok: $checks checks"
