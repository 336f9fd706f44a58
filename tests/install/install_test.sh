#!/bin/sh
# Installs a build into a folder, moves that folder, and builds the example against it twice: with find_package and with
# pkg-config. Argument: the build folder. CXX names the compiler.
set -eu
build=$(cd "$1" && pwd)
repository=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "install: $*" >&2; exit 1; }

cmake --install "$build" --prefix "$work/first" >"$work/log" || fail "cmake --install: $(cat "$work/log")"
mv "$work/first" "$work/moved"  # nothing in it may depend on where it was
prefix=$work/moved
lib=$(dirname "$(find "$prefix" -name libr1.a)")
for file in "$prefix/bin/r1" "$lib/libr1.a" "$lib/cmake/r1/r1Config.cmake" "$lib/cmake/r1/r1ConfigVersion.cmake" "$lib/pkgconfig/r1.pc"; do
  [ -f "$file" ] || fail "$file is missing"
done
for header in "$repository"/include/r1/*.h; do
  cmp -s "$header" "$prefix/include/r1/$(basename "$header")" || fail "include/r1/$(basename "$header") is missing or differs"
done
for recipe in "$repository"/recipes/*.toml; do
  cmp -s "$recipe" "$prefix/share/r1/recipes/$(basename "$recipe")" || fail "share/r1/recipes/$(basename "$recipe") is missing or differs"
done
if grep -rlF "$repository" "$lib/cmake" "$lib/pkgconfig" "$prefix/include"; then fail "these files name the source folder"; fi
"$prefix/bin/r1" version >"$work/version" || fail "the installed program does not run"

{ cmake -S "$repository/examples/generate" -B "$work/example" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_CXX_COMPILER="${CXX:-g++}" &&
  cmake --build "$work/example"; } >"$work/log" 2>&1 || fail "the example does not build with find_package: $(cat "$work/log")"

PKG_CONFIG_PATH="$lib/pkgconfig"
export PKG_CONFIG_PATH
# shellcheck disable=SC2046  # flags are words
"${CXX:-g++}" -std=c++20 -o "$work/generate" "$repository/examples/generate/main.cc" $(pkg-config --cflags --libs r1) >"$work/log" 2>&1 ||
  fail "the example does not build with pkg-config: $(cat "$work/log")"

# Both programs start, and say what they want: exit code 64.
for program in "$work/example/r1_generate" "$work/generate"; do
  code=0
  "$program" 2>"$work/log" || code=$?
  [ "$code" -eq 64 ] || fail "$program without arguments ended with $code, not 64"
  code=0
  "$program" "$work/no-such-model" hello 2>"$work/log" || code=$?
  { [ "$code" -ge 65 ] && grep -q 'no-such-model' "$work/log"; } || fail "$program does not name the folder that is not there: $(cat "$work/log")"
done
echo "install ok"
