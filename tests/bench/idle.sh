# shellcheck shell=bash disable=SC2154 # names of tests/bench/run
# idle.sh - what it costs to be there: memory, CPU time, scrapes and the loop's stalls, beside dockerd and the node exporter. Sourced.

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

scrape_exporter() { curl -sf -o "$dir/theirs.txt" "http://$exporter_address/metrics"; }
scrape_daemon() { curl -sf -o "$dir/ours.txt" "http://$tcp/metrics"; }

# cpu_us PID: CPU time of its threads and of its children that have ended, in microseconds.
cpu_us() {
  local running children
  running=$(cat /proc/"$1"/task/*/schedstat | awk '{ ns += $1 } END { printf "%d", ns / 1000 }')
  children=$(sed 's/.*) //' "/proc/$1/stat" | awk -v hz="$(getconf CLK_TCK)" '{ printf "%d", ($14 + $15) * 1000000 / hz }')
  printf '%d' $((running + children))
}

pss_mib() { mib_of_kib "$(awk '/^Pss:/ { print $2 }' "/proc/$1/smaps_rollup")"; }
series() { grep -vc '^#' "$1"; }

# Minutes in which nothing happens but a scrape of each every 15 s.
measure_idle() {
  local minutes=$1 engine_pid daemon_us engine_us exporter_us
  engine_pid=$(cat "$dir/docker.pid")
  group "dockerd, when nothing happens but a scrape every $scrape_every s"
  row cpu-engine ms "CPU time a minute"
  row pss-engine MiB "memory (PSS)"
  group "prometheus-node-exporter, when nothing happens but a scrape every $scrape_every s"
  row cpu-exporter ms "CPU time a minute"
  row pss-exporter MiB "memory (PSS)"
  sleep 3  # what the start did is done
  for _ in $(seq "$minutes"); do
    daemon_us=$(cpu_us "$daemon_pid") engine_us=$(cpu_us "$engine_pid") exporter_us=$(cpu_us "$exporter_pid")
    for _ in $(seq $((60 / scrape_every))); do
      scrape_daemon
      scrape_exporter
      sleep "$scrape_every"
    done
    daemon_us=$(thousandths $(($(cpu_us "$daemon_pid") - daemon_us)))
    ours cpu-engine "$daemon_us"
    theirs cpu-engine "$(thousandths $(($(cpu_us "$engine_pid") - engine_us)))"
    ours cpu-exporter "$daemon_us"
    theirs cpu-exporter "$(thousandths $(($(cpu_us "$exporter_pid") - exporter_us)))"
    ours pss-engine "$(pss_mib "$daemon_pid")"
    theirs pss-engine "$(pss_mib "$engine_pid")"
    ours pss-exporter "$(pss_mib "$daemon_pid")"
    theirs pss-exporter "$(pss_mib "$exporter_pid")"
  done
}

# Both by TCP on one connection each, by turns.
measure_scrapes() {
  local daemon_us exporter_us our_series their_series
  local -a took
  scrape_daemon && our_series=$(series "$dir/ours.txt")
  scrape_exporter && their_series=$(series "$dir/theirs.txt")
  group "prometheus-node-exporter, when it is scraped (series: ours $our_series, theirs $their_series)"
  row scrape us "GET /metrics, median"
  row scrape-cpu us "CPU time of one"
  row series-cpu us "CPU time of 1,000 series"
  for _ in $(seq "$rounds"); do
    daemon_us=$(cpu_us "$daemon_pid") exporter_us=$(cpu_us "$exporter_pid")
    read -ra took < <("$client" gets "$scrapes" "$tcp" /metrics "$exporter_address" /metrics)
    [[ ${#took[@]} -eq 4 ]] || fail "the client measured nothing"
    daemon_us=$((($(cpu_us "$daemon_pid") - daemon_us) / scrapes)) exporter_us=$((($(cpu_us "$exporter_pid") - exporter_us) / scrapes))
    ours scrape "${took[0]}"
    theirs scrape "${took[2]}"
    ours scrape-cpu "$daemon_us"
    theirs scrape-cpu "$exporter_us"
    ours series-cpu $((daemon_us * 1000 / our_series))
    theirs series-cpu $((exporter_us * 1000 / their_series))
  done
}

# Of the daemon's own histogram, over everything that it was asked until now.
note_stalls() {
  note "$(curl -s --unix-socket "$api" http://localhost/metrics | awk '
    /^buildwarden_loop_stall_seconds_count/ { all = $2 }
    /^buildwarden_loop_stall_seconds_bucket\{le="0.005"\}/ { short = $2 }
    END { printf "While all but the prunes was measured %d of %d turns of the daemon\047s loop came over 5 ms late.", all - short, all }')"
}
