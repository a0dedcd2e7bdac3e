# shellcheck shell=bash disable=SC2154 # names of common.sh
# cross.sh - building for another architecture, with a sysroot of Debian's packages. Sourced after common.sh, debian.sh, stage.sh.

sysroot_of() { printf '%s/build/sysroot-%s' "$checkout" "$1"; }
configure_cross() { die "not yet"; }
