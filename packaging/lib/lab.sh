# shellcheck shell=bash disable=SC2154 # names of common.sh
# lab.sh - the lab folder: engines unpacked from packages (engine/, engine-20.10/, engine-28.5/), and the test builder's image
# (images/buildkit.tar).
# Sourced after common.sh, debian.sh and image.sh.

default_engine=26.1

# Docker 26.1 starts privileged containers also where CAP_SYS_RESOURCE is missing; 20.10 is the oldest engine that is supported, for
# tests alone; 28.5 comes with containerd 2, and is what the containerd image store is tested with.
suite_of_engine() {
  case $1 in
    26.1) printf 'trixie' ;;
    20.10) printf 'bookworm' ;;
    28.5) printf 'sid' ;;
    *) usage_error "there is no engine \"$1\": 26.1, 20.10 or 28.5" ;;
  esac
}

# engine_of LAB VERSION: the folder of its programs.
engine_of() { if [[ $2 == "$default_engine" ]]; then printf '%s/engine' "$1"; else printf '%s/engine-%s' "$1" "$2"; fi; }

# prepare_lab LAB VERSION...: the default engine, the image, and the engines VERSION; each only when its inputs changed.
prepare_lab() {
  local lab=$1 version
  shift
  mkdir -p "$lab"
  exec {lab_lock}>"$lab/lock"                        # two runs at once: the second waits, then finds all done
  flock "$lab_lock"
  for version in "$default_engine" "$@"; do
    up_to_date "$(engine_of "$lab" "$version").stamp" engine_inputs || make_engine "$lab" "$version"
  done
  up_to_date "$lab/image.stamp" image_inputs || make_image "$lab"
  exec {lab_lock}>&-
}

up_to_date() { [[ -f $1 && $(<"$1") == "$($2)" ]]; }

# What an engine is made of: this recipe. (A newer package of the suite is fetched with `rm -r` of the lab.)
engine_inputs() { sha256sum < "$checkout/packaging/lib/lab.sh"; }

# runc and tini are those of the machine's own suite, since the newer ones need a newer libc, or a package more. They are unpacked too,
# not installed: other vendors' packages conflict with them.
make_engine() {
  local version=$2 work=$1/work engine suite
  engine=$(engine_of "$1" "$version")
  suite=$(suite_of_engine "$version")
  say "unpacking engine $version"
  rm -rf "$work" "$engine"
  if [[ $version == "$default_engine" ]]; then rm -f "$1/image.stamp"; fi
  download_packages "$suite" "$work/debs" docker.io containerd
  download_packages "$(own_suite)" "$work/debs" runc tini
  local deb
  for deb in "$work"/debs/*.deb; do
    dpkg -x "$deb" "$work/root"
  done
  mkdir -p "$engine"
  cp "$work"/root/usr/sbin/{dockerd,runc} "$work"/root/usr/bin/{containerd,containerd-shim-runc-v2} "$engine/"
  cp "$work/root/usr/bin/tini-static" "$engine/docker-init"
  check_version "$engine" "$version"
  rm -rf "$work"
  engine_inputs > "$engine.stamp"
}

# sid moves on: tests of a newer engine than they name are better than none, but they say so.
check_version() {
  local told
  told=$("$1/dockerd" --version)
  [[ $told == *" $2."* ]] || say "engine $2 is not in its suite any more; in its place: $told"
}
