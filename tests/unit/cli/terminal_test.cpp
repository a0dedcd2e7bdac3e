// What a terminal is shown that a pipe is not.
#include "daemon/cli/terminal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <sstream>

#include "common/time.h"
#include "common/unique_fd.h"
#include "daemon/cli/table.h"
#include "tests/unit/cli/scripted_daemon.h"

namespace buildwarden::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kRedDown = "\x1b[31mdown\x1b[0m";

std::size_t longest_line(const std::string& text) {
  std::istringstream lines(text);
  std::size_t longest = 0;
  for (std::string line; std::getline(lines, line);) longest = std::max(longest, line.size());
  return longest;
}

std::string without(std::string text, const std::string& characters) {
  std::erase_if(text, [&](char one) { return characters.find(one) != std::string::npos; });
  return text;
}

TEST(TableLook, FitsTheTerminalAndLosesNothing) {
  const std::vector<std::vector<std::string>> rows = {
      {"BUILDER", "REASON"}, {"s3", "it has not answered for 90 seconds and is restarted"}, {"b", "-"}};
  const auto narrow = cli::table(rows, {.width = 30});
  EXPECT_EQ(narrow,
            "BUILDER REASON\n"
            "s3      it has not answered\n"
            "        for 90 seconds and is\n"
            "        restarted\n"
            "b       -\n");
  EXPECT_EQ(without(narrow, " \n"), without(cli::table(rows), " \n"));
  EXPECT_EQ(cli::table(rows, {.width = 200}), cli::table(rows)) << "where it fits nothing changes";
}

// What has no space in it, and what takes two columns or none.
TEST(TableLook, BreaksCharactersNowhereAndKnowsWideOnes) {
  const std::string wide = "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e\xe6\x97\xa5\xe6\x9c\xac";  // five, two columns each
  EXPECT_EQ(cli::table({{wide + "e\xcc\x81", "x"}, {"abcdefghijk", "y"}}), wide + "e\xcc\x81  x\nabcdefghijk  y\n");
  const auto narrow = cli::table({{wide, "x"}}, {.width = 10});
  EXPECT_EQ(narrow, wide.substr(0, 12) + " x\n" + wide.substr(12) + "\n");
  EXPECT_LE(longest_line(cli::table({{std::string(300, 'a'), std::string(300, 'b')}}, {.width = 40})), 40U);
  EXPECT_NO_FATAL_FAILURE(cli::table({{std::string(300, 'a'), std::string(300, 'b')}}, {.width = 1}));
  EXPECT_EQ(cli::table({}, {.width = 40}), "");
}

TEST(TableLook, BreaksNoValue) {
  const std::vector<std::vector<std::string>> rows = {{"NAME", "FREE", "USED"},
                                                      {"a name of several words", "2.35 GiB", "12d 23h ago"}};
  EXPECT_EQ(cli::table(rows, {.width = 30}),
            "NAME      FREE     USED\n"
            "a name of 2.35 GiB 12d 23h ago\n"
            "several\n"
            "words\n");
  const std::vector<std::vector<std::string>> reason = {{"REASON"}, {"needs 5.00 GiB, has 300.0 MiB; 2h 5m left"}};
  EXPECT_EQ(cli::table(reason, {.width = 12}), "REASON\nneeds\n5.00 GiB,\nhas\n300.0 MiB;\n2h 5m left\n");
}

TEST(TableLook, WhatDoesNotFitBesideOneAnotherStandsInBlocks) {
  const std::vector<std::vector<std::string>> rows = {{"MOUNT", "LEVEL", "FREE", "OF", "CRITICAL"},
                                                      {"/mnt/ephemeral", "low", "2.35 GiB", "2.88 GiB", "300.0 MiB"},
                                                      {"/", "ok", "9.00 GiB", "9.50 GiB", "1.00 GiB"}};
  EXPECT_EQ(cli::table(rows, {.width = 30, .colour = true}),
            "MOUNT    /mnt/ephemeral\n"
            "LEVEL    \x1b[33mlow\x1b[0m\n"
            "FREE     2.35 GiB\n"
            "OF       2.88 GiB\n"
            "CRITICAL 300.0 MiB\n"
            "\n"
            "MOUNT    /\n"
            "LEVEL    ok\n"
            "FREE     9.00 GiB\n"
            "OF       9.50 GiB\n"
            "CRITICAL 1.00 GiB\n");
}

