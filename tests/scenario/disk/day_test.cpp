// A day of continuous integration in a second: pulls, builds and jobs on a clock that is set forward minute by minute,
// the real ledger, pressure, rungs and reclaimer beside it; and the same day with the rule of the hourly scripts.
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <iostream>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "common/format.h"
#include "daemon/evictors/images.h"
#include "daemon/last_use/last_use_ledger.h"
#include "daemon/policy/pressure.h"
#include "daemon/reclaim/reclaimer.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_image_engine.h"
#include "tests/support/fake_journal.h"
#include "tests/support/run_void.h"

namespace buildwarden::disk {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using testing::run_on;
using testing::run_void;

constexpr Bytes kDisk = 120 * kGiB;
constexpr int kDayMinutes = 24 * 60;

// One job of the day. The same list for whoever keeps the disk.
struct Job {
  int minute = 0;
  int length = 0;  // minutes
  int base = 0;
  int pipeline = 0;
  Bytes built = 0;
};

Bytes base_size(int base) { return (2 + base % 4) * kGiB; }

// Few pipelines are most of the work; nights are quiet.
std::vector<Job> a_day(unsigned seed) {
  std::mt19937 random(seed);
  std::vector<Job> jobs;
  for (int minute = 0; minute < kDayMinutes; ++minute) {
    const int hour = minute / 60;
    const int per_mille = hour >= 8 && hour < 19 ? 450 : 60;
    if (static_cast<int>(random() % 1000) >= per_mille) continue;
    Job job;
    job.minute = minute;
    job.length = 3 + static_cast<int>(random() % 22);
    job.pipeline = std::min(static_cast<int>(random() % 40), static_cast<int>(random() % 40));
    job.base = job.pipeline % 16;
    job.built = (300 + static_cast<Bytes>(random() % 1200)) * kMiB;
    jobs.push_back(job);
  }
  return jobs;
}

struct Day {
  int failed = 0;  // jobs that met a full disk
  int pulled_again = 0;
  Bytes pulled_again_bytes = 0;
  int deleted = 0;
  int deleted_in_use = 0;  // used since the oldest running job began
  int goes = 0;
  Bytes least_free = kDisk;
};

class OneDisk final : public ports::FilesystemProbe {
 public:
  explicit OneDisk(const Settings& settings, const Clock& clock) : clock_(clock) {
    place_.mount = "/docker";
    place_.gate = true;
    place_.device = "8:1";
    place_.roles = {"data_root"};
    place_.keeps = {ports::Kept::kImages, ports::Kept::kVolumes};
    place_.reading.emplace();
    place_.reading->total = kDisk;
    place_.marks = policy::marks_for(settings.disk, *place_.reading, true);
  }
  boost::asio::awaitable<std::vector<ports::FilesystemSnapshot>> measure() override {
    std::vector<ports::FilesystemSnapshot> all;
    place_.reading = reading();
    all.push_back(place_);
    co_return all;
  }
  [[nodiscard]] policy::Reading reading() const {
    policy::Reading now;
    now.total = kDisk;
    now.free = free;
    now.free_to_root = free;
    now.at = clock_.now();
    return now;
  }
  // Whether room is wanted, by the rule that the daemon follows.
  bool wants_room() {
    auto assessed = policy::assess(reading(), place_.marks, std::move(memory_));
    memory_ = std::move(assessed.memory);
    place_.pressure.level = assessed.pressure.level;
    place_.pressure.reclaim = assessed.pressure.reclaim;
    return assessed.pressure.reclaim;
  }
  Bytes free = kDisk - 10 * kGiB;

 private:
  const Clock& clock_;
  ports::FilesystemSnapshot place_;
  policy::PressureMemory memory_;
};

// The host: an engine whose images come and go by jobs. What is deleted, and by which rule, is the heirs' business.
class Host {
 public:
  Host() {
    run_void(loop_, ledger_.connected(engine_.engine.identity, std::nullopt));
    engine_.freed = [this](Bytes bytes) { disk_.free += bytes; };
  }
  virtual ~Host() = default;
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  Day live(const std::vector<Job>& jobs) {
    auto next = jobs.begin();
    for (int minute = 0; minute < kDayMinutes; ++minute) {
      end_jobs(minute);
      keep(minute);
      for (; next != jobs.end() && next->minute == minute; ++next) begin(*next);
      told_.least_free = std::min(told_.least_free, disk_.free);
      clock_.advance(minutes{1});
    }
    return told_;
  }
  [[nodiscard]] std::size_t images() const { return engine_.images.size(); }
  std::size_t rows() {
    run_void(loop_, ledger_.flush(true));
    return store_.rows[ledger_scope(engine_.engine.identity)].size();
  }

