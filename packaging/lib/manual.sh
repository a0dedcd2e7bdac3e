# shellcheck shell=bash disable=SC2154 # names of common.sh
# manual.sh - the manual pages. Sourced after common.sh.

program_version() { sed -n 's/^project(buildwarden VERSION \([0-9.]*\).*/\1/p' "$checkout/CMakeLists.txt"; }

# write_manuals DIR DATE: DIR/buildwarden.1, and DIR/buildwarden.yaml.5 of the shipped configuration.
write_manuals() {
  local dir=$1 date=$2 version pages=$checkout/packaging/man
  version=$(program_version)
  sed "s/@DATE@/$date/; s/@VERSION@/$version/" "$pages/buildwarden.1.in" > "$dir/buildwarden.1"
  awk -v version="$version" -v date="$date" -f "$pages/settings.awk" "$checkout/config/buildwarden.yaml" > "$dir/buildwarden.yaml.5"
}
