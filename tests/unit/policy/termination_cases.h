// A termination on a fake clock: the policy's plans carried out by a world that a test sets by hand.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "daemon/policy/termination.h"

namespace buildwarden::policy {

class TerminationTimeline : public ::testing::Test {
 protected:
  TerminationTimeline() {
    facts.wanted = true;
    facts.gates = {{"8:1", "/docker", Level::kCritical, "2 GiB are free on /docker", true, ""}};
    facts.agent = {true, "", 4711, 99};
    facts.jobs = 0;
    facts.chance = 0.5;
    memory.wanted_by = "8:1";
  }

  // One turn as the room does it; the action's name.
  std::string turn() {
    plan = plan_termination(facts, memory, times, now);
    memory = plan.memory;
    if (plan.action == TerminationAction::kRest) return "";
    std::string name(to_string(plan.action));
    if (plan.action == TerminationAction::kTerminate) name += plan.decrement ? " smaller" : " replace";
    done.push_back(name);
    if (killed_in == name) return name;
    TerminationNews news;
    news.action = plan.action;
    if (const auto scripted = script.find(name); scripted != script.end() && !scripted->second.empty()) {
      news.outcome = scripted->second.front();
      news.text = "as the test says";
      if (scripted->second.size() > 1) scripted->second.erase(scripted->second.begin());
    }
    if (plan.action == TerminationAction::kDescribe && news.outcome == TerminationOutcome::kDone) news.group = group;
    if (plan.action == TerminationAction::kIdentify && news.outcome == TerminationOutcome::kDone)
      facts.instance = "i-1";
    if (plan.action == TerminationAction::kTermAgent && agent_obeys) facts.agent.pid = 0;
    if (plan.action == TerminationAction::kQuitAgent) facts.agent.pid = 0;
    if (plan.action == TerminationAction::kStartAgent && news.outcome == TerminationOutcome::kDone) {
      facts.agent = {true, "", 4712, 199};
    }
    memory = note_outcome(memory, news, times, now);
    return name;
  }
  // Turns for `time`, every second and as often as something happens.
  void run(Duration time) {
    const auto end = now.boot + time;
    for (;;) {
      int busy = 0;
      while (!turn().empty()) ASSERT_LT(++busy, 20) << "it goes on without a pause: " << done.back();
      if (now.boot >= end) return;
      pass(std::chrono::seconds{1});
    }
  }
  void pass(Duration time) {
    now.boot += time;
    now.wall += time;
  }
  // What a daemon knows that begins anew.
  void restart() {
    auto intent = memory.intent;
    memory = {};
    memory.intent = std::move(intent);
    facts.instance.clear();
    killed_in.clear();
  }
  [[nodiscard]] int count(const std::string& action) const {
    return static_cast<int>(std::count(done.begin(), done.end(), action));
  }
  // Steps that change something outside.
  [[nodiscard]] std::vector<std::string> deeds() const {
    std::vector<std::string> some;
    for (const auto& one : done) {
      if (one != "identify" && one != "describe") some.push_back(one);
    }
    return some;
  }

  TerminationFacts facts;
  TerminationMemory memory;
  TerminationTimes times;
  TerminationPlan plan;
  GroupState group = GroupState::kInService;
  bool agent_obeys = true;
  std::string killed_in;  // the daemon ends in the middle of this action
  std::map<std::string, std::vector<TerminationOutcome>> script;
  std::vector<std::string> done;
  Now now{WallTime{std::chrono::hours{480'000}}, BootTime{std::chrono::hours{2}}};
};

}  // namespace buildwarden::policy
