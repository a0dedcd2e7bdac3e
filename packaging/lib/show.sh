# shellcheck shell=bash disable=SC2154 # names of packaging/try
# show.sh - the main job as a show: one function a step, each tells what happens in numbers and fails with the reason if a claim does
# not hold. Sourced by packaging/try, which gives $dir, $api_socket and a running daemon.
#
# It holds on a machine of any speed: waits are for states and end only after $patience seconds, ages come from the configuration, and
# rates are compared with what was really written.

demo_image_mib=150

# ---- asking

api() { curl -sS --max-time "$patience" --unix-socket "$api_socket" "http://localhost$1"; }
ask() { api "$1" | jq -r "$2"; }
builder_state() { ask /v1/builders '.builders[] | select(.name == "s3") | .state'; }
builder_is_warm() { [[ $(builder_state 2>/dev/null) == warm ]]; }
events_of() { ask '/v1/events?since=0' ".events[] | select(.kind == \"$1\") | $2"; }
disk() { ask /v1/disk ".filesystems[0] | $1"; }
events_done() { events_of "$1" "select(.fields.dry_run | not) | $2"; }  # without those of plans
free_bytes() { df --output=avail -B1 "$dir/disk" | tail -n 1 | tr -d ' '; }
engine() { DOCKER_HOST=unix://$dir/docker.sock DOCKER_CONFIG=$dir/root-docker docker "$@"; }
container_start() { engine inspect -f '{{.Id}} {{.State.StartedAt}}' "$1"; }
is_running() { [[ $(engine inspect -f '{{.State.Running}}' "$1" 2>/dev/null) == true ]]; }

fail() {
  printf '\nIt does not hold: %s\n' "$*" >&2
  exit 1
}

# ---- jobs: another user, an environment of its own, an empty DOCKER_CONFIG

# job_as GROUPS DOCKER_HOST SCRIPT: SCRIPT as uid 2000 in GROUPS (setpriv's words); output in $dir/job.log.
job_as() {
  local groups=$1 host=$2 script=$3 config result=0
  config=$(mktemp -d "$dir/job.XXXX")
  chown 2000:2000 "$config"
  # shellcheck disable=SC2086
  setpriv --reuid 2000 --regid 2000 $groups env -i PATH="$dir/bin:/usr/local/bin:/usr/bin:/bin" HOME=/nonexistent \
    DOCKER_CONFIG="$config" DOCKER_HOST="$host" BUILDWARDEN_SOCKET="$api_socket" \
    bash -euc "$script" > "$dir/job.log" 2>&1 </dev/null || result=$?
  rm -rf "$config"
  return "$result"
}

# A job that is in no group and sees no Docker socket.
isolated_job() { job_as --clear-groups unix:///nonexistent "$1" || job_failed; }

# A job as the documented recipe needs it: with the engine's socket.
engine_job() { job_as "--groups $(stat -c %g "$dir/docker.sock")" "unix://$dir/docker.sock" "$1" || job_failed; }

job_failed() {
  tail -n 20 "$dir/job.log" >&2
  fail "a job's script failed (above)"
}

handed_out_build() {
  isolated_job "eval \"\$(buildwarden job start --id $1 --use s3)\"
    docker buildx build --progress plain $dir/context
    buildwarden job end --id $1"
}

count_cached() { grep -cE '^#[0-9]+ CACHED' "$dir/job.log" || true; }

# ---- what the show needs on the stage

make_context() {
  mkdir "$dir/context"
  cp "$(command -v busybox)" "$dir/context/busybox"
  printf '%s\n' 'FROM scratch' 'COPY busybox /bin/sh' 'RUN echo built > /built' > "$dir/context/Dockerfile"
  chmod -R a+rX "$dir/context"
}

# Random bytes, so that no filesystem can make the image smaller than it says.
make_image() {
  local work=$dir/image
  mkdir "$work"
  cp "$(command -v busybox)" "$work/busybox"
  head -c "${demo_image_mib}M" /dev/urandom > "$work/data"
  tar -C "$work" -c . | engine import --change 'CMD ["/busybox","sleep","3600"]' - "$1" > /dev/null
  rm -rf "$work"
}

make_untagged_image() {
  mkdir "$dir/image"
  head -c 40M /dev/urandom > "$dir/image/data"
  tar -C "$dir/image" -c . | engine import - > /dev/null
  rm -rf "$dir/image"
}

# ---- the steps, in order

show_warm() {
  heading "1. The builder is warm"
  timed wait_for "$patience" builder_is_warm || fail "the builder is not warm after $((took / 1000)) s, but $(builder_state)"
  good "builder s3" "warm, $took ms after the daemon's first answer"
  fact "container" "buildwarden_s3, its front buildx_buildkit_s30"
  is_running buildwarden_s3 || fail "buildwarden_s3 does not run"
  wait_for "$patience" is_running buildx_buildkit_s30 || fail "the front does not run"
}

show_handout() {
  heading "2. A job without Docker: uid 2000, in no group, empty DOCKER_CONFIG, no Docker socket"
  timed handed_out_build first
  fact "first build, by the hand-out" "$took ms"
  timed handed_out_build second
  [[ $(count_cached) -ge 2 ]] || fail "the second build was not cached"
  good "the same in another job" "$took ms, $(count_cached) steps cached"
  cached_build_took=$took
  timed isolated_job 'buildwarden job start --id third > /dev/null && buildwarden job end --id third'
  fact "start and end of a job alone" "$took ms, two programs included"
}

show_recipe() {
  local before after
  heading "3. The documented recipe in another job: create, build, rm"
  before=$(container_start buildwarden_s3)
  timed engine_job 'docker buildx create --name s3 --driver=docker-container --use --bootstrap'
  fact "create --bootstrap" "$took ms: attached to the warm builder"
  timed engine_job "docker buildx create --name s3 --driver=docker-container --use --bootstrap
    docker buildx build --progress plain $dir/context
    docker buildx rm s3"
  [[ $(count_cached) -ge 2 ]] || fail "the recipe's build was not cached"
  good "create, build and rm" "$took ms, $(count_cached) steps cached"
  after=$(container_start buildwarden_s3)
  [[ $before == "$after" ]] || fail "the recipe's rm stopped or removed the builder"
  good "the builder after its rm" "the same container, never stopped"
  timed wait_for "$patience" is_running buildx_buildkit_s30 || fail "the front that rm removed did not come back"
  fact "the front that rm removed" "back after $took ms"
}

kept_age() { ask /v1/config '.settings[] | select(.key == "disk.keep_used_within") | .value'; }
duration() { (($1 < 60)) || printf '%dm' $(($1 / 60)); (($1 % 60 == 0)) || printf '%ds' $(($1 % 60)); }  # as the daemon writes it
kept_age_is() { [[ $(kept_age) == "$1" ]]; }

# A build's cache must still be young when the disk has been filled after it, and so much more time passes the slower the machine is. A
# changed stack file is read by the daemon itself.
choose_age() {
  age=$((cached_build_took * 12 / 1000))
  age=$((age > shortest_age ? age : shortest_age))
  write_cfn_env "$age"
  wait_for "$patience" kept_age_is "$(duration "$age")" || fail "the daemon keeps what was used within $(kept_age), not $age s"
}

# Four images: one in use, the others last used in an order that is not the order of their making.
show_images() {
  heading "4. Images of earlier jobs, $demo_image_mib MiB each"
  make_untagged_image
  for image in second:1 third:1 first:1 busy:1; do
    make_image "$image"
  done
  engine run --name "done" --network none first:1 /busybox true
  for image in second:1 third:1; do
    engine run --rm --network none "$image" /busybox true
  done
  engine run -d --network none --name holds busy:1 > /dev/null
  fact "last used, the longest ago first" "first:1, second:1, third:1"
  fact "in use by a container" "busy:1"
  fact "kept if used within" "$(kept_age): DOCKER_PRUNE_UNTIL of the stack"
  fact "left behind by an earlier job" "the container done (of first:1, exited), an image without a name"
  sleep "$age"
}

plan() { "$dir/bin/buildwarden" --socket "$api_socket" disk reclaim --dry-run --target "$1"; }

# What the engine tells may come late. Not asked more often than each second, since the journal has each plan.
plan_both_images() {
  for _ in $(seq 60); do
    plan "$1" > "$dir/plan"
    if grep -q 'second:1' "$dir/plan"; then return; fi
    sleep 1
  done
}

# What a reclaim would do, by hand and by no more than asking.
show_plan() {
  local images containers target
  heading "5. A plan: what would go for 250 MiB more"
  images=$(engine images -aq | sort)
  containers=$(engine ps -aq | sort)
  target=$(($(free_bytes) + 250 * 1048576))
  plan_both_images "$target"
  aside < "$dir/plan"
  grep -q '^dangling_images ' "$dir/plan" || fail "the image without a name is not in the plan"
  grep -q 'first:1' "$dir/plan" || fail "first:1 is not in the plan"
  grep -q 'second:1' "$dir/plan" || fail "second:1 is not in the plan"
  if grep -q 'busy:1' "$dir/plan"; then fail "busy:1 is in the plan although a container uses it"; fi
  [[ $images == "$(engine images -aq | sort)" && $containers == "$(engine ps -aq | sort)" ]] || fail "the dry run deleted something"
  good "deleted by the dry run" "nothing"
}

# ---- 6: what was written, by the writer's own record, and what the daemon makes of it

forecast_window=10  # seconds: the daemon's, as daemon/policy/trend.h says
forecast_ratio=2    # a median of slopes and a mean are not the same where a writer is held up

# A sixteenth of what may be written until the low mark, a second: critical stays minutes away, so that nothing is reclaimed.
writer_rate() { disk '(.free_bytes - .marks.low_bytes) / 256 | floor'; }

# write_due FILE RATE START: what is due since START (microseconds); a writer that was held up catches up. Notes the time and the size.
write_due() {
  local file=$1 rate=$2 start=$3 due size
  size=$(stat -c %s "$file")
  due=$((rate * ((${EPOCHREALTIME/[.,]/} - start) / 1000) / 1000 - size))
  if ((due > 0)); then head -c "$due" /dev/zero >> "$file"; fi
  printf '%s %s\n' "${EPOCHREALTIME/[.,]/}" "$(stat -c %s "$file")" >> "$dir/written"
}

# Bytes a second over the daemon's window; nothing before the writer has written for so long.
really_written() {
  awk -v window="$forecast_window" '{ at[NR] = $1 / 1000000; size[NR] = $2 }
    END {
      for (i = NR; i > 1 && at[NR] - at[i] < window; i--);
      if (NR > 1 && at[NR] - at[i] >= window) printf "%d", (size[NR] - size[i]) / (at[NR] - at[i])
    }' "$dir/written"
}

# is_about A B: not over $forecast_ratio times the other.
is_about() { (($1 > 0 && $2 > 0 && $1 <= $2 * forecast_ratio && $2 <= $1 * forecast_ratio)); }

# Sets $told_rate, $told_seconds, $real_rate and $real_seconds, all 0 as long as they are not known.
read_forecast() {
  local distance
  read -r told_rate told_seconds distance < <(
    disk '"\(.fill_bytes_per_second | floor) \(.seconds_to_critical // 0 | floor) \(.free_bytes - .marks.critical_bytes)"')
  real_rate=$(really_written)
  real_rate=${real_rate:-0}
  real_seconds=0
  if ((real_rate > 0)); then real_seconds=$((distance / real_rate)); fi
}

# A calm disk is looked at every six seconds, and the rate is the median of ten, so that a burst is no trend: it takes some seconds
# until it is one.
show_forecast() {
  local file=$dir/disk/growing rate begin=$SECONDS start=${EPOCHREALTIME/[.,]/} told_rate told_seconds real_rate real_seconds
  rate=$(writer_rate)
  heading "6. A writer at $(mib "$rate") a second: the forecast"
  : > "$file"
  while true; do
    write_due "$file" "$rate" "$start"
    read_forecast
    if is_about "$told_rate" "$real_rate" && is_about "$told_seconds" "$real_seconds"; then break; fi
    ((SECONDS - begin < 180)) || break
    sleep 0.2
  done
  rm -f "$file"
  fact "written in the last $forecast_window s" "$(mib "$real_rate") a second: critical in $real_seconds s"
  is_about "$told_rate" "$real_rate" || fail "after $((SECONDS - begin)) s the daemon's fill rate is $told_rate bytes a second, not $real_rate"
  is_about "$told_seconds" "$real_seconds" || fail "the daemon's forecast is $told_seconds s, not $real_seconds s"
  good "seen by the daemon after $((SECONDS - begin)) s" "$(mib "$told_rate") a second: critical in $told_seconds s"
}

# ---- 7

# fill_to BYTES: a writer takes what is free but BYTES. Sets $full, what is free then: by what the file takes, since the daemon may have
# made room before anybody can look.
fill_to() {
  local before
  before=$(free_bytes)
  fallocate -l $((before - $1)) "$dir/disk/writer"
  full=$((before - $(stat -c '%b * %B' "$dir/disk/writer")))
}

# What was used just now stays, in the builder's cache, too. Again where that took long: its use is dated while it runs.
refresh_cache() {
  for _ in $(seq 20); do
    timed handed_out_build fresh
    if ((took < age * 1000 / 4)); then return; fi
  done
}

show_reclaim() {
  local full target freed measured
  heading "7. A writer fills the disk to below min_free ($min_free_mib MiB)"
  target=$(disk .marks.target_bytes)
  fact "free before" "$(mib "$(free_bytes)")"
  refresh_cache
  fill_to $(((min_free_mib - 70) * 1048576))
  fact "free when the writer is done" "$(mib "$full"), target $(mib "$target")"
  timed wait_for "$patience" reached "$target" || fail "$((took / 1000)) s later only $(mib "$(free_bytes)") are free"
  measured=$(($(free_bytes) - full))
  good "free again" "$(mib "$(free_bytes)") after $took ms: $(mib $measured) came back, as df shows it"
  freed=$(events_done reclaim.step .fields.freed_bytes | awk '{ sum += $1 } END { printf "%d", sum }')
  fact "the journal says" "$(mib "$freed") freed"
  fact "steps of the ladder" "$(events_done reclaim.step .fields.rung | uniq -c | awk '{ printf "%s%s x%d", sep, $2, $1; sep = ", " }')"
  ((freed > measured * 9 / 10 && freed < measured * 11 / 10)) || fail "the journal's sum is not what df shows"
  check_images
}

reached() { (($(free_bytes) >= $1)) && [[ -n $(events_done reclaim.done .kind) ]]; }

has_image() { engine image inspect "$1" > /dev/null 2>&1; }

check_images() {
  if engine inspect "done" > /dev/null 2>&1; then fail "the exited container is still there"; fi
  if has_image first:1 || has_image second:1; then fail "what was unused for longest is still there"; fi
  good "removed, unused for longest" "the container done, the image without a name, first:1, second:1"
  has_image third:1 || fail "third:1 was removed although the target was reached without it"
  good "kept: the target was reached" "third:1"
  has_image busy:1 || fail "busy:1 was removed although a container uses it"
  is_running holds || fail "the container of busy:1 does not run any more"
  good "kept: in use" "busy:1"
  has_image moby/buildkit:buildx-stable-1 || fail "the builder's image was removed"
  good "kept: the builder's" "moby/buildkit:buildx-stable-1"
}

show_still_warm() {
  heading "8. The first job's builder is still warm"
  builder_is_warm || fail "the builder is $(builder_state)"
  timed handed_out_build last
  [[ $(count_cached) -ge 2 ]] || fail "the build was not cached"
  good "the first job's build again" "$took ms, $(count_cached) steps cached"
  fact "memory of the daemon" "$(awk '/^Pss:/ { printf "%.1f MiB", $2 / 1024 }' "/proc/$daemon_pid/smaps_rollup")"
}

# rest_taken: the reserve was given back; else a writer goes on, since what others write or delete meanwhile decides what can be had.
rest_taken() {
  local file=$dir/disk/rest
  ballast_given && return
  touch "$file"
  fallocate -o "$(stat -c %s "$file")" -l "$(free_bytes)" "$file" 2>/dev/null || true
  return 1
}

# Not a byte left for anybody but root: the reserve is given back first, then the ladder is climbed for all it is worth.
show_ballast() {
  local reserve
  heading "9. A writer takes everything: the ballast"
  reserve=$(ballast_bytes)
  ((reserve > 0)) || fail "there is no ballast"
  fact "held in reserve" "$(mib "$reserve")"
  timed wait_for "$patience" rest_taken || fail "the ballast was not given back"
  good "given back" "after $took ms; $(events_of ballast.given .reason | tail -n 1)"
  rm -f "$dir/disk/rest" "$dir/disk/writer"
  timed wait_for "$patience" ballast_is_back || fail "the ballast was not made again"
  fact "made again, with enough space" "after $took ms"
  engine rm -f holds > /dev/null
}

ballast_bytes() { ask /v1/disk '.filesystems[0].ballast_bytes'; }
ballast_given() { [[ -n $(events_of ballast.given .kind) ]]; }
ballast_is_back() { (($(ballast_bytes) > 0)) && [[ $(events_of ballast.made .kind | wc -l) -ge 2 ]]; }
