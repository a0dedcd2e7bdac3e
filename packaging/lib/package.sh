# shellcheck shell=bash disable=SC2154 # names of common.sh
# package.sh - the program out of a package of packaging/build, without installing it. Sourced after common.sh.

# check_package FILE: ends with 2 when it is none that can be taken here.
check_package() {
  local file=$1
  [[ -f $file && -r $file ]] || usage_error "--package: there is no file $file"
  case $file in
    *.deb) [[ $(dpkg-deb -f "$file" Package 2>/dev/null) == buildwarden ]] || usage_error "--package: $file is no .deb of buildwarden" ;;
    *.tar.gz) archive_has_program "$file" || usage_error "--package: $file is no archive of buildwarden" ;;
    *) usage_error "--package: $file is neither a .deb nor a .tar.gz" ;;
  esac
}

# grep reads to the end: tar would fail if it could not write all.
archive_has_program() { tar -tzf "$1" 2>/dev/null | grep -E '^[^/]+/usr/bin/buildwarden$' > /dev/null; }

# unpack_program FILE DIR: into DIR/package; DIR/bin/buildwarden runs it, and finds its library beside it.
unpack_program() {
  local file=$1 dir=$2 tree=$2/package
  mkdir -p "$tree" "$dir/bin"
  case $file in
    *.deb) dpkg-deb -x "$file" "$tree" || die "$file cannot be unpacked" ;;
    *) tar -C "$tree" --strip-components=1 --no-same-owner -xzf "$file" || die "$file cannot be unpacked" ;;
  esac
  [[ -x $tree/usr/bin/buildwarden ]] || die "there is no usr/bin/buildwarden in $file"
  chmod 755 "$tree"
  ln -s ../package/usr/bin/buildwarden "$dir/bin/buildwarden"
  "$dir/bin/buildwarden" --version || die "the program in $file does not run on this machine"
}
