// A reconciler over an engine in memory, with something that listens where buildkitd would.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/atomic_file.h"
#include "daemon/builders/reconciler.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_containers.h"
#include "tests/support/fake_journal.h"
#include "tests/support/loop.h"
#include "tests/support/temp_folder.h"
#include "tests/unit/builders/fake_buildkitd.h"

namespace buildwarden::testing {

using builders::Handout;
using builders::Reconciler;
using builders::ReconcilerPorts;
using builders::ReconcilerSettings;
using builders::socket_path;
using policy::BuilderState;

class ReconcilerTest : public ::testing::Test {
 protected:
  ReconcilerTest() {
    settings_.paths.run = folder_.path() + "/run";
    settings_.paths.state = folder_.path() + "/state";
    settings_.paths.images = folder_.path() + "/images";
    settings_.agent_group = ::getegid();
    settings_.jitter = [](Duration) { return Duration{0}; };
    settings_.engine_settles = Duration{0};
    settings_.builders = {BuilderSettings{}};
    settings_.builders[0].aliases = {"shared"};
    engine_.images[settings_.builders[0].image] = "sha256:kit";
    engine_.started = [this](const std::string& name) {
      if (name == "buildwarden_s3" && !buildkitd_) serve(FakeBuildkitd::Manner::kAnswers, apart_);
    };
  }
  ~ReconcilerTest() override {
    if (reconciler_) reconciler_->stop();
    if (buildkitd_) buildkitd_->stop();
    loop_.restart();
    loop_.run();
  }

  Reconciler& reconciler() {
    if (!reconciler_) {
      handout_ = std::make_unique<Handout>(settings_.builders, settings_.paths);
      reconciler_ = std::make_unique<Reconciler>(
          loop_.get_executor(), settings_,
          ReconcilerPorts{engine_, engine_, engine_, engine_, engine_, engine_, journal_, clock_, *handout_, files_});
    }
    return *reconciler_;
  }
  void serve(FakeBuildkitd::Manner manner, bool apart = false) {
    ASSERT_TRUE(make_folders(settings_.paths.run + "/builders/s3"));
    buildkitd_ = std::make_unique<FakeBuildkitd>(loop_, socket_path(settings_.paths, "s3"), manner, apart);
  }
  // What was done in one turn.
  std::vector<std::string> turn() {
    engine_.calls.clear();
    again_ = *run_on(loop_, reconciler().turn("s3"));
    return engine_.calls;
  }
  void warm() {
    turn();
    turn();
    ASSERT_EQ(view().state, BuilderState::kWarm) << view().reason;
  }
  ports::BuilderView view() { return reconciler().builders_view().builders.at(0); }
  // A new program over the same containers.
  void restart_with(const std::function<void(BuilderSettings&)>& change) {
    reconciler_.reset();
    change(settings_.builders[0]);
  }

  buildwarden::testing::TempFolder folder_;
  boost::asio::io_context loop_;
  buildwarden::testing::FakeContainers engine_;
  buildwarden::testing::FakeJournal journal_;
  buildwarden::testing::FakeClock clock_;
  WorkerPool files_{1};
  ReconcilerSettings settings_;
  std::unique_ptr<Handout> handout_;
  std::unique_ptr<Reconciler> reconciler_;
  std::unique_ptr<FakeBuildkitd> buildkitd_;
  Duration again_{0};
  bool apart_ = false;  // a process of its own listens where buildkitd would
};

}  // namespace buildwarden::testing
