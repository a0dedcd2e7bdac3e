# shellcheck shell=bash disable=SC2154 # names of tests/bench/run
# machine.sh - above the table: when, by which command, on what and with what it was measured. Sourced.

describe_machine() {
  local cpu memory filesystem
  cpu=$(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1)
  memory=$(awk '/^MemTotal/ { printf "%.0f", $2 / 1048576 }' /proc/meminfo)
  filesystem=$(stat -f -c %T "$(dirname "$dir")")
  head_line "Measured $(date -u '+%Y-%m-%d %H:%M UTC') by \`$command_line\` on ${cpu:-a CPU of no name}, $(nproc) cores, $memory GiB, load $(cut -d' ' -f1 /proc/loadavg) at the start,"
  head_line "Linux $(uname -r), the engine on ext4 (a loop device on $filesystem); $("$program" --version), $(versions)."
}

versions() {
  printf 'Docker Engine %s, buildx %s, BuildKit %s, node exporter %s' \
    "$(docker version -f '{{.Server.Version}}')" "$(docker buildx version | awk '{ print $2 }')" "$(buildkit_version)" \
    "$("$exporter" --version 2>&1 | awk 'NR == 1 { print $3 }')"
}

# It is asked when the builder has been warm for a while.
buildkit_version() {
  wait_for 30 builder_has_version || true
  curl -s --unix-socket "$api" http://localhost/v1/builders | jq -r '.builders[0].version // "of a version unknown"'
}

builder_has_version() { curl -s --unix-socket "$api" http://localhost/v1/builders | jq -e '.builders[0].version' > /dev/null; }
