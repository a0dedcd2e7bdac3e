# shellcheck shell=bash disable=SC2154 # names of tests/bench/run
# prune.sh - images deleted by the daemon's reclaim, and by `docker system prune` and `docker image prune`: how long the same bytes
# take, and what of the images that were just used is gone afterwards, so that the next job pulls them again. Sourced.

prune_images=16 prune_mib=32  # as many, each with a layer like no other
prune_age=20                  # seconds; what the daemon counts as used lately

api_is_ready() { curl -sf -o /dev/null --unix-socket "$api" http://localhost/readyz; }

make_prune_base() {
  mkdir -p "$dir/image/bin"
  cp "$(command -v busybox)" "$dir/image/bin/busybox"
  image_bytes=$(($(stat -c %s "$dir/image/bin/busybox") + prune_mib * 1048576))
}

load_images() {
  local i
  for i in $(seq "$prune_images"); do
    head -c "${prune_mib}M" /dev/urandom > "$dir/image/data"
    tar -C "$dir/image" -c . | docker import - "bench/image:$i" > /dev/null
  done
  sync -f "$dir/disk"
  sleep $((prune_age + 3))  # as old as all the rest, by both clocks
}

# use_images: every second one, as jobs use them.
use_images() {
  local i
  for i in $(seq 2 2 "$prune_images"); do docker run --rm --network none "bench/image:$i" /bin/busybox true; done
}

# left_of FIRST: how many of the images FIRST, FIRST + 2... are there.
left_of() {
  local i left=0
  for i in $(seq "$1" 2 "$prune_images"); do
    if docker image inspect "bench/image:$i" > /dev/null 2>&1; then left=$((left + 1)); fi
  done
  printf '%d' "$left"
}

free_bytes() { stat -f -c '%a %S' "$dir/disk" | awk '{ printf "%.0f", $1 * $2 }'; }

# our_reclaim IMAGES: room for so many more, but half of one, since other things are written as well.
our_reclaim() { "$program" --socket "$api" disk reclaim --target "$(($(free_bytes) + $1 * image_bytes - image_bytes / 2))B"; }
system_prune() { docker system prune --all --force; }
# What the stack's docker-gc does, by the image's own date.
image_prune() { docker image prune --all --force --filter "until=${prune_age}s"; }

# delete_all SIDE COMMAND...: the time, when nothing is left.
delete_all() {
  local side=$1 took
  shift
  load_images
  took=$(timed_ms "$@")
  [[ $(left_of 1) -eq 0 && $(left_of 2) -eq 0 ]] || fail "images are left after $*"
  "$side" delete "$took"
}

# lost_mib COMMAND...: of what was just used, by what is to delete what nobody used.
lost_mib() {
  load_images
  use_images > "$dir/step.log" 2>&1
  timed_ms "$@" > /dev/null
  [[ $(left_of 1) -eq 0 ]] || fail "what nobody used is left after $*"
  printf '%d' $(((prune_images / 2 - $(left_of 2)) * prune_mib))
  system_prune > /dev/null
}

# What else can be deleted, the builders' cache above all, would be before any image.
delete_the_rest() {
  sleep $((prune_age + 3))
  "$program" --socket "$api" disk reclaim --target 64GiB > "$dir/step.log" 2>&1 || true  # more than there is
}

measure_prune() {
  local half=$((prune_images / 2)) lost
  make_prune_base
  stop_daemon
  write_configuration "keep_used_within: ${prune_age}s, grace: 1s"
  start_daemon
  delete_the_rest
  group "\`docker system prune --all --force\`"
  row delete ms "$prune_images images nobody uses deleted, $((prune_images * prune_mib)) MiB"
  row gone MiB "room made for $half images: of the $half used since, to be pulled again"
  group "\`docker image prune --all --filter until=\`, as the stack's hourly script"
  row gone-until MiB "room made for $half images: of the $half used since, to be pulled again"
  for _ in $(seq "$prunes"); do
    delete_all ours our_reclaim "$prune_images"
    delete_all theirs system_prune
    lost=$(lost_mib our_reclaim "$half")
    ours gone "$lost"
    ours gone-until "$lost"
    lost=$(lost_mib system_prune)
    theirs gone "$lost"
    lost=$(lost_mib image_prune)
    theirs gone-until "$lost"
  done
}
