# shellcheck shell=bash
# Completion of buildwarden(1) for bash. It asks the program itself (`… --help`), so it knows what the installed version knows.

# The options and subcommands of the command so far, one a line.
_buildwarden_words() {
  "$@" --help 2>/dev/null | awk '
    /^[A-Z][a-z]+:$/ { part = $1; next }
    part == "Options:" && /^  -/ { sub(/:.*/, "", $1); n = split($1, names, ","); for (i = 1; i <= n; i++) print names[i] }
    part == "Subcommands:" && /^  [a-z]/ { print $1 }'
}

# Options of the command so far that want a value stand with it in the help: "--config FILE".
_buildwarden_takes_value() {
  local option=$1
  shift
  grep -qE -- "^  (-[a-z],)?$option [A-Z]+" <<< "$("$@" --help 2>/dev/null)"
}

_buildwarden_names() {
  "$1" builders --json 2>/dev/null | grep -oE '"name": ?"[a-z0-9][a-z0-9_.-]*"' | sed 's/.*"\(.*\)"/\1/'
}

_buildwarden() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} word words
  local -a command=("${COMP_WORDS[0]}")
  COMPREPLY=()
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    if [[ $word == [a-z]* ]] && grep -qxF -- "$word" <<< "$(_buildwarden_words "${command[@]}")"; then command+=("$word"); fi
  done
  if [[ $previous == --* ]] && _buildwarden_takes_value "$previous" "${command[@]}"; then
    case $previous in
      --config | --socket | --checkout) mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
      --severity) mapfile -t COMPREPLY < <(compgen -W "info warning error" -- "$current") ;;
      --use | --builder) mapfile -t COMPREPLY < <(compgen -W "$(_buildwarden_names "${command[0]}")" -- "$current") ;;
    esac
    return
  fi
  words=$(_buildwarden_words "${command[@]}")
  if [[ ${command[*]:1} =~ ^(builders (recreate|show)|seeds (save|restore))$ ]]; then words+=" $(_buildwarden_names "${command[0]}")"; fi
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}

complete -F _buildwarden buildwarden
