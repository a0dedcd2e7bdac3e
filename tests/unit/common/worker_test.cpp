#include "common/worker.h"

#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/this_coro.hpp>
#include <future>
#include <stdexcept>
#include <thread>
#include <vector>

namespace buildwarden {
namespace {

namespace asio = boost::asio;
using std::chrono::seconds;

asio::awaitable<void> run_into(WorkerPool* pool, std::function<void()> work, Duration deadline,
                               std::optional<Result<void>>* slot, std::thread::id* resumed_on) {
  auto result = co_await pool->run(std::move(work), deadline);
  *resumed_on = std::this_thread::get_id();
  slot->emplace(std::move(result));
}

asio::awaitable<void> compute_into(WorkerPool* pool, std::function<Result<std::string>()> work,
                                   std::optional<Result<std::string>>* slot) {
  auto result = co_await pool->compute<std::string>(std::move(work), seconds{60});
  slot->emplace(std::move(result));
}

class Worker : public ::testing::Test {
 protected:
  Result<void> run(std::function<void()> work, Duration deadline = seconds{60}) {
    std::optional<Result<void>> slot;
    asio::co_spawn(loop_, run_into(&pool_, std::move(work), deadline, &slot, &resumed_on_), asio::detached);
    loop_.restart();
    loop_.run();
    return slot ? std::move(*slot) : Result<void>(Error(Errc::kIo, "never resumed"));
  }
  Result<std::string> compute(std::function<Result<std::string>()> work) {
    std::optional<Result<std::string>> slot;
    asio::co_spawn(loop_, compute_into(&pool_, std::move(work), &slot), asio::detached);
    loop_.restart();
    loop_.run();
    return slot ? std::move(*slot) : Result<std::string>(Error(Errc::kIo, "never resumed"));
  }

  asio::io_context loop_{1};
  WorkerPool pool_{1};
  std::thread::id resumed_on_;
};

TEST_F(Worker, WorksElsewhereAndComesBack) {
  std::thread::id worked_on;
  EXPECT_TRUE(run([&] { worked_on = std::this_thread::get_id(); }));
  EXPECT_NE(worked_on, std::this_thread::get_id());
  EXPECT_EQ(resumed_on_, std::this_thread::get_id());
}

TEST_F(Worker, GivesTheValueOrTheError) {
  EXPECT_EQ(*compute([] { return Result<std::string>("value"); }), "value");
  const auto failed = compute([]() -> Result<std::string> { return Error(Errc::kConflict, "busy"); });
  EXPECT_EQ(failed.error().code(), Errc::kConflict);
}

TEST_F(Worker, WhatIsThrownIsAnError) {
  const auto thrown = compute([]() -> Result<std::string> { throw std::runtime_error("broken"); });
  ASSERT_FALSE(thrown.ok());
  EXPECT_EQ(thrown.error().code(), Errc::kIo);
  EXPECT_EQ(thrown.error().message(), "broken");
}

TEST_F(Worker, PastTheDeadlineTheCallerGoesOnAndTheWorkEndsLater) {
  std::promise<void> go_on;
  auto ended = std::make_shared<std::promise<void>>();
  auto gate = go_on.get_future().share();
  const auto late = run(
      [gate, ended] {
        gate.wait();
        ended->set_value();
      },
      Duration{1});
  ASSERT_FALSE(late.ok());
  EXPECT_EQ(late.error().code(), Errc::kTimeout);
  go_on.set_value();
  ended->get_future().wait();
  loop_.restart();
  loop_.poll();  // the late notice finds nobody waiting, and does no harm
}

TEST_F(Worker, OneThreadKeepsTheOrder) {
  std::vector<int> order;  // only the one worker touches it until it is joined
  for (int i = 0; i < 100; ++i) pool_.post([&order, i] { order.push_back(i); });
  EXPECT_TRUE(run([&order] { order.push_back(100); }));
  ASSERT_EQ(order.size(), 101U);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
}

TEST(WorkerPoolEnd, JoinsItsWork) {
  std::atomic<bool> done = false;
  {
    WorkerPool pool(2);
    pool.post([&done] { done = true; });
  }
  EXPECT_TRUE(done);
}

TEST_F(Worker, ACancelledCallerGoesOnAtOnce) {
  std::promise<void> go_on;
  auto gate = go_on.get_future().share();
  std::optional<Result<void>> slot;
  asio::cancellation_signal signal;
  std::function<void()> work = [gate] { gate.wait(); };
  asio::co_spawn(loop_, run_into(&pool_, std::move(work), seconds{60}, &slot, &resumed_on_),
                 asio::bind_cancellation_slot(signal.slot(), asio::detached));
  loop_.poll();
  EXPECT_FALSE(slot.has_value());
  signal.emit(asio::cancellation_type::terminal);
  loop_.restart();
  loop_.poll();
  ASSERT_TRUE(slot.has_value()) << "it hangs on the work";
  EXPECT_FALSE(slot->ok());
  go_on.set_value();
}

// The thread is held up while it lets go of the work, until the loop is gone.
TEST(WorkerPool, KeepsNothingOfALoopThatHasItsAnswer) {
  std::promise<void> loop_is_gone;
  auto gate = loop_is_gone.get_future().share();
  WorkerPool pool(1);
  std::optional<Result<void>> slot;
  std::thread::id resumed_on;
  {
    asio::io_context loop;
    std::shared_ptr<void> held(nullptr, [gate](void* /*nothing*/) { gate.wait(); });
    std::function<void()> work = [held = std::move(held)] {};
    asio::co_spawn(loop, run_into(&pool, std::move(work), seconds{60}, &slot, &resumed_on), asio::detached);
    loop.run();
  }
  ASSERT_TRUE(slot.has_value());
  EXPECT_TRUE(slot->ok());
  loop_is_gone.set_value();
}

}  // namespace
}  // namespace buildwarden
