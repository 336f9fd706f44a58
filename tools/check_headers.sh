#!/bin/sh
# Every header compiles alone, twice included, with the warnings of the build; and no header pulls in a heavy one.
# Arguments: parallel jobs (default: all cores). CXX names the compiler.
set -eu
cd "$(dirname "$0")/.."
jobs=${1:-$(nproc)}
headers=$(find src include -name '*.h' | LC_ALL=C sort)

bad=0
heavy='iostream|sstream|fstream|regex|filesystem|chrono|thread|ranges|future|format'
third='nlohmann/json\.hpp|toml\+\+|toml\.hpp|CLI/|fmt/|spdlog/|openssl/'
# Headers for tests only (NAME_test_WHAT.h) may: few files include them.
light=$(printf '%s\n' "$headers" | grep -v '_test_')
# shellcheck disable=SC2086  # one word a header
if grep -nE "^ *# *include *[<\"](($heavy)>|($third))" $light; then
  echo "headers: the lines above include what belongs in a .cc file"
  bad=1
fi

export CXX="${CXX:-g++}"
# R1_ISA_NAME: the headers of kernels/cpu are compiled once per ISA, here for the portable one. R1_SOURCE_DIR: a text that
# tests are given; any will do.
# shellcheck disable=SC2016  # $1 is for the inner shell
check='echo "#include \"$1\"
#include \"$1\"" | "$CXX" -std=c++20 -fsyntax-only -Wall -Wextra -Wpedantic -Werror -ffp-contract=off -DR1_ISA_NAME=portable \
  -DR1_ISA_portable=1 -DR1_SOURCE_DIR=__FILE__ -Isrc -Iinclude -I. -x c++ - || { echo "headers: $1 does not compile alone"; exit 1; }'
printf '%s\n' "$headers" | xargs -P "$jobs" -n 1 sh -c "$check" sh || bad=1
count=$(printf '%s\n' "$headers" | grep -c .)
[ "$bad" -eq 0 ] && [ "$count" -gt 0 ] || exit 1
echo "headers ok: $count compile alone"
