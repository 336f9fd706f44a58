#!/bin/sh
# Fails when a folder of src/ includes one that layers.txt does not allow, when layers.txt itself has an upward edge, when a
# public header shows an inner one, and when nothing was checked. Argument: the repository, by default the one it lies in.
set -eu
cd "${1:-$(dirname "$0")/..}"
sources=$(find src include -name '*.h' -o -name '*.cc' | LC_ALL=C sort)
if [ -z "$sources" ]; then echo "layers: no sources found" && exit 1; fi
list=$(mktemp)
trap 'rm -f "$list"' EXIT
printf '%s\n' "$sources" >"$list"
# shellcheck disable=SC2086  # one word a file; no path of the repository has a space
awk -f tools/check_layers.awk layers.txt "$list" $sources
