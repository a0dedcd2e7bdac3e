# shellcheck shell=bash disable=SC2154 # names of common.sh
# processes.sh - the processes of a sandbox, found by what they hold of its folder, never by name. Sourced after common.sh.

# has_argument PID TEXT: TEXT is one of the process's arguments.
has_argument() { tr '\0' '\n' 2>/dev/null < "/proc/$1/cmdline" | grep -qxF -- "$2"; } 2>/dev/null

# A zombie is gone: it holds nothing, and only its parent can remove it.
is_gone() { [[ ! -d /proc/$1 || $(sed -n 's/^State:\t\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null) == [ZX] ]]; }

# container_ids DIR: of all containers that the engine of DIR knew, also those whose control group is not the sandbox's.
container_ids() {
  local folder
  for folder in "$1"/disk/*/containers/* "$1"/exec/containerd/daemon/io.containerd.runtime.v2.task/*/*; do
    printf '%s\n' "${folder##*/}"
  done | { grep -xE '[0-9a-f]{64}' || true; } | sort -u
}

# sandbox_processes DIR GROUP: pids of its engine, containerd, shims and runtimes (an argument lies in the engine's own folders), and
# of everything in its containers (by control group). A shell that only stands in DIR, or names DIR, is none of them.
sandbox_processes() {
  local dir=${1//./\\.} group=$2 ids
  ids=$(container_ids "$1" | paste -sd'|')
  {
    grep -lzE "^(--pidfile=$dir/docker.pid\$|$dir/exec/)" /proc/[0-9]*/cmdline
    grep -lE ":$group(/|\$)${ids:+|$ids}" /proc/[0-9]*/cgroup
  } 2>/dev/null | cut -d/ -f3 | sort -u | while read -r pid; do
    is_gone "$pid" || printf '%s\n' "$pid"
  done
}

# kill_sandbox DIR GROUP: until none is left. The engine first: it would start containers anew.
kill_sandbox() {
  local dir=$1 group=$2 pids
  for _ in $(seq 1200); do
    pids=$(sandbox_processes "$dir" "$group")
    [[ -n $pids ]] || return 0
    # shellcheck disable=SC2086
    kill -s KILL $pids 2>/dev/null || true
    sleep 0.05
  done
  say "these processes of the sandbox do not die: ${pids//$'\n'/ }"
  return 1
}

# users_below DIR: who still stands or has a file open below DIR, one line a process.
users_below() {
  local dir=$1 pid
  for pid in /proc/[0-9]*; do
    if find "$pid/cwd" "$pid/root" "$pid/fd/" -maxdepth 1 -lname "$dir/*" 2>/dev/null | grep -q .; then
      printf '%s %s\n' "${pid##*/}" "$(tr '\0' ' ' < "$pid/cmdline" 2>/dev/null)"
    fi
  done
}

# remove_groups DIR GROUP: the control groups that killed containers leave behind.
remove_groups() {
  local dir=$1 group=$2 id
  local -a names=(-path "*$group")
  for id in $(container_ids "$dir"); do
    names+=(-o -name "$id")
  done
  find /sys/fs/cgroup -depth -type d \( "${names[@]}" \) -print 2>/dev/null | while read -r top; do
    find "$top" -depth -type d -exec rmdir {} + 2>/dev/null || true
  done
}
