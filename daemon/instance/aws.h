// The Auto Scaling group, asked by the AWS CLI. Commands and answers as values.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/result.h"
#include "common/subprocess.h"
#include "config/settings.h"
#include "daemon/instance/metadata.h"
#include "daemon/policy/termination.h"

namespace buildwarden::instance {

// Each is one try: the CLI does not try again by itself. It ends by itself within `call`, so that it cannot outlive the
// daemon for longer.
struct AwsCli {
  InstanceSettings settings;
  Identity identity;
  Duration call{0};

  [[nodiscard]] std::vector<std::string> describe() const;
  [[nodiscard]] std::vector<std::string> terminate(bool decrement) const;
  // Unhealthy, at once: without the group's grace period.
  [[nodiscard]] std::vector<std::string> set_unhealthy() const;

 private:
  [[nodiscard]] std::vector<std::string> command(std::vector<std::string> words) const;
};

// What a command's end means; `news.text` says it in one line. A description's answer is not looked at.
policy::TerminationNews news_of(const Result<ProgramEnd>& end);

// The state that a description tells. kProtocol: no such answer.
struct Described {
  policy::GroupState state = policy::GroupState::kOther;
  std::string word;  // "InService", or for people that it is in none
};
Result<Described> read_description(const std::string& json);

}  // namespace buildwarden::instance
