// Jobs on their way in: seen, and held back for a moment.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "daemon/policy/checkouts.h"

namespace buildwarden::ports {

class AgentLocks {
 public:
  virtual ~AgentLocks() = default;
  // The jobs that are being admitted now: they were not told yet that they may run. From memory. The paths as the
  // requests had them: to be compared, never to be opened.
  [[nodiscard]] virtual std::vector<policy::JobToCome> to_come() const = 0;
  // As long as the answer lives, no job of the agent with that folder (policy::agent_folder), and none that did not
  // name its agent, is told that it may run: it waits. On the loop; never refused.
  [[nodiscard]] virtual std::shared_ptr<void> hold(const std::string& agent_folder) = 0;
};

}  // namespace buildwarden::ports