 protected:
  // What is done about the disk at that minute.
  virtual void keep(int minute) = 0;
  virtual void before_job() {}

  [[nodiscard]] Duration age_of(const std::string& id) const {
    const auto found = used_.find(id);
    return found == used_.end() ? Duration::max() : Duration(clock_.now().wall - found->second);
  }
  // Of a running job's, by its container or since the oldest of them began.
  [[nodiscard]] bool is_wanted(const std::string& id) const {
    if (std::any_of(running_.begin(), running_.end(), [&](const auto& one) { return one.image == id; })) return true;
    const auto oldest = engine_.in_use_set.oldest_job_start;
    return oldest && age_of(id) <= Duration(clock_.now().wall - *oldest);
  }
  // When it is gone: `image` was there before.
  void count_deletion(const ports::ImageRecord& image) {
    const auto has_id = [&](const auto& one) { return one.id == image.id; };
    if (std::any_of(engine_.images.begin(), engine_.images.end(), has_id)) return;
    ++told_.deleted;
    if (is_wanted(image.id)) ++told_.deleted_in_use;
  }

  [[nodiscard]] bool has(const std::string& tag) const {
    return std::any_of(engine_.images.begin(), engine_.images.end(), [&](const auto& image) {
      return std::find(image.tags.begin(), image.tags.end(), tag) != image.tags.end();
    });
  }
  void use(const std::string& id) {
    used_[id] = clock_.now().wall;
    ledger_.used(id, clock_.now().wall, "job");
  }

  bool add(const std::string& id, const std::string& tag, Bytes size, WallTime built) {
    if (disk_.free < size) return false;
    disk_.free -= size;
    for (auto& image : engine_.images) std::erase(image.tags, tag);
    engine_.add_image(id, {tag}, size);
    engine_.images.back().created = built;
    run_void(loop_, ledger_.seen(engine_.ids()));
    use(id);
    return true;
  }

  void begin(const Job& job) {
    before_job();
    const auto now = clock_.now();
    const auto base = format("base:{}", job.base);
    // A base image was built by somebody else weeks ago.
    if (!has(base)) {
      if (pulled_[job.base]++ > 0) ++told_.pulled_again, told_.pulled_again_bytes += base_size(job.base);
      if (!add(format("sha256:base{}", job.base), base, base_size(job.base), now.wall - hours{24 * 30})) return fail();
    } else {
      use(format("sha256:base{}", job.base));
    }
    const auto id = format("sha256:built{}", ++serial_);
    if (!add(id, format("app{}:latest", job.pipeline), job.built, now.wall)) return fail();
    engine_.add_container(id, id);
    running_.push_back({job.minute + job.length, id, now.wall});
  }
  void fail() { ++told_.failed; }

  void end_jobs(int minute) {
    for (const auto& one : running_) {
      if (one.until > minute) continue;
      use(one.image);
      std::erase_if(engine_.containers, [&](const auto& container) { return container.name == one.image; });
    }
    std::erase_if(running_, [&](const auto& one) { return one.until <= minute; });
    engine_.in_use_set.oldest_job_start.reset();
    for (const auto& one : running_) {
      engine_.in_use_set.oldest_job_start =
          std::min(engine_.in_use_set.oldest_job_start.value_or(one.began), one.began);
    }
  }

