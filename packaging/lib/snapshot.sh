# shellcheck shell=bash
# snapshot.sh - what of a machine a sandbox could leave behind, as lines to compare. Sourced.

# snapshot: mounts, loop devices, links and binfmt entries, one a line. Pairs of a living bridge are left out: other engines' containers
# come and go meanwhile, and what a sandbox lost has no bridge any more.
snapshot() {
  awk '{ print "mount " $5 }' /proc/self/mountinfo
  losetup -n -O NAME,BACK-FILE | awk '{ print "loop device " $1 " of " $2 }'
  ip -o link show | grep -v ' master ' | awk '{ sub(/[:@].*/, "", $2); print "link " $2 }'
  find /proc/sys/fs/binfmt_misc -mindepth 1 -printf 'binfmt entry %f\n' 2>/dev/null
}

# processes_naming PATH: living processes with PATH in their arguments, or that stand or run below it.
processes_naming() {
  local pattern="[/]${1:1}/"  # the brackets: so that grep does not find its own arguments
  {
    grep -lzs -- "${pattern//./\\.}" /proc/[0-9]*/cmdline
    find /proc/[0-9]*/cwd /proc/[0-9]*/exe -maxdepth 0 -lname "$1/*" 2>/dev/null
  } | cut -d/ -f3 | sort -un | while read -r pid; do
    printf 'process %s: %s\n' "$pid" "$(tr '\0' ' ' 2>/dev/null < "/proc/$pid/cmdline")"
  done
}

# left_since FILE PATH: what is there now and was not when FILE was written by `snapshot`; nothing if all is as before.
left_since() {
  comm -13 <(sort "$1") <(snapshot | sort)
  processes_naming "$2"
}
