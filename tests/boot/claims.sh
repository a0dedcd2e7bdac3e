# shellcheck shell=bash disable=SC2154 # names of boot_test
# claims.sh - what must hold on the booted machine, in this order. Sourced after common.sh and machine.sh.

must() {
  local what=$1
  shift
  "$@" || die "does not hold: $what"
}
must_not() {
  local what=$1
  shift
  ! "$@" || die "does not hold: $what"
}

property() { inside systemctl show --property "$2" --value "$1"; }
# says PATTERN COMMAND...: all it says is read before it is looked through, since it may not like a reader that goes.
says() {
  local words
  words=$(inside "${@:2}" 2>&1) || true
  grep -qE -- "$1" <<< "$words"
}
answers() { inside buildwarden status > /dev/null 2>&1; }
is_active() { [[ $(property "$1" ActiveState) == active ]]; }
is_there() { inside test -e "$1"; }
is_ready() { inside test -e /run/buildwarden/active; }
is_warm() { says 's3 +warm' buildwarden builders; }
api() { curl -sf --max-time 120 --unix-socket "/proc/$(first_process)/root/run/buildwarden/api.sock" "$@"; }
main_pid_of() { property "$1" MainPID; }
main_pid() { main_pid_of buildwarden; }
has_new_pid() { [[ $(main_pid) != "$1" && $(main_pid) != 0 ]] && answers; }

claim_installed() {
  inside apt-get install -y -o Dpkg::Options::=--force-confold "/packages/$deb_name" > "$work/apt.log" 2>&1 || { cat "$work/apt.log" >&2; return 1; }
  for unit in buildwarden.socket buildwarden.service; do
    must "$unit is active" is_active "$unit"
    must "$unit is enabled" inside systemctl is-enabled --quiet "$unit"
  done
  must "it gets warm" wait_for 300 is_warm
  must "it gets ready" wait_for 300 is_ready
  must "systemctl tells its state" wait_for 300 says 'Status: "1 builder warm, .*free, ok"' systemctl status buildwarden
  must "the socket is the group's" says '^660 buildkite-agent$' stat -c '%a %G' /run/buildwarden/api.sock
  must "its cgroup has no parent without memory protection" says '^-\.slice$' systemctl show --property Slice --value buildwarden
}

# start_job ID, job_builds ID SECONDS: a job without the engine's socket, whose DOCKER_CONFIG is the folder ID.
start_job() {
  as_agent bash -euc 'export DOCKER_CONFIG=$PWD/$1; mkdir "$1"; buildwarden job start --id "$1" --use s3 > "$1/granted"; test -s "$1/granted"' - "$1"
}
job_builds() {
  as_agent bash -euc 'export DOCKER_CONFIG=$PWD/$1; . "$1/granted"; docker buildx build --progress plain --build-arg SECONDS="$2" context' \
    - "$1" "$2" > "$work/$1.log" 2>&1 || { cat "$work/$1.log" >&2; return 1; }
}

claim_hands_out() {
  must_not "a job may open the engine" as_agent test -w /var/run/docker.sock
  must "a job is let in" start_job first
  must "a job builds on the warm builder" job_builds first 0
  must "the job ends" as_agent buildwarden job end --id first
}

is_proven() { says "linux/$1 +(proven|native)" buildwarden emulators; }

claim_emulates() {
  must "arm64 is proven" wait_for 300 is_proven arm64
  must "its handler is registered" is_there /proc/sys/fs/binfmt_misc/buildwarden-aarch64
  must "386 runs, in a unit of its own" is_proven 386
  inside sh -c 'echo -1 > /proc/sys/fs/binfmt_misc/buildwarden-aarch64'
  must "it can be verified" api -o /dev/null -X POST http://localhost/v1/emulators/verify
  must "it is registered again" wait_for 300 is_there /proc/sys/fs/binfmt_misc/buildwarden-aarch64
}

claim_sees_a_late_disk() {
  mount_late
  must "the disk is watched" wait_for 300 says '^/(mnt/ephemeral|var/lib/buildkite-agent/builds) +ok .* yes' buildwarden disk
  must "it gets its reserve" wait_for 300 is_there /mnt/ephemeral/.buildwarden/ballast
}

is_older_than_two_seconds() { [[ -n $(inside find "$1" -maxdepth 0 -not -newermt '-2 seconds') ]]; }

