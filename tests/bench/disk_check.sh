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
  local script
  printf '{"data-root":"%s"}\n' "${BUILDWARDEN_DATA_ROOT:-$dir}" > "$dir/daemon.json"
  mkdir -p "$dir/bench-bin"
  ln -sf "$program" "$dir/bench-bin/buildwarden"
  group "the stack's bk-check-disk-space.sh"
  row replaced ms "the script in its place"
  row asked ms "\`buildwarden disk check\`"
  row here ms "the same without the daemon"
  for _ in $(seq "$commands"); do
    script=$(timed_ms stack_check)
    theirs replaced "$script"
    theirs asked "$script"
    theirs here "$script"
    ours replaced "$(timed_ms our_script)"
    ours asked "$(timed_ms our_check --stack)"
    ours here "$(timed_ms our_check --here --stack)"
  done
}
