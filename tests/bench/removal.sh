# shellcheck shell=bash disable=SC2154 # names of tests/bench/run
# removal.sh - a tree of a hundred files in each folder, synced, then removed: by rm -rf, and as the daemon removes a checkout.
# Sourced; or alone, as the numbers need no engine: `bash tests/bench/removal.sh BENCH_REMOVAL FOLDER [FOLDERS]`.

# removal_ms HOW: one removal of a tree of its own, milliseconds.
removal_ms() {
  "$remover" make "$removal_dir/tree" "$removal_folders" 100
  sync -f "$removal_dir"
  if [[ $1 == rm ]]; then
    local begin=${EPOCHREALTIME/[.,]/}
    rm -rf "$removal_dir/tree"
    awk -v us=$((${EPOCHREALTIME/[.,]/} - begin)) 'BEGIN { printf "%.0f\n", us / 1000 }'
  else
    "$remover" remove "$removal_dir/tree" "$1"
  fi
}

# By turns. Two threads are the least that the daemon takes, four the most.
measure_removal() {
  local removal_dir=$dir/disk/removal took
  mkdir -p "$removal_dir"
  group "\`rm -rf\`"
  row removed-4 ms "$((removal_folders / 10))k files in $removal_folders folders removed as a checkout is, by 4 threads"
  row removed-2 ms "the same by 2 threads"
  for _ in $(seq "$removals"); do
    took=$(removal_ms rm)
    theirs removed-4 "$took"
    theirs removed-2 "$took"
    ours removed-2 "$(removal_ms 2)"
    ours removed-4 "$(removal_ms 4)"
  done
  rmdir "$removal_dir"
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
  set -euo pipefail
  remover=${1:?bench_removal} dir=${2:?a folder} removal_folders=${3:-2000} removals=3
  # shellcheck source=../../packaging/lib/common.sh
  . "$(dirname "$0")/../../packaging/lib/common.sh"
  # shellcheck source=samples.sh
  . "$checkout/tests/bench/samples.sh"
  samples=$(mktemp)
  trap 'rm -f "$samples"' EXIT
  measure_removal
  "$checkout/tests/bench/table" "$samples"
fi
