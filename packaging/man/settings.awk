# settings.awk - the manual page buildwarden.yaml(5), made of the shipped configuration: each key, its default and the comment above it.
# usage: awk -v version=V -v date=D -f settings.awk config/buildwarden.yaml

function roff(text) {
  gsub(/\\/, "\\e", text)
  gsub(/-/, "\\-", text)
  if (text ~ /^[.']/) text = "\\&" text
  return text
}

# The name of the key with all that it stands in, by its column.
function path_of(column, key,    name, i) {
  while (depth > 0 && columns[depth] >= column) depth--
  depth++
  columns[depth] = column
  keys[depth] = key
  name = ""
  for (i = 1; i <= depth; i++) name = name (i > 1 ? "." : "") keys[i]
  return name
}

function tell(    i) {
  for (i = 1; i <= lines; i++) print roff(comment[i])
  lines = 0
}

BEGIN {
  printf ".\\\" Made of config/buildwarden.yaml.\n.TH BUILDWARDEN.YAML 5 \"%s\" \"buildwarden %s\" \"File formats\"\n", date, version
  print ".SH NAME\nbuildwarden.yaml \\- configuration of the daemon buildwarden\n.SH SYNOPSIS\n.I /etc/buildwarden/buildwarden.yaml\n.SH DESCRIPTION"
}

# The words about the file end with the first blank line; a lonely # stands between their paragraphs.
/^$/ {
  if (!started) { tell(); print ".SH KEYS"; started = 1 }
  next
}
/^#$/ { tell(); print ".PP"; next }

# "# text", "  # text": words about the next key. A key that is commented out has no blank after its #, or several.
/^ *# [^ ]/ {
  line = $0
  sub(/^ *# /, "", line)
  comment[++lines] = line
  next
}

{
  line = $0
  sub(/#/, "", line)
  match(line, /^ */)
  column = RLENGTH
  line = substr(line, column + 1)
  if (sub(/^- /, "", line)) { column += 2; item = "[]" } else item = ""
  key = line; sub(/:.*/, "", key)
  value = line; sub(/^[^:]*: ?/, "", value)
  if (item != "" && keys[depth] !~ /\[\]$/) keys[depth] = keys[depth] item
  name = path_of(column, key)
  if (value == "" && column == 0) print ".SS " roff(name)
  else print ".TP\n\\fB" roff(name) "\\fR" (value == "" ? "" : " (" roff(value) ")")
  tell()
}

END {
  print ".SH SEE ALSO\n.BR buildwarden (1)"
}
