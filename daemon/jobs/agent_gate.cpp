#include "daemon/jobs/agent_gate.h"

#include <algorithm>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <utility>

namespace buildwarden::jobs {
namespace asio = boost::asio;

namespace {

constexpr std::chrono::hours kUntilWoken{1};

}  // namespace

struct AgentGate::State {
  std::list<policy::JobToCome> to_come;
  std::list<std::string> held;  // agents' folders
  std::list<std::shared_ptr<asio::steady_timer>> waiting;

  [[nodiscard]] bool is_held(const std::string& agent) const {
    return std::any_of(held.begin(), held.end(), [&agent](const std::string& folder) {
      return agent.empty() || folder == agent || folder == policy::agent_folder(agent);
    });
  }
  void wake() const {
    for (const auto& timer : waiting) timer->cancel();
  }
};

AgentGate::AgentGate() : state_(std::make_shared<State>()) {}

std::vector<policy::JobToCome> AgentGate::to_come() const { return {state_->to_come.begin(), state_->to_come.end()}; }

std::shared_ptr<void> AgentGate::announce(policy::JobToCome job) {
  const auto place = state_->to_come.insert(state_->to_come.end(), std::move(job));
  return {&*place, [state = state_, place](void*) { state->to_come.erase(place); }};
}

std::shared_ptr<void> AgentGate::hold(const std::string& agent_folder) {
  const auto place = state_->held.insert(state_->held.end(), agent_folder);
  return {&*place, [state = state_, place](void*) {
            state->held.erase(place);
            state->wake();
          }};
}

asio::awaitable<bool> AgentGate::pass(std::string agent) {
  const auto state = state_;
  const auto executor = co_await asio::this_coro::executor;
  while (state->is_held(agent)) {
    auto timer = std::make_shared<asio::steady_timer>(executor, kUntilWoken);
    const auto place = state->waiting.insert(state->waiting.end(), timer);
    boost::system::error_code woken;
    auto token = asio::redirect_error(asio::use_awaitable, woken);
    co_await timer->async_wait(token);
    state->waiting.erase(place);
    const auto cancelled = co_await asio::this_coro::cancellation_state;
    if (cancelled.cancelled() != asio::cancellation_type::none) co_return false;
  }
  co_return true;
}

}  // namespace buildwarden::jobs
