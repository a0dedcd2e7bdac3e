#include "tests/support/termination_fixture.h"

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iostream>

namespace buildwarden::testing {
namespace {

// The AWS CLI takes a second of a processor for each call, and a termination has many.
constexpr auto kSoon = 3 * kTestPatience;

// `systemctl` as the daemon uses it, for the one unit that there is; anything else is an error.
constexpr const char* kSystemctl = R"(#!/bin/bash
set -euo pipefail
agent=@DIR@/agent
pid=$(cat "$agent/pid" 2>/dev/null || true)
if [[ -z $pid ]] || ! kill -0 "$pid" 2>/dev/null; then pid=0; fi
printf '%s\n' "$*" >> "$agent/systemctl"
case "$1 $2" in
  "show --property=MainPID")
    if [[ $3 == --value ]]; then echo "$pid"; else echo "MainPID=$pid"; fi ;;
  "show --property=ActiveState") cat "$agent/daemon-state" 2>/dev/null || echo active ;;
  "kill --kill-who=main") [[ $pid -ne 0 ]] && kill "-${3#--signal=SIG}" "$pid" ;;
  "start --no-block") [[ $pid -ne 0 ]] || setsid "@DIR@/bin/agent" > /dev/null 2>&1 < /dev/null & ;;
  *) exit 1 ;;
esac
)";

constexpr const char* kAgent = R"(#!/bin/bash
agent=@DIR@/agent
exec > /dev/null 2>&1 < /dev/null
echo started >> "$agent/started"
told=
trap 'echo TERM >> "$agent/TERM"; told=1' TERM
trap 'echo QUIT >> "$agent/QUIT"; exit 1' QUIT
echo $$ > "$agent/pid.new" && mv "$agent/pid.new" "$agent/pid"
until [[ -n $told && ! -e $agent/job ]]; do sleep 0.02; done
)";

std::string placed(std::string text, const std::string& dir) {
  for (auto at = text.find("@DIR@"); at != std::string::npos; at = text.find("@DIR@")) text.replace(at, 5, dir);
  return text;
}

std::string trimmed(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

}  // namespace

void TerminationFixture::SetUp() {
  if (std::getenv("BUILDWARDEN_BIN") == nullptr || ::geteuid() != 0) {  // NOLINT(concurrency-mt-unsafe)
    GTEST_SKIP() << "tests/run sets BUILDWARDEN_BIN, as root";
  }
  char pattern[] = "/tmp/bw.XXXXXX";
  ASSERT_NE(::mkdtemp(pattern), nullptr);
  dir_ = pattern;
  const auto made =
      run_shell("set -e; cd " + dir_ + "; mkdir run state agent bin disk; chmod 755 .; mount -t tmpfs -o size=64M bw " +
                dir_ + "/disk");
  ASSERT_EQ(made.exit_code, 0) << made.out;
  write_programs();
}

void TerminationFixture::TearDown() {
  if (dir_.empty()) return;
  if (HasFailure()) std::cout << "---- daemon.log\n" << read_text(dir_ + "/daemon.log") << "----\n" << intent() << "\n";
  daemon_.reset();
  run_shell("kill -KILL $(cat " + dir_ + "/agent/pid) 2>/dev/null");
  const auto gone = run_shell("umount " + dir_ + "/disk && rm -rf --one-file-system " + dir_);
  EXPECT_EQ(gone.exit_code, 0) << gone.out;
}

void TerminationFixture::write_programs() const {
  std::ofstream(dir_ + "/bin/systemctl") << placed(kSystemctl, dir_);
  std::ofstream(dir_ + "/bin/agent") << placed(kAgent, dir_);
  run_shell("chmod +x " + dir_ + "/bin/*");
}

