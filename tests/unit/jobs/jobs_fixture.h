// A controller over fakes, and processes of the test's own to hang leases on.
#pragma once

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "daemon/jobs/admission_controller.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_disk.h"
#include "tests/support/fake_journal.h"
#include "tests/support/loop.h"
#include "tests/support/run_void.h"

namespace buildwarden::jobs {

class FakeHandout final : public ports::Handout {
 public:
  Result<ports::Grant> grant(const ports::GrantRequest& request) override {
    for (const auto& builder : request.builders) {
      if (builder != "s3" && builder != "arm") return Error(Errc::kInvalid, "builders: no builder " + builder);
    }
    last = request;
    held.insert(request.job);
    ports::Grant grant;
    grant.env["GRANTED"] = request.job;
    grant.note = note;
    return grant;
  }
  boost::asio::awaitable<void> prepare(ports::GrantRequest request) override {
    prepared = request.reuse_context;
    co_return;
  }
  void release(const std::string& job) override { held.erase(job); }

  ports::GrantRequest last;
  std::set<std::string> held;
  std::string note;
  bool prepared = false;  // for a reused context
};

class FakePlatforms final : public ports::Platforms {
 public:
  ports::Async<void> verify() override { co_return Result<void>{}; }
  boost::asio::awaitable<std::string> await_platforms(std::vector<std::string> names) override {
    asked = std::move(names);
    co_return trouble;
  }
  std::vector<std::string> asked;
  std::string trouble;
};

class FakeGate final : public ports::JobGate {
 public:
  [[nodiscard]] std::string refusal() const override { return why; }
  std::string why;
};

class FakeLeaseStore final : public ports::LeaseStore {
 public:
  ports::LeaseBook load_leases() override { return {saved, left}; }
  Result<void> save_leases(const ports::LeaseBook& book) override {
    if (before_saving) before_saving();
    ++saves;
    if (full) return Error(Errc::kIo, "no space");
    saved = book.leases;
    left = book.left_folders;
    return {};
  }

  std::vector<ports::Lease> saved;
  std::vector<ports::JobFolder> left;
  bool full = false;
  std::atomic<int> saves = 0;
  std::function<void()> before_saving;  // on the thread that saves
};

// A process that does nothing until it is killed.
class Child {
 public:
  Child() : pid_(::fork()) {
    if (pid_ != 0) return;
    for (;;) ::pause();
  }
  ~Child() {
    if (pid_ > 0) end();
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  // Dead, but not reaped: what a parent sees that is busy elsewhere.
  void kill() const {
    ::kill(pid_, SIGKILL);
    siginfo_t info{};
    ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT);
  }
  void end() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

 private:
  pid_t pid_;
};

class JobsTest : public ::testing::Test {
 protected:
  ~JobsTest() override {
    if (registry_) registry_->stop();
    loop_.restart();
    loop_.run();
  }

  LeaseRegistry& registry() {
    if (!registry_) {
      registry_ =
          std::make_unique<LeaseRegistry>(loop_.get_executor(), LeaseRegistryPorts{clock_, journal_, store_, handout_});
      registry_->restore();
    }
    return *registry_;
  }
  AdmissionController& controller() {
    if (!controller_) {
      controller_ = std::make_unique<AdmissionController>(
          settings_, registry(),
          AdmissionPorts{clock_, journal_, handout_, disk_, disk_, &platforms_, nullptr, &gate_, &processes_});
    }
    return *controller_;
  }
  void restart() {
    if (registry_) settle();
    controller_.reset();
    registry_.reset();
    handout_.held.clear();
  }
  static ports::Peer peer(uid_t uid) {
    ports::Peer local;
    local.local = true;
    local.uid = uid;
    return local;
  }
  static ports::JobRequest request(const std::string& id) {
    ports::JobRequest job;
    job.id = id;
    return job;
  }
  Result<ports::JobAnswer> start(ports::JobRequest job, const ports::Peer& by) {
    return testing::run_on(loop_, controller().start_job(std::move(job), by, [this](const std::string& line) {
      progress_.push_back(line);
    }));
  }
  Result<ports::JobAnswer> start(const std::string& id) { return start(request(id), peer(::getuid())); }
  Result<ports::JobAnswer> renew(const std::string& id, const ports::Peer& by) {
    return testing::run_on(loop_, controller().renew_job(id, by));
  }
  Result<void> end(const std::string& id, const ports::Peer& by) {
    return testing::run_on(loop_, controller().end_job(id, by));
  }
  // From within something that the loop runs.
  Result<void> end_meanwhile(const std::string& id, const ports::Peer& by) {
    boost::asio::io_context inner;
    return testing::run_on(inner, controller().end_job(id, by));
  }
  // Until what the registry knows is saved.
  void settle() { testing::run_void(loop_, registry().saved()); }
  std::vector<std::string> known() {
    std::vector<std::string> ids;
    for (const auto& lease : registry().leases()) ids.push_back(lease.id);
    return ids;
  }

  boost::asio::io_context loop_;
  testing::FakeClock clock_;
  testing::FakeJournal journal_;
  testing::FakeDisk disk_;
  FakePlatforms platforms_;
  WorkerPool processes_{1};
  FakeGate gate_;
  FakeHandout handout_;
  FakeLeaseStore store_;
  JobSettings settings_;
  std::vector<std::string> progress_;
  std::unique_ptr<LeaseRegistry> registry_;
  std::unique_ptr<AdmissionController> controller_;
};

}  // namespace buildwarden::jobs
