# shellcheck shell=bash
# Completion of buildwarden(1) for bash, made by `buildwarden completion bash`.

# The subcommands and options of a command; 1 when it is none.
_buildwarden_words() {
  case $1 in
    '') printf '%s\n' serve config status version jobs emulators builders seeds disk events doctor job completion --help -h --version --socket --json ;;
    'serve') printf '%s\n' --help -h --config --dry-run --version --socket --json ;;
    'config') printf '%s\n' check show --help -h --version --socket --json ;;
    'config check') printf '%s\n' --help -h --config --version --socket --json ;;
    'config show') printf '%s\n' --help -h --version --socket --json ;;
    'status') printf '%s\n' --help -h --watch --interval --version --socket --json ;;
    'version') printf '%s\n' --help -h --version --socket --json ;;
    'jobs') printf '%s\n' --help -h --version --socket --json ;;
    'emulators') printf '%s\n' verify --help -h --version --socket --json ;;
    'emulators verify') printf '%s\n' --help -h --version --socket --json ;;
    'builders') printf '%s\n' show recreate --help -h --version --socket --json ;;
    'builders show') printf '%s\n' --help -h --version --socket --json ;;
    'builders recreate') printf '%s\n' --help -h --force --dry-run --version --socket --json ;;
    'seeds') printf '%s\n' save restore --help -h --version --socket --json ;;
    'seeds save') printf '%s\n' --help -h --dry-run --version --socket --json ;;
    'seeds restore') printf '%s\n' --help -h --dry-run --version --socket --json ;;
    'disk') printf '%s\n' reclaim check ensure --help -h --version --socket --json ;;
    'disk reclaim') printf '%s\n' --help -h --dry-run --target --wait --version --socket --json ;;
    'disk check') printf '%s\n' --help -h --here --make-room --stack --job-ends --config --version --socket --json ;;
    'disk ensure') printf '%s\n' --help -h --job-ends --config --version --socket --json ;;
    'events') printf '%s\n' --help -h --follow -f --since --before --limit -n --kind --severity --version --socket --json ;;
    'doctor') printf '%s\n' --help -h --config --version --socket --json ;;
    'job') printf '%s\n' start end --help -h --version --socket --json ;;
    'job start') printf '%s\n' --help -h --id --agent --pipeline --checkout --pid --need --builder --use --platform --cache-name --reuse-context --no-reuse-context --load --no-load --ttl --print-env --hook --version --socket --json ;;
    'job end') printf '%s\n' --help -h --id --version --socket --json ;;
    'completion') printf '%s\n' --help -h --version --socket --json ;;
    *) return 1 ;;
  esac
}

# What stands behind an option: "file", "builder", words, or nothing; 1 when it takes no value.
_buildwarden_values() {
  case $1 in
    --socket) echo 'file' ;;
    --config) echo 'file' ;;
    --interval) echo '' ;;
    --target) echo '' ;;
    --wait) echo '' ;;
    --since) echo '' ;;
    --before) echo '' ;;
    --limit | -n) echo '' ;;
    --kind) echo '' ;;
    --severity) echo 'info warning error' ;;
    --id) echo '' ;;
    --agent) echo '' ;;
    --pipeline) echo '' ;;
    --checkout) echo 'file' ;;
    --pid) echo '' ;;
    --need) echo '' ;;
    --builder) echo 'builder' ;;
    --use) echo 'builder' ;;
    --platform) echo '' ;;
    --cache-name) echo '' ;;
    --ttl) echo '' ;;
    *) return 1 ;;
  esac
}

# The same of the value of a command.
_buildwarden_value() {
  case $1 in
    'builders show') echo 'builder' ;;
    'builders recreate') echo 'builder' ;;
    'seeds save') echo 'builder' ;;
    'seeds restore') echo 'builder' ;;
    'completion') echo 'bash zsh fish' ;;
    *) ;;
  esac
}

_buildwarden_names() {
  "$1" builders --json 2> /dev/null | grep -oE '"name": ?"[a-z0-9][a-z0-9_.-]*"' | sed 's/.*"\(.*\)"/\1/'
}

# Adds what begins as $1 of the values that $2 tells of; $3 is the program.
_buildwarden_add() {
  local -a found=()
  case $2 in
    '') ;;
    file) mapfile -t found < <(compgen -f -- "$1") ;;
    builder) mapfile -t found < <(compgen -W "$(_buildwarden_names "$3")" -- "$1") ;;
    *) mapfile -t found < <(compgen -W "$2" -- "$1") ;;
  esac
  COMPREPLY+=("${found[@]}")
}

_buildwarden() {
  local current=${COMP_WORDS[COMP_CWORD]} program=${COMP_WORDS[0]} at='' option='' word
  COMPREPLY=()
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    if [[ -n $option ]]; then
      option=''
    elif _buildwarden_values "$word" > /dev/null; then
      option=$word
    elif _buildwarden_words "${at:+$at }$word" > /dev/null; then
      at=${at:+$at }$word
    fi
  done
  if [[ -n $option ]]; then
    _buildwarden_add "$current" "$(_buildwarden_values "$option")" "$program"
    return
  fi
  _buildwarden_add "$current" "$(_buildwarden_value "$at")" "$program"
  _buildwarden_add "$current" "$(_buildwarden_words "$at")" "$program"
}

complete -F _buildwarden buildwarden
