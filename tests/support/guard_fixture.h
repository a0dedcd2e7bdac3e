// What the tests of the disk guardian share: images and cache of known last use on a private engine, and the journal of
// what was deleted.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/support/daemon_fixture.h"

namespace buildwarden::testing {

inline constexpr std::int64_t kTestMiB = 1'048'576;

// One deletion, or in a dry run what would be one, as the journal tells it.
struct JournalStep {
  std::string rung;
  std::string name;
  std::int64_t freed = 0;
  double age_seconds = 0;
};

class GuardFixture : public DaemonFixture {
 protected:
  [[nodiscard]] std::string api_socket() const { return dir() + "/run/api.sock"; }

  // No builders; things unused for `age` may go, those used within `grace` never.
  [[nodiscard]] static DaemonOptions guard_options(const std::string& age, const std::string& grace,
                                                   int min_free_inodes = 1'000);

  // What jq's `filter` makes of the fields `.kind`, `.reason`, `.fields` of each event since the daemon's last start.
  [[nodiscard]] std::string journal(const std::string& filter) const;
  // The steps of the journal that the disk monitor asked for by itself, oldest first.
  [[nodiscard]] std::vector<JournalStep> steps() const;
  // Those of its last finished climb alone.
  [[nodiscard]] std::vector<JournalStep> last_plan() const;
  // The reasons of every event of one kind, a line each.
  [[nodiscard]] std::string reasons(const std::string& kind) const;

  // A succeeding script on the engine; what it wrote.
  std::string on_engine(const std::string& script) const;
  // Runs a container of it to its end.
  void use(const std::string& image) const { on_engine("docker run --rm --network none " + image + " /busybox true"); }
  // As make_image(), with `files` small files as well.
  void make_image_of_files(const std::string& tag, int files) const;
  // Builds `count` steps into the engine's cache, each a file of `kib`, below one name: built again it is all cached.
  void build_cache(const std::string& name, int count, int kib) const;
  // The build's output says that every step was cached.
  [[nodiscard]] bool is_cached(const std::string& name) const;

  [[nodiscard]] bool has_image(const std::string& tag) const;
  // A command that prints what the engine says of its disk usage.
  [[nodiscard]] std::string disk_usage() const;
  // Every image id and tag, every cache record with its size: what a dry run must not change.
  [[nodiscard]] std::string engine_contents() const;
  [[nodiscard]] int cache_records() const;
  [[nodiscard]] std::int64_t free_inodes() const;

 private:
  [[nodiscard]] CommandResult build(const std::string& name) const;
  // steps(), and after each climb's a step of the rung kEnd.
  [[nodiscard]] std::vector<JournalStep> journal_of_the_watch() const;
};

// Those of one rung, in their order.
std::vector<std::string> names_of(const std::vector<JournalStep>& steps, const std::string& rung);
// "images a:1, images b:1", for messages.
std::string described(const std::vector<JournalStep>& steps);

}  // namespace buildwarden::testing
