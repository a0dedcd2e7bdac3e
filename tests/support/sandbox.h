// A private engine on a bounded disk for one test, without the daemon; everything is taken down with it.
// From the environment: BUILDWARDEN_SANDBOX (packaging/sandbox) and BUILDWARDEN_LAB. Without them: skipped.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "tests/support/command.h"

namespace buildwarden::testing {

class SandboxFixture : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* sandbox = std::getenv("BUILDWARDEN_SANDBOX");  // NOLINT(concurrency-mt-unsafe): tests set no variables
    const char* lab = std::getenv("BUILDWARDEN_LAB");          // NOLINT(concurrency-mt-unsafe)
    if (sandbox == nullptr || lab == nullptr) GTEST_SKIP() << "tests/run sets the sandbox up";
    sandbox_ = sandbox;
    lab_ = lab;
    char pattern[] = "/tmp/bw.XXXXXX";
    ASSERT_NE(::mkdtemp(pattern), nullptr);
    dir_ = pattern;
    run_sandbox("up", "--lab '" + lab_ + "' " + sandbox_options());
  }
  void TearDown() override {
    if (dir_.empty()) return;
    if (HasFailure())
      std::cout << "---- engine.log\n" << run_shell("tail -n 40 " + dir_ + "/engine.log").out << "----\n";
    run_sandbox("down", "");
    run_shell("rm -rf --one-file-system " + dir_);
  }

  // More words for `packaging/sandbox up`: "--engine 20.10".
  [[nodiscard]] virtual std::string sandbox_options() const { return ""; }

  // Ends the engine and starts one on another data root below the disk; "docker" is the first.
  void swap_engine(const std::string& data_root) {
    run_sandbox("engine-stop", "TERM");
    run_sandbox("engine-start", data_root);
  }
  // By SIGKILL, as a crash; containers go on.
  void kill_engine() { run_sandbox("engine-stop", "KILL"); }
  void start_engine() { run_sandbox("engine-start", ""); }

  // As root with the private engine's DOCKER_HOST, an empty DOCKER_CONFIG and $DIR; what it wrote.
  std::string shell(const std::string& script) {
    CommandOptions options;
    options.env = {{"DOCKER_HOST", "unix://" + socket()}, {"DOCKER_CONFIG", dir_ + "/docker-config"}, {"DIR", dir_}};
    const auto result = run_shell("set -euo pipefail; " + script, options);
    EXPECT_EQ(result.exit_code, 0) << script << "\n" << result.out;
    return result.out;
  }
  // An image of one layer with one file; each call another content and id.
  void make_image(const std::string& tag) {
    shell("mkdir -p $DIR/root; head -c 200000 /dev/urandom > $DIR/root/file; tar -C $DIR/root -c . | docker import - " +
          tag);
  }

  [[nodiscard]] std::string socket() const { return dir_ + "/docker.sock"; }
  [[nodiscard]] const std::string& dir() const { return dir_; }
  // The test builder's image as an archive: BuildKit's commands and busybox, moby/buildkit:buildx-stable-1.
  [[nodiscard]] std::string builder_archive() const { return lab_ + "/images/buildkit.tar"; }

 private:
  void run_sandbox(const std::string& command, const std::string& more) {
    const auto result = run_shell("'" + sandbox_ + "' " + command + " " + dir_ + " " + more);
    ASSERT_EQ(result.exit_code, 0) << command << "\n" << result.out;
  }

  std::string sandbox_;
  std::string lab_;
  std::string dir_;
};

}  // namespace buildwarden::testing
