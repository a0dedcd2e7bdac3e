#include "tests/support/bare_daemon.h"

#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iostream>

namespace buildwarden::testing {
namespace {

std::string trimmed(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

}  // namespace

void BareDaemonFixture::SetUp() {
  const char* program = std::getenv("BUILDWARDEN_BIN");  // NOLINT(concurrency-mt-unsafe): tests set no variables
  if (program == nullptr || ::geteuid() != 0) GTEST_SKIP() << "tests/run sets BUILDWARDEN_BIN, as root";
  program_ = program;
  char pattern[] = "/tmp/bw.XXXXXX";
  ASSERT_NE(::mkdtemp(pattern), nullptr);
  dir_ = pattern;
  const auto made = run_shell("set -e; mkdir " + mounts() + " " + dir_ + "/run; mount -t tmpfs bw " + mounts());
  ASSERT_EQ(made.exit_code, 0) << made.out;
}

void BareDaemonFixture::TearDown() {
  if (dir_.empty()) return;
  if (HasFailure()) std::cout << "---- daemon.log\n" << log() << "----\n";
  daemon_.reset();
  const auto gone = run_shell("umount " + mounts() + " && rm -rf --one-file-system " + dir_);
  EXPECT_EQ(gone.exit_code, 0) << gone.out;
}

void BareDaemonFixture::start(const Options& options) {
  std::ofstream(dir_ + "/daemon.json") << "{\"data-root\": \"" << options.data_root << "\"}\n";
  std::ofstream yaml(dir_ + "/buildwarden.yaml");
  if (options.dry_run) yaml << "dry_run: true\n";
  yaml << "disk: { " << options.disk << " }\n"
       << "builders: []\nemulation: { platforms: [] }\nagent: { user: \"" << options.agent << "\", group: \""
       << options.agent << "\", unit: \"\" }\n"
       << "engine: { socket: " << dir_ << "/no-engine.sock }\n"
       << "listen: { socket: " << dir_ << "/run/api.sock, tcp: \"" << options.tcp << "\" }\n"
       << "paths: { run: " << dir_ << "/run, state: " << options.state << ", images: " << dir_
       << "/images, builds: " << (options.builds.empty() ? dir_ + "/builds" : options.builds)
       << ", git_mirrors: " << (options.git_mirrors.empty() ? dir_ + "/git-mirrors" : options.git_mirrors)
       << ", cfn_env: " << dir_ << "/cfn-env, agent_env: " << dir_ << "/agent-env, daemon_json: " << dir_
       << "/daemon.json, docker_binfmt_env: " << dir_ << "/binfmt.env }\n"
       << options.more;
  yaml.close();
  daemon_ = std::make_unique<BackgroundProcess>(
      std::vector<std::string>{program_, "serve", "--config", dir_ + "/buildwarden.yaml"}, dir_ + "/daemon.log",
      options.env);
  const auto answers = [this] { return curl("/healthz", "-f").exit_code == 0; };
  ASSERT_TRUE(eventually(answers)) << log();
}

int BareDaemonFixture::stop() {
  daemon_->send(SIGTERM);
  return daemon_->wait();
}

void BareDaemonFixture::kill() { daemon_.reset(); }

CommandResult BareDaemonFixture::curl(const std::string& path, const std::string& arguments) const {
  return run_shell("curl -sS --max-time 120 --unix-socket " + dir_ + "/run/api.sock " + arguments +
                   " 'http://localhost" + path + "'");
}

std::string BareDaemonFixture::query(const std::string& path, const std::string& filter) const {
  return trimmed(run_shell("curl -s --max-time 120 --unix-socket " + dir_ + "/run/api.sock 'http://localhost" + path +
                           "' | jq -r '" + filter + "'")
                     .out);
}

std::string BareDaemonFixture::of_disk(const std::string& mount, const std::string& filter) const {
  return query("/v1/disk", ".filesystems[] | select(.mount == \"" + mount + "\") | " + filter);
}

bool BareDaemonFixture::shows(const std::string& mount, const std::string& filter, const std::string& value) const {
  return of_disk(mount, filter) == value;
}

std::string BareDaemonFixture::last_event(const std::string& kind) const {
  return query("/v1/events?since=0", "[.events[] | select(.kind == \"" + kind + "\")] | last // \"\" | tojson");
}

int BareDaemonFixture::events(const std::string& kind) const {
  const auto count = query("/v1/events?since=0", "[.events[] | select(.kind == \"" + kind + "\")] | length");
  return count.empty() ? -1 : std::stoi(count);
}

}  // namespace buildwarden::testing
