#include "daemon/service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <poll.h>

#include <boost/asio/post.hpp>
#include <cstdlib>
#include <string>

#include "tests/support/loop.h"
#include "tests/support/notify_socket.h"

namespace buildwarden {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::StartsWith;

ports::FilesystemSnapshot disk(const std::string& mount, policy::Level level, Bytes free) {
  ports::FilesystemSnapshot view;
  view.mount = mount;
  view.pressure.level = level;
  view.reading = policy::Reading{};
  view.reading->total = 1000;
  view.reading->free = free;
  return view;
}

ports::BuilderView builder(policy::BuilderState state) {
  ports::BuilderView view;
  view.state = state;
  return view;
}

TEST(StatusLine, SaysBuildersAndTheDiskThatIsWorstOff) {
  ports::DiskView disks;
  ports::BuildersView builders;
  EXPECT_EQ(status_line(disks, builders, {}), "no disk measured yet");
  builders.builders = {builder(policy::BuilderState::kWarm), builder(policy::BuilderState::kWarm)};
  disks.filesystems = {disk("/", policy::Level::kOk, 459), disk("/mnt", policy::Level::kOk, 600)};
  EXPECT_EQ(status_line(disks, builders, {}), "2 builders warm, / 45 % free, ok");
  builders.builders = {builder(policy::BuilderState::kWarm), builder(policy::BuilderState::kHealing)};
  disks.filesystems.push_back(disk("/data", policy::Level::kCritical, 900));
  EXPECT_EQ(status_line(disks, builders, {}), "1 of 2 builders warm, /data 90 % free, critical");
  disks.filesystems.back().error = "it does not answer";
  disks.filesystems.back().pressure.level = policy::Level::kUnknown;
  builders.builders.pop_back();
  EXPECT_EQ(status_line(disks, builders, {}), "1 builder warm, /data unknown");
}

TEST(StatusLine, NamesWhatElseIsNotReady) {
  ports::DiskView disks;
  disks.filesystems = {disk("/", policy::Level::kOk, 500)};
  EXPECT_EQ(status_line(disks, {}, {{"engine", "away"}, {"disk /", "x"}, {"builder s3", "y"}, {"config", "bad"}}),
            "engine not ready, config not ready, / 50 % free, ok");
}

TEST(IsAtWork, IsNotGivenUpForWhatOthersNeedToo) {
  EXPECT_TRUE(is_at_work({}, false));
  EXPECT_TRUE(is_at_work({{"config", "refused"}, {"emulation", "lost"}, {"instance", "goes"}}, false));
  for (const char* part : {"engine", "builder s3", "disk /"}) {
    EXPECT_FALSE(is_at_work({{part, "away"}}, false)) << part << " was never there";
    EXPECT_TRUE(is_at_work({{"config", "refused"}, {part, "away"}}, true)) << part;
  }
  EXPECT_FALSE(is_at_work({{"another", "away"}}, true));
}

class ServiceTest : public ::testing::Test {
 protected:
  ServiceTest() { ::setenv("NOTIFY_SOCKET", systemd_.path().c_str(), 1); }
  ~ServiceTest() override {
    ::unsetenv("NOTIFY_SOCKET");
    ::unsetenv("WATCHDOG_USEC");
  }

  testing::NotifySocket systemd_;
  boost::asio::io_context loop_;
  Service service_;
};

TEST_F(ServiceTest, TellsTheStatusOnlyWhenItChanges) {
  service_.ready();
  service_.status("a");
  service_.status("a");
  service_.status("b");
  service_.reloading();
  service_.ready();
  service_.stopping();
  EXPECT_THAT(systemd_.take(),
              ElementsAre("READY=1", "STATUS=a", "STATUS=b", StartsWith("RELOADING=1\nMONOTONIC_USEC="),
                          "READY=1\nSTATUS=b", "STOPPING=1"));
}

TEST_F(ServiceTest, FeedsTheWatchdogFromTheLoopOnly) {
  ::setenv("WATCHDOG_USEC", "100000", 1);
  testing::Background feeding(loop_, service_.run());
  std::size_t fed = 0;
  testing::run_until(loop_, [&] {
    fed += systemd_.take().size();
    return fed >= 3;
  });
  boost::asio::post(loop_, [&] {
    systemd_.take();
    ::poll(nullptr, 0, 200);  // a loop that hangs
    EXPECT_THAT(systemd_.take(), IsEmpty());
    service_.stop();
  });
  testing::run_until(loop_, [&] { return feeding.ended(); });
}

TEST_F(ServiceTest, NobodyWatchesNobodyIsFed) {
  testing::Background feeding(loop_, service_.run());
  testing::run_until(loop_, [&] { return feeding.ended(); });
  EXPECT_THAT(systemd_.take(), IsEmpty());
}

}  // namespace
}  // namespace buildwarden
