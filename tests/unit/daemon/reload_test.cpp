#include "daemon/reload.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <variant>

#include "daemon/reload_loop.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_journal.h"
#include "tests/support/loop.h"
#include "tests/support/run_void.h"
#include "tests/support/temp_folder.h"

namespace buildwarden {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A daemon's configuration in a folder of its own, and what the daemon is told of it.
class ReloadTest : public ::testing::Test {
 protected:
  ReloadTest() {
    request_.yaml_path = in("conf.yaml");
    request_.yaml_required = true;
    for (const auto* key : {"cfn_env", "agent_env", "daemon_json", "docker_binfmt_env", "docker_drop_ins"}) {
      request_.overrides[std::string("paths.") + key] = in("later/" + std::string(key));
    }
    write("conf.yaml", "disk: { min_free: 1GiB }\n");
    auto loaded = config::load(request_);
    if (loaded) in_force_ = *std::move(loaded);
    reload_ =
        std::make_unique<Reload>(Reload::Parts{in_force_, request_, clock_, journal_, workers_, [this] { ++applied_; },
                                               [this](bool begins) { told_ += begins ? "reloading " : "ready "; },
                                               [this] { return !in_force_.cfn_env_read; }});
  }
  void turn(ReloadCause cause = ReloadCause::kFiles) { testing::run_void(loop_, reload_->turn(cause)); }
  [[nodiscard]] std::string in(const std::string& name) const { return folder_.path() + "/" + name; }
  void write(const std::string& name, const std::string& text) const { std::ofstream(in(name)) << text; }
  [[nodiscard]] std::string field(const std::string& kind, const std::string& name) const {
    for (const auto& [key, value] : journal_.last(kind).fields) {
      if (key == name && std::holds_alternative<std::string>(value)) return std::get<std::string>(value);
    }
    return "no such text";
  }
  [[nodiscard]] Amount min_free() const { return settings_.disk.min_free; }

