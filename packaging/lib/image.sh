# shellcheck shell=bash disable=SC2154 # names of common.sh
# image.sh - the test builder's image: a BuildKit that is served by the engine inside it, packed without any engine.
# Sourced after common.sh.

builder_sources=$checkout/tests/support/builder
builder_version=v0.13-engine26.1
builder_tag=moby/buildkit:buildx-stable-1            # what buildx takes when it is told nothing
builder_created=2024-05-01T00:00:00Z                 # fixed: the same inputs give the same image
builder_applets="sh awk cat chmod df dirname head id ip kill ls mkdir ps rm sed sleep stat tr"

image_inputs() { cat "$builder_sources"/* "$checkout/packaging/lib/image.sh" | sha256sum; }

# make_image LAB: LAB/images/buildkit.tar from the programs in LAB/engine.
make_image() {
  local lab=$1 work=$1/work
  say "making the test builder's image"
  rm -rf "$work" && mkdir -p "$work/image" "$lab/images"
  make_root "$lab/engine" "$work/root"
  write_archive "$work/root" "$work/image" "$lab/images/buildkit.tar"
  rm -rf "$work"
  image_inputs > "$lab/image.stamp"
}

compile_static() {
  local output=$1
  shift
  clang++-19 -fuse-ld=lld-19 -std=c++20 -O2 -static -s -DTEST_BUILDER_VERSION="\"$builder_version\"" -o "$output" "${@/#/$builder_sources/}"
}

make_root() {
  local engine=$1 root=$2 applet
  mkdir -p "$root"/{bin,etc/buildkit,proc,run/buildkit,sys,dev,tmp,usr/bin,usr/lib/buildkit,var/lib/buildkit}
  compile_static "$root/usr/bin/buildctl" buildctl.cpp control.cpp grpc.cpp streams.cpp
  compile_static "$root/usr/bin/buildkitd" buildkitd.cpp streams.cpp
  install -m 755 "$builder_sources/engine" "$root/usr/lib/buildkit/engine"
  cp "$engine"/{dockerd,containerd,containerd-shim-runc-v2,runc} "$root/usr/bin/"
  cp "$(command -v busybox)" "$root/bin/busybox"
  for applet in $builder_applets; do
    ln -s busybox "$root/bin/$applet"
  done
  copy_libraries "$root"
  printf 'root:x:0:0:root:/:/bin/sh\n' > "$root/etc/passwd"
  printf 'root:x:0:\ndocker:x:999:\n' > "$root/etc/group"
}

# The shared libraries of the programs in the image, at the paths where the loader looks for them.
copy_libraries() {
  local root=$1 library
  ldd "$root"/usr/bin/{dockerd,containerd,containerd-shim-runc-v2,runc} | grep -oE '/[^ ]+\.so[^ ]*' | sort -u |
    while read -r library; do
      mkdir -p "$root${library%/*}"
      cp -L "$library" "$root$library"
    done
}

# write_archive ROOT WORK FILE: what `docker load` reads: one layer, its configuration, and a manifest that names both.
write_archive() {
  local root=$1 work=$2 file=$3 layer config
  tar -C "$root" --sort=name --mtime="$builder_created" --owner=0 --group=0 --numeric-owner -cf "$work/layer.tar" .
  layer=$(sha256sum < "$work/layer.tar" | cut -d' ' -f1)
  image_config "$layer" > "$work/config.json"
  config=$(sha256sum < "$work/config.json" | cut -d' ' -f1)
  mv "$work/layer.tar" "$work/$layer.tar"
  mv "$work/config.json" "$work/$config.json"
  printf '[{"Config":"%s.json","RepoTags":["%s"],"Layers":["%s.tar"]}]\n' "$config" "$builder_tag" "$layer" > "$work/manifest.json"
  tar -C "$work" --owner=0 --group=0 -cf "$file.new" manifest.json "$config.json" "$layer.tar"
  mv "$file.new" "$file"
}

# Entry point, volume and search path are those of the real image, so that what works with one works with the other.
image_config() {
  local architecture
  architecture=$(dpkg --print-architecture)
  printf '{"architecture":"%s","os":"linux","created":"%s","config":{"Entrypoint":["buildkitd"],' "$architecture" "$builder_created"
  printf '"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],"Volumes":{"/var/lib/buildkit":{}}},'
  printf '"rootfs":{"type":"layers","diff_ids":["sha256:%s"]},' "$1"
  printf '"history":[{"created":"%s","created_by":"packaging/sandbox prepare"}]}\n' "$builder_created"
}
