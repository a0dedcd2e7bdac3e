#include "daemon/builders/recreate_request.h"

#include <algorithm>
#include <utility>

#include "common/format.h"

namespace buildwarden::builders {

std::vector<std::string> words_of(const std::vector<policy::BuilderStep>& steps) {
  std::vector<std::string> words;
  for (const auto& step : steps) words.push_back(format("{} {}", policy::to_string(step.action), step.container));
  return words;
}

bool makes_anew(const Builder& builder, const policy::BuilderPlan& plan) {
  return std::any_of(plan.steps.begin(), plan.steps.end(), [&](const policy::BuilderStep& step) {
    return step.action == policy::BuilderAction::kCreate && step.container == builder.container;
  });
}

bool starts_anew(const Builder& builder, const policy::BuilderPlan& plan) {
  return makes_anew(builder, plan) || std::any_of(plan.steps.begin(), plan.steps.end(), [](const auto& step) {
           return step.action == policy::BuilderAction::kRestart;
         });
}

void answer(Builder& builder, Result<std::vector<std::string>> with) {
  if (!builder.asked) return;
  const auto asked = std::exchange(builder.asked, nullptr);
  asked->answer = std::move(with);
  asked->answered.notify_all();
}

void answer_with_steps(Builder& builder, const policy::BuilderPlan& plan, const Result<void>& done) {
  if (!makes_anew(builder, plan)) return;
  if (done) return answer(builder, words_of(plan.steps));
  answer(builder, Error(Errc::kUnavailable, done.error().message()));
}

}  // namespace buildwarden::builders