  struct Running {
    int until = 0;
    std::string image;
    WallTime began;
  };
  Settings settings_;
  testing::FakeClock clock_;
  testing::FakeLedgerStore store_;
  testing::FakeJournal journal_;
  testing::FakeImageEngine engine_;
  boost::asio::io_context loop_;
  LastUseLedger ledger_{clock_, store_, journal_};
  OneDisk disk_{settings_, clock_};
  std::vector<Running> running_;
  std::map<int, int> pulled_;
  std::map<std::string, WallTime> used_;
  int serial_ = 0;
  Day told_;
};

class WithTheDaemon final : public Host {
 public:
  void keep(int) override {
    if (!disk_.wants_room()) return;
    ++told_.goes;
    DanglingImages dangling(parts());
    UnusedImages unused(parts());
    ReclaimPace pace;
    pace.pause = Duration{0};
    Reclaimer reclaimer({settings_, clock_, journal_, engine_, disk_, {&dangling, &unused}, pace, {}});
    const auto before = engine_.images;
    ports::SpaceRequest request;
    request.wait = minutes{5};
    request.on_request = false;
    const auto result = run_on(loop_, reclaimer.ensure(request, ports::Progress{}));
    ASSERT_TRUE(result);
    for (const auto& image : before) count_deletion(image);
    // A climb that ends early has left nothing that it could have taken.
    EXPECT_TRUE(result->reached || deletable() == 0) << result->reason;
  }

 private:
  ImageInUseCheck::Parts parts() {
    return ImageInUseCheck::Parts{engine_, engine_, engine_, engine_, ledger_, clock_, Duration{0}};
  }
  [[nodiscard]] std::ptrdiff_t deletable() const {
    return std::count_if(engine_.images.begin(), engine_.images.end(),
                         [this](const auto& image) { return !is_wanted(image.id) && age_of(image.id) > hours{4}; });
  }
};

class WithTheScripts final : public Host {
 public:
  void keep(int minute) override {
    if (minute % 60 == 0 && disk_.free < 5 * kGiB) prune();
  }
  void before_job() override {
    if (disk_.free < 5 * kGiB) prune();
  }

 private:
  // `docker image prune --all --filter until=4h`: by build date, whatever no container uses at this moment.
  void prune() {
    ++told_.goes;
    const auto before = clock_.now().wall - hours{4};
    const auto images = engine_.images;
    for (const auto& image : images) {
      const bool used = std::any_of(engine_.containers.begin(), engine_.containers.end(),
                                    [&](const auto& container) { return container.image_id == image.id; });
      if (used || image.created > before) continue;
      disk_.free += image.size;
      std::erase_if(engine_.images, [&](const auto& one) { return one.id == image.id; });
      count_deletion(image);
    }
    run_void(loop_, ledger_.seen(engine_.ids()));
  }
};

std::string described(const char* who, const Day& told) {
  return format(
      "{}: {} of the jobs met a full disk, {} deletions in {} goes, {} of them under a running job, {} images pulled "
      "again ({}), least free {}\n",
      who, told.failed, told.deleted, told.goes, told.deleted_in_use, told.pulled_again,
      format_bytes(told.pulled_again_bytes), format_bytes(told.least_free));
}

class ADay : public ::testing::TestWithParam<unsigned> {};

// Mutation: by build date instead of last use (created in place of the ledger's time) the same images are pulled again
// as by the scripts.
TEST_P(ADay, IsSurvivedWithoutAFullDiskAndWithoutPullingAgainWhatIsUsed) {
  const auto jobs = a_day(GetParam());
  WithTheDaemon ours;
  const auto daemon = ours.live(jobs);
  WithTheScripts theirs;
  const auto scripts = theirs.live(jobs);
  std::cout << jobs.size() << " jobs\n" << described("daemon ", daemon) << described("scripts", scripts);
  EXPECT_EQ(daemon.failed, 0);
  EXPECT_EQ(daemon.deleted_in_use, 0);
  EXPECT_GT(daemon.deleted, 0);
  EXPECT_GT(daemon.least_free, kGiB);
  EXPECT_LT(daemon.pulled_again_bytes, scripts.pulled_again_bytes);
  EXPECT_LE(ours.rows(), ours.images() + 2) << "the ledger keeps what is there, and its own two rows";
}

INSTANTIATE_TEST_SUITE_P(Seeds, ADay, ::testing::Values(1U, 2U, 3U, 4U));

}  // namespace
}  // namespace buildwarden::disk
