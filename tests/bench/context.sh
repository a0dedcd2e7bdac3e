# shellcheck shell=bash disable=SC2154 # names of tests/bench/run
# context.sh - a big build context, sent by the second job and later ones of a pipeline: with a node id of their own each, as every
# fresh DOCKER_CONFIG has it, beside the one that the daemon hands out. Sourced.

context_files=2000
context_file_kib=100

make_big_context() {
  local context=$dir/context i
  [[ ! -d $context ]] || return 0
  mkdir -p "$context/data"
  head -c $((context_files * context_file_kib * 1024)) /dev/urandom | split -b "${context_file_kib}K" -a 4 -d - "$context/data/file-"
  for i in "$context"/data/file-*; do touch -d 2024-01-01 "$i"; done
  printf 'FROM scratch\nCOPY data /data\n' > "$context/Dockerfile"
}

# big_build WORD...: a job of its own; words of `job start`.
big_build() {
  local config granted result=0
  config=$(mktemp -d "$dir/job.XXXXXX")
  granted=$(DOCKER_CONFIG=$config "$program" --socket "$api" job start --id context --use s3 --pipeline bench \
    --checkout "$dir/context" "$@")
  (
    eval "$granted"
    DOCKER_CONFIG=$config docker build --quiet "$dir/context"
  ) || result=$?
  "$program" --socket "$api" job end --id context
  rm -rf "$config"
  return "$result"
}

# What the builder's volume holds, in MiB.
builder_mib() { du -sm "$BUILDWARDEN_DATA_ROOT/volumes/buildwarden_s3" | cut -f1; }

# one_context SIDE WORD...: one job, its time and what the volume grew by.
one_context() {
  local side=$1 before took
  shift
  before=$(builder_mib)
  took=$(timed_ms big_build "$@")
  "$side" context "$took"
  "$side" growth $(($(builder_mib) - before))
}

measure_context() {
  local size=$((context_files * context_file_kib / 1024))
  make_big_context
  big_build --reuse-context > "$dir/step.log" 2>&1 || { cat "$dir/step.log" >&2; fail "the context cannot be built"; }
  group "a node id of its own, as every fresh DOCKER_CONFIG has it (ours: \`job start --reuse-context\`)"
  row context ms "a later job with an unchanged context of $size MiB"
  row growth MiB "what the builder's volume grows by for it"
  for _ in $(seq "$recipes"); do
    one_context ours --reuse-context
    one_context theirs --no-reuse-context
  done
}
