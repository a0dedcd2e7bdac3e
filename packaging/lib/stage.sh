# shellcheck shell=bash disable=SC2154 # names of common.sh and of packaging/build
# stage.sh - the tree of files that all packages are made of. Sourced after common.sh, manual.sh.

most_glibc=2.34        # Amazon Linux 2023
most_libstdcxx=3.4.29  # GCC 11

build_folder() {
  if [[ $1 == "$(dpkg --print-architecture)" ]]; then printf '%s/build/package' "$checkout"; else printf '%s/build/package-%s' "$checkout" "$1"; fi
}

# triplet_of ARCHITECTURE: as compilers and library folders name it.
triplet_of() {
  case $1 in
    amd64) printf 'x86_64-linux-gnu' ;;
    arm64) printf 'aarch64-linux-gnu' ;;
    *) usage_error "there are no packages for \"$1\": amd64 or arm64" ;;
  esac
}

# $BUILDWARDEN_JOBS: how many compilers at once, where not one for each processor.
compile() {
  local architecture=$1
  cd "$checkout" || return
  if [[ $architecture == "$(dpkg --print-architecture)" ]]; then
    cmake --preset package
  else
    configure_cross "$architecture" "$(build_folder "$architecture")"
  fi
  cmake --build "$(build_folder "$architecture")" --target buildwarden -j "${BUILDWARDEN_JOBS:-$(nproc)}"
}

# put MODE TARGET FILE: into the tree.
put() { install -D -m "$1" "$3" "$tree$2"; }

# stage TREE BUILD ARCHITECTURE
stage() {
  local build=$2 architecture=$3 tree=$1 library
  mkdir -p "$tree"
  library=$(find_library "$architecture")
  put 755 /usr/bin/buildwarden "$build/bin/buildwarden"
  put 644 "/usr/lib/buildwarden/$(soname_of "$library")" "$library"
  "$(strip_of "$architecture")" --strip-unneeded --remove-section=.comment --remove-section=.note \
    "$tree/usr/bin/buildwarden" "$tree/usr/lib/buildwarden/"*.so*
  put 755 /usr/lib/buildwarden/leave "$checkout/packaging/files/leave"
  stage_settings
  stage_documentation
  stage_extras
  check_needs
  find "$tree" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
}

stage_settings() {
  put 644 /etc/buildwarden/buildwarden.yaml "$checkout/config/buildwarden.yaml"
  put 644 /usr/lib/systemd/system/buildwarden.service "$checkout/systemd/buildwarden.service"
  put 644 /usr/lib/systemd/system/buildwarden.socket "$checkout/systemd/buildwarden.socket"
  put 644 /usr/lib/tmpfiles.d/buildwarden.conf "$checkout/systemd/buildwarden.tmpfiles"
  mkdir -p "$tree/usr/share/buildwarden/images"
}

