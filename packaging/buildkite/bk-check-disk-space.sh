#!/bin/bash
# bk-check-disk-space.sh - whether a job finds enough room: exit 0 or 1, in the lines of the Elastic CI Stack's script of this name.
# Installed by buildwarden (packaging/buildkite/install) in its place.
#
# usage: bk-check-disk-space.sh
#
# The daemon is asked, and makes room when there is too little; without it the disk is measured here with the same marks. Only where
# the program is missing the stack's own script runs, which stands beside this one, and purges nothing: it would delete the checkouts of
# jobs that run, below a path that a job can set.
set -euo pipefail

if command -v buildwarden > /dev/null; then
  # 1 alone says that there is too little: what cannot be told, or did not run, is no reason to refuse a job.
  buildwarden disk check --stack || [[ $? -ne 1 ]] || exit 1
  exit 0
fi
export BUILDKITE_PURGE_BUILDS_ON_DISK_FULL=false
exec "${BASH_SOURCE[0]}.buildwarden-saved" "$@"
