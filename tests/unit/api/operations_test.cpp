// Operations that outlive the daemon that ran them.
#include <gmock/gmock.h>

#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "tests/unit/api/api_fixture.h"

namespace buildwarden::api {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

class OperationsTest : public ApiTest {
 protected:
  OperationsTest() {
    ports::JobAnswer answer;
    answer.id = "1";
    answer.admitted = true;
    admissions.answer = answer;
    admissions.closed = true;
    context.answer_within = 1ms;
  }
  // A job that has to wait, so that its number is told.
  std::string waiting_job() {
    const auto accepted = ask("POST", "/v1/jobs", R"({"id":"1"})");
    EXPECT_EQ(accepted.status, 202);
    return accepted.text("operation");
  }
  void open_gate() {
    on_loop([this] {
      admissions.closed = false;
      admissions.gate.notify_all();
    });
  }
  // As after a SIGKILL: what was stored last is what the next one finds.
  void restart() {
    auto found = on_loop([this] { return operations.kept; });
    stop(0ms);
    operations.kept = std::move(found);
    clock.advance(2s);
    loop.restart();
    work.emplace(loop.get_executor());
    start();
  }
};

// Issue 14: what one user has waiting kept everybody's from being started.
TEST_F(OperationsTest, EachUserHasAShareAndRootAPart) {
  start();
  const auto start_as = [this](uid_t uid) {
    Request request;
    request.method = "POST";
    request.path = "/v1/jobs";
    request.body = R"({"id":"1"})";
    request.peer.local = true;
    request.peer.uid = uid;
    request.peer.groups = {*context.agent_group};
    return boost::asio::co_spawn(loop, api->handle(request), boost::asio::use_future).get();
  };
  const auto fill = [&](uid_t uid) {
    std::size_t made = 0;
    while (start_as(uid).status == 202) ++made;
    return made;
  };
  const OperationLimits limits;
  const auto& running = limits.running;
  EXPECT_EQ(fill(2000), running.each);
  EXPECT_EQ(fill(2001), running.places - running.each - running.reserved);
  EXPECT_EQ(fill(0), running.reserved);
  const auto refused = start_as(2000);
  EXPECT_EQ(refused.status, 503);
  EXPECT_THAT(refused.body, HasSubstr("too_many_operations"));
  EXPECT_EQ(refused.headers.at(0).first, "Retry-After");
  open_gate();
}

TEST_F(OperationsTest, OneThatRanIsInterruptedAndSaysWhen) {
  start();
  const auto id = waiting_job();
  restart();
  const auto path = "/v1/operations/" + id;
  const auto found = get(path).json();
  EXPECT_EQ(found.at("state").as_string(), "interrupted");
  EXPECT_EQ(found.at("kind").as_string(), "job");
  EXPECT_EQ(found.at("started_at").as_string(), "2026-01-01T00:00:00.000Z");
  EXPECT_EQ(found.at("finished_at").as_string(), "2026-01-01T00:00:02.000Z");
  EXPECT_EQ(found.at("status").as_int64(), 503);
  EXPECT_EQ(found.at("result").at("code").as_string(), "interrupted");
  restart();
  EXPECT_EQ(get(path).json().at("finished_at").as_string(), "2026-01-01T00:00:02.000Z");
  EXPECT_EQ(get(path + "?wait=30").json().at("state").as_string(), "interrupted");  // at once
}

TEST_F(OperationsTest, OneThatFinishedKeepsItsResultForAWhile) {
  start();
  const auto path = "/v1/operations/" + waiting_job();
  open_gate();
  const auto before = get(path + "?wait=30").json();
  ASSERT_EQ(before.at("state").as_string(), "done");
  restart();
  const auto after = get(path).json();
  EXPECT_EQ(after.at("state").as_string(), "done");
  EXPECT_EQ(after.at("status"), before.at("status"));
  EXPECT_EQ(after.at("result"), before.at("result"));
  EXPECT_EQ(after.at("finished_at"), before.at("finished_at"));
  on_loop([this] { clock.advance(16min); });
  EXPECT_EQ(get(path).text("code"), "operation_unknown");
}

boost::asio::awaitable<Response> wait_for_ever(boost::asio::any_io_executor executor) {
  boost::asio::steady_timer timer(executor, 1h);
  co_await timer.async_wait(boost::asio::use_awaitable);
  co_return Response{};
}

TEST_F(OperationsTest, ACleanStopInterruptsToo) {
  Operations running(loop.get_executor(), {clock, operations});
  const auto operation =
      running.start("job", 0, [this](const ports::Progress&) { return wait_for_ever(loop.get_executor()); });
  work.reset();
  boost::asio::co_spawn(loop, running.answer(operation, 1ms), boost::asio::detached);
  loop.run_one_for(1s);
  while (operations.saves == 0) loop.run_one_for(1s);
  EXPECT_FALSE(operations.kept.at(0).finished);
  boost::asio::co_spawn(loop, running.stop(1min), boost::asio::detached);
  loop.run();
  EXPECT_EQ(operation_json(*operation, true).at("state").as_string(), "interrupted");
  ASSERT_EQ(operations.kept.size(), 1U);
  EXPECT_TRUE(operations.kept[0].interrupted);
  EXPECT_TRUE(operations.kept[0].finished);
}

TEST_F(OperationsTest, WhatIsAnsweredAtOnceIsNeverStored) {
  admissions.closed = false;
  context.answer_within = 10s;
  start();
  EXPECT_EQ(ask("POST", "/v1/jobs", R"({"id":"1"})").status, 201);
  stop();
  EXPECT_EQ(operations.saves, 0);
}

TEST_F(OperationsTest, WhatIsStoredIsBounded) {
  limits.operations.stored = 3;
  limits.operations.stored_body = 10;
  start();
  for (int at = 0; at < 5; ++at) waiting_job();
  EXPECT_EQ(on_loop([this] { return operations.kept.size(); }), 5U);  // those that run, all of them
  open_gate();
  const auto finished = [this] {
    return on_loop([this] {
      return operations.kept.size() == 3 && std::all_of(operations.kept.begin(), operations.kept.end(),
                                                        [](const auto& one) { return one.finished.has_value(); });
    });
  };
  while (!finished()) std::this_thread::yield();
  for (const auto& one : operations.kept) EXPECT_EQ(one.body, "");
}

}  // namespace
}  // namespace buildwarden::api
