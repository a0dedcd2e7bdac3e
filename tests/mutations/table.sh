# shellcheck shell=bash
# shellcheck disable=SC2034  # used by those that source it
# table.sh - reads the tables of mutations, tests/mutations/*.txt. Sourced by the runner and by the rule.
#
# A mutation is a block of lines, and an empty line ends it:
#   mutation ID
#   for      what it breaks: "fault …", a hazard "H7 …", or what the code promises
#   tier     unit, scenario or integration: what its tests need
#   file     the one that is changed
#   - TEXT   what is replaced, which the file has exactly once; the lines of a text of several, one after the other
#   + TEXT   what by; none: it is removed. A - after a + begins another replacement in the same file
#   test     TARGET Suite.Name     a test that must fail then; more than one line: each of them
#   test     ctest NAME            the same of a test that is a script
# A line that begins with # is a remark.

ids=()
declare -A subject tier file edits old new tests where  # old and new by ID/1, ID/2 ...

# read_tables FOLDER: fills the arrays above; a line that is none of these is an offence, printed as file:line: why.
read_tables() {
  local table line id='' number word rest at before
  local -i offences=0
  for table in "$1"/*.txt; do
    number=0
    id=''
    while IFS= read -r line || [[ -n $line ]]; do
      number=$((number + 1))
      case $line in
        '#'*) continue ;;
        '') id='' && continue ;;
        mutation\ *)
          id=${line#mutation }
          if [[ -n ${where[$id]-} || ! $id =~ ^[a-z0-9_]+$ ]]; then
            printf 'tests/mutations/%s:%d: %s is there already, or no name\n' "${table##*/}" "$number" "$id"
            offences+=1
          fi
          ids+=("$id")
          where[$id]=tests/mutations/${table##*/}:$number
          edits[$id]=0
          before=''
          continue
          ;;
      esac
      word=${line%% *}
      rest=${line#"$word"}
      case ${id:+$word} in
        for) subject[$id]=${rest##+([ ])} ;;
        tier) tier[$id]=${rest##+([ ])} ;;
        file) file[$id]=${rest##+([ ])} ;;
        test) tests[$id]+=${rest##+([ ])}$'\n' ;;
        -)
          if [[ $before != - ]]; then edits[$id]=$((edits[$id] + 1)); fi
          at=$id/${edits[$id]}
          old[$at]+=${old[$at]+$'\n'}${rest# }
          ;;
        +)
          at=$id/${edits[$id]}
          new[$at]+=${new[$at]+$'\n'}${rest# }
          ;;
        *)
          printf 'tests/mutations/%s:%d: no part of a mutation\n' "${table##*/}" "$number"
          offences+=1
          ;;
      esac
      before=$word
    done < "$table"
  done
  return $((offences > 0))
}
shopt -s extglob

# mutated ID CONTENT: CONTENT with all replacements of ID, and a dot, so that $(...) keeps the last line's end; 1 where one
# does not apply.
mutated() {
  local id=$1 content=$2 without
  local -i at
  for ((at = 1; at <= edits[$id]; at++)); do
    without=${content/"${old[$id/$at]}"/}
    if [[ $without == "$content" || $without == *"${old[$id/$at]}"* ]]; then return 1; fi
    content=${content/"${old[$id/$at]}"/"${new[$id/$at]-}"}
  done
  printf '%s.' "$content"
}
