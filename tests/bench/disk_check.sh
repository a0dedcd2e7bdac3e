# shellcheck shell=bash disable=SC2154 # names of tests/bench/run
# disk_check.sh - whether a job finds enough room, asked as each job's hook asks it: beside a script of the shape of the stack's own
# (jq, four df, their pipes), on the same folder. Sourced.

stack_check() {
  STACK_DAEMON_JSON=$dir/daemon.json DISK_MIN_AVAILABLE=1024 "$checkout/tests/support/stack/v6/bin/bk-check-disk-space.sh"
}

our_check() { "$program" --socket "$api" disk check "$@" --config "$dir/buildwarden.yaml"; }

# In the place of the stack's script, with the shell that this needs.
our_script() {
  PATH=$dir/bench-bin:$PATH BUILDWARDEN_SOCKET=$api "$checkout/packaging/buildkite/bk-check-disk-space.sh"
}

measure_disk_check() {
  local script asked here replaced
  printf '{"data-root":"%s"}\n' "${BUILDWARDEN_DATA_ROOT:-$dir}" > "$dir/daemon.json"
  mkdir -p "$dir/bench-bin"
  ln -sf "$program" "$dir/bench-bin/buildwarden"
  script=$(median_ms "$commands" stack_check)
  asked=$(median_ms "$commands" our_check --stack)
  here=$(median_ms "$commands" our_check --here --stack)
  replaced=$(median_ms "$commands" our_script)
  compare "disk check beside the stack's script" "$asked" "$script" ms
  compare "disk check without the daemon" "$here" "$script" ms
  compare "bk-check-disk-space.sh of ours" "$replaced" "$script" ms
}