TEST(TableLook, LevelsAndStatesHaveTheirColour) {
  const std::vector<std::vector<std::string>> rows = {
      {"MOUNT", "LEVEL"}, {"/", "critical"}, {"/data", "low"}, {"critical", "ok"}};
  EXPECT_EQ(cli::table(rows, {.width = 80, .colour = true}),
            "MOUNT     LEVEL\n"
            "/         \x1b[31mcritical\x1b[0m\n"
            "/data     \x1b[33mlow\x1b[0m\n"
            "critical  ok\n");
  EXPECT_THAT(cli::table(rows, {.width = 80}), Not(HasSubstr("\x1b")));
}

constexpr const char* kOneDown = R"({"builders":[{"name":"s3","state":"down","reason":"no engine\u001b[0m"}]})";

TEST(Terminal, APipeHasNeitherWidthNorColour) {
  ClientWorld world;
  const auto piped = with_answer(world, http_answer(200, kOneDown), {"builders"});
  EXPECT_THAT(piped.out, Not(HasSubstr("\x1b")));
  world.stdout_terminal = {.width = 80, .colour = true};
  const auto shown = with_answer(world, http_answer(200, kOneDown), {"builders"});
  EXPECT_THAT(shown.out, AllOf(HasSubstr(kRedDown), HasSubstr("no engine\\x1b[0m")));
  const auto json = with_answer(world, http_answer(200, kOneDown), {"builders", "--json"});
  EXPECT_EQ(json.out, std::string(kOneDown) + "\n");
}

TEST(Terminal, TimesAreAgesOnATerminal) {
  ClientWorld world;
  const auto now = std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now());
  const auto then = format_rfc3339(now - std::chrono::minutes{125});
  const auto builder =
      http_answer(200, R"({"name":"s3","heals":1,"last_heal":{"reason":"it was paused","at":")" + then + "\"}}");
  const auto seeds = http_answer(200, R"({"location":"s3://b","seeds":[{"builder":"s3","seed":{"created_at":")" + then +
                                          "\"}},{\"builder\":\"none\"}]}");
  EXPECT_THAT(with_answer(world, builder, {"builders", "show", "s3"}).out,
              HasSubstr("1, the last at " + then + ": it"));
  EXPECT_THAT(with_answer(world, seeds, {"seeds"}).out, HasSubstr(then));
  world.stdout_terminal = {.width = 200};
  EXPECT_THAT(with_answer(world, builder, {"builders", "show", "s3"}).out, HasSubstr("1, the last 2h 5m ago: it was"));
  EXPECT_THAT(with_answer(world, seeds, {"seeds"}).out, AllOf(HasSubstr("2h 5m ago"), Not(HasSubstr(then))));
}

TEST(Terminal, SeveritiesHaveTheirColour) {
  ClientWorld world;
  world.stdout_terminal = {.width = 80, .colour = true};
  const auto events = http_answer(200, R"({"events":[{"at":"T","severity":"error","kind":"k","reason":"r"}]})");
  EXPECT_EQ(with_answer(world, events, {"events"}).out, "- \x1b[31merror  \x1b[0m k r\n");
}

