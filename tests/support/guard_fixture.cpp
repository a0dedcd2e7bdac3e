#include "tests/support/guard_fixture.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <sstream>
#include <utility>

namespace buildwarden::testing {
namespace {

constexpr const char* kEnd = "end";  // of a climb, among its steps

}  // namespace

GuardFixture::DaemonOptions GuardFixture::guard_options(const std::string& age, const std::string& grace,
                                                        int min_free_inodes) {
  DaemonOptions options;
  options.disk = "min_free: 300MiB, min_free_inodes: " + std::to_string(min_free_inodes) +
                 ", reclaim_below: 15%, reclaim_to: 25%, keep_used_within: " + age + ", grace: " + grace +
                 ", ballast: 0B, rank_by: last_use, keep: [ \"kept/*\" ]";
  options.builders = "[]";
  options.more = "on_full: { builder_prune: true }\n";
  return options;
}

std::string GuardFixture::journal(const std::string& filter) const {
  const auto last = query("/v1/status", ".last_event_id");
  const auto since = last.empty() ? 0 : std::max(0LL, std::stoll(last) - 900);
  return query("/v1/events?since=" + std::to_string(since),
               ".events | .[(map(.kind == \"daemon.started\") | rindex(true)) // 0:] | .[] | " + filter);
}

std::vector<JournalStep> GuardFixture::steps() const {
  auto steps = journal_of_the_watch();
  std::erase_if(steps, [](const JournalStep& step) { return step.rung == kEnd; });
  return steps;
}

// A dry run changes nothing, so it is made again when the level gets worse, and every minute.
std::vector<JournalStep> GuardFixture::last_plan() const {
  std::vector<JournalStep> plan;
  std::vector<JournalStep> climb;
  for (auto& step : journal_of_the_watch()) {
    if (step.rung == kEnd) {
      plan = std::exchange(climb, {});
    } else {
      climb.push_back(std::move(step));
    }
  }
  return plan;
}

std::vector<JournalStep> GuardFixture::journal_of_the_watch() const {
  std::istringstream lines(journal(
      "select(.fields.on_behalf_of == \"the disk watch\") | "
      "if .kind == \"reclaim.step\" then .fields | [.rung, (.name | gsub(\" \"; \"_\")), .freed_bytes, .age_seconds] "
      "elif .kind == \"reclaim.done\" or .kind == \"reclaim.short\" then [\"end\", \"-\", 0, 0] "
      "else empty end | map(tostring) | join(\" \")"));
  std::vector<JournalStep> steps;
  JournalStep step;
  while (lines >> step.rung >> step.name >> step.freed >> step.age_seconds) steps.push_back(step);
  return steps;
}

std::string GuardFixture::reasons(const std::string& kind) const {
  return journal("select(.kind == \"" + kind + "\") | .reason");
}

std::string GuardFixture::on_engine(const std::string& script) const {
  const auto result = engine_shell(script);
  EXPECT_EQ(result.exit_code, 0) << script << "\n" << result.out;
  return result.out;
}

void GuardFixture::make_image_of_files(const std::string& tag, int files) const {
  on_engine("work=$(mktemp -d " + dir() +
            "/image.XXXXXX); cp \"$(command -v busybox)\" $work/busybox; mkdir $work/f; " + "(cd $work/f; seq " +
            std::to_string(files) + " | xargs touch); echo " + tag + " > $work/name; " +
            "tar -C $work -c . | docker import - " + tag + "; rm -rf $work");
}

void GuardFixture::build_cache(const std::string& name, int count, int kib) const {
  const auto made =
      run_shell("set -e; mkdir -p " + dir() + "/builds/" + name + "; cd " + dir() + "/builds/" + name +
                "; echo FROM scratch > Dockerfile; for i in $(seq " + std::to_string(count) + "); do head -c " +
                std::to_string(kib) + "K /dev/urandom > f$i; echo COPY f$i /f$i >> Dockerfile; done");
  ASSERT_EQ(made.exit_code, 0) << made.out;
  const auto built = build(name);
  ASSERT_EQ(built.exit_code, 0) << built.out;
}

CommandResult GuardFixture::build(const std::string& name) const {
  return engine_shell(
      "docker buildx build --builder default --provenance=false --progress plain --output type=cacheonly " + dir() +
      "/builds/" + name);
}

bool GuardFixture::is_cached(const std::string& name) const {
  const auto built = build(name);
  EXPECT_EQ(built.exit_code, 0) << built.out;
  std::istringstream lines(built.out);
  int copied = 0;
  int cached = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.find("] COPY ") != std::string::npos) ++copied;
    if (line.ends_with(" CACHED")) ++cached;
  }
  return copied > 0 && cached == copied;
}

bool GuardFixture::has_image(const std::string& tag) const {
  return engine_shell("docker image inspect " + tag + " > /dev/null").exit_code == 0;
}

// An engine of 20.10 answers only one such question at a time, the daemon's too: the others get 500.
std::string GuardFixture::disk_usage() const {
  return "curl -fsS --retry 30 --retry-delay 1 --unix-socket " + dir() + "/docker.sock http://engine/v1.41/system/df";
}

std::string GuardFixture::engine_contents() const {
  // A record of a build's context has two ids, and shows the other some time after the build.
  const std::string record = "if .Type == \"source.local\" then .Type else .ID end";
  return on_engine("docker images --all --no-trunc --format '{{.ID}} {{.Repository}}:{{.Tag}}' | sort; " +
                   disk_usage() + " | jq -r '.BuildCache // [] | .[] | \"\\(" + record + ") \\(.Size)\"' | sort");
}

int GuardFixture::cache_records() const {
  return std::stoi(on_engine(disk_usage() + " | jq '.BuildCache // [] | length'"));
}

std::int64_t GuardFixture::free_inodes() const {
  struct statvfs info{};
  return ::statvfs((dir() + "/disk").c_str(), &info) == 0 ? static_cast<std::int64_t>(info.f_favail) : -1;
}

std::vector<std::string> names_of(const std::vector<JournalStep>& steps, const std::string& rung) {
  std::vector<std::string> names;
  for (const auto& step : steps) {
    if (step.rung == rung) names.push_back(step.name);
  }
  return names;
}

std::string described(const std::vector<JournalStep>& steps) {
  std::ostringstream text;
  for (const auto& step : steps) {
    text << "\n  " << step.rung << " " << step.name << ", age " << step.age_seconds << " s, freed " << step.freed;
  }
  return text.str();
}

}  // namespace buildwarden::testing
