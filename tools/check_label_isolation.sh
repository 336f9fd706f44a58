#!/bin/sh
# Proves on the object files that training code cannot see the hidden rules: no object of the library outside label/, eval/,
# recipe/ refers to a symbol of namespace r1::label, or (but for the world, which defines it) to r1::WantedWords.
# Arguments: the build folder; nm (default nm).
set -eu
build=${1:?"usage: check_label_isolation.sh BUILD_FOLDER [NM]"}
nm=${2:-nm}
objects=$build/CMakeFiles/r1.dir/src
bad=0
checked=0
for folder in "$objects"/*/; do
  name=$(basename "$folder")
  case "$name" in
    label | eval | recipe) continue ;;
    world) hidden='r1::label::' ;;
    *) hidden='r1::label::|r1::WantedWords' ;;
  esac
  ls "$folder"*.o >/dev/null 2>&1 || continue
  checked=$((checked + $(ls "$folder"*.o | wc -l)))
  # Every line has the object before the symbol.
  if "$nm" -AC "$folder"*.o | grep -E "$hidden"; then
    echo "label isolation: $name refers to the hidden rules above"
    bad=1
  fi
done
[ "$bad" -eq 0 ] || exit 1
# The check must be able to see: the folders that train were there, and the rules are where they should be.
for name in model infer train rl reward; do
  ls "$objects/$name"/*.o >/dev/null 2>&1 || { echo "label isolation: no object of $name in $objects"; exit 1; }
done
symbols=$("$nm" -C "$objects"/label/*.o)
for symbol in 'r1::label::HelpfulScore' 'r1::label::IsSafe' 'r1::WantedWords'; do
  printf '%s\n' "$symbols" | grep -q "$symbol" || { echo "label isolation: no object of label has $symbol; was it renamed?"; exit 1; }
done
echo "label isolation ok: $checked objects"
