# shellcheck shell=bash disable=SC2154 # names of common.sh
# buildx.sh - a second version of buildx for the tests, unpacked into the lab: LAB/buildx-sid/docker-buildx. Sourced after debian.sh.

buildx_suites=(sid)                                  # needs nothing but a libc of 2.34

# buildx_of LAB SUITE: the program.
buildx_of() { printf '%s/buildx-%s/docker-buildx' "$1" "$2"; }

# prepare_buildx LAB SUITE: once; a newer one is fetched when its folder is gone.
prepare_buildx() {
  local lab=$1 suite=$2 folder work=$1/work-buildx
  [[ " ${buildx_suites[*]} " == *" $suite "* ]] || usage_error "there is no buildx of \"$suite\": ${buildx_suites[*]}"
  folder=$lab/buildx-$suite
  [[ ! -x $folder/docker-buildx ]] || return 0
  say "unpacking buildx of $suite"
  rm -rf "$work"
  download_packages "$suite" "$work" docker-buildx
  dpkg -x "$work"/docker-buildx_*.deb "$work/root"
  mkdir -p "$folder"
  chmod 755 "$folder"
  install -m 755 "$work/root/usr/libexec/docker/cli-plugins/docker-buildx" "$folder/docker-buildx.new"
  mv "$folder/docker-buildx.new" "$folder/docker-buildx"
  rm -rf "$work"
}
