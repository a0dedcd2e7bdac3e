# shellcheck shell=bash disable=SC2154 # names of boot_test
# claims_end.sh - what must hold of an upgrade, a stop and a removal. Sourced after claims.sh.

# The same package with a higher number.
make_upgrade() {
  local root=$work/upgrade
  dpkg-deb -R "$packages/$deb_name" "$root"
  sed -i 's/^Version: .*/&+1/' "$root/DEBIAN/control"
  quietly dpkg-deb --root-owner-group -Zgzip --build "$root" "$work/upgrade.deb"
  docker cp "$work/upgrade.deb" "$machine:/var/tmp/upgrade.deb" > /dev/null
}

last_event() { inside buildwarden events --json | grep -oE '"id": ?[0-9]+' | grep -oE '[0-9]+' | sort -n | tail -n 1; }
holds_job() { [[ $(api http://localhost/v1/jobs) =~ \"id\":\ ?\"$1\" ]]; }

upgrade() { inside apt-get install -y -o Dpkg::Options::=--force-confold /var/tmp/upgrade.deb > "$work/apt.log" 2>&1 || { cat "$work/apt.log" >&2; return 1; }; }

claim_keeps_builds_running() {
  local pid event build
  make_upgrade
  must "a job is let in" start_job long
  job_builds long 12 &
  build=$!
  must "it builds" wait_for 300 grep -q 'busybox sleep' "$work/long.log"
  inside systemctl restart buildwarden
  pid=$(main_pid)
  event=$(last_event)
  must "the package is upgraded" upgrade
  must "the daemon was restarted" wait_for 300 has_new_pid "$pid"
  must "the lease is kept" holds_job long
  must "the journal is kept" test "$(last_event)" -gt "$event"
  must "the configuration is kept" inside grep -q 'keep_used_within: 5h' /etc/buildwarden/buildwarden.yaml
  inside systemctl stop buildwarden
  must "the build outlives restart, upgrade and stop" wait "$build"
  inside systemctl start buildwarden
}

# What the unit takes away, nothing missed.
forbidden='Operation not permitted|Permission denied|Read-only file system|Function not implemented|not supported by protocol'
nothing_was_forbidden() {
  inside journalctl --no-pager --unit buildwarden --output cat > "$work/journal"
  ! grep -E -- "$forbidden" "$work/journal" >&2
}

claim_stops() {
  must "nothing is forbidden that it needs" nothing_was_forbidden
  must "it is ready" wait_for 300 is_ready
  must "it can be stopped" inside systemctl stop buildwarden.service buildwarden.socket
  must "its end is clean, and in the time that its unit gives it" test "$(property buildwarden Result)" = success
  must_not "others stand down" is_ready
  must_not "the socket is left" is_there /run/buildwarden/api.sock
  must "the builder runs on" says yes docker inspect --format '{{if .State.Running}}yes{{end}}' buildwarden_s3
  inside systemctl start buildwarden.socket buildwarden.service
  must "it is ready again" wait_for 300 is_ready
}

claim_removed() {
  must "it can be removed" inside apt-get remove -y buildwarden > "$work/apt.log" 2>&1
  must_not "a unit is enabled" says enabled systemctl list-unit-files 'buildwarden*'
  must "no link of it is left" test -z "$(inside find /etc/systemd -name '*buildwarden*' -type l)"
  must "no process of it is left" test -z "$(inside sh -c 'grep -lx buildwarden /proc/[0-9]*/comm' || true)"
  must "no container of it is left" test -z "$(inside docker ps -aq)"
  must_not "an emulator of it is left" is_there /proc/sys/fs/binfmt_misc/buildwarden-aarch64
  must_not "a reserve is left" is_there /mnt/ephemeral/.buildwarden
  must "the stack's script is back" says 'as the stack has it' cat /usr/local/bin/bk-check-disk-space.sh
  must "the state is kept" is_there /var/lib/buildwarden
  must "the cache is kept" says buildwarden_s3 docker volume ls -q
}

files_left() { inside find / -xdev -not -path '/var/lib/buildkite-agent/*' -not -path '/var/tmp/upgrade.deb' -iname '*buildwarden*'; }

claim_purged() {
  must "it can be purged" inside apt-get purge -y buildwarden > "$work/apt.log" 2>&1
  must "no file of it is left: $(files_left | paste -sd' ')" test -z "$(files_left)"
  must_not "a cache is left" says buildwarden docker volume ls -q
}
