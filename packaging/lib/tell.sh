# shellcheck shell=bash disable=SC2034 # names for those that source it
# tell.sh - words for the person who watches: headings, aligned facts, times and sizes. Sourced.

bold='' dim='' green='' plain=''
if [[ -t 1 ]]; then bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' plain=$'\e[0m'; fi

heading() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
fact() { printf '  %-46s %s\n' "$1" "${*:2}"; }
good() { printf '  %s%-46s %s%s\n' "$green" "$1" "${*:2}" "$plain"; }

# The lines of stdin, as something that runs along.
aside() { sed -u "s/^.*$/  $dim| &$plain/"; }

mib() { awk -v bytes="$1" 'BEGIN { printf "%.0f MiB", bytes / 1048576 }'; }

# timed COMMAND...: runs it; its milliseconds are in $took afterwards.
timed() {
  local start=${EPOCHREALTIME/[.,]/} result=0
  "$@" || result=$?
  took=$(((${EPOCHREALTIME/[.,]/} - start) / 1000))
  return "$result"
}
