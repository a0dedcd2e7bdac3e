# shellcheck shell=bash disable=SC2154 # names of common.sh
# engine.sh - a private Docker engine on a disk of its own, below one folder; where asked, with a containerd beside it on a second disk. Sourced after common.sh and processes.sh.
#
# Every name is derived from the folder's (bridge, control group) or lies below it (disk, sockets), so that `down` needs to remember
# nothing and can clean up after an `up` that died anywhere. The machine's own engine, its docker0 and its packet filter stay
# untouched: own bridge, own configuration file, no iptables, no forwarding.

folder_hash() { printf '%s' "$1" | sha256sum | cut -c1-8; }
bridge_of() { printf 'bw%s' "$(folder_hash "$1")"; }
group_of() { printf '/buildwarden-%s' "$(folder_hash "$1")"; }

# ---- disk

# make_disk FOLDER SIZE [OPTION...]: an ext4 in FOLDER.img, mounted on FOLDER; options of mkfs.ext4.
make_disk() {
  local folder=$1 size=$2
  shift 2
  mkdir -p "$folder"
  truncate -s "$size" "$folder.img"
  mkfs.ext4 -qF "$@" "$folder.img"
  mount_disk "$folder"
}

# A neighbour that takes or gives back loop devices at the same moment makes `mount` fail.
mount_disk() {
  local folder=$1
  for _ in $(seq 20); do
    if mount -o loop "$folder.img" "$folder" 2>/dev/null; then return; fi
    sleep 0.2
  done
  mount -o loop "$folder.img" "$folder"
}

# mounts_below DIR [PROCESS]: mount points below DIR, the last mounted first; as PROCESS sees them.
mounts_below() {
  local dir=$1 file=/proc/${2:-self}/mountinfo
  awk -v below="$dir/" 'index($5, below) == 1 { print $5 }' "$file" 2>/dev/null | tac | while read -r point; do
    printf '%b\n' "$point"  # mountinfo writes a blank as \040
  done
}

unmount_below() {
  local dir=$1 point
  while read -r point; do
    umount "$point" 2>/dev/null || true
  done < <(mounts_below "$dir")
  [[ -z $(mounts_below "$dir") ]]
}

# Whoever made a mount namespace meanwhile has copies of the mounts in it, which keep the loop device in use.
unmount_elsewhere() {
  local dir=$1 file pid point
  for file in /proc/[0-9]*/mountinfo; do
    grep -qsE " $dir/(disk|store) " "$file" || continue
    pid=$(cut -d/ -f3 <<< "$file")
    while read -r point; do
      nsenter --mount --target "$pid" umount "$point" 2>/dev/null || true
    done < <(mounts_below "$dir" "$pid")
  done
}

loop_devices_of() {
  local image
  for image in "$1"/{disk,store}.img; do
    losetup -n -O NAME -j "$image" 2>/dev/null || true
  done
}
no_loop_device() { [[ -z $(loop_devices_of "$1") ]]; }

detach_loop_devices() {
  local dir=$1 device
  if no_loop_device "$dir"; then return; fi
  unmount_elsewhere "$dir"
  while read -r device; do
    losetup -d "$device" 2>/dev/null || true
  done < <(loop_devices_of "$dir")
  wait_for 60 no_loop_device "$dir"
}

# ---- bridge

# A /24 that no address or route of this machine touches; several sandboxes may stand at once.
free_network() {
  local n taken
  taken=$(ip -o -4 address show; ip -4 route show table all)  # not through a pipe: grep -q would break it off, and fail it
  for n in $(seq 0 255); do
    if ! grep -q "10\.213\.$n\." <<< "$taken"; then
      printf '10.213.%s.1/24' "$n"
      return
    fi
  done
  die "no free network among 10.213.0.0/16"
}

# With an address: without one, or without a bridge, containers would have no network at all. Under a lock of the machine,
# not of this checkout, since two sandboxes that start at once would find the same network free.
make_bridge() {
  local bridge=$1 lock
  exec {lock}</sys/class/net
  flock "$lock"
  ip link add "$bridge" type bridge
  ip address add "$(free_network)" dev "$bridge"
  ip link set "$bridge" up
  exec {lock}<&-
}

delete_bridge() {
  local bridge=$1 link
  [[ -e /sys/class/net/$bridge ]] || return 0
  for link in /sys/class/net/"$bridge"/brif/*; do    # ends of containers whose network is not quite gone yet
    if [[ -e $link ]]; then ip link delete "${link##*/}" 2>/dev/null || true; fi
  done
  ip link delete "$bridge" 2>/dev/null || true
  [[ ! -e /sys/class/net/$bridge ]]
}

