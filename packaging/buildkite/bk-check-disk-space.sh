#!/bin/bash
# bk-check-disk-space.sh - whether a job finds enough room: exit 0 or 1, in the lines of the Elastic CI Stack's script of this name.
# Installed by buildwarden (packaging/buildkite/install) in its place.
#
# usage: bk-check-disk-space.sh
#
# The daemon is asked, and makes room when there is too little; without it the program measures the disk with the same marks. Where the
# program gives no answer (missing, of another machine, killed, hung) the stack's own script decides, which stands beside this one. It purges
# nothing: it would delete the checkouts of jobs that run, below a path that a job can set.
set -euo pipefail

# Longer than room is made for a job (jobs.admission_wait), which is 2 minutes unless told.
patience=${BUILDWARDEN_CHECK_PATIENCE:-900}

here=$(readlink -f "${BASH_SOURCE[0]}" 2> /dev/null) || here=${BASH_SOURCE[0]}
original=$here.buildwarden-saved

stock() {
  echo "buildwarden did not answer ($1), so the stack's own check decides." >&2
  export BUILDKITE_PURGE_BUILDS_ON_DISK_FULL=false
  exec "$original" "${@:2}"
}

version=$(timeout --kill-after=2 "${BUILDWARDEN_PROBE_PATIENCE:-10}" buildwarden --version 2> /dev/null) || version=
[[ $version == "buildwarden "* ]] || stock "it does not run" "$@"

# 1 says that there is too little only beside the line that each answer begins with: anything may end with 1. 0 without the line
# is an answer too, of a disk that cannot be measured, which is no reason to refuse a job.
status=0
lines=$(timeout --kill-after=5 "$patience" buildwarden disk check --stack) || status=$?
[[ -z $lines ]] || printf '%s\n' "$lines"
if [[ $status -eq 0 ]]; then exit 0; fi
if [[ $status -eq 1 && $lines == "Disk space free: "* ]]; then exit 1; fi
stock "status $status" "$@"
