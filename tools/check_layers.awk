# See check_layers.sh. First file: layers.txt; second: the list of all files; then the sources themselves.
function fail(text) { print text; bad++ }
function folder_of(path, parts) { split(path, parts, "/"); return parts[2] }
FNR == 1 { file_number++ }

file_number == 1 {  # layers.txt
  sub(/#.*/, "")
  if ($0 ~ /^[ \t]*$/) next
  colon = index($0, ":")
  if (colon == 0) { fail("layers.txt:" FNR ": no ':' in this line"); next }
  name = substr($0, 1, colon - 1)
  gsub(/[ \t]/, "", name)
  count = split(substr($0, colon + 1), names, " ")
  for (i = 1; i <= count; i++) {
    if (!(names[i] in known)) fail("layers.txt:" FNR ": " name " allows " names[i] ", which is not on a line above it")
    allowed[name, names[i]] = 1
  }
  known[name] = 1
  allowed[name, name] = 1
  next
}

file_number == 2 { exists[$0] = 1; next }

FNR == 1 {
  public_header = (FILENAME ~ /^include\//)
  here = public_header ? "include/r1" : folder_of(FILENAME)
  if (!public_header && !(here in known)) fail(FILENAME ": folder " here " is not in layers.txt")
  files++
}

/^[ \t]*#[ \t]*include[ \t]*[<"]/ {
  if (!match($0, /[<"][^>"]*[>"]/)) next
  quoted = (substr($0, RSTART, 1) == "\"")
  path = substr($0, RSTART + 1, RLENGTH - 2)
  split(path, parts, "/")
  where = FILENAME ":" FNR ": "
  seen++
  if (path ~ /\.\./) { fail(where "'" path "' goes up; write the path from src/"); next }
  if (("src/" path) in exists) {
    if (public_header) fail(where "a public header may include only r1/ and the standard library, not " path)
    else if (!((here, parts[1]) in allowed)) fail(where here " may not include " parts[1] " (" path ")")
  } else if (("include/" path) in exists) {
    next
  } else if (quoted && (parts[1] in known || index(path, "/") == 0)) {
    fail(where "'" path "' is not a file of src/ or include/; paths are from src/, third-party headers go in <>")
  }
}

END {
  if (seen == 0) fail("no include was checked")
  if (bad) { print "layers: " bad " wrong"; exit 1 }
  print "layers ok: " seen " includes in " files " files"
}