TEST(Terminal, EventsHaveAgesInPlaceOfTimes) {
  ClientWorld world;
  const auto now = std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now());
  const auto then = format_rfc3339(now - std::chrono::minutes{125});
  const auto long_ago = format_rfc3339(now - std::chrono::hours{24 * 12 + 3});
  const auto events =
      http_answer(200, R"({"events":[{"at":")" + then + R"(","severity":"info","kind":"k","reason":"r"},)" +
                           R"({"at":")" + long_ago + R"(","severity":"info","kind":"k","reason":"r"}]})");
  EXPECT_THAT(with_answer(world, events, {"events"}).out, HasSubstr(then + " info    k r\n"));
  world.stdout_terminal = {.width = 80};
  EXPECT_EQ(with_answer(world, events, {"events"}).out, "2h 5m ago  info    k r\n12d 3h ago info    k r\n");
  EXPECT_THAT(with_answer(world, events, {"events", "--json"}).out, HasSubstr(then));
}

// Of a real terminal, which this process has as its stdout for a moment.
class LookOfTerminal : public ::testing::Test {
 protected:
  LookOfTerminal() {
    int master = -1;
    int slave = -1;
    winsize size{.ws_row = 12, .ws_col = 47, .ws_xpixel = 0, .ws_ypixel = 0};
    if (::openpty(&master, &slave, nullptr, nullptr, &size) != 0) throw std::runtime_error("no terminal");
    master_ = UniqueFd(master);
    slave_ = UniqueFd(slave);
  }
  [[nodiscard]] cli::Terminal terminal(const std::map<std::string, std::string>& environment) const {
    const UniqueFd before(::dup(STDOUT_FILENO));
    ::dup2(slave_.get(), STDOUT_FILENO);
    const auto terminal = cli::terminal_of_stdout([&](const std::string& name) {
      const auto found = environment.find(name);
      return found == environment.end() ? std::string() : found->second;
    });
    ::dup2(before.get(), STDOUT_FILENO);
    return terminal;
  }
  UniqueFd master_;
  UniqueFd slave_;
};

TEST_F(LookOfTerminal, HasItsWidthAndColoursUnlessSomebodyWantsNone) {
  const auto usual = terminal({{"TERM", "xterm"}});
  EXPECT_EQ(usual.width, 47U);
  EXPECT_EQ(usual.height, 12U);
  EXPECT_TRUE(usual.colour);
  EXPECT_FALSE(terminal({{"TERM", "xterm"}, {"NO_COLOR", "1"}}).colour);
  EXPECT_FALSE(terminal({{"TERM", "dumb"}}).colour);
  winsize unknown{};
  ASSERT_EQ(::ioctl(slave_.get(), TIOCSWINSZ, &unknown), 0);
  EXPECT_EQ(terminal({}).width, 80U);
}

