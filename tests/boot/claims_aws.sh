# shellcheck shell=bash disable=SC2154 # names of boot_test
# claims_aws.sh - the last resort from within the unit, which has no network: systemd, the instance's metadata and the real AWS CLI are
# reached all the same. Sourced after claims.sh.

# The computer's own AWS CLI, in the machine's network: the stand-ins listen on its loopback.
lend_aws() {
  inside_bash << 'END'
mkdir -p /host/{dev,etc,proc,tmp}
ln -s usr/bin usr/lib usr/lib64 /host/
mount --bind /dev /host/dev
printf '#!/bin/sh\nexec chroot /host /usr/bin/aws "$@"\n' > /usr/local/bin/aws
chmod 755 /usr/local/bin/aws
END
  nsenter --net="/proc/$(first_process)/ns/net" "$BUILDWARDEN_FAKE_AWS" > "$work/aws" &
  aws_process=$!
  must "the stand-ins listen" wait_for 300 test -s "$work/aws"
}

# An agent as the stack's: its unit terminates the instance whenever it has stopped, and everyone knows what was chosen.
start_agent() {
  local metadata group
  read -r metadata group < "$work/aws"
  inside_bash << END
printf '[Unit]\nDescription=the agent\n[Service]\nUser=buildkite-agent\nExecStart=/bin/sleep infinity\nExecStopPost=/usr/local/bin/terminate-instance\n' \
  > /etc/systemd/system/buildkite-agent.service
systemctl daemon-reload
systemctl start buildkite-agent
cp /etc/buildwarden/buildwarden.yaml /var/tmp/before.yaml
echo 'instance: { min_uptime: 0s, imds_url: "$metadata", endpoint_url: "$group" }' >> /etc/buildwarden/buildwarden.yaml
echo 'set_always "BUILDKITE_TERMINATE_INSTANCE_ON_DISK_FULL" "true"' > /var/lib/buildkite-agent/cfn-env
systemctl restart buildwarden
END
  must "it may terminate" wait_for 300 says 'terminate_instance +true .*cfn-env' buildwarden config check
}

terminates() { says "\"state\": ?\"$1\"" sh -c 'buildwarden status --json | tr -d "\n" | grep -o "\"termination\":.*"'; }

# The random wait before it takes a minute at most.
claim_terminates_through_aws() {
  lend_aws
  start_agent
  must "it is ready" wait_for 300 is_ready
  inside fallocate --length 900M /mnt/ephemeral/full
  must "the instance goes" wait_for 300 terminates "done"
  kill "$aws_process"
  wait "$aws_process"
  must "the group was asked once: $(< "$work/aws")" grep -qE '^Terminating: [0-9]+ described, 1 accepted, 1 smaller' "$work/aws"
  must "the agent has ended" test "$(main_pid_of buildkite-agent)" = 0
  must_not "its unit terminated the instance, too" is_there /var/lib/buildkite-agent/terminated
  must "the stack's log says why" inside grep -q 'is being terminated: ' /var/log/elastic-stack.log
  must_not "a unit of it is left" says 'run-.*\.service' systemctl list-units --all --no-legend 'run-*'
  inside_bash << 'END'
rm /mnt/ephemeral/full /var/lib/buildkite-agent/cfn-env /etc/systemd/system/buildkite-agent.service /run/buildwarden/termination
mv /var/tmp/before.yaml /etc/buildwarden/buildwarden.yaml
systemctl daemon-reload
systemctl restart buildwarden
END
  must "it is ready again" wait_for 300 is_ready
}
