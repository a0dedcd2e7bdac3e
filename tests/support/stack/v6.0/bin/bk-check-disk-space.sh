#!/bin/bash
set -euo pipefail
# Of the shape of the stack's: it says what it would purge, and looks at the data root.
DISK_MIN_AVAILABLE=${DISK_MIN_AVAILABLE:-5242880}
DOCKER_DIR="$(jq -r '."data-root" // "/var/lib/docker"' "${STACK_DAEMON_JSON:-/etc/docker/daemon.json}" || true)"
disk_avail=$(df -k --output=avail "$DOCKER_DIR" | tail -n1)
echo "Disk space free: $(df -k -h --output=avail "$DOCKER_DIR" | tail -n1 | sed -e 's/^[[:space:]]//')"
if [[ $disk_avail -lt $DISK_MIN_AVAILABLE ]]; then
  if [[ "${BUILDKITE_PURGE_BUILDS_ON_DISK_FULL:-false}" == "true" ]]; then echo "stack: purging"; fi
  echo "Disk health checks failed." >&2
  exit 1
fi
echo "Inodes free: $(df -k -h --output=iavail "$DOCKER_DIR" | tail -n1 | sed -e 's/^[[:space:]]//')"