# network_bridges DIR: the bridges of networks that were made in the engine. Their names are those of its networks' ids, which its store
# holds, also of an engine that was killed.
network_bridges() {
  { cat "$1"/disk/*/network/files/local-kv.db 2>/dev/null | grep -aoE '"id":"[0-9a-f]{64}"' || true; } | cut -d'"' -f4 | sort -u |
    sed -E 's/^(.{12}).*/br-\1/'
}

# The engine leaves them behind when it ends, and each takes an address range from all later engines.
delete_network_bridges() {
  local bridge
  while read -r bridge; do
    delete_bridge "$bridge" || true
  done < <(network_bridges "$1")
}

# ---- emulators

# binfmt_entries_of DIR: those that were registered with a program from DIR, as files.
binfmt_entries_of() { grep -ls "^interpreter ${1//./\\.}/" /proc/sys/fs/binfmt_misc/* || true; }

# ---- engine

engine_answers() { [[ $(curl -s --max-time 2 --unix-socket "$1/docker.sock" http://engine/_ping 2>/dev/null) == OK ]]; }
answers_or_died() { engine_answers "$1" || is_gone "$2"; }

# The pid of DIR's engine, if it lives: the pid file alone may name a process that came later.
engine_pid() {
  local dir=$1 pid
  pid=$(cat "$dir/docker.pid" 2>/dev/null) || return 0
  if has_argument "$pid" "--pidfile=$dir/docker.pid"; then printf '%s' "$pid"; fi
}

# What the caller holds open (a lock, a test runner's pipe) must not stay open for as long as the engine lives.
close_inherited() {
  local fd
  for fd in /proc/"$BASHPID"/fd/*; do
    fd=${fd##*/}
    if ((fd > 2)); then eval "exec $fd>&-"; fi
  done
}

# write_engine_settings DIR STORE: the engine's own configuration file. Its id must not be that of the machine's engine (the key).
write_engine_settings() {
  local dir=$1 features=
  if [[ $2 == containerd ]]; then features=', "features": { "containerd-snapshotter": true }'; fi
  printf '{ "deprecated-key-path": "%s"%s }\n' "$dir/key.json.engine" "$features" > "$dir/daemon.json.engine"
}

# ---- containerd beside the engine, on the second disk

own_containerd_answers() { [[ -S $1/exec/own.sock ]]; }
own_containerd_came_or_died() { own_containerd_answers "$1" || is_gone "$2"; }

# The pid of DIR's own containerd, if it lives.
own_containerd_pid() {
  local dir=$1 pid
  pid=$(cat "$dir/exec/own.pid" 2>/dev/null) || return 0
  if has_argument "$pid" "$dir/exec/own.toml"; then printf '%s' "$pid"; fi
}

# As a unit of its own on a real machine: it outlives the engine.
start_own_containerd() {
  local dir=$1 programs=$2
  [[ -z $(own_containerd_pid "$dir") ]] || return 0
  mkdir -p "$dir/exec"
  rm -f "$dir/exec/own.sock"
  printf 'version = 2\nroot = "%s"\nstate = "%s"\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\n  address = "%s"\n' \
    "$dir/store/containerd" "$dir/exec/own" "$dir/exec/own.sock" > "$dir/exec/own.toml"
  (
    cd /
    close_inherited
    PATH=$programs:$PATH exec setsid containerd --config "$dir/exec/own.toml"
  ) </dev/null >>"$dir/containerd.log" 2>&1 &
  local pid=$!
  disown "$pid"
  printf '%s' "$pid" > "$dir/exec/own.pid"
  wait_for 300 own_containerd_came_or_died "$dir" "$pid" || true
  own_containerd_answers "$dir" || { tail -n 20 "$dir/containerd.log" >&2; die "the containerd of $dir does not answer"; }
}

# ---- engine, its start and end

# start_engine DIR PROGRAMS [NAME]: with the data root DIR/disk/NAME. The engine leaves this shell's process group, terminal and
# descriptors. cgroupfs, not systemd: no units of the machine are made.
start_engine() {
  local dir=$1 programs=$2 name=${3:-docker}
  local -a more=()
  [[ -z $(engine_pid "$dir") ]] || return 0
  rm -f "$dir/docker.pid"  # of a killed engine: its number may be another process's by now
  if [[ -e $dir/store.img ]]; then
    start_own_containerd "$dir" "$programs"
    more+=(--containerd="$dir/exec/own.sock")
  fi
  (
    cd /
    close_inherited
    PATH=$programs:$PATH exec setsid dockerd \
      --config-file="$dir/daemon.json.engine" --data-root="$dir/disk/$name" --exec-root="$dir/exec" \
      --host="unix://$dir/docker.sock" --pidfile="$dir/docker.pid" \
      --bridge="$(bridge_of "$dir")" --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false \
      --userland-proxy=false --exec-opt native.cgroupdriver=cgroupfs --cgroup-parent="$(group_of "$dir")" "${more[@]}"
  ) </dev/null >>"$dir/engine.log" 2>&1 &
  local pid=$!
  disown "$pid"
  wait_for 300 answers_or_died "$dir" "$pid" || true
  engine_answers "$dir" || engine_failed "$dir"
}

engine_failed() {
  say "the engine does not answer; the end of its log:"
  tail -n 20 "$1/engine.log" >&2
  return 1
}

# stop_engine DIR SIGNAL: and waits for its end. What it leaves running is the caller's business.
stop_engine() {
  local dir=$1 signal=$2 pid
  pid=$(engine_pid "$dir")
  [[ -n $pid ]] || return 0
  kill -s "$signal" "$pid" 2>/dev/null || true
  wait_for 300 is_gone "$pid" || die "the engine (process $pid) did not end on $signal"
}
