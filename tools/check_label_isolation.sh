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
  for object in "$folder"*.o; do
    [ -e "$object" ] || continue
    checked=$((checked + 1))
    if "$nm" -C "$object" | grep -E "$hidden"; then
      echo "label isolation: $name/$(basename "$object") refers to the hidden rules above"
      bad=1
    fi
  done
done
[ "$bad" -eq 0 ] || exit 1
# The check must be able to see: the folders that train were there, and the rules are where they should be.
for name in model infer train rl reward; do
  ls "$objects/$name"/*.o >/dev/null 2>&1 || { echo "label isolation: no object of $name in $objects"; exit 1; }
done
for symbol in 'r1::label::HelpfulScore' 'r1::label::IsSafe' 'r1::WantedWords'; do
  found=0
  for object in "$objects"/label/*.o; do
    if "$nm" -C "$object" | grep -q "$symbol"; then found=1; fi
  done
  [ "$found" -eq 1 ] || { echo "label isolation: no object of label has $symbol; was it renamed?"; exit 1; }
done
echo "label isolation ok: $checked objects"
