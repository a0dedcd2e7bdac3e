# shellcheck shell=bash disable=SC2154 # names of common.sh
# left.sh - what a sandbox left behind on the machine, by its own names alone: what neighbours mount, attach or link meanwhile is not
# looked at. Sourced after engine.sh and processes.sh.

# note_links DIR FILE: adds to FILE the links of the sandbox in DIR, one name a line: its bridge, the bridges of the networks that were
# made in its engine, the ends of containers on them. To be called while it is up: of a link that lost its bridge nothing says whose it
# was.
note_links() {
  local dir=$1 file=$2 bridge
  while read -r bridge; do
    printf '%s\n' "$bridge"
    find "/sys/class/net/$bridge/brif" -mindepth 1 -printf '%f\n' 2>/dev/null || true
  done < <(bridge_of "$dir"; printf '\n'; network_bridges "$dir") >> "$file"
}

# left_of DIR FILE: what is still there of the sandbox in DIR, with the links in FILE, one a line; nothing when all is gone.
left_of() {
  local dir=$1 file=$2 name
  mounts_below "$dir" | sed 's/^/mount /'
  loop_devices_below "$dir" | sed 's/^/loop device /'
  sort -u "$file" | while read -r name; do
    [[ ! -e /sys/class/net/$name ]] || printf 'link %s\n' "$name"
  done
  groups_named "$(group_of "$dir")" | sed 's/^/control group /'
  binfmt_entries_of "$dir" | sed 's/^/binfmt entry /'
  processes_naming "$dir"
}

nothing_left() { [[ -z $(left_of "$1" "$2") ]]; }

# Also of a file that was deleted under it.
loop_devices_below() {
  local file
  for file in /sys/block/loop*/loop/backing_file; do
    if [[ $(cat "$file" 2>/dev/null) == "$1"/* ]]; then printf '/dev/%s\n' "$(cut -d/ -f4 <<< "$file")"; fi
  done
}

# On a machine with version 1 there is a tree for each controller.
groups_named() { find /sys/fs/cgroup -type d -path "*$1" -prune -print 2>/dev/null || true; }

# processes_naming DIR: living processes with a path below DIR in their arguments, or that stand or run below it.
processes_naming() {
  local pattern="[/]${1:1}/" pid  # the brackets: so that grep does not find its own arguments
  {
    grep -lzs -- "${pattern//./\\.}" /proc/[0-9]*/cmdline
    find /proc/[0-9]*/cwd /proc/[0-9]*/exe -maxdepth 0 -lname "$1/*" 2>/dev/null
  } | cut -d/ -f3 | sort -un | while read -r pid; do
    is_gone "$pid" || printf 'process %s: %s\n' "$pid" "$(tr '\0' ' ' 2>/dev/null < "/proc/$pid/cmdline")"
  done
}
