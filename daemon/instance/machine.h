// The ways out: what the room touches of the machine and of AWS. All block: for a worker.
#pragma once

#include <functional>
#include <stop_token>
#include <string>

#include "common/result.h"
#include "daemon/instance/aws.h"
#include "daemon/instance/metadata.h"
#include "daemon/policy/termination.h"

namespace buildwarden::instance {

// Other ones only for tests.
struct Machine {
  std::function<Result<Identity>(const std::string& imds_url, const std::stop_token& stop)> identify;
  // `action`: kDescribe, kTerminate or kSetHealth.
  std::function<policy::TerminationNews(const AwsCli& cli, policy::TerminationAction action, bool decrement,
                                        const std::stop_token& stop)>
      call;
  std::function<policy::AgentFacts(const std::string& unit, const std::stop_token& stop)> look_at_agent;
  // `action`: kTermAgent, kQuitAgent or kStartAgent. kRefused, kMissing: it surely did not happen.
  std::function<policy::TerminationNews(const std::string& unit, policy::TerminationAction action,
                                        const std::stop_token& stop)>
      tell_agent;
  // Appends one line to the log; without the folder it lies in, kNotFound.
  std::function<Result<void>(const std::string& path, const std::string& line)> write_line;
};
Machine this_machine();

}  // namespace buildwarden::instance
