// Answers to those who asked for a builder to be made anew.
#pragma once

#include <string>
#include <vector>

#include "daemon/builders/builder.h"
#include "daemon/policy/builder.h"

namespace buildwarden::builders {

// "remove buildwarden_s3", …
std::vector<std::string> words_of(const std::vector<policy::BuilderStep>& steps);

// Whether the plan makes the real container anew, for whichever reason.
bool makes_anew(const Builder& builder, const policy::BuilderPlan& plan);

// The same, or starts it again: what is known of its life is over.
bool starts_anew(const Builder& builder, const policy::BuilderPlan& plan);

// Nobody is left without an answer; a second one is not given.
void answer(Builder& builder, Result<std::vector<std::string>> with);

// After the steps: answers when they made it anew, or failed.
void answer_with_steps(Builder& builder, const policy::BuilderPlan& plan, const Result<void>& done);

}  // namespace buildwarden::builders
