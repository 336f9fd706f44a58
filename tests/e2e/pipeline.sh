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

# Every stage as a command of its own, on the files that the run left.
stage() {  # folder, command, arguments...
  folder=$1
  shift
  "$r1" "$@" --output-dir "$folder" >"$folder.log" 2>&1 || fail "r1 $* ended with $?: $(tail -3 "$folder.log")"
}
keep="--keep-correct false --keep-well-formed false --max-other-language -1"
# shellcheck disable=SC2086  # several options
stage s sample a/zero --task pick --problems 20 --num-generations 2 --max-completion-length 60 $keep
stage f sft a/pretrain --data s/sample/samples.jsonl --num-train-epochs 1
stage m rm a/dev1 --kind helpful --data a/prefs/pairs.jsonl
stage q rl a/dev1 --helpful m/rm --task pick:0.5,helpful:0.5 --max-steps 2 --num-prompts 4 --max-completion-length 40
# shellcheck disable=SC2086
stage d distill a/student_base --traces a/cold/samples.jsonl $keep
# shellcheck disable=SC2086
stage l distill a/student_base --teacher a/dev1 --method logits --problems 20 --max-completion-length 60 $keep
for file in s/sample/samples.jsonl f/sft/metrics.jsonl m/rm/eval.json q/rl/metrics.jsonl d/sft/metrics.jsonl l/sft/metrics.jsonl; do
  [ -s "$file" ] || fail "$file is missing or empty"
done
grep -q '"rewards/helpful/mean"' q/rl/metrics.jsonl || fail "r1 rl took no reward model"
ok
refused() {  # exit code, words, command...
  want=$1
  words=$2
  shift 2
  code=0
  "$r1" "$@" --output-dir refused >refused.log 2>&1 || code=$?
  [ "$code" -eq "$want" ] || fail "r1 $* ended with $code, not $want: $(tail -1 refused.log)"
  grep -q -- "$words" refused.log || fail "r1 $* does not say '$words': $(tail -1 refused.log)"
  rm -rf refused
}
refused 78 "no reward model" rl a/dev1 --task helpful
refused 78 "'nonsense' is not known" rm a/dev1 --kind nonsense --data a/prefs/pairs.jsonl
refused 64 "needs 'data'" sft a/pretrain
refused 64 "--teacher" distill a/student_base
refused 65 "pairs.jsonl line 1" sft a/pretrain --data a/prefs/pairs.jsonl
ok

run b --threads 2
"$r1" diff-runs a b >diff.log 2>&1 || fail "one thread and two differ: $(cat diff.log)"
ok
"$here/../../tools/campaign_kill.sh" "$r1" 2 "$recipe" >kill.log 2>&1 || fail "after kills: $(cat kill.log)"
ok
echo "pipeline ok: $checks checks"
