// One builder's seed, on a fake engine and with a process that answers as a test says.
#pragma once

#include <gmock/gmock.h>
#include <sys/utsname.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>

#include "daemon/seeds/builder_seed.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_containers.h"
#include "tests/support/fake_journal.h"
#include "tests/support/fixed_worth.h"
#include "tests/support/loop.h"
#include "tests/support/temp_folder.h"

namespace buildwarden::seeds {

struct Surroundings final : ports::BuilderViews, ports::DiskViews, ports::ContainerOutput, ports::NewVolumes {
  ports::BuilderView s3;
  ports::FilesystemSnapshot disk;
  std::vector<std::string> made;
  [[nodiscard]] ports::BuildersView builders_view() const override { return {{s3}}; }
  [[nodiscard]] ports::DiskView disk_view() const override {
    ports::DiskView view;
    view.filesystems = {disk};
    return view;
  }
  ports::Async<ports::ContainerControl::ExecResult> await_container(std::string,
                                                                    ports::ContainerControl::ExecLimits) override {
    ports::ContainerControl::ExecResult result;
    result.output = "buildkitd github.com/moby/buildkit v0.13.1 2\n";
    co_return result;
  }
  ports::Async<void> create_volume(std::string name) override {
    made.push_back(std::move(name));
    co_return Result<void>{};
  }
};

class OneSeed : public ::testing::Test {
 protected:
  OneSeed() {
    std::filesystem::create_directories(volume() + "/_data");
    settings_.seeds.location = "/mnt/seeds";
    settings_.seeds.save = SeedSave::kIdle;
    settings_.seeds.max_size = kGiB;
    engine_.engine.identity.root_dir = folder_.path();
    engine_.engine.since = clock_.now();
    engine_.images[settings_.builders[0].image] = "sha256:1";
    clock_.advance(std::chrono::seconds{5});
    around_.s3.name = "s3";
    around_.s3.container = "buildwarden_s3";
    around_.s3.volume = "buildwarden_s3";
    around_.s3.version = "v0.13.1";
    around_.s3.state = policy::BuilderState::kWarm;
    around_.s3.running_builds = 0;
    around_.disk.keeps = {ports::Kept::kVolumes};
    around_.disk.reading.emplace();
    around_.disk.reading->free = 10 * kGiB;
    around_.disk.reading->total_inodes = 5'000'000;
    around_.disk.reading->free_inodes = 2'000'000;
    around_.disk.marks.target = kGiB;
    around_.disk.marks.target_inodes = 1'000'000;
    around_.disk.pressure.level = policy::Level::kOk;
    manifest_.builder = "s3";
    struct utsname names{};
    static_cast<void>(::uname(&names));
    const std::string machine = names.machine;
    manifest_.architecture = machine == "x86_64" ? "amd64" : machine == "aarch64" ? "arm64" : machine;
    manifest_.buildkit = "v0.12.0";
    manifest_.created_at = clock_.now().wall;
    manifest_.parts = {{"a.tar.zst", 3, std::string(64, 'a')}};
    manifest_.unpacked_bytes = 7;
    manifest_.entries = 7;
  }
  [[nodiscard]] std::string volume() const { return folder_.path() + "/volumes/buildwarden_s3"; }

  SeedParts parts() {
    SeedParts parts{settings_,
                    clock_,
                    journal_,
                    workers_,
                    engine_,
                    engine_,
                    engine_,
                    around_,
                    engine_,
                    around_,
                    around_,
                    around_,
                    [this](std::string) { return forget(); },
                    [this](const std::string& builder) { woken_.push_back(builder); },
                    [](const std::string&) -> Result<int> { return 2; },
                    [](const std::string&, int) {},
                    [this](std::string, Bytes most) { return bring_down(most); },
                    &worth_,
                    [this](const std::vector<std::string>& images) { fetched_ = images; },
                    [this] { return draining_; },
                    [] { return std::string("i-1"); },
                    {}};
    parts.jitter = [](Duration) { return Duration{0}; };
    parts.run = [this](const ProgramCall& call, const std::stop_token& stop) { return work(call, stop); };
    return parts;
  }
  ports::Async<void> forget() { co_return forgotten_; }
  ports::Async<std::string> bring_down(Bytes most) {
    brought_down_to_ = most;
    co_return std::string("7 records were left out");
  }

  // On a worker.
  Result<ProgramEnd> work(const ProgramCall& call, const std::stop_token& stop) {
    const auto order = decode_order(call.input);
    EXPECT_TRUE(order);
    {
      const std::lock_guard lock(mutex_);
      tasks_.push_back(order->task);
      if (order->task == Task::kPublish) published_ = order->manifest;
    }
    boost::asio::post(loop_, [] {});  // who waits for that looks again
    while (order->task == Task::kLook && hold_look_ && !stop.stop_requested()) std::this_thread::yield();
    // It ends well just as it is given up.
    while (order->task == Task::kSave && hold_ && !stop.stop_requested()) std::this_thread::yield();
    Answer answer;
    if (order->task == Task::kLook || order->task == Task::kSave) answer.manifest = manifest_;
    const auto failed = failures_.find(order->task);
    const Result<Answer> said = failed == failures_.end() ? Result<Answer>(answer) : failed->second;
    return ProgramEnd{said ? 0 : 1, 0, encode_answer(said) + "\n", ""};
  }
  [[nodiscard]] std::vector<Task> tasks() {
    const std::lock_guard lock(mutex_);
    return tasks_;
  }
  void add_container() {
    auto& container = engine_.containers["buildwarden_s3"];
    container.seen.state = policy::ContainerState::kRunning;
    container.seen.id = "id";
    container.seen.ours = true;
  }
  Duration turn(BuilderSeed& seed) { return testing::run_on(loop_, seed.turn()); }

  testing::TempFolder folder_;
  boost::asio::io_context loop_;
  WorkerPool workers_{2};
  testing::FakeClock clock_;
  testing::FakeJournal journal_;
  testing::FakeContainers engine_;
  Surroundings around_;
  Settings settings_;
  policy::SeedManifest manifest_;
  std::vector<std::string> woken_;
  Result<void> forgotten_;
  testing::FixedWorth worth_;
  std::vector<std::string> fetched_;
  std::optional<Bytes> brought_down_to_;
  policy::SeedManifest published_;
  bool draining_ = false;
  std::atomic<bool> hold_{false};
  std::atomic<bool> hold_look_{false};
  std::map<Task, Error> failures_;
  std::mutex mutex_;
  std::vector<Task> tasks_;
};

}  // namespace buildwarden::seeds
