// Several filesystems and several rungs, each with things of 5 GiB that lie on one of them.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/reclaim/reclaimer.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_image_engine.h"
#include "tests/support/fake_journal.h"
#include "tests/support/reclaim.h"
#include "tests/support/run_void.h"

namespace buildwarden::disk {

class Disks final : public ports::FilesystemProbe {
 public:
  ports::FilesystemSnapshot& add(const std::string& device, const std::string& role, Bytes free) {
    auto& disk = all[device];
    disk.device = device;
    disk.mount = "/" + role;
    disk.roles = {role};
    disk.marks.target = 25 * kGiB;
    disk.pressure.level = policy::Level::kLow;
    disk.pressure.reclaim = true;
    disk.reading.emplace();
    disk.reading->total = 100 * kGiB;
    disk.reading->free = free;
    return disk;
  }
  boost::asio::awaitable<std::vector<ports::FilesystemSnapshot>> measure() override {
    std::vector<ports::FilesystemSnapshot> now;
    for (const auto& [device, disk] : all) now.push_back(disk);
    co_return now;
  }
  std::map<std::string, ports::FilesystemSnapshot> all;
};

// Frees the filesystems with its roles; its things are 5 GiB each.
class Shelf final : public ports::Evictor {
 public:
  Shelf(Disks& disks, policy::RungId id, std::vector<std::string> roles)
      : disks_(disks), id_(id), roles_(std::move(roles)) {}
  policy::Candidate& put(const std::string& name, const std::string& device, Duration unused = std::chrono::hours{10}) {
    policy::Candidate candidate;
    candidate.id = candidate.name = name;
    candidate.device = device;
    candidate.size = 5 * kGiB;
    candidate.last_use = {testing::FakeClock{}.now().wall - unused, unused};
    return things.emplace_back(candidate);
  }
  [[nodiscard]] policy::RungId id() const override { return id_; }
  [[nodiscard]] bool frees(const ports::FilesystemSnapshot& filesystem) const override {
    if (only_where_something_is && things.empty()) return false;
    return std::any_of(roles_.begin(), roles_.end(),
                       [&filesystem](const auto& role) { return filesystem.has_role(role); });
  }
  ports::Async<std::vector<policy::Candidate>> list(const policy::RungTurn& turn) override {
    turns.push_back(turn);
    if (failure) co_return *failure;
    co_return things;
  }
  ports::Async<ports::EvictionResult> evict(const policy::Candidate& candidate, const policy::RungTurn&) override {
    return take_named(candidate);
  }
  [[nodiscard]] std::optional<ports::LastResortView> last_resort(
      const ports::FilesystemSnapshot& filesystem) const override {
    if (id_ != policy::RungId::kLastResort) return std::nullopt;
    return ports::LastResortView{"it would go for " + filesystem.device, "rule"};
  }
  std::vector<policy::Candidate> things;
  std::vector<policy::RungTurn> turns;  // that it was asked for
  std::optional<Error> failure;
  bool only_where_something_is = false;     // as the DOCKER_CONFIG folders that jobs left
  std::function<void()> meanwhile = [] {};  // something else happens during a deletion
  std::size_t forgotten = 0;                // times that the list was
  void forget_list() override { ++forgotten; }

 private:
  ports::Async<ports::EvictionResult> take_named(policy::Candidate candidate) {
    for (auto& [device, disk] : disks_.all) {
      const bool there = candidate.device.empty() ? frees(disk) : device == candidate.device;
      if (there && disk.reading) disk.reading->free += candidate.size;
    }
    meanwhile();
    std::erase_if(things, [&candidate](const auto& thing) { return thing.id == candidate.id; });
    ports::EvictionResult taken;
    taken.reported = candidate.size;
    co_return taken;
  }
  Disks& disks_;
  policy::RungId id_;
  std::vector<std::string> roles_;
};

class ReclaimerPlacesTest : public ::testing::Test {
 protected:
  ports::SpaceResult ensure(bool on_request, bool dry_run = false) {
    ports::SpaceRequest request;
    request.wait = std::chrono::minutes{5};
    request.on_request = on_request;
    request.dry_run = dry_run;
    const auto result = testing::run_on(loop_, reclaimer_.ensure(request, {}));
    EXPECT_TRUE(result);
    return result ? *result : ports::SpaceResult{};
  }
  using Names = std::vector<std::string>;

  Settings settings_;
  testing::FakeClock clock_;
  testing::FakeJournal journal_;
  testing::FakeImageEngine engine_;
  boost::asio::io_context loop_;
  Disks disks_;
  Shelf caches_{disks_, policy::RungId::kLeftovers, {"cache_dirs", "builds"}};
  Shelf trash_{disks_, policy::RungId::kLeftovers, {"builds"}};
  Shelf images_{disks_, policy::RungId::kImages, {"data_root"}};
  Shelf last_{disks_, policy::RungId::kLastResort, {}};
  bool gentle_ = false;
  std::string away_;  // why the engine is
  Reclaimer reclaimer_{Reclaimer::Parts{settings_,
                                        clock_,
                                        journal_,
                                        engine_,
                                        disks_,
                                        {&images_, &caches_, &trash_, &last_},
                                        testing::quick_pace(Duration{10}),
                                        [this] { return gentle_; },
                                        {},
                                        nullptr,
                                        [this] { return away_; }}};
};

}  // namespace buildwarden::disk
