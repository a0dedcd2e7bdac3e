# shellcheck shell=bash disable=SC2154 # names of common.sh
# lab.sh - the lab folder: an engine unpacked from packages (engine/), and the test builder's image (images/buildkit.tar).
# Sourced after common.sh, debian.sh and image.sh.

engine_suite=trixie  # Docker 26.1: starts privileged containers also where CAP_SYS_RESOURCE is missing

# prepare_lab LAB: engine and image, each only when its inputs changed.
prepare_lab() {
  local lab=$1
  mkdir -p "$lab"
  exec {lab_lock}>"$lab/lock"                        # two runs at once: the second waits, then finds all done
  flock "$lab_lock"
  up_to_date "$lab/engine.stamp" engine_inputs || make_engine "$lab"
  up_to_date "$lab/image.stamp" image_inputs || make_image "$lab"
  exec {lab_lock}>&-
}

up_to_date() { [[ -f $1 && $(<"$1") == "$($2)" ]]; }

# What an engine is made of: this recipe. (A newer package of the suite is fetched with `rm -r` of the lab.)
engine_inputs() { sha256sum < "$checkout/packaging/lib/lab.sh"; }

# The host's own runc is bookworm's, since the newer one needs a newer libc. It is unpacked too, not installed: other vendors'
# packages conflict with it.
make_engine() {
  local lab=$1 work=$1/work
  say "unpacking the engine"
  rm -rf "$work" "$lab/engine" "$lab/image.stamp"
  download_packages "$engine_suite" "$work/debs" docker.io containerd tini
  download_packages "$(own_suite)" "$work/debs" runc
  local deb
  for deb in "$work"/debs/*.deb; do
    dpkg -x "$deb" "$work/root"
  done
  mkdir -p "$lab/engine"
  cp "$work"/root/usr/sbin/{dockerd,runc} "$work"/root/usr/bin/{containerd,containerd-shim-runc-v2} "$lab/engine/"
  cp "$work/root/usr/bin/tini-static" "$lab/engine/docker-init"
  rm -rf "$work"
  engine_inputs > "$lab/engine.stamp"
}
