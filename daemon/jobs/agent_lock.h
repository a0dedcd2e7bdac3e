// The jobs that are being admitted, and the lock that holds back those of one agent.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "daemon/ports/agent_locks.h"

namespace buildwarden::jobs {

// On the loop's thread alone. What it gives out may outlive it.
class AgentLock final : public ports::AgentLocks {
 public:
  AgentLock();

  [[nodiscard]] std::vector<policy::JobToCome> to_come() const override;
  [[nodiscard]] std::shared_ptr<void> hold(const std::string& agent_folder) override;

  // The job is to come as long as the answer lives.
  [[nodiscard]] std::shared_ptr<void> announce(policy::JobToCome job);
  // Waits until nobody holds back jobs of that agent ("" = of any). false: the waiting coroutine was cancelled.
  boost::asio::awaitable<bool> pass(std::string agent);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace buildwarden::jobs
