// Which jobs run, by leases and by a /proc of the test's own (H12: a job that nobody registered).
#include "daemon/jobs/running_jobs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "daemon/policy/leases.h"
#include "tests/support/temp_folder.h"
#include "tests/unit/jobs/jobs_fixture.h"

namespace buildwarden::jobs {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kUnit = "buildkite-agent.service";
constexpr const char* kInUnit = "0::/system.slice/buildkite-agent.service\n";
constexpr uid_t kUser = 2000;

struct FakeProcess {
  pid_t pid = 0;
  pid_t parent = 1;
  std::string program = "bash";
  std::string cgroup = kInUnit;
  std::map<std::string, std::string> env{};
  uid_t uid = kUser;
  char state = 'S';
  std::uint64_t started = 360'000 / 2;  // ticks: half an hour after boot where there are 100 a second
};

class AgentProcessesTest : public ::testing::Test {
 protected:
  AgentProcessesTest() { add({.pid = 10, .program = "buildkite-agent"}); }

  void add(const FakeProcess& process) const {
    const auto base = folder_.path() + "/" + std::to_string(process.pid);
    fs::create_directories(base);
    std::ofstream(base + "/status") << "Name:\t" << process.program << "\nState:\t" << process.state << " (x)\nPPid:\t"
                                    << process.parent << "\nUid:\t" << process.uid << "\t0\t0\t0\n";
    std::ofstream(base + "/stat") << process.pid << " (" << process.program << ") " << process.state << " "
                                  << process.parent << " 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 " << process.started
                                  << " 1 1\n";
    std::ofstream(base + "/cgroup") << process.cgroup;
    std::ofstream environ(base + "/environ");
    environ << "PATH=/bin" << '\0' << "NOT_BUILDKITE_JOB_ID=x" << '\0';
    for (const auto& [name, value] : process.env) environ << name << "=" << value << '\0';
  }
  [[nodiscard]] static std::map<std::string, std::string> job(const std::string& id, const std::string& agent,
                                                              const std::string& checkout = "") {
    std::map<std::string, std::string> env = {{"BUILDKITE_JOB_ID", id}, {"BUILDKITE_AGENT_NAME", agent}};
    if (!checkout.empty()) env["BUILDKITE_BUILD_CHECKOUT_PATH"] = checkout;
    return env;
  }
  [[nodiscard]] Result<std::vector<JobProcess>> look(const AgentOnHost& agent = {kUnit, kUser}) const {
    return agent_processes(agent, testing::FakeClock().now(), folder_.path());
  }
  // "job agent checkout by pid"
  [[nodiscard]] std::vector<std::string> seen(const AgentOnHost& agent = {kUnit, kUser}) const {
    const auto processes = look(agent);
    EXPECT_TRUE(processes) << processes.error().message();
    std::vector<std::string> all;
    for (const auto& one : processes ? *processes : std::vector<JobProcess>{}) {
      all.push_back(one.job + " " + one.agent + " " + one.checkout + " by " + std::to_string(one.pid));
    }
    return all;
  }

