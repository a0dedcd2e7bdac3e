// The disk guardian judged on real parts: a dozen images and a few hundred cache records of known last use on a full
// ext4, on both engines.
#include <gmock/gmock.h>

#include <algorithm>
#include <chrono>

#include "tests/support/api_poller.h"
#include "tests/support/guard_fixture.h"

namespace buildwarden::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr int kImageMib = 64;
// Least recently used first; none of them was made in this order.
const std::vector<std::string> kByLastUse = {"lru/d:1", "lru/a:1", "lru/g:1",    "two/tags:1", "lru/c:1", "lru/f:1",
                                             "lru/i:1", "lru/j:1", "middle/m:1", "lru/b:1",    "lru/h:1", "lru/e:1"};

class DiskGuard : public GuardFixture, public ::testing::WithParamInterface<const char*> {
 protected:
  [[nodiscard]] std::string sandbox_options() const override { return std::string("--size 3G --engine ") + GetParam(); }
  [[nodiscard]] DaemonOptions options(bool dry_run) const {
    auto options = guard_options(std::to_string(age_) + "s", std::to_string(age_ * 3 / 4) + "s");
    options.dry_run = dry_run;
    // The host's own platform needs no handler, but emulation is wanted, and its image is held.
    options.emulation = "platforms: [linux/amd64], image: \"docker.io/binfmt/x:1\"";
    return options;
  }
  void make_world() const;
  // What must never be taken for old is used again, before a phase whose end is less than `grace` away.
  void touch_young() const {
    use("fresh/x:1");
    on_engine("docker start done");
    ASSERT_TRUE(is_cached("young"));
  }
  // A busy machine takes longer for a phase, as it does for this.
  void measure() {
    const auto begun = std::chrono::steady_clock::now();
    touch_young();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
    age_ = std::max(age_, static_cast<int>(12 * took.count()));
    std::cout << "[ figures  ] what is unused for " << age_ << " s is old\n";
  }
  void wait_for_reclaim() const {
    const auto over = [this] {
      return !reasons("reclaim.done").empty() && query("/v1/disk", ".reclaiming") == "false";
    };
    ASSERT_TRUE(eventually(over)) << api("/v1/events?since=0");
  }
  [[nodiscard]] std::int64_t mark(const std::string& name) const {
    return std::stoll(query("/v1/disk", ".filesystems[0].marks." + name));
  }
  void expect_nothing_in_use_touched() const;
  // GET /v1/disk/plan and GET /v1/disk: what stays, and why; and who has the disk beside images and caches.
  void expect_told_who_has_the_disk() const;
  int age_ = 14;  // keep_used_within in seconds

  // The names in the order of kByLastUse, and none left out before the last.
  static void expect_by_last_use(const std::vector<std::string>& names, std::size_t already_gone);
};

