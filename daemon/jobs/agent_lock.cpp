#include "daemon/jobs/agent_lock.h"

#include <algorithm>
#include <boost/asio/this_coro.hpp>
#include <chrono>
#include <utility>

#include "common/async_event.h"

namespace buildwarden::jobs {
namespace asio = boost::asio;

namespace {

constexpr std::chrono::hours kUntilReleased{1};

}  // namespace

struct AgentLock::State {
  std::list<policy::JobToCome> to_come;
  std::list<std::string> held;  // agents' folders
  AsyncEvent released;

  [[nodiscard]] bool is_held(const std::string& agent) const {
    return std::any_of(held.begin(), held.end(), [&agent](const std::string& folder) {
      return agent.empty() || folder == agent || folder == policy::agent_folder(agent);
    });
  }
};

AgentLock::AgentLock() : state_(std::make_shared<State>()) {}

std::vector<policy::JobToCome> AgentLock::to_come() const { return {state_->to_come.begin(), state_->to_come.end()}; }

std::shared_ptr<void> AgentLock::announce(policy::JobToCome job) {
  const auto place = state_->to_come.insert(state_->to_come.end(), std::move(job));
  return {&*place, [state = state_, place](void*) { state->to_come.erase(place); }};
}

std::shared_ptr<void> AgentLock::hold(const std::string& agent_folder) {
  const auto place = state_->held.insert(state_->held.end(), agent_folder);
  return {&*place, [state = state_, place](void*) {
            state->held.erase(place);
            state->released.notify_all();
          }};
}

asio::awaitable<bool> AgentLock::pass(std::string agent) {
  const auto state = state_;
  while (state->is_held(agent)) {
    co_await state->released.wait(kUntilReleased);
    const auto cancelled = co_await asio::this_coro::cancellation_state;
    if (cancelled.cancelled() != asio::cancellation_type::none) co_return false;
  }
  co_return true;
}

}  // namespace buildwarden::jobs
