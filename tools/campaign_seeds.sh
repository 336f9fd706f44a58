#!/bin/sh
# Runs a recipe under several seeds and makes one report over all. Arguments: the r1 program, the recipe, then the seeds
# (default 0 to 4). Runs that are there already are resumed or, when done, left as they are.
set -eu
r1=$1
recipe=$2
shift 2
[ "$#" -gt 0 ] || set -- 0 1 2 3 4
folders=""
for seed in "$@"; do
  folder=runs/seeds/$(basename "$recipe" .toml)-$seed
  echo "seed $seed: $folder"
  "$r1" run "$recipe" --output-dir "$folder" --seed "$seed"
  folders="$folders $folder"
done
# shellcheck disable=SC2086  # the folders have no spaces
"$r1" report $folders --output runs/seeds/report.html --svg runs/seeds/curves.svg
