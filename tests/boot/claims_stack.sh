# shellcheck shell=bash disable=SC2154 # names of boot_test
# claims_stack.sh - what systemd gives the stack's parts: ExecStopPost with SERVICE_RESULT, and the agent's EnvironmentFile. The drop-in is
# installed. Sourced after claims.sh.

# start_agent_unit LINE...: an agent as the stack's, whose unit terminates the instance whenever it has stopped, with further lines.
start_agent_unit() {
  {
    printf '%s\n' '[Unit]' 'Description=the agent' '[Service]' User=buildkite-agent EnvironmentFile=-/var/lib/buildkite-agent/env \
      'ExecStart=/bin/sleep infinity' ExecStopPost=/usr/local/bin/terminate-instance
    printf '%s\n' "$@"
  } | inside_bash_with 'cat > /etc/systemd/system/buildkite-agent.service; systemctl daemon-reload; systemctl start buildkite-agent'
}
inside_bash_with() { timeout 600 docker exec -i "$machine" bash -euo pipefail -c "$1"; }
stop_agent_unit() {
  inside rm -f /var/lib/buildkite-agent/terminated
  inside systemctl stop buildkite-agent || true
}
was_terminated() { is_there /var/lib/buildkite-agent/terminated; }

# Whatever becomes of our part, an instance whose agent has stopped ends, once, by the stack's script.
claim_ends_with_its_agent() {
  start_agent_unit
  inside rm -f /var/lib/buildkite-agent/terminated
  must_not "a job ends the instance under others" as_agent /usr/local/bin/terminate-instance 2> "$work/refused.log"
  must_not "its script ran" was_terminated
  stop_agent_unit
  must "the instance ends with its agent" was_terminated
  start_agent_unit 'InaccessiblePaths=/run/systemd/private /run/dbus'
  stop_agent_unit
  must "it ends where systemd cannot be asked" was_terminated
  must_not "the unit has failed" inside systemctl is-failed --quiet buildkite-agent
  start_agent_unit
  inside systemctl stop buildwarden.service buildwarden.socket
  inside touch /run/buildwarden/termination
  stop_agent_unit
  must "it ends where the daemon that meant to end it has ended" was_terminated
  inside systemctl start buildwarden.socket buildwarden.service
  must "it is ready again" wait_for 300 is_ready
  start_agent_unit
  inside touch /run/buildwarden/termination
  stop_agent_unit
  must_not "both end it" was_terminated
  inside rm /run/buildwarden/termination
}

# value_in_agent NAME: as systemd read it.
value_in_agent() { inside sh -c "tr '\\0' '\\n' < /proc/$(main_pid_of buildkite-agent)/environ" | sed -n "s/^$1=//p"; }

# What systemd makes of the agent's env file is what counts for us; of both files the one that the stack's hook reads last.
claim_reads_the_env_file_as_systemd() {
  inside_bash_with 'cat > /var/lib/buildkite-agent/env; chown root:root /var/lib/buildkite-agent/env' << 'END'
# a remark
BUILDKITE_PURGE_BUILDS_ON_DISK_FULL="true"
; another one
DOCKER_BUILDER_PRUNE_ENABLED=tr\
ue
export ENABLE_PRE_EXIT_DISK_CLEANUP=true
END
  start_agent_unit
  must "systemd reads a value in quotes" test "$(value_in_agent BUILDKITE_PURGE_BUILDS_ON_DISK_FULL)" = "true"
  must "systemd goes on with the next line" test "$(value_in_agent DOCKER_BUILDER_PRUNE_ENABLED)" = "true"
  must_not "systemd reads an export" test -n "$(value_in_agent ENABLE_PRE_EXIT_DISK_CLEANUP)"
  inside buildwarden config check > "$work/checked" 2>&1 || true
  must "so do we: $(< "$work/checked")" grep -qE '^on_full\.purge_builds +true .*agent-env' "$work/checked"
  must "and so: $(< "$work/checked")" grep -qE '^on_full\.builder_prune +true .*agent-env' "$work/checked"
  must_not "an export counts" grep -qE '^jobs\.check_at_end +true' "$work/checked"
  inside_bash_with 'echo "set_always \"BUILDKITE_PURGE_BUILDS_ON_DISK_FULL\" \"false\"" > /var/lib/buildkite-agent/cfn-env'
  must "set_always beats it" says '^on_full\.purge_builds +false .*cfn-env' buildwarden config check
  stop_agent_unit
  inside_bash_with 'rm /var/lib/buildkite-agent/{env,cfn-env,terminated} /etc/systemd/system/buildkite-agent.service; systemctl daemon-reload'
}