void DiskGuard::make_world() const {
  for (const std::string name : {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"}) {
    make_image("lru/" + name + ":1", kImageMib);
  }
  for (const std::string tag : {"middle/m:1", "two/tags:1", "busy/x:1", "stopped/x:1", "kept/x:1", "fresh/x:1"}) {
    make_image(tag, kImageMib);
  }
  make_image("binfmt/x:1", 1);
  make_image("fresh/x:1", kImageMib);  // the one before is dangling now
  on_engine("docker tag two/tags:1 two/also:1");
  for (const std::string name : {"old1", "old2", "old3", "old4", "old5", "old6"}) build_cache(name, 40, 256);
  build_cache("young", 40, 256);
  on_engine("docker run -d --network none --name holds busy/x:1");
  use("middle/m:1");
  for (const auto& tag : kByLastUse) use(tag);  // the middle again, in its place
  on_engine("docker run --network none --name done stopped/x:1 /busybox true");
  on_engine(
      "docker run --rm --network none -v bulk:/bulk stopped/x:1 /busybox dd if=/dev/zero of=/bulk/file bs=1M count=20");
}

void DiskGuard::expect_told_who_has_the_disk() const {
  const auto rule = [this](const std::string& name) {
    return query("/v1/disk/plan", "[.kept[] | select(.what == \"" + name + "\") | .rule] | first");
  };
  EXPECT_EQ(rule("busy/x:1"), "in_use");
  EXPECT_EQ(rule("binfmt/x:1"), "protected");
  EXPECT_EQ(rule("kept/x:1"), "keep");
  const auto is_told = [this] {
    return query("/v1/disk", "[.filesystems[].users[] | select(.kind == \"volume\" and .name == \"bulk\")] | length") ==
           "1";
  };
  EXPECT_TRUE(eventually(is_told)) << api("/v1/disk");
  const auto shown = run_shell(dir() + "/bin/buildwarden disk --socket " + api_socket());
  EXPECT_EQ(shown.exit_code, 0) << shown.out;
  EXPECT_THAT(shown.out,
              AllOf(HasSubstr("stays: in use by container holds"), HasSubstr("bulk"), HasSubstr("GIVES BACK")));
}

void DiskGuard::expect_nothing_in_use_touched() const {
  for (const std::string tag : {"busy/x:1", "stopped/x:1", "kept/x:1", "fresh/x:1", "binfmt/x:1"}) {
    EXPECT_TRUE(has_image(tag)) << tag;
  }
  EXPECT_EQ(on_engine("docker inspect -f '{{.State.Running}}' holds"), "true\n");
  EXPECT_TRUE(is_cached("young"));
}

void DiskGuard::expect_by_last_use(const std::vector<std::string>& names, std::size_t already_gone) {
  auto expected = kByLastUse;
  expected.erase(expected.begin(), expected.begin() + static_cast<std::ptrdiff_t>(already_gone));
  ASSERT_LE(names.size(), expected.size());
  expected.resize(names.size());
  auto actual = names;
  std::replace(actual.begin(), actual.end(), std::string("two/also:1"), std::string("two/tags:1"));  // one image
  EXPECT_THAT(actual, ElementsAreArray(expected));
}

TEST_P(DiskGuard, ReclaimsByLastUseAsPlannedWhileTheApiAnswers) {
  start_daemon(options(true));
  make_world();
  measure();
  EXPECT_EQ(stop_daemon(), 0) << log();
  start_daemon(options(true));
  wait_until_old(kByLastUse.back());
  EXPECT_GE(cache_records(), 280);

  // Dry run: a plan, and nothing else.
  touch_young();
  fill_disk_until(250 * kTestMiB);
  const auto full = free_bytes();
  const auto before = engine_contents();
  wait_for_reclaim();
  const auto plan = last_plan();
  expect_told_who_has_the_disk();
  EXPECT_EQ(engine_contents(), before);
  EXPECT_NEAR(static_cast<double>(free_bytes()), static_cast<double>(full), 4.0 * kTestMiB);
  EXPECT_FALSE(names_of(plan, "build_cache").empty()) << described(plan);
  expect_by_last_use(names_of(plan, "images"), 0);

  // The same for real, with what the ledger remembers over the restart.
  touch_young();
  EXPECT_EQ(stop_daemon(), 0) << log();
  start_daemon(options(false));
  wait_for_reclaim();
  const auto done = steps();
  const auto freed = free_bytes() - full;
  EXPECT_GE(free_bytes(), mark("target_bytes"));
  for (const std::string rung : {"dangling_images", "build_cache", "images"}) {
    EXPECT_THAT(names_of(done, rung), ElementsAreArray(names_of(plan, rung))) << described(plan) << described(done);
  }
  std::int64_t journalled = 0;
  for (const auto& step : done) journalled += step.freed;
  EXPECT_NEAR(static_cast<double>(journalled), static_cast<double>(freed), 8.0 * kTestMiB) << described(done);
  expect_nothing_in_use_touched();

  // A writer fills what is free, while others ask.
  const auto gone = names_of(done, "images").size();
  touch_young();
  ApiPoller poller(api_socket(), "/v1/status");
  on_engine("for i in $(seq 100); do head -c 4M /dev/zero >> " + dir() + "/disk/writer; done");
  // The forecast may have had the target reached before the writer's last bytes.
  const auto there_is_room = [this] {
    return free_bytes() >= mark("low_bytes") && query("/v1/disk", ".reclaiming") == "false";
  };
  ASSERT_TRUE(eventually(there_is_room)) << api("/v1/events?since=0");
  poller.stop();
  std::cout << "[ figures  ] engine " << GetParam() << ": " << poller.summary() << "\n";
  EXPECT_EQ(poller.failures(), 0);
  EXPECT_GT(poller.answers(), 50U);
  auto later = steps();
  later.erase(later.begin(), later.begin() + static_cast<std::ptrdiff_t>(done.size()));
  EXPECT_FALSE(names_of(later, "images").empty()) << described(later);
  expect_by_last_use(names_of(later, "images"), gone);
  expect_nothing_in_use_touched();
  std::cout << "[ figures  ] engine " << GetParam() << ": " << done.size() + later.size() << " steps, freed "
            << freed / kTestMiB << " MiB as df shows, " << journalled / kTestMiB << " MiB by the journal\n";
}

INSTANTIATE_TEST_SUITE_P(OnEngine, DiskGuard, ::testing::Values("26.1", "20.10"), [](const auto& param) {
  return std::string("Docker") + (std::string(param.param) == "26.1" ? "26" : "20");
});

}  // namespace
}  // namespace buildwarden::testing
