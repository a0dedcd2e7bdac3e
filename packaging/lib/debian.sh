# shellcheck shell=bash disable=SC2154 # names of common.sh
# debian.sh - Debian packages: which are missing, how to install them, and single ones of another suite. Sourced after common.sh.
#
# Nothing of the machine's own apt set-up is changed: the other suite has its own lists, cache and sources below build/apt, and its
# sources are made from the machine's, so that a mirror or proxy that is set up here is used there too.

# missing_packages PACKAGE...: those that are not installed, one a line.
missing_packages() {
  comm -23 <(printf '%s\n' "$@" | sort -u) \
    <(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' 2>/dev/null | sed -n 's/^.i  *//p' | sort -u)
}

# install_packages NAME-OR-FILE...: by apt, without recommended packages.
install_packages() {
  say "installing: ${*##*/}"
  [[ -n ${apt_updated-} ]] || quietly apt-get update
  apt_updated=yes
  DEBIAN_FRONTEND=noninteractive quietly apt-get install -y --no-install-recommends "$@"
}

# The output of a command only if it fails; as it comes, on stderr, where $BUILDWARDEN_TALK is set by somebody who shows how far it is.
quietly() {
  local output
  if [[ -n ${BUILDWARDEN_TALK-} ]]; then
    "$@" </dev/null >&2 || die "failed: $*"
    return
  fi
  output=$("$@" </dev/null 2>&1) || { printf '%s\n' "$output" >&2; die "failed: $*"; }
}

own_suite() { (. /etc/os-release && printf '%s' "${VERSION_CODENAME-}"); }

# Copies of the machine's Debian sources that name SUITE. Other vendors' files (no "main" component) do not have that suite.
write_suite_sources() {
  local suite=$1 folder=$2 own file
  own=$(own_suite)
  rm -rf "$folder" && mkdir -p "$folder"
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
    if [[ -s $file ]] && grep -qw "$own" "$file" && grep -qw main "$file"; then
      sed "s/\b$own\b/$suite/g; s/\b$own-/$suite-/g" "$file" | existing_suites "$suite" > "$folder/${file##*/}"
    fi
  done
  [[ -n $(ls "$folder") ]] || die "no Debian source of this machine names its suite ($own), so none can be made for $suite"
}

# Of a file of sources, without what does not exist: sid has no -updates, no -security.
existing_suites() {
  if [[ $1 != sid ]]; then cat; return; fi
  sed -E '/^deb.*[[:space:]]sid-/d' | awk 'BEGIN { RS = ""; ORS = "\n\n" }
    { gsub(/[ \t]+sid-[a-z-]+/, "") } !/(^|\n)Suites:[ \t]*(\n|$)/'
}

# apt_of FOLDER ARGUMENT...: apt-get on the lists, cache and sources of FOLDER alone.
apt_of() {
  local folder=$1
  shift
  apt-get -o Acquire::Retries=3 -o Acquire::http::Timeout=30 -o Acquire::https::Timeout=30 -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$folder/sources" -o Dir::Etc::preferencesparts=/dev/null \
    -o Dir::State::lists="$folder/lists" -o Dir::Cache="$folder/cache" -o APT::Sandbox::User=root "$@"
}

# The index of SUITE below build/apt, not older than an hour.
refresh_suite() {
  local suite=$1 folder=$checkout/build/apt/$1
  if [[ -n $(find "$folder/fresh" -mmin -60 2>/dev/null) ]]; then
    return
  fi
  mkdir -p "$folder/lists/partial" "$folder/cache/archives/partial"
  write_suite_sources "$suite" "$folder/sources"
  quietly apt_of "$folder" update
  touch "$folder/fresh"
}

# download_packages SUITE FOLDER PACKAGE...: their .deb files, without dependencies, into FOLDER.
download_packages() {
  local suite=$1 folder=$2
  shift 2
  mkdir -p "$folder"
  refresh_suite "$suite"
  (cd "$folder" && quietly apt_of "$checkout/build/apt/$suite" download "$@")
}
