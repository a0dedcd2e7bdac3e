# shellcheck shell=bash disable=SC2154 # names of packaging/try
# show.sh - the main job as a show: one function a step, each tells what happens in numbers and fails with the reason if a claim does
# not hold. Sourced by packaging/try, which gives $dir, $api_socket and a running daemon.

demo_image_mib=150

# ---- asking

api() { curl -sS --max-time 30 --unix-socket "$api_socket" "http://localhost$1"; }
ask() { api "$1" | jq -r "$2"; }
builder_state() { ask /v1/builders '.builders[] | select(.name == "s3") | .state'; }
builder_is_warm() { [[ $(builder_state 2>/dev/null) == warm ]]; }
events_of() { ask '/v1/events?since=0' ".events[] | select(.kind == \"$1\") | $2"; }
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
  timed wait_for 60 builder_is_warm || fail "the builder is not warm after 60 s, but $(builder_state)"
  good "builder s3" "warm, $took ms after the daemon's first answer"
  fact "container" "buildwarden_s3, its front buildx_buildkit_s30"
  is_running buildwarden_s3 || fail "buildwarden_s3 does not run"
  is_running buildx_buildkit_s30 || fail "the front does not run"
}

show_handout() {
  heading "2. A job without Docker: uid 2000, in no group, empty DOCKER_CONFIG, no Docker socket"
  timed handed_out_build first
  fact "first build, by the hand-out" "$took ms"
  timed handed_out_build second
  [[ $(count_cached) -ge 2 ]] || fail "the second build was not cached"
  good "the same in another job" "$took ms, $(count_cached) steps cached"
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
  timed wait_for 15 is_running buildx_buildkit_s30 || fail "the front that rm removed did not come back"
  fact "the front that rm removed" "back after $took ms"
}

# Four images: one in use, the others last used in an order that is not the order of their making.
show_images() {
  local keep
  heading "4. Images of earlier jobs, $demo_image_mib MiB each"
  make_untagged_image
  for image in second:1 third:1 first:1 busy:1; do
    make_image "$image"
  done
  engine run --name "done" --network none first:1 /busybox true
  for image in second:1 third:1; do
    sleep 1
    engine run --rm --network none "$image" /busybox true
  done
  engine run -d --network none --name holds busy:1 > /dev/null
  fact "last used, the longest ago first" "first:1, second:1, third:1"
  fact "in use by a container" "busy:1"
  keep=$(ask /v1/config '.settings[] | select(.key == "disk.keep_used_within") | "\(.value) (\(.source))"')
  fact "kept if used within" "$keep"
  fact "left behind by an earlier job" "the container done (of first:1, exited), an image without a name"
  sleep "$keep_used_within"
}

# What a reclaim would do, by hand and by no more than asking.
show_plan() {
  local images containers target
  heading "5. A plan: what would go for 250 MiB more"
  images=$(engine images -aq | sort)
  containers=$(engine ps -aq | sort)
  target=$(($(free_bytes) + 250 * 1048576))
  "$dir/bin/buildwarden" --socket "$api_socket" disk reclaim --dry-run --target "$target" > "$dir/plan"
  aside < "$dir/plan"
  grep -q '^dangling_images ' "$dir/plan" || fail "the image without a name is not in the plan"
  grep -q 'first:1' "$dir/plan" || fail "first:1 is not in the plan"
  if grep -q 'busy:1' "$dir/plan"; then fail "busy:1 is in the plan although a container uses it"; fi
  [[ $images == "$(engine images -aq | sort)" && $containers == "$(engine ps -aq | sort)" ]] || fail "the dry run deleted something"
  good "deleted by the dry run" "nothing"
}

# 20 MiB a second, far from any mark: what the daemon makes of it. A calm disk is looked at every six seconds, and the rate is the median
# of ten, so that a burst is no trend: it takes some seconds until it is one.
show_forecast() {
  local rate=0 seconds='' begin=$EPOCHSECONDS
  heading "6. A writer at 20 MiB a second: the forecast"
  for _ in $(seq 100); do
    dd if=/dev/zero bs=1M count=4 status=none >> "$dir/disk/growing"
    sleep 0.2
    read -r rate seconds < <(ask /v1/disk '.filesystems[0] | "\(.fill_bytes_per_second | floor) \(.seconds_to_critical // "" | if . == "" then . else floor end)"')
    if ((rate > 10 * 1048576)) && [[ -n $seconds ]]; then break; fi
  done
  rm -f "$dir/disk/growing"
  ((rate > 10 * 1048576)) || fail "after $((EPOCHSECONDS - begin)) s the fill rate is $rate bytes a second"
  [[ -n $seconds ]] || fail "no forecast although the disk fills"
  good "seen by the daemon after $((EPOCHSECONDS - begin)) s" "$(mib "$rate") a second, critical in $seconds s"
}

show_reclaim() {
  local full target freed measured
  heading "7. A writer fills the disk to below min_free ($min_free_mib MiB)"
  handed_out_build fresh  # what was used just now stays, in the builder's cache, too
  target=$(ask /v1/disk '.filesystems[0].marks.target_bytes')
  fact "free before" "$(mib "$(free_bytes)")"
  fallocate -l $(($(free_bytes) - (min_free_mib - 70) * 1048576)) "$dir/disk/writer"
  full=$(free_bytes)
  fact "free when the writer is done" "$(mib "$full"), target $(mib "$target")"
  timed wait_for 60 reached "$target" || fail "60 s later only $(mib "$(free_bytes)") are free"
  measured=$(($(free_bytes) - full))
  good "free again" "$(mib "$(free_bytes)") after $took ms: $(mib $measured) came back, as df shows it"
  freed=$(events_of reclaim.step .fields.freed_bytes | awk '{ sum += $1 } END { printf "%d", sum }')
  fact "the journal says" "$(mib "$freed") freed"
  fact "steps of the ladder" "$(events_of reclaim.step 'select(.fields.dry_run | not) | .fields.rung' | uniq -c | awk '{ printf "%s%s x%d", sep, $2, $1; sep = ", " }')"
  ((freed > measured * 9 / 10 && freed < measured * 11 / 10)) || fail "the journal's sum is not what df shows"
  check_images
}

reached() { (($(free_bytes) >= $1)) && [[ -n $(events_of reclaim.done .kind) ]]; }

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

# Not a byte left for anybody but root: the reserve is given back first, then the ladder is climbed for all it is worth.
show_ballast() {
  local reserve
  heading "9. A writer takes everything: the ballast"
  reserve=$(ballast_bytes)
  ((reserve > 0)) || fail "there is no ballast"
  fact "held in reserve" "$(mib "$reserve")"
  fallocate -l "$(free_bytes)" "$dir/disk/rest"
  timed wait_for 10 ballast_given || fail "the ballast was not given back"
  good "given back" "after $took ms; $(events_of ballast.given .reason | tail -n 1)"
  rm -f "$dir/disk/rest" "$dir/disk/writer"
  timed wait_for 60 ballast_is_back || fail "the ballast was not made again"
  fact "made again, with enough space" "after $took ms"
  engine rm -f holds > /dev/null
}

ballast_bytes() { ask /v1/disk '.filesystems[0].ballast_bytes'; }
ballast_given() { [[ -n $(events_of ballast.given .kind) ]]; }
ballast_is_back() { (($(ballast_bytes) > 0)) && [[ $(events_of ballast.made .kind | wc -l) -ge 2 ]]; }
