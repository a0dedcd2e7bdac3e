#include "common/log.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <functional>
#include <string>

namespace buildwarden {
namespace {

std::string read_all(int descriptor) {
  std::string text;
  std::array<char, 512> buffer{};
  for (;;) {
    const auto count = ::read(descriptor, buffer.data(), buffer.size());
    if (count <= 0) return text;  // a terminal without a process on it answers EIO
    text.append(buffer.data(), static_cast<std::size_t>(count));
  }
}

// What a process of its own writes to the stderr that it is given.
std::string written(int theirs, int ours, const std::function<void()>& work) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(theirs, STDERR_FILENO);
    work();
    ::_exit(0);
  }
  ::close(theirs);
  auto text = read_all(ours);
  ::close(ours);
  ::waitpid(child, nullptr, 0);
  return text;
}

std::string through_a_pipe(const std::function<void()>& work) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return "no pipe";
  return written(ends[1], ends[0], work);
}

std::string on_a_terminal(const std::function<void()>& work) {
  const int ours = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  std::array<char, 64> name{};
  if (ours < 0 || ::grantpt(ours) != 0 || ::unlockpt(ours) != 0 || ::ptsname_r(ours, name.data(), name.size()) != 0) {
    return "no terminal";
  }
  return written(::open(name.data(), O_RDWR | O_NOCTTY | O_CLOEXEC), ours, work);
}

void say_all() {
  log_debug("one");
  log_info("two");
  log_warning("three\nfour");
  log_error("five");
}

TEST(Log, ForJournaldEachLineHasItsPriority) {
  EXPECT_EQ(through_a_pipe([] {
              configure_log(LogLevel::kDebug, LogFormat::kJournald);
              say_all();
            }),
            "<7>one\n<6>two\n<4>three\n<4>four\n<3>five\n");
}

// Issue 20: a file got lines that begin with "<6>".
TEST(Log, AFileThatJournaldDoesNotReadGetsText) {
  const auto text = through_a_pipe([] {
    ::unsetenv("JOURNAL_STREAM");
    configure_log(LogLevel::kInfo, LogFormat::kAuto);
    log_info("two");
  });
  EXPECT_EQ(text.find("<6>"), std::string::npos) << text;
  EXPECT_EQ(text.substr(0, 2), "20") << text;
}

TEST(Log, ATerminalGetsTextWithTheTime) {
  const auto text = on_a_terminal([] {
    configure_log(LogLevel::kInfo, LogFormat::kAuto);
    say_all();
  });
  EXPECT_EQ(text.find("<6>"), std::string::npos) << text;
  EXPECT_EQ(text.find("one"), std::string::npos) << text;
  EXPECT_EQ(text.substr(0, 2), "20") << text;
  EXPECT_NE(text.find(" two"), std::string::npos) << text;
}

TEST(Log, NothingInATextDrivesATerminal) {
  EXPECT_EQ(through_a_pipe([] {
              configure_log(LogLevel::kInfo, LogFormat::kJournald);
              log_warning("job \u202eb\u009b2J\x1b[2J\x9b");
            }),
            "<4>job \\u202eb\\u009b2J\\x1b[2J\\x9b\n");
}

TEST(Log, TheFormatMayBeChosen) {
  const auto text = through_a_pipe([] {
    configure_log(LogLevel::kInfo, LogFormat::kText);
    log_info("two");
  });
  EXPECT_EQ(text.substr(0, 2), "20") << text;
  EXPECT_EQ(on_a_terminal([] {
              configure_log(LogLevel::kInfo, LogFormat::kJournald);
              log_info("two");
            }),
            "<6>two\r\n");
}

TEST(Log, ItMayBeConfiguredAgain) {
  const auto text = through_a_pipe([] {
    configure_log(LogLevel::kError, LogFormat::kJournald);
    say_all();
    configure_log(LogLevel::kInfo, LogFormat::kText);
    log_info("six");
    configure_log(LogLevel::kWarning, LogFormat::kJournald);
    say_all();
  });
  EXPECT_EQ(text.substr(0, 8), "<3>five\n") << text;
  EXPECT_NE(text.find(" six\n<4>three\n<4>four\n<3>five\n"), std::string::npos) << text;
}

}  // namespace
}  // namespace buildwarden
