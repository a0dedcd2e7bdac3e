#include "daemon/cli/account.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <exception>
#include <optional>

#include "common/format.h"
#include "common/unique_fd.h"

namespace buildwarden::cli {
namespace {

constexpr std::size_t kAccountBuffer = 16'384;  // of one entry of the account databases
constexpr std::size_t kMostGroups = 1'024;
constexpr char kWorked = '=';  // before an answer; before an error stands its code as a letter from 'A' on

std::optional<uid_t> as_number(const std::string& text) {
  uid_t value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

Account account_of(const passwd& entry) {
  Account account{entry.pw_name, entry.pw_uid, entry.pw_gid, std::vector<gid_t>(kMostGroups), entry.pw_dir};
  auto count = static_cast<int>(account.groups.size());
  const bool all = ::getgrouplist(entry.pw_name, entry.pw_gid, account.groups.data(), &count) >= 0;
  account.groups.resize(all ? static_cast<std::size_t>(count) : 0);
  if (account.groups.empty()) account.groups.push_back(entry.pw_gid);
  return account;
}

Result<void> become(const Account& account) {
  if (::geteuid() == account.uid) return {};
  if (::geteuid() != 0) return Error(Errc::kDenied, format("only root can look as {}", account.name));
  if (::setgroups(account.groups.size(), account.groups.data()) != 0 ||
      ::setresgid(account.gid, account.gid, account.gid) != 0 ||
      ::setresuid(account.uid, account.uid, account.uid) != 0) {
    return Error::from_errno(errno, format("become {}", account.name));
  }
  return {};
}

std::string message_of(const Result<std::string>& answer) {
  if (answer) return kWorked + *answer;
  return static_cast<char>('A' + static_cast<int>(answer.error().code())) + answer.error().message();
}

// The child's whole life. It shares nothing that has to be cleaned up.
[[noreturn]] void answer_and_end(int pipe, const Work& work) {
  std::string message;
  try {
    message = message_of(work());
  } catch (const std::exception& error) {
    message = message_of(Error(Errc::kIo, error.what()));
  }
  for (std::string_view rest = message; !rest.empty();) {
    const auto written = ::write(pipe, rest.data(), rest.size());
    if (written <= 0) break;
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
  ::_exit(0);
}

// All that comes until the other end is closed; false when it is not by then.
bool read_until(int pipe, std::chrono::steady_clock::time_point end, std::string& message) {
  std::array<char, 4096> room{};
  for (;;) {
    const auto left = std::chrono::ceil<Duration>(end - std::chrono::steady_clock::now());
    pollfd ready{pipe, POLLIN, 0};
    const int what = left.count() > 0 ? ::poll(&ready, 1, static_cast<int>(left.count())) : 0;
    if (what < 0 && errno == EINTR) continue;
    if (what <= 0) return false;
    const auto count = ::read(pipe, room.data(), room.size());
    if (count <= 0) return true;
    message.append(room.data(), static_cast<std::size_t>(count));
  }
}

}  // namespace

Result<Account> find_account(const std::string& user) {
  std::vector<char> buffer(kAccountBuffer);
  passwd entry{};
  passwd* found = nullptr;
  if (::getpwnam_r(user.c_str(), &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr) {
    return account_of(entry);
  }
  const auto number = as_number(user);
  if (!number) return Error(Errc::kNotFound, format("this machine has no user \"{}\"", user));
  if (::getpwuid_r(*number, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr) {
    return account_of(entry);
  }
  return Account{user, *number, *number, {*number}, ""};
}

Result<std::string> run_apart(const Work& work, Duration deadline) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return Error::from_errno(errno, "make a pipe");
  const UniqueFd ours(ends[0]);
  UniqueFd theirs(ends[1]);
  const auto child = ::fork();
  if (child < 0) return Error::from_errno(errno, "start a process");
  if (child == 0) answer_and_end(theirs.get(), work);
  theirs = UniqueFd{};
  std::string message;
  const bool ended = read_until(ours.get(), std::chrono::steady_clock::now() + deadline, message);
  if (!ended) ::kill(child, SIGKILL);
  while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
  if (!ended) return Error(Errc::kTimeout, format("no answer within {}", short_duration(deadline)));
  if (message.empty()) return Error(Errc::kIo, "the process broke off");
  const auto text = message.substr(1);
  if (message[0] == kWorked) return text;
  return Error(static_cast<Errc>(message[0] - 'A'), text);
}

Result<std::string> run_as(const Account& account, const Work& work, Duration deadline) {
  const auto apart = [&account, &work]() -> Result<std::string> {
    if (auto became = become(account); !became) return std::move(became).error();
    return work();
  };
  return run_apart(apart, deadline);
}

}  // namespace buildwarden::cli