  testing::TempFolder folder_;
  boost::asio::io_context loop_;
  testing::FakeClock clock_;
  testing::FakeJournal journal_;
  WorkerPool workers_{1};
  config::LoadRequest request_;
  config::Loaded in_force_;
  const Settings& settings_ = in_force_.settings;  // as rooms hold it
  std::unique_ptr<Reload> reload_;
  int applied_ = 0;
  std::string told_;
};

TEST_F(ReloadTest, AGoodOneCountsAtOnceAndIsToldWithOldAndNew) {
  write("conf.yaml", "disk: { min_free: 2GiB }\n");
  turn();
  EXPECT_EQ(min_free(), Amount::bytes(2 * kGiB));
  EXPECT_EQ(applied_, 1);
  EXPECT_EQ(told_, "reloading ready ");
  EXPECT_THAT(journal_.last("config.reloaded").reason, HasSubstr("by itself: 1 value changed"));
  EXPECT_EQ(field("config.reloaded", "changes"),
            "disk.min_free: 1GiB (yaml " + in("conf.yaml") + ":1) -> 2GiB (yaml " + in("conf.yaml") + ":1)");
  EXPECT_EQ(reload_->config_view().taken, 1U);
  EXPECT_EQ(reload_->config_view().file, in("conf.yaml"));
}

TEST_F(ReloadTest, ABadOneChangesNothingAndIsToldEverywhereUntilItIsMended) {
  write("conf.yaml", "disk: { min_free: 2GiB, grace: soon }\nnonsense: 1\n");
  turn();
  EXPECT_EQ(min_free(), Amount::bytes(1 * kGiB));
  EXPECT_EQ(applied_, 0);
  EXPECT_EQ(journal_.last("config.refused").severity, ports::Severity::kError);
  EXPECT_THAT(journal_.last("config.refused").reason, HasSubstr("(and 1 more)"));
  EXPECT_THAT(field("config.refused", "errors"), HasSubstr("disk.grace"));
  EXPECT_THAT(field("config.refused", "errors"), HasSubstr("nonsense"));
  ASSERT_TRUE(reload_->not_ready());
  EXPECT_EQ(reload_->not_ready()->part, "config");
  EXPECT_THAT(reload_->config_view().error, HasSubstr("disk.grace"));
  EXPECT_EQ(reload_->config_view().refused, 1U);

  turn();
  EXPECT_EQ(journal_.count("config.refused"), 1U) << "the same mistakes again";
  turn(ReloadCause::kSignal);
  EXPECT_EQ(journal_.count("config.refused"), 2U) << "but somebody asked";

  write("conf.yaml", "disk: { min_free: 1GiB }\n");
  turn();
  EXPECT_FALSE(reload_->not_ready());
  EXPECT_EQ(reload_->config_view().error, "");
  EXPECT_THAT(journal_.last("config.reloaded").reason, HasSubstr("0 values changed"));
  EXPECT_EQ(applied_, 0) << "what is in force was never another one";
}

TEST_F(ReloadTest, AMissingFileIsABadOne) {
  std::filesystem::remove(in("conf.yaml"));
  turn();
  EXPECT_EQ(min_free(), Amount::bytes(1 * kGiB));
  EXPECT_TRUE(reload_->not_ready());
}

TEST_F(ReloadTest, WhatNeedsARestartIsSaidAndStays) {
  write("conf.yaml", "disk: { min_free: 1GiB }\nlisten: { tcp: \"127.0.0.1:1\" }\n");
  turn();
  EXPECT_EQ(settings_.listen.tcp, "127.0.0.1:9847");
  EXPECT_THAT(journal_.last("config.reloaded").reason, HasSubstr("a restart is needed for listen.tcp"));
  EXPECT_EQ(journal_.last("config.reloaded").severity, ports::Severity::kWarning);
  EXPECT_THAT(reload_->config_view().restart_needed, ElementsAre("listen.tcp"));
  turn();
  EXPECT_EQ(journal_.count("config.reloaded"), 1U) << "it still waits, and was told";
}

TEST_F(ReloadTest, NothingNewIsOnlyToldToWhoAsked) {
  turn(ReloadCause::kStart);
  EXPECT_EQ(told_, "");
  turn();
  EXPECT_EQ(journal_.count("config.reloaded"), 0U);
  turn(ReloadCause::kSignal);
  EXPECT_THAT(journal_.last("config.reloaded").reason, HasSubstr("on request: 0 values changed"));
  EXPECT_EQ(applied_, 0);
  EXPECT_EQ(reload_->config_view().taken, 2U) << "the first look is no reload";
}

TEST_F(ReloadTest, TheParametersAreKnownOnceTheyWereRead) {
  EXPECT_TRUE(reload_->config_view().parameters_awaited);
  std::filesystem::create_directory(in("later"));
  write("later/cfn_env", "set_always \"BUILDKITE_STACK_NAME\" \"x\"\n");
  EXPECT_TRUE(reload_->config_view().parameters_awaited) << "there, but not read";
  turn();
  EXPECT_FALSE(reload_->config_view().parameters_awaited);
  EXPECT_EQ(journal_.count("config.reloaded"), 1U) << "told, though no value is another";
  std::filesystem::remove(in("later/cfn_env"));
  turn();
  EXPECT_TRUE(reload_->config_view().parameters_awaited);
}

// A job moved root's file away and wrote its own.
TEST_F(ReloadTest, AFileThatIsNotRootsAloneIsToldOnceAndAgainWhenItIsMended) {
  std::filesystem::create_directory(in("later"));
  write("later/cfn_env", "set_always \"DOCKER_PRUNE_UNTIL\" \"7d\"\n");
  turn();
  EXPECT_EQ(settings_.disk.keep_used_within, std::chrono::hours{24 * 7});
  std::filesystem::remove(in("later/cfn_env"));
  write("later/cfn_env", "set_always \"DOCKER_PRUNE_UNTIL\" \"1s\"\n");
  ASSERT_EQ(::chown(in("later/cfn_env").c_str(), 2000, 2000), 0);
  turn();
  turn();
  EXPECT_EQ(settings_.disk.keep_used_within, std::chrono::hours{24 * 7}) << "the last one of root's";
  EXPECT_EQ(journal_.count("config.distrusted"), 1U);
  EXPECT_EQ(journal_.last("config.distrusted").severity, ports::Severity::kWarning);
  EXPECT_THAT(journal_.last("config.distrusted").reason, HasSubstr("later/cfn_env does not count"));
  ASSERT_TRUE(reload_->not_ready());
  EXPECT_THAT(reload_->not_ready()->reason, HasSubstr("uid 2000"));
  ASSERT_EQ(::chown(in("later/cfn_env").c_str(), 0, 0), 0);
  turn();
  EXPECT_EQ(settings_.disk.keep_used_within, std::chrono::seconds{1});
  EXPECT_EQ(journal_.last("config.distrusted").rule, "mended");
  EXPECT_FALSE(reload_->not_ready());
}

// The loop around it, on real files.
class ReloadLoopTest : public ReloadTest {
 protected:
  ReloadLoopTest() {
    loop_on_files_ = std::make_unique<ReloadLoop>(
        loop_.get_executor(),
        ReloadLoop::Parts{*reload_, workers_, [this] { return config::files_of(request_, settings_); }, [] {}},
        FileWatchTimes{Duration{20}, std::chrono::hours{1}, Duration{2'000}});
    loop_on_files_->start();
  }
  ~ReloadLoopTest() override {
    loop_on_files_->stop();
    loop_.restart();
    loop_.run();
  }
  void until(const std::function<bool()>& done) { testing::run_until(loop_, done); }
  std::unique_ptr<ReloadLoop> loop_on_files_;
};

TEST_F(ReloadLoopTest, FollowsItsFilesByItselfAlsoThoseThatAppearLater) {
  write("conf.yaml.new", "disk: { min_free: 3GiB }\n");
  std::filesystem::rename(in("conf.yaml.new"), in("conf.yaml"));
  until([&] { return min_free() == Amount::bytes(3 * kGiB); });
  std::filesystem::create_directory(in("later"));
  write("later/cfn_env", "set_always \"DOCKER_PRUNE_UNTIL\" \"7d\"\n");
  until([&] { return settings_.disk.keep_used_within == std::chrono::hours{24 * 7}; });
  write("later/daemon_json", R"({"data-root":"/mnt/ephemeral/docker"})");
  until([&] { return settings_.engine.data_root == "/mnt/ephemeral/docker"; });
  write("conf.yaml", "nonsense: 1\n");
  until([&] { return reload_->not_ready().has_value(); });
  write("conf.yaml", "");
  until([&] { return !reload_->not_ready(); });
  EXPECT_EQ(min_free(), Amount::bytes(5 * kGiB));
}

TEST_F(ReloadLoopTest, LoadsWhenAskedThoughNothingChanged) {
  loop_on_files_->ask();
  until([&] { return journal_.count("config.reloaded") == 1; });
  EXPECT_THAT(journal_.last("config.reloaded").rule, "signal");
}

}  // namespace
}  // namespace buildwarden
