#!/bin/sh
# The rules of CONTRIBUTING.md that a pattern can see. Argument: the repository, by default the one it lies in.
set -eu
cd "${1:-$(dirname "$0")/..}"
code=$(find src include examples bench fuzz -name '*.h' -o -name '*.cc' 2>/dev/null | LC_ALL=C sort)
library=$(find src include \( -name '*.h' -o -name '*.cc' \) ! -name '*_test.cc' ! -path 'src/cli/*' | LC_ALL=C sort)
headers=$(printf '%s\n' "$code" | grep '\.h$')
bad=0

# refuse WHAT PATTERN FILES...: prints every line that matches, with the rule it breaks.
refuse() {
  what=$1 pattern=$2
  shift 2
  if [ "$#" -gt 0 ] && grep -nE "$pattern" "$@" /dev/null; then
    echo "style: $what"
    bad=1
  fi
}

# shellcheck disable=SC2046,SC2086  # lists of files split into words; no path of the repository has a space
{
  refuse "std::regex can be made to take exponential time; write a scanner" 'std::regex|<regex>' $code
  refuse "no unfinished marks; finish it or file an issue" '\b(TODO|FIXME|XXX)\b' $code CMakeLists.txt cmake/*.cmake tools/install_deps.sh
  refuse "no 'using namespace' in a header" '^ *using namespace ' $headers
  refuse "the library reports failures as Result, it does not leave the process" '(^|[^_.A-Za-z:])(std::)?(exit|abort|quick_exit)\(' \
    $(printf '%s\n' "$library" | grep -vE '^src/base/(check|interrupt)\.cc$')
  refuse "throwing does not cross the API; return an Error" '^ *throw ' $(printf '%s\n' "$library" | grep -vE '^src/base/threads\.cc$')
  refuse "no fast-math and no contraction by the compiler: results must not depend on the build" \
    'ffast-math|Ofast|ffp-contract=(fast|on)|associative-math' CMakeLists.txt cmake/*.cmake $code
  refuse "no absolute path of somebody's machine" '"/(home|root|Users|work)/' $code
  refuse "no white space at the end of a line" '[ 	]+$' $code
  refuse "no tab in C++" '	' $code
  refuse "a line is at most 150 columns" '^.{151,}$' $code
}
for file in $code; do
  case "$file" in *_test.cc) continue ;; esac
  first=$(sed -n 1p "$file")
  case "$first" in
    //*) ;;
    "#include \"$(basename "$(dirname "$file")")/"*) ;;  # the header it implements says what it is
    *) echo "$file:1: style: the file does not open with a comment that says what it is"; bad=1 ;;
  esac
done
for file in $headers; do
  grep -q '^#pragma once$' "$file" || { echo "$file: style: no #pragma once"; bad=1; }
done
if find . -path ./build -prune -o -path ./.git -prune -o -name '*.py' -print | grep .; then
  echo "style: the product needs no Python"
  bad=1
fi
[ "$bad" -eq 0 ] || exit 1
echo "style ok: $(printf '%s\n' "$code" | grep -c .) files"
