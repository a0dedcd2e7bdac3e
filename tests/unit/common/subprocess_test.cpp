#include "common/subprocess.h"

#include <gtest/gtest.h>

#include <csignal>

namespace buildwarden {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(Subprocess, SaysWhatWasWrittenAndHowItEnded) {
  const auto end = run_program({"sh", "-c", "echo out; echo err >&2; exit 7"}, seconds{10});
  ASSERT_TRUE(end) << end.error().message();
  EXPECT_EQ(end->exit_code, 7);
  EXPECT_EQ(end->output, "out\n");
  EXPECT_EQ(end->errors, "err\n");
}

TEST(Subprocess, GivesItsInputAndItsEnd) {
  ProgramCall call;
  call.command = {"sh", "-c", "cat; echo end"};
  call.input = "registry.example";
  call.deadline = seconds{10};
  EXPECT_EQ(run_program(call)->output, "registry.exampleend\n");
  call.command = {"true"};  // does not read it
  EXPECT_EQ(run_program(call)->exit_code, 0);
  call.input = std::string(60'000, 'x');
  call.command = {"wc", "-c"};
  EXPECT_EQ(run_program(call)->output, "60000\n");
  call.input = std::string(2'000'000, 'x');
  EXPECT_EQ(run_program(call).error().code(), Errc::kInvalid);
  call.input.clear();
  call.command = {"cat"};
  EXPECT_EQ(run_program(call)->output, "") << "nothing to read is an end, not a wait";
}

TEST(Subprocess, TellsASignalFromAnExitCode) {
  const auto end = run_program({"sh", "-c", "kill -9 $$"}, seconds{10});
  ASSERT_TRUE(end);
  EXPECT_EQ(end->exit_code, -1);
  EXPECT_EQ(end->signal, SIGKILL);
}

TEST(Subprocess, KillsTheWholeGroupAtTheDeadline) {
  const auto began = std::chrono::steady_clock::now();
  const auto end = run_program({"sh", "-c", "sleep 60 & sleep 60"}, milliseconds{100});
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().code(), Errc::kTimeout);
  EXPECT_LT(std::chrono::steady_clock::now() - began, seconds{50});
}

TEST(Subprocess, EndsWhenAskedToStop) {
  std::stop_source source;
  source.request_stop();
  EXPECT_EQ(run_program({"sleep", "60"}, seconds{30}, source.get_token()).error().code(), Errc::kCancelled);
}

TEST(Subprocess, WhatCannotRunIsAnError) {
  EXPECT_EQ(run_program({"/nonexistent/program"}, seconds{1}).error().code(), Errc::kNotFound);
  EXPECT_EQ(run_program({"/etc/passwd"}, seconds{1}).error().code(), Errc::kDenied);
  EXPECT_EQ(run_program({"sh", "-c", "yes"}, seconds{10}, {}, 10'000).error().code(), Errc::kTooLarge);
}

}  // namespace
}  // namespace buildwarden
