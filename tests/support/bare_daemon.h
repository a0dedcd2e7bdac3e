// The daemon without an engine, watching what a test gives it; for tests about disks. Needs root.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>

#include "tests/support/command.h"

namespace buildwarden::testing {

// From the environment: BUILDWARDEN_BIN. Without it, or without root: skipped.
class BareDaemonFixture : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  // `disk` are the keys of the YAML's disk; `state` and `data_root` must lie on disks of the test: what is watched may
  // get a ballast.
  struct Options {
    std::string disk;
    std::string state;
    std::string data_root;
    bool dry_run = false;
    std::string tcp{};  // listen.tcp
    std::map<std::string, std::string> env{};
    std::string builds{};       // "": a folder that is not there
    std::string git_mirrors{};  // the same
    std::string agent = "0";    // its user and its group
    std::string more{};         // further lines of the YAML
  };
  // Waits until it answers.
  void start(const Options& options);
  // SIGTERM: its exit code, -1 when it does not end.
  int stop();
  // SIGKILL.
  void kill();
  [[nodiscard]] BackgroundProcess& daemon() { return *daemon_; }

  // jq -r on an answer.
  [[nodiscard]] std::string query(const std::string& path, const std::string& filter) const;
  // Of the filesystem mounted on `mount`.
  [[nodiscard]] std::string of_disk(const std::string& mount, const std::string& filter) const;
  [[nodiscard]] bool shows(const std::string& mount, const std::string& filter, const std::string& value) const;
  // The last event of that kind as one JSON object, "" without one.
  [[nodiscard]] std::string last_event(const std::string& kind) const;
  [[nodiscard]] int events(const std::string& kind) const;
  [[nodiscard]] CommandResult curl(const std::string& path, const std::string& arguments) const;

  // On the machine's own disk: images, logs.
  [[nodiscard]] const std::string& dir() const { return dir_; }
  // A tmpfs, for what shall be mounted: no disk of the machine is watched below it.
  [[nodiscard]] std::string mounts() const { return dir_ + "/mounts"; }
  [[nodiscard]] std::string log() const { return read_text(dir_ + "/daemon.log"); }

 private:
  std::string program_;
  std::string dir_;
  std::unique_ptr<BackgroundProcess> daemon_;
};

}  // namespace buildwarden::testing
