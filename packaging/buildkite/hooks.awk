# hooks.awk - finds the lines about the disk in one of the Elastic CI Stack's hooks and puts buildwarden's part before them.
#
# usage: awk -v hook=environment|pre-exit -v part=PATH -f hooks.awk HOOK      the changed hook; exit 1 with the reason: unknown
#        awk -v hook=revert -f hooks.awk HOOK                                 the hook as it was
#
# Nothing of the hook is changed or moved: lines are added around its own, so that taking them away gives it back.

function fail(why) {
  print why
  exit 1
}

# Some versions have it in a function, so further to the right.
function without_indent(text) {
  sub(/^[ \t]+/, "", text)
  return text
}

function indent_of(text) {
  match(text, /^[ \t]*/)
  return substr(text, 1, RLENGTH)
}

function begins(i, text, next_text) {
  text = without_indent(line[i])
  next_text = without_indent(line[i + 1])
  if (hook == "environment") {
    return text == "echo \"Checking disk space\"" && next_text ~ /^if ! \/usr\/local\/bin\/bk-check-disk-space\.sh ?; *then$/
  }
  return text ~ /^if \[\[ "\$\{ENABLE_PRE_EXIT_DISK_CLEANUP(:-[a-z]*)?\}" == "?true"? \]\] ?; *then$/
}

# A command that the disk's lines of no known version have: then it is about something else, too.
function is_known(text, word) {
  text = without_indent(text)
  if (text == "" || text ~ /^#/) return 1
  word = text
  sub(/[ \t;].*$/, "", word)
  return word ~ /^(if|elif|else|fi|then|echo|docker|exit|export)$/ || word ~ /^\/usr\/local\/bin\/(terminate-instance|bk-check-disk-space\.sh)$/
}

# What stands after the block in the versions that are known.
function goes_on(i) {
  while (i <= count && line[i] ~ /^[ \t]*$/) i++
  if (hook == "environment") return line[i] == indent "echo \"Configuring built-in plugins\""
  return line[i] == indent "# clean up our temporary docker config"
}

function find_block(i) {
  first = last = 0
  for (i = 1; i <= count; i++) {
    if (begins(i)) {
      if (first) fail("two blocks about the disk")
      first = i
      indent = indent_of(line[i])
    }
    if (first && !last && i > first) {
      if (line[i] == indent "fi") last = i
      else if (!is_known(line[i])) fail("line " i " is no line about the disk: " line[i])
    }
    if (line[i] ~ /bk-check-disk-space/ && !(first && !last || i == last)) fail("line " i " asks for the disk outside of the block")
  }
  if (first && !last) fail("the block about the disk does not end")
  if (first && !goes_on(last + 1)) fail("what follows the block about the disk is unknown")
}

# A part that was cut short by a full disk says nothing: only its last line says that it answered.
function condition() {
  return "if buildwarden_done=; ! [[ -r \"" part "\" ]] || ! source \"" part "\" || [[ $buildwarden_done != yes ]]; then"
}

function wrap_block(i) {
  for (i = 1; i <= count; i++) {
    if (i == first) {
      print indent "# buildwarden: begin. Its part decides; where it is missing, the lines of the stack do.\n" indent condition()
    }
    print line[i]
    if (i == last) print indent "fi\n" indent "# buildwarden: end"
  }
}

# A hook that does not look at the disk: the part stands alone, at its start.
function insert(i, done) {
  for (i = 1; i <= count && line[i] !~ /^set -/; i++) continue
  if (i > count) fail("it does not begin as any known version")
  done = i
  for (i = 1; i <= count; i++) {
    print line[i]
    if (i != done) continue
    print "# buildwarden: begin, of lines that are all its own."
    print "if [[ -r \"" part "\" ]]; then source \"" part "\" || true; fi"
    print "# buildwarden: end"
  }
}

function is_condition(text) {
  return text ~ /^if (buildwarden_done=; )?! \[\[ -r "[^"]*" \]\] \|\| ! source "[^"]*"( \|\| \[\[ \$buildwarden_done != yes \]\])?; then$/
}

# Drops the two lines at the beginning and the two at the end, or all of an insertion, where they are just what was put there.
function revert(i, inside, text, next_text, out) {
  for (i = 1; i <= count; i++) {
    text = without_indent(line[i])
    next_text = without_indent(line[i + 1])
    if (text ~ /^# buildwarden: begin, of lines that are all its own/) {
      if (next_text !~ /^if \[\[ -r "[^"]*" \]\]; then source "[^"]*" \|\| true; fi$/ || without_indent(line[i + 2]) != "# buildwarden: end") {
        fail("the lines of buildwarden at line " i " are not as it put them")
      }
      i += 2
      continue
    }
    if (text ~ /^# buildwarden: begin/) {
      if (inside || !is_condition(next_text)) fail("the lines of buildwarden at line " i " are not as it put them")
      inside = 1
      i++
      continue
    }
    if (inside && next_text == "# buildwarden: end") {
      if (text != "fi") fail("line " i ", before the end of buildwarden's lines, is not its own")
      inside = 0
      i++
      continue
    }
    out = out line[i] "\n"
  }
  if (inside) fail("the lines of buildwarden do not end")
  printf "%s", out
}

{ line[NR] = $0 }

END {
  count = NR
  if (hook == "revert") {
    revert()
    exit 0
  }
  find_block()
  if (first) wrap_block()
  else if (hook == "pre-exit") insert()
  else fail("no block about the disk between lines that are known")
}
