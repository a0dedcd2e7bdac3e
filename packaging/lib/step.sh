# shellcheck shell=bash disable=SC2154 # names of common.sh and tell.sh
# step.sh - commands that take long, for a person who waits: one line each, with how far it is. Sourced after common.sh, processes.sh and
# tell.sh by packaging/try, which gives $dir.

step_pid=
quiet_for=10  # seconds between two lines where a line cannot be written over

# What a person's Ctrl-C sends, which a package manager hears when it has ended what it began; what a shell started in the background
# ignores from its first moment, and all that it starts, too.
end_signal=INT
if ((0x$(sed -n 's/^SigIgn:\t//p' "/proc/$$/status") & 2)); then end_signal=TERM; fi

# step WHAT COMMAND...: its words only if it fails. In a process group of its own, so that an interrupted one can be ended whole, and
# so that a signal is heard at once.
step() {
  local what=$1 result=0 start=${EPOCHREALTIME/[.,]/} told=$SECONDS
  shift
  set -m
  BUILDWARDEN_TALK=yes "$@" > "$dir/step.log" 2>&1 &
  step_pid=$!
  set +m
  while ! is_gone "$step_pid"; do
    show_progress "$what" "$start"
    sleep 0.1
  done
  wait "$step_pid" || result=$?
  step_pid=
  [[ ! -t 1 ]] || printf '\r\e[K'
  if [[ $result -ne 0 ]]; then
    cat "$dir/step.log" >&2
    die "failed: $what"
  fi
  fact "$what" "$(tenths_since "$start") s"
}

# show_progress WHAT START: over the last line on a terminal; elsewhere a line every $quiet_for seconds. Keeps that time in $told.
show_progress() {
  if [[ -t 1 ]]; then
    printf '\r\e[K  %-46s %s' "$1" "$(progress "$2" 28)"
  elif ((SECONDS - told >= quiet_for)); then
    fact "$1" "... $(progress "$2" 60)"
    told=$SECONDS
  fi
}

# progress START WIDTH: the seconds so far, and how far it is: of a build its count alone, else the latest words.
progress() {
  local seconds words
  seconds=$(((${EPOCHREALTIME/[.,]/} - $1) / 1000000))
  words=$(tail -n 1 "$dir/step.log" 2>/dev/null | tr -cd '[:print:]')
  if [[ $words =~ ^\[[0-9]+/[0-9]+\] ]]; then words=${BASH_REMATCH[0]}; fi
  printf '%d s%s' "$seconds" "${words:+  ${words:0:$2}}"
}

tenths_since() { awk -v start="$1" -v now="${EPOCHREALTIME/[.,]/}" 'BEGIN { printf "%.1f", (now - start) / 1000000 }'; }

end_step() {
  [[ -n $step_pid ]] || return 0
  kill -s "$end_signal" -- "-$step_pid" 2>/dev/null || true
  wait_for 300 group_is_gone "$step_pid" || kill -s KILL -- "-$step_pid" 2>/dev/null || true
  wait "$step_pid" 2>/dev/null || true
}

# Zombies do not count: nobody may be there to reap them.
group_is_gone() { ! sed -E 's/^.*\) //' /proc/[0-9]*/stat 2>/dev/null | awk '$1 !~ /[ZX]/ { print $3 }' | grep -xF "$1" > /dev/null; }
