#include "common/sd_notify.h"

#include <gtest/gtest.h>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <string>

namespace buildwarden {
namespace {

// What systemd's end of $NOTIFY_SOCKET is: a datagram socket, in the file system or abstract.
class SdNotify : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "bwnotify.XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override {
    ::unsetenv("NOTIFY_SOCKET");
    if (socket_ >= 0) ::close(socket_);
    std::filesystem::remove_all(folder_);
  }
  // `name` is bound as it is, but for a '@' in front, which stands for the NUL of an abstract name.
  void listen(const std::string& name) {
    socket_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, name.data(), name.size());
    if (name.front() == '@') address.sun_path[0] = '\0';
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    ASSERT_EQ(::bind(socket_, reinterpret_cast<const sockaddr*>(&address), length), 0);
    ::setenv("NOTIFY_SOCKET", name.c_str(), 1);
  }
  // A unix datagram is there when send() has returned.
  [[nodiscard]] std::string received() const {
    char buffer[256];
    const auto count = ::recv(socket_, buffer, sizeof buffer, 0);
    return count < 0 ? "nothing" : std::string(buffer, static_cast<std::size_t>(count));
  }

  std::string folder_;
  int socket_ = -1;
};

TEST_F(SdNotify, SendsToAPath) {
  listen(folder_ + "/notify");
  ASSERT_TRUE(sd_notify("READY=1\nSTATUS=up"));
  EXPECT_EQ(received(), "READY=1\nSTATUS=up");
}

TEST_F(SdNotify, SendsToAnAbstractName) {
  listen("@buildwarden-test-" + std::to_string(::getpid()));
  ASSERT_TRUE(sd_notify("STOPPING=1"));
  EXPECT_EQ(received(), "STOPPING=1");
}

TEST_F(SdNotify, WithoutTheVariableItIsFine) {
  ::unsetenv("NOTIFY_SOCKET");
  EXPECT_TRUE(sd_notify("READY=1"));
  ::setenv("NOTIFY_SOCKET", "", 1);
  EXPECT_TRUE(sd_notify("READY=1"));
}

TEST_F(SdNotify, NobodyThereIsAnError) {
  ::setenv("NOTIFY_SOCKET", (folder_ + "/none").c_str(), 1);
  EXPECT_EQ(sd_notify("READY=1").error().code(), Errc::kNotFound);
}

TEST_F(SdNotify, ANameThatDoesNotFitIsInvalid) {
  ::setenv("NOTIFY_SOCKET", std::string(200, 'x').c_str(), 1);
  EXPECT_EQ(sd_notify("READY=1").error().code(), Errc::kInvalid);
}

TEST(ReloadingState, HasTheMonotonicTime) {
  timespec now{};
  ASSERT_EQ(::clock_gettime(CLOCK_MONOTONIC, &now), 0);
  const auto text = reloading_state();
  const std::string begins = "RELOADING=1\nMONOTONIC_USEC=";
  ASSERT_EQ(text.substr(0, begins.size()), begins);
  const auto seconds = std::stoll(text.substr(begins.size())) / 1'000'000;
  EXPECT_GE(seconds, now.tv_sec);
  EXPECT_LE(seconds, now.tv_sec + 10);
}

TEST(WatchdogLimit, IsOursOrNobodys) {
  const auto limit = [](const char* usec, const std::string& pid) {
    ::setenv("WATCHDOG_USEC", usec, 1);
    ::setenv("WATCHDOG_PID", pid.c_str(), 1);
    const auto found = watchdog_limit();
    ::unsetenv("WATCHDOG_USEC");
    ::unsetenv("WATCHDOG_PID");
    return found;
  };
  EXPECT_EQ(watchdog_limit(), std::nullopt);
  const auto own = std::to_string(::getpid());
  EXPECT_EQ(limit("30000000", own), Duration{30'000});
  EXPECT_EQ(limit("30000000", std::to_string(::getpid() + 1)), std::nullopt);
  EXPECT_EQ(limit("0", own), std::nullopt);
  EXPECT_EQ(limit("soon", own), std::nullopt);
  ::setenv("WATCHDOG_USEC", "500000", 1);
  EXPECT_EQ(watchdog_limit(), Duration{500}) << "without a process id it is for whoever reads it";
  ::unsetenv("WATCHDOG_USEC");
}

}  // namespace
}  // namespace buildwarden
