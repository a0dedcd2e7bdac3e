# shellcheck shell=bash disable=SC2154 # names of those that source it
# samples.sh - what is measured goes to a file, from which tests/bench/table makes the table; how time is taken, and
# whether anybody disturbed it. Sourced.

# group TITLE: what the rows from here on are beside.   row KEY UNIT TEXT: what is compared.
group() {
  printf 'group\t%s\n' "$1" >> "$samples"
  say "beside $1"
}
row() { printf 'row\t%s\t%s\t%s\n' "$@" >> "$samples"; }
ours() { printf 'ours\t%s\t%s\n' "$@" >> "$samples"; }
theirs() { printf 'theirs\t%s\t%s\n' "$@" >> "$samples"; }
head_line() { printf 'head\t%s\n' "$1" >> "$samples"; }
note() { printf 'note\t%s\n' "$1" >> "$samples"; }

# timed_ms COMMAND...: wall time, milliseconds; what it says only when it fails.
timed_ms() {
  local begin=${EPOCHREALTIME/[.,]/} end
  "$@" > "$dir/step.log" 2>&1 || { cat "$dir/step.log" >&2; return 1; }
  end=${EPOCHREALTIME/[.,]/}
  thousandths $((end - begin))
}

thousandths() { printf '%d.%03d' $(($1 / 1000)) $(($1 % 1000)); }
mib_of_kib() { awk -v kib="$1" 'BEGIN { printf "%.2f", kib / 1024 }'; }

# ---- whether the machine was calm

calm_below=10  # percent of a second in which some task waited, for a processor or for a disk

# waited_us: how long some task has waited for a processor, and for a disk, since the boot. Nothing without pressure stall information.
waited_us() { sed -n 's/^some .*total=//p' /proc/pressure/cpu /proc/pressure/io 2>/dev/null | paste -sd ' '; }

# pressure: "CPU IO" in percent of one second, in which the measurement itself does nothing.
pressure() {
  local -a before after
  read -ra before < <(waited_us) || true
  sleep 1
  read -ra after < <(waited_us) || true
  [[ ${#before[@]} -eq 2 && ${#after[@]} -eq 2 ]] || { printf 'unknown unknown\n'; return; }
  printf '%d %d\n' $(((after[0] - before[0]) / 10000)) $(((after[1] - before[1]) / 10000))
}

# state_of CPU IO CPU IO: at the start of a step and at its end.
state_of() {
  local one
  for one in "$@"; do
    [[ $one != unknown ]] || { printf 'unknown'; return; }
    ((one < calm_below)) || { printf 'busy'; return; }
  done
  printf 'calm'
}

# watched STEP...: the step, and whether the machine was calm at its start and its end. Where it was not the step is taken once more.
watched() {
  local state try
  local -a at_start at_end
  for try in 1 2; do
    read -ra at_start < <(pressure)
    "$@"
    read -ra at_end < <(pressure)
    state=$(state_of "${at_start[@]}" "${at_end[@]}")
    printf 'machine\t%s\n' "$state" >> "$samples"
    say "$1: the machine was $state (waited for a processor ${at_start[0]} and ${at_end[0]} %, for a disk ${at_start[1]} and ${at_end[1]} %)"
    [[ $state == busy && $try -eq 1 ]] || return 0
  done
}
