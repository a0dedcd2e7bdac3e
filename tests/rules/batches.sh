# shellcheck shell=bash disable=SC2154 # names of common.sh
# batches.sh - rules that read syntax trees: they judge many files at once, two batches side by side, and remember what was clean.
# Sourced after common.sh by a rule that has a folder $work and a function `complaints FOLDER FILE`, which prints a line for each.

# Files in a batch: more make it no faster, and one batch would keep one processor busy while the other has none.
batch_size=${BUILDWARDEN_BATCH:-12}

# What was clean is remembered by its preprocessed text, so that it holds in another folder, and for other machines that share it.
clean_folder=${XDG_CACHE_HOME:-$HOME/.cache}/buildwarden/clean
kept_days=30

# key_of RULE RULES FOLDER FILE: of all that a verdict depends on: the text with its comments, the flags, the rule, the tool.
key_of() {
  local -a command
  mapfile -t command < <(jq -r --arg file "$4" '.[] | select(.file == $file) | .arguments[]' "$3/compile_commands.json")
  {
    printf '%s\n' "$1" "${command[@]/$3/}"
    dpkg-query -W -f '${Version}\n' clang-tools-19 clang-tidy-19
    cat "$2"
    "${command[@]}" -E -C -o - 2>/dev/null
  } | sed "s|$root/||g; s|$3/||g" | sha256sum | cut -d' ' -f1
}

# each_alone RULE RULES FOLDER FILE: the complaints about the files of a batch that do not compile together, since two of them have a
# name in common: of each by itself. One that does not compile by itself is not understood.
each_alone() {
  local alone=$3/alone/${4##*/} file
  sed 's/^[0-9]* //' "${4%.cpp}.lines" | "$root/tests/rules/batches.py" "$database" "$alone" 1
  jq -r '.[].file' "$alone/compile_commands.json" | while read -r file; do judge "$1" "$2" "$alone" "$file"; done
}

# judge RULE RULES FOLDER FILE: the complaints about one batch; nothing when it was clean before.
judge() {
  local key found
  key=$(key_of "$1" "$2" "$3" "$4")
  if [[ -e $clean_folder/$key ]]; then
    touch "$clean_folder/$key"
    return
  fi
  found=$(complaints "$3" "$4") || true
  if grep -qE '^not understood|clang-diagnostic-error' <<< "$found" && [[ $(wc -l < "${4%.cpp}.lines") -gt 1 ]]; then
    found=$(each_alone "$@")
  fi
  if [[ -n $found ]]; then printf '%s\n' "$found"; else touch "$clean_folder/$key"; fi
}

# judge_batches RULE RULES PATHS [--changed] BUILD: an offence for each complaint about the files of BUILD whose path is like PATHS.
judge_batches() {
  local rule=$1 rules=$2 paths=$3 files folder database
  shift 3
  if [[ $1 == --changed ]]; then
    shift
    "$root/tests/rules/changed" --base
    files=$("$root/tests/rules/changed")
  else
    files=$(sources common config daemon tests)
  fi
  [[ -f $1/compile_commands.json ]] || { printf 'no compile database in %s\n' "$1" >&2; exit 1; }
  database=$1/compile_commands.json
  folder=$work/batches
  mkdir -p "$clean_folder"
  find "$clean_folder" -type f -mtime +"$kept_days" -delete
  { grep -E "$paths" <<< "$files" || true; } | wanted | sed "s|^|$root/|" |
    "$root/tests/rules/batches.py" "$database" "$folder" "$batch_size"
  printf '%d files in %d batches\n' "$(cat "$folder"/*.lines 2>/dev/null | wc -l)" "$(jq length "$folder/compile_commands.json")"
  export -f judge each_alone key_of complaints in_files
  export root clean_folder database
  offences_from < <(jq -r '.[].file' "$folder/compile_commands.json" | xargs -r -d '\n' -P "$(nproc)" -I {} \
    bash -c 'set -uo pipefail; judge "$@"' _ "$rule" "$rules" "$folder" {} | sort -u)
}

# in_files BATCH: the lines of stdin that begin with `BATCH:line`, with the file and line that was put there.
in_files() {
  awk -F: -v batch="$1" -v OFS=: '
    FILENAME != "-" { split($0, at, " "); begins[++files] = at[1]; path[files] = at[2]; next }
    $1 == batch { for (i = files; begins[i] > $2; i--); $2 = $2 - begins[i] + 1; $1 = path[i] }
    { print }' "${1%.cpp}.lines" -
}

# Which of the files of stdin a rule has an interest in; a rule that has none in some defines its own.
wanted() { cat; }
