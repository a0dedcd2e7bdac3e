// The rights of the seeds' own process, by what it is to do.
#include "daemon/seeds/helper.h"

#include <gmock/gmock.h>

#include <boost/asio/io_context.hpp>

#include "tests/support/loop.h"

namespace buildwarden::seeds {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

std::vector<std::string> rights(Task task, const std::string& location) {
  Order order;
  order.task = task;
  order.place.location = location;
  order.volume = "/var/lib/docker/volumes/buildwarden_s3";
  return unit_properties(order, std::chrono::minutes{2});
}

TEST(Rights, AreThoseOfTheTask) {
  const auto restore = rights(Task::kRestore, "s3://fleet/seeds");
  EXPECT_THAT(restore, Contains("ReadWritePaths=-/var/lib/docker/volumes/buildwarden_s3"));
  EXPECT_THAT(restore, Contains("RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6"));
  EXPECT_THAT(restore, Contains("RuntimeMaxSec=121")) << "killed with all that it started";
  const auto save = rights(Task::kSave, "/mnt/seeds");
  EXPECT_THAT(save, Contains("ReadWritePaths=-/mnt/seeds"));
  EXPECT_THAT(save, Not(Contains("ReadWritePaths=-/var/lib/docker/volumes/buildwarden_s3")));
  EXPECT_THAT(save, Contains("PrivateNetwork=yes"));
  for (const auto task : {Task::kLook, Task::kMeasure}) {
    EXPECT_THAT(rights(task, "/mnt/seeds"), Not(Contains(HasSubstr("ReadWritePaths"))));
  }
  EXPECT_THAT(rights(Task::kClean, "s3://fleet/seeds"), Contains("PrivateNetwork=yes"));
}

class Helper : public ::testing::Test {
 protected:
  Result<Answer> ask(RunProgram run) {
    SeedCall call;
    call.order.place.location = "s3://fleet/seeds";
    call.patience = std::chrono::seconds{5};
    call.progress = progress_;
    return testing::run_on(loop_, carry_out(workers_, std::move(run), std::move(call)));
  }
  boost::asio::io_context loop_;
  WorkerPool workers_{1};
  std::shared_ptr<ProgressCount> progress_ = std::make_shared<ProgressCount>();
};

TEST_F(Helper, TellsHowFarItIsAndHandsOnTheAnswer) {
  std::string command;
  const auto answer = ask([&](const ProgramCall& call, const std::stop_token&) -> Result<ProgramEnd> {
    for (const auto& word : call.command) command += word + " ";
    const auto order = decode_order(call.input);
    EXPECT_TRUE(order && order->patience < call.deadline && order->patience > Duration{0});
    call.heard("progress 3 9\n");
    Answer done;
    done.bytes = 9;
    return ProgramEnd{0, 0, "progress 3 9\n" + encode_answer(done) + "\n", ""};
  });
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->bytes, 9);
  EXPECT_EQ(progress_->done, 3);
  EXPECT_EQ(progress_->of, 9);
  EXPECT_THAT(command, HasSubstr("work-on-seed"));
  EXPECT_THAT(command, Not(HasSubstr("fleet"))) << "nothing of the order is in the process list";
}

TEST_F(Helper, NothingIsBegunAfterItsTime) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds{20};
  workers_.post([until] {
    while (std::chrono::steady_clock::now() < until) std::this_thread::yield();
  });
  bool began = false;
  SeedCall call;
  call.patience = std::chrono::milliseconds{1};
  call.progress = progress_;
  RunProgram run = [&](const ProgramCall&, const std::stop_token&) -> Result<ProgramEnd> {
    began = true;
    return ProgramEnd{};
  };
  const auto answer = testing::run_on(loop_, carry_out(workers_, std::move(run), std::move(call)));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code(), Errc::kTimeout);
  EXPECT_FALSE(began);
}

TEST_F(Helper, OneThatDiesSaysWhy) {
  const auto answer = ask([](const ProgramCall&, const std::stop_token&) -> Result<ProgramEnd> {
    return ProgramEnd{1, 0, "", "Failed to start transient service unit\n"};
  });
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code(), Errc::kIo);
  EXPECT_EQ(answer.error().message(), "Failed to start transient service unit");
}

}  // namespace
}  // namespace buildwarden::seeds
