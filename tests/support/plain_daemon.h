// The real program on private paths in a folder of its own, without an engine of its own, for one test.
// From the environment: BUILDWARDEN_BIN. Without it: skipped.
#pragma once

#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/command.h"
#include "tests/support/temp_folder.h"

namespace buildwarden::testing {

class PlainDaemonFixture : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* program = std::getenv("BUILDWARDEN_BIN");  // NOLINT(concurrency-mt-unsafe): tests set no variables
    if (program == nullptr) GTEST_SKIP() << "tests/run says where the program is";
    program_ = program;
  }
  void TearDown() override {
    if (HasFailure()) std::cout << "---- daemon.log\n" << log() << "----\n";
  }

  // `engine`: its socket; `more`: further top-level YAML lines, without `disk`.
  void write_yaml(const std::string& engine, const std::string& disk, const std::string& more) const {
    std::string text = "builders: []\nemulation: { platforms: [] }\ndisk: { " + disk + " }\n";
    text += "engine: { socket: " + engine + " }\n";
    text += "paths: { run: " + in("run") + ", state: " + in("state") + ", builds: " + in("agent/builds") +
            ", cfn_env: " + in("agent/cfn-env") + ", agent_env: " + in("agent/env") +
            ", daemon_json: " + in("etc/docker/daemon.json") + ", docker_binfmt_env: " + in("etc/docker-binfmt.env") +
            " }\n";
    replace("buildwarden.yaml", text + more);
  }
  // As editors do: written beside it and renamed.
  void replace(const std::string& name, const std::string& text) const {
    std::ofstream(in(name + ".new")) << text;
    std::filesystem::rename(in(name + ".new"), in(name));
  }

  // `before`: shell text that runs first, in the daemon's process; `program`: what runs that shell.
  void start_daemon(const std::string& before = "", const std::map<std::string, std::string>& env = {},
                    std::vector<std::string> program = {}) {
    program.insert(
        program.end(),
        {"bash", "-c", "set -e\n" + before + "\nexec " + program_ + " serve --config " + in("buildwarden.yaml")});
    daemon_ = std::make_unique<BackgroundProcess>(program, in("daemon.log"), env);
  }
  void wait_until_it_answers() const {
    ASSERT_TRUE(eventually([this] { return status("/healthz") == 200; })) << log();
  }
  // SIGTERM; its exit code, or -1 when it does not end.
  int stop_daemon() {
    daemon_->send(SIGTERM);
    return daemon_->wait();
  }

  [[nodiscard]] std::string api_socket() const { return in("run/api.sock"); }
  [[nodiscard]] std::string get(const std::string& path, const std::string& arguments = "") const {
    return run_shell("curl -s --max-time 120 --unix-socket " + api_socket() + " " + arguments + " 'http://localhost" +
                     path + "'")
        .out;
  }
  [[nodiscard]] int status(const std::string& path) const {
    const auto text = get(path, "-o /dev/null -w '%{http_code}'");
    return text.size() == 3 ? std::stoi(text) : 0;
  }
  // jq -r on an answer.
  [[nodiscard]] std::string query(const std::string& path, const std::string& filter,
                                  const std::string& arguments = "") const {
    auto text = run_shell("curl -s --max-time 120 --unix-socket " + api_socket() + " " + arguments +
                          " 'http://localhost" + path + "' | jq -r '" + filter + "'")
                    .out;
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
  }
  [[nodiscard]] bool becomes(const std::string& path, const std::string& filter, const std::string& wanted) const {
    const auto is = [&] { return query(path, filter) == wanted; };
    const bool became = eventually(is);
    if (!became) std::cout << filter << " stays " << query(path, filter) << ", not " << wanted << "\n";
    return became;
  }
  [[nodiscard]] std::string in(const std::string& name) const { return folder_.path() + "/" + name; }
  [[nodiscard]] std::string log() const { return read_text(in("daemon.log")); }
  [[nodiscard]] BackgroundProcess& daemon() { return *daemon_; }
  [[nodiscard]] bool has_started() const { return daemon_ != nullptr; }

 private:
  TempFolder folder_;
  std::string program_;
  std::unique_ptr<BackgroundProcess> daemon_;
};

}  // namespace buildwarden::testing
