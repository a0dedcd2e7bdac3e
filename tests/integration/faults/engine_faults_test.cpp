// A real engine behind a proxy that breaks its answers: whatever the daemon is told, or not told, nothing in use is
// lost, nothing is deleted on broken word, its own API answers, and once the answers are good again all is well by
// itself.
#include <csignal>
#include <iostream>
#include <memory>

#include "tests/support/api_poller.h"
#include "tests/support/fault_proxy.h"
#include "tests/support/guard_fixture.h"

namespace buildwarden::testing {
namespace {

using std::chrono::seconds;

class EngineFaults : public GuardFixture {
 protected:
  void SetUp() override {
    GuardFixture::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    proxy_ = std::make_unique<FaultProxy>(dir() + "/proxy.sock", dir() + "/docker.sock");
    for (const std::string tag : {"used:1", "old:1", "old:2"}) make_image(tag, 2);
    on_engine("docker run -d --name keeper --network none used:1 /busybox sleep 1000");
    start_daemon();
    wait_until_warm();
    ASSERT_TRUE(eventually([this] { return is_whole(); })) << api("/readyz");
  }
  void TearDown() override {
    if (proxy_) stop_daemon();
    proxy_.reset();
    GuardFixture::TearDown();
  }
  [[nodiscard]] std::string engine_socket() const override { return dir() + "/proxy.sock"; }

  [[nodiscard]] bool is_whole() const { return api_status("/readyz") == 200 && builder_is_warm(); }
  [[nodiscard]] bool knows_engine() const { return query("/v1/status", ".engine.up") == "true"; }
  void expect_nothing_lost() const {
    EXPECT_EQ(on_engine("docker inspect -f '{{.State.Running}}' keeper"), "true\n");
    for (const std::string tag : {"used:1", "old:1", "old:2"}) EXPECT_TRUE(has_image(tag)) << tag;
    EXPECT_EQ(on_engine("docker volume ls -q --filter name=buildwarden_s3"), "buildwarden_s3\n");
  }

  std::unique_ptr<FaultProxy> proxy_;
};

// Each call that a plan needs, broken by itself: the plan says so or does without, and no answer takes the daemon down.
TEST_F(EngineFaults, EachCallOfAPlanBrokenInEachWay) {
  ASSERT_NE(reclaim(true).find("steps"), std::string::npos) << reclaim(true);
  std::vector<std::string> plan_calls;
  for (const auto& call : proxy_->calls()) {
    if (call.starts_with("GET /") && call != "GET /events") plan_calls.push_back(call);
  }
  ASSERT_GE(plan_calls.size(), 5U);
  int tried = 0;
  for (const auto fault : {Fault::kReset, Fault::kTruncated, Fault::kError, Fault::kGarbage, Fault::kWrongJson,
                           Fault::kHalfJson, Fault::kEndless}) {
    for (const auto& call : plan_calls) {
      proxy_->set(fault, call);
      const auto answer = reclaim(true);
      EXPECT_TRUE(answer.find("\"steps\"") != std::string::npos || answer.find("\"code\"") != std::string::npos)
          << to_string(fault) << " of " << call << ": " << answer;
      // Who uses them is not known then. Fails when a list that was refused is taken for an empty one.
      if (call == "GET /containers/json") {
        EXPECT_EQ(answer.find("\"rung\":\"images\""), std::string::npos) << to_string(fault) << answer;
      }
      ++tried;
    }
  }
  const int broken = proxy_->broken();
  proxy_->heal();
  std::cout << tried << " plans with one call broken, " << broken << " answers broken, calls: ";
  for (const auto& call : plan_calls) std::cout << call << ", ";
  std::cout << "\n";
  EXPECT_GT(broken, tried / 2);
  ASSERT_TRUE(eventually([this] { return is_whole(); })) << api("/readyz") << log();
  expect_nothing_lost();
  EXPECT_TRUE(daemon().running());
}

// Everything broken at once while somebody asks for room: without the engine's word nothing of it is deleted.
TEST_F(EngineFaults, AllCallsBrokenForAWhile) {
  ApiPoller poller(api_socket(), "/v1/status");
  for (const auto fault : {Fault::kReset, Fault::kTruncated, Fault::kError, Fault::kGarbage, Fault::kWrongJson,
                           Fault::kHalfJson, Fault::kEndless}) {
    proxy_->set(fault);
    proxy_->cut();
    ASSERT_TRUE(eventually([this] { return !knows_engine(); })) << to_string(fault);
    const auto answer = reclaim(false);
    EXPECT_NE(answer.find("\"reached\":false"), std::string::npos) << to_string(fault) << ": " << answer;
    expect_nothing_lost();
    const auto healed_at = std::chrono::steady_clock::now();
    proxy_->heal();
    ASSERT_TRUE(eventually([this] { return is_whole() && knows_engine(); }))
        << to_string(fault) << api("/readyz") << log();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - healed_at;
    std::printf("%-14s whole again %.1f s after the engine was\n", to_string(fault).c_str(), took.count());
  }
  poller.stop();
  std::cout << poller.summary() << "\n";
  EXPECT_EQ(poller.failures(), 0);
}

// An engine that is slow or says nothing holds up nobody but those who need its word.
TEST_F(EngineFaults, ASlowAndASilentEngine) {
  ApiPoller poller(api_socket(), "/v1/status");
  for (const auto fault : {Fault::kLate, Fault::kSilent}) {
    proxy_->set(fault);
    proxy_->cut();
    const auto job =
        job_shell("eval \"$(buildwarden job start --id while-" + std::string(1, "ls"[fault == Fault::kSilent]) +
                  " --use s3)\" && docker build --progress plain \"$DIR/context\"");
    EXPECT_EQ(job.exit_code, 0) << to_string(fault) << job.out;
    proxy_->heal();
    ASSERT_TRUE(eventually([this] { return is_whole() && knows_engine(); }))
        << to_string(fault) << api("/readyz") << log();
    expect_nothing_lost();
  }
  poller.stop();
  std::cout << poller.summary() << "\n";
  EXPECT_EQ(poller.failures(), 0);
}

}  // namespace
}  // namespace buildwarden::testing
