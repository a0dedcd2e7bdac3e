# shellcheck shell=bash disable=SC2034 # used by those that source it
# common.sh - what the scripts of this checkout share: where it is, what to say, how to wait. Sourced, never run.

checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

# The program's name stands before each line, since several of these scripts call one another.
say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() { say "$*"; exit 1; }
usage_error() { say "$*"; say "see the head of $0"; exit 2; }

need_root() { [[ $EUID -eq 0 ]] || die "must run as root"; }

# wait_for SECONDS COMMAND...: polls until COMMAND succeeds; 1 when the time is over.
wait_for() {
  local -i tries=$(($1 * 20))
  shift
  while ! "$@"; do
    ((tries-- > 0)) || return 1
    sleep 0.05
  done
}
