// The seeds' own process, as a child of the test.
#include "daemon/seeds/program.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <grp.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "common/atomic_file.h"
#include "common/unique_fd.h"
#include "daemon/seeds/order.h"
#include "tests/support/command.h"
#include "tests/support/temp_folder.h"

namespace buildwarden::seeds {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// As somebody who may have so many threads, counted with the first; root may have any number.
void become_poor(unsigned threads) {
  constexpr uid_t kSomebody = 61'234;
  const rlimit limit{threads, threads};
  if (::setgroups(0, nullptr) != 0 || ::setresgid(kSomebody, kSomebody, kSomebody) != 0) ::_exit(EXIT_FAILURE);
  if (::setresuid(kSomebody, kSomebody, kSomebody) != 0) ::_exit(EXIT_FAILURE);
  if (::setrlimit(RLIMIT_NPROC, &limit) != 0) ::_exit(EXIT_FAILURE);
}

Result<Answer> answer_of_process(const Order& order, unsigned threads = 0) {
  std::array<int, 2> input{};
  std::array<int, 2> output{};
  EXPECT_EQ(::pipe2(input.data(), O_CLOEXEC), 0);
  EXPECT_EQ(::pipe2(output.data(), O_CLOEXEC), 0);
  const auto text = encode_order(order);
  EXPECT_EQ(::write(input[1], text.data(), text.size()), static_cast<ssize_t>(text.size()));
  ::close(input[1]);
  const auto pid = ::fork();
  if (pid == 0) {
    ::signal(SIGPIPE, SIG_DFL);
    ::dup2(input[0], STDIN_FILENO);
    ::dup2(output[1], STDOUT_FILENO);
    if (threads > 0) become_poor(threads);
    ::_exit(work());
  }
  ::close(input[0]);
  ::close(output[1]);
  const UniqueFd said(output[0]);
  const auto all = read_all(said.get(), "the answer", kMiB);
  int status = 0;
  ::waitpid(pid, &status, 0);
  EXPECT_TRUE(WIFEXITED(status)) << "ended by signal " << WTERMSIG(status);
  return decode_answer(all ? *all : "");
}

class Program : public ::testing::Test {
 protected:
  // A program in the place of the AWS CLI.
  void write_cli(const std::string& script) const {
    std::ofstream(folder_.path() + "/aws") << "#!/bin/sh\n" << script;
    std::filesystem::permissions(folder_.path() + "/aws", std::filesystem::perms::owner_all);
  }
  testing::TempFolder folder_;
};

// It closes its end of the pipe while there is more for it than a pipe holds.
TEST_F(Program, AFailedUploadEndsWithTheWordsOfTheAwsCli) {
  write_cli(
      "printf 'upload failed: https://me:hidden@host/part?X-Amz-Signature=hidden An error occurred (AccessDenied) when "
      "calling the PutObject operation: no \\377' >&2; exit 1\n");
  std::filesystem::create_directories(folder_.path() + "/volume/_data");
  std::string content(4'000'000, '\0');
  std::uint32_t next = 1;
  for (auto& one : content) one = static_cast<char>((next = next * 1'664'525U + 1'013'904'223U) >> 24U);
  std::ofstream(folder_.path() + "/volume/_data/file") << content;
  Order order;
  order.task = Task::kSave;
  order.place = {"s3://fleet/seeds", "s3", "amd64", folder_.path() + "/aws", "", "", ""};
  order.volume = folder_.path() + "/volume";
  order.stem = "20260101T000000Z-0123456789abcdef";
  order.most = kGiB;
  const auto answer = answer_of_process(order);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code(), Errc::kDenied) << answer.error().message();
  EXPECT_THAT(answer.error().message(), HasSubstr("(AccessDenied) when calling the PutObject operation: no"));
  EXPECT_THAT(answer.error().message(), HasSubstr("https://host/part?..."));
  EXPECT_THAT(answer.error().message(), Not(HasSubstr("hidden")));
}

// One thread watches the reader; each part has one of its own.
TEST_F(Program, AThreadThatTheKernelRefusesIsAnAnswer) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  namespace fs = std::filesystem;
  for (const auto* name : {"/store", "/a/_data", "/b/_data"}) fs::create_directories(folder_.path() + name);
  std::ofstream(folder_.path() + "/a/_data/file") << "content";
  ASSERT_EQ(testing::run_shell("chown -R 61234:61234 '" + folder_.path() + "'").exit_code, 0);
  Order order;
  order.task = Task::kSave;
  order.place = {folder_.path() + "/store", "s3", "amd64", "", "", "", ""};
  order.volume = folder_.path() + "/a";
  order.stem = "20260101T000000Z-0123456789abcdef";
  order.most = kGiB;
  for (const unsigned threads : {1U, 2U, 3U}) {
    const auto answer = answer_of_process(order, threads);
    ASSERT_FALSE(answer) << threads;
    EXPECT_THAT(answer.error().message(), HasSubstr("begin a thread")) << threads;
  }
  order.stem = "20260101T000000Z-0123456789abcdee";
  const auto saved = answer_of_process(order);
  ASSERT_TRUE(saved) << saved.error().message();
  order.task = Task::kRestore;
  order.volume = folder_.path() + "/b";
  order.manifest = *saved->manifest;
  ASSERT_EQ(testing::run_shell("chown -R 61234:61234 '" + folder_.path() + "'").exit_code, 0);
  for (const unsigned threads : {2U, 3U}) {
    const auto answer = answer_of_process(order, threads);
    ASSERT_FALSE(answer) << threads;
    EXPECT_THAT(answer.error().message(), HasSubstr("begin a thread")) << threads;
    EXPECT_TRUE(fs::is_empty(folder_.path() + "/b/_data"));
  }
}

// A fleet that boots at once is refused by S3 often, and each time for a moment.
TEST_F(Program, ARestoreIsMorePatientThanALook) {
  write_cli("echo \"attempts $AWS_MAX_ATTEMPTS\" >&2; exit 1\n");
  std::filesystem::create_directories(folder_.path() + "/volume/_data");
  Order order;
  order.place = {"s3://fleet/seeds", "s3", "amd64", folder_.path() + "/aws", "", "", ""};
  order.volume = folder_.path() + "/volume";
  order.manifest.parts = {{"a.tar.zst", 3, std::string(64, 'a')}};
  order.task = Task::kLook;
  EXPECT_THAT(answer_of_process(order).error().message(), HasSubstr("attempts 5"));
  order.task = Task::kRestore;
  EXPECT_THAT(answer_of_process(order).error().message(), HasSubstr("attempts 20"));
}

}  // namespace
}  // namespace buildwarden::seeds
