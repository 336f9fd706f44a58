#!/bin/sh
# Runs every fuzz target of a build for some seconds, starting from its corpus in fuzz/corpus/NAME. New findings stay in the
# build folder; a crash ends with the file that caused it. Arguments: build folder, seconds a target.
set -eu
cd "$(dirname "$0")/.."
build=$1
seconds=${2:-60}
count=0
for target in "$build"/*_fuzz; do
  [ -x "$target" ] || continue
  count=$((count + 1))
  name=$(basename "$target" _fuzz)
  mkdir -p "$build/found/$name"
  corpus=""
  [ -d "fuzz/corpus/$name" ] && corpus="fuzz/corpus/$name"
  echo "$name: $seconds s"
  # shellcheck disable=SC2086  # a folder or nothing
  "$target" -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=10 -artifact_prefix="$build/found/$name/" "$build/found/$name" $corpus
done
if [ "$count" -eq 0 ]; then echo "no fuzz target in $build" >&2; exit 1; fi
echo "$count fuzz targets ran without a finding"
