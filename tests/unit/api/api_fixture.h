// A real API on a real unix socket and a real TCP port, over rooms that a test sets by hand.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_future.hpp>
#include <deque>
#include <filesystem>
#include <future>
#include <string>
#include <thread>

#include "daemon/api/api.h"
#include "tests/support/fake_clock.h"
#include "tests/unit/api/raw_client.h"

namespace buildwarden::api {

struct FakeViews : ports::DiskViews,
                   ports::BuilderViews,
                   ports::JobViews,
                   ports::PrefetchViews,
                   ports::EmulatorViews,
                   ports::Platforms,
                   ports::EngineState,
                   ports::ConfigViews,
                   ports::TerminationViews,
                   ports::SavingsViews {
  ports::DiskView disk;
  ports::BuildersView builders;
  ports::JobsView jobs;
  ports::PrefetchView prefetch;
  ports::EmulatorsView emulators;
  int verified = 0;
  ports::EngineStatus engine;
  ports::ConfigView config;
  ports::TerminationView termination;
  ports::SavingsView savings;
  [[nodiscard]] ports::SavingsView savings_view() const override { return savings; }
  [[nodiscard]] ports::TerminationView termination_view() const override { return termination; }
  [[nodiscard]] ports::DiskView disk_view() const override { return disk; }
  [[nodiscard]] ports::BuildersView builders_view() const override { return builders; }
  [[nodiscard]] ports::JobsView jobs_view() const override { return jobs; }
  [[nodiscard]] ports::PrefetchView prefetch_view() const override { return prefetch; }
  [[nodiscard]] ports::EmulatorsView emulators_view() const override { return emulators; }
  ports::Async<void> verify() override {
    ++verified;
    co_return Result<void>{};
  }
  boost::asio::awaitable<std::string> await_platforms(std::vector<std::string>) override { co_return ""; }
  [[nodiscard]] ports::EngineStatus status() const override { return engine; }
  [[nodiscard]] ports::ConfigView config_view() const override { return config; }
};

// Answers what the test put there, after the gate was opened if it was closed.
struct FakeAdmissions : ports::JobAdmissions {
  Result<ports::JobAnswer> answer = Error(Errc::kInvalid, "no answer was set");
  Result<void> ended;
  bool closed = false;
  AsyncEvent gate;
  std::optional<ports::JobRequest> asked;
  std::optional<ports::Peer> peer;
  std::string touched;
  int cancelled = 0;
  std::size_t starts = 0;

  ports::Async<ports::JobAnswer> start_job(ports::JobRequest request, ports::Peer who,
                                           ports::Progress progress) override {
    ++starts;
    asked = request;
    peer = who;
    progress("making room for " + request.id);
    if (closed) {
      const bool opened = co_await gate.wait(std::chrono::minutes{1});
      if (!opened) ++cancelled;
    }
    co_return answer;
  }
  ports::Async<ports::JobAnswer> renew_job(std::string id, ports::Peer who) override {
    touched = std::move(id);
    peer = std::move(who);
    co_return answer;
  }
  ports::Async<void> end_job(std::string id, ports::Peer who) override {
    touched = std::move(id);
    peer = std::move(who);
    co_return ended;
  }
};

// As FakeAdmissions.
struct FakeSpace : ports::Space {
  Result<ports::SpaceResult> result = ports::SpaceResult{};
  std::optional<ports::SpaceRequest> asked;
  bool closed = false;
  AsyncEvent gate;
  int times = 0;
  ports::Async<ports::SpaceResult> ensure(ports::SpaceRequest request, ports::Progress progress) override {
    ++times;
    asked = request;
    progress("1 image would go");
    if (closed) co_await gate.wait(std::chrono::minutes{1});
    co_return result;
  }
};

struct FakeEndingJobs : ports::EndingJobs {
  Result<ports::RoomAtEnd> room = ports::RoomAtEnd{};
  std::string asked;
  ports::Async<ports::RoomAtEnd> give_up(std::string job) override {
    asked = std::move(job);
    co_return room;
  }
};

struct FakeBuilderControl : ports::BuilderControl {
  Result<ports::Recreated> result = ports::Recreated{};
  std::optional<ports::Recreation> asked;
  ports::Async<ports::Recreated> recreate(ports::Recreation request, ports::Progress progress) override {
    asked = request;
    progress("it is made anew");
    co_return result;
  }
};

struct FakeSeeds : ports::SeedViews, ports::SeedControl {
  ports::SeedsView view;
  Result<ports::SeedDone> result = ports::SeedDone{};
  std::optional<ports::SeedRequest> saved;
  std::optional<ports::SeedRequest> restored;
  [[nodiscard]] ports::SeedsView seeds_view() const override { return view; }
  ports::Async<ports::SeedDone> save_seed(ports::SeedRequest request, ports::Progress) override {
    saved = std::move(request);
    co_return result;
  }
  ports::Async<ports::SeedDone> restore_seed(ports::SeedRequest request, ports::Progress) override {
    restored = std::move(request);
    co_return result;
  }
};

struct FakeEvents : ports::EventSource {
  std::deque<ports::RecordedEvent> ring;
  std::size_t capacity = 100;
  std::uint64_t forgotten = 0;
  std::string failure;
  std::function<void()> listener;
  std::weak_ptr<void> following;

