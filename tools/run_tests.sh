#!/bin/sh
# Every check and test, with a count at the end: "N passed, N failed". Exit code 1 if anything failed or nothing ran.
# Arguments: "all" or "fast" (without those labelled slow), parallel jobs.
set -u
cd "$(dirname "$0")/.." || exit 1
mode=${1:-all}
jobs=${2:-$(nproc)}
passed=0
failed=0
failures=""
started=$(date +%s)

count() {  # name, 0 or not
  if [ "$2" -eq 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)) failures="$failures $1"; fi
}

for check in layers size style format; do
  tools/check_$check.sh
  count "$check" $?
done

cmake -S . -B build/test -G Ninja -DCMAKE_BUILD_TYPE=Release -DR1_TESTS=ON -DR1_EXAMPLES=ON >build.log 2>&1 &&
  cmake --build build/test -j "$jobs"
built=$?
if [ "$built" -ne 0 ]; then [ -s build.log ] && grep -A5 'CMake Error' build.log; fi
rm -f build.log
count build "$built"

if [ "$built" -eq 0 ]; then
  echo "Built in $(($(date +%s) - started)) s."
  log=build/test/tests.log
  slow=""
  [ "$mode" = fast ] && slow="-LE slow"
  # -V: the output of every test program is needed for the count. Its lines are "N: text".
  # shellcheck disable=SC2086  # the option is two words or none
  ctest --test-dir build/test -V -j "$jobs" $slow >"$log" 2>&1
  # Cases inside the GoogleTest programs, and whole tests that are scripts or died without a count.
  sum=$(awk '
    { line = $0; id = ""; if (match(line, /^[0-9]+: /)) { id = substr(line, 1, RLENGTH - 2); line = substr(line, RLENGTH + 1) } }
    line ~ /^\[  PASSED  \] [0-9]+ test/ { split(line, w, " "); ok += w[4]; counted[id] = 1 }
    line ~ /^\[  FAILED  \] [0-9]+ tests?, listed below/ { split(line, w, " "); bad += w[4]; counted[id] = 1; named[id] = 1 }
    line ~ /^\[  SKIPPED \] [0-9]+ test/ { split(line, w, " "); skipped += w[4] }
    line ~ /^ *[0-9]+\/[0-9]+ Test +#[0-9]+: / {
      id = line; sub(/^[^#]*#/, "", id); sub(/:.*/, "", id)
      if (line ~ /   Passed /) { if (!(id in counted)) ok++ } else if (!(id in named)) bad++
    }
    END { print ok + 0, bad + 0, skipped + 0 }' "$log")
  # shellcheck disable=SC2086  # three numbers
  set -- $sum
  passed=$((passed + $1))
  failed=$((failed + $2))
  if [ "$3" -gt 0 ]; then
    echo "note: $3 tests were skipped"
    sed -n 's/^[0-9]*: .*\(missing: .*\)/  \1/p' "$log" | sort -u
    # Where everything is installed and all data is there, a skipped test is a lost one.
    if [ -n "${CI:-}" ]; then failed=$((failed + $3)) failures="$failures skipped-in-CI"; fi
  fi
  if [ "$1" -eq 0 ]; then failed=$((failed + 1)) failures="$failures no-test-ran"; fi
  if [ "$2" -gt 0 ]; then
    grep -E '^[0-9]+: .*(Failure|\[  FAILED  \]|error:|expected|Expected|actual|  Which is)|\*\*\*' "$log" | head -100
    failures="$failures (see $log)"
  fi
  grep -E '^ *[0-9]+/[0-9]+ Test ' "$log" | sed 's/^ *//'
fi

[ -n "$failures" ] && echo "Failed:$failures"
echo "Took $(($(date +%s) - started)) s."
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
