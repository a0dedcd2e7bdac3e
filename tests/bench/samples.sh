# shellcheck shell=bash disable=SC2154 # names of those that source it
# samples.sh - what is measured goes to a file, from which tests/bench/table makes the table; and how time is taken. Sourced.

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