  void record(const std::string& kind, const WallTime& at) {
    ports::RecordedEvent made;
    made.id = last_id() + 1;
    made.at = at;
    made.event.kind = kind;
    made.event.reason = "because of 1";
    made.event.rule = "always";
    made.event.fields = {{"free_bytes", std::int64_t{17}}};
    ring.push_back(made);
    if (ring.size() > capacity) {
      forgotten = ring.front().id;
      ring.pop_front();
    }
    if (!following.expired()) listener();
  }
  [[nodiscard]] std::vector<ports::RecordedEvent> since(std::uint64_t after, std::size_t most) const override {
    std::vector<ports::RecordedEvent> found;
    for (const auto& one : ring) {
      if (one.id > after && found.size() < most) found.push_back(one);
    }
    return found;
  }
  [[nodiscard]] std::uint64_t last_id() const override { return ring.empty() ? 0 : ring.back().id; }
  [[nodiscard]] std::uint64_t forgotten_id() const override { return forgotten; }
  [[nodiscard]] const std::string& error() const override { return failure; }
  std::shared_ptr<void> subscribe(std::function<void()> told) {
    listener = std::move(told);
    auto handle = std::make_shared<int>(0);
    following = handle;
    return handle;
  }
};

struct FakeArchive : ports::EventArchive {
  std::vector<ports::RecordedEvent> kept;
  std::optional<Error> failure;
  int asked = 0;
  boost::asio::awaitable<Result<std::vector<ports::RecordedEvent>>> events_before(std::uint64_t before,
                                                                                  std::size_t most) override {
    ++asked;
    if (failure) co_return *failure;
    std::vector<ports::RecordedEvent> found;
    for (const auto& one : kept) {
      if (one.id < before) found.push_back(one);
    }
    if (found.size() > most) found.erase(found.begin(), found.end() - static_cast<std::ptrdiff_t>(most));
    co_return found;
  }
};

struct FakeOperationStore : ports::OperationStore {
  std::vector<ports::StoredOperation> kept;
  int saves = 0;
  std::vector<ports::StoredOperation> load_operations() override { return kept; }
  Result<void> save_operations(const std::vector<ports::StoredOperation>& operations) override {
    kept = operations;
    ++saves;
    return {};
  }
};

class ApiTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = std::filesystem::temp_directory_path() / "bw-api-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder = pattern;
    context.clock = &clock;
    context.readiness = [this] { return not_ready; };
    context.config_json = [] { return std::string("{\"settings\":[]}"); };
    context.metrics_text = [] { return std::string("buildwarden_up 1\n"); };
    context.config = &views;
    context.engine = &views;
    context.disk = &views;
    context.builders = &views;
    context.builder_control = &builder_control;
    context.seeds = &seeds;
    context.seed_control = &seeds;
    context.jobs = &views;
    context.prefetch = &views;
    context.savings = &views;
    context.emulators = &views;
    context.platforms = &views;
    context.termination = &views;
    context.admissions = &admissions;
    context.space = &space;
    context.ending_jobs = &ending_jobs;
    context.events = &events;
    context.event_archive = &archive;
    context.subscribe = [this](std::function<void()> told) { return events.subscribe(std::move(told)); };
    context.operation_store = &operations;
    context.agent_group = ::getegid();
    context.host_name = "build-7";
    context.allowed_hosts = {"warden.example"};
    context.version = "1.2.3";
  }

  // From here on everything of the daemon belongs to the loop's thread; use on_loop().
  void start() {
    api.emplace(loop.get_executor(), context, limits);
    api->restore();
    const auto opened = api->open_unix(socket(), std::nullopt);
    ASSERT_TRUE(opened.ok()) << opened.error().message();
    const auto got = api->open_tcp("127.0.0.1:0");
    ASSERT_TRUE(got.ok()) << got.error().message();
    port = *got;
    thread = std::thread([this] { loop.run(); });
  }

  void TearDown() override {
    stop();
    std::filesystem::remove_all(folder);
  }

  void stop(Duration patience = std::chrono::seconds{2}) {
    if (!thread.joinable()) return;
    boost::asio::co_spawn(loop, api->stop(patience), boost::asio::use_future).get();
    work.reset();
    thread.join();
    api.reset();
  }

  template <class Work>
  auto on_loop(Work work_to_do) {
    std::packaged_task<decltype(work_to_do())()> task(std::move(work_to_do));
    auto done = task.get_future();
    boost::asio::post(loop, [&task] { task(); });
    return done.get();
  }

  [[nodiscard]] std::string socket() const { return folder + "/run/api.sock"; }
  [[nodiscard]] RawClient unix_client() const { return RawClient::unix_socket(socket()); }
  [[nodiscard]] RawClient tcp_client() const { return RawClient::tcp(port); }

  // One request on a connection of its own.
  [[nodiscard]] Answer get(const std::string& target, const std::string& headers = "") const {
    return ask("GET", target, "", headers);
  }
  Answer ask(const std::string& method, const std::string& target, const std::string& body,
             const std::string& headers = "") const {
    auto client = unix_client();
    client.send(method + " " + target + " HTTP/1.1\r\nHost: localhost\r\n" + headers +
                "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
    return client.read_answer(method == "HEAD");
  }

  boost::asio::io_context loop;
  using WorkGuard = boost::asio::executor_work_guard<boost::asio::io_context::executor_type>;
  std::optional<WorkGuard> work{loop.get_executor()};
  testing::FakeClock clock;
  FakeViews views;
  FakeAdmissions admissions;
  FakeSpace space;
  FakeEndingJobs ending_jobs;
  FakeBuilderControl builder_control;
  FakeSeeds seeds;
  FakeEvents events;
  FakeArchive archive;
  FakeOperationStore operations;
  std::vector<ports::NotReady> not_ready;
  ApiContext context;
  ApiLimits limits;
  std::optional<Api> api;
  std::string folder;
  std::uint16_t port = 0;
  std::thread thread;
};

}  // namespace buildwarden::api