class StatusWatch : public ::testing::Test {
 protected:
  ClientRun watch(std::vector<std::string> more = {}) {
    world_.silence = kPatient;
    int asked = 0;
    const ScriptedDaemon daemon(world_.socket(), [&](const SeenRequest&) {
      return http_answer(200, format(R"({{"version":"v{}","ready":true}})", ++asked));
    });
    world_.pause = [this](Duration time) {
      pauses_.push_back(time);
      return pauses_.size() < 3;
    };
    std::vector<std::string> arguments = {"status", "--watch"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return world_.run(arguments);
  }
  ClientWorld world_;
  std::vector<Duration> pauses_;
};

TEST_F(StatusWatch, AsksAgainEachTime) {
  const auto run = watch();
  EXPECT_EQ(run.code, cli::kYes) << run.err;
  EXPECT_THAT(run.out, AllOf(HasSubstr("v1"), HasSubstr("v2"), HasSubstr("v3"), Not(HasSubstr("\x1b"))));
  EXPECT_EQ(pauses_, std::vector<Duration>(3, std::chrono::seconds{2}));
  pauses_.clear();
  static_cast<void>(watch({"--interval", "1m"}));
  EXPECT_EQ(pauses_.front(), std::chrono::minutes{1});
}

TEST_F(StatusWatch, DrawsOverTheLastOneAndNoMoreThanTheTerminalHas) {
  world_.stdout_terminal = {.width = 60, .height = 4};
  const auto run = watch();
  const auto begin = run.out.rfind("\x1b[H");
  const auto last = run.out.substr(begin);
  EXPECT_THAT(last, AllOf(::testing::StartsWith("\x1b[H\x1b[?7levery 2s, now "), HasSubstr("v3"),
                          ::testing::EndsWith("...\x1b[K\x1b[J\x1b[?7h")));
  EXPECT_EQ(std::count(last.begin(), last.end(), '\n'), 3);
  world_.stdout_terminal.height = 100;
  pauses_.clear();
  EXPECT_THAT(watch().out, Not(HasSubstr("...\x1b[K")));
}

TEST_F(StatusWatch, GoesOnWhileTheDaemonIsAwayAndEndsWithItsReader) {
  world_.pause = [this](Duration time) {
    pauses_.push_back(time);
    return pauses_.size() < 2;
  };
  const auto away = world_.run({"status", "--watch"});
  EXPECT_EQ(away.code, cli::kYes);
  EXPECT_EQ(pauses_.size(), 2U);
  EXPECT_THAT(away.out, HasSubstr("no answer on"));
  world_.full = true;
  pauses_.clear();
  EXPECT_EQ(world_.run({"status", "--watch"}).code, cli::kNo);
  EXPECT_TRUE(pauses_.empty());
}

struct Refused {
  std::vector<std::string> arguments;
  std::string said;
};
class OptionValues : public ::testing::TestWithParam<Refused> {};

// Issue 20: 309 digits were printed.
TEST_P(OptionValues, AreRefusedInOneShortLine) {
  ClientWorld world;
  const auto run = world.run(GetParam().arguments);
  EXPECT_EQ(run.code, cli::kUsage) << run.out;
  EXPECT_THAT(run.err, HasSubstr(GetParam().said));
  EXPECT_LT(longest_line(run.err), 180U) << run.err;
}

const std::string kManyDigits(400, '9');

INSTANTIATE_TEST_SUITE_P(
    CommandLine, OptionValues,
    ::testing::Values(Refused{{"events", "--since", kManyDigits},
                              R"(--since: "9999999999999999999999999999999999999999..." is not a)"},
                      Refused{{"events", "--since", "-1h"}, R"("-1h" is not a number of an event, a duration)"},
                      Refused{{"events", "--before", kManyDigits}, "..\" is not a whole number of at least 1"},
                      Refused{{"events", "--before", "0"}, R"("0" is not a whole number of at least 1)"},
                      Refused{{"events", "-n", "-1"}, R"("-1" is not a whole number from 1 to 1000)"},
                      Refused{{"events", "-n1e2"}, R"("1e2" is not)"},
                      Refused{{"events", "--limit=1001"}, R"("1001" is not)"},
                      Refused{{"disk", "reclaim", "--target", kManyDigits}, "..\" is not a size such as 20GiB"},
                      Refused{{"disk", "reclaim", "--target", "-5GiB"}, R"("-5GiB" is not a size)"},
                      Refused{{"disk", "reclaim", "--wait", kManyDigits}, "..\" is not a duration such as 90s"},
                      Refused{{"disk", "reclaim", "--wait", "-1s"}, R"("-1s" is not a duration)"},
                      Refused{{"job", "start", "--pid", kManyDigits}, "..\" is not a whole number from 2 to 4194304"},
                      Refused{{"job", "start", "--ttl", "0"}, R"("0" is not a duration such as 90s or 1h30m, from 1s)"},
                      Refused{{"job", "start", "--need", "nan"}, R"("nan" is not a size)"},
                      Refused{{"status", "--watch", "--interval", "1ms"}, R"("1ms" is not a duration)"},
                      Refused{{"status", "--interval", "3s"}, "--interval requires --watch"}));

}  // namespace
}  // namespace buildwarden::testing