void TerminationFixture::start(const Options& options) {
  std::ofstream(dir_ + "/daemon.json") << "{\"data-root\": \"" << dir_ << "/disk\"}\n";
  std::ofstream yaml(dir_ + "/buildwarden.yaml");
  yaml << "dry_run: " << (options.dry_run ? "true" : "false") << "\n"
       << "disk: { watch: [ { path: " << dir_ << "/disk, gate: true } ], min_free: 16MiB, min_free_inodes: 10, "
       << "ballast: 0B }\nbuilders: []\nemulation: { platforms: [] }\n"
       << "on_full: { terminate_instance: " << (options.terminate ? "true" : "false") << " }\n"
       << "jobs: { admission_wait: 1s }\n"
       << "agent: { user: \"0\", group: \"0\", unit: agent-of-a-test.service }\n"
       << "instance: { min_uptime: 0s, drain_timeout: " << options.drain_timeout << ", aws_cli: " << options.aws_cli
       << ", endpoint_url: \"" << group_.url() << "\", imds_url: \""
       << (options.imds_url.empty() ? metadata_.url() : options.imds_url) << "\" }\n"
       << "engine: { socket: " << dir_ << "/no-engine.sock }\n"
       << "listen: { socket: " << dir_ << "/run/api.sock, tcp: \"\" }\n"
       << "paths: { run: " << dir_ << "/run, state: " << dir_ << "/state, images: " << dir_
       << "/images, builds: " << dir_ << "/builds, cfn_env: " << dir_ << "/cfn-env, agent_env: " << dir_
       << "/agent-env, daemon_json: " << dir_ << "/daemon.json, docker_binfmt_env: " << dir_
       << "/binfmt.env, stack_log: " << dir_ << "/stack.log }\n";
  yaml.close();
  daemon_ = std::make_unique<BackgroundProcess>(
      std::vector<std::string>{BUILDWARDEN_HASTY, dir_ + "/buildwarden.yaml"}, dir_ + "/daemon.log",
      std::map<std::string, std::string>{{"PATH", dir_ + "/bin:/usr/bin:/bin"}});
  // Well or full; and that it was well is on record.
  const auto sees = [this] {
    const auto level = query("/v1/disk", ".filesystems[0].level");
    return level == "critical" || (level == "ok" && !read_text(dir_ + "/run/disks-once-ok").empty());
  };
  ASSERT_TRUE(eventually(sees, kSoon)) << read_text(dir_ + "/daemon.log");
}

int TerminationFixture::stop() {
  daemon_->send(SIGTERM);
  return daemon_->wait();
}

void TerminationFixture::fill() const { run_shell("head -c 56M /dev/zero > " + dir_ + "/disk/filler"); }
void TerminationFixture::make_room() const { run_shell("rm -f " + dir_ + "/disk/filler"); }

void TerminationFixture::start_agent() const {
  run_shell("setsid " + dir_ + "/bin/agent > /dev/null 2>&1 &");
  ASSERT_TRUE(eventually([this] { return agent_runs(); }, kSoon));
}

bool TerminationFixture::agent_runs() const {
  return run_shell("kill -0 $(cat " + dir_ + "/agent/pid) 2>/dev/null").exit_code == 0;
}

int TerminationFixture::lines(const std::string& name) const {
  const auto text = read_text(dir_ + "/agent/" + name);
  return static_cast<int>(std::count(text.begin(), text.end(), '\n'));
}

int TerminationFixture::signals(const std::string& name) const { return lines(name); }

std::string TerminationFixture::query(const std::string& path, const std::string& filter) const {
  return trimmed(run_shell("curl -s --max-time 120 --unix-socket " + dir_ + "/run/api.sock 'http://localhost" + path +
                           "' | jq -r '" + filter + "'")
                     .out);
}

bool TerminationFixture::becomes(const std::string& wanted) const {
  const bool became = eventually([&] { return state() == wanted; }, kSoon);
  if (!became) std::cout << "it stays " << query("/v1/status", ".termination | tojson") << "\n";
  return became;
}

bool TerminationFixture::becomes_rule(const std::string& wanted) const {
  const bool became = eventually([&] { return rule() == wanted; }, kSoon);
  if (!became) std::cout << "it stays " << query("/v1/status", ".termination | tojson") << "\n";
  return became;
}

CommandResult TerminationFixture::ask_for_job() const {
  return run_shell("curl -s --max-time 120 --unix-socket " + dir_ +
                   "/run/api.sock -d '{\"id\":\"1\"}' 'http://localhost/v1/jobs'");
}

std::string TerminationFixture::reasons(const std::string& kind) const {
  return query("/v1/events?since=0", ".events[] | select(.kind == \"" + kind + "\") | .reason");
}

bool TerminationFixture::intent_has(const std::string& text) const {
  const auto end = std::chrono::steady_clock::now() + kSoon;
  while (intent().find(text) == std::string::npos) {
    if (std::chrono::steady_clock::now() > end) return false;
  }
  return true;
}

}  // namespace buildwarden::testing
