# shellcheck shell=bash disable=SC2154 # names of common.sh
# cross.sh - building for another architecture, with a sysroot of Debian's packages. Sourced after common.sh, debian.sh, stage.sh.
#
# The other architecture's -dev packages cannot be installed beside the machine's own (apt would take those away), so they are unpacked.

sysroot_packages=(
  libc6 libc6-dev linux-libc-dev libgcc-s1 libgcc-12-dev libstdc++6 libstdc++-12-dev
  libboost1.81-dev libboost-json1.81-dev libboost-container1.81-dev libboost-system1.81-dev
  libyaml-cpp-dev libyaml-cpp0.7 prometheus-cpp-dev libprometheus-cpp-core1.0 libsqlite3-dev libsqlite3-0 nettle-dev libnettle8
  libarchive-dev libzstd-dev
  libspdlog-dev libspdlog1.10 libfmt-dev libfmt9 libcli11-dev libtomlplusplus-dev
  # what prometheus-cpp asks for, though its core needs none of it
  libprometheus-cpp-pull1.0 libprometheus-cpp-push1.0 civetweb libcivetweb-dev libcivetweb1 libcurl4-openssl-dev libcurl4 zlib1g-dev zlib1g
)

sysroot_of() { printf '%s/build/sysroot-%s' "$checkout" "$1"; }
sysroot_inputs() { printf '%s\n' "${sysroot_packages[@]}" | sha256sum; }

# The index of the other architecture has its own lists, beside the machine's own.
prepare_sysroot() {
  local architecture=$1 root work deb
  root=$(sysroot_of "$architecture")
  if [[ -f $root.stamp && $(< "$root.stamp") == "$(sysroot_inputs)" ]]; then return; fi
  say "unpacking a sysroot for $architecture"
  work=$checkout/build/apt/own-$architecture
  rm -rf "$root" "$work"
  mkdir -p "$work"/{lists/partial,cache/archives/partial,debs}
  write_suite_sources "$(own_suite)" "$work/sources"
  quietly apt_of "$work" -o APT::Architecture="$architecture" -o APT::Architectures="$architecture" update
  (cd "$work/debs" && quietly apt_of "$work" -o APT::Architecture="$architecture" -o APT::Architectures="$architecture" \
    -o Dir::State::status=/dev/null download "${sysroot_packages[@]}")
  for deb in "$work"/debs/*.deb; do
    dpkg-deb -x "$deb" "$root"
  done
  merge_usr "$root"
  sysroot_inputs > "$root.stamp"
}

# As an installed Debian has it: what is in /lib lies in /usr/lib. Links to absolute paths would lead to the machine's own files.
merge_usr() {
  local root=$1 link target
  if [[ -d $root/lib && ! -L $root/lib ]]; then
    cp -a "$root/lib/." "$root/usr/lib/"
    rm -rf "${root:?}/lib"
    ln -s usr/lib "$root/lib"
  fi
  while read -r link; do
    target=$(readlink "$link")
    ln -sf "$(realpath -m --relative-to="${link%/*}" "$root$target")" "$link"
  done < <(find "$root" -type l -lname '/*')
}

configure_cross() {
  local architecture=$1 folder=$2
  "$checkout/packaging/dependencies" cross
  prepare_sysroot "$architecture"
  cmake --preset package -B "$folder" -DCMAKE_TOOLCHAIN_FILE="$checkout/packaging/lib/cross.cmake" \
    -DCMAKE_SYSROOT="$(sysroot_of "$architecture")" -DBUILDWARDEN_TRIPLET="$(triplet_of "$architecture")"
}
