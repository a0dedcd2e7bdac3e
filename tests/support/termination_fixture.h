// A daemon on a small full disk, with an agent of its own, an instance's metadata and an Auto Scaling group.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "tests/support/command.h"
#include "tests/support/fake_aws.h"

namespace buildwarden::testing {

// From the environment: BUILDWARDEN_BIN, and root; else skipped. The program is the hasty one.
class TerminationFixture : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  struct Options {
    bool terminate = true;
    bool dry_run = false;
    std::string aws_cli = "/usr/bin/aws";
    std::string imds_url{};  // "": the stand-in's
    std::string drain_timeout = "0s";
  };
  // Waits until it answers and has seen the disk.
  void start(const Options& options);
  void start() { start(Options{}); }
  void kill() { daemon_.reset(); }
  int stop();

  void fill() const;
  void make_room() const;
  // A process that counts its signals: it ends at SIGTERM once its job is gone, at SIGQUIT at once.
  void start_agent() const;
  void give_job() const { run_shell("touch " + dir_ + "/agent/job"); }
  void end_job() const { run_shell("rm -f " + dir_ + "/agent/job"); }
  [[nodiscard]] int signals(const std::string& name) const;
  [[nodiscard]] int starts() const { return lines("started"); }
  [[nodiscard]] bool agent_runs() const;

  [[nodiscard]] std::string query(const std::string& path, const std::string& filter) const;
  [[nodiscard]] std::string state() const { return query("/v1/status", ".termination.state"); }
  [[nodiscard]] std::string rule() const { return query("/v1/status", ".termination.rule"); }
  [[nodiscard]] bool becomes(const std::string& wanted) const;
  [[nodiscard]] bool becomes_rule(const std::string& wanted) const;
  // Of POST /v1/jobs.
  [[nodiscard]] CommandResult ask_for_job() const;
  [[nodiscard]] std::string reasons(const std::string& kind) const;
  [[nodiscard]] std::string intent() const { return read_text(dir_ + "/run/termination"); }
  // Until the intent has that text, looked at without a pause; false after a while.
  [[nodiscard]] bool intent_has(const std::string& text) const;
  [[nodiscard]] const std::string& dir() const { return dir_; }

  FakeMetadata metadata_;
  FakeGroup group_;

 private:
  [[nodiscard]] int lines(const std::string& name) const;
  void write_programs() const;
  std::string dir_;
  std::unique_ptr<BackgroundProcess> daemon_;
};

}  // namespace buildwarden::testing
