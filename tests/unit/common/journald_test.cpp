#include "common/journald.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "common/format.h"
#include "common/log.h"
#include "tests/support/temp_folder.h"

namespace buildwarden {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using namespace std::string_literals;

// journald's socket, which nobody reads but the test.
class Journal {
 public:
  Journal() : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path().copy(address.sun_path, sizeof address.sun_path - 1);
    if (::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      throw std::runtime_error("the journal cannot listen");
    }
  }
  [[nodiscard]] std::string path() const { return folder_.path() + "/socket"; }
  // "" when there is none.
  [[nodiscard]] std::string next() const {
    std::array<char, 4096> buffer{};
    const auto count = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
    return count <= 0 ? "" : std::string(buffer.data(), static_cast<std::size_t>(count));
  }

 private:
  testing::TempFolder folder_;
  UniqueFd socket_;
};

TEST(Journald, AnEntryIsOneDatagramWithItsFields) {
  EXPECT_EQ(journal_datagram({{"MESSAGE", "one"}, {"A", ""}, {"LONG", "a\nb"}}),
            "MESSAGE=one\nA=\nLONG\n\x03\0\0\0\0\0\0\0a\nb\n"s);
  const Journal journal;
  EXPECT_TRUE(JournaldSocket(journal.path()).send({{"MESSAGE", "one"}}));
  EXPECT_EQ(journal.next(), "MESSAGE=one\n");
}

// A journald that does not read must not hold up the daemon.
TEST(Journald, NothingWaitsForOneThatIsFullOrAway) {
  const Journal journal;
  const JournaldSocket socket(journal.path());
  const auto begin = std::chrono::steady_clock::now();
  int sent = 0;
  while (sent < 100'000 && socket.send({{"MESSAGE", std::string(1000, 'x')}})) ++sent;
  EXPECT_LT(sent, 100'000);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds{20});
  EXPECT_FALSE(JournaldSocket("/nonexistent/socket").send({{"MESSAGE", "x"}}));
  EXPECT_FALSE(JournaldSocket(std::string(300, 'p')).send({{"MESSAGE", "x"}}));
}

TEST(Journald, TheStreamIsKnownByDeviceAndInode) {
  struct stat info{};
  ASSERT_EQ(::fstat(STDIN_FILENO, &info), 0);
  const auto named = format("{}:{}", static_cast<std::uint64_t>(info.st_dev), info.st_ino);
  EXPECT_TRUE(is_journal_stream(STDIN_FILENO, named));
  EXPECT_FALSE(is_journal_stream(STDIN_FILENO, named + "1"));
  EXPECT_FALSE(is_journal_stream(STDIN_FILENO, ""));
  EXPECT_FALSE(is_journal_stream(-1, named));
}

// A process whose stderr is `stream`, which journald is said to read.
void in_a_service(int stream, const std::string& socket, void (*work)()) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(stream, STDERR_FILENO);
    struct stat info{};
    ::fstat(STDERR_FILENO, &info);
    const auto named = format("{}:{}", static_cast<std::uint64_t>(info.st_dev), info.st_ino);
    ::setenv("JOURNAL_STREAM", named.c_str(), 1);
    configure_log(LogLevel::kInfo, LogFormat::kAuto, socket.c_str());
    work();
    ::_exit(0);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST(Journald, TheLogGoesThereWithItsFields) {
  const Journal journal;
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK), 0);
  const UniqueFd ours(ends[0]);
  const UniqueFd theirs(ends[1]);
  in_a_service(theirs.get(), journal.path(), [] {
    log_debug("not this");
    log_with_fields(LogLevel::kWarning, "disk\x1b low", {{"BUILDWARDEN_KIND", "disk.level"}});
    log_error("two\nlines");
  });
  EXPECT_EQ(journal.next(),
            "MESSAGE=disk\\x1b low\nPRIORITY=4\nSYSLOG_IDENTIFIER=buildwarden\nBUILDWARDEN_KIND=disk.level\n");
  EXPECT_THAT(journal.next(), AllOf(HasSubstr("two\nlines"), HasSubstr("PRIORITY=3\n")));
  EXPECT_EQ(journal.next(), "");
  char nothing = 0;
  EXPECT_LT(::read(ours.get(), &nothing, 1), 0) << "and not to stderr, too";
}

TEST(Journald, WhatItDoesNotTakeGoesToItsStreamAndIsLostWhereThatIsFull) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK), 0);
  const UniqueFd ours(ends[0]);
  const UniqueFd theirs(ends[1]);
  in_a_service(theirs.get(), "/nonexistent/socket", [] { log_warning("kept"); });
  std::array<char, 64> read{};
  ASSERT_GT(::read(ours.get(), read.data(), read.size()), 0);
  EXPECT_STREQ(read.data(), "<4>kept\n");
  const std::string filling(65'536, 'x');
  while (::write(theirs.get(), filling.data(), filling.size()) > 0) {
  }
  ::fcntl(theirs.get(), F_SETFL, 0);  // as a service's stderr is: who writes waits
  in_a_service(theirs.get(), "/nonexistent/socket", [] { log_warning("lost"); });
}

}  // namespace
}  // namespace buildwarden
