// A private engine on a bounded disk with the daemon on it, for one test; everything is taken down with it.
// From the environment: BUILDWARDEN_SANDBOX (packaging/sandbox), BUILDWARDEN_LAB, BUILDWARDEN_BIN. Without them:
// skipped. BUILDWARDEN_TEST_BUILDKIT_IMAGE: the builders' image in place of the test builder's, such as
// moby/buildkit:v0.23.2; pulled where it is not in the lab.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "tests/support/command.h"

namespace buildwarden::testing {

class DaemonFixture : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;
  // More words for `packaging/sandbox up`: "--size 4G --engine 20.10 --inodes 20000".
  [[nodiscard]] virtual std::string sandbox_options() const { return ""; }
  // The docker-buildx that jobs find in place of the installed one; "": that one.
  [[nodiscard]] virtual std::string buildx() const { return ""; }

  // The number of the agent's user and group. The daemon looks at all processes of that user on the machine.
  [[nodiscard]] virtual std::string agent() const { return "2000"; }

  // The image that builders are made of.
  [[nodiscard]] static std::string builder_image();
  // Each builder of a YAML list with the image that was asked for, if one was.
  [[nodiscard]] static std::string with_image(const std::string& builders);

  // Where the daemon finds the engine, when not at the sandbox's own socket.
  [[nodiscard]] virtual std::string engine_socket() const { return dir_ + "/docker.sock"; }

  // The YAML of the sandbox; `disk` and `more` are appended to the defaults (later keys of `disk` win).
  struct DaemonOptions {
    std::string watch;  // "": the sandbox's disk, which gates
    std::string disk =
        "min_free: 300MiB, min_free_inodes: 1000, reclaim_below: 15%, reclaim_to: 25%, keep_used_within: 3s, grace: "
        "1s, ballast: 0B";
    std::string builders = "[ { name: s3, aliases: [my-custom-builder] } ]";
    std::string engine;                       // keys of `engine`
    std::string emulation = "platforms: []";  // keys of `emulation`
    std::string more;                         // top-level YAML lines
    bool dry_run = false;
  };
  void start_daemon(const DaemonOptions& options);
  void start_daemon() { start_daemon(DaemonOptions{}); }
  // SIGTERM and wait: its exit code.
  int stop_daemon();
  [[nodiscard]] BackgroundProcess& daemon() { return *daemon_; }

  // curl on the unix socket; the answer's body. `arguments` are curl's.
  [[nodiscard]] std::string api(const std::string& path, const std::string& arguments = "") const;
  [[nodiscard]] int api_status(const std::string& path, const std::string& arguments = "") const;
  // jq -r on an answer.
  [[nodiscard]] std::string query(const std::string& path, const std::string& filter) const;
  [[nodiscard]] bool builder_is_warm() const;
  void wait_until_warm() const;
  // Every event of one kind, one JSON object a line.
  [[nodiscard]] std::string events(const std::string& kind) const;

  // As root with the private engine's DOCKER_HOST.
  [[nodiscard]] CommandResult engine_shell(const std::string& script) const;
  // As the agent's user, in no other group, with an empty DOCKER_CONFIG of its own and no Docker socket; $CONTEXT is a
  // build context that it may read, `buildwarden` is on its PATH. The script's DOCKER_CONFIG is removed afterwards.
  [[nodiscard]] CommandResult job_shell(const std::string& script) const;
  // The same with the engine's socket (a job in group docker), for the documented recipe.
  [[nodiscard]] CommandResult recipe_shell(const std::string& script) const;

  // An image FROM scratch of about `mib` MiB that cannot be compressed.
  void make_image(const std::string& tag, int mib) const;
  [[nodiscard]] std::int64_t free_bytes() const;
  // The answer of a reclaim that wants more than there can be, waited for to its end: all that may go would go.
  [[nodiscard]] std::string reclaim(bool dry_run) const;
  // Until such a reclaim would take what is named so: by then it is older than keep_used_within.
  void wait_until_old(const std::string& name) const;
  // Writes until only `left` bytes are free.
  void fill_disk_until(std::int64_t left) const;

  [[nodiscard]] const std::string& dir() const { return dir_; }
  // packaging/sandbox, to stop and start the engine with.
  [[nodiscard]] const std::string& sandbox() const { return sandbox_; }
  [[nodiscard]] const std::string& lab() const { return lab_; }
  [[nodiscard]] std::string log() const { return read_text(dir_ + "/daemon.log"); }

 private:
  [[nodiscard]] CommandResult as_user(const std::string& groups, const std::string& engine,
                                      const std::string& script) const;
  [[nodiscard]] std::string yaml(const DaemonOptions& options) const;
  void make_context() const;

  std::string dir_;
  std::string sandbox_;
  std::string lab_;
  std::unique_ptr<BackgroundProcess> daemon_;
};

}  // namespace buildwarden::testing