  testing::TempFolder folder_;
};

TEST_F(AgentProcessesTest, TheAgentItselfIsNoJob) {
  EXPECT_THAT(seen(), IsEmpty());
  // Whose name may be in its own environment, by the operator's file.
  add({.pid = 10, .program = "buildkite-agent", .env = {{"BUILDKITE_AGENT_NAME", "ci-%spawn"}}});
  EXPECT_THAT(seen(), IsEmpty());
}

TEST_F(AgentProcessesTest, AJobIsToldOnceByItsOldestProcess) {
  add({.pid = 21, .parent = 20, .env = job("J", "ci-1", "/builds/ci-1/acme/web"), .started = 200'000});
  add({.pid = 20, .parent = 10, .program = "buildkite-agent", .env = job("J", "ci-1", "/builds/ci-1/acme/web")});
  add({.pid = 22, .parent = 21, .env = job("J", "ci-1", "/builds/ci-1/acme/web"), .uid = 0, .started = 210'000});
  EXPECT_THAT(seen(), ElementsAre("J ci-1 /builds/ci-1/acme/web by 20"));
  const auto since = look()->front().since;
  const auto ticks = static_cast<std::int64_t>(::sysconf(_SC_CLK_TCK));
  const auto boot = testing::FakeClock().now().wall - std::chrono::hours{1};
  EXPECT_EQ(since, boot + Duration{180'000 * 1000 / ticks});
}

TEST_F(AgentProcessesTest, TheUnitIsFoundInEveryHierarchyAndBelow) {
  for (const std::string cgroup : {"0::/system.slice/buildkite-agent.service/job-1\n",
                                   "12:pids:/x\n1:name=systemd:/a.slice/buildkite-agent.service\n",
                                   "0::/buildkite.slice/buildkite-agent.service"}) {
    add({.pid = 20, .parent = 10, .cgroup = cgroup, .env = job("J", "ci-1"), .uid = 0});
    EXPECT_THAT(seen(), ElementsAre("J ci-1  by 20")) << cgroup;
  }
  for (const std::string cgroup :
       {"0::/system.slice/buildkite-agent.service-not\n", "0::/system.slice/docker.service\n"}) {
    add({.pid = 20, .parent = 10, .cgroup = cgroup, .env = job("J", "ci-1")});
    EXPECT_THAT(seen(), IsEmpty()) << cgroup;
  }
}

TEST_F(AgentProcessesTest, WithoutAUnitItIsTheAgentsUser) {
  const AgentOnHost outside{"", kUser};
  add({.pid = 20, .parent = 10, .cgroup = "0::/\n", .env = job("J", "ci-1")});
  add({.pid = 30, .parent = 10, .cgroup = "0::/\n", .env = job("K", "ci-2"), .uid = 1000});
  EXPECT_THAT(seen(outside), ElementsAre("J ci-1  by 20"));
  EXPECT_THAT(seen({"another.service", kUser}), ElementsAre("J ci-1  by 20")) << "a unit that has no processes";
  EXPECT_THAT(seen({"", std::nullopt}), IsEmpty()) << "no such user";
}

TEST_F(AgentProcessesTest, WhatAJobLeftBehindIsNoJobButAnOrphanedBootstrapIs) {
  add({.pid = 20, .parent = 1, .program = "java", .env = job("J", "ci-1")});
  add({.pid = 21, .parent = 20, .program = "java", .env = job("J", "ci-1")});
  add({.pid = 30, .parent = 10, .env = job("L", "ci-3"), .state = 'Z'});
  EXPECT_THAT(seen(), IsEmpty());
  add({.pid = 40, .parent = 1, .program = "buildkite-agent", .env = job("K", "ci-2")});
  add({.pid = 41, .parent = 40, .env = job("K", "ci-2")});
  EXPECT_THAT(seen(), ElementsAre("K ci-2  by 40"));
}

TEST_F(AgentProcessesTest, AnAgentsNameWithoutAJobCountsBelowTheAgentAlone) {
  add({.pid = 20, .parent = 10, .env = {{"BUILDKITE_AGENT_NAME", "ci-1"}}});
  EXPECT_THAT(seen(), ElementsAre(" ci-1  by 20"));
}

TEST_F(AgentProcessesTest, WhatCannotBeReadIsAnErrorAndWhatIsGoneIsNot) {
  add({.pid = 20, .parent = 10, .env = job("J", "ci-1")});
  fs::remove(folder_.path() + "/20/environ");
  fs::create_directory(folder_.path() + "/20/environ");  // read(2) fails, as with a process that hides it
  EXPECT_THAT(look().error().message(), HasSubstr("process 20"));
  fs::remove_all(folder_.path() + "/20");
  EXPECT_THAT(seen(), IsEmpty());
}

ports::Lease lease(const std::string& id, const std::string& agent, const std::string& checkout) {
  ports::Lease lease;
  lease.id = id;
  lease.agent = agent;
  lease.checkout_path = checkout;
  return lease;
}

std::vector<std::string> told(const std::vector<ports::RunningJob>& jobs) {
  std::vector<std::string> all;
  for (const auto& job : jobs) all.push_back(job.agent + " " + job.checkout + " by " + job.known_by);
  return all;
}

TEST(RunningJobs, LeasesAreCompletedAndWhatHasNoneHasAllOfItsAgent) {
  const std::vector<JobProcess> processes = {
      {20, "J", "ci-1", "/b/1", {}}, {30, "K", "ci-2", "/b/2", {}}, {40, "", "ci-3", "", {}}};
  EXPECT_THAT(
      told(running_jobs({lease("J", "", ""), lease("free", "", "")}, processes, kUnit)),
      ElementsAre("ci-1 /b/1 by lease J", "  by lease free", "ci-1 /b/1 by process 20 of buildkite-agent.service",
                  "ci-2  by process 30 of buildkite-agent.service",
                  "ci-2 /b/2 by process 30 of buildkite-agent.service",
                  "ci-3  by process 40 of buildkite-agent.service"));
  EXPECT_THAT(told(running_jobs({lease("J", "ci-1", "/elsewhere")}, {processes.front()}, "")),
              ElementsAre("ci-1 /elsewhere by lease J", "ci-1 /b/1 by process 20"));
}

TEST_F(JobsTest, TheEvidenceLooksAtLeasesAndProcesses) {
  WorkerPool workers(1);
  auto job = request("1");
  job.agent = "ci-1";
  job.checkout_path = "/b/1";
  ASSERT_TRUE(start(job, peer(::getuid())));
  const testing::TempFolder empty;
  RunningJobs running_jobs({registry(), workers, clock_, [] { return AgentOnHost{}; }, empty.path()});
  const auto running = testing::run_on(loop_, running_jobs.running());
  ASSERT_TRUE(running);
  EXPECT_THAT(told(*running), ElementsAre("ci-1 /b/1 by lease 1"));
  RunningJobs blind({registry(), workers, clock_, [] { return AgentOnHost{}; }, empty.path() + "/nothing"});
  EXPECT_FALSE(testing::run_on(loop_, blind.running())) << "then everything is in use";
}

// Issue 14: one lease without a process kept every checkout for a week.
TEST_F(JobsTest, ALeaseWithoutAProcessKeepsItsCheckoutForABoundedTime) {
  WorkerPool workers(1);
  auto job = request("1");
  job.checkout_path = "/b/1";
  ASSERT_TRUE(start(job, peer(2000)));
  const testing::TempFolder empty;
  RunningJobs running_jobs({registry(), workers, clock_, [] { return AgentOnHost{}; }, empty.path()});
  clock_.advance(policy::kProtectsUnproven - Duration{1});
  EXPECT_EQ(testing::run_on(loop_, running_jobs.running())->size(), 1U);
  clock_.advance(Duration{1});
  EXPECT_THAT(*testing::run_on(loop_, running_jobs.running()), IsEmpty());
  ASSERT_TRUE(renew("1", peer(2000)));
  EXPECT_EQ(testing::run_on(loop_, running_jobs.running())->size(), 1U) << "a process of it still runs";
}

TEST_F(JobsTest, TheLastEndOfEachCheckoutIsRemembered) {
  for (const std::string id : {"1", "2", "3"}) {
    auto job = request(id);
    job.checkout_path = id == "3" ? "/b/3" : "/b/1";
    ASSERT_TRUE(start(job, peer(::getuid())));
    clock_.advance(std::chrono::seconds{1});
    if (id == "3") continue;
    EXPECT_TRUE(end(id, peer(::getuid())));
  }
  const auto ended = registry().ended_jobs();
  ASSERT_EQ(ended.size(), 1U) << "one runs, two had the same";
  EXPECT_EQ(ended[0].job, "2");
  EXPECT_EQ(ended[0].checkout, "/b/1");
  EXPECT_EQ(ended[0].ended, clock_.now().wall - std::chrono::seconds{1});
  EXPECT_EQ(ended[0].jobs, 2U);
  EXPECT_EQ(ended[0].first_ended, clock_.now().wall - std::chrono::seconds{2});
}

// The window between the last look and the rename: a job of that agent is not let in meanwhile.
TEST_F(JobsTest, AJobOfAnAgentThatIsHeldWaitsAndIsToCome) {
  AgentLock agent_lock;
  controller_ = std::make_unique<AdmissionController>(
      settings_, registry(), AdmissionPorts{clock_, journal_, handout_, disk_, disk_, &platforms_, &agent_lock});
  auto job = request("1");
  job.agent = "ci.1";
  auto held = agent_lock.hold("ci-1");
  bool ended = false;
  const auto starting = [](AdmissionController* controller, ports::JobRequest wanted, ports::Peer by,
                           bool* done) -> boost::asio::awaitable<void> {
    ports::Progress quiet;
    const auto answer = co_await controller->start_job(std::move(wanted), std::move(by), std::move(quiet));
    *done = answer && answer->admitted;
  };
  testing::Background background(loop_, starting(controller_.get(), job, peer(::getuid()), &ended));
  testing::run_until(loop_, [&] { return agent_lock.to_come().size() == 1; });
  loop_.poll();
  EXPECT_FALSE(ended);
  EXPECT_THAT(known(), IsEmpty());
  EXPECT_EQ(agent_lock.to_come().front().agent, "ci.1");
  held.reset();
  testing::run_until(loop_, [&] { return background.ended(); });
  EXPECT_TRUE(ended);
  EXPECT_THAT(known(), ElementsAre("1"));
  EXPECT_THAT(agent_lock.to_come(), IsEmpty());
}

// There is room for one of both: which one, is decided when they are let in.
TEST_F(JobsTest, TwoThatWereHeldAreNotPromisedTheSameBytes) {
  disk_.set_free(12 * kGiB);
  AgentLock agent_lock;
  controller_ = std::make_unique<AdmissionController>(
      settings_, registry(), AdmissionPorts{clock_, journal_, handout_, disk_, disk_, &platforms_, &agent_lock});
  auto held = agent_lock.hold("ci-1");
  int admitted = 0;
  const auto starting = [](AdmissionController* controller, ports::JobRequest wanted, ports::Peer by,
                           int* count) -> boost::asio::awaitable<void> {
    ports::Progress quiet;
    const auto answer = co_await controller->start_job(std::move(wanted), std::move(by), std::move(quiet));
    if (answer && answer->admitted) ++*count;
  };
  auto job = request("1");
  job.agent = "ci-1";
  job.need_bytes = 10 * kGiB;
  testing::Background one(loop_, starting(controller_.get(), job, peer(::getuid()), &admitted));
  job.id = "2";
  testing::Background other(loop_, starting(controller_.get(), job, peer(::getuid()), &admitted));
  testing::run_until(loop_, [&] { return agent_lock.to_come().size() == 2; });
  loop_.poll();
  EXPECT_THAT(disk_.requests, IsEmpty()) << "each alone has enough";
  held.reset();
  testing::run_until(loop_, [&] { return one.ended() && other.ended(); });
  EXPECT_EQ(admitted, 1);
  ASSERT_EQ(disk_.requests.size(), 1U);
  EXPECT_EQ(disk_.requests[0].free, 20 * kGiB);
}

TEST_F(JobsTest, OtherAgentsJobsAreNotHeldThoseThatSayNothingAre) {
  AgentLock agent_lock;
  const auto held = agent_lock.hold("ci-1");
  controller_ = std::make_unique<AdmissionController>(
      settings_, registry(), AdmissionPorts{clock_, journal_, handout_, disk_, disk_, &platforms_, &agent_lock});
  auto other = request("1");
  other.agent = "ci-2";
  EXPECT_TRUE(start(other, peer(::getuid())));
  bool passed = true;
  const auto passing = [](AgentLock* at, bool* into) -> boost::asio::awaitable<void> { *into = co_await at->pass(""); };
  testing::Background nameless(loop_, passing(&agent_lock, &passed));
  loop_.poll();
  EXPECT_FALSE(nameless.ended());
  nameless.cancel();
  testing::run_until(loop_, [&] { return nameless.ended(); });
  EXPECT_FALSE(passed) << "it gives up when nobody waits for it any more";
}

}  // namespace
}  // namespace buildwarden::jobs
