// What a shell is too coarse to measure. Each mode prints one line of numbers for tests/bench/run.
//
//   gets N SOCKET_A TARGET_A SOCKET_B TARGET_B   N GETs of each by turns: "p50 p99 p50 p99" in microseconds
//   leases N SOCKET [OTHERS]                     N times POST and DELETE of a job, while OTHERS are alive: "p50 p99" in
//   microseconds start N SOCKET TARGET PROGRAM [ARGUMENT…]    N times: start, first answer, SIGTERM, end: the median in
//   milliseconds start-by SOCKET TARGET SCRIPT [ARGUMENT…]    once, with a script that starts a daemon and ends by
//   itself
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <exception>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/bench/connection.h"

namespace buildwarden::bench {
namespace {

using Clock = std::chrono::steady_clock;
using Microseconds = std::chrono::duration<double, std::micro>;
using Words = std::vector<std::string>;

constexpr auto kLongestStart = std::chrono::seconds{30};
constexpr auto kPoll = std::chrono::microseconds{100};

double timed(const std::function<void()>& work) {
  const auto before = Clock::now();
  work();
  return Microseconds(Clock::now() - before).count();
}

double quantile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  return values.at(std::min(values.size() - 1, static_cast<std::size_t>(share * static_cast<double>(values.size()))));
}

void expect(int status, int first, int second) {
  if (status != first && status != second) throw std::runtime_error("answered " + std::to_string(status));
}

void gets(const Words& words) {
  const int count = std::stoi(words.at(0));
  Connection a(words.at(1));
  Connection b(words.at(3));
  std::vector<double> times_a;
  std::vector<double> times_b;
  for (int i = 0; i < count; ++i) {
    times_a.push_back(timed([&] { expect(a.exchange("GET", words.at(2)), 200, 200); }));
    times_b.push_back(timed([&] { expect(b.exchange("GET", words.at(4)), 200, 200); }));
  }
  std::printf("%.1f %.1f %.1f %.1f\n", quantile(times_a, 0.5), quantile(times_a, 0.99), quantile(times_b, 0.5),
              quantile(times_b, 0.99));
}

void leases(const Words& words) {
  const int count = std::stoi(words.at(0));
  const int others = words.size() > 2 ? std::stoi(words.at(2)) : 0;
  Connection connection(words.at(1));
  std::vector<double> times;
  const auto other = [](int i) { return "other-" + std::to_string(i); };
  for (int i = 0; i < others; ++i) {
    expect(connection.exchange("POST", "/v1/jobs", R"({"id":")" + other(i) + R"(","ttl_seconds":600})"), 200, 201);
  }
  for (int i = 0; i < count; ++i) {
    const auto id = "bench-" + std::to_string(i);
    const auto body = R"({"id":")" + id + R"(","ttl_seconds":60})";
    times.push_back(timed([&] {
      expect(connection.exchange("POST", "/v1/jobs", body), 200, 201);
      expect(connection.exchange("DELETE", "/v1/jobs/" + id), 204, 200);
    }));
  }
  for (int i = 0; i < others; ++i) expect(connection.exchange("DELETE", "/v1/jobs/" + other(i)), 204, 200);
  std::printf("%.1f %.1f\n", quantile(times, 0.5), quantile(times, 0.99));
}

pid_t spawn(const Words& command) {
  std::vector<char*> argv;
  for (const auto& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t pid = 0;
  const int failed = ::posix_spawnp(&pid, argv.front(), &files, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&files);
  if (failed != 0) throw std::runtime_error("cannot start " + command.front());
  return pid;
}

bool answers(const std::string& socket, const std::string& target) {
  try {
    return Connection(socket).exchange("GET", target) == 200;
  } catch (const std::exception&) {
    return false;  // not yet
  }
}

bool has_ended(pid_t pid) {
  siginfo_t info{};
  return ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid;
}

// `daemon`: the process that must live on until it answers; 0 when that is another's child.
void wait_for_answer(const std::string& socket, const std::string& target, pid_t daemon) {
  const auto begin = Clock::now();
  while (!answers(socket, target)) {
    if (daemon > 0 && has_ended(daemon)) throw std::runtime_error("it ended without an answer on " + socket);
    if (Clock::now() - begin > kLongestStart) throw std::runtime_error("no answer on " + socket);
    std::this_thread::sleep_for(kPoll);
  }
}

void end(pid_t pid, bool by_signal) {
  if (by_signal) ::kill(pid, SIGTERM);
  int status = 0;
  ::waitpid(pid, &status, 0);
}

double start_once(const std::string& socket, const std::string& target, const Words& command, bool by_signal) {
  pid_t pid = 0;
  try {
    const auto took = timed([&] {
      pid = spawn(command);
      wait_for_answer(socket, target, by_signal ? pid : 0);
    });
    end(pid, by_signal);
    return took / 1000;
  } catch (const std::exception&) {
    if (pid > 0) end(pid, true);
    throw;
  }
}

void start(const Words& words) {
  const int count = std::stoi(words.at(0));
  const Words command(words.begin() + 3, words.end());
  std::vector<double> times;
  for (int i = 0; i < count; ++i) times.push_back(start_once(words.at(1), words.at(2), command, true));
  std::printf("%.1f\n", quantile(times, 0.5));
}

void start_by(const Words& words) {
  std::printf("%.1f\n", start_once(words.at(0), words.at(1), Words(words.begin() + 2, words.end()), false));
}

int run(const Words& words) {
  const auto& mode = words.at(0);
  const Words rest(words.begin() + 1, words.end());
  if (mode == "gets") {
    gets(rest);
  } else if (mode == "leases") {
    leases(rest);
  } else if (mode == "start") {
    start(rest);
  } else if (mode == "start-by") {
    start_by(rest);
  } else {
    throw std::runtime_error("no mode " + mode);
  }
  return 0;
}

}  // namespace
}  // namespace buildwarden::bench

int main(int argc, char** argv) {
  try {
    return buildwarden::bench::run({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_client: %s\n", error.what());
    return 1;
  }
}
