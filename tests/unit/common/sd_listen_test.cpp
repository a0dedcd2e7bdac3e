#include "common/sd_listen.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string>

#include "tests/support/temp_folder.h"

namespace buildwarden {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr int kFirst = 700;  // systemd's 3 is taken in a test runner

// Descriptors as systemd leaves them: from kFirst on, inherited by an exec.
class SdListen : public ::testing::Test {
 protected:
  void TearDown() override {
    for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) ::unsetenv(name);
    for (int number = kFirst; number < kFirst + passed_; ++number) ::close(number);
  }
  void pass(const std::string& names, pid_t pid = ::getpid()) {
    ::setenv("LISTEN_PID", std::to_string(pid).c_str(), 1);
    ::setenv("LISTEN_FDS", std::to_string(passed_).c_str(), 1);
    ::setenv("LISTEN_FDNAMES", names.c_str(), 1);
  }
  void add(int descriptor) {
    ASSERT_GE(descriptor, 0);
    const int number = kFirst + passed_++;
    ASSERT_EQ(::dup2(descriptor, number), number);
    ::close(descriptor);
  }
  void add_unix(bool listens = true) {
    const int made = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, unix_path().c_str());
    ASSERT_EQ(::bind(made, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    if (listens) {
      ASSERT_EQ(::listen(made, 4), 0);
    }
    add(made);
  }
  void add_tcp(int family) {
    const int made = ::socket(family, SOCK_STREAM, 0);
    ASSERT_EQ(::listen(made, 4), 0);  // on a port that the kernel chooses
    add(made);
  }
  [[nodiscard]] std::string unix_path() const { return folder_.path() + "/s"; }

  testing::TempFolder folder_;
  int passed_ = 0;
};

TEST_F(SdListen, TellsUnixFromTcpByTheSocketItself) {
  add_unix();
  add_tcp(AF_INET);
  add_tcp(AF_INET6);
  pass("api:api:other");
  const auto passed = take_passed_sockets(kFirst);
  EXPECT_THAT(passed.refused, IsEmpty());
  ASSERT_THAT(passed.sockets, SizeIs(3));
  EXPECT_TRUE(passed.sockets[0].is_unix);
  EXPECT_EQ(passed.sockets[0].address, unix_path());
  EXPECT_EQ(passed.sockets[0].name, "api");
  EXPECT_FALSE(passed.sockets[1].is_unix);
  EXPECT_THAT(passed.sockets[1].address, HasSubstr("0.0.0.0:"));
  EXPECT_FALSE(passed.sockets[2].is_unix);
  EXPECT_THAT(passed.sockets[2].address, HasSubstr("[::]:"));
  EXPECT_EQ(passed.sockets[2].name, "other");
}

TEST_F(SdListen, KeepsThemAndTheVariablesFromChildren) {
  add_unix();
  pass("api");
  const auto passed = take_passed_sockets(kFirst);
  ASSERT_THAT(passed.sockets, SizeIs(1));
  EXPECT_EQ(::fcntl(passed.sockets[0].descriptor.get(), F_GETFD), FD_CLOEXEC);
  for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) EXPECT_EQ(std::getenv(name), nullptr) << name;
  EXPECT_THAT(take_passed_sockets(kFirst).sockets, IsEmpty());
}

TEST_F(SdListen, ThoseOfAnotherProcessAreLeftAlone) {
  add_unix();
  pass("api", ::getpid() + 1);
  EXPECT_THAT(take_passed_sockets(kFirst).sockets, IsEmpty());
  EXPECT_GE(::fcntl(kFirst, F_GETFD), 0) << "still open";
  EXPECT_EQ(std::getenv("LISTEN_FDS"), nullptr);
}

TEST_F(SdListen, NoVariablesOrNonsenseIsNone) {
  EXPECT_THAT(take_passed_sockets(kFirst).sockets, IsEmpty());
  for (const char* count : {"", "x", "-1", "1x", "100000"}) {
    ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
    ::setenv("LISTEN_FDS", count, 1);
    const auto passed = take_passed_sockets(kFirst);
    EXPECT_THAT(passed.sockets, IsEmpty()) << count;
    EXPECT_THAT(passed.refused, IsEmpty()) << count;
  }
}

TEST_F(SdListen, WhatIsNoListeningSocketIsClosedAndSaid) {
  add(::open("/dev/null", O_RDONLY));
  add_unix(false);
  add_tcp(AF_INET);
  pass("null:quiet");
  const auto passed = take_passed_sockets(kFirst);
  ASSERT_THAT(passed.sockets, SizeIs(1));
  EXPECT_EQ(passed.sockets[0].name, "");
  EXPECT_THAT(passed.refused,
              ElementsAre(HasSubstr("the passed descriptor 700 (null) is not used: ask for its address"),
                          HasSubstr("the passed descriptor 701 (quiet) is not used: no listening socket")));
  EXPECT_LT(::fcntl(kFirst, F_GETFD), 0) << "closed";
}

}  // namespace
}  // namespace buildwarden
