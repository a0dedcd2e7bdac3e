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

# By turns, three times each: the median. Two threads are the least that the daemon takes, four the most.
measure_removal() {
  local removal_dir=$dir/disk/removal how
  local -A taken=()
  mkdir -p "$removal_dir"
  for _ in 1 2 3; do
    for how in rm 2 4; do taken[$how]+="$(removal_ms "$how") "; done
  done
  for how in rm 2 4; do taken[$how]=$(tr ' ' '\n' <<< "${taken[$how]}" | sed '/^$/d' | sort -n | sed -n 2p); done
  compare "$((removal_folders / 10))k files removed by 4 threads beside rm -rf" "${taken[4]}" "${taken[rm]}" ms
  compare "the same by 2 threads" "${taken[2]}" "${taken[rm]}" ms
  rmdir "$removal_dir"
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
  set -euo pipefail
  remover=${1:?bench_removal} dir=${2:?a folder} removal_folders=${3:-2000}
  compare() { awk -v what="$1" -v ours="$2" -v theirs="$3" -v unit="$4" 'BEGIN { printf "%-58s %10s %10s %s %.1fx\n", what, ours, theirs, unit, theirs / ours }'; }
  measure_removal
fi
