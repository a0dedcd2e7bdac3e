# shellcheck shell=bash disable=SC2154 # names of tests/bench/run
# idle.sh - what it costs to be there: memory, CPU time and the loop's stalls, beside dockerd and the node exporter. Sourced.

exporter_address=127.0.0.1:0
scrape_every=15  # seconds, as Prometheus does

# The package would start a service; only its program is wanted.
prepare_exporter() {
  local work=$checkout/build/apt/exporter
  exporter=$work/root/usr/bin/prometheus-node-exporter
  [[ ! -x $exporter ]] || return 0
  rm -rf "$work"
  download_packages "$(own_suite)" "$work/debs" prometheus-node-exporter
  dpkg -x "$work"/debs/prometheus-node-exporter_*.deb "$work/root"
}

# Its port is the kernel's choice and stands nowhere in its log, so one is tried until it holds.
start_exporter() {
  local port
  for port in $(seq 9900 9999); do
    exporter_address=127.0.0.1:$port
    "$exporter" --web.listen-address="$exporter_address" > "$dir/exporter.log" 2>&1 &
    exporter_pid=$!
    if wait_for 5 exporter_answers_or_ended && [[ -d /proc/$exporter_pid ]]; then return; fi
  done
  fail "the node exporter does not start: $(tail -n 1 "$dir/exporter.log")"
}

exporter_answers_or_ended() { scrape_exporter 2>/dev/null || [[ ! -d /proc/$exporter_pid ]]; }

stop_exporter() { end_child "$exporter_pid"; exporter_pid=; }

# Over and over, so that the disk's queue is never empty.
start_writer() {
  while dd if=/dev/zero of="$dir/disk/writer" bs=1M count=1500 conv=fsync 2>/dev/null; do rm -f "$dir/disk/writer"; done &
  writer_pid=$!
}

stop_writer() {
  end_child "$writer_pid"
  writer_pid=
  rm -f "$dir/disk/writer"
}

end_child() {
  [[ -n $1 ]] || return 0
  pkill -P "$1" 2>/dev/null || true  # what it runs now
  kill "$1" 2>/dev/null || true
  { wait "$1"; } 2>/dev/null || true
}

scrape_exporter() { curl -sf -o /dev/null "http://$exporter_address/metrics"; }
scrape_daemon() { curl -sf -o /dev/null --unix-socket "$api" http://localhost/metrics; }

# cpu_us PID: CPU time of its threads and of its children that have ended, in microseconds.
cpu_us() {
  local running children
  running=$(cat /proc/"$1"/task/*/schedstat | awk '{ ns += $1 } END { printf "%d", ns / 1000 }')
  children=$(sed 's/.*) //' "/proc/$1/stat" | awk -v hz="$(getconf CLK_TCK)" '{ printf "%d", ($14 + $15) * 1000000 / hz }')
  printf '%d' $((running + children))
}

per_minute_ms() { awk -v us="$1" -v s="$2" 'BEGIN { printf "%.1f", us / 1000 * 60 / s }'; }

measure_idle() {
  local seconds=$1 engine_pid daemon_us engine_us exporter_us until
  engine_pid=$(cat "$dir/docker.pid")
  sleep 3  # what the start did is done
  daemon_us=$(cpu_us "$daemon_pid") engine_us=$(cpu_us "$engine_pid") exporter_us=$(cpu_us "$exporter_pid")
  until=$((SECONDS + seconds))
  while ((SECONDS < until)); do
    scrape_daemon
    scrape_exporter
    sleep "$scrape_every"
  done
  daemon_us=$(($(cpu_us "$daemon_pid") - daemon_us))
  engine_us=$(($(cpu_us "$engine_pid") - engine_us))
  exporter_us=$(($(cpu_us "$exporter_pid") - exporter_us))
  local ours
  ours=$(per_minute_ms "$daemon_us" "$seconds")
  compare "CPU a minute, idle for $seconds s, beside dockerd" "$ours" "$(per_minute_ms "$engine_us" "$seconds")" ms
  compare "CPU a minute beside the node exporter" "$ours" "$(per_minute_ms "$exporter_us" "$seconds")" ms
  ours=$(mib "$(pss_kib "$daemon_pid")")
  compare "PSS beside dockerd" "$ours" "$(mib "$(pss_kib "$engine_pid")")" MiB
  compare "PSS beside the node exporter" "$ours" "$(mib "$(pss_kib "$exporter_pid")")" MiB
}

# Of the daemon's own histogram, over everything that was measured.
show_stalls() {
  curl -s --unix-socket "$api" http://localhost/metrics | awk '
    /^buildwarden_loop_stall_seconds_count/ { all = $2 }
    /^buildwarden_loop_stall_seconds_bucket\{le="0.005"\}/ { short = $2 }
    END { printf "%-58s %14d of %d\n", "turns of the loop that came over 5 ms late", all - short, all }'
}
