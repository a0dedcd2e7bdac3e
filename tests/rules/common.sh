# shellcheck shell=bash
# common.sh - what the rules share. A rule prints each offence as `file:line: why` and ends with 1 when there was one. Sourced.
set -euo pipefail

# The tree that is judged: this checkout, or the one that a rule's own test made.
root=${RULE_ROOT:-$(readlink -f "$(dirname "${BASH_SOURCE[0]}")/../..")}
offences=0

# offence TEXT: one of them.
offence() {
  printf '%s\n' "$1"
  offences=$((offences + 1))
}

# offences_from: each line of stdin is one.
offences_from() {
  local line
  while IFS= read -r line; do
    offence "$line"
  done
}

# sources FOLDER...: the C++ files below them, relative to the root.
sources() {
  local folder
  cd "$root"
  for folder in "$@"; do
    if [[ -d $folder ]]; then find "$folder" -type f \( -name '*.cpp' -o -name '*.h' \); fi
  done | sort
}

# tests_in: every test in the code of stdin, as ctest knows it without its program's name.
tests_in() {
  tr '\n' ' ' | grep -oE '\b(TEST(_F|_P)?|RC_GTEST_PROP)\( *[A-Za-z0-9_]+, *[A-Za-z0-9_]+' |
    sed -E 's/^[A-Z_]+\( *//; s/, */./' || true
}

# tests_of FOLDER...: every test below them.
tests_of() { sources "$@" | (cd "$root" && xargs -r -d '\n' cat) | tests_in; }

# known_tests: all of them, and every script that is one.
known_tests() {
  tests_of tests/unit tests/scenario tests/integration
  sed -nE 's/^ *add_test\(NAME ([A-Za-z0-9_.]+) .*/\1/p' "$root/tests/CMakeLists.txt"
}

conclude() {
  if ((offences > 0)); then
    printf '%d offences\n' "$offences"
    exit 1
  fi
  printf 'ok\n'
}
