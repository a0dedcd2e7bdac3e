#include "daemon/evictors/image_in_use_check.h"

#include <boost/asio/steady_timer.hpp>
#include <utility>

#include "common/cooperative_yield.h"
#include "common/format.h"
#include "common/loop_timer.h"
#include "daemon/evictors/eviction_result.h"
#include "daemon/policy/image_names.h"
#include "daemon/policy/layers.h"

namespace buildwarden::disk {
namespace {

constexpr Duration kEventPause{20};

}  // namespace

ImageInUseCheck::ImageInUseCheck(Parts parts) : parts_(parts) {}

ports::Async<std::vector<policy::Candidate>> ImageInUseCheck::plan(bool dangling, policy::RungTurn turn) {
  auto engine = running_engine(parts_.engine);
  if (!engine) co_return std::move(engine).error();
  const bool known = co_await ledger_knows(*engine);
  if (!known) co_return Error(Errc::kUnavailable, "the ledger of last use does not know this engine yet");
  planned_on_ = *std::move(engine);
  const auto pretended = std::move(turn.pretended);
  auto users = co_await this->users(pretended);
  if (!users) co_return std::move(users).error();
  const auto listed = co_await images(std::move(turn.found));
  if (!listed) co_return Error(listed.error()).with_context("list images");
  planned_ = *listed;
  gone_.clear();
  std::vector<policy::Candidate> candidates;
  const Now now = parts_.clock.now();
  CooperativeYield others;
  for (const auto& image : **listed) {
    co_await others.yield();
    if (policy::is_pretended(pretended, image.id)) continue;
    auto candidate = candidate_of(image, now);
    candidate.is_beside = image.is_dangling() != dangling;
    candidate.in_use_by = user_of(*users, candidate);
    candidate.protected_as = protection_of(candidate);
    candidates.push_back(std::move(candidate));
  }
  co_return candidates;
}

policy::Candidate ImageInUseCheck::candidate_of(const ports::ImageRecord& image, Now now) const {
  auto candidate = policy::image_candidate(image);
  candidate.last_use = parts_.ledger.last_use(image.id, now);
  return candidate;
}

ports::Async<ImageInUseCheck::Listed> ImageInUseCheck::images(std::shared_ptr<policy::DryRunCache> found) {
  if (found && found->images) co_return found->images;
  auto images = co_await parts_.images.list_images();
  if (!images) co_return std::move(images).error();
  auto listed = std::make_shared<const std::vector<ports::ImageRecord>>(*std::move(images));
  if (found) found->images = listed;
  co_return listed;
}

// Polled: it is a matter of some milliseconds after a connect, and of no event that others must tell.
boost::asio::awaitable<bool> ImageInUseCheck::ledger_knows(ports::EngineIdentity identity) {
  using WaitClock = boost::asio::steady_timer::clock_type;
  const auto until = WaitClock::now() + parts_.ledger_patience;
  while (!parts_.ledger.knows(identity)) {
    const auto status = parts_.engine.status();
    if (!status.up || status.identity != identity || WaitClock::now() >= until) co_return false;
    co_await sleep_for(kEventPause);
  }
  co_return true;
}

ports::Async<std::string> ImageInUseCheck::ask_again(policy::Candidate candidate) {
  std::shared_ptr<const policy::DryRunState> nothing;
  auto users = co_await this->users(std::move(nothing));
  if (!users) co_return std::move(users).error();
  if (const auto user = user_of(*users, candidate); !user.empty()) co_return format("in use by {}", user);
  if (const auto role = protection_of(candidate); !role.empty()) co_return format("protected: {}", role);
  co_return changed(candidate);
}

std::string ImageInUseCheck::changed(const policy::Candidate& candidate) const {
  const auto status = parts_.engine.status();
  if (auto change = engine_changed(status, planned_on_); !change.empty()) return change;
  if (!parts_.ledger.knows(status.identity)) return "the ledger of last use has lost track of the engine";
  const auto now = parts_.clock.now();
  const auto use = parts_.ledger.last_use(candidate.id, now);
  if (use.at > candidate.last_use.at || !parts_.ledger.has(candidate.id)) {
    return format("used since the plan, at {}: {}", format_rfc3339(use.at), parts_.ledger.why(candidate.id));
  }
  return changed_above(candidate, now);
}

// The ledger may know of such a use already, or not yet.
std::string ImageInUseCheck::changed_above(const policy::Candidate& candidate, Now now) const {
  if (!planned_) return "";
  for (const auto& image : *planned_) {
    const bool is_above = image.id != candidate.id && policy::is_built_on(image.layers, candidate.layers);
    if (!is_above || gone_.contains(image.id) || !parts_.ledger.has(image.id)) continue;
    const auto name = image.name();
    const auto use = parts_.ledger.last_use(image.id, now);
    if (use.at > candidate.last_use.at) {
      return format("{}, which is built on it, was used since the plan, at {}", name, format_rfc3339(use.at));
    }
    if (image.layers.size() > candidate.layers.size()) return format("{}, which is built on it, is there still", name);
  }
  return "";
}

ports::Async<ImageInUseCheck::Users> ImageInUseCheck::users(std::shared_ptr<const policy::DryRunState> pretended) {
  const auto containers = co_await parts_.containers.list_containers();
  if (!containers) co_return Error(containers.error()).with_context("list containers");
  Users users;
  for (const auto& container : *containers) {
    if (policy::is_pretended(pretended, container.id)) continue;
    const auto user = format("container {}", container.name);
    users.by_name.emplace(container.image_id, user);
    users.by_name.emplace(policy::normalised_reference(container.image), user);
    for (const auto& image : container.mounted_images) {
      users.by_name.emplace(policy::normalised_reference(image), user);
      if (const auto start = policy::id_start(image)) users.by_start.emplace_back(*start, user);
    }
  }
  co_return users;
}

std::string ImageInUseCheck::user_of(const Users& users, const policy::Candidate& candidate) const {
  for (const auto& reference : candidate.references) {
    const auto by_name = users.by_name.find(policy::normalised_reference(reference));
    if (by_name != users.by_name.end()) return by_name->second;
  }
  const auto by_id = users.by_name.find(candidate.id);
  if (by_id != users.by_name.end()) return by_id->second;
  for (const auto& [start, user] : users.by_start) {
    if (candidate.id.starts_with(start)) return user;
  }
  return "";
}

std::string ImageInUseCheck::protection_of(const policy::Candidate& candidate) const {
  for (const auto& held : parts_.in_use.now().image_references) {
    const auto name = policy::normalised_reference(held);
    const auto start = policy::id_start(held);
    const bool is_id = held == candidate.id || (start && candidate.id.starts_with(*start));
    if (is_id) return format("held as {}", held);
    for (const auto& reference : candidate.references) {
      if (policy::normalised_reference(reference) == name) return format("held as {}", held);
    }
  }
  return "";
}

}  // namespace buildwarden::disk
