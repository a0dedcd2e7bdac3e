# shellcheck shell=bash disable=SC2154 # names of common.sh and of boot_test
# machine.sh - a minimal Debian 12 with systemd as its first process, in a privileged container of the sandbox's engine, with an engine of
# its own inside. Sourced after packaging/lib/common.sh and debian.sh.

# Its own parts are Debian's minimum, systemd and D-Bus; nothing of the tests'.
# shellcheck disable=SC2034 # used by those that source it
boot_packages=systemd-sysv,dbus

root_inputs() { { declare -f make_root_archive; printf '%s\n' "$@"; } | sha256sum; }

# prepare_root NAME PACKAGES: the root is made once for each lab: 40 s.
prepare_root() {
  local archive=$BUILDWARDEN_LAB/$1.tar
  if [[ -f $archive && $(cat "$archive.stamp" 2>/dev/null) == "$(root_inputs "$2")" ]]; then return; fi
  say "making a minimal Debian 12"
  make_root_archive "$archive" "$2"
  root_inputs "$2" > "$archive.stamp"
}

make_root_archive() {
  local mirror
  mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' | awk '$2 == "bookworm" { print $1; exit }')
  rm -rf "$work/root"
  quietly debootstrap --variant=minbase --include="$2" bookworm "$work/root" "$mirror"
  rm -rf "$work"/root/var/cache/apt/archives/*.deb "$work"/root/var/lib/apt/lists/*
  tar -C "$work/root" -cf "$1.new" .
  mv "$1.new" "$1"
  rm -rf "$work/root"
}

inside() { timeout 600 docker exec "$machine" "$@"; }
inside_bash() { timeout 600 docker exec -i "$machine" bash -euo pipefail; }
as_agent() { timeout 600 docker exec --user 2000:2000 --env HOME=/var/lib/buildkite-agent --workdir /var/lib/buildkite-agent "$machine" "$@"; }

is_booted() { [[ $(inside systemctl is-system-running --wait 2> /dev/null) == running ]]; }

# start_machine ROOT OPTION...: as `docker run` takes them. The packages that are tested lie in /packages.
start_machine() {
  docker import --change 'ENV container=docker' --change 'CMD ["/sbin/init"]' "$BUILDWARDEN_LAB/$1.tar" "$1:1" > /dev/null
  docker run -d --name "$machine" --privileged --stop-signal SIGRTMIN+3 --tmpfs /run --tmpfs /run/lock --tmpfs /tmp \
    -v "$packages:/packages:ro" "${@:2}" "$1:1" > /dev/null 2> "$work/run.log" || { cat "$work/run.log" >&2; return 1; }
  wait_for 300 is_booted || die "the machine does not boot: $(inside systemctl --failed --no-legend)"
}

# The sandbox's own engine, client and emulator are lent to the machine; what the package brings is not.
boot() {
  local folder
  local -a plugins=()
  for folder in /usr/libexec/docker /usr/lib/docker /usr/local/lib/docker; do
    if [[ -d $folder/cli-plugins ]]; then plugins+=(-v "$folder/cli-plugins:$folder/cli-plugins:ro"); fi
  done
  start_machine boot-root -v /var/lib/docker -v "$BUILDWARDEN_LAB:/lab:ro" -v "$(command -v docker):/usr/bin/docker:ro" "${plugins[@]}" \
    -v /usr/bin/qemu-aarch64-static:/usr/bin/qemu-aarch64-static:ro -v "$(command -v busybox):/usr/local/bin/busybox:ro" -v /usr:/host/usr:ro
  inside_bash < "$here/furnish"
  docker cp "$machine:/etc/buildwarden/buildwarden.yaml" "$work/buildwarden.yaml" > /dev/null
}

first_process() { docker inspect --format '{{.State.Pid}}' "$machine"; }
address_of_machine() { docker inspect --format '{{.NetworkSettings.IPAddress}}' "$machine"; }

# A disk that appears while the machine runs, with the builds on it by a bind mount, as the stack does it with an instance's storage.
mount_late() {
  truncate -s 1G "$work/late.img"
  mkfs.ext4 -qF "$work/late.img"
  late_device=$(losetup --find --show "$work/late.img")
  is_there "$late_device" || inside mknod "$late_device" b 7 "${late_device#/dev/loop}"
  inside_bash << END
mkdir /mnt/ephemeral
mount $late_device /mnt/ephemeral
mkdir /mnt/ephemeral/{builds,cache}
chown 2000:2000 /mnt/ephemeral/{builds,cache}
mount --bind /mnt/ephemeral/builds /var/lib/buildkite-agent/builds
END
}

# The kernel's table of handlers is that of the whole computer: what was registered there must not outlive the machine.
switch_off() {
  inside sh -c 'for entry in /proc/sys/fs/binfmt_misc/buildwarden-*; do if [ -e "$entry" ]; then echo -1 > "$entry"; fi; done' || true
  timeout 600 docker rm -fv "$machine" > /dev/null || true
  if [[ -n ${late_device-} ]]; then losetup -d "$late_device" || true; fi
}
