#!/bin/sh
# Files of code stay small: more than 1000 lines fail, more than 600 are named.
set -eu
cd "${1:-$(dirname "$0")/..}"
find src include examples bench fuzz tests tools cmake \( -name '*.h' -o -name '*.cc' -o -name '*.sh' -o -name '*.awk' -o -name '*.cmake' \) \
  2>/dev/null | LC_ALL=C sort | xargs wc -l | awk '
  $2 == "total" { next }
  { files++ }
  $1 > 1000 { print $2 ": " $1 " lines, the limit is 1000"; bad++; next }
  $1 > 600 { print "note: " $2 ": " $1 " lines, the aim is 600" }
  END {
    if (files == 0) { print "size: no file was checked"; exit 1 }
    if (bad) exit 1
    print "size ok: " files " files"
  }'
