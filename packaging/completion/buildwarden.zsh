#compdef buildwarden
# Completion of buildwarden(1) for zsh, made by `buildwarden completion zsh`.

# Sets commands and options to those of a command; 1 when it is none.
_buildwarden_describe() {
  case $1 in
    '')
      commands=(
        'serve:run the daemon'
        'config:the configuration'
        'status:everything in one view'
        'version:of this program and of the daemon'
        'jobs:the jobs that the daemon knows'
        'emulators:the platforms that run here, and whether that was proven'
        'builders:the warm builders'
        'seeds:archives of builders'\'' volumes, for the builders of new instances'
        'disk:the watched filesystems'
        'events:what was decided, and why'
        'doctor:what is wrong with this machine, and the fix; exit 1 when something is'
        'job:tell the daemon of a job (for hooks)'
        'completion:a script for a shell, which completes the words of this program')
      options=(
        '--help:Print this help message and exit'
        '-h:Print this help message and exit'
        '--version:Display program version information and exit'
        '--socket:the daemon'\''s socket (BUILDWARDEN_SOCKET)'
        '--json:print the daemon'\''s own answer')
      ;;
    'serve')
      commands=()
      options=(
        '--help:Print this help message and exit'
        '-h:Print this help message and exit'
        '--config:the configuration (/etc/buildwarden/buildwarden.yaml)'
        '--dry-run:decide and say, but delete nothing'
        '--version:Display program version information and exit'
        '--socket:the daemon'\''s socket (BUILDWARDEN_SOCKET)'
        '--json:print the daemon'\''s own answer')
      ;;
    'config')
      commands=(
        'check:validate it; print each value and where it came from'
        'show:that of the running daemon; each value and where it came from')
      options=(
        '--help:Print this help message and exit'
        '-h:Print this help message and exit'
        '--version:Display program version information and exit'
        '--socket:the daemon'\''s socket (BUILDWARDEN_SOCKET)'
        '--json:print the daemon'\''s own answer')
      ;;
    'config check')
      commands=()
      options=(
        '--help:Print this help message and exit'
        '-h:Print this help message and exit'
        '--config:the configuration (/etc/buildwarden/buildwarden.yaml)'
        '--version:Display program version information and exit'
        '--socket:the daemon'\''s socket (BUILDWARDEN_SOCKET)'
        '--json:print the daemon'\''s own answer')
      ;;
    'config show')
      commands=()
      options=(
        '--help:Print this help message and exit'
        '-h:Print this help message and exit'
        '--version:Display program version information and exit'
        '--socket:the daemon'\''s socket (BUILDWARDEN_SOCKET)'
        '--json:print the daemon'\''s own answer')
      ;;
    'status')
      commands=()
      options=(
        '--help:Print this help message and exit'
        '-h:Print this help message and exit'
        '--watch:again and again, until ^C'
        '--interval:how often with --watch (2s)'
        '--version:Display program version information and exit'
        '--socket:the daemon'\''s socket (BUILDWARDEN_SOCKET)'
        '--json:print the daemon'\''s own answer')
      ;;
    'version')
      commands=()
      options=(
        '--help:Print this help message and exit'
        '-h:Print this help message and exit'
        '--version:Display program version information and exit'
        '--socket:the daemon'\''s socket (BUILDWARDEN_SOCKET)'
        '--json:print the daemon'\''s own answer')
      ;;
    'jobs')
      commands=()
      options=(
        '--help:Print this help message and exit'
        '-h:Print this help message and exit'
        '--version:Display program version information and exit'
        '--socket:the daemon'\''s socket (BUILDWARDEN_SOCKET)'
        '--json:print the daemon'\''s own answer')
      ;;
    'emulators')
      commands=(
        'verify:execute a program of each now, and restore what is lost; exit 1 when one does not run')
      options=(
        '--help:Print this help message and exit'
        '-h:Print this help message and exit'
        '--version:Display program version information and exit'
        '--socket:the daemon'\''s socket (BUILDWARDEN_SOCKET)'
        '--json:print the daemon'\''s own answer')
      ;;
    'emulators verify')
      commands=()
      options=(
        '--help:Print this help message and exit'
        '-h:Print this help message and exit'
        '--version:Display program version information and exit'
        '--socket:the daemon'\''s socket (BUILDWARDEN_SOCKET)'
        '--json:print the daemon'\''s own answer')
      ;;
    'builders')
      commands=(
        'show:all that is known of one'
        'recreate:make one'\''s container anew on its cache; exit 1 while builds run on it')
      options=(
        '--help:Print this help message and exit'
        '-h:Print this help message and exit'
        '--version:Display program version information and exit'
        '--socket:the daemon'\''s socket (BUILDWARDEN_SOCKET)'
        '--json:print the daemon'\''s own answer')
      ;;
    'builders show')
      commands=()
      options=(
        '--help:Print this help message and exit'
        '-h:Print this help message and exit'
        '--version:Display program version information and exit'
        '--socket:the daemon'\''s socket (BUILDWARDEN_SOCKET)'
        '--json:print the daemon'\''s own answer')
      ;;
    'builders recreate')
      commands=()
      options=(
        '--help:Print this help message and exit'
        '-h:Print this help message and exit'
        '--force:also at the cost of builds that run'
        '--dry-run:only say what would be done'
        '--version:Display program version information and exit'
        '--socket:the daemon'\''s socket (BUILDWARDEN_SOCKET)'
        '--json:print the daemon'\''s own answer')
      ;;
    'seeds')
      commands=(
        'save:make a seed of a builder now; root only'
        'restore:move a builder to a fresh volume made of its seed; the old one is kept; root only')
      options=(
        '--help:Print this help message and exit'
        '-h:Print this help message and exit'
        '--version:Display program version information and exit'
        '--socket:the daemon'\''s socket (BUILDWARDEN_SOCKET)'
        '--json:print the daemon'\''s own answer')
      ;;
    'seeds save')
      commands=()
      options=(
        '--help:Print this help message and exit'
        '-h:Print this help message and exit'
        '--dry-run:say what it would come to, and change nothing'
        '--version:Display program version information and exit'
        '--socket:the daemon'\''s socket (BUILDWARDEN_SOCKET)'
        '--json:print the daemon'\''s own answer')
      ;;
    'seeds restore')
      commands=()
      options=(
        '--help:Print this help message and exit'
        '-h:Print this help message and exit'
        '--dry-run:say what it would come to, and change nothing'
        '--version:Display program version information and exit'
        '--socket:the daemon'\''s socket (BUILDWARDEN_SOCKET)'
        '--json:print the daemon'\''s own answer')
      ;;
    'disk')
      commands=(
        'reclaim:make room now; exit 1 when the target is not reached'
        'check:exit 1 when a job would not find enough room; works without the daemon'
        'ensure:make room where a job would not find enough; exit 1 when that was not enough')
      options=(
        '--help:Print this help message and exit'
        '-h:Print this help message and exit'
        '--version:Display program version information and exit'
        '--socket:the daemon'\''s socket (BUILDWARDEN_SOCKET)'
        '--json:print the daemon'\''s own answer')
      ;;
    'disk reclaim')
      commands=()
      options=(
        '--help:Print this help message and exit'
        '-h:Print this help message and exit'
        '--dry-run:only the plan'
        '--target:free space wanted, such as 20GiB (disk.reclaim_to)'
        '--wait:how long to wait for it (5m)'
        '--version:Display program version information and exit'
        '--socket:the daemon'\''s socket (BUILDWARDEN_SOCKET)'
        '--json:print the daemon'\''s own answer')
      ;;
    'disk check')
      commands=()
      options=(
        '--help:Print this help message and exit'
        '-h:Print this help message and exit'
        '--here:measure, and ask no daemon'
        '--make-room:as `disk ensure`'
        '--stack:print what bk-check-disk-space.sh prints, and make room as that does'
        '--job-ends:asked at the end of the job BUILDKITE_JOB_ID: exit 0 also where the checkouts that it alone keeps hold the room and go when it has ended (on_full.purge_builds)'
        '--config:the configuration (/etc/buildwarden/buildwarden.yaml)'
        '--version:Display program version information and exit'
        '--socket:the daemon'\''s socket (BUILDWARDEN_SOCKET)'
        '--json:print the daemon'\''s own answer')
      ;;
    'disk ensure')
      commands=()
      options=(
        '--help:Print this help message and exit'
        '-h:Print this help message and exit'
        '--job-ends:asked at the end of the job BUILDKITE_JOB_ID: exit 0 also where the checkouts that it alone keeps hold the room and go when it has ended (on_full.purge_builds)'
        '--config:the configuration (/etc/buildwarden/buildwarden.yaml)'
        '--version:Display program version information and exit'
        '--socket:the daemon'\''s socket (BUILDWARDEN_SOCKET)'
        '--json:print the daemon'\''s own answer')
      ;;
    'events')
      commands=()
      options=(
        '--help:Print this help message and exit'
        '-h:Print this help message and exit'
        '--follow:go on with those to come'
        '-f:go on with those to come'
        '--since:only those with a larger number; or of so long ago (1h), or at a time, and later'
        '--before:the latest with a smaller number, however old'
        '--limit:at most so many: the latest, with a number the first'
        '-n:at most so many: the latest, with a number the first'
        '--kind:only this kind and those below it, such as reclaim; may be repeated'
        '--severity:only these and worse: info, warning, error'
        '--version:Display program version information and exit'
        '--socket:the daemon'\''s socket (BUILDWARDEN_SOCKET)'
        '--json:print the daemon'\''s own answer')
      ;;
    'doctor')
      commands=()
      options=(
        '--help:Print this help message and exit'
        '-h:Print this help message and exit'
        '--config:the configuration (/etc/buildwarden/buildwarden.yaml)'
        '--version:Display program version information and exit'
        '--socket:the daemon'\''s socket (BUILDWARDEN_SOCKET)'
        '--json:print the daemon'\''s own answer')
      ;;
    'job')
      commands=(
        'start:ask for room and builders'
        'end:the job is over; succeeds without the daemon')
      options=(
        '--help:Print this help message and exit'
        '-h:Print this help message and exit'
        '--version:Display program version information and exit'
        '--socket:the daemon'\''s socket (BUILDWARDEN_SOCKET)'
        '--json:print the daemon'\''s own answer')
      ;;
    'job start')
      commands=()
      options=(
        '--help:Print this help message and exit'
        '-h:Print this help message and exit'
        '--id:1-128 bytes (BUILDKITE_JOB_ID)'
        '--agent:(BUILDKITE_AGENT_NAME)'
        '--pipeline:(BUILDKITE_PIPELINE_SLUG)'
        '--checkout:(BUILDKITE_BUILD_CHECKOUT_PATH)'
        '--pid:a process that lives as long as the job; none by default, as a hook'\''s shell ends'
        '--need:free space that the job needs, such as 10GiB'
        '--builder:only this one; may be repeated (all)'
        '--use:the builder of plain `docker build` (BUILDWARDEN_BUILDER)'
        '--platform:that the job builds for; may be repeated'
        '--cache-name:its cache'\''s name, where one is configured'
        '--reuse-context:send only what changed since this pipeline'\''s last build in this checkout'
        '--no-reuse-context:send it whole (jobs.reuse_context)'
        '--load:send what `docker build -t` makes to the engine too'
        '--no-load:leave it on the builder (jobs.default_load)'
        '--ttl:the lease'\''s length without a live pid'
        '--print-env:print the variables only; write no files'
        '--hook:print the verdict for a hook, too: BUILDWARDEN_VERDICT=run, refuse or absent'
        '--version:Display program version information and exit'
        '--socket:the daemon'\''s socket (BUILDWARDEN_SOCKET)'
        '--json:print the daemon'\''s own answer')
      ;;
    'job end')
      commands=()
      options=(
        '--help:Print this help message and exit'
        '-h:Print this help message and exit'
        '--id:the job (BUILDKITE_JOB_ID)'
        '--version:Display program version information and exit'
        '--socket:the daemon'\''s socket (BUILDWARDEN_SOCKET)'
        '--json:print the daemon'\''s own answer')
      ;;
    'completion')
      commands=()
      options=(
        '--help:Print this help message and exit'
        '-h:Print this help message and exit'
        '--version:Display program version information and exit'
        '--socket:the daemon'\''s socket (BUILDWARDEN_SOCKET)'
        '--json:print the daemon'\''s own answer')
      ;;
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

# Adds the values that $1 tells of; $2 is the program.
_buildwarden_add() {
  case $1 in
    '') ;;
    file) _files ;;
    builder) compadd -- ${(f)"$(_buildwarden_names $2)"} ;;
    *) compadd -- ${=1} ;;
  esac
}

_buildwarden() {
  local at='' option='' word
  local -a commands options
  for word in ${words[2,CURRENT-1]}; do
    if [[ -n $option ]]; then
      option=''
    elif _buildwarden_values $word > /dev/null; then
      option=$word
    elif _buildwarden_describe "${at:+$at }$word"; then
      at=${at:+$at }$word
    fi
  done
  if [[ -n $option ]]; then
    _buildwarden_add "$(_buildwarden_values $option)" $words[1]
    return
  fi
  _buildwarden_add "$(_buildwarden_value $at)" $words[1]
  _buildwarden_describe "$at"
  if (( $#commands )); then _describe -t commands command commands; fi
  _describe -o -t options option options
}

if [[ $funcstack[1] == _buildwarden ]]; then
  _buildwarden "$@"
else
  compdef _buildwarden buildwarden
fi
