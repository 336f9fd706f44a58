#!/bin/sh
# Names the files that clang-format would change; --write changes them. Only version 14 (Debian 12's) decides, because each
# version formats a little differently: with another version or none the check says so and passes.
set -eu
cd "$(dirname "$0")/.."
tool=""
for candidate in clang-format-14 clang-format; do
  if command -v "$candidate" >/dev/null 2>&1 && "$candidate" --version | grep -q 'version 14\.'; then tool=$candidate; break; fi
done
if [ -z "$tool" ]; then
  echo "format: not checked, there is no clang-format 14"
  exit 0
fi
files=$(find src include examples bench fuzz \( -name '*.h' -o -name '*.cc' \) 2>/dev/null | LC_ALL=C sort)
# shellcheck disable=SC2086  # one word a file
if [ "${1:-}" = "--write" ]; then exec $tool -i $files; fi
bad=0
for file in $files; do
  if ! $tool "$file" | cmp -s - "$file"; then echo "$file: not formatted; run 'make format'"; bad=1; fi
done
[ "$bad" -eq 0 ] || exit 1
echo "format ok"