stage_documentation() {
  local documents=/usr/share/doc/buildwarden folder work page
  work=$(mktemp -d)
  write_manuals "$work" "$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%d)"
  write_third_party > "$work/third-party"
  gzip -9n "$work"/*
  put 644 /usr/share/man/man1/buildwarden.1.gz "$work/buildwarden.1.gz"
  put 644 /usr/share/man/man5/buildwarden.yaml.5.gz "$work/buildwarden.yaml.5.gz"
  put 644 "$documents/third-party.gz" "$work/third-party.gz"
  rm -rf "$work"
  # Where they lie in the tree, since they name one another.
  while read -r page; do put 644 "$documents/$page" "$checkout/$page"; done \
    < <(cd "$checkout" && find README.md config systemd daemon/README.md daemon/guide packaging/README.md packaging/CHANGELOG.md -name '*.md' -o -name '*.png' | sort)
  put 644 /usr/share/bash-completion/completions/buildwarden "$checkout/packaging/completion/buildwarden.bash"
  put 644 /usr/share/fish/vendor_completions.d/buildwarden.fish "$checkout/packaging/completion/buildwarden.fish"
  # Debian's zsh looks into the first, others into the second.
  for folder in vendor-completions site-functions; do
    put 644 "/usr/share/zsh/$folder/_buildwarden" "$checkout/packaging/completion/buildwarden.zsh"
  done
}

# What the stack's and the fleet's files are, as they lie in packaging/.
stage_extras() {
  local folder file
  for folder in buildkite prometheus grafana ami; do
    [[ -d $checkout/packaging/$folder ]] || continue
    while read -r file; do
      put "$(if [[ -x $checkout/packaging/$folder/$file ]]; then printf 755; else printf 644; fi)" \
        "/usr/share/buildwarden/$folder/$file" "$checkout/packaging/$folder/$file"
    done < <(cd "$checkout/packaging/$folder" && find . -type f -printf '%P\n' | sort)
  done
}

# The licences of what is in the program. Of Boost's list the text alone: two megabytes of names are in Debian's package.
write_third_party() {
  local package
  printf '== libboost1.81-dev\n'
  awk 'BEGIN { RS = ""; ORS = "\n\n" } /^License: BSL-1.0\n [A-Z]/' /usr/share/doc/libboost1.81-dev/copyright
  for package in libyaml-cpp-dev libsqlite3-dev nettle-dev libarchive-dev libzstd-dev libspdlog-dev libfmt-dev libcli11-dev libtomlplusplus-dev prometheus-cpp-dev; do
    printf '\n== %s\n' "$package"
    cat "/usr/share/doc/$package/copyright"
  done
}

# ---- programs and libraries

own_readelf() { readelf "$@" 2>/dev/null; }
soname_of() { own_readelf -d "$1" | sed -n 's/.*(SONAME).*\[\(.*\)\]/\1/p'; }

find_library() {
  local root=
  if [[ $1 != "$(dpkg --print-architecture)" ]]; then root=$(sysroot_of "$1"); fi
  readlink -f "$root/usr/lib/$(triplet_of "$1")/libprometheus-cpp-core.so"
}

strip_of() { if [[ $1 == "$(dpkg --print-architecture)" ]]; then printf strip; else printf '%s-strip' "$(triplet_of "$1")"; fi; }

# check_needs: no program or library in the tree needs a newer glibc or libstdc++ than there is where it is to run, nor a library that is
# neither of those nor in the package.
check_needs() {
  local file bad=
  while read -r file; do
    newer_needs "$file" && bad=yes
    foreign_needs "$file" && bad=yes
  done < <(find "$tree" -type f | while read -r file; do if is_elf "$file"; then printf '%s\n' "$file"; fi; done)
  [[ -z $bad ]] || die "the packages would not run everywhere"
}

is_elf() { [[ $(od -An -N4 -tx1 "$1") == ' 7f 45 4c 46' ]]; }

# newer_needs FILE: says which versions it needs that are too new; 1 when there is none.
newer_needs() {
  local version name most found=1
  while IFS=_ read -r name version; do
    most=$most_glibc
    if [[ $name == GLIBCXX ]]; then most=$most_libstdcxx; fi
    if [[ $(printf '%s\n%s\n' "$version" "$most" | sort -V | tail -n 1) != "$most" ]]; then
      say "${1#"$tree"} needs ${name}_$version, $most is there"
      found=0
    fi
  done < <(own_readelf -V --wide "$1" | grep -oE '\b(GLIBC|GLIBCXX)_[0-9.]+' | sort -u)
  return "$found"
}

foreign_needs() {
  local library found=1
  while read -r library; do
    case $library in
      libc.so.6 | libm.so.6 | libgcc_s.so.1 | libstdc++.so.6 | ld-linux-*) continue ;;
    esac
    if [[ ! -e $tree/usr/lib/buildwarden/$library ]]; then
      say "${1#"$tree"} needs $library, which is not in the package"
      found=0
    fi
  done < <(own_readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
  return "$found"
}