# A folder that only its owner may enter.
claim_reclaims_what_is_others() {
  as_agent sh -c 'umask 077; cd /mnt/ephemeral/cache; mkdir -p old/deep && echo x > old/deep/file'
  must "it ages" wait_for 300 is_older_than_two_seconds /mnt/ephemeral/cache/old
  inside buildwarden disk reclaim --target 950MiB > "$work/reclaim.log" 2>&1 || true
  must_not "others' files are deleted: $(< "$work/reclaim.log")" is_there /mnt/ephemeral/cache/old
  must "the builder is still warm" is_warm
}

claim_reloads() {
  local pid
  pid=$(main_pid)
  inside sed -i 's/keep_used_within: 1s/keep_used_within: 5h/' /etc/buildwarden/buildwarden.yaml
  must "it can be reloaded" inside systemctl reload buildwarden
  must "the new value counts" wait_for 300 says 'keep_used_within: 1s .* -> 5h ' buildwarden events --json
  must "it is the same process" test "$(main_pid)" = "$pid"
}

# ---- the boot order of the stack

# As bk-configure-docker.sh does it, under `set -e`.
play_boot() {
  inside_bash << 'END'
systemctl start docker-low-disk-gc.service
systemctl enable docker-gc.timer docker-low-disk-gc.timer
systemctl restart docker
systemctl start docker-binfmt.service
systemctl start docker-gc.service
END
}

old_ran() { inside sh -c 'ls /root | grep -c ^ran-' || true; }

claim_boots_like_the_stack() {
  must "it is put in the stack's place" inside /usr/share/buildwarden/buildkite/install > "$work/install.log"
  must "it is ready" wait_for 300 is_ready
  must "the boot goes on" play_boot 2> "$work/boot.log"
  must "the old units do nothing while it is ready" test "$(old_ran)" = 0
  must "the builder is healed after the engine's restart" wait_for 300 is_warm
  inside systemctl stop buildwarden.service buildwarden.socket
  must "the boot goes on without it" play_boot 2> "$work/boot.log"
  must "the old units work without it" test "$(old_ran)" = 3
  inside systemctl start buildwarden.socket buildwarden.service
  must "it is ready again" wait_for 300 is_ready
}

# ---- ends that nobody asked for

claim_survives_a_kill() {
  local pid
  pid=$(main_pid)
  inside sh -c "kill -KILL $pid"
  must "it is back" wait_for 300 has_new_pid "$pid"
}

claim_survives_a_hang() {
  local pid
  inside sh -c 'mkdir -p /run/systemd/system/buildwarden.service.d; printf "[Service]\nWatchdogSec=2s\n" > /run/systemd/system/buildwarden.service.d/test.conf'
  inside systemctl daemon-reload
  inside systemctl restart buildwarden
  must "it is ready" wait_for 300 is_ready
  pid=$(main_pid)
  inside sh -c "kill -STOP $pid"
  must "the watchdog cures it" wait_for 300 has_new_pid "$pid"
  inside rm -r /run/systemd/system/buildwarden.service.d
  inside systemctl daemon-reload
  inside systemctl restart buildwarden
}

is_between_tries() { [[ $(property buildwarden SubState) == start-pre ]]; }

claim_waits_after_a_refused_configuration() {
  inside sh -c 'echo "typo: 1" >> /etc/buildwarden/buildwarden.yaml'
  must_not "a refused configuration starts" inside systemctl restart buildwarden 2> /dev/null
  must "it waits" wait_for 300 is_between_tries
  must_not "others still stand down" is_ready
  must "jobs go on without it" as_agent buildwarden job end --id none
  inside sed -i '/^typo/d' /etc/buildwarden/buildwarden.yaml
  must "it starts by itself once that is mended" wait_for 300 answers
}

# ---- from outside

scraped() { curl -s -o "$work/scraped" -w '%{http_code}' --max-time 120 "http://$(address_of_machine):9847$1"; }

claim_is_scraped_from_outside() {
  inside sh -c 'mkdir -p /etc/systemd/system/buildwarden.socket.d; printf "[Socket]\nListenStream=\nListenStream=/run/buildwarden/api.sock\nListenStream=0.0.0.0:9847\n" > /etc/systemd/system/buildwarden.socket.d/fleet.conf'
  inside systemctl daemon-reload
  must "the sockets can be opened anew" inside systemctl restart buildwarden.socket
  must "it answers" wait_for 300 answers
  must "metrics are scraped from another host" test "$(scraped /metrics)" = 200
  must "they are metrics" grep -q '^buildwarden_build_info' "$work/scraped"
  must_not "another host may see more" test "$(scraped /v1/status)" = 200
  inside rm -r /etc/systemd/system/buildwarden.socket.d
  inside systemctl daemon-reload
  inside systemctl restart buildwarden.socket
  must "it is warm" wait_for 300 is_warm
}
