# shellcheck shell=bash disable=SC2154 # names of common.sh and of packaging/build
# formats.sh - the same tree as a Debian package, an RPM and an archive. Sourced after common.sh.

# make_deb TREE ARCHITECTURE
make_deb() {
  local root=$1.deb architecture=$2 script documents file
  file=$output/buildwarden_${version}_$architecture.deb
  documents=$root/usr/share/doc/buildwarden
  cp -a "$1" "$root"
  mkdir -p "$root/DEBIAN"
  write_copyright > "$documents/copyright"
  write_changelog | gzip -9n > "$documents/changelog.gz"
  # It reads nothing of dpkg's: the folder stands in the list of those in which nothing is ever deleted.
  install -D -m 644 /dev/stdin "$root/usr/share/lintian/overrides/buildwarden" \
    <<< 'buildwarden: uses-dpkg-database-directly [usr/bin/buildwarden]'
  for script in postinst prerm postrm; do
    install -m 755 "$checkout/packaging/deb/$script" "$root/DEBIAN/$script"
  done
  (cd "$root" && find etc -type f -printf '/%p\n' | sort) > "$root/DEBIAN/conffiles"
  (cd "$root" && find usr -type f -print0 | sort -z | xargs -0 md5sum) > "$root/DEBIAN/md5sums"
  sed "s/@VERSION@/$version/; s/@ARCHITECTURE@/$architecture/; s/@SIZE@/$(du -sk --apparent-size "$root" | cut -f1)/" \
    "$checkout/packaging/deb/control.in" > "$root/DEBIAN/control"
  quietly dpkg-deb --root-owner-group -Zxz --build "$root" "$file"
  printf '%s\n' "$file"
}

write_copyright() {
  cat "$checkout/packaging/deb/copyright.head"
  printf 'Files: *\nCopyright: %s\nLicense: Expat\n' "$(sed -n 's/^Copyright (c) //p' "$checkout/LICENSE")"
  sed -n '/^Permission/,$p' "$checkout/LICENSE" | sed 's/^$/./; s/^/ /'
}

write_changelog() {
  printf 'buildwarden (%s) unstable; urgency=medium\n\n  * See packaging/CHANGELOG.md beside this file.\n\n -- %s  %s\n' "$version" \
    "$(sed -n 's/^Maintainer: //p' "$checkout/packaging/deb/control.in")" "$(date -u -R -d "@$SOURCE_DATE_EPOCH")"
}

# ---- RPM

rpm_architecture() { case $1 in amd64) printf x86_64 ;; arm64) printf aarch64 ;; esac; }

# make_rpm TREE ARCHITECTURE. Debian's rpmbuild needs no more than this; its own database is not asked.
make_rpm() {
  local tree=$1 top=$1.rpm architecture file
  architecture=$(rpm_architecture "$2")
  mkdir -p "$top"
  sed "s/@VERSION@/$version/" "$checkout/packaging/rpm/buildwarden.spec.in" > "$top/buildwarden.spec"
  (cd "$tree" && find . ! -type d -printf '/%P\n' | sort) > "$top/files"
  sed -i -E 's,^(/etc/.*),%config(noreplace) \1,; s,^(/usr/share/(doc|man)/.*),%doc \1,' "$top/files"
  quietly rpmbuild -bb --nodeps --target "$architecture-linux" --buildroot "$top/root" --define "_topdir $top" --define "tree $tree" \
    --define "file_list $top/files" --define "_rpmdir $top" --define "_dbpath $top/db" \
    --define "use_source_date_epoch_as_buildtime 1" --define "clamp_mtime_to_source_date_epoch 1" --define "_buildhost buildwarden" \
    "$top/buildwarden.spec"
  file=$output/buildwarden-$version-1.$architecture.rpm
  mv "$top"/"$architecture"/*.rpm "$file"
  printf '%s\n' "$file"
}

# ---- archive

# make_tarball TREE ARCHITECTURE: to be unpacked over the root folder: tar -C / --strip-components=1 -xzf FILE
make_tarball() {
  local name=buildwarden-$version-linux-$2 file
  file=$output/$name.tar.gz
  install -m 644 "$checkout/LICENSE" "$1/usr/share/doc/buildwarden/LICENSE"
  tar -C "$1" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --transform="s,^\.,$name," -cf - . |
    gzip -9n > "$file"
  printf '%s\n' "$file"
}
