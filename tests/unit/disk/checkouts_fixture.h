// Rung 8 over real folders, with what it asks of others as the test wants it.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/trash.h"
#include "daemon/evictors/checkouts.h"
#include "tests/support/fake_journal.h"
#include "tests/support/later_clock.h"
#include "tests/support/loop.h"
#include "tests/support/temp_folder.h"

namespace buildwarden::disk {

class FakeRunningJobs final : public ports::RunningJobs {
 public:
  ports::Async<std::vector<ports::RunningJob>> running() override {
    ++asked;
    if (unknown) co_return Error(Errc::kDenied, "process 9 cannot be read");
    if (on_second && asked > 1) co_return *on_second;
    co_return jobs;
  }
  std::vector<ports::RunningJob> jobs;
  std::optional<std::vector<ports::RunningJob>> on_second;  // what it says from then on
  bool unknown = false;
  int asked = 0;
};

class FakeEnded final : public ports::EndedJobs {
 public:
  [[nodiscard]] std::vector<ports::EndedJob> ended_jobs() const override { return jobs; }
  std::vector<ports::EndedJob> jobs;
};

class FakeLocks final : public ports::AgentLocks {
 public:
  [[nodiscard]] std::vector<policy::JobToCome> to_come() const override { return coming; }
  [[nodiscard]] std::shared_ptr<void> hold(const std::string& agent_folder) override {
    held.insert(agent_folder);
    ++holds;
    return {&held, [this, agent_folder](void*) { held.erase(agent_folder); }};
  }
  std::vector<policy::JobToCome> coming;
  std::multiset<std::string> held;
  int holds = 0;
};

class PurgeTest : public ::testing::Test {
 protected:
  PurgeTest() {
    root_ = std::filesystem::canonical(folder_.path()).string();
    settings_.paths.builds = root_ + "/builds";
    settings_.on_full.purge_builds = true;
    std::filesystem::create_directories(root_ + "/builds");
    write(root_ + "/outside/precious");
    write(root_ + "/outside/org/pipeline/precious");
  }
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root: it looks at every process";
  }
  static void write(const std::string& path, std::size_t size = 10) {
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream(path) << std::string(size, 'x');
  }
  [[nodiscard]] std::string path(const std::string& name) const { return settings_.paths.builds + "/" + name; }
  void make(const std::string& name) const {
    write(path(name) + "/.git/index");
    write(path(name) + "/src/file", 100'000);
  }
  [[nodiscard]] bool exists(const std::string& name) const {
    return std::filesystem::exists(std::filesystem::symlink_status(path(name)));
  }
  std::vector<policy::Candidate> list() {
    auto listed = testing::run_on(loop_, purge_.list(turn_));
    EXPECT_TRUE(listed) << listed.error().message();
    return listed ? *listed : std::vector<policy::Candidate>{};
  }
  // The names in the order in which they would go.
  std::vector<std::string> order() {
    policy::EvictionRules rules;
    rules.age = rules.grace = std::chrono::minutes{10};
    std::vector<std::string> names;
    for (const auto& one : policy::rank(list(), rules, clock_.now()).order) names.push_back(one.name.substr(9));
    return names;
  }
  ports::EvictionResult evict(const policy::Candidate& candidate) {
    auto taken = testing::run_on(loop_, purge_.evict(candidate, turn_));
    EXPECT_TRUE(taken) << taken.error().message();
    return taken ? *taken : ports::EvictionResult{};
  }
  // Of the only one that there is.
  ports::EvictionResult evict() {
    const auto all = list();
    EXPECT_EQ(all.size(), 1U);
    return all.empty() ? ports::EvictionResult{} : evict(all.front());
  }
  [[nodiscard]] std::vector<std::string> trash() const {
    std::vector<std::string> names;
    std::error_code none;
    for (const auto& entry : std::filesystem::directory_iterator(path(kTrashName), none))
      names.push_back(entry.path().string());
    return names;
  }

  boost::asio::io_context loop_;
  testing::TempFolder folder_;
  std::string root_;
  Settings settings_;
  testing::LaterClock clock_{std::chrono::hours{5}};
  testing::FakeJournal journal_;
  FakeRunningJobs running_;
  FakeEnded ended_;
  FakeLocks locks_;
  WorkerPool workers_{2};
  bool steady_ = true;
  bool short_ = true;
  CheckoutSizes sizes_{{settings_, clock_, [this] { return short_; }}};
  Checkouts purge_{
      {settings_, clock_, workers_, journal_, running_, ended_, locks_, sizes_, [this] { return steady_; }}};
  policy::RungTurn turn_{.rung = policy::RungId::kCheckouts, .pass = 2};
};

}  // namespace buildwarden::disk
