# shellcheck shell=bash disable=SC2154 # names of tests/bench/run
# recipe.sh - a builder for a job: handed out by the daemon, and as the documentation tells each job to make one. Each side has a fresh
# DOCKER_CONFIG for each job. Sourced.

# in_job COMMAND...: with a DOCKER_CONFIG of its own.
in_job() {
  local config result=0
  config=$(mktemp -d "$dir/job.XXXXXX")
  (DOCKER_CONFIG=$config "$@") || result=$?
  rm -rf "$config"
  return "$result"
}

ask_and_end() {
  local granted
  granted=$("$program" --socket "$api" job start --id bench --ttl 60s)
  eval "$granted"
  "$program" --socket "$api" job end --id bench
}

create_and_rm() {
  docker buildx create --name "$1" --driver docker-container --use --bootstrap
  docker buildx rm "$1"
}

# Of 16 MiB, with a step that reads them; nothing of it changes from job to job.
make_job_context() {
  [[ ! -d $dir/small ]] || return 0
  mkdir "$dir/small"
  head -c 16M /dev/urandom > "$dir/small/data"
  cp "$(command -v busybox)" "$dir/small/busybox"
  printf 'FROM scratch\nCOPY busybox /bin/busybox\nCOPY data /data\nRUN ["/bin/busybox", "sha256sum", "/data"]\n' > "$dir/small/Dockerfile"
}

our_job() {
  local granted
  granted=$("$program" --socket "$api" job start --id bench-job --use s3 --ttl 600s)
  eval "$granted"
  docker buildx build --quiet "$dir/small"
  "$program" --socket "$api" job end --id bench-job
}

their_job() {
  docker buildx create --name bench --driver docker-container --use --bootstrap
  docker buildx build --quiet "$dir/small"
  docker buildx rm bench
}

front_runs() { [[ $(docker inspect -f '{{.State.Running}}' buildx_buildkit_s30 2>/dev/null) == true ]]; }

# measure_lease KEY RECIPE_MS: POST and DELETE of many jobs by one connection.
measure_lease() {
  local -a lease
  read -ra lease < <("$client" leases "$leases" "$api" ${3+"$3"})
  [[ ${#lease[@]} -eq 2 ]] || fail "the client measured nothing"
  ours "$1" "$(thousandths "$(printf '%.0f' "${lease[0]}")")"
  ours "$1-p99" "$(thousandths "$(printf '%.0f' "${lease[1]}")")"
  theirs "$1" "$2"
  theirs "$1-p99" "$2"
}

measure_recipe() {
  local recipe
  group "the documented recipe (\`docker buildx create --driver docker-container --use --bootstrap\`, build, \`docker buildx rm\`)"
  make_job_context
  in_job our_job > "$dir/step.log" 2>&1 || { cat "$dir/step.log" >&2; fail "a job cannot build"; }
  row command ms "a builder for a job and its end, by command"
  row whole ms "a whole job whose build changed nothing (16 MiB of context)"
  row front ms "the recipe as it is, its name that of a warm builder"
  row lease ms "a job's start and end over HTTP, median"
  row lease-p99 ms "the same, 99th percentile"
  row crowded ms "the same with 200 other jobs alive, median"
  row crowded-p99 ms "the same, 99th percentile"
  for _ in $(seq "$recipes"); do
    ours command "$(timed_ms in_job ask_and_end)"
    recipe=$(timed_ms in_job create_and_rm bench)
    theirs command "$recipe"
    ours whole "$(timed_ms in_job our_job)"
    theirs whole "$(timed_ms in_job their_job)"
    wait_for 30 front_runs || fail "the front does not come back"
    ours front "$(timed_ms in_job create_and_rm s3)"
    theirs front "$(timed_ms in_job create_and_rm bench)"
    measure_lease lease "$recipe"
    measure_lease crowded "$recipe" 200
  done
}
